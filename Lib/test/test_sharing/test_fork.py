"""fork() in the main interpreter while there are others; exec and subprocesses."""

import textwrap
import unittest
from test.support import requires_fork, requires_subprocess, script_helper

PRELUDE = '''\
    import os, subprocess, sys, threading, time, traceback
    from concurrent import interpreters
    from concurrent.interpreters import *
    from test.test_sharing import residents
    from test.test_sharing.residents import Box

    def in_child(function):
        """Run the function in a forked child; it must not fail."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                function()
                sys.stdout.flush()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == 0, code

    interp = interpreters.create()
    theirs = interp.call(residents.wrapped, Box, 5)
    mine = Box(7)
    shared = SharedObjectProxy(mine)
    interp.call(residents.keep, 'mine', shared)

    def start_inside():
        """Start a thread that runs Python in the other interpreter, and one that waits there."""
        kept = interp.call(residents.wrapped, residents.everything_kept)
        inside, leave = threading.Event(), threading.Event()

        def block():
            inside.set()
            leave.wait(60)
        spin = interp.call(residents.wrapped, residents.spinner)
        for target, *args in ((spin,), (theirs.call, block)):
            threading.Thread(target=target, args=args, daemon=True).start()
        inside.wait(60)
        while 'spinning' not in kept:
            time.sleep(0.01)
'''

CHECKS = '''\
    assert not is_alive(theirs)
    assert repr(theirs) == ("<dead proxy of a 'Box' object of interpreter "
                            f"{interp.id}: its owner did not survive a fork>"), repr(theirs)
    for use in (len, lambda p: p.value, lambda p: p.call(len, ())):
        try:
            use(theirs)
        except DeadProxyError:
            pass
        else:
            assert False
    assert is_alive(shared) and shared.value == 7 and SharedObjectProxy(mine) is shared
    assert interpreters.list_all() == [interpreters.get_main()]
'''


def source(*parts):
    return '\n'.join(textwrap.dedent(part) for part in parts)


def function(body):
    return 'def child():\n' + textwrap.indent(
        'global theirs, shared, interp\n' + textwrap.dedent(body), '    ')


def run_code(*parts):
    return script_helper.assert_python_ok(
        '-W', 'ignore', '-c', source(PRELUDE, *parts), __isolated=False, PYTHONFAULTHANDLER='1')


@requires_fork()
class ForkTests(unittest.TestCase):

    def run_in_child(self, body, before='', after=''):
        run_code(before, function(body), 'in_child(child)', after)

    def test_objects_of_main_live_and_others_are_dead(self):
        self.run_in_child(CHECKS, after='assert theirs.value == 5 and shared.value == 7')

    def test_threads_inside_other_interpreters(self):
        self.run_in_child(CHECKS, before='start_inside()', after='os._exit(0)')

    def test_threads_that_cross_all_the_time(self):
        run_code('''
            def cross():
                while not done:
                    with ShareScope() as scope:
                        theirs.make(scope.share(Box())).value.make()
                        interp.call_soon(int)
            done = []
            threads = [threading.Thread(target=cross) for _ in range(3)]
            for thread in threads:
                thread.start()
            ''', function(CHECKS), '''
            for _ in range(20):
                in_child(child)
            done.append(1)
            for thread in threads:
                thread.join()
            ''')

    def test_child_makes_interpreters_and_shares(self):
        self.run_in_child('''
            interp = interpreters.create()
            box = interp.call(residents.wrapped, Box, 6)
            assert box.value == 6
            assert interp.call(residents.call, SharedObjectProxy(mine.make), 8).value == 8
            assert interp.call_soon(pow, 2, 3).result(60) == 8
            assert interp.id in [entry.owner_id for entry in shared_objects()]
            del box
            interp.close()
            ''', before='start_inside()', after='os._exit(0)')

    def test_messages_in_queues_survive_as_far_as_their_owners_do(self):
        self.run_in_child('''
            assert queue.get() is mine
            assert not is_alive(queue.get())
            ''', before='''
            queue = interpreters.create_queue()
            queue.put(shared)
            queue.put(theirs)
            ''')

    def test_dropping_and_releasing_what_is_dead(self):
        self.run_in_child('''
            before = share_stats()['cells_live']
            release(theirs)
            del theirs
            residents.safe_point()
            assert share_stats()['cells_live'] == before - 1
            ''', before='start_inside()', after='os._exit(0)')

    def test_scopes_survive(self):
        self.run_in_child('''
            assert proxy.value == 7 and not is_alive(other)
            scope.close()
            assert not is_alive(proxy)
            with ShareScope() as another:
                assert another.share(mine).value == 7
            ''', before='''
            scope = ShareScope()
            proxy = scope.share(mine)
            other = scope.share(theirs)
            ''', after='assert proxy.value == 7 and other.value == 5; scope.close()')

    def test_call_that_was_asked_for_fails_in_the_child(self):
        self.run_in_child('''
            try:
                future.result(60)
            except InterpreterError:
                pass
            else:
                assert False
            ''', before='''
            InterpreterError = interpreters.InterpreterError
            from unittest import mock
            # Without a helper, nobody comes.
            with mock.patch('threading.Thread.start', autospec=True) as start:
                future = interp.call_soon(int)
            ''', after='''
            [helper] = start.call_args.args
            helper.run()
            assert future.result(60) == 0
            ''')

    def test_fork_in_the_child(self):
        self.run_in_child('in_child(lambda: None); assert shared.value == 7')

    def test_child_ends_normally(self):
        result = run_code('''
            start_inside()
            pid = os.fork()
            if pid:
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
                os._exit(0)
            sys.exit(3)
            ''')
        self.assertEqual(result.err, b'')

    def test_fork_inside_a_call_is_refused(self):
        run_code('''
            def try_to_fork():
                for fork in (os.fork, os.forkpty):
                    try:
                        fork()
                    except RuntimeError as error:
                        assert 'inside a call' in str(error), error
                    else:
                        os._exit(3)
                return 'refused'
            assert theirs.call(try_to_fork) == 'refused'
            assert interp.call(residents.call, SharedObjectProxy(try_to_fork)) == 'refused'
            in_child(lambda: None)
            ''')


@requires_subprocess()
class ProcessTests(unittest.TestCase):

    def test_subprocess(self):
        # Also from inside a call: nothing of Python runs in the child.
        run_code('''
            start_inside()
            def run():
                command = [sys.executable, '-c', 'print(5)']
                return subprocess.run(command, capture_output=True, check=True).stdout.strip()
            assert run() == b'5' == theirs.call(run)
            os._exit(0)
            ''')

    @requires_fork()
    def test_subprocess_with_a_function_before_exec(self):
        run_code('''
            start_inside()
            command = [sys.executable, '-c', 'import os; print(os.getcwd())']
            output = subprocess.run(command, capture_output=True, check=True,
                                    preexec_fn=lambda: os.chdir('/')).stdout
            assert output.strip() == b'/'
            os._exit(0)
            ''')

    def test_exec_while_threads_are_inside(self):
        result = run_code('''
            start_inside()
            os.execv(sys.executable, [sys.executable, '-c', 'print("replaced")'])
            ''')
        self.assertEqual(result.out.strip(), b'replaced')

    def test_exec_from_inside_a_call(self):
        result = run_code('''
            theirs.call(os.execv, sys.executable,
                        (sys.executable, '-c', 'print("replaced")'))
            ''')
        self.assertEqual(result.out.strip(), b'replaced')

    @requires_fork()
    def test_multiprocessing(self):
        for method in ('fork', 'forkserver', 'spawn'):
            with self.subTest(method):
                result = run_code(f'''
                    import multiprocessing
                    if __name__ == '__main__':
                        context = multiprocessing.get_context({method!r})
                        with context.Pool(2) as pool:
                            print(pool.map(abs, [-1, -2]), theirs.value, shared.value)
                    ''')
                self.assertEqual(result.out.strip(), b'[1, 2] 5 7')


if __name__ == '__main__':
    unittest.main()
