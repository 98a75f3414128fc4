#!/usr/bin/env python3
"""Run programs that know nothing of sharing, and programs of the standard library over proxies.

    build/python Tools/programs/run.py [--list] [PROGRAM...]

Each runs in a process and a folder of its own, with no network but the loopback interface.  Prints
a line for each: its time, and for servers what they served.  The exit status is 1 if one fails.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = {}
SECONDS = 5             # of load, for servers
LIMIT = 300             # seconds that a command may take


def program(function):
    PROGRAMS[function.__name__] = function
    return function


class Failure(Exception):
    """What went wrong."""


def run(*command, **options):
    """Run a command; return what it printed."""
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=LIMIT, **options)
    if result.returncode:
        raise Failure(f'{command} ended with {result.returncode}:\n{result.stdout}')
    return result.stdout


def python(*arguments, **options):
    return run(sys.executable, *arguments, **options)


def expect(condition, what):
    if not condition:
        raise Failure(what)


# The interpreter's own

LENDING = '''
from concurrent import interpreters

def main():
    interp = interpreters.create()
    shared = []
    interp.prepare_main(out=interpreters.share(shared))
    interp.exec("out.append(42)")
    print(shared)
    interp.close()
'''


def make_wheel(folder):
    """Write a wheel of one module that shares an object; return its path."""
    path = folder / 'lending-1.0-py3-none-any.whl'
    info = 'lending-1.0.dist-info'
    files = {
        'lending.py': LENDING,
        f'{info}/METADATA': 'Metadata-Version: 2.1\nName: lending\nVersion: 1.0\n',
        f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        f'{info}/entry_points.txt': '[console_scripts]\nlending = lending:main\n',
    }
    files[f'{info}/RECORD'] = ''.join(f'{name},,\n' for name in (*files, f'{info}/RECORD'))
    with zipfile.ZipFile(path, 'w') as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


@program
def venv_and_pip(folder):
    """A virtual environment, and pip installing a wheel in it whose command shares an object."""
    python('-m', 'venv', folder / 'env')
    tool = folder / 'env' / 'bin'
    run(tool / 'python', '-m', 'pip', 'install', '--no-index', '--disable-pip-version-check',
        make_wheel(folder))
    expect('lending' in run(tool / 'python', '-m', 'pip', 'list', '--disable-pip-version-check'),
           'pip does not list what it installed')
    output = run(tool / 'lending')
    expect(output == '[42]\n', output)


@program
def pydoc(folder):
    """pydoc of the sharing API, as text and as HTML."""
    output = python('-m', 'pydoc', 'concurrent.interpreters')
    expect('SharedObjectProxy' in output and 'share_forever' in output, output)
    python('-m', 'pydoc', '-w', 'concurrent.interpreters', cwd=folder)
    expect((folder / 'concurrent.interpreters.html').stat().st_size > 10_000, 'a short page')


@program
def idle(folder):
    """IDLE's command line, and its modules' own tests without a display."""
    expect('usage' in python('-m', 'idlelib', '-h').lower(), 'no usage')
    output = python('-m', 'test', 'test_idle')
    expect('Result: SUCCESS' in output, output)


@program
def zipapp(folder):
    """An archive that is run, with a module in it that other interpreters import."""
    source = folder / 'app'
    source.mkdir()
    (source / 'lending.py').write_text(LENDING)
    python('-m', 'zipapp', source, '-m', 'lending:main', '-o', folder / 'app.pyz')
    expect(python(folder / 'app.pyz') == '[42]\n', 'another result')


@program
def regression_suite(folder):
    """The suite's own driver, with worker processes."""
    output = python('-m', 'test', '-j2', 'test_http_cookies', 'test_sqlite3', 'test_queue',
                    'test_zipapp')
    expect('Result: SUCCESS' in output, output)


# Servers

def under_load(script, folder):
    """Start a server script and send it requests for some seconds; return what it says."""
    if shutil.which('wrk') is None:
        raise Failure('there is no wrk (package wrk)')
    server = subprocess.Popen([sys.executable, '-X', 'faulthandler', HERE / script, folder],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    try:
        port = server.stdout.readline().strip()
        expect(port.isdigit(), f'no port but {port!r}')
        load = run('wrk', '-t1', '-c8', f'-d{SECONDS}s', f'http://127.0.0.1:{port}/')
        output, _ = server.communicate('', timeout=60)
    except BaseException:
        server.kill()
        server.communicate()
        raise
    expect(server.returncode == 0, f'the server ended with {server.returncode}:\n{output}')
    expect('Non-2xx' not in load, load + output)
    requests = int(re.search(r'(\d+) requests in', load)[1])
    expect(requests > 0, load)
    errors = re.findall(r'Socket errors: .*', load)
    served = re.search(r'served (\d+)', output)
    expect(served and int(served[1]) >= requests, f'{requests} requests, but {output}')
    return '; '.join([f'{requests} requests in {SECONDS} s', output.strip(), *errors])


@program
def http_server(folder):
    """http.server with handlers in four interpreters that share a cache and a database of main."""
    return under_load('http_handlers.py', folder)


@program
def asyncio_server(folder):
    """An asyncio server whose requests are answered by event loops of other interpreters."""
    return under_load('asyncio_workers.py', folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--list', action='store_true', help='list the programs and stop')
    parser.add_argument('programs', nargs='*', metavar='PROGRAM', help='default: all')
    options = parser.parse_args()
    if unknown := set(options.programs) - set(PROGRAMS):
        parser.error(f'no such program: {", ".join(sorted(unknown))}')
    if options.list:
        for name, function in PROGRAMS.items():
            print(f'{name:18}{function.__doc__}')
        return 0
    failed = 0
    for name in options.programs or PROGRAMS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = PROGRAMS[name](Path(folder)) or ''
            except (Failure, OSError, subprocess.SubprocessError):
                traceback.print_exc()
                failed += 1
                said = 'FAILED'
        print(f'{name:18}{time.monotonic() - start:6.1f} s  {said}', flush=True)
    print(f'{failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
