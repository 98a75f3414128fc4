"""Functions of another interpreter pass CPython's own tests: operators, searches, functools."""

import unittest
from test import test_bisect, test_functools, test_operator

from .generic import add_suites, make_suite

# Their tests make cycles: functions that keep what is made of them.
PartialTest = make_suite('PartialTest', test_functools.TestPartialC, cycles=4,
                         module='functools', partial='functools.partial')
LRUTest = make_suite('LRUTest', test_functools.TestLRUC, cycles=16, module='functools')

add_suites(globals(), {
    'OperatorTest': (test_operator.COperatorTestCase, {'module': 'operator'}),
    'BisectTest': (test_bisect.TestBisectC, {'module': 'bisect'}),
    'InsortTest': (test_bisect.TestInsortC, {'module': 'bisect'}),
    'BisectErrorTest': (test_bisect.TestErrorHandlingC, {'module': 'bisect'}),
    'PartialMethodTest': (test_functools.TestPartialMethod, test_functools,
                          {'functools': 'functools'}),
    'ReduceTest': (test_functools.TestReduceC, {'reduce': 'functools.reduce'}),
    'CmpToKeyTest': (test_functools.TestCmpToKeyC, {'cmp_to_key': 'functools.cmp_to_key'}),
})


if __name__ == '__main__':
    unittest.main()
