"""Files in memory of another interpreter pass CPython's own tests."""

import sys
import unittest
from test import test_memoryio
from unittest import mock

from .generic import add_suites


class StreamSetUp:

    def setUp(self):
        super().setUp()
        # A test puts there the class that it pickles objects of.
        self.enterContext(mock.patch.dict(sys.modules, __main__=self.main.cls))


def stream_suite(base, name):
    suite = type(base.__name__, (StreamSetUp, base), {})
    return suite, {'ioclass': name, 'main': '__main__'}


add_suites(globals(), {
    'BytesIOTest': stream_suite(test_memoryio.CBytesIOTest, 'io.BytesIO'),
    'StringIOTest': stream_suite(test_memoryio.CStringIOTest, 'io.StringIO'),
    'PyStringIOTest': stream_suite(test_memoryio.PyStringIOTest, '_pyio.StringIO'),
})


if __name__ == '__main__':
    unittest.main()
