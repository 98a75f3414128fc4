"""Iterators, ranges, arrays and memory of another interpreter pass CPython's own tests."""

import builtins
import unittest
from test import test_array, test_enumerate, test_iter, test_memoryview, test_range
from unittest import mock

from .generic import add_suites, make_suite


class IterTests(test_iter.TestCase):

    def setUp(self):
        super().setUp()
        # One test replaces them, and puts back what its module has by these names.
        self.enterContext(mock.patch.multiple(builtins, iter=iter, reversed=reversed))


# test_gc makes a cycle.
ReversedTest = make_suite('ReversedTest', test_enumerate.TestReversed, module=test_enumerate,
                          cycles=2, reversed='reversed')

add_suites(globals(), {
    'IterTest': (IterTests, test_iter, {'iter': 'iter'}),
    'EnumerateTest': (test_enumerate.EnumerateTestCase, {'enum': 'enumerate'}),
    'EnumerateStartTest': (test_enumerate.EnumerateStartTestCase, {'enum': 'enumerate'}),
    'RangeTest': (test_range.RangeTest, test_range, {'range': 'range'}),
    'ArrayTest': (test_array.DoubleTest, test_array, {'array': 'array'}),
})

# Views here, of memory there.
add_suites(globals(), {
    f'Memory{name}Test': (getattr(test_memoryview, f'BytesMemory{name}Test'),
                          {'ro_type': 'bytes', 'rw_type': 'bytearray'})
    for name in ('view', 'Slice', 'SliceSlice')})

del IterTests


if __name__ == '__main__':
    unittest.main()
