"""A signal while the main thread is in another interpreter, or in a call that came from there."""

import textwrap
import unittest
from test.support import requires_subprocess, script_helper

PRELUDE = '''\
    import faulthandler, os, signal, sys, threading, time
    faulthandler.dump_traceback_later(20, exit=True)
    from concurrent import interpreters
    from concurrent.interpreters import SharedObjectProxy
    from test.test_sharing import residents
    from test.test_sharing.residents import Box

    def there(source):
        """Return a proxy of a function of the other interpreter with that body."""
        return interp.call(residents.compiled, source)

    def soon(function, *args):
        def later():
            time.sleep(0.2)
            function(*args)
        thread = threading.Thread(target=later, daemon=True)
        thread.start()

    expecting = threading.Event()

    def interrupt():
        # On a busy machine starting the thread may take as long as its delay.
        expecting.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    def expect(error, function, *args):
        try:
            expecting.set()
            function(*args)
        except error as raised:
            return raised
        finally:
            expecting.clear()
        raise AssertionError(f'{error} was not raised')

    interp = interpreters.create()
    box = interp.call(residents.wrapped, Box, 5)
'''

BLOCKING = {
    'python': 'while True: pass',
    'sleep': 'import time; time.sleep(60)',
    'lock': 'import threading; l = threading.Lock(); l.acquire(); l.acquire()',
    'timed lock': 'import threading; l = threading.Lock(); l.acquire(); l.acquire(timeout=60)',
    'event': 'import threading; threading.Event().wait()',
    'read': 'import os; os.read(os.pipe()[0], 1)',
}


@requires_subprocess()
class SignalTests(unittest.TestCase):

    def run_code(self, code):
        return script_helper.assert_python_ok(
            '-c', textwrap.dedent(PRELUDE) + textwrap.dedent(code), __isolated=False,
            PYTHONFAULTHANDLER='1')

    def test_interrupt_of_whatever_runs_there(self):
        for name, source in BLOCKING.items():
            with self.subTest(name):
                self.run_code(f'''
                    run = there({source!r})
                    for _ in range(3):
                        soon(interrupt)
                        expect(KeyboardInterrupt, run)
                    assert box.value == 5
                    ''')

    def test_interrupt_in_exec_and_call(self):
        self.run_code('''
            for run in (interp.exec, lambda source: interp.call(residents.execute, source)):
                # (Debug builds of the base refuse code that has no end.)
                for source in ('spin = True\\nwhile spin: pass', 'import time; time.sleep(60)'):
                    soon(interrupt)
                    error = expect(KeyboardInterrupt, run, source)
                    assert isinstance(error.__cause__, interpreters.ExecutionFailed)
            ''')

    def test_interrupt_in_a_third_interpreter(self):
        self.run_code('''
            third = interpreters.create()
            second_box, run = box, third.call(residents.compiled, 'while True: pass')
            soon(interrupt)
            expect(KeyboardInterrupt, second_box.call, run)
            third.close()
            ''')

    def test_interrupt_of_what_was_called_back(self):
        self.run_code('''
            def back():
                time.sleep(60)
            soon(interrupt)
            expect(KeyboardInterrupt, box.call, back)
            ''')

    def test_interrupt_while_waiting_for_a_busy_interpreter(self):
        self.run_code('''
            thread = threading.Thread(target=there('while True: pass'), daemon=True)
            thread.start()
            time.sleep(0.1)
            soon(interrupt)
            def use():
                while True:
                    box.value
            expect(KeyboardInterrupt, use)
            os._exit(0)
            ''')

    def test_handler_runs_in_main_at_once(self):
        self.run_code('''
            seen = []
            def handler(number, frame):
                seen.append((number, interpreters.get_current().id, frame.f_code.co_name))
                flag.append(1)
            flag = []
            signal.signal(signal.SIGUSR1, handler)
            def wait():
                interp.call(residents.execute_with, 'while not flag: pass', SharedObjectProxy(flag))
            soon(os.kill, os.getpid(), signal.SIGUSR1)
            wait()
            assert [entry[:2] for entry in seen] == [(signal.SIGUSR1, 0)], seen
            ''')

    def test_what_a_handler_raises_is_raised_there(self):
        self.run_code('''
            def handler(number, frame):
                raise LookupError('from the handler')
            signal.signal(signal.SIGUSR1, handler)
            soon(os.kill, os.getpid(), signal.SIGUSR1)
            run = there("""
            import time
            try:
                time.sleep(60)
            except LookupError as error:
                raise ValueError(str(error))
            """)
            assert str(expect(ValueError, run)) == 'from the handler'
            ''')

    def test_handler_uses_the_interpreter_that_was_interrupted(self):
        self.run_code('''
            values = []
            def handler(number, frame):
                values.append(box.value)
                box.value = 6
            signal.signal(signal.SIGUSR1, handler)
            soon(os.kill, os.getpid(), signal.SIGUSR1)
            there('import time; time.sleep(0.5)')()
            assert values == [5] and box.value == 6
            ''')

    def test_simulated_interrupt_by_another_thread(self):
        self.run_code('''
            import _thread
            soon(_thread.interrupt_main)
            expect(KeyboardInterrupt, there('while True: pass'))
            ''')

    def test_other_threads_are_not_interrupted(self):
        self.run_code('''
            results = []
            run = there('import time; time.sleep(0.5)')
            thread = threading.Thread(target=lambda: results.append(run()))
            thread.start()
            soon(interrupt)
            expect(KeyboardInterrupt, time.sleep, 60)
            thread.join()
            assert results == [None]
            ''')

    def test_many_signals_while_crossing(self):
        self.run_code('''
            count = 0
            def handler(number, frame):
                global count
                count += 1
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline and count < 500:
                box.make(box).value.make()
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert count > 10, count
            ''')


if __name__ == '__main__':
    unittest.main()
