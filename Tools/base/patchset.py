"""Read and apply the patch series: quilt's layout, unified diffs, no fuzz.

A hunk must match the file exactly.  It may lie at another line than it says only
if exactly one place fits, and that is reported, because check_patches.py wants the
stored patches exact.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from layout import BuildError, PATCHES

SERIES = PATCHES / "series"
HUNK_HEAD = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass
class Hunk:
    number: int                 # from 1, within its file
    old_start: int              # the line it says it starts at
    lines: list                 # raw lines with their ' ', '-' or '+'

    def side(self, sign):
        """Return the hunk's lines before (b'-') or after (b'+') the change."""
        return [line[1:] for line in self.lines if line[:1] in (b" ", sign)]

    def context(self):
        """Return how many unchanged lines open and close the hunk, whichever is more."""
        signs = b"".join(line[:1] for line in self.lines)
        return max(len(signs) - len(signs.lstrip(b" ")), len(signs) - len(signs.rstrip(b" ")))

    def changed(self):
        return sum(line[:1] in (b"+", b"-") for line in self.lines)


@dataclass
class FilePatch:
    path: str                   # relative to the source tree
    hunks: list = field(default_factory=list)

    def text(self):
        """Return the hunks as bytes that differ whenever the change differs."""
        return b"".join(b"@%d\n%s" % (hunk.old_start, b"".join(hunk.lines))
                        for hunk in self.hunks)


@dataclass
class Patch:
    name: str
    header: str = ""
    files: dict = field(default_factory=dict)   # path -> FilePatch

    def changed(self):
        return sum(hunk.changed() for part in self.files.values() for hunk in part.hunks)


def read_series():
    """Return the names in the series file, in order."""
    if not SERIES.is_file():
        return []
    names = [line.partition("#")[0].strip() for line in SERIES.read_text().splitlines()]
    return [name for name in names if name]


def read_patches():
    """Return every patch of the series, parsed, in order."""
    names = read_series()
    for name in names:
        if names.count(name) > 1:
            raise BuildError(f"{SERIES}: {name} is listed twice")
        if not (PATCHES / name).is_file():
            raise BuildError(f"{SERIES}: there is no {PATCHES / name}")
    return [parse(name, (PATCHES / name).read_bytes()) for name in names]


def parse(name, data):
    """Parse one patch file."""
    patch, part, header, old_name = Patch(name), None, [], None
    lines = data.splitlines(keepends=True)
    position = 0
    while position < len(lines):
        line = lines[position]
        if line.startswith(b"--- ") and lines[position + 1:position + 2] \
                and lines[position + 1].startswith(b"+++ "):
            old_name = line[4:].split(b"\t")[0].strip().decode()
            new_name = lines[position + 1][4:].split(b"\t")[0].strip().decode()
            part = open_file(patch, old_name, new_name)
            position += 2
        elif match := HUNK_HEAD.match(line):
            if part is None:
                raise BuildError(f"{name}:{position + 1}: a hunk before any `+++ b/file` line")
            position = read_hunk(part, lines, position, match, name)
        else:
            if part is None and not line.startswith((b"diff ", b"index ")):
                header.append(line.decode())
            position += 1
    patch.header = "".join(header)
    return patch


def open_file(patch, old_name, new_name):
    """Start the part of a patch that changes one file."""
    if "/dev/null" in (old_name, new_name):
        raise BuildError(f"{patch.name}: creates or deletes {new_name}: "
                         f"a file of ours is never a patch, put it into the overlay")
    path = new_name.partition("/")[2]
    if not path or path.startswith("/") or ".." in Path(path).parts:
        raise BuildError(f"{patch.name}: `{new_name}` must look like b/Python/ceval.c")
    if path in patch.files:
        raise BuildError(f"{patch.name}: {path} appears twice")
    part = patch.files[path] = FilePatch(path)
    return part


def read_hunk(part, lines, position, match, name):
    """Read the hunk whose head is at a line; return the position after it."""
    old_left = int(match[2]) if match[2] is not None else 1
    new_left = int(match[4]) if match[4] is not None else 1
    hunk = Hunk(len(part.hunks) + 1, int(match[1]) + (old_left == 0), [])
    head = position + 1
    position += 1
    while old_left > 0 or new_left > 0 or lines[position:position + 1] == \
            [b"\\ No newline at end of file\n"]:
        line = lines[position] if position < len(lines) else b""
        if line == b"\n":
            line = b" \n"       # editors strip the blank of an empty context line
        if line.startswith(b"\\"):
            hunk.lines[-1] = hunk.lines[-1].rstrip(b"\n")
        elif line[:1] in (b" ", b"-", b"+"):
            old_left -= line[:1] in (b" ", b"-")
            new_left -= line[:1] in (b" ", b"+")
            hunk.lines.append(line)
        else:
            raise BuildError(f"{name}:{head}: hunk #{hunk.number} of {part.path} is shorter "
                             f"than its @@ line says")
        position += 1
    if old_left or new_left:
        raise BuildError(f"{name}:{head}: hunk #{hunk.number} of {part.path} does not have "
                         f"the line counts of its @@ line")
    part.hunks.append(hunk)
    return position


def find_place(lines, wanted, expected):
    """Return the index where the wanted lines lie, or a list of all the candidates."""
    if expected >= 0 and lines[expected:expected + len(wanted)] == wanted:
        return expected
    if not wanted:
        return []
    places = [index for index in range(len(lines) - len(wanted) + 1)
              if lines[index] == wanted[0] and lines[index:index + len(wanted)] == wanted]
    return places[0] if len(places) == 1 else places


def explain(patch, part, hunk, lines, expected, places):
    """Return the message for a hunk that cannot be applied."""
    what = f"{patch.name}: hunk #{hunk.number} of {part.path} (line {hunk.old_start}) does not apply"
    if places:
        where = ", ".join(str(place + 1) for place in places[:8])
        return f"{what}: it fits at several places (lines {where}) and not at its own"
    start = max(expected, 0)
    there = lines[start:start + len(hunk.side(b"-"))]
    return (f"{what}; the hunk:\n{b''.join(hunk.lines).decode(errors='replace')}"
            f"the file there:\n{b''.join(there).decode(errors='replace')}"
            f"Mend {PATCHES / patch.name}.")


def apply(patch, part, content, notes=None):
    """Return content with one patch's hunks for one file applied.

    Raise BuildError naming patch, file and hunk if one does not match.  A message is
    appended to notes for every hunk found at another line than it says.
    """
    lines = content.splitlines(keepends=True)
    shift = 0
    for hunk in part.hunks:
        old, new = hunk.side(b"-"), hunk.side(b"+")
        expected = hunk.old_start - 1 + shift
        place = find_place(lines, old, expected)
        if isinstance(place, list):
            raise BuildError(explain(patch, part, hunk, lines, expected, place))
        if place != expected and notes is not None:
            notes.append(f"{patch.name}: hunk #{hunk.number} of {part.path} applies "
                         f"{place - expected:+} lines off")
        lines[place:place + len(old)] = new
        shift = shift + (place - expected) + len(new) - len(old)
    return b"".join(lines)


def touching(patches, path):
    """Return the patches of a series that change a file, in order."""
    return [patch for patch in patches if path in patch.files]


def versions(patches, path, pristine, notes=None):
    """Return a file's content before the series and after each patch that touches it."""
    contents = [pristine]
    for patch in touching(patches, path):
        contents.append(apply(patch, patch.files[path], contents[-1], notes))
    return contents


def diff(path, old, new):
    """Return the unified diff of two contents of a file, with one line of context."""
    with tempfile.TemporaryDirectory() as scratch:
        names = [Path(scratch, "old"), Path(scratch, "new")]
        for name, content in zip(names, (old, new)):
            name.write_bytes(content)
        run = subprocess.run(["diff", "-U1", "--label", f"a/{path}", "--label", f"b/{path}",
                              *map(str, names)], capture_output=True)
    if run.returncode > 1:
        raise BuildError(f"diff failed for {path}: {run.stderr.decode(errors='replace')}")
    return run.stdout
