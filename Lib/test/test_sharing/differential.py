"""A differential fuzzer: random programs, run on a proxy and on the plain object, compared.

A *program* is a subject, as source text, and a list of steps that operate on it, called x, and
on what came out of it, called a, b and c.  It is run twice:

    plain      everything in one interpreter, no proxies
    crossing   an owner makes the subject; a caller, which has a proxy of it, performs the steps

Each step must have the same outcome in both (type and value, or class and arguments of the
exception), and at the end the subject must be in the same state.  A number and a seed make a
program; what differs is minimized.

Programs contain only what is promised to be the same.  What a caller makes, and its code then
finds to be a proxy where C code insists on the real thing, is not: see `VALUES` and `insists`.
Nor is the order of a set: from the step on that leaves a set in another order, whatever comes of
it (`x.pop()`) may well differ, and is not compared.
"""

import collections
import functools
import io
import random
import re
from concurrent.interpreters import SharedObjectProxy

from . import fuzzed, operations, support
from .grouping import SYMBOLS
from .subjects import Angle


# In one and the same interpreter a proxy's methods are the real ones, which take a proxy for what
# it is; there is nothing to compare.
DIRECTIONS = support.DIRECTIONS[1:]

Program = collections.namedtuple('Program', 'subject steps')
Difference = collections.namedtuple('Difference', 'program direction step plain crossing')

#: None of them outlives a program: what one changes, another must not see.
#: Sets are made of tuples: the order of a constant set depends on which strings
#: its interpreter has met before.
SUBJECTS = r'''
    [3, 1, 4, 1, 5]
    []
    ['b', ('a', 1), None, 2.5]
    [[1], [2, [3]], {'k': []}]
    {'a': 1, 'b': [2], 3: 'three'}
    {}
    set((1, 2, 'three'))
    collections.deque([3, 1, 4], 5)
    collections.deque()
    collections.OrderedDict(a=1, b=2)
    collections.defaultdict(list, a=[1])
    collections.Counter('abracadabra')
    collections.ChainMap({'a': 1}, {'b': 2})
    collections.UserList([3, 1, 4])
    collections.UserDict(a=1)
    collections.UserString('spam')
    types.MappingProxyType({'a': [1], 'b': 2})
    types.SimpleNamespace(a=1, b=[2])
    bytearray(b'spam')
    'spam and eggs'
    'na\xefve \u0394 \U0001f40d'
    ''
    b'spam'
    (3, 'a', (1,), [2])
    frozenset((1, 'a'))
    range(1, 20, 3)
    slice(1, 5, 2)
    7
    -12345678901234567890
    2 ** 100
    True
    -0.0
    7.25
    math.inf
    2+3j
    None
    ...
    fractions.Fraction(7, 2)
    decimal.Decimal('7.50')
    datetime.datetime(2026, 1, 31, 12)
    datetime.timedelta(days=1, seconds=5)
    pathlib.PurePosixPath('/usr/lib')
    io.StringIO('one\ntwo\n')
    io.BytesIO(b'\x01\x02\n\x03')
    re.compile(r'(?P<word>[a-z]+)([0-9]*)')
    random.Random(5)
    iter([1, [2], 3])
    iter({'a': 1}.items())
    zip([1, 2], 'ab')
    map(str, [1, 2])
    enumerate('ab')
    itertools.chain([1], 'a')
    reversed([1, 2])
    (n for n in (1, [2], 3))
    count_to(3)
    functools.partial(signature_log, 1, a=2)
    lambda *args, **kwargs: (args, kwargs)
    len
    [3].append
    ValueError('v', 1)
    Symbol('x')
    Angle(3)
    Point(1, [2])
    Slotted()
    Dynamic()
    Bare()
    Block()
    Block(True)
    Failing()
    Failing(Mishap('failed', 2))
    Text('text')
    Whole(3)
    Real(2.5)
    Data(b'data')
    Pair((1, 2))
    Frozen({1})
    NamedPair(1, [2])
    Moody(1)
    Moody(2)
    Moody(3)
    Moody(4)
    Guest(3)
'''.strip().splitlines()
SUBJECTS = [line.strip() for line in SUBJECTS]

#: Operands that are the same thing wherever they are used: they cross by value, or answer
#: through a proxy as they do themselves, or make() has made them in the subject's owner.
VALUES = r'''
    0
    1
    -1
    2
    3
    10
    2 ** 70
    True
    None
    ...
    NotImplemented
    1.5
    -0.0
    2j
    'a'
    'b'
    ''
    'spam'
    '\u0394'
    b'a'
    b'spam'
    (1, 'a')
    ()
    ('a', (1, None))
    frozenset({1})
    slice(1, None)
    slice(None, None, -1)
    range(3)
    int
    str
    ValueError
    Guest(1)
    Guest(2)
    make('[1, 2]')
    make('[]')
    make('{"a": 5}')
    make('{1, 2}')
    make('Guest(1)')
'''.strip().splitlines()
VALUES = [line.strip() for line in VALUES]

#: What may be of the caller's wherever anything iterable will do.
ITERABLES = ['[1, 2]', '["b", "a"]', '{"k": 1}', 'iter([1, 2])', '(v for v in "ab")', '(1, 2)',
             '"ab"', 'range(3)', 'Guest(2)', 'zip("ab", (1, 2))', 'make("[1, 2]")', '[]',
             'map(failing, [1])', '{1}', '5', 'x']

FUNCTIONS = ['len', 'repr', 'lambda v: v', 'lambda v: -v', 'lambda *v: (v, 1)', 'failing', 'str',
             'lambda *v: x.pop()', 'lambda v: [v]', 'Guest(0)', 'operator.neg', '5', 'None',
             'lambda *v: v[0].clear()', 'lambda v: a']

CLASSES = ['int', 'str', 'list', 'dict', 'tuple', 'object', 'type', 'Point', 'Guest', '(int, list)',
           *(f'collections.abc.{name}' for name in collections.abc.__all__)]

NAMES = ['append', 'x', 'a', 'missing', 'real', '__len__', '__name__', 'number', 'value', 'maxlen']

COMPARISONS = '== != < <= > >='.split()

#: $T is what is operated on, $V a value, $W one whose text has no address, $L an iterable,
#: $F a function, $I a small number, $S a short string, $C a class, $N a name.
ANY = r'''
    repr($T)
    str($T)
    bool($T)
    hash($T) == hash($T)
    len($T)
    [name for name in dir($T) if name != '__slotnames__']
    f'{$T!r:>9}'
    format($T, $S)
    callable($T)
    isinstance($T, $C)
    $T.__class__.__name__
    hasattr($T, $N)
    getattr($T, $N, 5)
    getattr($T, $N)
    setattr($T, $N, $V)
    delattr($T, $N)
    iter($T)
    next($T, 'end')
    next($T)
    reversed($T)
    $T()
    $T($V)
    $T($V, $V, k=$V)
    $T[$V]
    $T[$I]
    $T[$I:$I]
    $T[$V] = $V; None
    $T[$I] = $V; None
    $T[$I:$I] = $L; None
    del $T[$V]; None
    del $T[$I]; None
    $V in $T
    $T in $T
    $T is $T
    $T == $T
    $T == copy.copy($T)
    copy.copy($T)
    copy.deepcopy($T)
    pickle.loads(pickle.dumps($T))
    list(itertools.islice($T, 9))
    tuple(itertools.islice(zip($T, $T), 9))
    [next($T, None), next($T, None)]
    sorted(itertools.islice($T, 9), key=repr)
    for_each(itertools.islice($T, 9))
    [(v, len($T)) for v, _ in zip($T, range(5))]
    p, *q = itertools.islice($T, 9); p, q
    operator.index($T)
    int($T)
    float($T)
    complex($T)
    round($T)
    round($T, $I)
    math.floor($T)
    math.trunc($T)
    abs($T)
    -$T
    ~$T
    +$T
    divmod($T, $V)
    pow($T, $I, $I)
    (lambda *args: args)(*itertools.islice($T, 9))
    in_block($T)
    in_block($T, ValueError('in the block', 7))
    in_block($T, Mishap('in the block'))
    gc.collect(); None
'''
LIST = r'''
    $T.append($V)
    $T.append($T)
    $T.extend($L)
    $T.insert($I, $V)
    $T.pop()
    $T.pop($I)
    $T.remove($V)
    $T.sort()
    $T.sort(key=$F)
    $T.reverse()
    $T.index($V)
    $T.count($V)
    t = $T; t += $L; t
    t = $T; t *= $I; t
    max($T, key=$F)
    min($T)
    sum(itertools.islice($T, 9))
    any($T)
    list(map($F, itertools.islice($T, 9)))
    list(filter($F, itertools.islice($T, 9)))
    functools.reduce(lambda p, q: (p, q), $T)
'''
DICT = r'''
    $T.update($L)
    $T.update(k=$V)
    $T.update({'k': $V})
    $T.setdefault($V, $V)
    $T.pop($V, $V)
    $T.popitem()
    $T.get($V)
    $T.keys()
    $T.items()
    $T.values()
    list($T.items())
    $T.keys() & {'a'}
    t = $T; t |= $T; t
    {**$T}
    signature_log(**$T)
    dict($T)
    '{a}'.format_map($T)
'''
SET = r'''
    $T.add($V)
    $T.discard($V)
    $T.update($L)
    $T.union($L)
    $T.intersection($L)
    $T.difference_update($L)
    $T.symmetric_difference_update($L)
    $T.issubset($L)
    $T | frozenset({9})
    frozenset({9}) - $T
'''
GENERATOR = r'''
    $T.send($V)
    $T.send(None)
    $T.throw(ValueError)
    $T.throw(KeyError)
    $T.close()
    list(delegate($T))
'''
TEXT = r'''
    $T.join($L)
    $T + $V
    $V + $T
    $T % ($V, $V)
    $T.split($V)
    $T.replace('a', $S)
    $T.translate({97: 'b'})
    $T.format($V, a=$V)
'''
FILE = r'''
    $T.write($V)
    $T.writelines($L)
    $T.seek($I)
    print($W, $W, file=$T)
'''
INDEX = r'''
    [10, 20, 30, 40][$T]
    [10, 20, 30, 40][:$T]
    range(20)[$T]
    chr($T)
    hex($T)
    math.sqrt($T)
    $T.to_bytes(9, 'big', signed=True)
'''
RANDOM = r'''
    $T.shuffle(make("[1, 2, 3]"))
    $T.choice($V)
    $T.sample(range(9), $I)
    $T.seed($I)
'''


def templates(text):
    return [line.strip() for line in text.strip().splitlines()]


ANY = templates(ANY)
BY_TYPE = [
    (list, templates(LIST)), (collections.deque, templates(LIST)),
    (collections.UserList, templates(LIST)), (bytearray, templates(LIST)),
    (collections.abc.Mapping, templates(DICT)), (collections.abc.Set, templates(SET)),
    (collections.abc.Generator, templates(GENERATOR)), ((str, bytes), templates(TEXT)),
    (io.IOBase, templates(FILE)), ((int, Angle), templates(INDEX)),
    (random.Random, templates(RANDOM)),
]

#: Special methods that tell about memory or classes, not about the object; those that are asked
#: through functions and operators, with smaller numbers and no name for the text (an address in it
#: might be cut); and what would take for ever.
NOT_CALLED = set('''
    __class__ __class_getitem__ __dir__ __doc__ __format__ __getstate__ __init_subclass__
    __new__ __reduce__ __reduce_ex__ __sizeof__ __subclasshook__ __subclasses__ __alloc__
    __buffer__ __release_buffer__ __getnewargs__ __getnewargs_ex__ __setstate__ __basicsize__
    __weakref__ __mod__ __rmod__ __pow__ __rpow__ __ipow__ __lshift__ __rlshift__ __mul__
    __rmul__ __imul__ getbuffer mro __prepare__ __base__ __dict__ __getattribute__ __get__
    __call__ __subclasscheck__ __pydantic__ __init__ __hash__ __repr__ __str__ __length_hint__
    __round__ from_number today now utcnow seed __copy__ __deepcopy__ fileno __annotate__
    __type_params__
'''.split())


@functools.cache
def methods(cls):
    return sorted(name for name in dir(cls)
                  if name not in NOT_CALLED and callable(getattr(cls, name, None))
                  and (name[0] != '_' or name.endswith('__')))


# Making programs

class Maker:
    """Makes a program, running it as it grows, to know what there is to operate on."""

    def __init__(self, seed, number):
        self.random = random.Random(f'{seed}/{number}')
        self.subject = self.random.choice(SUBJECTS)
        self.player = Player(*begin(self.subject))
        self.steps = []
        self.owned = ['x']      # names of what is, in the crossing run, the owner's

    def make(self):
        for _ in range(self.random.choice((2, 5, 10, 30))):
            if not self.add_step() or not self.is_small():
                break
        return Program(self.subject, tuple(self.steps))

    def is_small(self):
        return len(repr([self.player.play(name) for name in self.owned])) < 5000

    def add_step(self):
        """Add a step; return False if none can follow, since it took all memory and is left out."""
        target = self.random.choice(('x', *self.owned))
        source = self.operation(target, self.player.names[target])
        name = None
        if ';' not in source and self.is_own(source, target) and self.random.random() < 0.4:
            name = self.random.choice('abc')
            source = f'({name} := {source})'
        if self.player.play(source)[:2] == ('raises', 'builtins.MemoryError'):
            return False        # x.extend(iter(x)) goes on as long as there is any
        self.steps.append(source)
        if name is not None:
            self.note(name)
        return True

    @staticmethod
    def is_own(source, target):
        """Whether an operation is the object's own, and its result thus the owner's."""
        return source.startswith((f'{target}.', f'{target}[', f'iter({target}', f'copy.copy({target}',
                                  f'copy.deepcopy({target}', f'reversed({target}'))

    def note(self, name):
        """Look up what a name stands for at this point of the program."""
        if name in self.owned:
            self.owned.remove(name)
        cls = type(self.player.names.get(name))
        if cls not in operations.NATIVE_TYPES and cls not in UNSUITABLE:
            self.owned.append(name)

    def operation(self, target, value):
        kind = self.random.random()
        if kind < 0.35:
            template = self.random.choice(ANY)
        elif kind < 0.5:
            template = self.binary_operation()
        elif kind < 0.75 and (known := [lines for cls, lines in BY_TYPE if isinstance(value, cls)]):
            template = self.random.choice(self.random.choice(known))
        else:
            template = self.method_call(value)
        return re.sub(r'\$([A-Z])', lambda match: self.operand(match[1], target), template)

    def binary_operation(self):
        kind = self.random.random()
        symbol = self.random.choice(SYMBOLS)
        # Those that grow what they are given get a small number; so does %, which asks of what it
        # formats whether it is a mapping, and a proxy may be one.
        value = '$I' if symbol in ('*', '**', '<<', '%') else '$V'
        if kind < 0.3:
            return f'$T {self.random.choice(COMPARISONS)} $V'
        if kind < 0.4:
            return f'$V {self.random.choice(("==", "!="))} $T'
        if kind < 0.6:
            return f't = $T; t {symbol}= {value}; t'
        if kind < 0.8:
            return f'$T {symbol} {value}'
        return f'{value} {"+" if symbol in ("**", "<<", "%") else symbol} $T'

    def method_call(self, value):
        name = self.random.choice(methods(value if isinstance(value, type) else type(value)))
        count = self.random.choice((0, 0, 1, 1, 1, 2, 2, 3))
        return f'$T.{name}({", ".join(["$V"] * count)})'

    def operand(self, kind, target):
        choice = self.random.choice
        match kind:
            case 'T':
                return target
            case 'V':
                names = [name for name in 'xabc' if name in self.player.names]
                return choice(names) if self.random.random() < 0.15 else choice(VALUES)
            case 'W':
                return choice(VALUES)
            case 'L':
                return choice(ITERABLES)
            case 'F':
                return choice(FUNCTIONS)
            case 'I':
                return str(self.random.randint(-3, 6))
            case 'S':
                return repr(choice(('', '>9', 'x', '5', '.2f')))
            case 'C':
                return choice(CLASSES)
            case 'N':
                return repr(choice(NAMES))


#: Results that are not operated on: they are not the owner's, or known to be other in a proxy.
UNSUITABLE = {type, memoryview, fuzzed.Guest, type(len), fuzzed.Mishap}


# Running them

def make(source):
    """Make something, in the interpreter that this function belongs to."""
    return operations.execute(source, dict(SOURCE_NAMES))


SOURCE_NAMES = vars(operations) | vars(fuzzed)
subject = None      # the one of the program that runs, in its owner


def begin(source):
    """In the owner: make the subject; return what the caller gets."""
    global subject
    subject = make(source)
    return subject, make


def begin_shared(source):
    return tuple(map(SharedObjectProxy, begin(source)))


def end():
    """In the owner: describe what the subject has become, and forget it."""
    global subject
    final = 'x', "repr(getattr(x, '__dict__', None))", 'left_of(x)'
    described = play(subject, make, final)
    subject = None
    return described


class Player:
    """Performs steps, one after the other."""

    def __init__(self, x, make):
        self.names = SOURCE_NAMES | {'x': x, 'make': make}

    def play(self, source):
        """Perform a step; return its outcome, described."""
        try:
            return operations.describe(operations.execute(source, self.names))
        except BaseException as error:
            return operations.describe_error(error)

    def orders(self):
        """Return the elements of the sets that have a name, each in its present order."""
        sets = ((name, self.names.get(name)) for name in 'xabc')
        return tuple((name, tuple(map(operations.describe, value))) for name, value in sets
                     if value.__class__ in (set, frozenset))


def play(x, make, steps):
    """In the caller: perform the steps; leave nothing that refers to the owner.

    Returns the outcome of each step and the orders that it left.
    """
    player = Player(x, make)
    played = tuple((player.play(step), player.orders()) for step in steps)
    # Functions that the steps made know all names, and the owner may know the functions.
    player.names.clear()
    return played


def play_plain(program):
    return *play(*begin(program.subject), program.steps), *end()


def play_crossing(program, owner, caller):
    return (*caller.call(play, *owner.call(begin_shared, program.subject), program.steps),
            *owner.call(end))


# Comparing

#: What errors say about where and how an operation was asked for, not what came of it: a proxy
#: passes on a comparison to the other operand the other way round, and an in-place operation as
#: the plain one; a method that is looked up before it is called goes by its object's class; what a
#: recursion without end was doing when the stack had no more room depends on where it began.
NEUTRAL = [(re.compile(pattern), replacement) for pattern, replacement in (
    (r"^'\W+' not supported between instances of .*", 'no such comparison'),
    (r'^(unsupported operand type\(s\) for .*)=:', r'\1:'),
    (r'^[\w.]+\.(\w+\(\))', r'\1'),
    (r'^(Stack overflow|maximum recursion depth exceeded).*', 'no more room'),
)]


def same(plain, crossing):
    """Whether outcomes are the same, but for accidents and the names of types."""
    if plain[0] != 'raises' or crossing[0] != 'raises':
        return without_accidents(repr(plain)) == without_accidents(repr(crossing))
    message, other = without_accidents(plain[3]), without_accidents(crossing[3])
    for pattern, replacement in NEUTRAL:
        message, other = pattern.sub(replacement, message), pattern.sub(replacement, other)
    pattern = '.*'.join(map(re.escape, re.split(r'[\w.]*SharedObjectProxy', other)))
    return plain[1] == crossing[1] and re.fullmatch(pattern, message, re.DOTALL) is not None


def without_accidents(text):
    """The text without what varies: addresses, what id() makes of them, and the order of sets.

    A set that is updated with another one grows sooner than one that is updated with a proxy.
    """
    text = re.sub(r'0x[0-9a-fA-F]+|\b[0-9]{14,15}\b', '0x', text)
    inner = None
    while inner != text:        # sets in sets: from the inside out, each in other brackets then
        inner = text
        text = re.sub(r'\{([^{}:]*)\}',
                      lambda items: '<' + ', '.join(sorted(items[1].split(', '))) + '>', text)
    return text


def insists(crossing):
    """Whether C code refused a proxy where it would have taken the real thing, and said so.

    It finds that a proxy has a method __index__, and then that it does not work, or that it must
    be a number.
    """
    return crossing[:2] == ('raises', 'builtins.TypeError') and (
        'SharedObjectProxy' in crossing[3] or 'cannot be interpreted as an integer' in crossing[3]
        or 'can assign only bytes' in crossing[3])


def first_difference(program, direction, places):
    """Run a program both ways; return the Difference, or None."""
    name, owner, caller = direction
    plain = play_plain(program)
    crossing = play_crossing(program, owner(places), caller(places))
    for step, ((one, order), (other, other_order)) in enumerate(zip(plain, crossing)):
        if not same(one, other):
            if insists(other):
                return None         # from here on they may well differ
            return Difference(program, name, step, one, other)
        if without_accidents(repr(order)) != without_accidents(repr(other_order)):
            return None             # likewise
    return None


def minimize(difference, direction, places):
    """Leave out steps as long as there is a difference; return what is left."""
    size = len(difference.program.steps)
    while size:
        start = 0
        while start < len(difference.program.steps):
            subject, steps = difference.program
            shorter = Program(subject, steps[:start] + steps[start + size:])
            found = first_difference(shorter, direction, places)
            if found:
                difference = found
            else:
                start += size
        size //= 2
    return difference


def try_program(seed, number, places):
    """Make a program and run it in every direction; return the first Difference, or None."""
    program = Maker(seed, number).make()
    for direction in DIRECTIONS:
        difference = first_difference(program, direction, places)
        if difference is not None:
            return minimize(difference, direction, places)
    return None


def report(difference):
    """Return a text that tells a difference, and how to see it."""
    subject, steps = difference.program
    lines = [f'{difference.direction}: x = {subject}', *(f'    {step}' for step in steps)]
    where = 'then x' if difference.step >= len(steps) else steps[difference.step]
    return '\n'.join([*lines, f'  {where}', f'    plain:    {difference.plain}',
                      f'    crossing: {difference.crossing}'])
