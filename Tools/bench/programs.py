#!/usr/bin/env python3
"""Compare programs that share nothing with the pristine base: they should be as fast.

    Tools/bench/programs.py [--build-dir DIR] [--rounds N] [--count]

Each program runs in turn in the fork (DIR/python) and in the pristine base
(DIR/pristine/python, which `Tools/bench/run --pristine` builds), round after round; the best
time of each counts, and the geometric mean of the ratios is printed.  With --count it is
instructions that are compared, which callgrind counts and which do not depend on how busy the
machine is.
"""

import argparse
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import instructions

# Each is timed by itself, in a process of its own, after a warm-up.
PROGRAMS = {
    'calls': '''
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def run(): fib(20)
''',
    'methods': '''
class Point:
    def __init__(self, x, y): self.x, self.y = x, y
    def moved(self, by): return Point(self.x + by, self.y)
def run():
    point = Point(0, 0)
    for i in range(10_000): point = point.moved(i)
''',
    'attributes': '''
class Node: pass
node = Node(); node.n = 0
def run():
    for i in range(30_000): node.n = node.n + 1; node.last = i
''',
    'dicts': '''
def run():
    counts = {}
    for i in range(20_000): counts[i % 997] = counts.get(i % 997, 0) + 1
''',
    'lists': '''
def run():
    items = [i * 7919 % 10_007 for i in range(10_000)]
    items.sort()
    sum(x for x in items if x & 1)
''',
    'generators': '''
def count(n):
    for i in range(n): yield i
def run():
    for _ in map(lambda x: x + 1, count(15_000)): pass
''',
    'strings': '''
def run():
    words = ['word%d' % i for i in range(5_000)]
    ' '.join(words).upper().split()
''',
    'numbers': '''
def run():
    total = 0.0
    for i in range(1, 20_000): total += i ** 0.5 / (i % 7 + 1)
''',
    'exceptions': '''
def run():
    for i in range(6_000):
        try: raise KeyError(i)
        except KeyError: pass
''',
    'json': '''
import json
data = [{'id': i, 'name': 'n%d' % i, 'tags': ['a', 'b']} for i in range(300)]
def run(): json.loads(json.dumps(data))
''',
    'regex': '''
import re
text = 'key=value; other=1234; ' * 300
def run(): re.findall(r'(\\w+)=(\\w+)', text)
''',
    'thread switching': '''
import threading
def run():
    ping, pong = threading.Lock(), threading.Lock()
    ping.acquire(); pong.acquire()
    def answer():
        for _ in range(300): ping.acquire(); pong.release()
    thread = threading.Thread(target=answer); thread.start()
    for _ in range(300): ping.release(); pong.acquire()
    thread.join()
''',
}
# One whole process.
START_UP = 'start-up'

TIME = '''
import time
for _ in range(3): run()
best = 1e9
end = time.perf_counter() + 0.25
while time.perf_counter() < end:
    start = time.perf_counter(); run(); best = min(best, time.perf_counter() - start)
print(best)
'''
TIME_START_UP = '''
import subprocess, sys, time
best = 1e9
for _ in range(8):
    start = time.perf_counter()
    subprocess.run([sys.executable, '-E', '-c', 'pass'])
    best = min(best, time.perf_counter() - start)
print(best)
'''


def measure(python, source):
    """Return the seconds that the program takes at best."""
    result = subprocess.run([python, '-E', '-c', source], stdout=subprocess.PIPE, text=True,
                            check=True)
    return float(result.stdout)


def count(python, source):
    """Return the instructions of the whole process, with the same hashes each time."""
    result = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null',
                             python, '-c', source], capture_output=True, text=True, check=True,
                            env={'PATH': '/usr/bin:/bin', 'PYTHONHASHSEED': '0'})
    return int(re.search(r'Collected : (\d+)', result.stderr)[1])


def compare_times(build, rounds):
    """Yield the name of each program, and the microseconds it takes in both builds."""
    pythons = [build / 'python', build / 'pristine' / 'python']
    sources = {name: source + TIME for name, source in PROGRAMS.items()}
    sources[START_UP] = TIME_START_UP
    best = {}
    for _ in range(rounds):
        for name, source in sources.items():
            for python in pythons:
                took = measure(python, source)
                best[name, python] = min(took, best.get((name, python), took))
    for name in sources:
        yield name, *(best[name, python] * 1e6 for python in pythons)


def compare_counts(build):
    """Yield the name of each program, and the instructions it takes in both builds."""
    with tempfile.TemporaryDirectory() as folder:
        pythons = []
        for name, path in ('fork', build), ('pristine', build / 'pristine'):
            (Path(folder) / name).mkdir()
            pythons.append(instructions.copy_without_debug_information(
                path.resolve(), Path(folder) / name))
        start_up = [count(python, 'pass') for python in pythons]
        yield START_UP, *start_up
        for name, source in PROGRAMS.items():
            yield name, *(count(python, f'{source}\nfor _ in range(6): run()\n') - without
                          for python, without in zip(pythons, start_up))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--build-dir', default='build', type=Path)
    parser.add_argument('--rounds', default=5, type=int)
    parser.add_argument('--count', action='store_true', help='compare instructions, not times')
    options = parser.parse_args()
    build = options.build_dir.absolute()
    ratios = []
    print(f'{"":18} {"fork":>12} {"pristine":>12}  ratio')
    for name, ours, theirs in (compare_counts(build) if options.count
                               else compare_times(build, options.rounds)):
        ratios.append(ours / theirs)
        print(f'{name:18} {ours:12,.0f} {theirs:12,.0f}  {ratios[-1]:5.3f}', flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f'{"geometric mean":18} {"":12} {"":12}  {mean:5.3f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
