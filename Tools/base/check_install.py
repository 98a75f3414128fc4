#!/usr/bin/env python3
"""Say clearly, before `make install` starts, that it could not write where it must."""

import argparse
import os
import subprocess
from pathlib import Path

from layout import BuildDir, BuildError, run_main

QUERY = "import sysconfig as s; print(s.get_config_var('prefix'), s.get_config_var('exec_prefix'))"


def existing_ancestor(path):
    while not path.exists():
        path = path.parent
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", required=True, help="the build that shall be installed")
    parser.add_argument("--destdir", default="", help="the value of DESTDIR")
    options = parser.parse_args()
    build = BuildDir(options.build_dir)
    if options.destdir and not options.destdir.startswith("/"):
        raise BuildError(f"DESTDIR={options.destdir} must be an absolute path")
    if any(character.isspace() for character in options.destdir):
        raise BuildError(f"DESTDIR={options.destdir} must not have a space in it")
    prefixes = subprocess.run([build.path / "python", "-c", QUERY], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.split()
    for prefix in dict.fromkeys(prefixes):
        target = Path(options.destdir + prefix)
        there = existing_ancestor(target)
        if not there.is_dir():
            raise BuildError(f"cannot install below {target}: {there} is not a folder")
        if not writable(there):
            raise BuildError(
                f"cannot install below {target}: no permission to write in {there}.\n"
                f"Install as a user who may, or elsewhere: `make install DESTDIR=/some/where` "
                f"or `./configure --prefix=DIR`.")
        print(f"Installing below {target}", flush=True)


def writable(folder):
    """Try it: root's permission bits say nothing about a read-only file system."""
    probe = folder / f".pyshared-probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    run_main(main)
