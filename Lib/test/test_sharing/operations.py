"""The operations that the tests perform, as one table, and what is needed to perform them.

Interpreters import this module to be told by source text what to make and what to do.
"""

import array
import ast
import collections
import contextlib
import copy
import datetime
import decimal
import fractions
import functools
import gc
import io
import itertools
import json
import math
import operator
import pathlib
import pickle
import re
import sqlite3
import struct
import threading
import time
import types
import weakref
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy, ShareScope, share

from .subjects import *


# The table

Group = collections.namedtuple('Group', 'name subject operands kinds sources')

#: What an operand can be where the operation is performed:
#:   plain    as it is: it crosses by value, or is wrapped on its way
#:   wrapped  a proxy of an object of the caller, whatever its type
#:   home     a proxy of an object of the owner, which arrives as that object
#:   dead     a proxy whose scope was closed
#: And whether what is operated on is dead itself is a kind of its own.
KINDS = ('plain', 'wrapped', 'home', 'dead', 'subject dead')

#: For objects that look at the type of their operands, like most that are
#: written in C: a proxy of the owner's arrives as the object, but one of the
#: caller's stays a proxy, and no proxy can pass such a check.
NATIVE_OR_HOME = ('plain', 'home', 'dead', 'subject dead')
HOME = ('home', 'dead', 'subject dead')

#: For what a dead proxy permits.
ALIVE = ('plain', 'wrapped', 'home')

UNARY_KINDS = ('plain', 'subject dead')

TABLE = []


def group(name, subject, sources, *, kinds=KINDS, **operands):
    lines = tuple(line.strip() for line in sources.splitlines() if line.strip())
    TABLE.append(Group(name, subject, tuple(operands.items()),
                       tuple(kind for kind in kinds if operands or kind in UNARY_KINDS), lines))


# Numbers

SYMBOLS = '+ - * @ / // % ** << >> & ^ |'.split()
ARITHMETIC = '\n'.join([
    *(f'x {symbol} y' for symbol in SYMBOLS), 'divmod(x, y)', 'pow(x, y)',
    *(f'y {symbol} x' for symbol in SYMBOLS), 'divmod(y, x)', 'pow(y, x)'])
IN_PLACE = '\n'.join(f'x {symbol}= y; x' for symbol in SYMBOLS)
COMPARISON = '\n'.join(f'x {symbol} y' for symbol in '== != < <= > >='.split())
#: Only where it is supported: a proxy cannot know that it was asked second, and
#: so its error is that of the comparison it was asked for.
REFLECTED_COMPARISON = '\n'.join(f'y {symbol} x' for symbol in '== != < <= > >='.split())
ONE_NUMBER = '''
    +x
    -x
    ~x
    abs(x)
    bool(x)
    int(x)
    float(x)
    complex(x)
    operator.index(x)
    round(x)
    round(x, 1)
    round(x, -1)
    math.trunc(x)
    math.floor(x)
    math.ceil(x)
    hash(x)
    str(x)
    format(x)
    f'{x:>12}'
    x.real
    x.__class__.__name__
'''

group('symbol', 'Symbol("x")', ARITHMETIC, y='5')
group('symbol with symbol', 'Symbol("x")', ARITHMETIC, y='Symbol("y")', kinds=ALIVE)
group('symbol in place', 'Symbol("x")', IN_PLACE, y='5')
group('symbol in place keeps identity', 'Symbol("x")',
      '\n'.join(f'z = x; x {symbol}= y; x is z' for symbol in SYMBOLS), y='5')
group('symbol alone', 'Symbol("x")', '''
    -x
    +x
    ~x
    abs(x)
    round(x)
    round(x, 2)
    round(x, None)
    math.trunc(x)
    math.floor(x)
    math.ceil(x)
''')
group('three-argument pow', 'Symbol("x")', '''
    pow(x, y, z)
    pow(x, z, y)
    pow(x, y, None)
''', y='5', z='7')
group('int', '-12345678901234567890', ARITHMETIC, y='3')
group('int in place', '-12345678901234567890', IN_PLACE.replace('x @= y; x', ''), y='3')
group('int compared', '7', f'{COMPARISON}\n{REFLECTED_COMPARISON}', y='7')
group('int and three-argument pow', '7', '''
    pow(x, y, z)
    pow(y, x, z)
    pow(y, z, x)
    pow(x, y, 0)
''', y='3', z='11')
for _name, _subject in dict(small='7', big='-12345678901234567890', true='True').items():
    group(f'{_name} int alone', _subject, ONE_NUMBER)
for _name, _subject in dict(int='3', bool='True', object='Angle(3)').items():
    group(f'{_name} as index', _subject, '''
        [10, 20, 30, 40][x]
        [10, 20, 30, 40][:x]
        'ab' * x
        range(x)
        hex(x)
        chr(x)
        math.sqrt(x)
    ''')
group('int by zero', '7', 'x / y \n x // y \n x % y \n divmod(x, y) \n x << y', y='0')
group('int with str', '7', 'x + y \n x * y \n y + x \n y * x \n x % y', y='"s"')
group('int with list', '7', 'x * y \n y * x', y='[1]')
group('float', '7.25', ARITHMETIC, y='2.5')
group('float with int', '-0.0', ARITHMETIC, y='2')
group('float compared', '7.25', f'{COMPARISON}\n{REFLECTED_COMPARISON}', y='7.25')
group('float in place', '7.25', 'x += y; x \n x -= y; x \n x *= y; x \n x **= y; x', y='2.5')
for _name, _subject in dict(float='7.25', zero='-0.0', inf='math.inf').items():
    group(f'{_name} alone', _subject, f'{ONE_NUMBER}\nmath.sin(x)')
group('complex', '2+3j', ARITHMETIC, y='1-1j')
group('complex compared', '2+3j', COMPARISON, y='2+3j', kinds=NATIVE_OR_HOME)
group('complex equality', '2+3j', 'x == y \n x != y \n y == x \n y != x', y='2+3j')
group('complex alone', '2+3j', ONE_NUMBER)
group('fraction', 'fractions.Fraction(7, 2)', ARITHMETIC, y='2', kinds=NATIVE_OR_HOME)
group('fraction alone', 'fractions.Fraction(7, 2)', ONE_NUMBER)
group('decimal', 'decimal.Decimal("7.5")', ARITHMETIC, y='2', kinds=NATIVE_OR_HOME)
group('decimal with decimal', 'decimal.Decimal("7.5")', f'{ARITHMETIC}\n{COMPARISON}',
      y='decimal.Decimal("2.5")', kinds=HOME)
group('decimal alone', 'decimal.Decimal("7.5")', ONE_NUMBER + '''
    x.quantize(1)
    x.sqrt()
    x.as_tuple()
''')
group('angle alone', 'Angle(3)', ONE_NUMBER)
group('bare object is no number', 'Bare()', f'{ARITHMETIC}\n{IN_PLACE}', y='3',
      kinds=NATIVE_OR_HOME)
group('bare object converts to nothing', 'Bare()', ONE_NUMBER.replace('hash(x)', ''))
group('operand asked second', 'Bare()', ARITHMETIC, y='Symbol("y")', kinds=ALIVE)
# The message names an operand that stays a proxy by the type of proxies.
group('power of three that know none', 'Bare()', '''
    with contextlib.suppress(TypeError): pow(x, y, z)
    with contextlib.suppress(TypeError): pow(y, x, z)
    with contextlib.suppress(TypeError): pow(y, z, x)
''', y='5', z='Bare()', kinds=ALIVE)
group('failing number', 'Failing()', ARITHMETIC, y='3')
group('failing number alone', 'Failing()', ONE_NUMBER)

# Comparison, hash, truth, text

group('rich comparison', 'Angle(3)', f'{COMPARISON}\n{REFLECTED_COMPARISON}', y='3')
group('rich comparison with its like', 'Angle(3)', f'{COMPARISON}\n{REFLECTED_COMPARISON}',
      y='Angle(4)')
group('dataclass compared', 'Point(1, 2)', COMPARISON, y='Point(1, 3)', kinds=HOME)
group('bare object compared', 'Bare()', COMPARISON, y='3')
group('failing comparison', 'Failing()', 'x == y \n x < y \n y == x \n y > x', y='3')
group('hash and truth', 'Angle(3)', '''
    hash(x)
    hash(x) == hash(3)
    bool(x)
    not x
    {x: 'found'}[3]
    {3: 'found'}[x]
    x in {1, 2, 3}
    x and 'yes'
    x or 'no'
''')
group('false', 'Angle(360)', 'bool(x) \n not x \n 1 if x else 2')
group('truth by length', '[]', 'bool(x) \n not x')
group('unhashable', '[1]', 'hash(x)')
group('repr', 'Angle(3)', '''
    repr(x)
    f'{x!r:>12}'
    f'{x!a}'
    ascii(x)
    [x]
''', kinds=ALIVE)
group('text', 'Angle(3)', '''
    str(x)
    format(x)
    format(x, '>10')
    f'{x}'
    f'{x!s}'
    '%s %r %d %5.1f' % (x, x, x, x)
    '{0} {0:x} {0.degrees}'.format(x)
    bytes(x)
    dir(x)
    reversed(x)
    operator.length_hint(x)
    len(x)
    x.__fspath__()
    pathlib.PurePosixPath(x)
    open(x)
    print(x, file=(out := io.StringIO())); out.getvalue()
    ', '.join(map(str, [x, x]))
''')
group('repr that fails', 'Failing()', "repr(x) \n f'{x!r}' \n [x]", kinds=ALIVE)
group('text that fails', 'Failing()', '''
    str(x)
    format(x)
    bytes(x)
    hash(x)
    bool(x)
    len(x)
    dir(x)
    reversed(x)
    operator.length_hint(x)
    iter(x)
    next(x)
    3 in x
    x[0]
    x()
    pathlib.PurePosixPath(x)
''')
group('default text', 'Bare()', '''
    str(x)
    format(x)
    format(x, '>5')
    bytes(x)
    dir(x) == dir(Bare())
    reversed(x)
    operator.length_hint(x)
    operator.length_hint(x, 5)
    bool(x)
''')

# Attributes

group('attributes', 'Point(3, 4)', '''
    x.x
    getattr(x, 'y')
    x.limit
    x.norm
    x.missing
    x.__missing__
    x.__getitem__
    getattr(x, 'missing', 'default')
    hasattr(x, 'missing')
    hasattr(x, 'x')
    x.x = 7; x.x
    x.norm = 9; x.x, x.y
    x.new = 'attribute'; x.new
    x.y = None; x.y
    del x.x; x.x
    del x.missing
    del x.norm
    x.new = 1; del x.new; hasattr(x, 'new')
    setattr(x, 'any name at all', 1); getattr(x, 'any name at all')
    setattr(x, '', 1); getattr(x, '')
    getattr(x, '\\ud800')
    vars(x)
    x.__dict__['x'] = 8; x.x
    x.__doc__
    x.__module__
    x.__class__.__qualname__
    x.__class__.__name__
    x.__match_args__
    operator.attrgetter('x', 'norm')(x)
    operator.methodcaller('moved', 1, dy=2)(x).norm
''')
group('names that are no str', 'signature_log', 'setattr(x, 5, 1) \n getattr(x, 5) \n x(**{1: 2})',
      kinds=ALIVE)
group('attributes set to operands', 'Point(3, 4)', '''
    x.x = y; x.x
    x.x = y; x.x == y
    setattr(x, 'new', y); x.new
    x.__setattr__('x', y); x.x
''', y='Point(1, 2)')
group('slots', 'Slotted()', '''
    x.a
    x.b
    x.b = 2; x.b
    x.c = 3
    del x.a; x.a
    x.__dict__
''')
group('dynamic attributes', 'Dynamic()', '''
    x.anything
    x.no_such
    getattr(x, 'no_such', 1)
    x.a = 1; x.b = 'c'; x.log
    del x.a; x.log
    hasattr(x, 'no_such')
    hasattr(x, 'such')
''')
group('read-only attributes', '(1).bit_length', '''
    x.__name__
    x.__self__
    x.__name__ = 'other'
    x.new = 1
''')
group('module', 'math', '''
    x.pi
    x.sqrt(4)
    x.missing
    x.__name__
''')
group('methods', 'Point(3, 4)', '''
    x.moved()
    x.moved(1)
    x.moved(1, dy=1)
    x.move(1, dy=2)
    x.move(1)
    x.move(dx=1)
    x.move(1, 2)
    x.move()
    x.moved.__name__
    x.moved.__func__.__qualname__
    x.moved.__self__
    m = x.moved; m(1), m(2)
    x.origin()
    x.add(1, 2)
    x.missing()
    x.limit()
    x.norm()
    [p.x for p in map(x.moved, [1, 2, 3])]
''')

# Calls

COUNTS = (0, 1, 2, 5, 6, 7, 8, 9, 15, 16, 17, 100, 255, 256, 300)
group('call', 'signature_log', '\n'.join([
    *(f'x(*range({n}))' for n in COUNTS),
    *(f'x(**{{f"k{{i}}": i for i in range({n})}})' for n in COUNTS),
    *(f'x(*range({n}), **{{f"k{{i}}": i for i in range({n})}})' for n in COUNTS),
    'x(1, *[2, 3], 4, *(), key=5, **{"more": 6})',
    'x(self=1, cls=2, args=3, kwargs=4, obj=5, callable=6, proxy=7)',
    'x(**{"": 1, "a b": 2, "class": 3, "None": 4, "__init__": 5, "\\n": 6})',
    'x(**{"é": 1, "ß": 2, "名前": 3, "𝒳": 4, "\\ud800": 5})',
    'x(**{"k" * 10_000: 1})',
    'x(**{"a": 1}, **{"a": 2})',
    'x(None, True, ..., NotImplemented, -1.5, 1j, "s", b"b", (1, (2,)), frozenset({3}), range(3))',
    'x.__name__',
    'x.__call__(1, a=2)',
    'functools.partial(x, 1, a=2)(3, b=4)',
    'operator.call(x, 1, a=2)',
    'list(map(x, "ab", [1, 2]))',
]))
group('call with operands', 'signature_log', '''
    x(y)
    x(y, y)
    x(a=y)
    x(y, *[y, y], b=y)
    x((y, (y,)))
''', y='Point(1, 2)')
group('call of what cannot be called', 'Bare()', 'x() \n x(1) \n x(a=1)')
group('call of a class', 'Point', '''
    x(1, 2)
    x(1, 2).norm
    x(y=3)
    x(1, 2, 3)
    x.origin()
    x.limit
    x.__name__
    x.missing
    x.x
    isinstance(x, type)
    isinstance(x(), x)
    x.moved(x(1, 2), 5)
''')
group('call of builtins', 'sum', 'x((1, 2, 3)) \n x(range(5), start=3) \n x() \n x(5)')
group('call that takes its operand', 'lambda value: (value, value)', 'x(y) \n x(value=y)', y='[1]')
group('sort key', 'lambda value: -value', '''
    sorted([3, 1, 2], key=x)
    max([3, 1, 2], key=x)
    list(map(x, [3, 1]))
    list(filter(x, [0, 1]))
    functools.reduce(lambda a, b: a + x(b), [1, 2, 3])
''')

# Containers

LIST_READING = '''
    len(x)
    x[0]
    x[-1]
    x[99]
    x['a']
    x[1:]
    x[::-1]
    x[Angle(2)]
    list(x)
    tuple(x)
    [*x]
    for_each(x)
    list(reversed(x))
    sorted(x, key=repr)
    x.index(4)
    x.index(99)
    x.count(1)
    3 in x
    99 in x
    99 not in x
    x * 2
    2 * x
    x + x
    operator.length_hint(x)
    operator.itemgetter(0, 2)(x)
    a, *b = x; (a, b)
    list(zip(x, x))
    list(enumerate(x))
    list(itertools.islice(x, 1, 3))
    list(itertools.chain(x, x))
    sum(x)
    max(x)
    any(x)
    str(x)
    x == x
    x.missing
    x()
'''
for _name, _subject in dict(
        list='[3, 1, 4, 1, 5]', tuple='(3, 1, 4, 1, 5)', range='range(1, 20, 3)',
        deque='collections.deque([3, 1, 4, 1, 5])', array='array.array("i", [3, 1, 4, 1, 5])',
        userlist='collections.UserList([3, 1, 4, 1, 5])').items():
    group(f'reading {_name}', _subject, LIST_READING)
for _name, _subject in dict(
        list='[3, 1, 4]', deque='collections.deque([3, 1, 4])',
        userlist='collections.UserList([3, 1, 4])').items():
    group(f'changing {_name} with operands', _subject, '''
        x[0] = y; x
        x[-1] = y; x[-1]
        x[99] = y
        x['a'] = y
        x.append(y); x
        x.append(y); x[-1]
        x.append(y); y in x
        x.insert(1, y); x
        x.remove(y)
        x.extend([y, y]); x
        x += [y]; x
        x.append(y); x.index(y)
        x.append(y); x.count(y)
        x.append(y); x.remove(y); x
        x.append(y); x.pop()
    ''', y='Point(1, 2)')
group('concatenation', '[1]', 'operator.concat(x, x) \n operator.iconcat(x, x)')
group('changing list', '[3, 1, 4]', '''
    x[1:2] = [7, 8, 9]; x
    x[::2] = [7, 8]; x
    x[::2] = [7]
    del x[0]; x
    del x[1:]; x
    del x[99]
    x.sort(); x
    x.sort(key=lambda v: -v); x
    x.sort(key=7)
    x.reverse(); x
    x.pop(), x.pop(0), x
    x.pop(99)
    x.clear(); x
    x *= 2; x
    x += (5, 6); x
    z = x; z += [9]; x
    x.copy()
    copy.copy(x)
    copy.deepcopy(x)
    x + (1,)
    x * 'a'
    x.__getitem__(0)
    x.__len__()
''')
group('strings', '"spam and eggs"', '''
    x + '!'
    '>' + x
    x * 2
    x % ()
    x[0]
    x[::-1]
    len(x)
    'spam' in x
    1 in x
    x.upper()
    x.split()
    x.join(['a', 'b'])
    x.encode()
    x == 'spam and eggs'
    hash(x)
    list(x)
    str(x)
    x < 'z'
    x.partition(' ')
    x.missing
    f'{x:>20}'
    {x: 1}['spam and eggs']
''')
group('bytes', 'b"spam"', '''
    x + b'!'
    x * 2
    x[0]
    x[1:]
    115 in x
    b'pa' in x
    x.decode()
    x.hex()
    list(x)
    len(x)
    hash(x)
    x == b'spam'
''')
group('bytearray', 'bytearray(b"spam")', '''
    x[0]
    x[0] = 83; x
    x[0] = 'S'
    x[0] = 999
    x += b'!'; x
    x.append(33); x
    del x[0]; x
    x.decode()
    x == b'spam'
    x.find(b'a')
    x * 2
    hash(x)
''')
MAPPING = '''
    x['a']
    x['missing']
    x[('t', 1)]
    len(x)
    'a' in x
    'missing' in x
    list(x)
    dict(x)
    {**x, 'more': 1}
    signature_log(**{k: v for k, v in x.items() if type(k) is str})
    x.get('a')
    x.get('missing')
    x.get('missing', 5)
    x.keys()
    list(x.values())
    list(x.items())
    for_each(x.items())
    x.keys() & {'a'}
    {'a'} | x.keys()
    x['b'] = 2; x
    x['a'] += 5; x['a']
    del x['a']; x
    del x['missing']
    x.pop('a'), x
    x.pop('missing')
    x.pop('missing', None)
    x.setdefault('b', 3), x
    x.update(b=2, c=3); x
    x.update({'d': 4}); x
    x.update([('e', 5)]); x
    x.clear(); x
    x.copy()
    copy.copy(x)
    copy.deepcopy(x)
    bool(x)
    list(reversed(x))
    x == x
    x != x
    x < x
    str(x)
    hash(x)
    '%(a)s' % x
    '{a}'.format_map(x)
    collections.ChainMap({}, x)['a']
    eval('a + 1', {}, x)
    json.dumps({k: v for k, v in x.items() if type(k) is str})
'''
for _name, _class in dict(
        dict='dict', OrderedDict='collections.OrderedDict', UserDict='collections.UserDict',
        defaultdict='functools.partial(collections.defaultdict, int)',
        mappingproxy='types.MappingProxyType', Counter='collections.Counter').items():
    group(f'mapping {_name}', f'{_class}({{"a": 1, ("t", 1): 2}})', MAPPING)
group('mapping with operands', '{"a": 1}', '''
    x['k'] = y; x['k']
    x['k'] = y; x
    x.get('k', y)
    x.setdefault('k', y)
    x.pop('k', y)
    x.update(k=y); x
    x.update({'k': y}); x['k']
    x.get('k', (y, [y]))
    x == y
''', y='Point(1, 2)')
group('mappings united', '{"a": 1}', '''
    x | y
    y | x
    x |= y; x
    x == y
    x != y
    x.update(y); x
''', y='{"b": 2}', kinds=HOME)
group('mapping with operands as keys', '{3: "three"}', '''
    x[y]
    x[y] = 1; x
    del x[y]; x
    y in x
    x.get(y)
    x.pop(y)
''', y='Angle(3)')
group('sets', '{1, 2, 3}', '''
    1 in x
    9 in x
    len(x)
    sorted(x)
    x | frozenset({9})
    frozenset({9}) | x
    x <= frozenset({1, 2, 3, 4})
    x == frozenset({1, 2, 3})
    x.add(9); x
    x.discard(9); x
    x.remove(9)
    x.isdisjoint({9})
    x.issubset(range(9))
    x.union([9], (10,))
    hash(x)
    copy.copy(x)
''')
group('sets with operands', '{1, 2, 3}', '''
    x | y
    y | x
    x & y
    x - y
    y - x
    x ^ y
    x <= y
    x > y
    x == y
    x |= y; x
    x &= y; x
    x -= y; x
    x ^= y; x
    x.update(y); x
''', y='{1, 9}', kinds=HOME)
# An operand that is a builtin container is not refused for being another interpreter's.
_CONCATENATED = 'x + y; \n x += y; x'
_UNITED = '\n'.join(f'x {symbol} y \n x {symbol}= y; x' for symbol in '|&-^')
for _name, _subject, _operand, _operators in (
        ('list', '[1, [2]]', '[1, [2]]', _CONCATENATED),
        ('longer list', '[1, [2]]', '[1, [2], 3]', 'operator.concat(x, y)'),
        ('tuple', '(1, [2])', '(1, [2])', _CONCATENATED),
        ('dict', '{"a": 1, "b": [2]}', '{"b": [2], "a": 1}', 'x | y \n x |= y; x'),
        ('set', '{1, (2, 3)}', '{1}', _UNITED),
        ('frozenset', 'frozenset((1, 2))', '{1}', _UNITED),
        ('dict view', '{1: 2}.keys()', '{1, 3}', _UNITED),
        ('default dict', 'collections.defaultdict(int, a=1)', '{"a": 1}', ''),
        ('user list', 'collections.UserList((1, [2]))', '[1, [2]]', '')):
    group(f'{_name} with an operand in kind', _subject,
          f'x == y \n y == x \n x != y \n y != x \n {_operators}', y=_operand)
for _name, _subject, _operand in (
        ('IntEnum', 'IntColor.BLUE', 'IntColor.BLUE'), ('subclass of str', 'Text("a")', 'Text("a")'),
        ('subclass of float', 'Real(1.5)', 'Whole(1)'),
        ('named tuple', 'NamedPair(1, [2])', 'NamedPair(1, [2])')):
    group(f'{_name} with one of its kind', _subject,
          'x == y \n y == x \n x != y \n y != x \n x <= y \n y >= x', y=_operand)
group('items in kind', '[[1], {"a": [2]}, {3}]', '''
    x.index(y)
    x.count(y)
    y in x
    x.remove(y); x
    [y] == x
    x < [[1], y]
''', y='{"a": [2]}')

group('named tuple', 'NamedPair(1, "two")', '''
    x.first
    x[1]
    x._asdict()
    x._replace(first=3)
    len(x)
    a, b = x; (a, b)
    x == (1, 'two')
    hash(x)
    isinstance(x, tuple)
    x + (3,)
''')
group('struct sequence', 'time.gmtime(0)', '''
    x.tm_year
    x[0]
    len(x)
    tuple(x)
    x[:3]
    x == time.gmtime(0)[:]
    time.asctime(x[:])
''')
group('weak reference', 'weakref.ref(Point)', '''
    x().__name__
    x.__callback__
    isinstance(x, weakref.ref)
''')
group('enum', 'Color.RED', '''
    x.name
    x.value
    str(x)
    hash(x) == hash(Color.RED)
    x.__class__.__name__
    isinstance(x, Color)
''')
group('enum class', 'Color', '''
    x.RED
    x['GREEN'].value
    x(2).name
    x(3)
    len(x)
    [c.name for c in x]
    x.RED in x
    'RED' in x.__members__
''')

# Iteration

group('iteration', 'iter([1, 2, 3])', '''
    next(x)
    next(x), next(x), next(x), next(x)
    next_until_exhausted(x)
    next(x), list(x), list(x), next(x, None)
    iter(x).__next__()
    for_each(x)
    operator.length_hint(x)
    2 in x
    len(x)
    x[0]
    list(zip(x, x))
    sum(x)
    tuple(x)
    list(itertools.accumulate(x))
    copy.copy(x).__next__()
''')
group('generator', 'count_to(3)', '''
    next_until_exhausted(x)
    list(x)
    next(x), x.send('hello'), next(x)
    x.send('too early')
    list(x), next(x)
    next(x), x.close(), next(x, 'closed')
    list(delegate(x))
    x.gi_frame is None
    x.__name__
''')
group('iteration over what cannot be iterated', 'Bare()', '''
    iter(x)
    for_each(x)
    list(x)
    3 in x
    dict(x)
    len(x)
    x[0]
    x[0] = 1
    del x[0]
    x['a']
    x[0:1]
''')
group('failing iteration', 'Failing()', 'for_each(x) \n list(x) \n [*x] \n a, b = x')
group('with statement', 'Block()', '''
    in_block(x)
    in_block(x, ValueError('in the block', 7))
    in_block(x, KeyError('k'))
    in_block(x, StopIteration(3))
    x.__enter__()
    x.__exit__(None, None, None); x.log
''')
group('with statement that swallows', 'Block(True)', '''
    in_block(x, ValueError('in the block', 7))
    in_block(x, KeyboardInterrupt())
''')
group('with statement without support', 'Bare()', 'in_block(x)')
group('with statement that fails', 'Failing()', 'in_block(x)')
group('exit stack', 'Block()', '''
    contextlib.ExitStack().enter_context(x)
    with_stack = contextlib.ExitStack(); with_stack.push(x); with_stack.close(); x.log
''')

# Classes

group('class checks', 'Point', '''
    isinstance(Point(), x)
    isinstance(7, x)
    issubclass(int, x)
    issubclass(x, object)
    issubclass(7, x)
    x.__mro__[1] is object
''')
group('class checks with operands', 'Point', '''
    isinstance(y, x)
    isinstance(y, (int, x))
''', y='Point(1, 2)', kinds=HOME)
group('overridden class checks', 'EvenNumber', '''
    isinstance(4, x)
    isinstance(5, x)
    issubclass(int, x)
    issubclass(str, x)
    isinstance('a', x)
''')
group('instances', 'Point(1, 2)', '''
    isinstance(x, Point)
    isinstance(x, int)
    isinstance(x, (int, Point))
    isinstance(7, x)
    x.__class__ is Point
''')
for _name, _subject in dict(
        list='[1]', dict='{1: 2}', set='{1}', bytearray='bytearray(b"a")',
        deque='collections.deque()', enum='Color.RED', decimal='decimal.Decimal(1)',
        file='io.StringIO()', iterator='iter([])', builtin='len', function='signature_log',
        cls='Point', exception='ValueError("v")', namedtuple='NamedPair(1, 2)',
        module='math').items():
    group(f'class of {_name}', _subject, f'''
        x.__class__.__name__
        x.__class__.__module__
        isinstance(x, type({_subject}))
        isinstance(x, (list, dict, set))
        x.__class__ is type({_subject})
    ''')

# Copying and pickling

for _name, _subject in dict(
        object='Point(1, [2])', list='[1, [2]]', dict='{"a": [1]}', enum='Color.RED',
        function='signature_log', cls='Point', deque='collections.deque([1])',
        decimal='decimal.Decimal("1.5")').items():
    group(f'copies of {_name}', _subject, '''
        copy.copy(x)
        copy.deepcopy(x)
        pickle.loads(pickle.dumps(x))
        pickle.loads(pickle.dumps(x, 2))
        pickle.loads(pickle.dumps([x, {'k': x}]))
        type(pickle.loads(pickle.dumps(x)))
    ''')
group('pickling what cannot be pickled', 'threading.Lock()', '''
    pickle.dumps(x)
    copy.copy(x)
''')

# The standard library

group('text file', 'io.StringIO("one\\ntwo\\n")', '''
    x.read()
    x.readlines()
    x.readline()
    list(x)
    next(x)
    for_each(x)
    x.write('three'); x.getvalue()
    x.write(b'three')
    print('a', 1, sep='-', end='.', file=x); x.getvalue()
    json.dump({'a': [1, None]}, x); x.getvalue()
    x.seek(99); write_csv(x)
    list(csv.reader(x))
    x.writelines(['a', 'b']); x.getvalue()
    x.close(); x.closed
    x.close(); x.read()
    with_redirected_stdout(x)
''')
group('with statement of a file', 'io.StringIO("one")', '''
    contextlib.closing(x).__enter__().read()
    x.__enter__().read(); x.__exit__(None, None, None); x.closed
''')
group('json from a file', 'io.StringIO("[1, 2.5, null, {}]")', 'json.load(x)')
group('binary file', 'io.BytesIO(b"\\x01\\x02\\x03")', '''
    x.read(2)
    x.write(b'abcd'), x.getvalue()
    x.seek(0, 2), x.tell()
    pickle.dump({'a': 1}, x); x.seek(0); pickle.load(x)
    io.TextIOWrapper(x, encoding='latin-1').read()
''')
group('patterns', 're.compile(r"(?P<word>[a-z]+)([0-9]*)")', '''
    x.match('ab12').group(1, 2)
    x.match('ab12')['word']
    x.match('ab12').span()
    x.match('---')
    x.findall('a1 b2')
    x.sub('<\\\\1>', 'a1 b2')
    x.sub(lambda m: m.group('word').upper(), 'a1 b2')
    [m.group() for m in x.finditer('a1 b2')]
    x.split('1a2')
    x.pattern
    x.groupindex
    x.match(5)
    re.sub(x, '', 'a1-b2')
''')
group('dates', 'datetime.datetime(2026, 1, 31, 12)', '''
    x.year
    x.isoformat()
    f'{x:%Y-%m}'
    str(x)
    x.replace(day=1)
    x.replace(day=99)
    hash(x) == hash(datetime.datetime(2026, 1, 31, 12))
    x.__class__ is datetime.datetime
    isinstance(x, datetime.date)
    x.timetuple()[:3]
    x + 1
''')
group('dates with operands', 'datetime.datetime(2026, 1, 31, 12)', '''
    x + y
    x - y
    y + x
''', y='datetime.timedelta(days=1)', kinds=HOME)
group('dates compared', 'datetime.date(2026, 1, 31)', COMPARISON + '\n x - y',
      y='datetime.date(2026, 1, 30)', kinds=HOME)
group('paths', 'pathlib.PurePosixPath("/usr/lib")', '''
    x / 'python'
    '/' / x
    x.name
    x.parent
    str(x)
    x.__fspath__()
    pathlib.PurePosixPath(x)
    x.parts
    hash(x) == hash(pathlib.PurePosixPath('/usr/lib'))
    x < 5
''')
group('database', 'sqlite3.connect(":memory:")', '''
    x.execute('select 1, 2.5, null, "a"').fetchone()
    x.execute('select ?', (7,)).fetchall()
    rows_of_new_table(x)
    x.execute('create table t (a)'); x.commit(); x.total_changes
    x.execute('select * from missing')
    x.create_function('absolute', 1, abs); x.execute('select absolute(-21)').fetchone()
    [row for row in x.execute('values (1), (2)')]
    x.close(); x.execute('select 1')
''')
for _class in ('Lock', 'RLock'):
    group(f'threads with {_class}', f'threading.{_class}()', '''
        x.acquire(), blocked(x), x.release()
        blocked(x)
        x.acquire(timeout=0), blocked(x), x.release(), blocked(x)
        x.release()
        x.__enter__(), blocked(x), x.__exit__(None, None, None), blocked(x)
    ''')
group('event', 'threading.Event()',
      'x.is_set() \n x.set(); x.is_set() \n x.wait(0) \n x.set(); x.wait()')
group('partial', 'functools.partial(signature_log, 1, a=2)',
      'x() \n x(3, b=4) \n x.args \n x.func')
group('namespace', 'types.SimpleNamespace(a=1)', 'x.a \n x.b = 2; x')


# Performing them

@functools.cache
def _compiled(source):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    expression = ast.Expression(last.value if last else ast.Constant(None))
    return (compile(tree, source, 'exec'),
            compile(ast.fix_missing_locations(expression), source, 'eval'))


def execute(source, namespace):
    """Execute source in a namespace; return the value of what it ends with."""
    statements, expression = _compiled(source)
    exec(statements, namespace)
    return eval(expression, namespace)


def evaluate(source, /, **names):
    """Execute source with some more names; return the value of what it ends with."""
    return execute(source, globals() | names)


def wrapped(source):
    return SharedObjectProxy(evaluate(source))


def killed(value):
    """Return a dead proxy of value, or of what it is a proxy of."""
    if type(value) is not SharedObjectProxy:
        value = SharedObjectProxy(value)
    with ShareScope() as scope:
        return scope.share(value)


def collect():
    """Collect garbage; what it drops is released between bytecodes, so there are some."""
    gc.collect()
    for _ in range(3):
        pass


#: The types whose instances cross by themselves, and those that equality tells apart.
PLAIN_TYPES = frozenset(map(type, (None, True, ..., NotImplemented, 0, '', b'')))
NATIVE_TYPES = PLAIN_TYPES | {float, complex, tuple, frozenset, slice, range}


def class_name(cls):
    return f'{cls.__module__}.{cls.__qualname__}'


def describe(value):
    """Return something that crosses by value and is the same only for the same type and value.

    An object that does not cross by itself is its class and repr, without addresses.
    """
    cls = type(value)
    if cls in PLAIN_TYPES:
        return cls.__name__, value
    if cls is float:
        return 'float', struct.pack('d', value)
    if cls is complex:
        return 'complex', describe((value.real, value.imag))
    if cls is tuple:
        return 'tuple', tuple(map(describe, value))
    if cls is frozenset:
        return 'frozenset', tuple(sorted(map(describe, value), key=repr))
    if cls in (slice, range):
        return cls.__name__, describe((value.start, value.stop, value.step))
    if isinstance(value, type):
        return 'class', class_name(value)
    name = class_name(value.__class__)
    if cls is SharedObjectProxy and value.__class__ in NATIVE_TYPES:
        name = f'needless proxy of {name}'
    return 'object', name, re.sub('0x[0-9a-fA-F]+', '0x', repr(value))


def describe_error(error):
    return 'raises', class_name(type(error)), describe(error.args), str(error)


def outcome(source, /, **names):
    """Return what came of evaluating source, described."""
    try:
        return describe(evaluate(source, **names))
    except BaseException as error:
        return describe_error(error)


def plain_outcome(row_group, source):
    operands = {name: evaluate(operand) for name, operand in row_group.operands}
    return outcome(source, x=evaluate(row_group.subject), **operands)


def perform(source, subject, operands, kind):
    """Perform an operation on a proxy where we are, with operands of a kind.

    Operands that are at home come as proxies, the others as source text.
    """
    if type(subject) is not SharedObjectProxy:
        subject = SharedObjectProxy(subject)
    if kind == 'subject dead':
        subject = killed(subject)
    values = {}
    for name, value in operands:
        if kind != 'home':
            value = evaluate(value)
        if kind == 'wrapped':
            value = SharedObjectProxy(value)
        if kind == 'dead':
            value = killed(value)
        values[name] = value
    return outcome(source, x=subject, **values)
