#!/usr/bin/env python3
"""Run the base's test_interpreters on a free-threaded build, where it skips itself.

    Tools/base/skipped_tests.py [--build-dir build-ft] [--pristine] [ARGUMENT...]

The arguments are unittest's; without any, the whole package runs.  The test package is mirrored by
symbolic links, all but the one file that says to skip; tests, their subprocesses and the
interpreters they make import from the mirror.  --pristine runs the pristine base instead, for
comparison (`cmake --build BUILD/cmake --target pristine` builds it).
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from layout import BuildDir, BuildError, run_main

SKIP = 'raise unittest.SkipTest("GIL disabled")'
TESTS = "test.test_interpreters"


def mirror(library, folder):
    """Make folder/test, in which test_interpreters does not skip itself."""
    package = folder / "test"
    package.mkdir()
    for entry in (library / "test").iterdir():
        if entry.name == "test_interpreters":
            shutil.copytree(entry, package / entry.name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        elif entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    start = package / "test_interpreters" / "__init__.py"
    text = start.read_text()
    if SKIP not in text:
        raise BuildError(f"{start} does not skip itself any more: run it as it is")
    start.write_text(text.replace(SKIP, "pass"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", default="build-ft", help="default: %(default)s")
    parser.add_argument("--pristine", action="store_true")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for unittest")
    options = parser.parse_args()
    build = BuildDir(options.build_dir)
    place = build.path / "pristine" if options.pristine else build.path
    if not (place / "python").exists():
        raise BuildError(f"there is no {place / 'python'}")
    with tempfile.TemporaryDirectory() as folder:
        mirror(place / "src" / "Lib", Path(folder))
        command = [place / "python", "-X", "faulthandler", "-m", "unittest",
                   *(options.arguments or ["-v", TESTS])]
        return subprocess.run(command, stdin=subprocess.DEVNULL, cwd=folder,
                              env={**os.environ, "PYTHONPATH": folder}).returncode


if __name__ == "__main__":
    run_main(main)
