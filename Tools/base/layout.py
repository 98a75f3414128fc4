"""Where everything lies: the repository, its pin, and the parts of a build directory.

Shared by the other scripts of this folder; it does nothing by itself.
"""

import hashlib
import os
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PATCHES = REPO / "Tools" / "base" / "patches"
PIN_FILE = REPO / "Tools" / "base" / "pin.conf"

# The folders of the repository that are laid over the base.
OVERLAY_DIRS = ("Include", "Objects", "Python", "Modules", "Lib")


class BuildError(Exception):
    """Something a person has to mend; the message says what and how."""


class BuildDir:
    """The parts of one build directory that the scripts of this folder own."""

    def __init__(self, path):
        self.path = Path(path).absolute()
        self.base = self.path / "base"                  # the base as its archive holds it
        self.base_stamp = self.path / "base.sha256"     # the archive `base` came from
        self.src = self.path / "src"                    # base + overlay + patches
        self.manifest = self.path / "src.manifest.json" # what `src` was made from
        self.src_stamp = self.path / "src.stamp"        # touched when `src` changes


def read_pin():
    """Return the pin as a dict of strings."""
    pin = {}
    for number, line in enumerate(PIN_FILE.read_text().splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not value:
            raise BuildError(f"{PIN_FILE}:{number}: expected `key = value`")
        pin[key] = value
    missing = {"version", "archive", "pool", "sha256"} - pin.keys()
    if missing:
        raise BuildError(f"{PIN_FILE}: no value for {', '.join(sorted(missing))}")
    return pin


def sha256_of(path):
    """Return the SHA-256 of a file as lower-case hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_if_changed(path, data):
    """Write bytes to a file unless it holds them already; return whether it wrote.

    The file appears whole or not at all, and keeps its time when nothing changed.
    """
    path = Path(path)
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    if path.exists():
        temporary.chmod(path.stat().st_mode)
    temporary.replace(path)
    return True


def run_main(main):
    """Run a script's main(); turn a BuildError into a message and exit status 1."""
    name = Path(sys.argv[0]).name
    try:
        sys.exit(main())
    except BuildError as error:
        sys.stdout.flush()
        print(f"{name}: error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
