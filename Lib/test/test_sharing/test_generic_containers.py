"""Lists, tuples, dicts, sets and deques of another interpreter pass CPython's own tests."""

import unittest
from concurrent.interpreters import SharedObjectProxy
from test import (
    list_tests, mapping_tests, seq_tests, test_collections, test_defaultdict, test_deque,
    test_set, test_userdict, test_userlist)

from .generic import add_suites, make_suite


class OrderedDictTests(mapping_tests.BasicTestMappingProtocol):

    def test_popitem(self):
        # Its own takes an argument, unlike that of other mappings.
        self.assertRaises(KeyError, self.type2test().popitem)


class SetTests(test_set.TestSet):
    basetype = SharedObjectProxy


# test_cyclical_repr makes cycles.
SetTest = make_suite('SetTest', SetTests, thetype='set', cycles=2)
FrozenSetTest = make_suite('FrozenSetTest', test_set.TestFrozenSet, thetype='frozenset', cycles=2)
# So do test_container_iterator, and two tests with a factory that knows its defaultdict.
DequeTest = make_suite('DequeTest', test_deque.TestBasic, suite_module=test_deque, cycles=4,
                       deque='collections.deque')
DefaultDictTest = make_suite('DefaultDictTest', test_defaultdict.TestDefaultDict,
                             suite_module=test_defaultdict, cycles=4,
                             defaultdict='collections.defaultdict')

add_suites(globals(), {
    'ListTest': (list_tests.CommonTest, {'type2test': 'list'}),
    'UserListTest': (test_userlist.UserListTest, {'type2test': 'collections.UserList'}),
    'TupleTest': (seq_tests.CommonTest, {'type2test': 'tuple'}),
    'DequeSequenceTest': (test_deque.TestSequence, {'type2test': 'collections.deque'}),
    'DictTest': (mapping_tests.TestHashMappingProtocol, {'type2test': 'dict'}),
    'OrderedDictTest': (OrderedDictTests, {'type2test': 'collections.OrderedDict'}),
    'UserDictTest': (test_userdict.UserDictTest, {'type2test': 'collections.UserDict'}),
    'CounterTest': (test_collections.TestCounter, test_collections, {
        'Counter': 'collections.Counter',
        'CounterSubclassWithSetItem': 'test.test_collections.CounterSubclassWithSetItem',
        'CounterSubclassWithGet': 'test.test_collections.CounterSubclassWithGet'}),
    'ChainMapTest': (test_collections.TestChainMap, test_collections,
                     {'ChainMap': 'collections.ChainMap'}),
})

# Suites of test_set that make their sets by the global name.
add_suites(globals(), {
    f'Set{name}Test': (getattr(test_set, f'Test{name}'), test_set, {'set': 'set'})
    for name in ('BinaryOps', 'UpdateOps', 'Mutate', 'Identities', 'OnlySetsNumeric',
                 'OnlySetsDict', 'OnlySetsOperator', 'OnlySetsTuple', 'OnlySetsString',
                 'OnlySetsGenerator', 'ExceptionPropagation', 'SetOfSets', 'CopyingEmpty',
                 'SubsetEqualEmpty', 'SubsetEqualNonEmpty', 'SubsetEmptyNonEmpty', 'SubsetPartial',
                 'SubsetNonOverlap', 'Graphs')})

del SetTests, OrderedDictTests


if __name__ == '__main__':
    unittest.main()
