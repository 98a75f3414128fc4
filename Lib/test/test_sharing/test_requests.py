"""Interpreter.call_soon(): asking without waiting."""

import threading
import unittest
from concurrent import interpreters
from concurrent.futures import CancelledError, wait
from concurrent.interpreters import InterpreterError, NotShareableError, SharedObjectProxy
from test.support import import_helper, script_helper, threading_helper

from . import residents
from .residents import Box, Log, wait_until
from .support import SMALL_STACK, SharingTestCase

_sharedobjects = import_helper.import_module('_sharedobjects')

TIMEOUT = 30


def add(a, b=0):
    return a + b


def fail(message):
    raise LookupError(message)


def make_box(value):
    from test.test_sharing.residents import Box
    return Box(value)


def thread_ident():
    import threading
    return threading.get_ident()


def stay_at_the_end_of_the_stack(log):
    """Run where there is no more stack for a call, until the log has an entry."""
    def deeper(_):
        try:
            return list(map(deeper, (1,)))
        except RecursionError:
            for _ in range(10_000):
                pass
    while not log:
        deeper(1)


class CallSoonTests(SharingTestCase):

    def setUp(self):
        super().setUp()
        self.addCleanup(threading_helper.threading_cleanup, *threading_helper.threading_setup())

    def test_result_of_an_idle_interpreter(self):
        future = self.sub.call_soon(add, 1, b=4)
        self.assertEqual(future.result(TIMEOUT), 5)
        self.assertTrue(future.done())

    def test_runs_in_the_interpreter(self):
        self.assertEqual(self.sub.call_soon(residents.current_id).result(TIMEOUT), self.sub.id)
        main = interpreters.get_main()
        self.assertEqual(main.call_soon(residents.current_id).result(TIMEOUT), 0)

    def test_result_that_is_not_native_is_a_proxy(self):
        box = self.sub.call_soon(make_box, 7).result(TIMEOUT)
        self.assertIs(type(box), SharedObjectProxy)
        self.assertEqual(box.value, 7)

    def test_arguments_that_are_proxies_are_unwrapped_at_home(self):
        box = self.sub.call(residents.wrapped, Box, 5)
        self.assertTrue(self.sub.call_soon(residents.same, box).result(TIMEOUT) is box)
        log = Log()
        self.sub.call_soon(residents.call, SharedObjectProxy(log), 'called').result(TIMEOUT)
        self.assertEqual(log.entries, [('called',)])

    def test_proxy_is_called_in_its_owner(self):
        identify = self.sub.call(residents.wrapped, residents.identifier)
        self.assertEqual(self.sub.call_soon(identify).result(TIMEOUT), self.sub.id)

    def test_exception_keeps_its_type(self):
        future = self.sub.call_soon(fail, 'not here')
        with self.assertRaisesRegex(LookupError, '^not here$'):
            future.result(TIMEOUT)

    def test_exit_and_interrupt_are_results_too(self):
        for error in (SystemExit, KeyboardInterrupt):
            future = self.sub.call_soon(residents.throw, error)
            self.assertIsInstance(future.exception(TIMEOUT), error)

    def test_what_cannot_cross_is_refused_at_once(self):
        with self.assertRaises(NotShareableError):
            self.sub.call_soon(add, threading.Lock())
        with self.assertRaises(TypeError):
            self.sub.call_soon()

    def test_what_cannot_be_called_is_an_error_of_the_future(self):
        self.assertIsInstance(self.sub.call_soon(5).exception(TIMEOUT), TypeError)

    def test_busy_interpreter_is_interrupted_for_it(self):
        stop, idents = [], []
        spinner = threading.Thread(
            target=lambda: idents.append(self.sub.call(residents.spin_while, SharedObjectProxy(stop))))
        with threading_helper.start_threads([spinner], unlock=lambda: stop.append(1)):
            futures = [self.sub.call_soon(thread_ident) for _ in range(50)]
            self.assertEqual(len(wait(futures, TIMEOUT).not_done), 0)
            self.assertEqual(idents, [])
        self.assertNotIn(threading.get_ident(), {future.result() for future in futures})

    def test_each_of_many_is_made_once(self):
        log = []
        shared = SharedObjectProxy(log)
        futures = [self.sub.call_soon(residents.append_to, shared, n) for n in range(100)]
        self.assertEqual(len(wait(futures, TIMEOUT).not_done), 0)
        self.assertEqual(sorted(log), list(range(100)))

    def test_thread_that_ends_is_not_interrupted_for_it(self):
        box = self.sub.call(residents.wrapped, Box)
        dying = []

        def leave_behind():
            box.set_local(self.sub.call(residents.wrapped, residents.Lingering,
                                        SharedObjectProxy(dying.append)))
        with threading_helper.start_threads([threading.Thread(target=leave_behind)]):
            self.assertTrue(wait_until(lambda: dying))
            caller = self.sub.call_soon(residents.release_lingering).result(TIMEOUT)
        self.assertNotEqual([caller], dying)

    def test_call_that_asks_again(self):
        future = self.sub.call_soon(ask_here, 5)
        self.assertEqual(future.result(TIMEOUT), 5)

    def test_call_that_started_cannot_be_cancelled(self):
        entered, leave = threading.Event(), threading.Event()

        def block():
            entered.set()
            leave.wait(TIMEOUT)
        future = self.sub.call_soon(residents.call, SharedObjectProxy(block))
        self.assertTrue(entered.wait(TIMEOUT))
        self.assertFalse(future.cancel())
        self.assertTrue(future.running())
        leave.set()
        future.result(TIMEOUT)

    def test_cancelled_call_is_never_made(self):
        main = interpreters.get_main()
        log = Log()

        def ask_and_cancel():
            # The main interpreter's only thread that runs cannot come to a safe point in between.
            future = main.call_soon(SharedObjectProxy(log), 'called')
            return future, future.cancel()
        for _ in range(20):
            future, cancelled = ask_and_cancel()
            if cancelled:
                with self.assertRaises(CancelledError):
                    future.result(TIMEOUT)
                break
            future.result(TIMEOUT)
            log.entries.clear()
        residents.safe_point()
        self.assertEqual(log.entries, [])

    def test_callbacks_of_the_future_run_in_the_asking_interpreter(self):
        where = []
        future = self.sub.call_soon(add, 1)
        future.add_done_callback(lambda _: where.append(residents.current_id()))
        future.result(TIMEOUT)
        self.assertTrue(wait_until(lambda: where))
        self.assertEqual(where, [0])

    def test_not_begun_in_an_interpreter_that_ends(self):
        interp = self.new_interpreter()
        taken, ending, answered = (threading.Event() for _ in range(3))
        called, outcomes = [], []

        def at_exit():
            ending.set()
            answered.wait(TIMEOUT)

        def reply(run):
            taken.set()
            ending.wait(TIMEOUT)
            outcomes.append(residents.attempt(run))
            answered.set()
        interp.prepare_main(at_exit=SharedObjectProxy(at_exit))
        interp.exec('import atexit; atexit.register(at_exit)')
        _sharedobjects._ask(interp.id, reply,
                            (residents.append_to, (SharedObjectProxy(called), 1), None))
        server = threading.Thread(target=_sharedobjects._serve, args=(interp.id,))
        closer = threading.Thread(target=interp.close)
        with threading_helper.start_threads([server]):
            self.assertTrue(taken.wait(TIMEOUT))
            with threading_helper.start_threads([closer]):
                pass
        self.assertEqual(called, [])
        self.assertEqual(outcomes[0][0], 'InterpreterError')

    def test_asked_of_an_interpreter_that_is_at_the_end_of_the_stack(self):
        stop = []
        spinner = threading.Thread(
            target=self.sub.call, args=(stay_at_the_end_of_the_stack, SharedObjectProxy(stop)))
        old = threading.stack_size(SMALL_STACK)
        with threading_helper.start_threads([spinner], unlock=lambda: stop.append(1)):
            threading.stack_size(old)
            futures = [self.sub.call_soon(add, 1) for _ in range(50)]
            self.assertEqual(len(wait(futures, TIMEOUT).not_done), 0)

    def test_interpreters_ask_each_other(self):
        other = self.new_interpreter()
        self.assertEqual(self.sub.call(ask_and_wait, other, 3), 3)

    def test_closed_interpreter_is_an_error(self):
        interp = self.new_interpreter()
        interp.close()
        with self.assertRaises(InterpreterError):
            interp.call_soon(add, 1)

    def test_asking_races_with_closing(self):
        # Each call is answered, one way or another.
        for _ in range(5):
            interp = self.new_interpreter()
            futures = []

            def ask():
                try:
                    while len(futures) < 100:
                        futures.append(interp.call_soon(add, 1))
                except InterpreterError:
                    pass
            with threading_helper.start_threads([threading.Thread(target=ask)]):
                self.assertTrue(wait_until(lambda: futures))
                self.assertTrue(wait_until(lambda: closed(interp)))
            self.assertEqual(len(wait(futures, TIMEOUT).not_done), 0)
            for future in futures:
                error = future.exception()
                self.assertTrue(error is None or isinstance(error, InterpreterError), error)


def closed(interp):
    try:
        interp.close()
    except interpreters.InterpreterNotFoundError:
        pass
    except InterpreterError:
        return False
    return True


def ask_here(value):
    from concurrent.interpreters import get_current
    return get_current().call_soon(int, value).result(30)


def ask_and_wait(interp, value):
    return interp.call_soon(int, value).result(30)


class ExitTests(unittest.TestCase):

    def test_process_ends_when_calls_are_done(self):
        result = script_helper.assert_python_ok('-c', '\n'.join([
            'from concurrent import interpreters',
            'interp = interpreters.create()',
            'for _ in range(10):',
            '    interp.call_soon(print, "called", flush=True)',
        ]), __isolated=False)
        # Free-threaded, one may print between the text and the end of the line of another.
        self.assertEqual(result.out.replace(b'\n', b''), b'called' * 10)


if __name__ == '__main__':
    unittest.main()
