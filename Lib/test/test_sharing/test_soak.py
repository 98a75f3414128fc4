"""A small fraction of the soak test; the parts are in soak.py."""

import unittest
from test.support import script_helper


class SoakTests(unittest.TestCase):

    def run_part(self, name):
        _, output, _ = script_helper.assert_python_ok(
            '-m', 'test.test_sharing.soak', '--scale', '0.02', '--limit', '240', name,
            __isolated=False)
        self.assertIn(f'{name}: ok'.encode(), output)

    def test_random_call_graphs_while_interpreters_close(self):
        self.run_part('call_graphs')

    def test_short_lived_threads_leave_nothing(self):
        self.run_part('short_lived_threads')

    def test_event_loops_call_each_others_objects(self):
        self.run_part('event_loops')

    def test_dropped_objects_end_whether_their_owner_runs_or_not(self):
        self.run_part('prompt_release')


if __name__ == '__main__':
    unittest.main()
