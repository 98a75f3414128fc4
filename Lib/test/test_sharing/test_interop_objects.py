"""What Python's own libraries do with objects of another interpreter: work or refuse, never crash.

A row of WORKS comes to the same with a proxy as with the object itself; one of REFUSES may
refuse, as long as it comes back with an answer or an error of its own.
"""

import contextlib
import copy
import copyreg
import ctypes
import dataclasses
import functools
import inspect
import io
import itertools
import operator
import pickle
import pprint
import pydoc
import sys
import traceback
import types
import typing
import unittest
from concurrent.interpreters import SharedObjectProxy
from unittest import mock

from . import operations, subjects
from .grouping import lines
from .operations import outcome
from .support import add_directions


@typing.runtime_checkable
class Closes(typing.Protocol):
    def close(self): ...


class Structure(ctypes.Structure):
    _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_double)]


class Base:
    def __init__(self, value=1):
        self.value = value

    def describe(self):
        return f'base {self.value}'

    @classmethod
    def make(cls, value):
        return cls(value)

    @staticmethod
    def add(a, b=2, *args, key=None):
        """Add two numbers."""
        return a + b


class Derived(Base):
    def describe(self):
        return f'derived {super().describe()}'


def numbers():
    """Tell what is sent from what is thrown."""
    try:
        received = yield 1
        yield f'received {received}'
    except ValueError as error:
        yield f'caught {error}'


def closing(log):
    try:
        yield 1
    finally:
        log('closed')


def dispatched(value):
    @functools.singledispatch
    def dispatch(value):
        return 'object'

    dispatch.register(list)(lambda value: 'list')
    dispatch.register(dict)(lambda value: 'dict')
    dispatch.register(Base)(lambda value: 'Base')
    return dispatch(value)


def matched(value):
    match value:
        case Base(value=1):
            return 'Base with 1'
        case Base():
            return 'Base'
        case int(number):
            return f'int {number}'
        case list():
            return 'list'
        case dict():
            return 'dict'
    return 'nothing'


def thrown(generator):
    next(generator)
    return generator.throw(ValueError('thrown'))


def profiled(function):
    """Whether a profiler here sees each of this module's functions return that it sees called."""
    depth, lowest = 0, 0

    def profile(frame, event, arg):
        nonlocal depth, lowest
        if frame.f_code.co_filename == __file__ and event in ('call', 'return'):
            depth += 1 if event == 'call' else -1
            lowest = min(depth, lowest)

    def run():
        return function(called_back)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return depth, lowest


def monitored(function):
    """What sys.monitoring sees here of a call that is made there and comes back."""
    tool, events, seen = 4, sys.monitoring.events, []

    def note(name):
        return lambda code, *args: seen.append(f'{name} {code.co_name}')

    sys.monitoring.use_tool_id(tool, 'test')
    try:
        sys.monitoring.register_callback(tool, events.PY_START, note('start'))
        sys.monitoring.register_callback(tool, events.PY_RETURN, note('return'))
        for code in called_back.__code__, calls.__code__:
            sys.monitoring.set_local_events(tool, code, events.PY_START | events.PY_RETURN)
        function(called_back)
    finally:
        for code in called_back.__code__, calls.__code__:
            sys.monitoring.set_local_events(tool, code, 0)
        sys.monitoring.free_tool_id(tool)
    return tuple(seen)


def called_back():
    return 1


def calls(function):
    return function()


def captured(function, /, *args):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        function(*args)
    return len(out.getvalue()) > 0


#: subject: what is evaluated, with x for the proxy and, to compare with, for the object itself.
WORKS = {
    'Derived(3)': '''
        x.describe()
        x.describe.__name__
        type(x).__name__ in ('Derived', 'SharedObjectProxy')
        x.make(7).describe()
        x.__class__.__name__
        isinstance(x, Base), isinstance(x, Derived)
        getattr(x, 'nothing', 5)
        operator.attrgetter('value')(x)
        operator.methodcaller('describe')(x)
        dispatched(x)
        matched(x)
        functools.partial(x.describe)()
        copy.copy(x).value
        copy.deepcopy(x).value
        x.make.__func__.__name__
        x.__dict__['value']
        setattr(x, 'value', 5), x.value
        hasattr(x, 'describe'), hasattr(x, 'nothing')
        mock.Mock(return_value=x)().value
        mock.Mock(spec=x).describe is not None
        weak(x)
    ''',
    'Base(1)': '''
        matched(x)
        dispatched(x)
        isinstance(x, Derived)
        patched(x)
        mock.Mock(spec=x).nothing
        mock.Mock(wraps=x).describe()
        mock.ANY == x, x == mock.ANY
        mock.call(x) == mock.call(x)
        m = mock.Mock(); m(x); m.assert_called_once_with(x)
    ''',
    'Registered()': '''
        pickle.loads(pickle.dumps(x)).how
        copy.copy(x).how
        copy.deepcopy(x).how
        pickle.loads(pickle.dumps([x, x]))[1].how
    ''',
    'Asked()': '''
        n = x.said; hasattr(x, 'a'), getattr(x, 'b', 5), x.said - n
        hasattr(x, 'a'), hasattr(x, 'said')
    ''',
    'mock.Mock()': '''
        x(1, a=2).method(); x.assert_called_once_with(1, a=2)
        x(1); x.assert_called_with(2)
        x.method.return_value = 3; x.method('a'), x.method.call_count
        x.side_effect = [1, 2]; x(), x()
        x.side_effect = KeyError; x()
        x(5); x.call_args_list == [mock.call(5)]
        x(5); x.call_args == mock.call(5), x.call_args == mock.call(6)
        x(7); x.assert_called_with(mock.ANY)
        x(); x.reset_mock(); x.called
        x.configure_mock(a=1); x.a
    ''',
    'mock.MagicMock()': '''
        x[1]; x.__getitem__.assert_called_once_with(1)
        len(x), bool(x), int(x), list(x), x == x
        x.__enter__.return_value = 5; x.__enter__()
        x.__str__.return_value = 's'; str(x)
    ''',
    '{"a": [1]} ': 'patched_dict(x)',
    'Derived': '''
        x(4).describe()
        x.make(5).describe()
        x.add(1)
        x.describe(x(6))
        x.__name__, x.__qualname__, x.__module__
        isinstance(x(1), x)
        callable(x)
    ''',
    'Base.add': '''
        x(1), x(1, 3), x(1, b=4, key=5)
        x.__doc__, x.__name__
        functools.partial(x, 1)(b=5)
        functools.reduce(x, (1, 2, 3))
        list(map(x, (1, 2), (3, 4)))
        mock.Mock(side_effect=x)(2)
        functools.lru_cache(x)(3)
        x.__defaults__, x.__kwdefaults__
    ''',
    'operator.neg': '''
        sorted((1, 3, 2), key=x)
        max((1, 3, 2), key=x)
        list(itertools.accumulate((1, 2), lambda a, b: x(b)))
        list(itertools.starmap(x, ((1,), (2,))))
        [key for key, _ in itertools.groupby((1, 1, 2), x)]
        list(filter(x, (0, 1)))
    ''',
    'math': 'x.sqrt(4.0) \n x.__name__ \n x.floor(1.5) \n x.nothing',
    '[3, 1, 2]': '''
        sorted(x), min(x), max(x), sum(x)
        list(itertools.chain(x, x))
        list(itertools.islice(x, 2)), list(zip(x, x)), list(enumerate(x))
        list(itertools.product(x, repeat=2)) == list(itertools.product((3, 1, 2), repeat=2))
        dispatched(x)
        matched(x)
        pprint.pformat(x)
        operator.itemgetter(1)(x)
        a, *b = x; (a, tuple(b))
        f'{x}', '%s' % (x,)
    ''',
    '{"a": [1]}': 'dispatched(x) \n matched(x) \n types.MappingProxyType(dict(x))["a"][0]',
    '7': 'matched(x) \n range(x) \n "ab" * x',
    'Structure(1, 2.5)': 'x.x, x.y \n setattr(x, "x", 9), x.x \n x.z',
    'ctypes.c_int(5)': 'x.value \n setattr(x, "value", 9), x.value',
    '(ctypes.c_int * 3)(1, 2, 3)': 'list(x) \n x[1] \n len(x) \n x[0] = 7; x[0]',
    'numbers()': '''
        next(x), x.send('sent')
        thrown(x)
        list(x)
        x.gi_running
        next(x), x.close()
    ''',
    'io.StringIO()': 'isinstance(x, Closes) \n isinstance(x, typing.Hashable)',
    'functools.partial(Base.add, 1)': 'x(), x(5) \n x.func(1) \n x.args',
    'functools.singledispatch(repr)': 'x(5), x("a")',
    'Point(1, 2)': '''
        x.norm
        x.norm = 9; (x.x, x.y)
        copy.replace(x, x=5).x
    ''',
    'Color.RED': 'x.name, x.value \n x.__class__.GREEN.name \n x.__class__["RED"].value',
    'NamedPair(1, 2)': 'x._fields \n x._replace(first=5).first \n a, b = x; (a, b)',
}

#: subject: what may be refused.
REFUSES = {
    'Derived(3)': '''
        inspect.signature(x.describe)
        inspect.getmembers(x)
        inspect.getsource(x.__class__)
        pydoc.render_doc(x)
        captured(help, x)
        pprint.pprint(x, stream=io.StringIO())
        traceback.format_exception(x)
        class C(x): pass
        class D(Derived, x): pass
        types.MethodType(x, 1)
        typing.get_type_hints(x)
        copyreg.__reduce_ex__(x, 2)
        object.__reduce_ex__(x, 2)
        object.__getattribute__(x, 'value')
        object.__setattr__(x, 'value', 3)
        object.__dir__(x)
        object.__init__(x)
        super(Derived, x).describe()
        Base.describe(x)
        x.__class__ = Base
        del x.__dict__
        x.__slots__
        vars(x)
        memoryview(x)
        exec(x)
        eval(x)
        compile(x, 'f', 'exec')
        __build_class__(x, 'C')
        type('C', (x,), {})
        type('C', (), x)
        ctypes.cast(x, ctypes.c_void_p)
        ctypes.py_object(x).value.value
        sys.getrefcount(x) > 0
        sys.settrace(x), sys.settrace(None)
        isinstance(5, x)
        except_star(x)
        mock.create_autospec(x)
    ''',
    'Derived': '''
        class C(x): pass
        class C(metaclass=x): pass
        inspect.signature(x)
        pydoc.render_doc(x)
        captured(help, x)
        object.__new__(x)
        type.__call__(x)
        type.mro(x)
        x.__new__(x)
        raise x
        super(x, Derived(1)).describe()
        inspect.getmro(x)
        issubclass(x, Base)
        mock.create_autospec(x)
        typing.Generic[x]
        list[x]
        x | int
    ''',
    'Base.add': '''
        inspect.signature(x)
        inspect.unwrap(x)
        functools.wraps(x)(lambda: 1)()
        functools.singledispatch(x)(1)
        staticmethod(x).__func__(1)
        classmethod(x).__get__(5)(1)
        property(x).__get__(5)
        type('C', (), {'method': x})().method(1)
        pydoc.render_doc(x)
        captured(help, x)
        types.FunctionType(x, {})
        x.__code__.co_name
        mock.create_autospec(x)(1)
    ''',
    'Point(1, 2)': '''
        dataclasses.is_dataclass(x)
        dataclasses.fields(x)
        dataclasses.asdict(x)
        dataclasses.astuple(x)
        dataclasses.replace(x, x=3)
        pprint.pformat(x)
    ''',
    'ValueError("a")': '''
        raise x
        traceback.format_exception(x)
        traceback.print_exception(x, file=io.StringIO())
        ExceptionGroup('group', [x])
        contextlib.ExitStack().__exit__(ValueError, x, None)
        x.with_traceback(None)
        x.add_note('note'); x.__notes__
    ''',
    'sys._getframe()': 'x.f_lineno \n x.f_back \n x.f_locals \n traceback.extract_stack(x)',
    'numbers()': 'inspect.getgeneratorstate(x) \n inspect.getgeneratorlocals(x)',
    'Structure(1, 2.5)': '''
        ctypes.byref(x)
        ctypes.addressof(x)
        ctypes.sizeof(x)
        ctypes.pointer(x)
    ''',
    'math': 'import importlib; importlib.reload(x) \n pydoc.render_doc(x)',
    '[3, 1, 2]': '''
        list.append(x, 1)
        list.__len__(x)
        [].__iadd__(x)
        [0].__add__(x)
        import heapq; heapq.heappush(x, 1)
        import bisect; bisect.insort(x, 1)
        import json; json.dumps(x)
        import array; array.array('i', x)
        import struct; struct.pack_into('i', x, 0, 1)
        import marshal; marshal.dumps(x)
        import ast; ast.literal_eval(x)
        sys.intern(x)
        ''.join(x)
        print(*x, file=io.StringIO())
    ''',
}


def patched(value):
    with mock.patch.object(value, 'value', 7):
        during = value.value
    return during, value.value


def patched_dict(value):
    with mock.patch.dict(value, {'b': 2}, clear=True):
        during = dict(value)
    return during, dict(value)['a'][0]


class Registered:
    """copyreg knows how it is pickled."""

    def __init__(self, how='made'):
        self.how = how


def pickle_registered(obj):
    return Registered, ('pickled',)


copyreg.pickle(Registered, pickle_registered)


class Quiet(AttributeError):
    """Tells whether somebody looked at what it says."""

    said = 0

    def __str__(self):
        Quiet.said += 1
        return 'nothing of the kind'


class Asked:
    @property
    def said(self):
        return Quiet.said

    def __getattr__(self, name):
        raise Quiet(name)


def weak(value):
    import weakref
    return weakref.ref(value)() is value


def except_star(value):
    try:
        raise ValueError
    except value:
        pass


def made(source):
    """Return a proxy of what source makes; the names are those of this module and subjects."""
    return SharedObjectProxy(eval(source, vars(subjects) | vars(operations) | globals()))


def performed(source, subject):
    names = {name: value for name, value in globals().items() if not name.startswith('__')}
    return outcome(source, **names | {'x': subject})


class ObjectsTest:
    """Rows of the tables."""

    def test_generator_is_closed_in_its_owner(self):
        log = []
        make = SharedObjectProxy(self.owner().call(made, 'closing'))
        generator = SharedObjectProxy(make(SharedObjectProxy(log.append)))
        self.caller().call(performed, 'next(x), x.close()', generator)
        self.assertEqual(log, ['closed'])

    def test_profilers_see_what_runs_in_their_interpreter(self):
        function = self.owner().call(made, 'calls')
        self.assertEqual(self.caller().call(profiled, function), (0, 0))
        self.assertEqual(self.caller().call(monitored, function),
                         ('start called_back', 'return called_back'))


def add_tests(table, name, check):
    for number, (subject, sources) in enumerate(table.items()):
        def test(self, subject=subject, sources=sources):
            for source in lines(sources):
                with self.subTest(subject, source=source):
                    proxy = self.owner().call(made, subject)
                    check(self, subject, source, self.caller().call(performed, source, proxy))
        what = ''.join(c if c.isalnum() else '_' for c in subject)
        setattr(ObjectsTest, f'test_{name}_{what}', test)


def check_works(test, subject, source, found):
    plain = eval(subject, vars(subjects) | vars(operations) | globals())
    test.assertEqual(found, performed(source, plain))


def check_refuses(test, subject, source, found):
    # It came back, and not because something inside was surprised.
    for error in SystemError, RecursionError, MemoryError, AssertionError:
        test.assertNotEqual(found[:2], ('raises', f'builtins.{error.__name__}'))


add_tests(WORKS, 'works', check_works)
add_tests(REFUSES, 'refuses_or_works', check_refuses)
add_directions(globals(), ObjectsTest, across=True)


if __name__ == '__main__':
    unittest.main()
