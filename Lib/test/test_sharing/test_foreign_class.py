"""Class statements of a generic suite: what derives from a foreign class is foreign."""

import unittest
from concurrent import interpreters

from .generic import Foreign
from .support import SharingTestCase

HERE = 'the caller'


class ForeignClassTests(SharingTestCase):

    def setUp(self):
        super().setUp()
        self.list = Foreign('list')
        self.list.open(self.sub)
        self.addCleanup(self.list.close)
        self.addCleanup(self.list.deriver.forget)

    def test_class_and_objects_belong_to_the_other_interpreter(self):
        class T(self.list):
            """Some text."""
            attribute = 'value'
        proxy = T('ab')
        for foreign in T, proxy:
            self.assertIs(type(foreign), interpreters.SharedObjectProxy)
            self.assertEqual(interpreters.owner(foreign), self.sub)
        self.assertEqual(proxy, ['a', 'b'])
        self.assertIs(proxy.__class__, T)
        self.assertEqual((T.__name__, T.__doc__, T.attribute), ('T', 'Some text.', 'value'))

    def test_functions_run_there(self):
        here = interpreters.get_current()

        class T(self.list):
            def method(self, one, two=2, *, three=3):
                from concurrent import interpreters
                return interpreters.get_current().id, type(self).__name__, one, two, three

            @classmethod
            def of_class(cls):
                return cls()

            @staticmethod
            def of_nothing():
                return 'static'

            @property
            def count(self):
                return len(self)
        self.assertNotEqual(self.sub, here)
        self.assertEqual(T().method(1), (self.sub.id, 'T', 1, 2, 3))
        self.assertEqual(T.of_class(), [])
        self.assertEqual(T.of_nothing(), 'static')
        self.assertEqual(T('abc').count, 3)

    def test_super(self):
        class T(self.list):
            def __getitem__(self, index):
                return super().__getitem__(index) + '!'
        self.assertEqual(T('ab')[1], 'b!')

    def test_globals_are_those_of_the_module_here(self):
        class T(self.list):
            def method(self):
                return HERE
        self.assertEqual(T().method(), 'the caller')

    def test_closures_are_read_and_written(self):
        count = 0

        class T(self.list):
            def method(self):
                nonlocal count
                count += step
                return T
        self.assertRaises(NameError, T().method)
        step = 2
        self.assertIs(T().method(), T)
        self.assertEqual(count, 2)
        step = 3
        T().method()
        self.assertEqual(count, 5)

    def test_base_that_belongs_here_is_refused(self):
        class Here:
            pass
        with self.assertRaises(TypeError):
            class T(Here, self.list):
                pass


if __name__ == '__main__':
    unittest.main()
