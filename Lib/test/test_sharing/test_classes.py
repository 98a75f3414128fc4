"""Whose instance and subclass a proxy is, of classes that both interpreters have or only one."""

import abc
import collections
import collections.abc
import dataclasses
import enum
import inspect
import types
import typing
import unittest
from concurrent.interpreters import SharedObjectProxy

from .support import SharingTestCase, add_directions

#: What the owner has alone: classes that are made when this is run.
ONLY_THERE = '''
import abc, collections, collections.abc, dataclasses, enum, types

class Closer:
    size = 5
    def close(self): pass
    def __len__(self): return 3
    def __iter__(self): return iter(())
    def __contains__(self, item): return False
    def __class_getitem__(cls, item): return cls.__name__, item

class Endless:
    def __iter__(self): return self
    def __next__(self): return 1

class NoHash:
    __hash__ = None
    close = None

class Caller:
    def __call__(self): pass

class Row(collections.abc.Sequence):
    def __getitem__(self, index): raise IndexError
    def __len__(self): return 0

class Registered: pass
collections.abc.MutableSet.register(Registered)

class Slotted:
    __slots__ = ('size', 'close')
    def __init__(self): self.close = print

class Items(list): pass
class Table(collections.OrderedDict): pass
class Late(OSError): pass

class Color(enum.Enum):
    RED = 1
    BLUE = 2

@dataclasses.dataclass
class Place:
    x: int
    y: int = 2

Pair = collections.namedtuple('Pair', 'a b')

class FiveOnly(type):
    def __instancecheck__(cls, instance): return instance == 5
    def __subclasscheck__(cls, other): return other is int
    def __len__(cls): return 7
class Five(metaclass=FiveOnly): pass

class EntersBases:
    def __mro_entries__(self, bases): return (list,)

def generate(): yield 1
async def work(): pass
async def agenerate(): yield
@types.coroutine
def old(): yield
'''


def proxy_of(expression):
    """Return the value and, of that, a proxy."""
    namespace = {'__name__': 'only_there'}
    exec(ONLY_THERE, namespace)
    return SharedObjectProxy(eval(expression, namespace))


#: What the caller has alone, likewise.
ONLY_HERE = '''
import abc, io, typing

class Closable(typing.Protocol):
    def close(self): ...
RuntimeClosable = typing.runtime_checkable(Closable)

@typing.runtime_checkable
class SizedClosable(Closable, typing.Protocol):
    size: int

class Hooked(abc.ABC):
    @classmethod
    def __subclasshook__(cls, other):
        return True if hasattr(other, 'close') else NotImplemented

class Unrelated(abc.ABC): pass

class OfLists(abc.ABC): pass
OfLists.register(list)
OfLists.register(io.StringIO)

class OfOfLists(abc.ABC): pass
class Between(OfOfLists): pass
Between.register(OfLists)

class Plain: pass
'''


def run_source(source, name):
    namespace = {'__name__': name}
    exec(source, namespace)
    return namespace


def only_there(expression):
    return eval(expression, run_source(ONLY_THERE, 'only_there'))


def proxy_of(expression):
    return SharedObjectProxy(only_there(expression))


class Named:
    def __init__(self):
        self.names = []

    def __set_name__(self, owner, name):
        self.names.append(name)

    def __get__(self, instance, owner=None):
        return 'got'


def named():
    return SharedObjectProxy(Named())


def as_attribute(x):
    """As an attribute of a class a proxy is an object like any other, not a descriptor."""
    class Holder:
        attribute = x
    return Holder.attribute is x, Holder().attribute is x, list(x.names)


def groups():
    here = run_source(ONLY_HERE, 'only_here')
    ours = [here[name] for name in ('RuntimeClosable', 'Hooked', 'Unrelated', 'OfLists',
                                    'OfOfLists', 'Plain')]
    return {
        'abstract': [getattr(collections.abc, name) for name in collections.abc.__all__
                     if name != 'ByteString'],
        'known': [list, dict, int, object, type, Exception, OSError, enum.Enum, tuple,
                  collections.OrderedDict, typing.Generic, types.FunctionType],
        'ours': ours,
        # Not for issubclass().
        'ours, with data': [here['SizedClosable']],
    }


GROUPS = list(groups())
#: What the questions below need.
NAMES = {'inspect': inspect, 'enum': enum, 'dataclasses': dataclasses, 'types': types,
         'Plain': groups()['ours'][-1]}

INSTANCES = [
    'Closer()', 'Endless()', 'NoHash()', 'Caller()', 'Row()', 'Registered()', 'Items()', 'Table()',
    'Late(1)', 'Color.RED', 'Place(1)', 'Pair(1, 2)', 'Five()', '{}', '{}.keys()', '3', 'b""',
    'bytearray()', 'generate()', 'agenerate()', 'print', 'range(3)', 'memoryview(b"")', 'set()']
CLASSES = [
    'Closer', 'Endless', 'NoHash', 'Caller', 'Row', 'Registered', 'Slotted', 'Items', 'Table',
    'Late', 'Color', 'Place', 'Pair', 'Five', 'dict', 'memoryview', 'type({}.keys())']
#: What is asked of a proxy x, and of the object, besides.
QUESTIONS = [
    ('work()', 'inspect.isawaitable(x), inspect.iscoroutine(x), x.close()'),
    ('old()', 'inspect.isawaitable(x), inspect.isgenerator(x), x.close()'),
    ('generate()', 'inspect.isgenerator(x), inspect.isawaitable(x)'),
    ('agenerate()', 'inspect.isasyncgen(x)'),
    ('work', 'inspect.iscoroutinefunction(x), inspect.isfunction(x), inspect.signature(x)'),
    ('generate', 'inspect.isgeneratorfunction(x), inspect.isasyncgenfunction(x)'),
    ('Closer', 'x[int], inspect.isclass(x), isinstance(x, type), x.__name__'),
    ('Closer()', 'inspect.ismethod(x.close)'),
    ('list', 'x[int], isinstance([], x), isinstance((), x), issubclass(x, x)'),
    ('list', 'x | None, int | x, isinstance(5, x | int)'),
    ('Five', 'isinstance(5, x), isinstance(4, x), issubclass(int, x), issubclass(str, x), len(x)'),
    ('Color', 'x.RED is x.RED, x["BLUE"].value, x(1) is x.RED, len(x), x.RED in x'),
    ('Color', '[member.name for member in x], isinstance(x.RED, x), isinstance(x.RED, enum.Enum)'),
    ('Color', 'x(3)'),
    ('Color.RED', 'x.name, x.value, repr(x), x == x, hash(x) == hash(x), x != 1'),
    ('Place', 'x(3) == x(3), x(3) == x(4), repr(x(3)), x(y=1, x=2).y, dataclasses.is_dataclass(x)'),
    ('Place', 'x()'),
    ('Place(1)', 'repr(x), x.x, x.__dict__, isinstance(x, Plain)'),
    ('Pair', 'x(1, b=2), x._make([1, 2]), x._fields, tuple(x(3, 4)), x(1, 2) == (1, 2)'),
    ('Pair(1, 2)', 'x._asdict(), x._replace(a=5), x.a, x[1], [*x], len(x), x == (1, 2), x < (2,)'),
    ('Pair(1, 2)', 'x._replace(c=5)'),
    ('EntersBases()', 'types.new_class("Sub", (x,)).__bases__'),
]


def answers(x, ask, group):
    return {cls.__name__: ask(x, cls) for cls in groups()[group]}


def answer(x, question):
    try:
        return repr(eval(question, NAMES | {'x': x}))
    except Exception as exc:
        return type(exc).__name__, str(exc)


class Local:
    pass


def derive_by_statement(base):
    class Derived(base):
        pass


def bases_by_statement(base):
    class Derived(base):
        pass
    return Derived.__bases__, Derived.__orig_bases__ == (base,), issubclass(Derived, list)


def derive_second(base):
    class Derived(Local, base):
        pass


def derive_first_of_two(base):
    class Derived(base, Local):
        pass


def derive_with_metaclass(base):
    class Derived(base, metaclass=abc.ABCMeta):
        pass


def derive_by_new_class(base):
    types.new_class('Derived', (base,))


def derive_second_by_new_class(base):
    types.new_class('Derived', (Local, base))


def derive_by_type(base):
    type('Derived', (base,), {})


DERIVE = [derive_by_statement, derive_second, derive_first_of_two, derive_with_metaclass,
          derive_by_new_class, derive_second_by_new_class, derive_by_type]


def error_of(derive, base):
    try:
        derive(base)
    except TypeError as exc:
        return str(exc)


def errors_of_issubclass(x):
    texts = []
    for group in GROUPS:
        for cls in groups()[group]:
            try:
                issubclass(x, cls)
            except TypeError as exc:
                texts.append(str(exc))
    return set(texts)


class OfClasses:

    def compare(self, expression, function, *arguments):
        plain = function(only_there(expression), *arguments)
        x = self.owner().call(proxy_of, expression)
        self.assertEqual(self.caller().call(function, x, *arguments), plain)

    def test_isinstance(self):
        for expression in INSTANCES:
            for group in GROUPS:
                with self.subTest(expression, group=group):
                    self.compare(expression, answers, isinstance, group)

    def test_issubclass(self):
        for expression in CLASSES:
            for group in GROUPS[:-1]:
                with self.subTest(expression, group=group):
                    self.compare(expression, answers, issubclass, group)

    def test_issubclass_of_what_is_no_class(self):
        self.compare('Closer()', errors_of_issubclass)

    def test_questions(self):
        for expression, question in QUESTIONS:
            with self.subTest(expression, question=question):
                self.compare(expression, answer, question)

    def test_attribute_of_a_class(self):
        x = self.owner().call(named)
        self.assertEqual(self.caller().call(as_attribute, x), (True, True, []))

    def test_deriving_from_what_stands_for_bases(self):
        self.compare('EntersBases()', bases_by_statement)

    def test_deriving_from_a_proxied_class(self):
        for expression in 'Closer', 'list', 'Closer()':
            for derive in DERIVE:
                x = self.owner().call(proxy_of, expression)
                with self.subTest(expression, derive=derive):
                    self.assertRegex(self.caller().call(error_of, derive, x),
                                     "cannot derive a class from .*, which belongs to another "
                                     'interpreter; import the base class')


add_directions(globals(), OfClasses, across=True)


if __name__ == '__main__':
    unittest.main()
