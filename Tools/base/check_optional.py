#!/usr/bin/env python3
"""Check that our C++ compiles without each patch that may be left out.

Those have the header `X-Optional: yes`.  The headers that such a patch changes are shown to the
compiler as the rest of the series leaves them; nothing is written and no code is generated.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import patchset
from layout import BuildDir, BuildError, run_main


def is_optional(patch):
    return "X-Optional: yes" in patch.header.splitlines()


def headers_without(build, patches, optional, folder):
    """Write the headers as they are without one patch; return what the compiler is told of them."""
    rest = [patch for patch in patches if patch is not optional]
    replaced = []
    for path in optional.files:
        if path.startswith("Include/"):
            header = folder / path.replace("/", "-")
            header.write_bytes(patchset.versions(rest, path, (build.base / path).read_bytes())[-1])
            replaced.append({"type": "file", "name": str(build.src / path),
                             "external-contents": str(header)})
    overlay = folder / "overlay.yaml"       # JSON is YAML
    overlay.write_text(json.dumps({"version": 0, "roots": replaced}))
    return ["-ivfsoverlay", str(overlay)]


def compilations(build):
    """Return [(folder, command)] of our C++, without what asks for an object."""
    database = build.path / "cmake" / "compile_commands.json"
    if not database.exists():
        raise BuildError(f"there is no {database}; `make` makes it")
    found = []
    for entry in json.loads(database.read_text()):
        command = shlex.split(entry["command"])
        output = command.index("-o")
        if "/pyshared_core.dir/" in command[output + 1]:
            command[output:output + 2] = ["-fsyntax-only"]
            command.remove("-c")
            found.append((entry["directory"], command))
    if not found:
        raise BuildError(f"{database} has nothing of our C++")
    return found


def compile_all(build, options):
    """Yield what the compiler says of each file that fails."""
    def compile_one(folder, command):
        return subprocess.run([*command, *options], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for run in pool.map(compile_one, *zip(*compilations(build))):
            if run.returncode:
                yield run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True, help="a finished build directory")
    build = BuildDir(parser.parse_args().build_dir)
    patches = patchset.read_patches()
    wrong = False
    for optional in filter(is_optional, patches):
        if not any(path.startswith("Include/") for path in optional.files):
            print(f"{optional.name} changes no header")
            continue
        with tempfile.TemporaryDirectory() as folder:
            options = headers_without(build, patches, optional, Path(folder))
            errors = list(compile_all(build, options))
        print(f"without {optional.name}: {f'{len(errors)} files fail' if errors else 'compiles'}")
        print(*errors, sep="\n", file=sys.stderr, end="")
        wrong = wrong or bool(errors)
    return 1 if wrong else 0


if __name__ == "__main__":
    run_main(main)
