"""Lists, tuples, dicts, sets and deques of another interpreter pass CPython's own tests."""

import unittest
from concurrent.interpreters import SharedObjectProxy
from test import list_tests, mapping_tests, seq_tests, test_set, test_userdict, test_userlist

from .generic import Foreign, Generic


class ListTest(Generic, list_tests.CommonTest):
    type2test = Foreign('list')


class UserListTest(Generic, test_userlist.UserListTest):
    type2test = Foreign('collections.UserList')


class TupleTest(Generic, seq_tests.CommonTest):
    type2test = Foreign('tuple')


class DictTest(Generic, mapping_tests.TestHashMappingProtocol):
    type2test = Foreign('dict')


class OrderedDictTest(Generic, mapping_tests.BasicTestMappingProtocol):
    type2test = Foreign('collections.OrderedDict')

    def test_popitem(self):
        # Its own takes an argument, unlike that of other mappings.
        self.assertRaises(KeyError, self.type2test().popitem)


class UserDictTest(Generic, test_userdict.UserDictTest):
    type2test = Foreign('collections.UserDict')


class SetTest(Generic, test_set.TestSet):
    thetype = Foreign('set')
    basetype = SharedObjectProxy
    cycles = 2      # test_cyclical_repr


class FrozenSetTest(Generic, test_set.TestFrozenSet):
    thetype = Foreign('frozenset')
    cycles = 2      # test_cyclical_repr


if __name__ == '__main__':
    unittest.main()
