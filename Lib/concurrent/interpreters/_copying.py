"""Copies instead of proxies: materialize(), dont_share(), and Rebuild."""

import copyreg
import io
import itertools
import operator
import pickle
import sys
import types

import _sharedobjects
from _interpreters import NotShareableError
from _sharedobjects import DeadProxyError, SharedObjectProxy, share, share_token


__all__ = ['materialize', 'dont_share', 'PickleWrapper', 'Rebuild']


class PickleWrapper:
    """An object that crosses to another interpreter as a pickled copy, never as a proxy.

    So does what is in it: nobody's __share__ is asked.  To pickle the wrapper
    is to pickle the object; to call it is to call the object.
    """

    __slots__ = ('object', '__weakref__')

    def __init__(self, obj, /):
        self.object = obj

    def __reduce__(self):
        return pickle.loads, (pickle.dumps(self.object),)

    def __call__(self, /, *args, **kwargs):
        return self.object(*args, **kwargs)

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

    def __reduce__(self):
        return rebuild, self._parts()

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


class _Pickler(pickle.Pickler):
    """What has a say in how it crosses has it inside a pickle too."""

    def reducer_override(self, obj):
        if not hasattr(type(obj), '__share__'):
            return NotImplemented
        return _as_it_is, (share(obj),)


def dumps(obj):
    """Pickle something to cross, in place of pickle.dumps()."""
    if type(obj) is PickleWrapper:
        return pickle.dumps(obj.object)
    file = io.BytesIO()
    _Pickler(file).dump(obj)
    return file.getvalue()


# What is pickled to be copied at once travels in pieces.  Small ones are bytes.  Large ones, among
# them the contents of each large bytes-like object, are memoryviews of the owner's memory, so that
# what is built here is filled from there.

# The size from which a piece is read in the owner's memory.
_IN_PLACE = 1 << 16


def _pickle(obj):
    """Pickle what another interpreter copies at once; runs in the owner.

    Returns the pieces of the pickle, the arrays that are not in it as
    (typecode, memoryview), and the proxies that it names by their tokens.
    """
    pieces, arrays, proxies = [], [], []
    array_type = getattr(sys.modules.get('array'), 'array', None)

    def write(piece):
        if type(piece) is pickle.PickleBuffer:
            piece = piece.raw()
        pieces.append(memoryview(piece) if len(piece) >= _IN_PLACE else piece)

    def is_in_pickle(buffer):
        array = memoryview(buffer).obj
        if type(array) is not array_type:
            return True
        arrays.append((array.typecode, buffer.raw()))

    def reduce_proxy(proxy):
        proxies.append(proxy)
        return _sharedobjects._arrive, (share_token(proxy),)

    pickler = pickle.Pickler(types.SimpleNamespace(write=write), 5, buffer_callback=is_in_pickle)
    pickler.dispatch_table = copyreg.dispatch_table | {
        SharedObjectProxy: reduce_proxy, array_type: _reduce_array}
    pickler.dump(obj)
    return tuple(pieces), tuple(arrays), tuple(proxies)


def _reduce_array(array):
    return _as_it_is, (pickle.PickleBuffer(array),)


def _as_it_is(obj):
    return obj


class _Pieces:
    """The pieces of a pickle as a file to unpickle; none is read across its end."""

    def __init__(self, pieces):
        self._pieces = map(memoryview, pieces)
        self._rest = memoryview(b'')

    def read(self, size):
        rest = self._rest or next(self._pieces)
        self._rest = rest[size:]
        return rest[:size]

    def readinto(self, buffer):
        buffer[:] = self.read(len(buffer))
        return len(buffer)

    def readline(self):
        raise io.UnsupportedOperation('no opcode of the protocol is followed by a line')


def _unpickle(pieces, arrays, proxies):
    """Build what _pickle() took apart.  The proxies are kept alive meanwhile."""
    return pickle.Unpickler(_Pieces(pieces), buffers=itertools.starmap(_make_array, arrays)).load()


def _make_array(typecode, contents):
    from array import array
    made = array(typecode)
    made.frombytes(contents)
    return made


def materialize(obj, /):
    """Return a real local object instead of a proxy.

    What is not a proxy is returned as it is, and the caller's own object is
    the object itself; anything else is pickled by its owner and unpickled
    here.  NotShareableError, with the cause, if it cannot be.

    The contents of large bytes-like objects are read while the owner may run:
    as with a memoryview, who changes them meanwhile is seen to do so.
    """
    own = _sharedobjects.unwrap(obj)
    if own is not obj or type(obj) is not SharedObjectProxy:
        return own
    try:
        pickled = _sharedobjects.prepare_copy(obj, '_pickle')
    except (DeadProxyError, MemoryError):
        raise
    except Exception as cause:
        raise NotShareableError(
            f'cannot copy a {obj.__class__.__qualname__!r} object of interpreter '
            f'{_sharedobjects.owner_id(obj)}: it cannot be pickled') from cause
    try:
        return _unpickle(*pickled)
    except AttributeError as exc:
        if exc.obj is not sys.modules.get('__main__'):
            raise
        # The machinery behind PickleWrapper has a copy of the owner's __main__.
        return _sharedobjects.prepare_copy(obj, 'PickleWrapper')


_sharedobjects.register_copied(PickleWrapper)
_sharedobjects.register_rebuilt(Rebuild)
