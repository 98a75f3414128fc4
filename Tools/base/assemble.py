#!/usr/bin/env python3
"""Assemble the source tree that is built: the base, our overlay, our patches.

BUILD/src is a copy of the pristine base (BUILD/base) with the repository's own files
copied over it and the patch series applied.  Only files whose content changes are
written, so an incremental build sees only what changed.  It stops when

  - a file of the overlay exists in the base as well (change it with a patch),
  - a hunk does not apply exactly (the message names patch, file and hunk),
  - a file that must be written was edited by hand in BUILD/src since the last time.

Files of BUILD/src edited by hand stay as they are otherwise, and are built;
`make refresh-patches` turns such edits into patches, --force throws them away.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import patchset
from layout import (BuildDir, BuildError, OVERLAY_DIRS, REPO, read_pin, run_main,
                    write_if_changed)

IGNORED_SUFFIXES = (".pyc", ".pyo", "~", ".swp", ".orig", ".rej", ".tmp")


def signature(path):
    """Return what tells that a file was not touched: size and time."""
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def overlay_files():
    """Return the repository's files that are laid over the base, as relative paths."""
    found = []
    for top in OVERLAY_DIRS:
        for folder, subfolders, names in os.walk(REPO / top):
            subfolders[:] = sorted(name for name in subfolders if name != "__pycache__")
            relative = Path(folder).relative_to(REPO)
            found += [(relative / name).as_posix() for name in sorted(names)
                      if not name.startswith(".") and not name.endswith(IGNORED_SUFFIXES)]
    return found


def copy_tree(source, target):
    """Make target a copy of a source tree, whole or not at all."""
    if not source.is_dir():
        raise BuildError(f"there is no {source}; run Tools/base/fetch.py first")
    print(f"Copying the base to {target}", flush=True)
    scratch = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(scratch)], check=True)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class Assembler:
    """Brings one BUILD/src up to date, remembering in a manifest what it wrote."""

    def __init__(self, build, force=False):
        self.build, self.force = build, force
        self.written, self.notes, self.edited = 0, [], []
        self.manifest = self.read_manifest()

    # -- the manifest --------------------------------------------------------

    def read_manifest(self):
        base = read_pin()["sha256"]
        if self.build.manifest.is_file() and self.build.src.is_dir():
            manifest = json.loads(self.build.manifest.read_text())
            if manifest.get("base") == base:
                return manifest
        return {"base": base, "files": {}, "fresh": True}

    def save_manifest(self):
        data = json.dumps(self.manifest, indent=1, sort_keys=True) + "\n"
        write_if_changed(self.build.manifest, data.encode())

    # -- the steps -----------------------------------------------------------

    def run(self):
        if self.manifest.pop("fresh", False):
            self.copy_base()
        patches = patchset.read_patches()
        overlay = overlay_files()
        wanted = set(overlay)
        for path in overlay:
            self.place_overlay(path)
        for path in dict.fromkeys(path for patch in patches for path in patch.files):
            wanted.add(path)
            self.place_patched(path, patches)
        for path in sorted(self.manifest["files"].keys() - wanted):
            self.take_back(path)
        self.save_manifest()
        if self.written or not self.build.src_stamp.exists():
            self.build.src_stamp.touch()

    def copy_base(self):
        """Start BUILD/src again as a copy of the pristine base."""
        self.build.manifest.unlink(missing_ok=True)
        copy_tree(self.build.base, self.build.src)
        self.written += 1

    def place_overlay(self, path):
        """Copy one of the repository's files over the base."""
        if (self.build.base / path).exists():
            raise BuildError(f"{path} exists in the base too; the overlay holds only new files: "
                             f"change it with a patch in Tools/base/patches instead")
        source = signature(REPO / path)
        entry = self.manifest["files"].get(path, {})
        if entry.get("source") == source and self.is_untouched(path, entry):
            return
        if entry.get("source") == source and not self.force:
            self.note_edit(path, entry, f"edited in {self.build.src}; make the change in "
                                        f"{REPO / path} (a build keeps yours until then)")
            return
        self.place(path, (REPO / path).read_bytes(), entry, {"source": source})
        os.chmod(self.build.src / path, os.stat(REPO / path).st_mode & 0o777)

    def place_patched(self, path, patches):
        """Write one of the base's files with every patch applied that touches it."""
        if not (self.build.base / path).is_file():
            names = ", ".join(patch.name for patch in patchset.touching(patches, path))
            raise BuildError(f"{names}: there is no {path} in the base")
        recipe = b"".join(patch.name.encode() + b"\n" + patch.files[path].text()
                          for patch in patchset.touching(patches, path))
        key = digest(recipe)
        entry = self.manifest["files"].get(path, {})
        if entry.get("recipe") == key and (self.is_untouched(path, entry) or not self.force):
            if not self.is_untouched(path, entry):
                self.note_edit(path, entry, "edited by hand; `make refresh-patches` turns "
                                            "that into a patch")
            return
        pristine = (self.build.base / path).read_bytes()
        content = patchset.versions(patches, path, pristine, self.notes)[-1]
        self.place(path, content, entry, {"recipe": key})

    def take_back(self, path):
        """Remove a file that left the overlay, or restore one that no patch touches now."""
        target = self.build.src / path
        pristine = self.build.base / path
        if pristine.exists():
            shutil.copyfile(pristine, target)
        else:
            target.unlink(missing_ok=True)
            self.drop_empty_folders(target.parent)
        del self.manifest["files"][path]
        self.written += 1

    def drop_empty_folders(self, folder):
        """Remove folders that only our files had made; the base's own never are empty."""
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        while folder != self.build.src and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    # -- one file ------------------------------------------------------------

    def is_untouched(self, path, entry):
        try:
            return entry.get("target") == signature(self.build.src / path)
        except FileNotFoundError:
            return False

    def is_edited(self, path, entry):
        """Tell whether a person changed the content since the last assembly."""
        target = self.build.src / path
        return (bool(entry) and target.exists() and not self.is_untouched(path, entry)
                and digest(target.read_bytes()) != entry["sha256"])

    def note_edit(self, path, entry, text):
        if self.is_edited(path, entry):
            self.edited.append(f"{path}: {text}")
        elif (self.build.src / path).exists():      # only touched
            entry["target"] = signature(self.build.src / path)
        else:                                       # removed: bring it back next time
            del self.manifest["files"][path]
            raise BuildError(f"{self.build.src / path} was removed; run again to restore it")

    def place(self, path, content, entry, origin):
        """Write one file of BUILD/src if its content changes, and remember it."""
        target = self.build.src / path
        if not self.force and self.is_edited(path, entry) and target.read_bytes() != content:
            raise BuildError(
                f"{target} was edited by hand, and what it is made from changed as well.\n"
                f"Save your version of it, then run `make tree FORCE=1` to discard it there.")
        self.written += write_if_changed(target, content)
        self.manifest["files"][path] = {**origin, "target": signature(target),
                                        "sha256": digest(content)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="the build directory to assemble in")
    parser.add_argument("--force", action="store_true",
                        help="throw away edits made by hand in BUILD/src")
    options = parser.parse_args()
    assembler = Assembler(BuildDir(options.build_dir), options.force)
    try:
        assembler.run()
    finally:
        assembler.save_manifest()
    for note in assembler.notes:
        print(f"note: {note}; `make refresh-patches` makes it exact")
    for edit in assembler.edited:
        print(f"note: {edit}")
    if assembler.written:
        print(f"Assembled {assembler.build.src}: {assembler.written} files written", flush=True)


if __name__ == "__main__":
    run_main(main)
