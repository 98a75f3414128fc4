"""Files in memory of another interpreter pass CPython's own tests."""

import unittest
from test import test_memoryio

from .generic import add_suites

add_suites(globals(), {
    'BytesIOTest': (test_memoryio.CBytesIOTest, {'ioclass': 'io.BytesIO'}),
    'StringIOTest': (test_memoryio.CStringIOTest, {'ioclass': 'io.StringIO'}),
    'PyStringIOTest': (test_memoryio.PyStringIOTest, {'ioclass': '_pyio.StringIO'}),
})


if __name__ == '__main__':
    unittest.main()
