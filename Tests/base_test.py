"""Tests of the scripts under Tools/base: fetching, patching, assembling, refreshing.

They work in temporary folders on a tiny base, need no network and no build, and run
with any Python from 3.9 on:  cd Tests && python3 -m unittest base_test
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "Tools" / "base"))

import assemble             # noqa: E402
import check_optional       # noqa: E402
import check_patches        # noqa: E402
import check_symbols        # noqa: E402
import compare_tests        # noqa: E402
import fetch                # noqa: E402
import layout               # noqa: E402
import patchset             # noqa: E402
import refresh_patches      # noqa: E402
from layout import BuildDir, BuildError     # noqa: E402

HEADER = """\
Description: thing: do it
Author: somebody
Forwarded: not-needed
Last-Update: 2026-01-01
X-Hook: none
X-Test: none
X-Drop-When: never

"""
LINES = [f"line {number}" for number in range(1, 31)]


def text(lines):
    return "".join(line + "\n" for line in lines).encode()


def changed(**replacements):
    """Return the tiny base's file with lines replaced: changed(l5="five")."""
    lines = list(LINES)
    for key, value in replacements.items():
        lines[int(key[1:]) - 1] = value
    return text(lines)


class TreeTest(unittest.TestCase):
    """Gives every test a repository, a base and a build directory of its own."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.repo = Path(scratch.name) / "repo"
        self.patches = self.repo / "Tools/base/patches"
        self.patches.mkdir(parents=True)
        self.series()
        self.pin = self.repo / "pin.conf"
        self.write_pin("0" * 64)
        for module, name, value in (
                (layout, "PIN_FILE", self.pin), (fetch, "PIN_FILE", self.pin),
                (assemble, "REPO", self.repo),
                (patchset, "PATCHES", self.patches), (patchset, "SERIES", self.patches / "series"),
                (refresh_patches, "PATCHES", self.patches),
                (refresh_patches, "SERIES", self.patches / "series"),
                (check_patches, "PATCHES", self.patches)):
            patcher = mock.patch.object(module, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)
        self.build = BuildDir(Path(scratch.name) / "build")
        (self.build.base / "Python").mkdir(parents=True)
        (self.build.base / "Python/a.c").write_bytes(text(LINES))
        (self.build.base / "Python/b.c").write_bytes(text(LINES))

    def write_pin(self, sha256):
        self.pin.write_text(f"version = 1.0\narchive = a.tar.xz\npool = p\nsha256 = {sha256}\n")

    def series(self, *names):
        (self.patches / "series").write_text("".join(name + "\n" for name in names))

    def add_patch(self, name, path, old, new):
        (self.patches / name).write_bytes(HEADER.encode() + patchset.diff(path, old, new))

    def assemble(self, force=False):
        assembler = assemble.Assembler(self.build, force)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                assembler.run()
            finally:
                assembler.save_manifest()
        return assembler

    def refresh(self, patch="", only=()):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            refresh_patches.refresh(self.build, patch, list(only))
        return output.getvalue()

    def source(self, path="Python/a.c"):
        return self.build.src / path

    def two_patches(self):
        """Lay a series of two patches of the same file, and assemble."""
        first, second = changed(l5="five"), changed(l5="five", l20="twenty")
        self.add_patch("0001-one.patch", "Python/a.c", text(LINES), first)
        self.add_patch("0002-two.patch", "Python/a.c", first, second)
        self.series("0001-one.patch", "0002-two.patch")
        self.assemble()


class PatchsetTest(TreeTest):
    def apply(self, old, new, content):
        patch = patchset.parse("p", patchset.diff("Python/a.c", old, new))
        notes = []
        return patchset.apply(patch, patch.files["Python/a.c"], content, notes), notes

    def test_apply_exact_changes_content(self):
        self.assertEqual(self.apply(text(LINES), changed(l5="five"), text(LINES)),
                         (changed(l5="five"), []))

    def test_apply_shifted_hunk_is_noted(self):
        shifted = b"new\n" + text(LINES)
        content, notes = self.apply(text(LINES), changed(l5="five"), shifted)
        self.assertEqual(content, b"new\n" + changed(l5="five"))
        self.assertEqual(len(notes), 1)

    def test_apply_hunk_that_does_not_fit_names_it(self):
        with self.assertRaisesRegex(BuildError, r"p: hunk #1 of Python/a.c \(line 4\)"):
            self.apply(text(LINES), changed(l5="five"), changed(l6="six"))

    def test_apply_hunk_that_fits_twice_is_refused(self):
        twice = b"new\n" + text(LINES) + text(LINES)
        with self.assertRaisesRegex(BuildError, "several places"):
            self.apply(text(LINES), changed(l5="five"), twice)

    def test_apply_at_both_ends_of_a_file(self):
        new = b"first\n" + text(LINES[:-1]) + b"last\n"
        self.assertEqual(self.apply(text(LINES), new, text(LINES))[0], new)

    def test_apply_keeps_a_missing_last_newline(self):
        old, new = b"a\nb\nc", b"a\nB\nc"
        self.assertEqual(self.apply(old, new, old)[0], new)

    def test_parse_short_hunk_is_refused(self):
        with self.assertRaisesRegex(BuildError, "shorter than its @@ line"):
            patchset.parse("p", b"--- a/x/y\n+++ b/x/y\n@@ -1,9 +1,9 @@\n a\n")

    def test_parse_new_file_is_refused(self):
        with self.assertRaisesRegex(BuildError, "overlay"):
            patchset.parse("p", b"--- /dev/null\n+++ b/x/y\n@@ -0,0 +1 @@\n+a\n")

    def test_parse_path_outside_the_tree_is_refused(self):
        with self.assertRaises(BuildError):
            patchset.parse("p", b"--- a/../../x\n+++ b/../../x\n@@ -1 +1 @@\n-a\n+b\n")


class AssembleTest(TreeTest):
    def test_overlay_and_patches_are_applied(self):
        (self.repo / "Python").mkdir()
        (self.repo / "Python/ours.cpp").write_text("ours\n")
        self.two_patches()
        self.assertEqual(self.source().read_bytes(), changed(l5="five", l20="twenty"))
        self.assertEqual(self.source("Python/ours.cpp").read_text(), "ours\n")

    def test_second_run_writes_nothing(self):
        self.two_patches()
        before = self.source().stat().st_mtime_ns
        self.assertEqual(self.assemble().written, 0)
        self.assertEqual(self.source().stat().st_mtime_ns, before)

    def test_touched_patch_writes_nothing(self):
        self.two_patches()
        os.utime(self.patches / "0001-one.patch")
        self.assertEqual(self.assemble().written, 0)

    def test_patch_that_leaves_the_series_is_taken_back(self):
        self.two_patches()
        self.series("0001-one.patch")
        self.assertEqual(self.assemble().written, 1)
        self.assertEqual(self.source().read_bytes(), changed(l5="five"))
        self.series()
        self.assemble()
        self.assertEqual(self.source().read_bytes(), text(LINES))

    def test_overlay_file_that_goes_is_removed(self):
        (self.repo / "Lib/test/test_ours").mkdir(parents=True)
        (self.repo / "Lib/test/test_ours/x.py").write_text("")
        self.assemble()
        self.assertTrue(self.source("Lib/test/test_ours/x.py").exists())
        (self.repo / "Lib/test/test_ours/x.py").unlink()
        self.assemble()
        self.assertFalse(self.source("Lib").exists())

    def test_overlay_file_of_the_base_is_refused(self):
        (self.repo / "Python").mkdir()
        (self.repo / "Python/a.c").write_text("")
        with self.assertRaisesRegex(BuildError, "exists in the base too"):
            self.assemble()

    def test_edit_is_kept_and_noted(self):
        self.two_patches()
        self.source().write_bytes(changed(l5="by hand"))
        self.assertEqual(len(self.assemble().edited), 1)
        self.assertEqual(self.source().read_bytes(), changed(l5="by hand"))

    def test_edit_of_what_must_change_stops(self):
        self.two_patches()
        self.source().write_bytes(changed(l5="by hand"))
        self.series("0001-one.patch")
        with self.assertRaisesRegex(BuildError, "edited by hand"):
            self.assemble()
        self.assemble(force=True)
        self.assertEqual(self.source().read_bytes(), changed(l5="five"))

    def test_series_that_names_no_file_is_refused(self):
        self.series("0009-nothing.patch")
        with self.assertRaisesRegex(BuildError, "there is no"):
            self.assemble()


class RefreshTest(TreeTest):
    def test_edit_goes_to_the_last_patch_of_the_file(self):
        self.two_patches()
        first = (self.patches / "0001-one.patch").read_bytes()
        self.source().write_bytes(changed(l5="five", l20="XX"))
        self.assertIn("Python/a.c -> 0002-two.patch", self.refresh())
        self.assertEqual((self.patches / "0001-one.patch").read_bytes(), first)
        self.assertIn(b"+XX\n", (self.patches / "0002-two.patch").read_bytes())
        self.assertEqual(self.assemble().edited, [])

    def test_edit_for_an_earlier_patch_is_carried_through(self):
        self.two_patches()
        edited = changed(l5="FIVE", l20="twenty")
        self.source().write_bytes(edited)
        self.refresh(patch="0001-one.patch")
        self.assertIn(b"+FIVE\n", (self.patches / "0001-one.patch").read_bytes())
        self.assertNotIn(b"FIVE", (self.patches / "0002-two.patch").read_bytes())
        self.assemble()
        self.assertEqual(self.source().read_bytes(), edited)

    def test_edit_that_collides_with_a_later_patch_is_refused(self):
        self.two_patches()
        self.source().write_bytes(changed(l5="five", l20="XX"))
        with self.assertRaisesRegex(BuildError, "0002-two.patch changes too"):
            self.refresh(patch="0001-one.patch")

    def test_file_without_a_patch_needs_a_name(self):
        self.two_patches()
        self.source("Python/b.c").write_bytes(changed(l3="three"))
        with self.assertRaisesRegex(BuildError, "PATCH="):
            self.refresh()
        self.refresh(patch="0003-three.patch")
        self.assertIn("0003-three.patch", patchset.read_series())
        self.assertIn("TODO", (self.patches / "0003-three.patch").read_text())

    def test_files_send_all_edits_to_one_patch(self):
        self.two_patches()
        edited = changed(l5="five", l12="twelve", l20="twenty")
        self.source().write_bytes(edited)
        self.refresh(patch="0003-three.patch", only=["Python/a.c"])
        self.assertIn(b"+twelve\n", (self.patches / "0003-three.patch").read_bytes())
        self.assemble()
        self.assertEqual(self.source().read_bytes(), edited)

    def test_context_is_made_one_line_and_lines_exact(self):
        self.add_patch("0001-one.patch", "Python/a.c", text(LINES), changed(l5="five"))
        wide = subprocess.run(["diff", "-U3", "--label", "a/Python/a.c", "--label", "b/Python/a.c",
                               self.build.base / "Python/a.c", "-"], input=changed(l5="five"),
                              stdout=subprocess.PIPE).stdout.replace(b"@@ -2,7 +2,7 @@", b"@@ -4,7 +4,7 @@")
        (self.patches / "0001-one.patch").write_bytes(HEADER.encode() + wide)
        self.series("0001-one.patch")
        self.assertEqual(len(self.assemble().notes), 1)
        self.refresh()
        self.assertIn(b"@@ -4,3 +4,3 @@", (self.patches / "0001-one.patch").read_bytes())
        self.assertIn("Last-Update: 2026-01-01", (self.patches / "0001-one.patch").read_text())


class CheckPatchesTest(TreeTest):
    def check(self):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            status = check_patches.check(self.build)
        return status, errors.getvalue()

    def test_good_series_passes(self):
        self.two_patches()
        self.assertEqual(self.check(), (0, ""))

    def test_each_fault_is_named(self):
        self.two_patches()
        file = self.patches / "0002-two.patch"
        file.write_text(file.read_text().replace("X-Test: none", "X-Test: TODO")
                        .replace("Author: somebody\n", ""))
        (self.patches / "0003-stray.patch").write_text("")
        status, errors = self.check()
        self.assertEqual(status, 1)
        for fault in ("has no Author", "has a TODO", "0003-stray.patch is not in the series"):
            self.assertIn(fault, errors)

    def test_hooks_are_those_that_the_patch_calls(self):
        self.add_patch("0001-one.patch", "Python/a.c", text(LINES),
                       changed(l5="if (_PyShared_One(x, _PyShared_Two()) < 0) {"))
        self.series("0001-one.patch")
        file = self.patches / "0001-one.patch"
        patch = file.read_text()
        for names, fault in (("none", "does not name _PyShared_One"),
                             ("_PyShared_One", "does not name _PyShared_Two"),
                             ("_PyShared_One, Two,\n Three", "names _PyShared_Three")):
            with self.subTest(names):
                file.write_text(patch.replace("X-Hook: none", f"X-Hook: {names}"))
                self.assertIn(fault, self.check()[1])
        file.write_text(patch.replace("X-Hook: none", "X-Hook: _PyShared_One,\n Two"))
        self.assertEqual(self.check(), (0, ""))

    def test_hunk_at_another_line_fails(self):
        self.two_patches()
        file = self.patches / "0002-two.patch"
        file.write_text(file.read_text().replace("@@ -19,3 +19,3 @@", "@@ -18,3 +18,3 @@"))
        self.assertIn("lines off", self.check()[1])


class FetchTest(TreeTest):
    def setUp(self):
        super().setUp()
        self.archive = self.repo / "given.tar.xz"
        with tarfile.open(self.archive, "w:xz") as tar:
            for name in ("top/configure", "top/README"):
                info = tarfile.TarInfo(name)
                tar.addfile(info, io.BytesIO())
        self.cache = self.repo / "cache"
        patcher = mock.patch.dict(os.environ, XDG_CACHE_HOME=str(self.cache))
        patcher.start()
        self.addCleanup(patcher.stop)

    def bring(self, with_base=""):
        with contextlib.redirect_stdout(io.StringIO()):
            fetch.bring(self.build, with_base)

    def leftovers(self):
        return [path.name for path in self.build.path.iterdir() if path.name.startswith(".")]

    def test_given_archive_is_unpacked_and_cached(self):
        self.write_pin(layout.sha256_of(self.archive))
        self.bring(str(self.archive))
        self.assertTrue((self.build.base / "configure").is_file())
        self.assertTrue((self.cache / "shared-python/a.tar.xz").is_file())
        self.assertEqual(self.leftovers(), [])
        self.archive.unlink()
        self.build.base_stamp.unlink()
        with mock.patch.object(fetch, "mirrors", side_effect=AssertionError("no network")):
            self.bring()        # from the cache

    def test_url_works_like_a_path(self):
        self.write_pin(layout.sha256_of(self.archive))
        self.bring(self.archive.as_uri())
        self.assertTrue((self.build.base / "configure").is_file())

    def test_wrong_hash_shows_both_and_leaves_nothing(self):
        (self.build.base / "mine").write_text("")
        with self.assertRaises(BuildError) as caught:
            self.bring(str(self.archive))
        self.assertIn("0" * 64, str(caught.exception))
        self.assertIn(layout.sha256_of(self.archive), str(caught.exception))
        self.assertEqual(self.leftovers(), [])
        self.assertFalse((self.cache / "shared-python/a.tar.xz").exists())
        self.assertTrue((self.build.base / "mine").exists())

    def test_damaged_cache_is_not_used(self):
        self.write_pin(layout.sha256_of(self.archive))
        damaged = self.cache / "shared-python/a.tar.xz"
        damaged.parent.mkdir(parents=True)
        damaged.write_bytes(b"half")
        with mock.patch.object(fetch, "mirrors", return_value=[]):
            with self.assertRaisesRegex(BuildError, "--with-base"):
                self.bring()
        self.assertFalse(damaged.exists())

    def test_folder_and_missing_file_are_refused(self):
        for given in (str(self.repo), str(self.repo / "nothing"), "file:///nothing"):
            with self.subTest(given), self.assertRaises(BuildError):
                self.bring(given)

    def test_cut_archive_leaves_nothing(self):
        self.archive.write_bytes(self.archive.read_bytes()[:100])
        self.write_pin(layout.sha256_of(self.archive))
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(BuildError, "unpack"):
            self.bring(str(self.archive))
        self.assertEqual(self.leftovers(), [])
        self.assertFalse(self.build.base_stamp.exists())


class CheckSymbolsTest(unittest.TestCase):
    def exported(self, *names):
        build = mock.Mock(path=Path("build"))
        with mock.patch.object(check_symbols, "linked_files", return_value=[Path("python")]), \
             mock.patch.object(check_symbols, "global_symbols", side_effect=lambda file, *options:
                               [("T", name) for name in names] if options else []), \
             contextlib.redirect_stdout(io.StringIO()):
            return list(check_symbols.check_exports(build))

    def test_exported_cxx_name_is_named(self):
        self.assertEqual(self.exported("Py_Main", "_ZN8pyshared4jumpEv", "_ZN8__tsanner1fEv"),
                         ["python exports _ZN8pyshared4jumpEv", "python exports _ZN8__tsanner1fEv"])

    def test_names_of_a_sanitizers_runtime_may_be_exported(self):
        self.assertEqual(self.exported("_ZN6__tsan10OnFinalizeEb",
                                       "_ZN7__ubsan31RegisterUndefinedBehaviorReportEv"), [])


class CheckOptionalTest(TreeTest):
    def database(self, *objects):
        folder = self.build.path / "cmake"
        folder.mkdir()
        (folder / "compile_commands.json").write_text(json.dumps([
            {"directory": "/b", "file": "a.cpp", "command": f"clang -O3 -o {name} -c a.cpp"}
            for name in objects]))

    def test_our_files_are_compiled_without_an_object(self):
        self.database("CMakeFiles/pyshared_core.dir/a.o", "CMakeFiles/embed_test.dir/a.o")
        self.assertEqual(check_optional.compilations(self.build),
                         [("/b", ["clang", "-O3", "-fsyntax-only", "a.cpp"])])

    def test_nothing_to_compile_is_an_error(self):
        with self.assertRaisesRegex(BuildError, "there is no"):
            check_optional.compilations(self.build)
        self.database("CMakeFiles/embed_test.dir/a.o")
        with self.assertRaisesRegex(BuildError, "nothing of our C"):
            check_optional.compilations(self.build)

    def test_headers_are_those_without_the_patch(self):
        first, second = changed(l5="five"), changed(l5="five", l20="twenty")
        (self.build.base / "Include").mkdir()
        (self.build.base / "Include/a.h").write_bytes(text(LINES))
        self.add_patch("0001-one.patch", "Include/a.h", text(LINES), first)
        self.add_patch("0002-two.patch", "Include/a.h", first, second)
        self.series("0001-one.patch", "0002-two.patch")
        one, two = patchset.read_patches()
        check_optional.headers_without(self.build, [one, two], one, self.repo)
        self.assertEqual((self.repo / "Include-a.h").read_bytes(), changed(l20="twenty"))


class CompareTestsTest(unittest.TestCase):
    OUTPUT = """\
0:00:09 load avg: 1.0 [3/5/1] test_b failed (1 failure)

2 tests skipped:
    test_s1 test_s2

1 test skipped (resource denied):
    test_r

1 re-run test:
    test_b

1 test altered the execution environment (env changed):
    test_e

2 tests failed:
    test_b
    test.test_x.test_y

Total duration: 9 sec
Total test files: run=1,007/1,008 failed=2
Result: FAILURE
""".splitlines(keepends=True)

    def test_parse_reads_every_part(self):
        result = compare_tests.Result.parse(self.OUTPUT)
        self.assertEqual(result.failed, {"test_b", "test.test_x.test_y"})
        self.assertEqual(result.skipped, {"test_s1", "test_s2", "test_r"})
        self.assertEqual((result.files, result.completed, result.omitted), (1007, True, set()))

    def test_parse_of_a_torn_run_is_incomplete(self):
        self.assertFalse(compare_tests.Result.parse(self.OUTPUT[:-1]).completed)


if __name__ == "__main__":
    unittest.main()
