"""What tells where, in what should cross and does not, the part is that cannot."""

import re
import types

import _sharedobjects
from _interpreters import NotShareableError

# How deep is looked.
_DEPTH = 30

# The function of a pool, which takes the parts of a task.
_POOL = 'concurrent.futures.interpreter', 'do_call'

# What the base says of what a call returned, and of arguments that could not be made there: of a
# Rebuild nothing at all.
_OF_RESULTS = 'object does not support cross-interpreter data'
_OF_ARRIVAL = 'args not shareable', 'kwargs not shareable', ''


def _parts(obj):
    """Return what obj is made of, each part with what leads to it: [1], ['key'], .name."""
    if type(obj) is _sharedobjects.SharedObjectProxy:
        return []
    if isinstance(obj, (list, tuple)):
        return [(f'[{index}]', item) for index, item in enumerate(obj)]
    if isinstance(obj, dict):
        return [(f'[{key!r}]', value) for key, value in obj.items()]
    if isinstance(obj, (set, frozenset)):
        return [(f' item {item!r}', item) for item in obj]
    return [(f'.{name}', value) for name, value in getattr(obj, '__dict__', {}).items()]


def _error(check, obj):
    try:
        check(obj)
    except Exception as exc:
        return exc


def _find(path, obj, check):
    """Return the innermost part that does not pass the check, with the path to it, and why."""
    error = _error(check, obj)
    if error is None:
        return None
    for _ in range(_DEPTH):
        # The items of a tuple cross one by one; anything else is pickled as a whole, or a proxy.
        if type(obj) is not tuple:
            if check is _sharedobjects.check_packing:
                break
            check = _sharedobjects.check_pickling
        try:
            parts = _parts(obj)
        except Exception:
            break
        for step, part in parts:
            part_error = _error(check, part)
            if part_error is not None:
                path, obj, error = path + step, part, part_error
                break
        else:
            break
    return path, obj, error


def _find_in_roots(roots, check):
    for path, obj in roots:
        found = _find(path, obj, check)
        if found is not None:
            path, part, error = found
            return f'{path}, a {type(part).__qualname__!r} object', error
    return None


def unshareable(exc, *wholes, **roots):
    """Return what to raise when exc says that something did not cross: it names the part.

    The roots, dicts or sequences, are what should have crossed, item by item; the wholes, pairs
    of a name and an object, are what should have besides.
    """
    found = _find_in_roots([*((name + step, item) for name, root in roots.items()
                              for step, item in _parts(root)), *wholes],
                           _sharedobjects.check_crossing)
    if found is None:
        return exc
    what, cause = found
    while isinstance(cause, NotShareableError) and cause.__cause__ is not None:
        cause = cause.__cause__
    result = NotShareableError(f'{what}, cannot cross to another interpreter: {cause}')
    result.__cause__ = cause
    return result


def unshareable_call(exc, callable, args, kwargs):
    """Return what to raise when exc says that a part of a call did not cross.

    A function crosses as its code, which no check here can tell: if it is nothing else, it is that.
    """
    if not isinstance(exc, NotShareableError) and str(exc) not in _OF_ARRIVAL:
        return exc
    names = getattr(callable, '__module__', None), getattr(callable, '__qualname__', None)
    if names == _POOL:
        _, callable, args, kwargs = args        # do_call(results, task...)
    is_function = isinstance(callable, types.FunctionType)
    wholes = [] if is_function else [('callable', callable)]
    found = unshareable(exc, *wholes, args=args, kwargs=kwargs)
    if found is not exc:
        return found
    name = getattr(callable, '__qualname__', type(callable).__qualname__)
    if str(exc) == _OF_RESULTS:
        text = (f'the result of {name!r} cannot cross to another interpreter: '
                f'{_reason(exc)} (let it return a proxy of it, by share())')
    elif str(exc) in _OF_ARRIVAL:
        text = (f'{str(exc) or _OF_ARRIVAL[0]}: the arguments of {name!r} cannot be made in the '
                f'other interpreter: {_reason(exc)}')
    elif is_function:
        text = (f'callable, the function {name!r}, cannot cross to another interpreter: '
                f'{_reason(exc)} (pass what it needs as arguments, import it from a module there, '
                f'or share() it: then it runs here)')
    else:
        return exc
    result = NotShareableError(text)
    result.__cause__ = _led_to(exc)
    return result


def _led_to(exc):
    """Return what led to an exception of the base, or None.

    That is its cause, or what the base replaced by it, which no frame of Python has seen; not what
    was being handled meanwhile.
    """
    if exc.__cause__ is not None:
        return exc.__cause__
    context = exc.__context__
    return context if context is not None and context.__traceback__ is None else None


def _reason(exc):
    """Return why: the message of what led to it, which may be tracebacks of another interpreter."""
    seen = set()        # Causes may go round.
    while (cause := _led_to(exc)) is not None and id(cause) not in seen:
        seen.add(id(cause))
        exc = cause
    errors = re.findall(r'^([\w.]+): (.+)', str(exc), re.MULTILINE)
    reasons = [message for name, message in errors if not name.endswith('NotShareableError')]
    return reasons[-1] if reasons else str(exc)


def note_argument(exc, arguments, names):
    """Add a note to an exception that packing a call's arguments raised: which one it was.

    The names are those of the last arguments.
    """
    positional = len(arguments) - len(names)
    paths = [f'args[{index}]' for index in range(positional)]
    paths += [f'kwargs[{name!r}]' for name in names]
    found = _find_in_roots(zip(paths, arguments), _sharedobjects.check_packing)
    if found is not None:
        exc.add_note(f'It is {found[0]}, that did not cross to another interpreter.')
