"""Debuggers, profilers and dumps while calls go from interpreter to interpreter."""

import cProfile
import os
import pstats
import subprocess
import sys
import textwrap
import threading
import traceback
import unittest
from concurrent.interpreters import SharedObjectProxy
from test.support import requires_subprocess, script_helper, threading_helper
from test.support.os_helper import temp_dir

from .support import add_directions


def function(name):
    """Return a proxy of a function of this module, as it is here."""
    return SharedObjectProxy(globals()[name])


def outermost(function, /, *args):
    return function(*args)


def innermost():
    return 1


def handling(function):
    """Call a function while an exception is handled."""
    try:
        raise KeyError('handled here')
    except KeyError:
        return function()


def current_frames():
    """The names of the functions that threads run in this interpreter, the innermost of each."""
    return tuple(frame.f_code.co_name for frame in sys._current_frames().values())


def current_exceptions():
    return tuple(repr(error) for error in sys._current_exceptions().values() if error)


def stack():
    """Which of these functions this thread runs in this interpreter."""
    return tuple(frame.name for frame in traceback.extract_stack()
                 if frame.name in ('outermost', 'stack'))


def traced(function, /, *args):
    """What a tracer here sees of this module's functions."""
    events = []

    def trace(frame, event, arg):
        if frame.f_code.co_filename == __file__ and event != 'line':
            events.append(f'{event} {frame.f_code.co_name}')
        return trace

    sys.settrace(trace)
    try:
        outermost(function, *args)
    finally:
        sys.settrace(None)
    return tuple(events)


def profiled(function, /, *args):
    """This module's functions in a profile made here, and how often each was called."""
    profile = cProfile.Profile()
    profile.runcall(outermost, function, *args)
    counts = {name: row[0] for (file, _, name), row in pstats.Stats(profile).stats.items()
              if file == __file__}
    return tuple(sorted(counts.items()))


def observed(function, /, *args):
    """What a profiler and sys.monitoring see here of outermost() and innermost(), and the result."""
    tool, events, codes = 4, sys.monitoring.events, (outermost.__code__, innermost.__code__)
    by_profiler, by_tool = [], []

    def profile(frame, event, arg):
        if frame.f_code in codes:
            by_profiler.append(f'{event} {frame.f_code.co_name}')

    def note(event):
        return lambda code, *args: by_tool.append(f'{event} {code.co_name}')

    sys.monitoring.use_tool_id(tool, 'test')
    sys.monitoring.register_callback(tool, events.PY_START, note('call'))
    sys.monitoring.register_callback(tool, events.PY_RETURN, note('return'))
    for code in codes:
        sys.monitoring.set_local_events(tool, code, events.PY_START | events.PY_RETURN)
    sys.setprofile(profile)
    try:
        result = outermost(function, *args)
    finally:
        sys.setprofile(None)
        for code in codes:
            sys.monitoring.set_local_events(tool, code, 0)
        sys.monitoring.free_tool_id(tool)
    return [event for event in by_profiler if 'c_' not in event], by_tool, result


class DebugTest:
    """Each interpreter sees its own frames, whatever its threads do elsewhere."""

    def there(self, name):
        return self.owner().call(function, name)

    def here(self, name):
        return self.caller().call(function, name)

    def test_current_frames(self):
        found = self.caller().call(outermost, self.there('current_frames'))
        self.assertIn('current_frames', found)
        self.assertNotIn('outermost', found)
        found = self.caller().call(outermost, self.there('outermost'), self.here('current_frames'))
        self.assertIn('current_frames', found)

    def test_current_frames_while_threads_run_elsewhere(self):
        there, running, stop = self.there('outermost'), threading.Event(), threading.Event()

        def spin():
            running.set()
            while not stop.is_set():
                there(len, 'a')
        with threading_helper.start_threads([threading.Thread(target=spin)], stop.set):
            running.wait()
            for _ in range(200):
                self.assertIn('current_frames', self.caller().call(current_frames))
                self.assertIn('current_frames', self.owner().call(current_frames))

    def test_current_exceptions(self):
        found = self.caller().call(handling, self.there('current_exceptions'))
        self.assertNotIn("KeyError('handled here')", found)

    def test_stack(self):
        self.assertEqual(self.caller().call(outermost, self.there('stack')), ('stack',))
        self.assertEqual(self.caller().call(outermost, self.there('outermost'), self.here('stack')),
                         ('outermost', 'stack'))

    def test_tracer(self):
        self.assertEqual(self.caller().call(traced, self.there('outermost'), self.here('innermost')),
                         ('call outermost', 'call innermost', 'return innermost', 'return outermost'))
        traced_there = self.there('traced')
        self.assertEqual(
            self.caller().call(traced, traced_there, self.here('outermost'), self.there('innermost')),
            ('call outermost', 'call outermost', 'return outermost', 'return outermost'))

    def test_profilers_and_monitoring_of_both_at_once(self):
        here = ['call outermost', 'call outermost', 'return outermost', 'return outermost']
        there = ['call outermost', 'call innermost', 'return innermost', 'return outermost']
        *seen_here, answer = self.caller().call(
            observed, self.there('observed'), self.here('outermost'), self.there('innermost'))
        *seen_there, result = answer
        self.assertEqual([seen_here, list(map(list, seen_there))], [[here] * 2, [there] * 2])
        self.assertEqual(result, 1)

    def test_profiler(self):
        found = dict(self.caller().call(profiled, self.there('outermost'), self.here('innermost')))
        self.assertEqual((found.get('outermost'), found.get('innermost')), (1, 1))


add_directions(globals(), DebugTest, across=True)


PROGRAM = '''
    import faulthandler
    from concurrent import interpreters
    from test.test_sharing import residents

    interp = interpreters.create()
    box = interp.call(residents.wrapped, residents.Box)
'''


def source(program):
    return textwrap.dedent(PROGRAM) + textwrap.dedent(program)


@requires_subprocess()
class ProgramTests(unittest.TestCase):
    """Whole programs, under a debugger or with faulthandler."""

    def debug(self, program, commands):
        """Return what pdb prints for the commands."""
        with temp_dir() as folder:
            script = script_helper.make_script(folder, 'program', source(program))
            result = subprocess.run(
                [sys.executable, '-m', 'pdb', script], input='\n'.join([*commands, 'q', '']),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                env=os.environ | {'PYTHON_COLORS': '0'})
        return result.stdout

    CALLS_BACK = '''
        def inner(number):
            result = number + 1
            return result

        def outer():
            return box.call(inner, 4)

        outer()
    '''

    def test_breakpoint_in_what_is_called_back(self):
        out = self.debug(self.CALLS_BACK, ['break inner', 'continue', 'where', 'next', 'p result * 11',
                                           'up', 'continue'])
        self.assertRegex(out, r'(?s)outer\(\)\n.*-> return box\.call\(inner, 4\)\n'
                              r'> .*inner\(\)\n-> result = number \+ 1\n')
        self.assertIn('(Pdb) 55\n', out)
        self.assertIn('The program finished', out)

    def test_stepping_through_another_interpreter(self):
        out = self.debug(self.CALLS_BACK, ['break outer', 'continue', 'step', 'step', 'step', 'p result',
                                           'continue'])
        self.assertIn('--Call--', out)
        self.assertIn('-> return result\n(Pdb) 5\n', out)

    def test_post_mortem_of_an_error_that_crossed(self):
        out = self.debug('''
            def inner(number):
                return number / 0

            box.call(inner, 4)
        ''', ['continue', 'where'])
        self.assertIn('ZeroDivisionError: division by zero', out)
        self.assertIn('-> box.call(inner, 4)', out)

    def test_fault_inside_a_call_from_another_interpreter(self):
        _, _, err = script_helper.assert_python_failure('-c', source('''
            faulthandler.enable()

            def fault():
                faulthandler._sigsegv()

            def outer():
                box.call(fault)

            outer()
        '''))
        self.assertRegex(err.decode(), r'(?s)Fatal Python error: Segmentation fault\n.* in fault\n'
                                       r'.* in outer\n.* in <module>\n')

    def test_dump_of_all_threads_meanwhile(self):
        _, _, err = script_helper.assert_python_ok('-c', source('''
            import threading

            def outer():
                box.call(faulthandler.dump_traceback)

            def wait():
                waiting.set()
                box.call(done.wait)

            waiting, done = threading.Event(), threading.Event()
            thread = threading.Thread(target=wait)
            thread.start()
            waiting.wait()
            outer()
            done.set()
            thread.join()
        '''))
        text = err.decode()
        self.assertRegex(text, r'(?s)Current thread .* in outer\n')
        self.assertRegex(text, r'(?s)Thread .* in wait\n')


if __name__ == '__main__':
    unittest.main()
