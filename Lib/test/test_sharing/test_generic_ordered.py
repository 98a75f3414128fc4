"""Ordered dicts of another interpreter pass CPython's own tests of them."""

import unittest
from test import test_ordered_dict

from .generic import make_suite

# Two of the tests make a cycle.
OrderedDictOwnTest = make_suite(
    'OrderedDictOwnTest', test_ordered_dict.CPythonOrderedDictTests, suite_module=test_ordered_dict,
    cycles=2, OrderedDict='collections.OrderedDict', dict='dict')


if __name__ == '__main__':
    unittest.main()
