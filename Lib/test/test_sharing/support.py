"""What the tests of sharing have in common: places to run in, and a check for leaks."""

import gc
import time
import unittest
from concurrent import interpreters

from . import operations


class _Main:
    """The interpreter the tests run in, as a place to call functions in."""

    def call(self, function, /, *args, **kwargs):
        return function(*args, **kwargs)

    def __repr__(self):
        return 'main'


MAIN = _Main()


def cells_live():
    return interpreters.share_stats()['cells_live']


def settle(places, goal):
    """Give what was dropped time to be released; return how many cells are left.

    Stops as soon as there are not more than the goal.
    """
    for attempt in range(10):
        for place in places:
            if cells_live() <= goal:
                return cells_live()
            place.call(gc.collect)
        if attempt:
            time.sleep(0.01 * attempt)
    return cells_live()


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
            cls.addClassCleanup(sub.close)
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
        self.addCleanup(self._close, interp)
        return interp

    def _close(self, interp):
        try:
            interp.close()
        except interpreters.InterpreterNotFoundError:
            pass

    def share_from(self, place, source):
        """Return a proxy of what the source text makes in the place.

        The names in it are those of the operations module.  In the place
        itself this is the object, of course; SharedObjectProxy() wraps it.
        """
        return place.call(operations.wrapped, source)

    def subtests(self, table):
        """Iterate over a table, each row in a subTest of its own."""
        for row in table:
            with self.subTest(row):
                yield row


def directions(main=MAIN):
    """Yield (name, owner, caller) of the four ways to cross, given two interpreters.

    The owner and the caller are functions of a test case with two subs.
    """
    yield 'same interpreter', (lambda test: main), (lambda test: main)
    yield 'main to sub', (lambda test: test.subs[0]), (lambda test: main)
    yield 'sub to main', (lambda test: main), (lambda test: test.subs[0])
    yield 'sub to sub', (lambda test: test.subs[0]), (lambda test: test.subs[1])
