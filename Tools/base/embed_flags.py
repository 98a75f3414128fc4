#!/usr/bin/env python3
"""Write a response file with which clang links a program against a built libpython.

The same flags as `python3-config --embed --ldflags`, for the build directory instead of
an installation.  The file's time moves when libpython's does, so that what was linked
with it is linked again.
"""

import argparse
import json
import os
import shlex
import subprocess
from pathlib import Path

from layout import BuildDir, BuildError, run_main, write_if_changed

VARIABLES = ("LDLIBRARY", "LIBRARY", "LIBS", "SYSLIBS", "MODLIBS", "LINKFORSHARED",
             "Py_ENABLE_SHARED", "CONFIG_ARGS")
QUERY = f"import json, sysconfig; print(json.dumps([sysconfig.get_config_var(n) for n in {VARIABLES}]))"


def variables(build):
    run = subprocess.run([build.path / "python", "-c", QUERY], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise BuildError(f"{build.path / 'python'} does not run")
    return dict(zip(VARIABLES, json.loads(run.stdout)))


def link_flags(build, config):
    """Return libpython's path and the flags of a link with it."""
    library = build.path / (config["LDLIBRARY"] if config["Py_ENABLE_SHARED"] else config["LIBRARY"])
    flags = [str(library)]
    for name in ("LINKFORSHARED", "LIBS", "MODLIBS", "SYSLIBS"):
        flags += shlex.split(config[name] or "")
    if config["Py_ENABLE_SHARED"]:
        flags.append(f"-Wl,-rpath,{build.path}")
    for sanitizer in ("address", "thread", "undefined", "memory"):
        option = "undefined-behavior" if sanitizer == "undefined" else sanitizer
        if f"--with-{option}-sanitizer" in config["CONFIG_ARGS"]:
            flags.append(f"-fsanitize={sanitizer}")
    return library, flags


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="a finished build directory")
    parser.add_argument("--output", required=True, type=Path, help="the response file")
    options = parser.parse_args()
    build = BuildDir(options.build_dir)
    library, flags = link_flags(build, variables(build))
    write_if_changed(options.output, (shlex.join(flags) + "\n").encode())
    if library.stat().st_mtime_ns > options.output.stat().st_mtime_ns:
        os.utime(options.output)


if __name__ == "__main__":
    run_main(main)
