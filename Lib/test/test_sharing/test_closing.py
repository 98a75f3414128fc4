"""Closing an interpreter while others come, pass through, or hold on to it."""

import threading
import time
import unittest
from concurrent import interpreters
from concurrent.interpreters import InterpreterError, SharedObjectProxy
from test.support import threading_helper

from . import residents
from .residents import Box, Log, wait_until
from .support import SharingTestCase, closes, used_by_threads

CLOSED = (InterpreterError, interpreters.DeadProxyError)


class PassingThroughTests(SharingTestCase):
    """What releases or answers is not a call, and close() waits for it."""

    def test_close_waits_for_a_destructor_that_another_thread_runs(self):
        interp = self.new_interpreter()
        started, log = threading.Event(), Log()

        def linger(*entry):
            started.set()
            time.sleep(0.2)
            log(*entry)
        proxies = [interp.call(residents.wrapped, residents.Witness, SharedObjectProxy(linger))]

        def drop():
            proxies.clear()
            residents.safe_point()
        with threading_helper.start_threads([threading.Thread(target=drop)]):
            self.assertTrue(started.wait(30))
            interp.close()
            self.assertEqual(log.entries, [('gone', interp.id)])

    def test_callback_of_a_future_closes_the_interpreter(self):
        # Whoever served the request, and whether it went well or not.
        for call in (residents.safe_point, residents.same):
            for busy in (False, True):
                interp = interpreters.create()
                stop, done = [], threading.Event()
                spinners = [threading.Thread(
                    target=lambda: interp.call(residents.spin_while, SharedObjectProxy(stop)))]

                def close(future):
                    stop.append(1)
                    for spinner in spinners[:busy]:
                        spinner.join()
                    interp.close()
                    done.set()
                with self.subTest(call=call, busy=busy):
                    with threading_helper.start_threads(spinners[:busy]):
                        interp.call_soon(call).add_done_callback(close)
                        self.assertTrue(done.wait(30))
                    self.assertNotIn(interp, interpreters.list_all())

    def test_close_while_a_request_is_served_counts_it_as_a_call(self):
        interp = self.new_interpreter()
        inside, go_on = threading.Event(), threading.Event()

        def stay():
            inside.set()
            return go_on.wait(30)
        future = interp.call_soon(residents.call, SharedObjectProxy(stay))
        self.assertTrue(inside.wait(30))
        with self.assertRaisesRegex(InterpreterError, '1 call is running'):
            interp.close()
        go_on.set()
        self.assertIs(future.result(30), True)
        interp.close()


class RaceTests(SharingTestCase):

    ROUNDS, USES = 15, 300

    def race(self, interp, use):
        """Let three threads use the interpreter while it is closed; return what went wrong."""
        with used_by_threads(use, CLOSED, times=self.USES) as errors:
            self.assertTrue(wait_until(lambda: closes(interp)))
        return errors

    def test_close_races_with_exec_and_call(self):
        for use in (lambda: interp.exec('x = 1'), lambda: interp.call(residents.safe_point)):
            for _ in range(self.ROUNDS):
                interp = interpreters.create()
                self.assertEqual(self.race(interp, lambda: self.tries(use)), [])

    @staticmethod
    def tries(use):
        """One at a time: others are refused."""
        try:
            use()
        except InterpreterError as exc:
            if 'running' not in str(exc):
                raise

    def test_close_races_with_proxies_and_drops(self):
        for _ in range(self.ROUNDS):
            interp = interpreters.create()
            box = interp.call(residents.wrapped, Box)
            self.assertEqual(self.race(interp, lambda: box.make(Box()).make()), [])

    def test_close_races_with_buffers(self):
        # Whoever got one keeps the interpreter open.
        for _ in range(100):
            interp = interpreters.create()
            array = interp.call(residents.wrapped, bytearray, b'held')
            views = []
            with used_by_threads(lambda: views.append(memoryview(array)), CLOSED, times=1) as errors:
                closed = closes(interp)
            self.assertEqual(errors, [])
            self.assertEqual([bytes(view) for view in views], [b'held'] * len(views))
            self.assertFalse(closed and views)
            while views:
                views.pop().release()
            if not closed:
                interp.close()

    def test_refused_close_may_be_tried_again(self):
        interp = self.new_interpreter()
        box = interp.call(residents.wrapped, Box)
        held = memoryview(interp.call(residents.wrapped, bytearray, b'held'))
        for _ in range(3):
            with self.assertRaisesRegex(InterpreterError, '1 of its buffers'):
                interp.close()
            self.assertEqual(len(box), 1)
            interp.exec('x = 1')
        held.release()
        interp.close()

    def test_refused_close_refuses_nobody_else(self):
        interp = self.new_interpreter()
        box = interp.call(residents.wrapped, Box)
        held = memoryview(interp.call(residents.wrapped, bytearray, b'held'))

        def use():
            box.make()
            self.tries(lambda: interp.exec('x = 1'))
        with used_by_threads(use, (), times=self.USES) as errors:
            for _ in range(200):
                self.assertFalse(closes(interp))
        self.assertEqual(errors, [])
        held.release()


class AtExitTests(SharingTestCase):
    """While it closes, an interpreter's own threads and callbacks are still at home."""

    def test_atexit_callback_calls_out_and_is_called_back(self):
        interp = self.new_interpreter()
        seen = []

        def look(box):
            seen.append((box.value, box.make(2).value))
        interp.prepare_main(look=SharedObjectProxy(look))
        interp.exec('import atexit\n'
                    'from concurrent.interpreters import SharedObjectProxy\n'
                    'from test.test_sharing.residents import Box\n'
                    'atexit.register(lambda: look(SharedObjectProxy(Box(1))))')
        interp.close()
        self.assertEqual(seen, [(1, 2)])

    def test_new_callers_are_refused_while_atexit_runs(self):
        interp = self.new_interpreter()
        box = interp.call(residents.wrapped, Box)
        in_atexit, answers = threading.Event(), []

        def wait_for_answers():
            in_atexit.set()
            wait_until(lambda: len(answers) == 3)
        interp.prepare_main(wait=SharedObjectProxy(wait_for_answers))
        interp.exec('import atexit; atexit.register(wait)')

        def use():
            in_atexit.wait(30)
            for attempt in (lambda: len(box), lambda: interp.exec('x = 1'), interp.close):
                answers.append(residents.raised_by(attempt))
        with threading_helper.start_threads([threading.Thread(target=use)]):
            interp.close()
        self.assertEqual(answers, [interpreters.DeadProxyError, InterpreterError,
                                   InterpreterError])


if __name__ == '__main__':
    unittest.main()
