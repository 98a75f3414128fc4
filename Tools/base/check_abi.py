#!/usr/bin/env python3
"""Check that C extensions see the C interface of the base.

  1. The base's own check of the stable ABI: the manifest against headers and library.
     Free-threaded builds have no stable ABI.
  2. Extensions of the base, compiled against the base's pristine headers, one of them not for the
     stable ABI, are imported and used.
  3. Size, alignment and every field's offset of all structs in the public headers are those of
     the base.

Prints what differs; the exit status says whether anything did.
"""

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from layout import BuildDir, BuildError, run_main

LIMITED = "m.Xxo().demo('x') == 'x' and m.foo(2, 3) == 5"
EXTENSIONS = {"xxsubtype": "m.spamlist([1, 2]) == [1, 2] and m.spamlist().getstate() == 0"}
LIMITED_EXTENSIONS = {"xxlimited": LIMITED, "xxlimited_35": LIMITED}

RECORD = "*** Dumping AST Record Layout\n"


class Abi:
    """The C interface of one build and of its base."""

    def __init__(self, build):
        self.build = build
        self.python = build.path / "python"
        if not self.python.exists():
            raise BuildError(f"there is no {self.python}; `make` builds it")
        self.compiler = self.ask("CC")
        self.has_stable_abi = self.ask("Py_GIL_DISABLED") != ["1"]
        self.extensions = EXTENSIONS | (LIMITED_EXTENSIONS if self.has_stable_abi else {})

    def ask(self, variable):
        """Return the value of a variable of the build's configuration, split."""
        result = subprocess.run(
            [self.python, "-c", f"import sysconfig; print(sysconfig.get_config_var({variable!r}))"],
            stdout=subprocess.PIPE, text=True, check=True)
        return shlex.split(result.stdout)

    def includes(self, headers):
        return [f"-I{headers}", f"-I{self.build.path}"]

    # -- The stable ABI --

    def stable_abi(self, folder):
        """Run the base's check, which wants headers and results in one folder; it only compares."""
        tree = folder / "tree"
        tree.mkdir()
        for path in [self.build.src / "Include", self.build.path / "pyconfig.h",
                     *self.build.path.glob("libpython3*")]:
            (tree / path.name).symlink_to(path)
        result = subprocess.run(
            [self.python, self.build.src / "Tools/build/stable_abi.py", "--all"],
            cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return [] if result.returncode == 0 else result.stdout.splitlines()[-15:]

    # -- Extensions --

    def extension(self, name, use, folder):
        """Compile an extension against the base's headers and use it here."""
        command = [*self.compiler, "-shared", "-fPIC", "-O1", "-w",
                   *self.includes(self.build.base / "Include"),
                   self.build.base / "Modules" / f"{name}.c", "-o", folder / f"{name}.so"]
        loading = (
            "import importlib.machinery as machinery, importlib.util as util\n"
            f"loader = machinery.ExtensionFileLoader({name!r}, {str(folder / name)!r} + '.so')\n"
            f"m = util.module_from_spec(util.spec_from_loader({name!r}, loader))\n"
            f"loader.exec_module(m)\nassert {use}\n")
        for step in command, [self.python, "-c", loading]:
            result = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    text=True)
            if result.returncode:
                return [f"{name}: {line}" for line in result.stdout.splitlines()[-5:]]
        return []

    # -- Structs --

    def records(self, tree, folder):
        """Return the layout of all structs of a tree's public headers, by name."""
        probe = folder / "probe.c"
        probe.write_text('#include "Python.h"\n')
        result = subprocess.run(
            [*self.compiler, *self.includes(tree / "Include"), "-fsyntax-only", "-Xclang",
             "-fdump-record-layouts-complete", probe], stdout=subprocess.PIPE, text=True)
        if result.returncode:
            raise BuildError(f"the headers in {tree} do not compile")
        # Structs without a name are named by the place where they are: without the line.
        text = re.sub(r" at [^ )]*?([^/ )]+\.h):\d+:\d+\)", r" in \1)", result.stdout)
        return text.split(RECORD)[1:]

    def structs(self, folder):
        base, ours = self.records(self.build.base, folder), self.records(self.build.src, folder)
        print(f"{len(base)} structs in the public headers")
        return [f"differs from the base, or is not in it any more:\n{record}"
                for record in base if record not in ours]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", required=True)
    abi = Abi(BuildDir(parser.parse_args().build_dir))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = []
        if abi.has_stable_abi:
            wrong += abi.stable_abi(folder)
            print(f"stable ABI: {'differs' if wrong else 'unchanged'}")
        for extension, use in abi.extensions.items():
            problems = abi.extension(extension, use, folder)
            print(f"{extension}, built for the base: {'fails' if problems else 'works'}")
            wrong += problems
        wrong += abi.structs(folder)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    run_main(main)
