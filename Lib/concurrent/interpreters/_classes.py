"""What a class says of a proxy whose owner does not know the class.

The core asks the owner first: about its own class of the same module and name.
"""

from _abc import _abc_subclasscheck, _get_dump
from abc import ABCMeta

_MISSING = object()


def is_subclass(proxy, cls):
    """Is the proxied class a subclass of the class, which may be abstract?"""
    if not isinstance(proxy, type):
        raise TypeError('issubclass() arg 1 must be a class')
    answer = cls.__subclasshook__(proxy)
    if answer is not NotImplemented:
        return answer
    # Protocols with data refuse issubclass(), but not from inside abc.
    return any((_abc_subclasscheck if _is_protocol(other) else _is_derived)(other, proxy)
               for other in _known_subclasses(cls))


def is_instance(proxy, cls):
    """Is the proxy's object an instance of the abstract class?"""
    its_class = proxy.__class__
    if _is_protocol(cls):
        return _has_members(proxy, its_class, cls)
    return issubclass(its_class, cls)


def _is_protocol(cls):
    return getattr(cls, '_is_protocol', False)


def _is_derived(cls, proxy):
    return issubclass(proxy, cls)


def _known_subclasses(cls):
    """Return the classes that derive from an abstract class or are registered with it."""
    if not isinstance(cls, ABCMeta):
        return []
    registered = (reference() for reference in _get_dump(cls)[0])
    return type.__subclasses__(cls) + [other for other in registered if other is not None]


def _has_members(proxy, its_class, protocol):
    """Has the object the members of a runtime protocol?  Descriptors are not asked."""
    places = [*(vars(base) for base in its_class.__mro__), getattr(proxy, '__dict__', {})]
    for name in protocol.__protocol_attrs__:
        value = next((place[name] for place in places if name in place), _MISSING)
        if value is _MISSING or (
                value is None and name not in protocol.__non_callable_proto_members__):
            return False
    return True
