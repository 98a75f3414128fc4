"""Strings of another interpreter pass CPython's own tests."""

import unittest
from test import string_tests

from .generic import Foreign, Generic


class StrTest(Generic, string_tests.StringLikeTest, unittest.TestCase):
    type2test = Foreign('str')


if __name__ == '__main__':
    unittest.main()
