#!/usr/bin/env python3
"""Build variants of the interpreter, test each, and print a table.

    Tools/base/matrix.py [--list] [--steps build,cpp,python,upstream] [VARIANT...]

A variant is a preset of CMakePresets.json; without any named, all run that do not take hours (see
--list).  For each:

  build     configure and build in the preset's directory
  cpp       the C++ tests and the checks of the build, through ctest
  python    our Python tests, file by file
  upstream  the base's tests of what we touch; what fails is tried on the pristine base as well

All output goes to matrix-STEP.log in the variant's directory.  The exit status is 1 if anything
fails that the pristine base passes.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import compare_tests
from layout import REPO, BuildDir, BuildError, run_main

SANITIZERS = REPO / "Tools" / "sanitizers"

# Too long to be run unasked.
SLOW = {"pgo", "asan", "tsan", "tsan-gil"}

UPSTREAM_LIST = re.compile(r"^UPSTREAM_TESTS = ((?:.*\\\n)*.*)$", re.MULTILINE)


@dataclass
class Variant:
    """A preset: its name, what it is, and where and how it is built."""
    name: str
    what: str
    build: BuildDir
    options: list

    @classmethod
    def all(cls):
        presets = json.loads((REPO / "CMakePresets.json").read_text())["configurePresets"]
        return {preset["name"]: cls.of(preset) for preset in presets if not preset.get("hidden")}

    @classmethod
    def of(cls, preset):
        build = Path(preset["binaryDir"].replace("${sourceDir}", str(REPO))).parent
        return cls(preset["name"], preset["displayName"], BuildDir(build),
                   preset["cacheVariables"]["PYSHARED_CONFIGURE_ARGS"].split())

    def environment(self):
        """Return the sanitizers' options, with the base's suppressions and ours."""
        settings = {}
        if "--with-address-sanitizer" in self.options:
            settings["ASAN_OPTIONS"] = ("detect_leaks=0:allocator_may_return_null=1:handle_segv=0:"
                                        "detect_stack_use_after_return=0")
        if "--with-undefined-behavior-sanitizer" in self.options:
            settings["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
        if "--with-thread-sanitizer" in self.options:
            settings["TSAN_OPTIONS"] = ("handle_segv=0:history_size=4:second_deadlock_stack=1:"
                                        "allocator_may_return_null=1:"
                                        f"die_after_fork=0:suppressions={self.suppressions()}")
        return settings

    def suppressions(self):
        """Write the base's list of races and ours into one file; return its path."""
        free_threaded = "_free_threading" if "--disable-gil" in self.options else ""
        lists = [self.build.base / "Tools" / "tsan" / f"suppressions{free_threaded}.txt",
                 SANITIZERS / "tsan.txt"]
        path = self.build.path / "tsan-suppressions.txt"
        path.write_text("\n".join(file.read_text() for file in lists if file.exists()))
        return path


@dataclass
class Outcome:
    """What a step came to; None where there is nothing to count."""
    ran: int = None             # tests
    here: int = None            # failures: of tests (cpp), of test files (python, upstream)
    base: int = None            # those that the pristine base has as well
    failures: tuple = ()
    seconds: float = 0

    def is_good(self):
        return not self.here or self.here == self.base

    def text(self):
        if self.ran is None:
            return "FAILED" if self.here else f"{self.seconds / 60:.1f} min"
        numbers = f"{self.ran:,}: {self.here}"
        return numbers if self.base is None else f"{numbers}/{self.base}"


class Steps:
    """The steps for one variant."""

    def __init__(self, variant, jobs, timeout):
        self.variant, self.jobs, self.timeout = variant, jobs, timeout
        self.python = variant.build.path / "python"

    def run(self, log, *command):
        """Run a command, its output going to a log; return its status."""
        with open(log, "a") as file:
            print(f"+ {' '.join(map(str, command))}", file=file, flush=True)
            return subprocess.run(command, cwd=REPO, stdin=subprocess.DEVNULL, stdout=file,
                                  stderr=subprocess.STDOUT).returncode

    def log_path(self, step):
        return self.variant.build.path / f"matrix-{step}.log"

    def log(self, step):
        log = self.log_path(step)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        return log

    def build(self):
        log = self.log("build")
        name = self.variant.name
        failed = (self.run(log, "cmake", "--preset", name)
                  or self.run(log, "cmake", "--build", "--preset", name))
        return Outcome(here=int(bool(failed)), failures=(f"see {log}",) if failed else ())

    def cpp(self):
        log = self.log("cpp")
        name = self.variant.name
        if self.run(log, "cmake", "--build", "--preset", name, "--target", "pyshared_tests"):
            return Outcome(here=1, failures=(f"see {log}",))
        self.run(log, "ctest", "--preset", name)
        text = log.read_text(errors="replace")
        total = re.search(r"tests passed, (\d+) tests? failed out of (\d+)", text)
        if total is None:
            return Outcome(here=1, failures=(f"see {log}",))
        failures = re.findall(r"^\s*\d+ - (\S+) \((?!Skipped|Not Run)", text, re.MULTILINE)
        return Outcome(int(total[2]), int(total[1]), None, tuple(failures))

    def regrtest(self, step, tests):
        runner = compare_tests.Runner(self.python, self.log(step), self.timeout)
        return runner.run(tests, self.jobs)

    def python_tests(self):
        package = self.variant.build.src / "Lib" / "test" / "test_sharing"
        tests = [f"test.test_sharing.{path.stem}" for path in sorted(package.glob("test_*.py"))]
        result = self.regrtest("python", tests)
        return Outcome(result.tests, len(result.failed), None, tuple(sorted(result.failed)))

    def upstream(self):
        options = argparse.Namespace(tests=upstream_tests(), jobs=self.jobs, timeout=self.timeout,
                                     resources=None)
        verdicts, first = compare_tests.compare(self.variant.build, options)
        broken = [test for test, verdict in verdicts.items() if verdict.startswith("BROKEN")]
        base = [test for test, verdict in verdicts.items() if "pristine base too" in verdict]
        failures = [f"{test} ({verdict})" for test, verdict in sorted(verdicts.items())]
        if "--disable-gil" in self.variant.options and self.skipped_tests():
            broken.append("test_interpreters")
            failures.append(f"test_interpreters (see {self.log_path('skipped')})")
        return Outcome(first.tests, len(broken) + len(base), len(base), tuple(failures))

    def skipped_tests(self):
        """Run what the base skips on a free-threaded build; return its status."""
        return self.run(self.log("skipped"), sys.executable, REPO / "Tools/base/skipped_tests.py",
                        "--build-dir", self.variant.build.path)


STEPS = {"build": Steps.build, "cpp": Steps.cpp, "python": Steps.python_tests,
         "upstream": Steps.upstream}


def upstream_tests():
    """Return what `make test-upstream` runs."""
    text = UPSTREAM_LIST.search((REPO / "Makefile.pre.in").read_text())
    return text[1].replace("\\\n", " ").split()


def run_variant(variant, steps, options):
    """Run the steps; return {step: Outcome}.  A build that fails is the end of it."""
    runner = Steps(variant, options.jobs, options.timeout)
    outcomes = {}
    for step in steps:
        if step != "build":
            os.environ.update(variant.environment())
        print(f"==== {variant.name}: {step}", flush=True)
        start = time.monotonic()
        try:
            outcome = STEPS[step](runner)
        except BuildError as error:
            outcome = Outcome(here=1, failures=(str(error),))
        outcome.seconds = time.monotonic() - start
        outcomes[step] = outcome
        print(f"==== {variant.name}: {step}: {outcome.text()} in {outcome.seconds:.0f} s",
              flush=True)
        if step == "build" and not outcome.is_good():
            break
    for name in variant.environment():
        os.environ.pop(name, None)
    return outcomes


def print_table(results, steps):
    """Print what each variant came to, and the names of what failed."""
    print("\ntests run: failures here/on the pristine base (of test files in python and upstream)")
    print("".join(f"{title:16}" for title in ("variant", *steps)))
    for name, outcomes in results.items():
        cells = [outcomes[step].text() if step in outcomes else "-" for step in steps]
        print("".join(f"{cell:16}" for cell in (name, *cells)))
    for name, outcomes in results.items():
        for step, outcome in outcomes.items():
            for failure in outcome.failures:
                print(f"  {name}, {step}: {failure}")
    sys.stdout.flush()


def parse_arguments(variants):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="list the variants and stop")
    parser.add_argument("--steps", default=",".join(STEPS), help="default: %(default)s")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1,
                        help="parallel test processes (default: one per processor)")
    parser.add_argument("--timeout", type=int, default=1800, metavar="SECONDS",
                        help="for one test file (default: %(default)s)")
    parser.add_argument("variants", nargs="*", metavar="VARIANT",
                        help="default: all but " + ", ".join(sorted(SLOW)))
    options = parser.parse_args()
    for kind, given, known in (("variant", options.variants, variants),
                               ("step", options.steps.split(","), STEPS)):
        if unknown := set(given) - set(known):
            parser.error(f"no such {kind}: {', '.join(sorted(unknown))}")
    return options


def main():
    variants = Variant.all()
    options = parse_arguments(variants)
    if options.list:
        for variant in variants.values():
            print(f"{variant.name:10} {variant.what}{' (slow)' if variant.name in SLOW else ''}")
        return 0
    steps = options.steps.split(",")
    names = options.variants or [name for name in variants if name not in SLOW]
    results = {name: run_variant(variants[name], steps, options) for name in names}
    print_table(results, steps)
    return int(not all(outcome.is_good() for outcomes in results.values()
                       for outcome in outcomes.values()))


if __name__ == "__main__":
    run_main(main)
