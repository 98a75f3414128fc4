#!/usr/bin/env python3
"""Run the C++ tests under valgrind and tell what memory they lose or misuse.

    Tools/base/leaks.py [--build-dir build] [--filter TESTS] [TEST...]

A test is a program in cmake/Tests; without any, all run.  Python objects are allocated with malloc
(PYTHONMALLOC), so that each is seen.  Every error counts: misuse, and memory that is lost.  Memory
that can still be reached when the process ends is the base's, which keeps some; it counts if our code
allocated it.  So does memory that is lost in the few tests in which the base loses some; they run in a
process of their own.  The exit status is 1 if anything counts.
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

# Tests in which the base loses memory.  It frees a thread state when its thread wants to attach after
# the end of the runtime, which one that has ended does not.  Daemon threads hang for good then, with
# all that their stacks refer to.
LOSING = {"entry_test": "*a_thread_that_ends_without_telling*",
          "gil_test": "*a_runtime_ends_while_threads_want_the_gil*"}

# What stands between whoever wants memory and malloc.
ALLOCATORS = re.compile(r"malloc|calloc|realloc|operator new|_?Py(Mem|Object|Type|_?GC)\w*(Alloc|New)"
                        r"|_?PyMem_|_PyObject_GC|gc_alloc|new_threadstate|_?PyThreadState_New")
OURS = re.compile(r"pyshared::|_?PyShared")


def is_ours(error):
    """Did our code allocate what is left?"""
    for frame in error.find("stack").iter("frame"):
        function = frame.findtext("fn", "")
        if not ALLOCATORS.match(function):
            return bool(OURS.match(function))
    return False


def describe(error):
    what = error.findtext("xwhat/text") or error.findtext("what")
    frames = [frame.findtext("fn") or frame.findtext("ip") for frame in error.find("stack")]
    return "\n      ".join([what, *frames[:12]])


def run(program, tests):
    """Run tests of the program; return whether they passed, and valgrind's errors."""
    with tempfile.TemporaryDirectory() as folder:
        # Its debug information can be too new for valgrind; names of functions stay.
        stripped, report = Path(folder, program.name), Path(folder, "report.xml")
        subprocess.run(["objcopy", "--strip-debug", program, stripped], check=True)
        status = subprocess.run(
            ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--fair-sched=yes",
             "--num-callers=40", "--child-silent-after-fork=yes", "--xml=yes",
             f"--xml-file={report}", stripped, "--gtest_brief=1", f"--gtest_filter={tests}"],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONMALLOC": "malloc", "PYSHARED_TEST_STEPS": STEPS}).returncode
        return status == 0, ElementTree.parse(report).findall("error")


def check(program, tests, base_may_lose=False):
    """Print what these tests lose; return whether that is nothing."""
    passed, errors = run(program, tests)
    left = [error for error in errors if error.findtext("kind") == "Leak_StillReachable"
            or base_may_lose and error.findtext("kind").startswith("Leak_")]
    ours = list(filter(is_ours, left))
    counted = [error for error in errors if error not in left] + ours
    print(f"{program.name} {tests}: {'passed' if passed else 'FAILED'}, {len(counted)} errors; "
          f"{len(left)} places whose memory {'is left' if base_may_lose else 'can be reached'} "
          f"at the end, {len(ours)} of them ours", flush=True)
    for error in counted[:20]:
        print("   ", describe(error))
    return passed and not counted


def check_all(program):
    """Check the whole program; return whether it loses nothing."""
    losing = LOSING.get(program.name)
    if losing is None:
        return check(program, "*")
    return check(program, f"-{losing}") & check(program, losing, base_may_lose=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", default="build", help="default: %(default)s")
    parser.add_argument("--filter", metavar="TESTS",
                        help="run only these (--gtest_filter); all that they lose counts")
    parser.add_argument("tests", nargs="*", metavar="TEST", help=f"default: {' '.join(TESTS)}")
    options = parser.parse_args()
    folder = BuildDir(options.build_dir).path / "cmake" / "Tests"
    programs = [folder / name for name in options.tests or TESTS]
    for program in programs:
        if not program.exists():
            raise BuildError(f"there is no {program}: make test-cpp builds it")
    return int(not all([check(program, options.filter) if options.filter else check_all(program)
                        for program in programs]))


if __name__ == "__main__":
    run_main(main)
