#!/usr/bin/env python3
"""Bring the pinned base: find its archive, verify it, unpack it into a build directory.

The archive is looked for in this order:

  1. the path or URL given with --with-base
  2. the cache, ${XDG_CACHE_HOME:-~/.cache}/shared-python
  3. the Debian or Ubuntu mirror this machine's apt already uses

An archive with another SHA-256 than the pinned one is refused.  What is found goes
into the cache, so that the next build works without a network.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from layout import BuildDir, BuildError, PIN_FILE, read_pin, run_main, sha256_of

APT_HELPER = "/usr/lib/apt/apt-helper"
CHUNK = 1 << 18


class Progress:
    """A percentage on one line of a terminal; elsewhere only a first line."""

    def __init__(self, what, total):
        self.what, self.total, self.done, self.shown = what, total, 0, -1
        self.live = sys.stdout.isatty()
        if not self.live:
            print(what, flush=True)

    def add(self, count):
        self.done += count
        percent = 100 * self.done // self.total if self.total else 0
        if self.live and percent != self.shown:
            print(f"\r{self.what} {percent:3}%", end="", flush=True)
            self.shown = percent

    def close(self):
        if self.live:
            print(flush=True)


def cache_dir():
    """Return the cache folder, created, or None where none can be written."""
    root = os.environ.get("XDG_CACHE_HOME")
    if not root:
        home = os.environ.get("HOME")
        root = os.path.join(home, ".cache") if home and os.path.isabs(home) else None
    if not root or not os.path.isabs(root):
        return None
    path = Path(root) / "shared-python"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return path if os.access(path, os.W_OK) else None


def verify(path, pin, where):
    """Raise BuildError unless the file at path is the pinned archive."""
    found = sha256_of(path)
    if found != pin["sha256"]:
        raise BuildError(
            f"{where} is not the pinned base archive\n"
            f"  expected sha256 {pin['sha256']}  ({pin['archive']})\n"
            f"  found    sha256 {found}\n"
            f"Give the right archive with --with-base=PATH_OR_URL; the pin is {PIN_FILE}.")


def copy_stream(source, target, total, what):
    progress = Progress(what, total)
    while chunk := source.read(CHUNK):
        target.write(chunk)
        progress.add(len(chunk))
    progress.close()


def download(url, target):
    """Copy what a URL gives into the file target."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(target, "wb") as file:
            copy_stream(answer, file, int(answer.headers.get("Content-Length") or 0),
                        f"Downloading {url}")
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise BuildError(f"cannot download {url}: {getattr(error, 'reason', error)}") from None


def given_archive(with_base, pin, scratch):
    """Return the path of the archive named by --with-base, verified."""
    if "://" in with_base:
        path = scratch / pin["archive"]
        download(with_base, path)
    else:
        path = Path(with_base).expanduser()
        if path.is_dir():
            raise BuildError(f"--with-base={with_base} is a folder; "
                             f"it must be the archive itself ({pin['archive']}) or its URL")
        if not path.is_file():
            raise BuildError(f"--with-base={with_base}: no such file")
    verify(path, pin, f"--with-base={with_base}")
    return path


def cached_archive(cache, pin):
    """Return the verified archive in the cache, or None; a damaged one is removed."""
    path = cache / pin["archive"] if cache else None
    if not path or not path.is_file():
        return None
    if sha256_of(path) != pin["sha256"]:
        print(f"{path} is damaged or of another packing; removing it", flush=True)
        path.unlink(missing_ok=True)
        return None
    return path


def mirrors():
    """Return the roots of the mirrors that apt on this machine uses, in its order."""
    command = ["apt-get", "indextargets", "--format", "$(COMPONENT) $(REPO_URI)"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    roots = {}
    for line in listing.splitlines():
        component, _, uri = line.partition(" ")
        if component == "main" and uri:
            roots[uri.rstrip("/")] = None
    return list(roots)


def mirrored_archive(pin, scratch):
    """Return the archive brought by apt's own download helper, verified, or None."""
    if not os.access(APT_HELPER, os.X_OK):
        return None
    path = scratch / pin["archive"]
    for root in mirrors():
        url = f"{root}/{pin['pool']}/{pin['archive']}"
        print(f"Asking apt for {url}", flush=True)
        helper = subprocess.run([APT_HELPER, "-o", "APT::Sandbox::User=root",
                                 "download-file", url, str(path),
                                 f"SHA256:{pin['sha256']}"], stdin=subprocess.DEVNULL)
        if helper.returncode == 0 and path.is_file():
            verify(path, pin, url)
            return path
    return None


def keep(path, cache, pin):
    """Put a verified archive into the cache whole or not at all; return where it is."""
    if cache is None:
        return path
    target = cache / pin["archive"]
    if target.exists() and target.samefile(path):
        return path
    try:
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as temporary:
            with open(path, "rb") as source:
                shutil.copyfileobj(source, temporary, CHUNK)
        os.chmod(temporary.name, 0o644)
        os.replace(temporary.name, target)      # atomic: two builds may race here
    except OSError as error:
        print(f"(not cached: {error})", flush=True)
        return path
    return target


def find_archive(with_base, pin, scratch):
    """Return the path of a verified archive, from the first source that has it."""
    cache = cache_dir()
    if with_base:
        return keep(given_archive(with_base, pin, scratch), cache, pin)
    if path := cached_archive(cache, pin):
        return path
    if path := mirrored_archive(pin, scratch):
        return keep(path, cache, pin)
    raise BuildError(
        f"cannot find the base, CPython {pin['version']}: it is not in the cache "
        f"({cache or 'no cache folder can be written'}),\n"
        f"and no mirror that apt knows has {pin['pool']}/{pin['archive']}.\n"
        f"python.org's own release archive has the same files in another packing, whose hash\n"
        f"is not pinned, so it is not used.  Bring {pin['archive']}\n"
        f"(sha256 {pin['sha256']})\n"
        f"yourself and give it with --with-base=PATH_OR_URL.")


def unpack(archive, target):
    """Unpack an archive's one top folder as target; target appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".base-", dir=target.parent))
    try:
        tar = subprocess.Popen(["tar", "-xJ", "--strip-components=1", "--no-same-owner",
                                "-C", str(scratch)], stdin=subprocess.PIPE)
        try:
            with open(archive, "rb") as source, tar.stdin:
                copy_stream(source, tar.stdin, archive.stat().st_size, f"Unpacking {archive}")
        except BrokenPipeError:
            pass                                # tar says why
        if tar.wait() != 0 or not (scratch / "configure").is_file():
            raise BuildError(f"cannot unpack {archive}")
        scratch.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def bring(build, with_base):
    """Make build.base the unpacked pinned base; do nothing if it is already."""
    pin = read_pin()
    if with_base and "://" not in with_base:
        given_archive(with_base, pin, None)     # refused even where it would not be needed
    if (build.base.is_dir() and build.base_stamp.is_file()
            and build.base_stamp.read_text().strip() == pin["sha256"]):
        return
    build.path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=build.path) as scratch:
        os.chmod(scratch, 0o755)                # apt's helper may run as its own user
        archive = find_archive(with_base, pin, Path(scratch))
        build.base_stamp.unlink(missing_ok=True)
        unpack(archive, build.base)
    build.base_stamp.write_text(pin["sha256"] + "\n")
    print(f"Base: CPython {pin['version']} in {build.base}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="the build directory to fill")
    parser.add_argument("--with-base", default="", metavar="PATH_OR_URL",
                        help="the archive to use instead of the cache and the mirror")
    options = parser.parse_args()
    bring(BuildDir(options.build_dir), options.with_base)


if __name__ == "__main__":
    run_main(main)
