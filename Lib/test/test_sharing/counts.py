"""How much the tests' tables hold.

    python -m test.test_sharing.counts
"""

import collections

from . import (
    generic, grouping, test_errors, test_identity, test_interop_io, test_interop_objects,
    test_interop_threads, test_values)
from .support import DIRECTIONS
from .table import TABLE, TOPICS


def rows_of(table):
    return sum(map(grouping.lines, table.values()), ())


#: The tests that perform what one of these tables holds, for each direction across interpreters.
OTHERS = (
    ('values that cross, to and fro', test_values.CROSSING, 2),
    ('objects that are the same everywhere', test_values.COMMON, 2),
    ('what arrives as a proxy', test_values.WRAPPED, 2),
    ('identities', grouping.lines(test_identity.IDENTITIES), 1),
    ('exceptions, raised there and called back', test_errors.AS_THEMSELVES, 2),
    ('files, archives, logs, sockets', test_interop_io.USES, 1),
    ('libraries: the same as with the object', rows_of(test_interop_objects.WORKS), 1),
    ('libraries: refused, or the same', rows_of(test_interop_objects.REFUSES), 1),
)


def directions(group, kind):
    return len(DIRECTIONS) - (group.across or kind == 'dead')


def performed(groups):
    """Return {kind: how often an operation is performed with operands of that kind}."""
    counts = collections.Counter()
    for group in groups:
        for kind in group.kinds:
            counts[kind] += len(group.sources) * directions(group, kind)
    return counts


def print_operations():
    print(f'{"operations":12}{"groups":>8}{"rows":>8}', *(f'{kind:>13}' for kind in grouping.KINDS),
          f'{"in all":>9}')
    topics = {topic: [group for group in TABLE if group.topic == topic] for topic in TOPICS}
    for topic, groups in {**topics, 'all': TABLE}.items():
        counts = performed(groups)
        print(f'{topic:12}{len(groups):8,}{sum(len(group.sources) for group in groups):8,}',
              *(f'{counts[kind]:13,}' for kind in grouping.KINDS), f'{counts.total():9,}')


def main():
    print_operations()
    print(f'\n{"other tables":45}{"rows":>8}{"in all":>8}')
    across = len(DIRECTIONS) - 1
    for name, rows, times in OTHERS:
        print(f'{name:45}{len(rows):8,}{len(rows) * times * across:8,}')
    primitives = test_interop_threads.PRIMITIVES
    print(f'{"locks and queues: blocked, released":45}{len(primitives):8,}'
          f'{len(primitives) * len(test_interop_threads.PLACES):8,}')
    print("\nCPython's own suites")
    generic.main(list_methods=False)


if __name__ == '__main__':
    main()
