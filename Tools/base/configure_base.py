#!/usr/bin/env python3
"""Run CPython's own configure in a build directory, if anything it depends on changed.

It also writes BUILD/Modules/Setup.local, CPython's file for local additions to its
Makefile: there the fork says its name, without a patch.
"""

import argparse
import hashlib
import os
import shlex
import subprocess
from pathlib import Path

from layout import BuildDir, BuildError, REPO, read_pin, run_main, write_if_changed


def setup_local(fork_version):
    """Return the text of Modules/Setup.local."""
    pin = read_pin()
    revision = f"git -C {shlex.quote(str(REPO))} rev-parse --short=10 HEAD 2>/dev/null || true"
    lines = [
        "# Written by Tools/base/configure_base.py.",
        "# Which fork this is: shown by sys.version (`python -VV`) and by sysconfig.",
        f"PYSHARED_VERSION={fork_version}",
        f"PYSHARED_BASE=CPython {pin['version']}",
        f"PYSHARED_BASE_SHA256={pin['sha256']}",
        f"GITTAG=echo Shared Python {fork_version} on CPython {pin['version']}",
        f"GITVERSION={revision}",
    ]
    return "\n".join(lines) + "\n"


def rpath_flags(arguments):
    """Return link flags by which a shared libpython is found in place and installed."""
    if "--enable-shared" not in arguments:
        return ""
    # In place for python and for Programs/_testembed; installed, for bin/python.
    folders = [r"\$$ORIGIN", r"\$$ORIGIN/..", r"\$$ORIGIN/../lib"]
    folders += [argument.partition("=")[2] for argument in arguments
                if argument.startswith("--libdir=/")]
    return " " + " ".join(f"-Wl,-rpath,{folder}" for folder in folders)


def llvm_tools(cc):
    """Return the variables that name the tools of the compiler's own version.

    Without them configure takes the plain `llvm-ar` on PATH, which may be too old to read
    what this compiler writes for link-time or profile-guided optimisation.
    """
    tools = {}
    for variable, tool in (("LLVM_AR", "llvm-ar"), ("LLVM_PROFDATA", "llvm-profdata"),
                           ("LLVM_BOLT", "llvm-bolt"), ("MERGE_FDATA", "merge-fdata")):
        run = subprocess.run([cc, f"-print-prog-name={tool}"], stdout=subprocess.PIPE, text=True)
        path = run.stdout.strip()
        if os.path.isabs(path) and os.access(path, os.X_OK):
            tools[variable] = path
    return tools


def environment(cc, cxx, arguments):
    """Return the environment of CPython's configure: ours, with the compilers set."""
    given = {argument.partition("=")[0] for argument in arguments
             if "=" in argument and not argument.startswith("-")}
    env = {**os.environ, **llvm_tools(cc), "CC": cc, "CXX": cxx}
    env.pop("MAKEFLAGS", None)
    if "LDFLAGS_NODIST" not in given:
        own = env.get("LDFLAGS_NODIST", "")
        env["LDFLAGS_NODIST"] = f"{own} -fuse-ld=lld{rpath_flags(arguments)}".strip()
    return env


def configure(build, source, cc, cxx, arguments):
    """Configure BUILD from a source tree below it, unless that was done already."""
    env = environment(cc, cxx, arguments)
    wanted = "\n".join([cc, cxx, env.get("LDFLAGS_NODIST", ""),
                        hashlib.sha256((build / source / "configure").read_bytes()).hexdigest(),
                        *arguments]) + "\n"
    stamp = build / "configured"
    before = stamp.read_text() if stamp.exists() else None
    if before == wanted and (build / "pyconfig.h").exists() and (build / "Makefile").exists():
        return
    stamp.unlink(missing_ok=True)
    if before is not None and (build / "Makefile").exists():
        print("Other configuration than before: removing the old objects", flush=True)
        subprocess.run(["make", "-s", "clean"], cwd=build, env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    command = [f"{source}/configure", *arguments]
    print(f"Configuring CPython: {shlex.join(command)}", flush=True)
    log = build / "configure.log"
    with open(log, "wb") as file:
        run = subprocess.run(command, cwd=build, env=env, stdin=subprocess.DEVNULL,
                             stdout=file, stderr=subprocess.STDOUT)
    if run.returncode:
        tail = log.read_text(errors="replace").splitlines()[-15:]
        raise BuildError("CPython's configure failed:\n  " + "\n  ".join(tail) +
                         f"\nThe rest is in {log}; see {build / 'config.log'} too.")
    stamp.write_text(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="the directory to configure in")
    parser.add_argument("--source", default="src", help="the source tree, below --build-dir")
    parser.add_argument("--cc", required=True, help="the C compiler")
    parser.add_argument("--cxx", required=True, help="the C++ compiler")
    parser.add_argument("--fork-version", default="",
                        help="our version; without it nothing of ours is configured in")
    parser.add_argument("arguments", nargs="*", help="for CPython's configure, after --")
    options = parser.parse_args()
    build = BuildDir(options.build_dir).path
    if options.fork_version:
        write_if_changed(Path(build) / "Modules" / "Setup.local",
                         setup_local(options.fork_version).encode())
    configure(build, options.source, options.cc, options.cxx, options.arguments)


if __name__ == "__main__":
    run_main(main)
