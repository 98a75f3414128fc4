#!/usr/bin/env python3
"""Run random programs on proxies and on plain objects, and compare what comes of them.

    build/python Tools/fuzz/differential.py [--seed SEED] [--seconds N] [--program N]

What a program is, and what is compared, is told in Lib/test/test_sharing/differential.py.  Prints
each difference, minimized, and a line with the totals; the exit status is 1 if there are any.
Programs run in a process that is watched: if it crashes or hangs, the program is named.  It may
take so much memory and no more, so that programs that never have enough end.
"""

import argparse
import importlib.util
import resource
import subprocess
import sys
import threading
import time
import types

HANGING = 60        # seconds that a program may take
MEMORY = 2 << 30    # bytes of address space


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', default=None, help='what makes the programs (default: the time)')
    parser.add_argument('--seconds', type=float, default=60, help='how long to go on (default: 60)')
    parser.add_argument('--program', type=int, help='run only the one of this number')
    parser.add_argument('--first', type=int, default=0, help='begin with this number (default: 0)')
    parser.add_argument('--here', action='store_true', help='run in this process, unwatched')
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = str(int(time.time()))
    return arguments


def run_here(arguments):
    """Run programs until the time is up; print the number of each that begins, for the watcher."""
    from concurrent import interpreters
    from test import support
    from test.test_sharing import differential

    if not support.check_sanitizer(address=True, memory=True, thread=True):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))    # sanitizers want terabytes
    places = types.SimpleNamespace(subs=[interpreters.create(), interpreters.create()])
    deadline = time.monotonic() + arguments.seconds
    number = arguments.first if arguments.program is None else arguments.program
    while True:
        print(f'# {number}', flush=True)
        difference = differential.try_program(arguments.seed, number, places)
        if difference is not None:
            print(f'Program {number} of seed {arguments.seed}, '
                  f'{differential.report(difference)}', flush=True)
        number += 1
        if arguments.program is not None or time.monotonic() > deadline:
            break
    for sub in places.subs:
        sub.close()


class Deadline:
    """Kills a process that says nothing for too long."""

    def __init__(self, process):
        self.process = process
        self.passed = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *args):
        self.timer.cancel()

    def start(self):
        self.timer = threading.Timer(HANGING, self.expire)
        self.timer.start()

    def extend(self):
        self.timer.cancel()
        self.start()

    def expire(self):
        self.passed = True
        self.process.kill()


class Watcher:
    """Starts processes that run programs, and counts."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.programs = self.differences = self.deaths = 0

    def run(self, first, seconds):
        """Run a process; return the number to go on with, or None if it came to its end."""
        program = self.arguments.program
        options = ['--first', str(first)] if program is None else ['--program', str(program)]
        process = subprocess.Popen(
            [sys.executable, '-X', 'faulthandler', __file__, '--here', '--seed', self.arguments.seed,
             '--seconds', str(seconds), *options], stdout=subprocess.PIPE, text=True)
        number = None
        with process, Deadline(process) as deadline:
            for line in process.stdout:
                deadline.extend()
                if line.startswith('# '):
                    number = int(line[2:])
                    self.programs += 1
                else:
                    self.differences += line.startswith('Program ')
                    print(line, end='', flush=True)
        if process.returncode == 0:
            return None
        self.deaths += 1
        how = 'hangs' if deadline.passed else f'ends with {process.returncode}'
        print(f'Program {number} of seed {self.arguments.seed}: the process {how}', flush=True)
        return first + 1 if number is None else number + 1


def watch(arguments):
    watcher = Watcher(arguments)
    deadline = time.monotonic() + arguments.seconds
    number = arguments.first
    while number is not None and watcher.deaths < 20:
        number = watcher.run(number, max(0, deadline - time.monotonic()))
        if arguments.program is not None or time.monotonic() > deadline:
            break
    print(f'seed {arguments.seed}: {watcher.programs:,} programs, '
          f'{watcher.differences} differences, {watcher.deaths} crashes or hangs')
    return 1 if watcher.differences or watcher.deaths else 0


def main():
    arguments = parse_arguments()
    if importlib.util.find_spec('_sharedobjects') is None:
        sys.exit(f'{sys.executable} shares no objects: run this with build/python, or make fuzz')
    if arguments.here:
        run_here(arguments)
        return 0
    return watch(arguments)


if __name__ == '__main__':
    sys.exit(main())
