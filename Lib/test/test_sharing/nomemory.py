"""Let every allocation fail once, in every body, and look whether everything still works.

    python -m test.test_sharing.nomemory [--list] [--quick] [--rounds N] [BODY...]

A body is some use of proxies.  For n = 0, 1, 2... it is run with the n-th allocation failing, and
with all from the n-th on failing, until it makes no more of them.  Each time it must succeed or raise
MemoryError (or what its decorator names), and afterwards all interpreters must work as before and
the cells be what they were.  With many rounds, memory must not grow in every one of them.

Runs in a process of its own: a failure can be a crash, or a hang.
"""

import argparse
import contextlib
import concurrent.interpreters as interpreters
import ctypes
import faulthandler
import gc
import pickle
import sys
import threading
import traceback

import _testcapi
from concurrent.interpreters import ShareScope, SharedObjectProxy, share

from . import residents
from .residents import Box, cells_live
from .subjects import Color
from .support import close


BODIES = {}

#: Where assertions of the base do not reckon with what could not be allocated, on debug builds.
CRASH_DEBUG_BUILDS = {
    'group',                    # BaseExceptionGroup_new()
    'session_calls',            # _pop_preserved(): a failure has a message
    'session_calls_by_copy',
    'session_that_fails',       # _Py_Dealloc(): list.append() in Python code has saved the stack
    'census',
    'session_that_executes',    # verify_script(): code that is not stateless is not what failed
}


def body(*documented, quick=False, around=contextlib.nullcontext, step=1):
    """Register a body; it may end with these errors, besides MemoryError.

    Memory fails inside the context that `around` makes for each run.  Of a body that takes long, each
    round lets only every step-th allocation fail, and the next round the ones after those.
    """
    def register(function):
        function.documented = (MemoryError, *documented)
        function.quick, function.around, function.step = quick, around, step
        BODIES[function.__name__] = function
        return function
    return register


class World:
    """What bodies use: two interpreters, a proxy of a Box in each, one of an enum's member."""

    def __init__(self):
        self.subs = [interpreters.create() for _ in range(2)]
        self.boxes = [sub.call(residents.wrapped, Box) for sub in self.subs]
        self.box, self.other = self.boxes
        self.home = Box()
        self.mine = SharedObjectProxy(self.home)
        self.red = self.subs[0].call(residents.wrapped, Color, 1)
        self.queue = interpreters.create_queue()
        for sub in self.subs:
            sub.call(residents.be_quiet)

    def close(self):
        for sub in self.subs:
            sub.close()

    def works(self):
        """Use everything; raise if something does not answer as it should."""
        for box in self.boxes:
            box.value = 7
            assert box.call(len, box) == 1 and box.value == 7
            assert box.call(self.mine.call, box.call, len, self.mine) == 1
            box.value = None
        self.home.value = None
        assert len(self.mine) == 1
        gc.collect()
        for sub in self.subs:
            sub.call(gc.collect)

    def blocks(self):
        """Return how much memory is in use: blocks of Python's, and bytes of the C library's."""
        self.works()
        return sys.getallocatedblocks(), malloced()


class MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                'arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost'
                .split()]


def malloced():
    """Return the bytes that the C library has given out, if it can tell."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo.restype = MallInfo
    return mallinfo().uordblks


class Failure(Exception):
    pass


class Sweep:
    """The sweep of one body."""

    ROUNDS_TO_JUDGE = 16

    def __init__(self, world, function):
        self.world, self.function = world, function
        self.injected = self.refused = 0

    def watch(self):
        """End the process, with all stacks, if what follows takes five minutes."""
        faulthandler.dump_traceback_later(300, exit=True)

    def run(self, rounds):
        self.watch()
        with contextlib.suppress(self.function.documented):
            self.call()
        self.world.works()
        self.cells = cells_live()
        growths = []
        for number in range(rounds):
            before = self.world.blocks()
            self.watch()
            self.run_once(number % self.function.step)
            growths.append([b - a for a, b in zip(before, self.world.blocks())])
        self.check_growth(growths)

    def check_growth(self, growths):
        """Caches fill, so it takes some rounds to see a leak: one that is in each of them."""
        if len(growths) >= self.ROUNDS_TO_JUDGE:
            blocks, size = map(min, zip(*growths))
            if blocks > 16 + self.injected / len(growths) / 4 or size > 0:
                raise Failure(f'{self.function.__name__} leaks: {growths}')

    def run_once(self, first):
        step = self.function.step
        count = first
        while self.inject(count, 0):
            count += step
        for n in range(first, count, step):
            self.inject(n, n + 1)

    def call(self, before=lambda: None):
        """Run the body; leave in `exhausted` whether memory had run out for good at its end."""
        with self.function.around() as made:
            args = () if made is None else (made,)
            before()
            try:
                self.function(self.world, *args)
            finally:
                self.exhausted = is_exhausted()
                _testcapi.remove_mem_hooks()

    def inject(self, start, stop):
        """Run the body with allocations failing; return whether it came to the first of them."""
        self.injected += 1
        where = f'{self.function.__name__}, allocation {start}{"" if stop else " and all after it"}'
        refused = False
        try:
            self.call(lambda: _testcapi.set_nomemory(start, stop))
        except self.function.documented as exc:
            refused = isinstance(exc, MemoryError)
        except BaseException as exc:
            raise Failure(where) from exc
        self.refused += refused
        try:
            self.check_cells()
        except BaseException as exc:
            raise Failure(f'after {where}') from exc
        return refused or self.exhausted

    def check_cells(self):
        if cells_live() != self.cells:
            self.world.works()
            assert cells_live() == self.cells, f'{cells_live()} cells, not {self.cells}'


def is_exhausted():
    try:
        bytes(2_000)
    except MemoryError:
        return True
    return False


# Bodies: values

VALUES = {
    'none': None,
    'small_int': 5,
    'int': 1 << 40,
    'large_int': 1 << 5_000,
    'float': 1.5,
    'complex': 1j,
    'short_text': 'a word',
    'text': 'words \N{SNOWMAN} ' * 50,
    'long_text': 'x' * 50_000,
    'bytes': b'bytes',
    'more_bytes': b'bytes' * 100,
    'many_bytes': b'bytes' * 10_000,
    'tuple': (1, 'two', (3.0, b'four' * 40, ()), None),
    'wide_tuple': tuple(range(1_000, 1_020)),
    'frozenset': frozenset(['a', 1 << 40, (2.5,)]),
    'slice': slice(1 << 40, None, 3),
    'range': range(1, 1 << 40, 7),
    'class': int,
    'wrapped': [1, 2, 3],
    'wrapped_in_tuple': ([], ({}, set()), 'x' * 100),
    'memoryview': memoryview(b'view'),
}


def _add_values():
    for name, value in VALUES.items():
        def cross(world, value=value):
            world.box.call(world.other.call, residents_same, value)
        cross.__name__ = f'cross_{name}'
        body(quick=name in ('text', 'frozenset', 'wrapped_in_tuple'))(cross)


residents_same = SharedObjectProxy(residents.same)
_add_values()


class Knows:
    def __share__(self):
        return 'known', (1 << 40, SharedObjectProxy(self))


# Bodies: uses

@body(quick=True)
def share_and_drop(world):
    proxy = share(Box())
    proxy.value = proxy
    proxy.value = None
    interpreters.is_alive(SharedObjectProxy(5))


@body(quick=True)
def make_there(world):
    made = world.box.make(world.home)
    made.value.value = world.other.make(made)
    world.home.value = None


@body()
def home_and_back(world):
    assert world.box.call(residents_same, world.mine) is world.home
    assert world.mine.call(residents_same, world.box) is world.box


@body()
def know_how_to_share(world):
    world.box.call(world.mine.call, len, share(Knows()))
    world.box.value = Knows()
    world.box.value = None


@body(quick=True)
def attributes(world):
    box = world.box
    box.some_attribute = (1, 'x' * 100)
    assert box.some_attribute[0] == 1
    assert hasattr(box, 'some_attribute') and not hasattr(box, 'no_attribute')
    del box.some_attribute
    box.__class__, box.__dict__, dir(box), repr(box), str(box), hash(box)


@body()
def new_names(world):
    new_names.count += 1
    try:
        getattr(world.box, f'name_{new_names.count % 3_000}')
    except AttributeError:
        pass


new_names.count = 0


@body()
def keyword_calls(world):
    world.box.set(value=world.box.make(value=('value' * 20, [])))
    world.box.set(value=None)


@body()
def containers(world):
    made = world.box.call(list, (3, 1, 2))
    made.append([4])
    made[0] = 5
    made[1:2] = (7, 8)
    made += (1,)
    del made[3]
    5 in made, list(made), made == made, bool(made), len(made), made * 2
    reversed(made), sorted(made[:2])


@body()
def iterate(world):
    for item in world.box.call(iter, (1, 'two', world.mine, [])):
        pass


@body()
def numbers(world):
    made = world.box.call(SharedObjectProxy, 1 << 80)
    made + 1, 1 + made, made * made, divmod(made, 7), pow(made, 3, 11), -made, ~made
    int(made), float(made), round(made, -2), made < 3, 3 < made, f'{made:>50}'


@body()
def context_manager(world):
    manager = world.box.call(share, world.box)
    with share([]) as proxy:
        world.box.value = proxy
        world.box.value = None


@body()
def copies(world):
    import copy
    made = world.box.call(list, ('a', 'b'))
    copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))


@body()
def weak_references(world):
    import weakref
    gone = []
    made = world.box.make()
    watch = weakref.ref(made, gone.append)
    del made


@body(quick=True)
def buffers(world):
    held = world.box.call(bytearray, b'held')
    with memoryview(held) as view:
        assert view[1:3] == b'el' and bytes(view) == b'held'
        assert world.other.call(len, view) == 4


@body()
def classes(world):
    from collections.abc import Sized, Callable
    assert isinstance(world.box, Box) and isinstance(world.box, Sized)
    assert not callable(world.box) and not isinstance(world.box, Callable)
    cls = world.box.__class__
    type_there = world.box.call(type, world.other)
    issubclass(cls, Sized), type_there.__name__


@body()
def operands_in_kind(world):
    made = world.box.call(list, (1, 2))
    assert made == [1, 2] and [1, 2] == made and made < [3]
    assert made + [3] == [1, 2, 3]
    mapped = world.box.call(dict, (('a', 1),))
    assert mapped | {'b': 2} == {'a': 1, 'b': 2} and mapped == {'a': 1}
    assert world.red == Color.RED and Color.RED == world.red and world.red != Color.GREEN


@body(interpreters.NotShareableError, quick=True)
def copies_that_cross(world):
    made = world.box.call(list, ('a', 'b'))
    assert interpreters.materialize(made) == ['a', 'b']
    world.box.call(len, interpreters.dont_share([1, world.mine]))
    world.other.call(world.box.call, residents_same, interpreters.Rebuild(Box, world.mine))


async def answer(value):
    return value


@body()
def coroutines(world):
    made = world.box.call(world.mine.call, answer, world.other)
    try:
        made.send(None)
    except StopIteration as stop:
        assert stop.value is world.other
    finally:
        made.close()


# Bodies: errors

@body(ZeroDivisionError, quick=True)
def builtin_error(world):
    world.box.call(lambda: 1 / 0)


@body(OSError, KeyError)
def errors_with_attributes(world):
    try:
        world.box.call(open, '/no/such/file')
    except FileNotFoundError:
        pass    # Without memory for them it goes without its attributes.
    world.box.call(world.mine.call, {}.__getitem__, ('key', 1 << 40))


class Own(Exception):
    pass


class Unpickleable(Exception):
    def __init__(self, box):
        super().__init__(box)

    def __reduce__(self):
        raise TypeError


def fail(cls, *args):
    raise cls(*args)


@body(Own, interpreters.RemoteError, quick=True)
def own_error(world):
    world.box.call(fail, Own, 'why', 1 << 40)


@body(Unpickleable, interpreters.RemoteError)
def own_error_that_does_not_pickle(world):
    world.box.call(world.other.call, fail, Unpickleable, world.home)


@body(interpreters.RemoteError, Own)
def foreign_error(world):
    world.box.call(world.other.call, residents_raise_foreign)


residents_raise_foreign = SharedObjectProxy(lambda: fail(Own, []))


def fail_from(cls):
    try:
        raise KeyError('first')
    except KeyError as error:
        error.add_note('noted')
        raise cls('second') from error


@body(Own, interpreters.RemoteError)
def error_that_was_led_to(world):
    world.box.call(fail_from, Own)


@body(ValueError)
def text_of_a_cause(world):
    try:
        world.box.call(int, 'no number')
    except ValueError as error:
        str(error.__cause__)
        raise


@body(ExceptionGroup, interpreters.RemoteError, quick=True)
def group(world):
    world.box.call(fail, ExceptionGroup, 'many', [
        ValueError(1), Own('two'), ExceptionGroup('inner', [KeyError('three')])])


@body(StopIteration, AttributeError)
def control_flow(world):
    next(world.box.call(iter, ()), None)
    getattr(world.box, 'no_such_attribute')


@body(interpreters.DeadProxyError, quick=True)
def dead_proxies(world):
    made = world.box.make()
    interpreters.release(made)
    repr(made)
    made.value


# Bodies: lifetimes

@body(quick=True)
def with_share(world):
    with share(Box()) as proxy:
        world.box.value = proxy
        made = world.box.call(proxy.make, [])
        world.box.value = None


@body(quick=True)
def scopes(world):
    with ShareScope() as outer:
        box = outer.share(world.box)
        with ShareScope() as inner:
            inner.share([]), inner.share(box).make([]), inner.share(1 << 40)
        made = box.make(box)


@body()
def revoke_and_release(world):
    proxy = SharedObjectProxy(Box())
    world.box.value = proxy
    interpreters.revoke(proxy)
    interpreters.release(proxy)
    world.box.value = None


@body(quick=True)
def tokens(world):
    token = interpreters.share_token(world.box)
    assert SharedObjectProxy.from_token(token) is world.box
    made = world.box.make()
    token = interpreters.share_token(made)
    del made
    try:
        SharedObjectProxy.from_token(token)
    except interpreters.DeadProxyError:
        pass
    interpreters.owner(world.box)


@body(quick=True)
def destructors(world):
    # They call home and share anew; what they raise is not told.
    world.box.call(residents.Witness, lambda *entry: world.mine.set(Box()))
    world.home.value = None


@body(quick=True)
def census(world):
    with ShareScope() as scope:
        scope.share([])
        for entry in interpreters.shared_objects():
            if entry.scope is not None:
                repr(entry), entry.repr(), entry.owner
    interpreters.share_stats()


@body()
def cycles(world):
    box = Box()
    box.value = SharedObjectProxy(box)
    del box
    gc.collect()


# Bodies: the base's ways to cross.  What cannot cross is left out: Python code looks for it, and
# an exception that Python code handles may be lost in the base when memory is out (leaving a frame
# that a traceback holds clears the error, if the frame before it has no object yet).

@body(quick=True)
def queues(world):
    for value in (world.box, 5, 'text', b'bytes', (1, world.mine)):
        try:
            world.queue.put(value)
        finally:
            while not world.queue.empty():
                world.queue.get()


# Bodies: sessions

SESSION_ERRORS = (interpreters.InterpreterError, interpreters.ExecutionFailed,
                  interpreters.NotShareableError)


@body(*SESSION_ERRORS, quick=True)
def session_calls(world):
    assert world.subs[0].call(residents.same, (5, world.mine))[0] == 5


@body(*SESSION_ERRORS)
def session_calls_by_copy(world):
    world.subs[0].call(dict, [(1, world.mine)], value=['copied'])


@body(*SESSION_ERRORS)
def session_that_fails(world):
    world.subs[0].call(fail, KeyError, 'failed')


@body(*SESSION_ERRORS, quick=True)
def session_that_prepares(world):
    world.subs[0].prepare_main(number=5, mine=world.mine, words=('a', 'b'))


@body(*SESSION_ERRORS, ValueError)     # Of marshal, about a part of the code.
def session_that_executes(world):
    world.subs[0].exec('number = 5')
    world.subs[0].exec('1 / 0')


# Bodies: requests.  They are served by the thread that asks: the base's Thread.start() waits for ever
# for a thread that had no memory to begin.

class NoThreads:

    def __enter__(self):
        self.start, threading.Thread.start = threading.Thread.start, refuse_to_start

    def __exit__(self, *error):
        threading.Thread.start = self.start


def refuse_to_start(thread):
    raise RuntimeError('no threads')


@body(*SESSION_ERRORS, quick=True, around=NoThreads)
def requests(world):
    future = world.subs[0].call_soon(residents.same, world.mine)
    assert future.result(60) is world.home


@body(*SESSION_ERRORS, ZeroDivisionError, around=NoThreads)
def requests_that_fail(world):
    world.subs[0].call_soon(divmod, 1, 0).result(60)


# Bodies: interpreters that come and go.  Making one is not in the sweep: if that fails half way, the
# base ends what it has with Py_EndInterpreter(), which uses what is not there yet.

class Visitor:
    """A new interpreter for each run."""

    def __enter__(self):
        self.interp = interpreters.create()
        self.box = self.interp.call(residents.wrapped, Box)
        return self.box

    def __exit__(self, *error):
        self.box = None
        self.interp.close()


@body(quick=True, around=Visitor)
def first_entry(world, box):
    box.value = box.make(world.box)


@body(around=Visitor)
def first_entry_from_inside(world, box):
    world.box.call(box.make, world.mine)


class ForeverVisitor(Visitor):
    """Its share_forever()."""

    def __enter__(self):
        super().__enter__()
        return self.interp.call(residents.wrapped, residents.share_forever_itself)


@body(around=ForeverVisitor)
def share_until_the_end(world, share_forever):
    share_forever([])
    assert share_forever(world.box) is world.box


class Leaver:
    """An interpreter that the body closes; with a proxy of its own elsewhere, and one of another's."""

    def __enter__(self):
        self.interp = interpreters.create()
        self.box = self.interp.call(residents.wrapped, Box, SharedObjectProxy(Box()))
        self.interp.call(residents.be_quiet)
        self.fill()
        return self.interp

    def fill(self):
        pass

    def __exit__(self, *error):
        close(self.interp)
        assert not interpreters.is_alive(self.box)
        self.box = None


@body(quick=True, around=Leaver, step=16)
def closing(world, interp):
    interp.close()


class LeaverWithMuch(Leaver):
    """One with a scope that is open, immortal proxies, thread-locals, and what destructors share."""

    def fill(self):
        self.interp.call(residents.keep_made, 'witness', residents.Witness, SharedObjectProxy(share))
        self.interp.exec('from concurrent.interpreters import *\n'
                         'from test.test_sharing import residents\n'
                         'scope = ShareScope().__enter__()\n'
                         'held = scope.share([]), share_forever([]), share(residents.kept["witness"])')
        self.box.set_local(SharedObjectProxy(Box()))


@body(around=LeaverWithMuch, step=16)
def closing_with_much(world, interp):
    interp.close()


# Running the sweeps

def main():
    parser = argparse.ArgumentParser(prog='nomemory', description=__doc__.split('\n')[0])
    parser.add_argument('bodies', nargs='*', metavar='BODY')
    parser.add_argument('--list', action='store_true', help='only list the bodies')
    parser.add_argument('--quick', action='store_true', help='only some of them')
    parser.add_argument('--rounds', type=int, default=1, metavar='N', help='sweeps of each')
    args = parser.parse_args()
    names = args.bodies or [name for name, function in BODIES.items()
                            if function.quick or not args.quick]
    if hasattr(sys, 'gettotalrefcount'):
        names = [name for name in names if name not in CRASH_DEBUG_BUILDS]
    if args.list:
        print(*names, sep='\n')
        return 0
    faulthandler.enable()
    residents.be_quiet()
    world = World()
    failed = injected = refused = 0
    for name in names:
        print(name, end=' ', flush=True)
        sweep = Sweep(world, BODIES[name])
        try:
            sweep.run(args.rounds)
        except Failure as exc:
            failed += 1
            print('FAILED', flush=True)
            traceback.print_exception(exc, limit=-6)
        else:
            print(f'{sweep.injected} failures injected, {sweep.refused} raised', flush=True)
        injected += sweep.injected
        refused += sweep.refused
    world.close()
    print(f'{len(names)} bodies, {injected} failures injected, {refused} raised, '
          f'{failed} bodies failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
