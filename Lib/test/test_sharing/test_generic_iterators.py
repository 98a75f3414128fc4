"""Iterators, ranges, arrays and memory of another interpreter pass CPython's own tests."""

import builtins
import unittest
from test import (
    test_array, test_enumerate, test_iter, test_itertools, test_memoryview, test_range)
from unittest import mock

from .generic import add_suites, make_suite


class IterTests(test_iter.TestCase):

    def setUp(self):
        super().setUp()
        # One test replaces them, and puts back what its module has by these names.
        self.enterContext(mock.patch.multiple(builtins, iter=iter, reversed=reversed))


ITERTOOLS = {name: f'itertools.{name}' for name in (
    'accumulate', 'chain', 'combinations', 'compress', 'count', 'cycle', 'dropwhile', 'filterfalse',
    'groupby', 'islice', 'pairwise', 'permutations', 'product', 'repeat', 'starmap', 'takewhile',
    'zip_longest')}


class ItertoolsTests(test_itertools.TestBasicOps):
    #: Millions of items, of which tee() is to let go.
    test_tee_del_backward = None


# test_gc makes a cycle, and test_pairwise_reenter some.
ReversedTest = make_suite('ReversedTest', test_enumerate.TestReversed, suite_module=test_enumerate,
                          cycles=2, reversed='reversed')

ItertoolsTest = make_suite('ItertoolsTest', ItertoolsTests, suite_module=test_itertools, cycles=28,
                           **ITERTOOLS)

add_suites(globals(), {
    'ItertoolsArgumentsTest': (test_itertools.TestVariousIteratorArgs, test_itertools, ITERTOOLS),
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
add_suites(globals(), {
    f'ArrayMemory{name}Test': (getattr(test_memoryview, f'ArrayMemory{name}Test'), test_memoryview,
                               {'array': 'array'})
    for name in ('view', 'Slice', 'SliceSlice')})

del IterTests, ItertoolsTests


if __name__ == '__main__':
    unittest.main()
