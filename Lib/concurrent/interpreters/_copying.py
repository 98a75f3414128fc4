"""Copies instead of proxies: materialize(), dont_share(), and Rebuild."""

import operator
import pickle
import sys

import _sharedobjects
from _interpreters import NotShareableError
from _sharedobjects import SharedObjectProxy, share


__all__ = ['materialize', 'dont_share', 'PickleWrapper', 'Rebuild']


class PickleWrapper:
    """An object that crosses to another interpreter as a pickled copy, never as a proxy."""

    __slots__ = ('object', '__weakref__')

    def __init__(self, obj, /):
        self.object = obj

    def __repr__(self):
        return f'{type(self).__name__}({self.object!r})'


def dont_share(obj, /):
    """Return obj wrapped so that a copy of it arrives on the other side, not a proxy.

    The copy is pickled when the wrapper crosses.  Proxies inside it arrive as
    proxies.
    """
    return PickleWrapper(obj)


class Rebuild:
    """A recipe that crosses: callable(*args, **kwargs) is called where it arrives.

    The callable is found by module and qualified name in the receiving
    interpreter; the arguments cross as those of a proxy do.  What the call
    returns is what arrives.  For __share__ methods of custom proxies:

        def __share__(self):
            return Rebuild(MyProxy, SharedObjectProxy(self))
    """

    __slots__ = ('callable', 'args', 'kwargs', '__weakref__')

    def __init__(self, callable, /, *args, **kwargs):
        for attribute in '__module__', '__qualname__':
            if not isinstance(getattr(callable, attribute, None), str):
                raise TypeError(f'{callable!r} cannot be found by name: it has no {attribute}')
        self.callable = callable
        self.args = args
        self.kwargs = kwargs

    def __repr__(self):
        parts = [self.callable.__qualname__, *map(repr, self.args),
                 *(f'{name}={value!r}' for name, value in self.kwargs.items())]
        return f'{type(self).__name__}({", ".join(parts)})'

    def _parts(self):
        return (self.callable.__module__, self.callable.__qualname__,
                tuple(map(share, self.args)),
                tuple(self.kwargs), tuple(map(share, self.kwargs.values())))


def rebuild(module, qualname, args, names, values):
    """What a Rebuild of these parts arrives as."""
    try:
        __import__(module)
        function = operator.attrgetter(qualname)(sys.modules[module])
    except (ImportError, AttributeError) as exc:
        raise type(exc)(f'cannot rebuild an object here: '
                        f'there is no {qualname!r} in module {module!r}') from exc
    return function(*args, **dict(zip(names, values)))


def materialize(obj, /):
    """Return a real local object instead of a proxy.

    What is not a proxy is returned as it is, and the caller's own object is
    the object itself; anything else is pickled by its owner and unpickled
    here.  NotShareableError, with the cause, if it cannot be pickled.
    """
    if type(obj) is not SharedObjectProxy:
        return obj
    try:
        copy = _sharedobjects.copy_here(obj)
    except NotShareableError as exc:
        try:
            obj.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        except Exception as cause:
            raise NotShareableError(
                f'cannot copy a {obj.__class__.__qualname__!r} object of interpreter '
                f'{_sharedobjects.owner_id(obj)}: it cannot be pickled') from cause
        raise exc
    return copy


_sharedobjects.register_copied(PickleWrapper)
_sharedobjects.register_rebuilt(Rebuild)
