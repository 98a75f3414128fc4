"""Groups of operations: the form that the rows of the tests' table have."""

import collections
import sys


Group = collections.namedtuple('Group', 'topic name subject operands kinds across sources')

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


def group(name, subject, sources, *, kinds=KINDS, across=False, **operands):
    """Add a group to the table; one that is across is for different interpreters only."""
    topic = sys._getframe(1).f_globals['__name__'].rpartition('table_')[-1]
    TABLE.append(Group(topic, name, subject, tuple(operands.items()),
                       tuple(kind for kind in kinds if operands or kind in UNARY_KINDS),
                       across, lines(sources)))


def lines(sources):
    """The lines of a text that are not empty."""
    return tuple(line.strip() for line in sources.splitlines() if line.strip())


# Operations of more than one group

SYMBOLS = '+ - * @ / // % ** << >> & ^ |'.split()
COMPARISON = '\n'.join(f'x {symbol} y' for symbol in '== != < <= > >='.split())
#: Only where it is supported: a proxy cannot know that it was asked second, and
#: so its error is that of the comparison it was asked for.
REFLECTED_COMPARISON = '\n'.join(f'y {symbol} x' for symbol in '== != < <= > >='.split())
