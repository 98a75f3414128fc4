#!/usr/bin/env python3
"""Turn edits made in BUILD/src into patches of the series.

Edit the base's files in BUILD/src, build and try, then run `make refresh-patches`.

Which patch an edit goes to:

  - the last patch of the series that touches the file;
  - with PATCH=NAME that patch, if it touches the file already or no patch does
    (NAME may be new: it is created, with a header to fill in, and put last in the series);
  - with FILES="PATH ..." only these files are looked at, and PATCH=NAME gets all their
    edits, whichever patches touch them so far.

An edit given to a patch that is not the file's last is carried through the later ones; if
it changes the same lines as one of them, nothing is written and both are named.

Every patch is rewritten with one line of context and exact line numbers; headers stay as
they are, except that Last-Update becomes today when the change itself is another.
Files of the overlay are not looked at: they are edited in the repository.
"""

import argparse
import datetime
import os
import re
import subprocess
import tempfile
from pathlib import Path

import patchset
from layout import BuildDir, BuildError, PATCHES, run_main, write_if_changed
from patchset import SERIES, Patch

NEW_HEADER = """\
Description: TODO: one line, as in `ceval: do this`
 TODO: why it is needed, and which of our functions it calls.
Author: the Shared Python founders
Forwarded: not-needed
Last-Update: {today}
X-Hook: TODO
X-Test: TODO
X-Drop-When: TODO

"""
# Below these the base's files are never ours to change.
UNINTERESTING = ("__pycache__", ".git")


def edited_files(build, overlay, patches):
    """Return {path: content} of the base's files that BUILD/src has otherwise than the series."""
    edited = {}
    for folder, subfolders, names in os.walk(build.src):
        subfolders[:] = [name for name in subfolders if name not in UNINTERESTING]
        for name in names:
            path = Path(folder, name).relative_to(build.src).as_posix()
            if path in overlay or not (build.base / path).is_file() or name.endswith(".pyc"):
                continue
            if not patchset.touching(patches, path) and same_file(build, path):
                continue
            content = (build.src / path).read_bytes()
            pristine = (build.base / path).read_bytes()
            if content != patchset.versions(patches, path, pristine)[-1]:
                edited[path] = content
    return edited


def same_file(build, path):
    """Tell cheaply whether a file is certainly as the base has it."""
    ours, theirs = os.stat(build.src / path), os.stat(build.base / path)
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def merge(path, current, base, edited):
    """Return current with the change from base to edited applied, or None if they collide."""
    with tempfile.TemporaryDirectory() as scratch:
        names = [Path(scratch, name) for name in ("current", "base", "edited")]
        for name, content in zip(names, (current, base, edited)):
            name.write_bytes(content)
        run = subprocess.run(["git", "merge-file", "-q", "-p", *map(str, names)],
                             capture_output=True)
    if run.returncode < 0 or run.returncode > 127:
        raise BuildError(f"git merge-file failed for {path}: {run.stderr.decode()}")
    return run.stdout if run.returncode == 0 else None


def attribute(path, patches, chosen, all_to_chosen):
    """Return the patch that gets the edit of a file."""
    touching = patchset.touching(patches, path)
    if chosen and (all_to_chosen or chosen in touching or not touching):
        return chosen
    if touching:
        return touching[-1]
    raise BuildError(f"{path} was edited, but no patch touches it yet.\n"
                     f"Name the one that shall: make refresh-patches PATCH=0042-what-it-is.patch")


def new_versions(path, patches, target, pristine, edited):
    """Return [(patch, content after it)] for a file once target has the edit."""
    chain = [patch for patch in patches if path in patch.files or patch is target]
    contents, last = [], pristine
    for patch in chain:
        if path in patch.files:
            last = patchset.apply(patch, patch.files[path], last)
        contents.append(last)
    start = chain.index(target)
    for index in range(start, len(chain)):
        merged = merge(path, contents[index], contents[-1], edited) \
            if index < len(chain) - 1 else edited
        if merged is None:
            later = ", ".join(patch.name for patch in chain[index + 1:])
            raise BuildError(f"{path}: the edit changes lines that {later} changes too, so it "
                             f"cannot go to {target.name}")
        contents[index] = merged
    return list(zip(chain, contents))


def rewrite(patch, diffs):
    """Write a patch file from its header and the diffs of its files; return whether it changed."""
    file = PATCHES / patch.name
    body = b"".join(diffs)
    old = file.read_bytes() if file.exists() else b""
    header = patch.header.rstrip("\n") + "\n\n"
    if not old.endswith(body) or old[:len(old) - len(body)].decode() != header:
        today = datetime.date.today().isoformat()
        if change_only(old) != change_only(body):
            header = re.sub(r"(?m)^Last-Update:.*$", f"Last-Update: {today}", header)
    return write_if_changed(file, header.encode() + body)


def change_only(data):
    """Return the added and removed lines of a patch: what it does, wherever it is."""
    parts = patchset.parse("?", data).files.values()
    return [line for part in parts for hunk in part.hunks for line in hunk.lines
            if line[:1] in (b"+", b"-")]


def find_or_create(name, patches):
    """Return the patch of that name, put last in the list if it is new."""
    name = Path(name).name
    if not name.endswith(".patch"):
        name += ".patch"
    for patch in patches:
        if patch.name == name:
            return patch
    if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.patch", name):
        raise BuildError(f"{name}: a patch's name is like 0042-what-it-is.patch")
    today = datetime.date.today().isoformat()
    patches.append(Patch(name, NEW_HEADER.format(today=today)))
    return patches[-1]


def refresh(build, patch_name, only):
    patches = patchset.read_patches()
    overlay = overlay_names()
    chosen = find_or_create(patch_name, patches) if patch_name else None
    edited = edited_files(build, overlay, patches)
    if only:
        for path in only:
            if path not in edited:
                print(f"{path}: not edited")
        edited = {path: content for path, content in edited.items() if path in only}
    results = compute(build, patches, chosen, edited, bool(only))
    changed = []
    for patch in patches:
        diffs = [patchset.diff(path, old, new) for path, old, new in results[patch.name]
                 if old != new]
        if not diffs:
            print(f"{patch.name}: changes nothing any more; remove it from the series yourself"
                  if patch.files else f"{patch.name}: no edit for it, not created")
            continue
        if rewrite(patch, diffs):
            changed.append(patch.name)
        if patch.name not in patchset.read_series():
            with open(SERIES, "a") as series:
                series.write(patch.name + "\n")
            print(f"{patch.name}: new; fill in its header in {PATCHES / patch.name}")
    for path in sorted(edited):
        print(f"{path} -> {attribute(path, patches, chosen, bool(only)).name}")
    print("Refreshed " + ", ".join(changed) if changed else "Every patch is as it should be")


def compute(build, patches, chosen, edited, all_to_chosen):
    """Return {patch name: [(path, content before it, content after it)]} for the series."""
    results = {patch.name: [] for patch in patches}
    paths = dict.fromkeys(path for patch in patches for path in patch.files)
    for path in [*paths, *(path for path in sorted(edited) if path not in paths)]:
        pristine = (build.base / path).read_bytes()
        if path in edited:
            target = attribute(path, patches, chosen, all_to_chosen)
            steps = new_versions(path, patches, target, pristine, edited[path])
        else:
            contents = patchset.versions(patches, path, pristine)[1:]
            steps = zip(patchset.touching(patches, path), contents)
        before = pristine
        for patch, after in steps:
            results[patch.name].append((path, before, after))
            before = after
    return results


def overlay_names():
    from assemble import overlay_files
    return set(overlay_files())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="the build directory with the edits")
    parser.add_argument("--patch", default="", metavar="NAME", help="see PATCH=NAME above")
    parser.add_argument("files", nargs="*", help="see FILES above")
    options = parser.parse_args()
    build = BuildDir(options.build_dir)
    if not build.src.is_dir():
        raise BuildError(f"there is no {build.src}; `make tree` assembles it")
    refresh(build, options.patch, options.files)


if __name__ == "__main__":
    run_main(main)
