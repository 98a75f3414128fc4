#!/usr/bin/env python3
"""Run CPython's make and show what matters: progress, warnings, errors, the last words.

Everything make prints goes into BUILD/make.log.  On a terminal one line shows the file
being compiled; elsewhere only every hundredth is named.  Warnings about files that are the
base's alone are only counted.  PYSHARED_VERBOSE=1 shows everything.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

COMPILING = re.compile(r"\s-c\s.*?([\w./+-]+\.(?:c|cpp|S))(?:\s|$)")
WARNING = re.compile(r"^(?:src/)?([^:\s]+):\d+:(?:\d+:)? warning: ")
REPORT = re.compile(r"^Checked \d+ modules|^The (?:necessary bits|following modules)|"
                    r"^Following modules|^Could not build|^Failed to build|\bwarning: |\berror: |"
                    r"\*\*\* |^ld\.lld: |^make.*Error ")


class Progress:
    """Shows how far a build is without a line per file."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.count, self.shown = 0, False

    def compiling(self, file):
        self.count += 1
        if self.live:
            print(f"\r\033[K  {self.count:4} {file}", end="", flush=True)
            self.shown = True
        elif self.count % 100 == 0:
            print(f"  {self.count} files compiled", flush=True)

    def say(self, line):
        self.clear()
        print(line, flush=True)

    def clear(self):
        if self.shown:
            print("\r\033[K", end="", flush=True)
            self.shown = False


def our_files(build_dir):
    """Return the files of the source tree that are ours or have a patch of ours."""
    manifest = build_dir / "src.manifest.json"
    return set(json.loads(manifest.read_text())["files"]) if manifest.exists() else set()


class Follower:
    """Copies make's output to the log, and its interesting lines to the terminal."""

    DETAIL = 3          # lines after a report that belong to it: the code and a marker

    def __init__(self, log, ours, verbose):
        self.log, self.ours, self.verbose = log, ours, verbose
        self.progress, self.detail, self.not_ours = Progress(), 0, 0

    def follow(self, stream):
        for line in stream:
            self.log.write(line)
            self.show(line.rstrip("\n"))
        self.progress.clear()
        if self.not_ours:
            print(f"{self.not_ours} warnings about files of the base (see {self.log.name})")

    def show(self, line):
        warning = WARNING.match(line)
        if self.verbose:
            print(line, flush=True)
        elif line.startswith("warning: ") or (warning and warning[1] not in self.ours):
            self.not_ours += 1
            self.detail = 0
        elif "clang" in line.split(" ", 1)[0]:
            self.detail = 0
            if match := COMPILING.search(line):
                self.progress.compiling(match[1].removeprefix("src/"))
        elif REPORT.search(line):
            self.progress.say(line)
            self.detail = self.DETAIL
        elif self.detail and line.startswith((" ", "_")):
            self.progress.say(line)
            self.detail -= 1
        else:
            self.detail = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, type=Path)
    parser.add_argument("command", nargs="+", help="make and its arguments, after --")
    options = parser.parse_args()
    env = {name: value for name, value in os.environ.items()
           if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    log_name = options.build_dir / "make.log"
    with open(log_name, "w", errors="replace") as log:
        make = subprocess.Popen(options.command, cwd=options.build_dir, env=env, text=True,
                                errors="replace", stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            verbose = os.environ.get("PYSHARED_VERBOSE") == "1"
            Follower(log, our_files(options.build_dir), verbose).follow(make.stdout)
        except KeyboardInterrupt:
            make.terminate()
    status = make.wait()
    if status:
        print(f"CPython's make failed; its last lines (all of them are in {log_name}):",
              file=sys.stderr)
        for line in log_name.read_text(errors="replace").splitlines()[-12:]:
            print(f"  {line[:240]}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
