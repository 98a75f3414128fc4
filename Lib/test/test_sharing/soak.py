"""Use proxies at random for a long time, and print figures.

    python -m test.test_sharing.soak [--scale X] [--seed N] [PART...]

Scale 1 takes some minutes; test_soak runs a small fraction of it.  A part that does not come to its
end in time prints every thread's stack and ends the process.  The exit code tells whether cells,
objects or memory were left behind, or something went wrong.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import random
import sys
import threading
import time
from concurrent import interpreters
from concurrent.interpreters import DeadProxyError, InterpreterError, ShareScope, SharedObjectProxy
from test.support import Py_GIL_DISABLED, check_sanitizer

from . import residents
from .residents import Box, cells_live


PARTS = {}


def part(function):
    """Register a part: a generator of how much is done, from 0 to 1, which returns what to print."""
    PARTS[function.__name__] = function
    return function


def rss():
    with open('/proc/self/statm') as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') >> 10


def trim():
    """Have the C library give back what is free; threads leave it megabytes."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        pass


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def settled(cells, interps):
    """Wait until no more cells are left than there were; raise if that does not happen."""
    def is_so():
        gc.collect()
        for interp in interps:
            interp.call(gc.collect)
        return cells_live() <= cells
    check(residents.wait_until(is_so), f'{cells_live()} cells, {cells} before')


class Figures:
    """Cells and memory from the start of a part."""

    MOST_GROWTH = 16_384    # kB, for what caches and allocators keep
    # Builds that keep more than that: of each interpreter that is closed, whether it shared
    # anything or not; or of all that was freed, in a sanitizer's quarantine.
    KEEPS_MORE = Py_GIL_DISABLED or check_sanitizer(address=True, thread=True)

    def __init__(self):
        trim()
        self.cells, self.rss, self.peak = cells_live(), rss(), 0

    def look(self):
        self.peak = max(self.peak, rss())

    def check(self):
        """Raise if memory has not come back to what it was at the start."""
        self.look()
        gc.collect()
        trim()
        grown = rss() - self.rss
        check(self.KEEPS_MORE or grown < self.MOST_GROWTH, f'RSS grew by {grown} kB')

    def __str__(self):
        self.check()
        return (f'cells {self.cells} at start, {interpreters.share_stats()["cells_peak"]} at peak, '
                f'{cells_live()} at end; RSS {self.rss} kB at start, {self.peak} at peak, '
                f'{rss()} at end')


# Random call graphs

class Graph:
    """Interpreters that come and go, each with a Box, and threads that use them at random."""

    INTERPRETERS, THREADS = 8, 16

    def __init__(self, steps, seed):
        self.interps = [interpreters.create() for _ in range(self.INTERPRETERS)]
        self.boxes = [interp.call(residents.wrapped, Box) for interp in self.interps]
        self.home = SharedObjectProxy(Box())
        self.steps, self.seed = steps // self.THREADS, seed
        self.closing = threading.Lock()
        self.done = [0] * self.THREADS
        self.dead = self.busy = self.closed = 0
        self.errors = []

    def start(self):
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(self.THREADS)]
        for thread in self.threads:
            thread.start()

    def run(self, index):
        walker = random.Random(self.seed + index)
        try:
            while self.done[index] < self.steps:
                self.done[index] += 1
                try:
                    self.step(walker)
                except DeadProxyError:
                    self.dead += 1
                    time.sleep(0.001)   # Its successor is being made.
        except BaseException as exc:
            self.errors.append(exc)
            self.done[index] = self.steps

    def step(self, walker):
        source, target = walker.sample(self.boxes, 2)
        match walker.randrange(40):
            case 0:
                target.value = source.make(source)
            case 1:
                target.value = (source, Box(), source.make(target.make()))
            case 2 | 3 | 4:
                target.value = None
            case 5:
                with ShareScope() as scope:
                    scope.share(source).make(scope.share(target))
            case 6:
                made = source.make(target)
                interpreters.release(made)
            case 7 if walker.randrange(20) == 0:
                self.replace(walker.randrange(self.INTERPRETERS))
            case 8 | 9 | 10:
                source.call(target.call, len, self.home)
            case 11:
                token = interpreters.share_token(source)
                SharedObjectProxy.from_token(token).value
            case _:
                source.wander((*self.boxes, self.home), walker.randrange(1 << 30), 20)

    def replace(self, index):
        """Close an interpreter while others may be calling it; put a new one in its place."""
        with self.closing:
            try:
                self.interps[index].close()
            except InterpreterError:
                self.busy += 1
                return
            self.closed += 1
            self.interps[index] = interpreters.create()
            self.boxes[index] = self.interps[index].call(residents.wrapped, Box)

    def finish(self):
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        for box in self.boxes:
            box.value = None


@part
def call_graphs(scale, seed):
    figures = Figures()
    graph = Graph(int(400_000 * scale), seed)
    cells = cells_live()
    graph.start()
    while any(thread.is_alive() for thread in graph.threads):
        time.sleep(0.05)
        figures.look()
        yield sum(graph.done) / (graph.steps * graph.THREADS)
    graph.finish()
    settled(cells, graph.interps)
    boxes, interps = graph.boxes, graph.interps
    boxes.clear()
    for interp in interps:
        interp.close()
    graph.home = None
    settled(figures.cells, ())
    return (f'{graph.steps * graph.THREADS} steps of {graph.THREADS} threads among '
            f'{graph.INTERPRETERS} interpreters; {graph.closed} closed meanwhile, {graph.busy} '
            f'refused as busy, {graph.dead} steps met a dead proxy\n{figures}')


# Short-lived threads

@part
def short_lived_threads(scale, seed):
    interps = [interpreters.create() for _ in range(2)]
    boxes = [interp.call(residents.wrapped, Box) for interp in interps]
    places = [interp.call(residents.wrapped, residents.per_thread) for interp in interps]
    wrong = []

    def visit():
        for place in places:
            place.settle()
        answers = [box.make(box.call(box.next_local)).value for box in boxes]
        if answers != [1, 1]:
            wrong.append(answers)

    def run(count):
        threads = [threading.Thread(target=visit) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    run(100)    # Memory is what some threads need.
    gc.collect()
    figures = Figures()
    total = max(int(10_000 * scale), 50)
    for done in range(0, total, 50):
        run(50)
        figures.look()
        yield done / total
    check(not wrong, wrong[:3])
    left = [place.count() for place in places]
    check(left == [0, 0], f'thread-local objects are left: {left}')
    settled(figures.cells, interps)
    summary = f'{total} threads, thread-locals left {left}\n{figures}'
    boxes.clear()
    places.clear()
    for interp in interps:
        interp.close()
    return summary


# Event loops

class Station:
    """Lives in an interpreter with an event loop; its tasks and their threads call others."""

    def __init__(self):
        self.others = ()
        self.calls = 0
        self.lock = threading.Lock()

    def meet(self, others):
        self.others = others

    def note(self):
        with self.lock:
            self.calls += 1
            return self.calls

    def answer(self, number):
        return number + 1

    async def work(self, rounds, seed):
        walker = random.Random(seed)
        for i in range(rounds):
            other = walker.choice(self.others)
            other.note()
            assert other.answer(i) == i + 1
            await asyncio.sleep(0)
            assert await asyncio.to_thread(other.answer, i) == i + 1

    async def serve(self, rounds, seed):
        await asyncio.gather(*(self.work(rounds, seed + i) for i in range(10)))

    def run(self, rounds, seed):
        asyncio.run(self.serve(rounds, seed))


def make_station():
    return Station()


@part
def event_loops(scale, seed):
    figures = Figures()
    interps = [interpreters.create() for _ in range(3)]
    home = Station()
    stations = [SharedObjectProxy(home)]
    stations += [interp.call(residents.wrapped, make_station) for interp in interps]
    for station in stations:
        station.meet(tuple(stations))
    rounds = max(int(1_000 * scale), 5)
    errors = []

    def run(station, number):
        try:
            station.run(rounds, seed + 100 * number)
        except BaseException as exc:
            errors.append(exc)
    threads = [threading.Thread(target=run, args=(station, number))
               for number, station in enumerate(stations)]
    for thread in threads:
        thread.start()
    expected = 10 * rounds * len(stations)
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.05)
        figures.look()
        yield sum(station.calls for station in stations) / expected
    if errors:
        raise errors[0]
    calls = sum(station.calls for station in stations)
    check(calls == expected, f'{calls} calls, not {expected}')
    for station in stations:
        station.meet(())
    del station
    stations.clear()
    for interp in interps:
        interp.close()
    settled(figures.cells, ())
    return f'{calls} rounds of calls among 4 event loops\n{figures}'


# From a drop to the destructor

class Mortal:
    """Reports when it died."""

    def __init__(self, reports):
        self.reports = reports

    def __del__(self):
        self.reports.put(time.perf_counter_ns())


class Nursery:

    busy = False

    def use(self, reports):
        self.reports = reports

    def make(self):
        self.made_one = True
        return Mortal(self.reports)

    def spin(self):
        """Keep the interpreter's lock, and run Python code; report that after each make()."""
        self.made_one = False
        self.busy = True
        while self.busy:
            if self.made_one:
                self.made_one = False
                self.reports.put('spinning')

    def stop(self):
        self.busy = False


def make_nursery():
    return Nursery()


def wait_for_report(reports):
    """Spin until there is one; return it.

    That does not enter the owner, which would release what waits there.
    """
    while True:
        try:
            return reports.get_nowait()
        except interpreters.QueueEmpty:
            pass


def time_drops(nursery, reports, count, busy):
    """Drop one proxy after the other; yield the microseconds until each object's end."""
    for _ in range(count):
        mortal = nursery.make()
        if busy:
            wait_for_report(reports)    # The owner has its lock again.
        dropped = time.perf_counter_ns()
        del mortal
        yield (wait_for_report(reports) - dropped) / 1000


def quantiles(times):
    times = sorted(times)
    return f'p50 {times[len(times) // 2]:.1f} us, p99 {times[len(times) * 99 // 100]:.1f} us'


@part
def prompt_release(scale, seed):
    interp = interpreters.create()
    nursery = interp.call(residents.wrapped, make_nursery)
    reports = interpreters.create_queue()
    nursery.use(reports)
    count = max(int(5_000 * scale), 20)
    figures = {}
    for state in ('idle', 'busy'):
        thread = threading.Thread(target=nursery.spin)
        if state == 'busy':
            thread.start()
            check(residents.wait_until(lambda: nursery.busy), 'the owner does not run')
        times = figures[state] = []
        for spent in time_drops(nursery, reports, count, state == 'busy'):
            times.append(spent)
            yield (len(times) + (state == 'busy') * count) / (2 * count)
        if state == 'busy':
            nursery.stop()
            thread.join()
    del nursery, thread
    interp.close()
    return '\n'.join(f'owner {state}: {quantiles(times)} from drop to destructor, {count} drops'
                     for state, times in figures.items())


# Running the parts

def show_progress(name, share):
    if sys.stderr.isatty():
        width = 40
        filled = int(width * min(share, 1))
        print(f'\r{name:20} [{"#" * filled}{"." * (width - filled)}] {min(share, 1):4.0%}',
              end='', file=sys.stderr, flush=True)


def run_part(name, scale, seed, limit):
    import faulthandler     # Not for the interpreters that import this module.
    faulthandler.dump_traceback_later(limit, exit=True)
    steps = PARTS[name](scale, seed)
    start = time.monotonic()
    while True:
        try:
            show_progress(name, next(steps))
        except StopIteration as stop:
            summary = stop.value
            break
    show_progress(name, 1)
    faulthandler.cancel_dump_traceback_later()
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f'{name}: ok, {time.monotonic() - start:.1f} s')
    print('    ' + summary.replace('\n', '\n    '), flush=True)


def main():
    parser = argparse.ArgumentParser(prog='soak', description=__doc__.split('\n')[0])
    parser.add_argument('parts', nargs='*', metavar='PART', choices=[*PARTS, []])
    parser.add_argument('--scale', type=float, default=1.0, metavar='X')
    parser.add_argument('--seed', type=int, default=None, metavar='N')
    parser.add_argument('--limit', type=int, default=1200, metavar='SECONDS',
                        help='how long a part may take')
    args = parser.parse_args()
    seed = random.randrange(1 << 30) if args.seed is None else args.seed
    print(f'seed {seed}', flush=True)
    for name in args.parts or PARTS:
        run_part(name, args.scale, seed, args.limit)
    return 0


if __name__ == '__main__':
    # Interpreters that import this module by name find what is defined here.
    from test.test_sharing import soak
    sys.exit(soak.main())
