#!/usr/bin/env python3
"""Check what the built libpython exports and what it needs.

  - neither the interpreter nor a shared libpython needs libc++, libstdc++ or libunwind
  - no C++ name is visible from outside: nothing exported starts with _Z, but for a sanitizer's
    runtime, and our object defines only Py... and _Py... globally
  - CPython's own check of the names of exported symbols passes: Tools/build/smelly.py
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from layout import BuildDir, BuildError, run_main

FORBIDDEN_LIBRARIES = ("libc++", "libstdc++", "libunwind")
OUR_OBJECT = "Python/pyshared.obj"
# A C++ name, but for those of the runtime that a build with a sanitizer has linked in.
CXX_NAME = re.compile(r"_Z(?!N\d+__(?:asan|lsan|sanitizer|tsan|ubsan)\d)")
# Names that may be global in our object: Python's, and what AddressSanitizer adds for each variable.
OUR_NAME = re.compile(r"_?Py|___asan_|__odr_asan_gen_")


def output(*command, **options):
    run = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, **options)
    return run.returncode, run.stdout


def listing(*command):
    status, text = output(*command)
    if status:
        raise BuildError(f"{' '.join(map(str, command))} failed:\n{text}")
    return text


def linked_files(build):
    """Return the interpreter and, where there is one, the shared libpython."""
    return [build.path / "python", *sorted(build.path.glob("libpython*.so.*"))]


def check_needed(build):
    """Yield the C++ libraries that the results need."""
    for file in linked_files(build):
        needed = [line.split("[")[1].rstrip("]") for line in
                  listing("readelf", "-d", "-W", file).splitlines() if "(NEEDED)" in line]
        print(f"{file.name} needs {' '.join(needed)}")
        yield from (f"{file.name} needs {name}" for name in needed
                    if name.startswith(FORBIDDEN_LIBRARIES))


def global_symbols(file, *options):
    """Return [(type, name)] of the symbols a file defines for others."""
    lines = listing("nm", "--defined-only", "--extern-only", *options, file).splitlines()
    return [tuple(line.split()[-2:]) for line in lines if len(line.split()) >= 3]


def check_exports(build):
    """Yield the C++ names that are visible from outside."""
    files = [(file, ["--dynamic"]) for file in linked_files(build)]
    files += [(file, []) for file in sorted(build.path.glob("libpython*.a"))]
    for file, options in files:
        yield from (f"{file.name} exports {name}" for _, name in global_symbols(file, *options)
                    if CXX_NAME.match(name))
    ours = global_symbols(build.path / OUR_OBJECT)
    print(f"{OUR_OBJECT} exports {len(ours)} names")
    yield from (f"{OUR_OBJECT} exports {name}, which starts with neither Py nor _Py"
                for _, name in ours if not OUR_NAME.match(name))


def check_smelly(build):
    """Run smelly.py; yield its output if it fails.

    Not on builds whose options add symbols that it does not know.
    """
    options = (build.path / "configured").read_text()
    for option, what in (("--with-lto", "static data in the bitcode of a build with LTO"),
                         ("--with-address-sanitizer", "what AddressSanitizer adds")):
        if option in options:
            print(f"smelly.py: not run, it counts {what}")
            return
    environment = dict(os.environ, LD_LIBRARY_PATH=str(build.path))
    status, text = output(build.path / "python", build.src / "Tools/build/smelly.py",
                          cwd=build.path, env=environment)
    print(f"smelly.py: {'passed' if status == 0 else 'FAILED'}")
    if status:
        tail = "\n  ".join(text.splitlines()[-20:])
        yield f"smelly.py failed:\n  {tail}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="a finished build directory")
    build = BuildDir(parser.parse_args().build_dir)
    if not (build.path / "python").exists():
        raise BuildError(f"there is no {build.path / 'python'}; run `make` first")
    problems = [*check_needed(build), *check_exports(build), *check_smelly(build)]
    for problem in problems:
        print(f"check_symbols.py: {problem}", file=sys.stderr)
    print("Symbols: " + (f"{len(problems)} problems" if problems else "OK"))
    return 1 if problems else 0


if __name__ == "__main__":
    run_main(main)
