"""Every operation on a proxy has the outcome it has on the object itself.

The table is in table.py; here it is performed in all directions and with
operands of all kinds.
"""

import unittest

from . import operations
from .support import add_directions
from .table import TABLE


DEAD = ('raises', 'concurrent.interpreters.DeadProxyError')


def expected(group, source, memory={}):
    if (group, source) not in memory:
        memory[group, source] = operations.plain_outcome(group, source)
    return memory[group, source]


class Performing:
    """How a group is performed; the tests are added below, one for each group and kind."""

    def check(self, group, kind):
        # In one interpreter all is done again: then its bytecode is specialized.
        times = 3 if self.owner() is self.caller() else 1
        for source in [source for source in group.sources for _ in range(times)]:
            with self.subTest(source):
                subject = self.share_from(self.owner(), group.subject)
                outcome = self.perform(group, kind, source, subject)
                del subject
                if 'dead' in kind:
                    self.assertEqual(outcome[:2], DEAD)
                else:
                    self.assertEqual(outcome, expected(group, source))

    def perform(self, group, kind, source, subject):
        operands = group.operands
        if kind == 'home':
            operands = tuple((name, self.share_from(self.owner(), operand))
                             for name, operand in operands)
        return self.caller().call(operations.perform, source, subject, operands, kind)


class OperationsTest(Performing):
    """With live operands, or a subject that is dead."""


class AcrossTest(Performing):
    """Where nothing crosses, what an operand is, a proxy or dead, is up to the operation."""


def add_test(cls, group, kind):
    what = ''.join(c if c.isalnum() else '_' for c in group.name)
    how = kind.replace(' ', '_') if group.operands or kind != 'plain' else 'alone'
    name = f'test_{what}_with_{how}'
    if name in vars(cls):
        raise ValueError(f'two groups are called {group.name!r}')

    def test(self):
        self.check(group, kind)
    test.__name__ = name
    setattr(cls, name, test)


for group in TABLE:
    for kind in group.kinds:
        add_test(AcrossTest if group.across or kind == 'dead' else OperationsTest, group, kind)


add_directions(globals(), OperationsTest)
add_directions(globals(), AcrossTest, across=True)


if __name__ == '__main__':
    unittest.main()
