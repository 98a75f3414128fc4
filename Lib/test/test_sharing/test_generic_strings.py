"""Strings, bytes and regular expressions of another interpreter pass CPython's own tests."""

import unittest
from test import string_tests, test_bytes, test_re, test_userstring

from .generic import add_suites

add_suites(globals(), {
    'StrTest': (string_tests.StringLikeTest, {'type2test': 'str'}),
    'UserStringTest': (test_userstring.UserStringTest, {'type2test': 'collections.UserString'}),
    'BytesTest': (test_bytes.BytesTest, {'type2test': 'bytes'}),
    'ByteArrayTest': (test_bytes.ByteArrayTest, {'type2test': 'bytearray'}),
    'BytesAsStringTest': (test_bytes.BytesAsStringTest, {'type2test': 'bytes'}),
    'ByteArrayAsStringTest': (test_bytes.ByteArrayAsStringTest, {'type2test': 'bytearray'}),
    'ReTest': (test_re.ReTests, test_re, {'re': 're'}),
    'PatternReprTest': (test_re.PatternReprTests, test_re, {'re': 're'}),
})


if __name__ == '__main__':
    unittest.main()
