#!/usr/bin/env python3
"""Index the standard library's own sources, in several interpreters at once.

Every worker runs in an interpreter of its own, with a GIL of its own, so they tokenize in
parallel.  All of them use the same objects of the main interpreter, none of which can be
pickled or copied: one sqlite3 connection, one lock around it, one progress bar, one open
log file, one deque of files to do, and one flag that stops them.

The same job then runs once more in the main interpreter alone.  The two databases must be
equal, and the two times tell what the other interpreters were good for.
"""

import argparse
import collections
import contextlib
import functools
import keyword
import os
import pathlib
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import token
import tokenize

from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor

INTERRUPTED = 130       # what a shell reports for a program that Ctrl-C stopped

SCHEMA = """
    CREATE TABLE file (name TEXT PRIMARY KEY, lines INTEGER);
    CREATE TABLE identifier (name TEXT, file TEXT, uses INTEGER);
    BEGIN;
"""


# ---- The job ------------------------------------------------------------------------------

def index_files(root, todo, database, writing, progress, errors, stop):
    """Index files until none is left to do.

    This is all the code that runs in the workers.  What it is given there are proxies, yet
    nothing in it says so: the main interpreter calls it with the objects themselves.
    """
    while not stop.is_set():
        try:
            name = todo.popleft()
        except IndexError:              # a proxy raises what the object raises
            return
        path = os.path.join(root, name)
        try:
            lines, identifiers = count(path)
        except (SyntaxError, tokenize.TokenError) as error:
            reason = str(error).replace(f" for '{path}'", '')
            errors.write(f'{name}: {reason}\n')
        else:
            # One tuple of tuples crosses by value, in one go.  (A list would cross as a
            # proxy, and sqlite3 would come back here for every row.)
            rows = tuple((identifier, name, uses) for identifier, uses in identifiers.items())
            with writing:
                database.execute('INSERT INTO file VALUES (?, ?)', (name, lines))
                database.executemany('INSERT INTO identifier VALUES (?, ?, ?)', rows)
        progress(os.path.getsize(path))


def count(path):
    """Return how many lines a file has, and how often it uses each identifier."""
    identifiers = collections.Counter()
    lines = 0
    with tokenize.open(path) as source:
        for kind, string, (row, _), _, _ in tokenize.generate_tokens(source.readline):
            lines = row
            if kind == token.NAME and not keyword.iskeyword(string):
                identifiers[string] += 1
    return lines - 1, identifiers       # the last token, ENDMARKER, is one line further down


def index_alone(root, todo, database, progress, errors, stop):
    """Run the job in this interpreter, on the objects themselves."""
    index_files(root, todo, database, threading.Lock(), progress, errors, stop)


def index_in_parallel(workers, root, todo, database, progress, errors, stop):
    """Run the job in that many other interpreters, all of them using our objects."""
    # When this block ends, no interpreter can reach the shared objects any more.
    with interpreters.ShareScope() as scope, InterpreterPoolExecutor(workers) as pool:
        shared = [scope.share(thing) for thing in
                  (todo, database, threading.Lock(), progress, errors, stop)]
        running = [pool.submit(index_files, root, *shared) for _ in range(workers)]
        try:
            for future in running:
                future.result()
        except BaseException:
            stop.set()                  # the other workers need not go on
            raise


# ---- One run of it ------------------------------------------------------------------------

class Stopped(Exception):
    """Ctrl-C was pressed."""


def run(title, index, files, root, database_path, errors, stop):
    """Index the files into a new database; return what SQL says of it, and the time."""
    progress = Progress(title, len(files), sum(size for _, size in files))
    todo = collections.deque(name for name, _ in files)
    with contextlib.closing(connect(database_path)) as database:
        start = time.perf_counter()
        index(str(root), todo, database, progress.advance, errors, stop)
        if stop.is_set():
            raise Stopped
        database.execute('COMMIT')
        seconds = time.perf_counter() - start
        progress.finish(seconds)
        return totals(database), seconds


def connect(path):
    # Calls come from the workers' threads, one at a time: they hold the lock.  Transactions
    # are ours to begin, because the first of several threads could not know that it is.
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.executescript(SCHEMA)
    return database


def totals(database):
    """Return all there is to know of an index, in an order that does not depend on the run."""
    files, lines = database.execute('SELECT count(*), sum(lines) FROM file').fetchone()
    uses = database.execute(
        'SELECT name, sum(uses) AS uses FROM identifier GROUP BY name ORDER BY uses DESC, name')
    return {'files': files, 'lines': lines or 0, 'uses': dict(uses)}


def set_on_interrupt(event):
    """Make Ctrl-C set the event, instead of raising KeyboardInterrupt somewhere."""
    def interrupted(signum, frame):
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # once is enough
        event.set()

    signal.signal(signal.SIGINT, interrupted)


# ---- What one sees ------------------------------------------------------------------------

class Progress:
    """A bar that moves on a terminal; elsewhere one line for every tenth of the work."""

    def __init__(self, title, files, size):
        self.title, self.files, self.size = title, files, size
        self.files_done = self.size_done = self.tenths = 0
        self.start = time.perf_counter()
        self.drawn = 0.0
        self.lock = threading.Lock()    # without a GIL the workers call at the same time
        self.live = sys.stdout.isatty() and os.environ.get('TERM') != 'dumb'
        self.full, self.empty = ('█', '░') if can_print('█░') else ('#', '.')
        if not self.live:
            print(f'{title}:', flush=True)

    def advance(self, size):
        """Count one more file, of that size."""
        with self.lock:
            self.files_done += 1
            self.size_done += size
            if self.live:
                self.draw()
            else:
                self.tell()

    def finish(self, seconds):
        if self.live:
            print('\r\033[K', end='')
            print(f'{self.title}: {seconds:.1f} s', flush=True)
        else:
            print(f'  done in {seconds:.1f} s', flush=True)

    def draw(self):
        now = time.perf_counter()
        if now - self.drawn < 0.05:
            return
        self.drawn = now
        done = self.size_done / self.size
        eta = (now - self.start) * (1 - done) / done
        head = f'\r{self.title} '
        tail = (f' {done:4.0%}  {self.files_done:,}/{self.files:,} files'
                f'  ETA {int(eta) // 60}:{int(eta) % 60:02}')
        width = min(shutil.get_terminal_size().columns - len(head) - len(tail), 40)
        filled = round(width * done)
        bar = self.full * filled + self.empty * (width - filled)
        print(f'{head}{bar}{tail}\033[K', end='', flush=True)

    def tell(self):
        tenths = 10 * self.size_done // self.size
        if tenths > self.tenths:
            self.tenths = tenths
            seconds = time.perf_counter() - self.start
            print(f'  {10 * tenths:3} %  {self.files_done:6,} files  {seconds:6.1f} s', flush=True)


def can_print(text):
    try:
        text.encode(sys.stdout.encoding or 'ascii')
    except UnicodeEncodeError:
        return False
    return True


def show(found, logged):
    uses = found['uses']
    print(f'{found["files"]:,} files, {found["lines"]:,} lines, '
          f'{sum(uses.values()):,} uses of {len(uses):,} identifiers')
    print('Most used:', ', '.join(f'{name} {uses[name]:,}' for name in list(uses)[:6]))
    print(f'In the log, because they do not tokenize: {len(logged)}')
    for line in logged:
        print(f'  {line}')


def differences(parallel, alone):
    """Yield in what the two runs differ."""
    for key in ('files', 'lines'):
        if parallel[key] != alone[key]:
            yield f'{key}: {parallel[key]:,} in parallel, {alone[key]:,} alone'
    both = parallel['uses'].keys() | alone['uses'].keys()
    wrong = [name for name in sorted(both)
             if parallel['uses'].get(name) != alone['uses'].get(name)]
    if wrong:
        yield f'uses of {len(wrong):,} identifiers, for example {wrong[0]!r}'


# ---- The command --------------------------------------------------------------------------

def find_files(root, limit):
    """Return (name, size) of the library's source files, the largest first.

    Nobody then starts on a large one while the others have nothing left to do.
    """
    found = [path for path in sorted(root.rglob('*.py')) if 'site-packages' not in path.parts]
    files = [(path.relative_to(root).as_posix(), path.stat().st_size) for path in found[:limit]]
    return sorted(files, key=lambda file: file[1], reverse=True)


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


positive.__name__ = 'positive number'   # as argparse calls it


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0], allow_abbrev=False)
    parser.add_argument('--interpreters', type=positive, metavar='N',
                        default=max(2, os.process_cpu_count() or 1),
                        help='how many work in parallel (default: one per core, at least 2; '
                             'here %(default)s)')
    parser.add_argument('--limit', type=positive, metavar='N', help='index N files only')
    parser.add_argument('--database', type=pathlib.Path, metavar='PATH',
                        help='keep the database in this new file (default: a temporary one)')
    parser.add_argument('--log', type=pathlib.Path, metavar='PATH',
                        help='keep the log of files that do not tokenize in this file')
    arguments = parser.parse_args()
    if path := arguments.database:
        if path.exists():
            parser.error(f'{path} exists already; --database wants a new file')
        if not path.parent.is_dir():
            parser.error(f'there is no folder {path.parent} for --database')
    return arguments


def index_twice(arguments, scratch, stop):
    """Make the index in parallel and alone, show what is in it, and compare."""
    root = pathlib.Path(os.__file__).parent
    files = find_files(root, arguments.limit)
    size = sum(size for _, size in files)
    print(f'Indexing {len(files):,} files, {size / 1e6:.1f} MB, of {root}', flush=True)

    workers = arguments.interpreters
    log = arguments.log or scratch / 'errors.log'
    with open(log, 'w', encoding='utf-8') as errors:
        parallel, parallel_time = run(f'{workers} interpreter{"s"[:workers > 1]}',
                                      functools.partial(index_in_parallel, workers),
                                      files, root, scratch / 'parallel.db', errors, stop)
    with open(scratch / 'alone.log', 'w', encoding='utf-8') as errors:
        alone, alone_time = run('main alone', index_alone,
                                files, root, scratch / 'alone.db', errors, stop)
    if arguments.database:
        shutil.move(scratch / 'parallel.db', arguments.database)

    print()
    logged = log.read_text(encoding='utf-8').splitlines()
    show(parallel, logged)
    wrong = list(differences(parallel, alone))
    if parallel['files'] + len(logged) != len(files):
        wrong.append(f'files: {parallel["files"]:,} indexed and {len(logged)} in the log, '
                     f'of {len(files):,}')
    if wrong:
        print('FAILED: the index made in parallel is not the one made alone', file=sys.stderr)
        for line in wrong:
            print(f'  {line}', file=sys.stderr)
        return 1
    print('Both runs found the same.')
    print(f'{alone_time:.2f} s alone, {parallel_time:.2f} s with {workers}: '
          f'{alone_time / parallel_time:.2f} times as fast')
    return 0


def main():
    stop = threading.Event()
    set_on_interrupt(stop)
    arguments = parse_arguments()
    try:
        with tempfile.TemporaryDirectory(prefix='index-stdlib-') as scratch:
            return index_twice(arguments, pathlib.Path(scratch), stop)
    except Stopped:
        print('\nInterrupted; every interpreter has stopped.', flush=True)
        return INTERRUPTED
    except (OSError, sqlite3.Error) as error:
        print(f'\n{os.path.basename(__file__)}: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
