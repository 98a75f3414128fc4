#!/usr/bin/env python3
"""Copy the pristine base of a build directory, once for each version of the base."""

import argparse
from pathlib import Path

from assemble import copy_tree
from layout import BuildDir, run_main, write_if_changed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build-dir", required=True, help="the build directory with the base")
    parser.add_argument("--target", required=True, type=Path, help="where the copy shall be")
    options = parser.parse_args()
    build = BuildDir(options.build_dir)
    stamp = options.target.with_name(options.target.name + ".sha256")
    wanted = build.base_stamp.read_bytes()
    if not options.target.is_dir() or not stamp.exists() or stamp.read_bytes() != wanted:
        copy_tree(build.base, options.target)
        write_if_changed(stamp, wanted)


if __name__ == "__main__":
    run_main(main)
