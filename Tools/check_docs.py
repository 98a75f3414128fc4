#!/usr/bin/env python3
"""Run the examples of the documentation, with the interpreter that runs this script.

    build/python Tools/check_docs.py [FILE.md...]      (default: README.md and Doc/*.md)

Two kinds of fenced blocks are run:

    ```pycon     a session; all those of a file are one doctest (`...` stands for anything)
    ```python    a whole program, run in a process and a folder of its own; if the next block
                 is ```text, that is what it prints

Prints what differs; the exit status says whether anything did.
"""

import argparse
import doctest
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
TIMEOUT = 120
# Blank lines keep every line where it is, so that messages name the right one.
FENCED = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(text):
    """Yield (kind, line number, content) of each fenced block."""
    for match in FENCED.finditer(text):
        yield match[1], text.count('\n', 0, match.start(2)) + 1, match[2]


def check_sessions(path, found):
    """Run the pycon blocks as one session; return how many examples ran and failed."""
    lines = []
    for kind, line, content in found:
        if kind == 'pycon':
            lines += [''] * (line - 1 - len(lines)) + content.splitlines() + ['']
    test = doctest.DocTestParser().get_doctest(
        '\n'.join(lines) + '\n', {'__name__': '__main__'}, path.name, str(path), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    failed, attempted = runner.run(test)
    return attempted, failed


def check_program(path, line, program, expected):
    """Run a program; return whether it did what the page says."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, 'example.py')
        script.write_text(program, encoding='utf-8')
        ran = subprocess.run([sys.executable, script.name], cwd=folder, text=True,
                             encoding='utf-8', timeout=TIMEOUT, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ran.returncode:
        print(f'{path}:{line}: the program failed\n{ran.stdout}')
        return False
    checker = doctest.OutputChecker()
    if expected is not None and not checker.check_output(expected, ran.stdout, FLAGS):
        print(f'{path}:{line}: expected\n{expected}got\n{ran.stdout}')
        return False
    return True


def check(path):
    """Run the examples of one page; return how many failed."""
    found = list(blocks(path.read_text(encoding='utf-8')))
    ran, failed = check_sessions(path, found)
    for (kind, line, content), following in zip(found, found[1:] + [None]):
        if kind == 'python':
            expected = following[2] if following and following[0] == 'text' else None
            ran += 1
            failed += not check_program(path, line, content, expected)
    if ran:
        print(f'{path}: {ran} examples, {failed} failed')
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('files', nargs='*', type=Path, metavar='FILE.md')
    files = parser.parse_args().files
    files = files or [ROOT / 'README.md', *sorted(ROOT.glob('Doc/*.md'))]
    return 1 if sum([check(path) for path in files]) else 0


if __name__ == '__main__':
    sys.exit(main())
