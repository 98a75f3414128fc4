#!/usr/bin/env python3
"""Check the patch series: headers, size of the context, exact application.

For every patch of the series:

  - a DEP-3 header with Description, Author, Forwarded, Last-Update and our X-Hook, X-Test
    and X-Drop-When, none of them empty or TODO; X-Hook names just the hooks that it calls;
  - at most one line of context, and every hunk at exactly the line it says;
  - GNU patch applies it too, without fuzz.

No file lies in the folder without being in the series.  Prints the lines each changes.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import patchset
from layout import BuildDir, BuildError, PATCHES, run_main

FIELDS = ("Description", "Author", "Forwarded", "Last-Update", "X-Hook", "X-Test", "X-Drop-When")
NAME = re.compile(r"\d{4}-[a-z0-9][a-z0-9-]*\.patch")
HOOK_CALL = re.compile(rb"\b_PyShared_(\w+)\(")
LINE_LIMIT = 400        # of the whole series; see Doc/internals/base.md


def check_header(patch):
    """Yield what is wrong with a patch's header."""
    fields = dict(re.findall(r"(?m)^([A-Z][A-Za-z-]*):[ \t]*(.*)$", patch.header))
    for name in FIELDS:
        if not fields.get(name):
            yield f"the header has no {name}"
    if "TODO" in patch.header:
        yield "the header has a TODO"
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", fields.get("Last-Update", "")):
        yield "Last-Update is not a date like 2026-01-31"


def hooks_named(patch):
    """Return the hooks of the X-Hook field, without the _PyShared_ that only the first one has."""
    field = re.search(r"(?m)^X-Hook:(.*\n(?:[ \t].*\n)*)", patch.header)
    return {re.sub("^_PyShared_", "", name)
            for name in re.findall(r"\w+", field[1] if field else "")} - {"none"}


def hooks_called(patch):
    """Return the hooks, without their _PyShared_, that the lines a patch adds call."""
    return {name.decode() for part in patch.files.values() for hunk in part.hunks
            for line in hunk.lines if line.startswith(b"+") for name in HOOK_CALL.findall(line)}


def check_hooks(patch):
    named, called = hooks_named(patch), hooks_called(patch)
    for name in sorted(called - named):
        yield f"X-Hook does not name _PyShared_{name}, which it calls"
    for name in sorted(named - called):
        yield f"X-Hook names _PyShared_{name}, which it does not call"


def check_context(patch):
    for part in patch.files.values():
        for hunk in part.hunks:
            if hunk.context() > 1:
                yield f"hunk #{hunk.number} of {part.path} has {hunk.context()} lines of context"
            if not hunk.changed():
                yield f"hunk #{hunk.number} of {part.path} changes nothing"


def check_series(patches):
    """Yield what is wrong with the folder as a whole."""
    names = [patch.name for patch in patches]
    for file in sorted(PATCHES.glob("*")):
        if file.name != "series" and file.name not in names:
            yield f"{file.name} is not in the series"
    numbers = [name[:4] for name in names]
    for name in names:
        if not NAME.fullmatch(name):
            yield f"{name} is not named like 0042-what-it-is.patch"
        if numbers.count(name[:4]) > 1:
            yield f"{name}: its number is used twice"
    if numbers != sorted(numbers):
        yield "the series is not in the order of the numbers"


def check_application(build, patches):
    """Yield what is wrong when the series is applied to the base."""
    with tempfile.TemporaryDirectory() as scratch:
        for path in {path for patch in patches for path in patch.files}:
            target = Path(scratch, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(build.base / path, target)
        for patch in patches:
            run = subprocess.run(["patch", "-p1", "-F0", "--no-backup-if-mismatch", "-s", "-f",
                                  "-i", str(PATCHES / patch.name)],
                                 cwd=scratch, capture_output=True, text=True)
            if run.returncode:
                yield f"{patch.name}: patch -F0: {run.stdout.strip()}"
        for path in sorted({path for patch in patches for path in patch.files}):
            notes = []
            try:
                ours = patchset.versions(patches, path, (build.base / path).read_bytes(), notes)[-1]
            except BuildError as error:
                yield str(error)
                continue
            yield from (f"{note}; `make refresh-patches` makes it exact" for note in notes)
            if ours != Path(scratch, path).read_bytes():
                yield f"{path}: GNU patch makes another file of it than assemble.py"


def check(build):
    patches = patchset.read_patches()
    problems = list(check_series(patches))
    total = 0
    for patch in patches:
        problems += [f"{patch.name}: {text}"
                     for text in (*check_header(patch), *check_hooks(patch),
                                  *check_context(patch))]
        print(f"{patch.changed():5} lines  {patch.name}")
        total += patch.changed()
    print(f"{total:5} lines  in {len(patches)} patches, {LINE_LIMIT} is the limit")
    if total > LINE_LIMIT:
        problems.append(f"the series changes {total} lines; move logic into our own files")
    problems += check_application(build, patches)
    for problem in problems:
        print(f"check_patches.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="a build directory with the base")
    build = BuildDir(parser.parse_args().build_dir)
    if not build.base.is_dir():
        raise BuildError(f"there is no {build.base}; `make tree` brings it")
    return check(build)


if __name__ == "__main__":
    run_main(main)
