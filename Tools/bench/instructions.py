#!/usr/bin/env python3
"""Count the instructions that one operation through a proxy takes; fail if they are too many.

    Tools/bench/instructions.py [--build-dir DIR] [--filter REGEX] [--check] [--json FILE]

Instructions are counted by valgrind's callgrind.  Unlike times they do not depend on the
machine's mood, so a bound on them is worth a test.  The statements are those of
sharing_bench.py; only those of one operation each are counted.

This program starts itself again under valgrind, which looks at counters whenever the marked
function runs: before and after each loop.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

MARK = 'os_getppid'             # what the counters are dumped before
SKIPPED = 77                    # tells ctest so
OPERATIONS = 2000                # of each statement

# What an operation may take through a proxy, from another interpreter and in the owner itself: a
# third more than it does, in a release build with the GIL, clang -O3.
BOUNDS = {
    'p.inc(1)': (3400, 1050), 'p.n': (1950, 240), 'l[3]': (1850, 260), 'len(l)': (1450, 370),
    '1050 in s': (1950, 600), 'f(1)': (2400, 590), 'f(x=1)': (2650, 800),
    'f(25 characters)': (2950, 600), 'a step of "for x in p"': (1550, 90),
    'p.child, seen before': (2350, 240), 'KeyError': (6700, 2350),
}
NO_BOUND = (float('inf'),) * 2


# ---- Under valgrind ---------------------------------------------------------------------

def count_all(pattern):
    """Run each statement between two marks; print the names in the order of the counters."""
    sys.path.insert(0, str(HERE))
    import sharing_bench
    world = sharing_bench.World()
    try:
        for line in sharing_bench.statement_lines():
            if line.number or not re.search(pattern, line.name):
                continue
            steps = line.steps if line.steps > 1 else OPERATIONS
            for where, names in (('across', world.across), ('home', world.home),
                                 ('direct', world.local)):
                print(json.dumps([line.name, where, steps]), flush=True)
                run_marked(line, names, steps // line.steps)
    finally:
        world.close()


def run_marked(line, names, number):
    """Run the statement, and then an empty loop, between marks."""
    source = ('def measure(number):\n'
              '    from os import getppid\n'
              '    from itertools import repeat\n'
              f'    {line.setup}\n'
              '    def loop():\n'
              '        for _ in repeat(None, number):\n'
              + ''.join(f'            {row}\n' for row in line.statement.splitlines())
              + '    def empty():\n'
              '        for _ in repeat(None, number):\n'
              '            pass\n'
              '    for _ in range(8):\n'      # specializes
              '        loop(); empty()\n'
              '    getppid(); loop(); getppid(); empty(); getppid()\n')
    scope = dict(names)
    exec(source, scope)
    scope['measure'](number)


# ---- The command ------------------------------------------------------------------------

def is_release_with_gil(python):
    code = ('import sys, sysconfig; get = sysconfig.get_config_var\n'
            'sys.exit(bool(get("Py_DEBUG") or get("Py_GIL_DISABLED")))')
    return subprocess.run([python, '-E', '-c', code]).returncode == 0


def copy_without_debug_information(build, folder):
    """Return an interpreter that valgrind can read: it gives up on what the compiler writes."""
    def strip(path):
        target = folder / path.relative_to(build)
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(['strip', '--strip-debug', '-o', target, path.resolve()], check=True)
        return target

    lib = (build / 'pybuilddir.txt').read_text().strip()
    shutil.copy(build / 'pybuilddir.txt', folder)
    (folder / 'src').symlink_to(build / 'src')
    for library in (*(build / lib).glob('*.so'), *build.glob('libpython*.so*')):
        strip(library)
    return strip(build / 'python')


def totals(folder):
    """Return the instructions of each dump, in order."""
    found = {}
    for path in folder.glob('out.*'):
        text = path.read_text()
        part = re.search(r'^part: (\d+)$', text, re.M)
        total = re.search(r'^(?:totals|summary): (\d+)$', text, re.M)
        found[int(part[1])] = int(total[1])
    return [found[number] for number in sorted(found)]


def count(build, pattern):
    """Return {(name, where): instructions of one operation}."""
    with tempfile.TemporaryDirectory() as folder:
        python = copy_without_debug_information(build, Path(folder))
        run = subprocess.run(
            ['valgrind', '--tool=callgrind', f'--callgrind-out-file={folder}/out',
             f'--dump-before={MARK}', python, '-E', __file__,
             '--under-valgrind', f'--filter={pattern}'],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if run.returncode:
            raise SystemExit(f'valgrind failed:\n{run.stderr}')
        numbers = totals(Path(folder))
    result = {}
    for i, row in enumerate(run.stdout.splitlines()):
        name, where, steps = json.loads(row)
        # Dumps: before the loop, after it, after the empty one.
        loop, empty = numbers[3 * i + 1], numbers[3 * i + 2]
        result[name, where] = (loop - empty) / steps
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--build-dir', default='build', type=Path)
    parser.add_argument('--filter', default='', metavar='REGEX')
    parser.add_argument('--json', metavar='FILE', type=Path)
    parser.add_argument('--check', action='store_true', help='fail if a bound is exceeded')
    parser.add_argument('--under-valgrind', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.under_valgrind:
        return count_all(options.filter)
    if not shutil.which('valgrind'):
        print('there is no valgrind', file=sys.stderr)
        return SKIPPED
    if options.check and not is_release_with_gil(options.build_dir / 'python'):
        print('bounds are for release builds with the GIL', file=sys.stderr)
        return SKIPPED
    counts = count(options.build_dir.absolute(), options.filter)
    names = list(dict.fromkeys(name for name, _ in counts))
    print(f'{"instructions of one":28} {"across":>8} {"bound":>6} {"at home":>8} {"bound":>6} '
          f'{"direct":>8}')
    for name in names:
        across, home, direct = (counts[name, where] for where in ('across', 'home', 'direct'))
        most = BOUNDS.get(name, NO_BOUND)
        print(f'{name:28} {across:8.0f} {most[0]:6} {home:8.0f} {most[1]:6} {direct:8.0f}')
    if options.json:
        options.json.write_text(json.dumps(
            {name: {where: counts[name, where] for where in ('across', 'home', 'direct')}
             for name in names}, indent=1) + '\n')
    exceeded = [f'{name} ({where})' for name in names
                for where, most in zip(('across', 'home'), BOUNDS.get(name, NO_BOUND))
                if counts[name, where] > most]
    if options.check and exceeded:
        print('more instructions than allowed:', *exceeded, sep='\n  ', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
