"""Memory runs out in the middle of everything; the sweep is in nomemory.py."""

import unittest
from concurrent import interpreters
from test.support import import_helper, script_helper

import_helper.import_module('_testcapi')


class NoMemoryTests(unittest.TestCase):

    def test_every_allocation_may_fail(self):
        _, output, _ = script_helper.assert_python_ok(
            '-m', 'test.test_sharing.nomemory', '--quick', __isolated=False)
        self.assertIn(b' 0 bodies failed', output)

    def test_memory_error_in_a_session_is_an_error(self):
        interp = interpreters.create()
        self.addCleanup(interp.close)
        for use in (lambda: interp.call(run_out), lambda: interp.exec('raise MemoryError')):
            with self.assertRaisesRegex(interpreters.ExecutionFailed, 'MemoryError'):
                use()


def run_out():
    raise MemoryError


if __name__ == '__main__':
    unittest.main()
