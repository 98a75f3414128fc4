"""What the tests of sharing have in common: places to run in, and a check for leaks."""

import contextlib
import itertools
import threading
import time
import unittest
from concurrent import interpreters
from concurrent.futures import ThreadPoolExecutor
from test.support import check_sanitizer, threading_helper

from . import operations
from .residents import cells_live

#: A small stack for a thread, with room to destroy what died near its end.  ThreadSanitizer needs
#: part of a stack itself, and larger frames.
SMALL_STACK = 1 << 20 if check_sanitizer(thread=True) else 256 * 1024


class _Main:
    """The interpreter the tests run in, as a place to call functions in."""

    def call(self, function, /, *args, **kwargs):
        return function(*args, **kwargs)

    def __repr__(self):
        return 'main'


MAIN = _Main()


def settle(places, goal):
    """Give what was dropped time to be released; return how many cells are left.

    Stops as soon as there are not more than the goal.
    """
    for attempt in range(10):
        for place in places:
            if cells_live() <= goal:
                return cells_live()
            place.call(operations.collect)
        if attempt:
            time.sleep(0.01 * attempt)
    return cells_live()


def close(interp):
    """Close the interpreter; one that is closed already is fine."""
    try:
        interp.close()
    except interpreters.InterpreterNotFoundError:
        pass


def closes(interp):
    """Try to close the interpreter; return whether it was."""
    try:
        interp.close()
    except interpreters.InterpreterError:
        return False
    return True


def call_on_stack(size, function, /, *args):
    """Call it in a thread with a stack of that size; return what it returns, or raise what it raises."""
    old = threading.stack_size(size)
    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(function, *args).result()
    finally:
        threading.stack_size(old)


@contextlib.contextmanager
def used_by_threads(use, until, *, times=None):
    """Let three threads call a function, again and again until it raises `until`, or so many times.

    Gives a list, which has the other errors when the block has ended.
    """
    errors = []
    running = threading.Semaphore(0)

    def run():
        running.release()
        try:
            for _ in itertools.count() if times is None else range(times):
                use()
        except until:
            pass
        except BaseException as exc:
            errors.append(exc)
    threads = [threading.Thread(target=run) for _ in range(3)]
    with threading_helper.start_threads(threads):
        for _ in threads:
            running.acquire()
        yield errors


class SharingTestCase(unittest.TestCase):
    """A test that leaves no cells behind, and has interpreters to work with.

    self.subs are as many interpreters as the class asks for by sub_count;
    the tests of a class have them in common.  self.sub is the first one.
    """

    sub_count = 1

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        before = interpreters.list_all()
        cls.addClassCleanup(cls._check_interpreters, before)
        cls.subs = [interpreters.create() for _ in range(cls.sub_count)]
        for sub in cls.subs:
            cls.addClassCleanup(close, sub)
        cls.sub = cls.subs[0] if cls.subs else None

    @classmethod
    def _check_interpreters(cls, before):
        left = set(interpreters.list_all()) - set(before)
        if left:
            raise AssertionError(f'{cls.__name__} left interpreters: {left}')

    def setUp(self):
        super().setUp()
        # The last thing that a test does.
        self.addCleanup(self._check_cells, cells_live())

    def _check_cells(self, before):
        # What failed holds tracebacks, and they hold proxies.
        if self._outcome.success:
            left = settle([MAIN, *self.subs], before)
            self.assertLessEqual(left, before, 'cells are left behind')

    def new_interpreter(self):
        """Return an interpreter for this test alone; the test may close it."""
        interp = interpreters.create()
        self.addCleanup(close, interp)
        return interp

    def share_from(self, place, source):
        """Return a proxy of what the source text makes in the place.

        The names in it are those of the operations module.  In the place
        itself this is the object, of course; SharedObjectProxy() wraps it.
        """
        return place.call(operations.wrapped, source)


#: (name, owner, caller): the ways to cross, as functions of a test case with two subs.
DIRECTIONS = (
    ('SameInterpreter', lambda test: MAIN, lambda test: MAIN),
    ('MainToSub', lambda test: test.subs[0], lambda test: MAIN),
    ('SubToMain', lambda test: MAIN, lambda test: test.subs[0]),
    ('SubToSub', lambda test: test.subs[0], lambda test: test.subs[1]),
)


def add_directions(namespace, base, *, across=False, subs=2):
    """Add a test case to a module for each direction, or for each that is across interpreters.

    The base has the tests, as a class that is no test case itself; they call
    self.owner() and self.caller() for the places.
    """
    for name, owner, caller in DIRECTIONS[across:]:
        cls = type(name + base.__name__, (base, SharingTestCase), dict(
            __doc__=f'{base.__name__}, {name}.', __module__=base.__module__,
            sub_count=subs, owner=owner, caller=caller))
        namespace[cls.__name__] = cls
