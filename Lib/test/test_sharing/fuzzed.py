"""What the differential fuzzer makes for its programs, beside the subjects of other tests."""

import collections.abc
import itertools
import random


class Mishap(Exception):
    """An error of our own, with something to say."""

    def __init__(self, what, number=0):
        super().__init__(what, number)
        self.number = number


class Guest:
    """A value of the caller that stays where it is: equal, hashed and ordered by its number."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f'Guest({self.number!r})'

    def __eq__(self, other):
        return isinstance(other, Guest) and self.number == other.number

    def __lt__(self, other):
        if not isinstance(other, Guest):
            return NotImplemented
        return self.number < other.number

    def __hash__(self):
        return hash(('Guest', self.number))

    def __call__(self, *args, **kwargs):
        self.number += 1
        return self.number, args, tuple(kwargs.items())

    def __iter__(self):
        return iter(range(self.number))

    def __len__(self):
        return self.number


class Moody:
    """Does in each special method what a seed says: answers, answers nonsense, or raises.

    Its log tells which were called and with what.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.log = []

    def __repr__(self):
        return f'Moody({len(self.log)} calls)'

    def _act(self, name, *args):
        self.log.append(f'{name}{args!r}')
        if len(self.log) > 200:
            raise RuntimeError('enough')
        mood = self.random.random()
        if mood < 0.2:
            raise self._error()
        if mood < 0.3:
            return self
        if mood < 0.7 and name in USUAL:
            return self.random.choice(USUAL[name])
        return self._answer()

    def _answer(self):
        return self.random.choice((
            None, NotImplemented, 0, 1, -1, 2 ** 70, 1.5, 'text', b'bytes', (1, (2,)), [self, 3],
            {'k': self}, iter((1, 2)), Guest(2), Mishap, type(self)))

    def _error(self):
        return self.random.choice((
            ValueError('moody', 7), KeyError('k'), IndexError(3), StopIteration(5),
            AttributeError('none', name='n', obj=4), OSError(2, 'gone', 'file'), Mishap('own', 5),
            TypeError('not now'), ZeroDivisionError(), GeneratorExit(), SystemExit(3),
            ExceptionGroup('several', [ValueError(1), Mishap('inner')])))


NUMBER = ('add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or').split()
CONVERSIONS = ('neg pos abs invert round trunc floor ceil int float complex index bool len '
               'length_hint hash str bytes format fspath dir reversed').split()
PROTOCOLS = ('getitem setitem delitem contains iter next call enter exit eq ne lt le gt ge '
             'copy deepcopy instancecheck subclasscheck').split()

#: What a method of that name usually returns.
USUAL = {
    '__bool__': (True, False), '__len__': (0, 3), '__length_hint__': (0, 2), '__hash__': (1, -1),
    '__int__': (5,), '__index__': (2,), '__float__': (2.5,), '__complex__': (1j,),
    '__str__': ('moody',), '__format__': ('formatted',), '__bytes__': (b'moody',),
    '__fspath__': ('/moody',), '__dir__': (('a', 'b'),), '__iter__': ((), ), '__next__': (1, 2),
    '__contains__': (True, False), '__exit__': (True, False), '__eq__': (True, False),
    '__lt__': (True, False),
}


def _method(name):
    def method(self, *args):
        return self._act(name, *args)
    method.__name__ = name
    return method


for _name in (NUMBER + [f'r{name}' for name in NUMBER] + [f'i{name}' for name in NUMBER]
              + CONVERSIONS + PROTOCOLS):
    setattr(Moody, f'__{_name}__', _method(f'__{_name}__'))


def failing(*args):
    raise Mishap('called', len(args))


def left_of(value):
    """What is still to come of an iterator."""
    if isinstance(value, collections.abc.Iterator) and type(value) is not Moody:
        return repr(list(itertools.islice(value, 50)))


class Picky:
    """Tells a list from a proxy of one: a difference, which the fuzzer must find."""

    def __repr__(self):
        return f'Picky({vars(self)})'

    def value(self):
        return [1]

    def is_list(self, value):
        return type(value) is list

    def fail(self, value):
        raise ValueError(self.is_list(value))

    def note(self, value):
        self.noted = self.is_list(value)
