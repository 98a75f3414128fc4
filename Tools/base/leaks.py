#!/usr/bin/env python3
"""Run the C++ tests under valgrind and tell what memory they lose or misuse.

    Tools/base/leaks.py [--build-dir build] [TEST...]

A test is a program in cmake/Tests; without any, all run.  Python objects are allocated with malloc
(PYTHONMALLOC), so that each is seen.  Every error counts: misuse, and memory that is lost.  Memory
that can still be reached when the process ends is the base's, which keeps some; it counts if our code
allocated it.  The exit status is 1 if anything counts.
"""

import argparse
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from layout import BuildDir, BuildError, run_main

TESTS = ["cellpool_test", "entry_test", "embed_test", "gil_test"]

# Of random use of the cells: fewer than without valgrind.
STEPS = "20000"

# What stands between whoever wants memory and malloc.
ALLOCATORS = re.compile(r"malloc|calloc|realloc|operator new|_?Py(Mem|Object|Type|_?GC)\w*(Alloc|New)"
                        r"|_?PyMem_|_PyObject_GC|gc_alloc")
OURS = re.compile(r"pyshared::|_?PyShared")


def is_ours(error):
    """Did our code allocate what is still reachable?"""
    for frame in error.find("stack").iter("frame"):
        function = frame.findtext("fn", "")
        if not ALLOCATORS.match(function):
            return bool(OURS.match(function))
    return False


def describe(error):
    what = error.findtext("xwhat/text") or error.findtext("what")
    frames = [frame.findtext("fn") or frame.findtext("ip") for frame in error.find("stack")]
    return "\n      ".join([what, *frames[:12]])


def run(program, filters):
    """Run the program; return whether its tests passed, and valgrind's errors."""
    with tempfile.TemporaryDirectory() as folder:
        # Its debug information can be too new for valgrind; names of functions stay.
        stripped, report = Path(folder, program.name), Path(folder, "report.xml")
        subprocess.run(["objcopy", "--strip-debug", program, stripped], check=True)
        status = subprocess.run(
            ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--fair-sched=yes",
             "--num-callers=40", "--child-silent-after-fork=yes", "--xml=yes",
             f"--xml-file={report}", stripped, "--gtest_brief=1", *filters],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONMALLOC": "malloc", "PYSHARED_TEST_STEPS": STEPS}).returncode
        return status == 0, ElementTree.parse(report).findall("error")


def check(program, filters):
    """Print what the program loses; return whether that is nothing."""
    passed, errors = run(program, filters)
    reachable = [error for error in errors if error.findtext("kind") == "Leak_StillReachable"]
    counted = [error for error in errors if error not in reachable]
    counted += filter(is_ours, reachable)
    print(f"{program.name}: {'passed' if passed else 'FAILED'}, "
          f"{len(counted)} errors; {len(reachable)} places whose memory is reachable at the end, "
          f"{sum(map(is_ours, reachable))} of them ours", flush=True)
    for error in counted[:20]:
        print("   ", describe(error))
    return passed and not counted


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", default="build", help="default: %(default)s")
    parser.add_argument("--filter", action="append", default=[], metavar="TESTS",
                        help="run only these (--gtest_filter)")
    parser.add_argument("tests", nargs="*", metavar="TEST", help=f"default: {' '.join(TESTS)}")
    options = parser.parse_args()
    folder = BuildDir(options.build_dir).path / "cmake" / "Tests"
    programs = [folder / name for name in options.tests or TESTS]
    for program in programs:
        if not program.exists():
            raise BuildError(f"there is no {program}: make test-cpp builds it")
    filters = [f"--gtest_filter={pattern}" for pattern in options.filter]
    return int(not all([check(program, filters) for program in programs]))


if __name__ == "__main__":
    run_main(main)
