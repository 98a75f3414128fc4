#!/usr/bin/env python3
"""Measure what sharing costs Python code; print a JSON record for each line of the table.

    build/python Tools/bench/sharing_bench.py [--filter REGEX] [--list]

Tools/bench/run runs this, with the fork and with the pristine base (where only the lines
with `base=True` run), and makes the table.

This program is the caller.  The owner is another interpreter, idle, which holds the same
objects as this one; a second thread is alive.  Every statement is timed with timeit, less the
time of the empty loop, and the best of several repeats counts.
"""

import argparse
import dataclasses
import functools
import json
import multiprocessing.managers
import pickle
import re
import statistics
import subprocess
import sys
import threading
import time
import timeit

from concurrent import interpreters

# The base has no sharing.
share = getattr(interpreters, 'share', None)
wrap = getattr(interpreters, 'SharedObjectProxy', None)
materialize = getattr(interpreters, 'materialize', None)

REPEATS = 6
TIME_OF_A_REPEAT = 0.004        # seconds
MB = 1 << 20

# What both interpreters have.  Numbers are beyond the small ints, which are immortal.
OBJECTS = '''
class Counter:
    def __init__(self, child=None):
        self.n, self.child = 1000, child
    def inc(self, by):
        self.n += by
        return self.n

def chain(length):
    """Return the first of many counters, each of which has the next one as its child."""
    first = None
    for _ in range(length):
        first = Counter(first)
    return first

def give(x):
    return x

def take(x):
    pass

def count(length):
    return list(range(length))

objects = dict(
    p=Counter(Counter()), l=list(range(1000, 1100)), s=set(range(1000, 1100)), d={},
    steps=list(range(1000, 2000)), f=give, take=take, chain=chain, Counter=Counter,
    buffer=bytearray, count=count)
'''
CHAIN = 2000                    # how many objects "never seen" and "dropping" need at a time


@dataclasses.dataclass
class Line:
    """One line of the table.

    A limit reads `<= 2.5 F`.  It is relative to F, the raw swap pair; D, the same statement
    on an object of our own; P, the same line on the pristine base; `us` or `%`, which are
    absolute; or another line, by its name ("P: name" on the pristine base).
    """
    name: str
    statement: str | None       # None: `measure` knows
    limits: tuple = ()
    _: dataclasses.KW_ONLY
    setup: str = 'pass'         # before each repeat, not timed
    loop: str = 'pass'          # what else the statement does: its time is taken off
    number: int | None = None   # how often per repeat, if it must be that often
    steps: int = 1              # what one statement does that many times
    copies: int = 1             # of the statement in the loop, so that the loop hardly counts
    direct: bool = False        # compare with the same on an object of our own
    home: bool = False          # ... and through a proxy of it, in the owner itself
    base: bool = False          # runs on the pristine base too
    measure: object = None      # a function that returns the value
    unit: str = 'ns'
    pick: str = 'min'           # what counts of several rounds: min or median


def statement_lines():
    """The operations: through a proxy of another interpreter's object."""
    operation = functools.partial(Line, direct=True, home=True, copies=8)
    f, d = '<= 2.5 F', '<= 2.5 D'
    text = "'25 characters of text....'"
    yield operation('p.inc(1)', 'p.inc(1)', (f, d))
    for read in ('p.n', 'l[3]', 'len(l)', '1050 in s'):
        yield operation(read, read, ('<= 2.2 F',))
    yield operation('f(1)', 'f(1)', (f,))
    yield operation('f(x=1)', 'f(x=1)', ('<= 3 F',))
    yield operation('f(25 characters)', f'f({text})', ('<= 2.8 F',))
    yield operation('a step of "for x in p"', 'for x in steps: pass', ('<= 2 F',), steps=1000, copies=1)
    yield operation('p.child, seen before', 'p.child', (f,), setup='seen = p.child')
    yield operation('p.child, never seen', 'p = p.child; append(p)', ('<= 4 F',),
                    setup=f'keep = []; append = keep.append; p = chain({CHAIN} + 1)',
                    loop='append(p)', number=CHAIN, copies=1,
                    home=False)     # the second one is not a proxy there
    yield operation('KeyError', 'try: d["x"]\nexcept KeyError: pass', ('<= 6 D',))


def copying_lines():
    yield Line('1 MB memcpy', 'bytes(megabyte)', base=True)
    yield Line('1 MB of bytes', 'take(some_bytes)', ('<= 1.3 1 MB memcpy',))
    yield Line('1 MB of str', 'take(some_str)', ('<= 1.3 1 MB memcpy',))
    yield Line('64 MB memcpy', 'bytearray(large)', base=True, number=1,
               setup='large = bytearray(64 * MB)')
    yield Line('materialize(64 MB bytearray)', 'materialize(large)', ('<= 1.3 64 MB memcpy',),
               number=1, setup='large = buffer(64 * MB)')
    yield Line('10^6 ints, pickled and unpickled', 'loads(dumps(numbers))', base=True, number=1,
               setup='numbers = list(range(10**6))')
    yield Line('materialize(list of 10^6 ints)', 'materialize(numbers)',
               ('<= 1.1 10^6 ints, pickled and unpickled',), number=1,
               setup='numbers = count(10**6)')


def life_lines():
    def drop(name, limit, count, measure=None):
        return Line(name, 'pop()', (limit,), number=count, loop='pop_none()',
                    measure=measure, setup=f'pop_none = ([None] * {count}).pop; '
                                           f'pop = [Counter() for _ in range({count})].pop')

    yield Line('with share(o): pass', 'with share(mine): pass', ('<= 6 F',))
    yield drop('dropping a proxy', '<= 2 F', CHAIN)
    yield drop('dropping a proxy, owner busy', '<= 1 F', 200, drop_while_busy)
    yield Line('bytes of a live proxy', None, ('<= 160 bytes',), measure=proxy_size,
               unit='bytes')


def queue_lines():
    through = functools.partial(Line, base=True)
    yield through('int through a Queue', 'put(1000); get()', ('<= 1.05 P',))
    yield through('str through a Queue', 'put("25 characters of text....")\nget()',
                  ('<= 1.05 P',))
    yield through('tuple through a Queue', 'put((1000, 1.5)); get()', ('<= 1.05 P',))
    yield Line('proxy through a Queue', 'put(p); get()', ('<= 1.3 int through a Queue',))


def interpreter_lines():
    here = functools.partial(Line, base=True)
    yield here('Interpreter.exec("pass")', 'execute("pass")', ('<= 0.1 P',))
    yield here('Interpreter.call(noop)', 'call(noop)', ('<= 0.1 P',))


def contention_lines():
    line = functools.partial(Line, pick='median')
    yield line('first call, owner busy, p50', None, ('<= 15 us',), measure=busy_call_p50)
    yield line('first call, owner busy, p99', None, ('<= 150 us',), measure=busy_call_p99)
    yield line('speed the busy owner keeps', None, ('>= 90 %',), measure=busy_owner_speed,
               unit='%')
    yield line('two interpreters, one object', None,
               ('<= 0.77 P: swap pair, contended', '<= 2 p.inc(1)'), measure=hammer)
    yield line('calls of the slower of the two', None, ('>= 30 %',), measure=hammer_share,
               unit='%')
    yield line('two that log, against one', None, ('>= 190 %',), measure=logging_speed, unit='%')
    yield line('four threads, four objects', None, unit='%',
               measure=lambda world, line: four_threads(world.across['Counter']))
    yield line('four threads, own objects', None, unit='%',
               measure=lambda world, line: four_threads(world.local['Counter']))


def peer_lines():
    yield Line('multiprocessing proxy, inc(1)', None, measure=manager_call)


GROUPS = {
    'Through a proxy, from another interpreter': statement_lines,
    'Large values': copying_lines,
    'Lifetime': life_lines,
    'Queues': queue_lines,
    'Interpreters': interpreter_lines,
    'Contention': contention_lines,
    'Peers': peer_lines,
}
HOME = 'Through a proxy, in the owner itself'


# ---- Timing -----------------------------------------------------------------------------

def best_time(line, names, statement, timer=time.perf_counter):
    """Return the nanoseconds that a statement takes, its loop included."""
    timing = timeit.Timer(statement, line.setup, timer, names)
    number = line.number
    if not number:
        number, took = 1, 0.0
        while took < TIME_OF_A_REPEAT / 2:
            number *= 2
            took = timing.timeit(number)
    return min(timing.repeat(REPEATS, number)) / number * 1e9


def time_line(line, names, timer=time.perf_counter):
    """Return the nanoseconds that one step of a line takes."""
    spent = best_time(line, names, '\n'.join([line.statement] * line.copies), timer)
    empty = best_time(line, names, line.loop, timer)
    return max(spent - empty, 0.0) / (line.steps * line.copies)


def warm_up(seconds=0.3):
    """Let the processor find its speed, so that the first line is no slower than the rest."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


# ---- The world --------------------------------------------------------------------------

def noop():
    pass


class World:
    """Our own objects, the other interpreter, and proxies of its objects."""

    def __init__(self):
        self.stop = threading.Event()
        threading.Thread(target=self.stop.wait).start()     # the second thread
        self.interpreters = []
        self.owner = self.new_interpreter()
        queue = interpreters.create_queue()
        self.local = {
            'share': share, 'materialize': materialize, 'noop': noop, 'MB': MB,
            'dumps': pickle.dumps, 'loads': pickle.loads, 'mine': object(),
            'put': queue.put_nowait, 'get': queue.get_nowait,
            'execute': self.owner.exec, 'call': self.owner.call,
            'megabyte': bytearray(MB), 'some_bytes': bytes(MB), 'some_str': 'x' * MB,
        }
        exec(OBJECTS, self.local)
        ours = self.local['objects']
        self.local |= ours
        self.across = self.home = self.local
        if share:
            self.home = self.local | {name: wrap(object) for name, object in ours.items()}
            self.across = self.local | self.owner_objects()

    def owner_objects(self):
        """Return proxies of the objects that the owner has."""
        received = {}
        self.owner.prepare_main(received=wrap(received))
        self.owner.exec('from concurrent.interpreters import SharedObjectProxy as wrap\n'
                        'stop = []; turns = 0\n' + OBJECTS +
                        'for name, object in (objects | {"stop": stop}).items():\n'
                        '    received[name] = wrap(object)\n')
        return received

    def new_interpreter(self):
        self.interpreters.append(interpreters.create())
        return self.interpreters[-1]

    def close(self):
        self.stop.set()
        for interpreter in self.interpreters:
            interpreter.close()


class BusyOwner:
    """While the block runs, the owner counts as fast as it can, on a thread of its own."""

    def __init__(self, world):
        self.world = world

    def __enter__(self):
        counting = 'stop.clear(); turns = 0\nwhile not stop:\n    turns += 1'
        self.thread = threading.Thread(target=self.world.owner.exec, args=(counting,))
        self.thread.start()
        time.sleep(0.02)
        self.start = time.perf_counter()
        return self

    def __exit__(self, *exception):
        self.world.across['stop'].append(1)
        self.seconds = time.perf_counter() - self.start
        self.thread.join()
        received = {}
        self.world.owner.prepare_main(received=wrap(received))
        self.world.owner.exec('received["turns"] = turns')
        self.speed = received['turns'] / self.seconds


# ---- Lines that are more than a statement -----------------------------------------------

def drop_while_busy(world, line):
    """The dropping thread's own time; the owner releases the objects when it likes."""
    with BusyOwner(world):
        return time_line(line, world.across, time.thread_time)


PROXY_SIZE = '''
import resource
from concurrent.interpreters import SharedObjectProxy as wrap

def resident_size():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * resource.getpagesize()

count = 100_000
objects = [object() for _ in range(count)]
keep = [None] * count
before = resident_size()
for i in range(count):
    keep[i] = wrap(objects[i])
print((resident_size() - before) / count)
'''


def proxy_size(world, line):
    """What a process grows by: proxy, cell, and whatever finds one from the other.

    A process of its own: what others have freed here would be used again.
    """
    result = subprocess.run([sys.executable, '-E', '-c', PROXY_SIZE], stdout=subprocess.PIPE,
                            text=True, check=True)
    return float(result.stdout)


@functools.cache
def busy_calls(world):
    """Call into a busy owner once a millisecond; return percentiles, and its speed in %.

    After a call that had to wait long the next one waits its millisecond too: otherwise it
    would find the owner still asleep.
    """
    inc = world.across['p'].inc
    with BusyOwner(world) as alone:
        time.sleep(0.5)
    times = []
    with BusyOwner(world) as called:
        for _ in range(300):
            time.sleep(0.001)
            start = time.perf_counter_ns()
            inc(1)
            times.append(time.perf_counter_ns() - start)
    return statistics.quantiles(times, n=100), 100 * called.speed / alone.speed


def busy_call_p50(world, line):
    return busy_calls(world)[0][49]


def busy_call_p99(world, line):
    return busy_calls(world)[0][98]


def busy_owner_speed(world, line):
    return busy_calls(world)[1]


@functools.cache
def hammer_counts(world):
    """Let two interpreters use one object of the owner at once; return calls and seconds."""
    seconds = 0.5
    code = ('import time\n'
            'calls, end = 0, time.perf_counter() + %r\n'
            'while time.perf_counter() < end:\n'
            '    for _ in range(100): p.inc(1)\n'
            '    calls += 100\n'
            'done.append(calls)\n' % seconds)
    return work_of_users(world, code, 2, p=world.across['p']), seconds


def hammer(world, line):
    counts, seconds = hammer_counts(world)
    return seconds / sum(counts) * 1e9


def hammer_share(world, line):
    counts, _ = hammer_counts(world)
    return 100 * min(counts) / sum(counts)


def work_of_users(world, code, count, **proxies):
    """Run the code in so many new interpreters at once; return what they append to `done`."""
    done = []
    threads = []
    for _ in range(count):
        user = world.new_interpreter()
        user.prepare_main(done=wrap(done), **proxies)
        threads.append(threading.Thread(target=user.exec, args=(code,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def logging_speed(world, line):
    """What two interpreters compute that log through a proxy every millisecond, in % of one."""
    code = ('import time\n'
            'count, due, end = 0, 0.0, time.perf_counter() + 0.5\n'
            'while (now := time.perf_counter()) < end:\n'
            '    for _ in range(500): pass\n'
            '    count += 1\n'
            '    if now >= due:\n'
            '        log("a line of a log"); due = now + 0.001\n'
            'done.append(count)\n')
    alone, = work_of_users(world, code, 1, log=world.across['take'])
    return 100 * sum(work_of_users(world, code, 2, log=world.across['take'])) / alone


def calls_of_threads(objects, seconds=0.3):
    """Call inc(1) of each object on a thread of its own; return how many calls were made a second."""
    ready = threading.Barrier(len(objects))
    spans = []

    def call(p):
        ready.wait()
        calls, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            for _ in range(100):
                p.inc(1)
            calls += 100
        spans.append((start, time.perf_counter(), calls))

    threads = [threading.Thread(target=call, args=(p,)) for p in objects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One that waited for a processor begins and ends later.
    starts, ends, calls = zip(*spans)
    return sum(calls) / (max(ends) - min(starts))


def four_threads(counter):
    """Calls of four threads with an object each, in % of one thread: for free-threaded builds."""
    objects = [counter() for _ in range(4)]
    return 100 * calls_of_threads(objects) / calls_of_threads(objects[:1])


class PeerCounter:
    def __init__(self):
        self.n = 1000

    def inc(self, by):
        self.n += by
        return self.n


class Manager(multiprocessing.managers.BaseManager):
    pass


Manager.register('PeerCounter', PeerCounter)


def manager_call(world, line):
    with Manager() as manager:
        counter = manager.PeerCounter()
        return time_line(dataclasses.replace(line, statement='inc(1)'), {'inc': counter.inc})


# ---- Running ----------------------------------------------------------------------------

def selected(pattern):
    """Return (group, line) of all lines to run: those that match, and what they refer to."""
    lines = [(group, line) for group, make in GROUPS.items() for line in make()]
    if not share:
        lines = [(group, line) for group, line in lines if line.base]
    wanted = {line.name for group, line in lines
              if re.search(pattern, line.name) or re.search(pattern, group)}
    if share and re.search(pattern, HOME):
        wanted |= {line.name for _, line in lines if line.home}
    wanted |= {limit.split(None, 2)[2] for _, line in lines if line.name in wanted
               for limit in line.limits}
    return [(group, line) for group, line in lines if line.name in wanted]


def records(world, group, line):
    """Measure one line; yield what goes into the table."""
    record = {'group': group, 'name': line.name, 'unit': line.unit, 'limits': line.limits,
              'pick': line.pick}
    try:
        if line.measure:
            record['value'] = line.measure(world, line)
        else:
            record['value'] = time_line(line, world.across)
        if line.direct:
            record['direct'] = time_line(line, world.local)
        yield record
        if line.home:
            yield record | {'group': HOME, 'value': time_line(line, world.home),
                            'limits': ('<= 2 D',)}
    except Exception as error:
        yield record | {'value': None, 'error': f'{type(error).__name__}: {error}'}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--filter', default='', metavar='REGEX',
                        help='only lines whose name or group matches, and what they refer to')
    parser.add_argument('--list', action='store_true', help='print the names and run nothing')
    options = parser.parse_args()
    lines = selected(options.filter)
    if options.list:
        print(*(line.name for _, line in lines), sep='\n')
        return
    world = World()
    warm_up()
    try:
        for number, (group, line) in enumerate(lines):
            print(json.dumps({'at': number / len(lines), 'name': line.name}), flush=True)
            for record in records(world, group, line):
                print(json.dumps(record), flush=True)
    finally:
        world.close()


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
