#!/usr/bin/env python3
"""Run CPython's regression suite and tell what this fork broke.

  1. The suite, or the test files named as arguments, runs here (BUILD/python).
  2. Files that failed run once more here, each alone, to sort out flaky ones.
  3. Files that failed again run on the pristine base, which is built on demand with the
     same compiler and options in BUILD/pristine.

Only a file that fails here and passes there counts as broken by us; then the exit status
is 1.  The last line is `N passed, N failed, N skipped`; files that the pristine base fails
as well are listed above it and counted as skipped.
"""

import argparse
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from layout import BuildDir, BuildError, run_main

# The headings of regrtest's summary, and what they are to us.
HEADING = re.compile(r"^\d+ (?:re-run )?tests? ?(.*?):$")
KINDS = {
    "failed": "failed",
    "skipped": "skipped",
    "skipped (resource denied)": "skipped",
    "run no tests": "skipped",
    "omitted": "omitted",
}


@dataclass
class Result:
    """What regrtest said about one run, as sets of test files."""
    failed: set = field(default_factory=set)
    skipped: set = field(default_factory=set)
    omitted: set = field(default_factory=set)
    files: int = 0              # how many ran, skipped ones included
    tests: int = 0              # how many test methods ran
    completed: bool = False     # regrtest reached its last line

    @classmethod
    def parse(cls, lines):
        result, into = cls(), None
        for line in lines:
            line = re.sub(r"\x1b\[[0-9;]*m", "", line.rstrip("\n"))
            if match := HEADING.match(line):
                into = KINDS.get(match[1])
            elif into and line.startswith("    "):
                getattr(result, into).update(line.split())
            else:
                into = None
            if match := re.match(r"Total test files: .*?run=([\d,]+)", line):
                result.files = int(match[1].replace(",", ""))
            if match := re.match(r"Total tests: run=([\d,]+)", line):
                result.tests = int(match[1].replace(",", ""))
            result.completed |= line.startswith("Result: ")
        return result


@dataclass
class Runner:
    """Runs regrtest with one interpreter."""
    python: Path
    log: Path
    timeout: int
    resources: str = None

    def run(self, tests, jobs):
        command = [str(self.python), "-m", "test", "-W", f"-j{jobs}", "--timeout", str(self.timeout),
                   *(["-u", self.resources] if self.resources else []), *sorted(tests)]
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("PYTHON") and name not in ("MAKEFLAGS", "MAKELEVEL")}
        environment["NO_COLOR"] = "1"
        print(f"+ {' '.join(command)}", flush=True)
        lines = []
        with open(self.log, "a", errors="replace") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, errors="replace",
                                       env=environment, cwd=self.log.parent)
            for line in process.stdout:
                log.write(line)
                lines.append(line)
                if interesting(line):
                    print(line, end="", flush=True)
        process.wait()
        result = Result.parse(lines)
        if not result.completed:
            tail = "  ".join(lines[-15:])
            raise BuildError(f"regrtest itself did not finish (status {process.returncode}); "
                             f"its last lines (all are in {self.log}):\n  {tail}")
        if result.omitted:
            raise BuildError(f"interrupted: {len(result.omitted)} test files did not run")
        return result


def interesting(line):
    """Tell whether a line of regrtest's says how it goes, rather than what a test printed."""
    return bool(re.match(r"\d+:\d\d:\d\d load avg|Total |Result: |== Tests result", line))


def build_pristine(build):
    """Build the pristine base beside this build; return its interpreter."""
    command = ["cmake", "--build", str(build.path / "cmake"), "--target", "pristine"]
    print("Building the pristine base to compare with", flush=True)
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise BuildError("the pristine base could not be built (see above)")
    return build.path / "pristine" / "python"


def exists_in_base(build, test):
    """Tell whether a test file or package is the base's own."""
    path = build.base / "Lib" / "test" / test.replace("test.", "", 1).replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def compare(build, options):
    """Run everything; return {test file: verdict} of what failed, and the first run's result."""
    log = build.path / "test-stdlib.log"
    log.write_text("")
    here = Runner(build.path / "python", log, options.timeout, options.resources)
    first = here.run(options.tests, options.jobs)
    verdicts = {}
    if first.failed:
        print(f"\nOnce more, each alone: {' '.join(sorted(first.failed))}", flush=True)
        again = here.run(first.failed, 1).failed
        verdicts = {test: "flaky: passed alone" for test in first.failed - again}
        verdicts |= {test: "BROKEN BY US (the base has no such test)"
                     for test in again if not exists_in_base(build, test)}
        if known := again - verdicts.keys():
            python = build_pristine(build)
            log = build.path / "test-pristine.log"
            log.write_text("")
            there = Runner(python, log, options.timeout, options.resources).run(known, 1).failed
            verdicts |= {test: "fails on the pristine base too" for test in known & there}
            verdicts |= {test: "BROKEN BY US: passes on the pristine base"
                         for test in known - there}
    return verdicts, first


def report(verdicts, first, log, seconds):
    """Print the table and the closing line; return how many are broken by us."""
    broken = [test for test, verdict in verdicts.items() if verdict.startswith("BROKEN")]
    on_base = [test for test, verdict in verdicts.items() if "pristine base too" in verdict]
    print(f"\n{first.files} test files in {seconds / 60:.1f} minutes; all output is in {log}")
    if verdicts:
        width = max(map(len, verdicts))
        for test in sorted(verdicts, key=lambda test: (verdicts[test], test)):
            print(f"  {test:{width}}  {verdicts[test]}")
    skipped = len(first.skipped) + len(on_base)
    print(f"{max(first.files - len(broken) - skipped, 0)} passed, {len(broken)} failed, "
          f"{skipped} skipped", flush=True)
    return len(broken)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", default="build", help="a finished build directory")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1,
                        help="parallel test processes (default: one per processor)")
    parser.add_argument("--timeout", type=int, default=1200, metavar="SECONDS",
                        help="for one test file (default: %(default)s)")
    parser.add_argument("-u", "--use", dest="resources", metavar="RES1,RES2",
                        help="resources that the tests may use, as regrtest's -u")
    parser.add_argument("tests", nargs="*", help="test files (default: all)")
    options = parser.parse_args()
    build = BuildDir(options.build_dir)
    if not (build.path / "python").exists():
        raise BuildError(f"there is no {build.path / 'python'}; run `make` first")
    if options.jobs < 1 or options.timeout < 1:
        raise BuildError("--jobs and --timeout must be at least 1")
    start = time.monotonic()
    verdicts, first = compare(build, options)
    return 1 if report(verdicts, first, build.path / "test-stdlib.log",
                       time.monotonic() - start) else 0


if __name__ == "__main__":
    run_main(main)
