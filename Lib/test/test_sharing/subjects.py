"""Objects that the tests operate on, and operations on them that take more than a line."""

import collections
import concurrent.futures
import contextlib
import csv
import dataclasses
import datetime
import enum
import functools


# Objects

class Symbol:
    """Answers every number operation with the call that was made of it."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name

    def _called(self, method, *args):
        return f'{self.name}.{method}({", ".join(map(repr, args))})'

    def _change(self, method, *args):
        self.name = self._called(method, *args)
        return self


BINARY = ('add sub mul matmul truediv floordiv mod divmod pow '
          'lshift rshift and xor or').split()
UNARY = 'neg pos abs invert round trunc floor ceil'.split()


def _define_methods(cls, names, implementation):
    for name in names:
        method = functools.partialmethod(implementation, f'__{name}__')
        setattr(cls, f'__{name}__', method)


_define_methods(Symbol, UNARY + BINARY + [f'r{name}' for name in BINARY], Symbol._called)
_define_methods(Symbol, [f'i{name}' for name in BINARY if name != 'divmod'], Symbol._change)


class Angle:
    """Converts to whatever is asked for."""

    def __init__(self, degrees):
        self.degrees = degrees

    def __repr__(self):
        return f'Angle({self.degrees!r})'

    def __str__(self):
        return f'{self.degrees} degrees'

    def __format__(self, spec):
        return f'<{spec}|{self.degrees}>'

    def __bytes__(self):
        return b'\xc2\xb0' * self.degrees

    def __int__(self):
        return self.degrees

    def __index__(self):
        return self.degrees

    def __float__(self):
        return float(self.degrees)

    def __complex__(self):
        return complex(self.degrees, -0.0)

    def __bool__(self):
        return self.degrees % 360 != 0

    def __hash__(self):
        return hash(self.degrees)

    def __len__(self):
        return self.degrees

    def __length_hint__(self):
        return self.degrees + 1

    def __fspath__(self):
        return f'/{self.degrees}'

    def __dir__(self):
        return ['degrees', 'turn']

    def __contains__(self, other):
        return other < self.degrees

    def __reversed__(self):
        return Angle(-self.degrees)

    def __eq__(self, other):
        return self.degrees == getattr(other, 'degrees', other)

    def __lt__(self, other):
        return self.degrees < getattr(other, 'degrees', other)

    def __le__(self, other):
        return self.degrees <= getattr(other, 'degrees', other)

    def __gt__(self, other):
        return self.degrees > getattr(other, 'degrees', other)

    def __ge__(self, other):
        return self.degrees >= getattr(other, 'degrees', other)


@dataclasses.dataclass(order=True)
class Point:
    """An ordinary class: attributes, methods, a property."""

    x: object = 0
    y: object = 0

    limit = 100

    @property
    def norm(self):
        return abs(self.x) + abs(self.y)

    @norm.setter
    def norm(self, value):
        self.x, self.y = value, 0

    def moved(self, dx=0, dy=0):
        return Point(self.x + dx, self.y + dy)

    def move(self, dx, /, *, dy=0):
        self.x += dx
        self.y += dy
        return self

    @classmethod
    def origin(cls):
        return cls(0, 0)

    @staticmethod
    def add(a, b):
        return a + b


class Slotted:
    __slots__ = 'a', 'b'

    def __init__(self):
        self.a = 1


class Dynamic:
    """Answers for every attribute, and remembers what was done."""

    def __init__(self):
        object.__setattr__(self, 'log', '')

    def __getattr__(self, name):
        if name.startswith('no_'):
            raise AttributeError(f'nothing called {name}', name=name, obj=7)
        return f'<{name}>'

    def __setattr__(self, name, value):
        object.__setattr__(self, 'log', f'{self.log}{name}={value!r};')

    def __delattr__(self, name):
        object.__setattr__(self, 'log', f'{self.log}del {name};')


class Bare:
    """Has nothing but what every object has."""

    def __repr__(self):
        return 'Bare()'


class Block:
    """A context manager that tells what it is given."""

    def __init__(self, swallow=False):
        self.swallow = swallow
        self.log = ()

    def __enter__(self):
        self.log += 'enter',
        return self.log

    def __exit__(self, cls, exc, traceback):
        self.log += cls and cls.__name__, exc and exc.args,
        return self.swallow


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Even(type):
    def __instancecheck__(cls, instance):
        return instance % 2 == 0

    def __subclasscheck__(cls, subclass):
        return subclass is int


class EvenNumber(metaclass=Even):
    pass


class Failing:
    """Every operation raises."""

    def __init__(self, error=None):
        self.error = error or ValueError('as asked', 42)

    def _raise(self, *args):
        raise self.error


_define_methods(Failing, UNARY + BINARY + 'repr str format bytes hash bool len iter next contains '
                'getitem setitem delitem eq lt call enter int float complex index fspath '
                'reversed length_hint dir'.split(), Failing._raise)
Failing.__exit__ = Failing._raise


class Text(str):
    pass


class Whole(int):
    pass


class Real(float):
    pass


class Data(bytes):
    pass


class Pair(tuple):
    pass


class Frozen(frozenset):
    pass


class Day(datetime.date):
    pass


class Zone(datetime.tzinfo):
    """One hour ahead, two in summer."""

    def __repr__(self):
        return 'Zone()'

    def __eq__(self, other):
        return isinstance(other, Zone)

    def dst(self, when):
        return datetime.timedelta(hours=4 <= when.month < 10)

    def utcoffset(self, when):
        return datetime.timedelta(hours=1) + self.dst(when)

    def tzname(self, when):
        return f'Z{self.utcoffset(when)}'


ZONE = Zone()


class IntColor(enum.IntEnum):
    BLUE = 1


class Word(enum.StrEnum):
    VALUE = 'value'


class Flags(enum.Flag):
    A = 1
    B = 2


NamedPair = collections.namedtuple('NamedPair', 'first second')


def signature_log(*args, **kwargs):
    return f'{args!r} {kwargs!r}'


def count_to(limit):
    for number in range(limit):
        received = yield number
        if received is not None:
            yield f'got {received!r}'
    return 'done'


# Operations

def for_each(iterable):
    seen = ''
    for item in iterable:
        seen += f'{item!r};'
    return seen


def next_until_exhausted(iterator, tries=12):
    return tuple(next(iterator, 'exhausted') for _ in range(tries))


def delegate(generator):
    return (yield from generator)


def color_matched(color):
    match color:
        case Color.GREEN:
            return 'green'
        case Color.RED:
            return 'red'


def in_block(manager, error=None):
    with manager as value:
        if error is not None:
            raise error
    return value, manager.log


def blocked(lock):
    """Whether another thread finds the lock taken."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        acquired = thread.submit(lock.acquire, False).result()
        if acquired:
            thread.submit(lock.release).result()
    return not acquired


def with_redirected_stdout(file):
    with contextlib.redirect_stdout(file):
        print('redirected')
    return file.getvalue()


def write_csv(file):
    writer = csv.writer(file)
    writer.writerow(['a', 1, None])
    writer.writerows([('b, c', 2.5), ('"', '')])
    return file.getvalue()


def rows_of_new_table(connection):
    connection.executescript('create table t (a, b)')
    connection.executemany('insert into t values (?, ?)', ((1, 'a'), (2, 'b')))
    return connection.execute('select * from t order by a').fetchall()


def rows_inserted(connection, rows, values='?, ?'):
    connection.execute('create table t (a, b)')
    connection.executemany(f'insert into t values ({values})', rows)
    return connection.execute('select * from t').fetchall()


def row_as_dict(cursor, row):
    return dict(zip((name for name, *_ in cursor.description), row))


def upper(text):
    return str(text).upper()


def fail():
    return 1 / 0


def descending(a, b):
    return (a < b) - (a > b)


def deny(*what):
    return 1        # sqlite3.SQLITE_DENY


class Total:
    """An aggregate function of a database."""

    def __init__(self):
        self.total = 0

    def step(self, value):
        self.total += value

    def finalize(self):
        return self.total


class Adapted:
    """Knows what it is to a database."""

    def __conform__(self, protocol):
        return 'adapted'
