"""Entering interpreters by proxy, by exec() and by call(), one inside the other."""

import threading
import unittest
from concurrent import interpreters
from concurrent.interpreters import DeadProxyError, ExecutionFailed, SharedObjectProxy
from test.support import import_helper, script_helper, threading_helper

from . import residents
from .residents import Box, Log, Witness, safe_point
from .support import SMALL_STACK, SharingTestCase, call_on_stack

_interpreters = import_helper.import_module('_interpreters')


class SessionTests(SharingTestCase):
    sub_count = 2

    def test_exec_inside_a_proxied_call(self):
        log = Log()
        first, second = self.subs
        box = first.call(residents.wrapped, Box)
        second.prepare_main(log=SharedObjectProxy(log))
        box.call(second.exec, 'log("second"); del log')
        self.assertEqual(log.entries, [('second',)])

    def test_exec_in_the_owner_inside_a_call_of_it(self):
        box = self.sub.call(residents.keep_made, 'box', Box, 1)
        box.call(self.sub.exec, 'from test.test_sharing import residents\n'
                                'residents.kept["box"].value += 1')
        self.assertEqual(box.value, 2)
        self.sub.call(residents.drop, 'box')

    def test_proxied_calls_inside_nested_sessions(self):
        log = Log()
        first, second = self.subs
        report = SharedObjectProxy(log)
        there = second.call(residents.wrapped, Box)
        # main > first (session) > second > main > second (session) > main
        first.prepare_main(there=there, report=report, deeper=SharedObjectProxy(
            lambda: second.call(report, 'deepest')))
        first.exec('report("in")\nthere.call(deeper)\nreport("out")\ndel there, deeper, report')
        self.assertEqual(log.entries, [('in',), ('deepest',), ('out',)])

    def test_session_after_proxied_calls_has_a_thread_state_of_its_own(self):
        box = self.sub.call(residents.wrapped, Box)
        before = box.next_local()
        self.sub.exec('import test.test_sharing.residents as residents\n'
                      'assert not hasattr(residents.local, "count")\n'
                      'residents.local.count = 100')
        self.assertEqual(box.next_local(), before + 1)

    def test_proxied_call_out_of_a_session_comes_back_to_its_thread_state(self):
        home = SharedObjectProxy(Box())
        self.sub.prepare_main(home=home)
        self.sub.exec('from test.test_sharing.residents import *\n'
                      'mine = SharedObjectProxy(Box())\n'
                      'assert mine.next_local() == 1\n'
                      'assert home.call(mine.next_local) == 2\n'
                      'assert mine.next_local() == 3\n'
                      'del home, mine')

    def test_proxy_of_an_ended_session_works_in_later_ones(self):
        self.sub.prepare_main(box=SharedObjectProxy(Box(1)))
        for i in range(1, 50):
            self.sub.exec(f'assert box.value == {i}; box.value = {i + 1}')
        self.sub.exec('del box')

    def test_error_in_a_nested_session_names_itself(self):
        self.sub.prepare_main(fail=SharedObjectProxy(lambda: 1 / 0))
        with self.assertRaisesRegex(ExecutionFailed, 'ZeroDivisionError'):
            self.sub.exec('fail()')
        self.sub.exec('del fail')

    def test_session_handles_an_error_that_came_from_main(self):
        self.sub.prepare_main(fail=SharedObjectProxy(lambda: {}['key']))
        self.sub.exec('try: fail()\n'
                      'except KeyError as exc: assert exc.args == ("key",)\n'
                      'else: assert False\n'
                      'del fail')

    def test_error_being_handled_is_not_seen_inside(self):
        box = self.sub.call(residents.wrapped, Box)
        try:
            raise KeyError('outside')
        except KeyError:
            self.assertEqual(box.exception(), 'None')
            self.assertEqual(box.call(Box().exception), "KeyError('outside')", 'home again')
            with self.assertRaises(ZeroDivisionError):
                box.call(lambda: 1 / 0)
            with self.assertRaisesRegex(KeyError, 'outside'):
                raise

    def test_threads_mix_sessions_and_proxied_calls(self):
        box = self.sub.call(residents.wrapped, Box)
        errors = []

        def use():
            try:
                for i in range(100):
                    if box.call(residents.Box, i).value != i:
                        errors.append(i)
            except BaseException as exc:
                errors.append(exc)
        with threading_helper.start_threads([threading.Thread(target=use) for _ in range(3)]):
            for _ in range(100):
                self.sub.exec('x = 1')
        self.assertEqual(errors, [])


class LegacyTests(SharingTestCase):
    """Interpreters that share main's GIL, or that others made."""

    sub_count = 1

    def legacy(self, config='legacy'):
        interp_id = _interpreters.create(config)
        self.addCleanup(self.destroy, interp_id)
        return interp_id

    def destroy(self, interp_id):
        try:
            _interpreters.destroy(interp_id)
        except interpreters.InterpreterNotFoundError:
            pass

    def run_there(self, interp_id, code, **names):
        _interpreters.set___main___attrs(interp_id, names)
        self.assertIsNone(_interpreters.run_string(interp_id, code))

    def test_every_kind_of_interpreter_uses_and_owns(self):
        for config in ('isolated', 'legacy'):
            with self.subTest(config):
                interp_id = self.legacy(config)
                box = Box(1)
                self.run_there(interp_id, HERE_AND_THERE, box=SharedObjectProxy(box))
                theirs = box.value
                self.assertEqual(interpreters.owner(theirs).id, interp_id)
                self.assertEqual(theirs.ask(lambda: 7), 7)
                self.assertEqual(self.sub.call(residents.call, theirs.ask,
                                               SharedObjectProxy(Box().__len__)), 1)
                _interpreters.destroy(interp_id)
                self.assertFalse(interpreters.is_alive(theirs))

    def test_shared_gil_owner_is_released_promptly(self):
        log = Log()
        interp_id = self.legacy()
        box = Box()
        self.run_there(interp_id, HERE_AND_THERE, box=SharedObjectProxy(box))
        box.value.ask(lambda: None)
        made = box.value.make(Witness, SharedObjectProxy(log))
        del made
        safe_point()
        self.assertEqual(len(log.wait()), 1)
        box.value = None

    def test_threads_between_interpreters_that_share_a_gil(self):
        interp_id = self.legacy()
        box = Box()
        self.run_there(interp_id, HERE_AND_THERE, box=SharedObjectProxy(box))
        theirs = box.value
        results = []

        def use():
            for i in range(100):
                results.append(theirs.ask(lambda: theirs.ask(lambda: i)) == i)
        with threading_helper.start_threads([threading.Thread(target=use) for _ in range(3)]):
            pass
        self.assertEqual(results, [True] * 300)
        box.value = None

    def test_close_of_a_shared_gil_owner_kills(self):
        interp_id = self.legacy()
        box = Box()
        self.run_there(interp_id, HERE_AND_THERE, box=SharedObjectProxy(box))
        theirs = box.value
        _interpreters.destroy(interp_id)
        with self.assertRaisesRegex(DeadProxyError, f'There.*interpreter {interp_id}'):
            theirs.ask(len)
        box.value = None


HERE_AND_THERE = '''
from concurrent.interpreters import SharedObjectProxy
class There:
    def ask(self, function):
        return function()
    def make(self, cls, *args):
        return cls(*args)
assert box.value == 1 or box.value is None
box.value = SharedObjectProxy(There())
del box
'''


class StackTests(SharingTestCase):

    def test_stack_limits_hold_in_every_interpreter(self):
        # Deep recursion in C, in an interpreter that was entered by proxy, on small stacks.
        box = self.sub.call(residents.wrapped, Box)
        for size in (0, SMALL_STACK):
            with self.subTest(size):
                self.assertIs(call_on_stack(size, residents.raised_by, box.call, deep_repr),
                              RecursionError)
        self.assertIs(residents.raised_by(box.call, deep_repr), RecursionError)

    def test_deep_recursion_in_one_interpreter_from_deep_in_another(self):
        box = self.sub.call(residents.wrapped, Box)

        def descend(depth):
            return descend(depth - 1) if depth else box.call(SharedObjectProxy(deep_repr))
        self.assertIs(residents.raised_by(descend, 100), RecursionError)
        self.assertEqual(len(box), 1)


def deep_repr():
    nested = []
    for _ in range(200_000):
        nested = [nested]
    try:
        return repr(nested)
    finally:
        while nested:
            nested = nested.pop()


class ManyInterpretersTests(unittest.TestCase):

    def test_one_thread_visits_many_interpreters(self):
        # In a child, for the memory; more of them than a thread remembers in place.
        script_helper.assert_python_ok('-c', '''if True:
            from concurrent import interpreters
            from test.test_sharing import residents
            interps = [interpreters.create() for _ in range(20)]
            boxes = [i.call(residents.wrapped, residents.Box, i.id) for i in interps]
            for round in range(1, 4):
                for interp, box in zip(interps, boxes):
                    assert box.value == interp.id
                    assert box.next_local() == round
            chain = residents.safe_point
            for box in boxes:
                chain = (lambda box, inner: lambda: box.call(inner))(box, chain)
            chain()
            for interp in interps[::2]:
                interp.close()
            for interp, box in list(zip(interps, boxes))[1::2]:
                assert box.next_local() == 4
                interp.close()
            assert not any(map(interpreters.is_alive, boxes))
            ''')


if __name__ == '__main__':
    unittest.main()
