"""What is shared now, and what is told of it: shared_objects(), share_stats(), -X showshared."""

import unittest
from concurrent import interpreters
from concurrent.interpreters import (
    ShareScope, SharedObjectProxy, share_stats, shared_objects)
from test.support import script_helper

from . import residents
from .residents import Box, safe_point, wait_until
from .support import SharingTestCase


def found(type_name):
    return [entry for entry in shared_objects() if entry.type_name == type_name]


class SharedObjectsTests(SharingTestCase):

    def test_objects_of_every_interpreter_are_told(self):
        class Mine:
            def __repr__(self):
                return 'mine itself'
        proxies = [SharedObjectProxy(Mine()), self.sub.call(residents.wrapped, Box, 5)]
        [mine], [box] = found('Mine'), found('Box')
        self.assertEqual((mine.owner_id, mine.owner), (0, interpreters.get_main()))
        self.assertEqual(box.owner, self.sub)
        self.assertEqual(mine.repr(), 'mine itself')
        self.assertTrue(mine.alive and box.alive)
        self.assertIsNone(mine.scope)
        self.assertIn(f"'Box' object of interpreter {self.sub.id}", repr(box))
        del proxies

    def test_references_are_counted_in_all_interpreters(self):
        class Held:
            pass
        proxy = SharedObjectProxy(Held())
        self.assertEqual(found('Held')[0].references, 1)
        self.sub.call(residents.keep, 'held', proxy)
        queue = interpreters.create_queue()
        queue.put(proxy)
        self.assertEqual(found('Held')[0].references, 3)
        queue.get()
        self.sub.call(residents.drop, 'held')
        self.assertTrue(wait_until(lambda: found('Held')[0].references == 1))
        del proxy
        safe_point()
        self.assertEqual(found('Held'), [])

    def test_listing_keeps_nothing(self):
        class Listed:
            pass
        proxy = SharedObjectProxy(Listed())
        [listed] = found('Listed')
        del proxy
        safe_point()
        self.assertIsNone(listed.repr())
        self.assertIn("'Listed'", repr(listed))

    def test_scope_is_told_by_number(self):
        with ShareScope() as first, ShareScope() as second:
            a, b, c = first.share([1]), first.share([2]), second.share([3])
            numbers = {entry.repr(): entry.scope for entry in found('list')
                       if entry.scope is not None}
            self.assertEqual(numbers['[1]'], numbers['[2]'])
            self.assertNotEqual(numbers['[1]'], numbers['[3]'])
            self.assertIn(f"ShareScope {numbers['[3]']}, open", repr(second))
            del a, b, c

    def test_dead_object_that_is_still_held_is_told(self):
        class Dead:
            pass
        with ShareScope() as scope:
            proxy = scope.share(Dead())
        [dead] = found('Dead')
        self.assertFalse(dead.alive)
        del proxy
        safe_point()
        self.assertEqual(found('Dead'), [])

    def test_any_interpreter_may_ask(self):
        proxy = SharedObjectProxy(Box())
        names = self.sub.call(names_of_types)
        self.assertIn('Box', names)
        del proxy


def names_of_types():
    from concurrent.interpreters import shared_objects
    return tuple(entry.type_name for entry in shared_objects())


class StatsTests(SharingTestCase):

    def test_switches_count_entries_of_other_interpreters(self):
        box = self.sub.call(residents.wrapped, Box, 5)
        before = share_stats()['switches']
        for _ in range(10):
            box.value
        self.assertGreaterEqual(share_stats()['switches'], before + 10)
        here = SharedObjectProxy(Box())
        before = share_stats()['switches']
        here.value
        self.assertEqual(share_stats()['switches'], before)

    def test_switches_of_an_interpreter_that_is_gone_still_count(self):
        interp = self.new_interpreter()
        box = interp.call(residents.wrapped, Box)
        for _ in range(10):
            len(box.make())
        before = share_stats()['switches']
        interp.close()
        self.assertGreaterEqual(share_stats()['switches'], before)

    def test_releases_pending_are_counted_until_they_are_done(self):
        seen = []

        class Looks:
            def __del__(self):
                seen.append(share_stats()['releases_pending'])
        holders = [SharedObjectProxy(Looks()) for _ in range(3)]
        self.sub.call(residents.keep, 'holders', tuple(holders))
        del holders
        self.sub.call(residents.drop, 'holders')
        self.assertTrue(wait_until(lambda: len(seen) == 3))
        self.assertTrue(wait_until(lambda: share_stats()['releases_pending'] == 0))


class BirthTests(unittest.TestCase):
    """Age and place, which are recorded only in a process that was asked to."""

    CODE = '\n'.join([
        'from concurrent import interpreters',
        'from concurrent.interpreters import *',
        'scope = ShareScope()',
        'def make():',
        '    return scope.share([1])',
        'proxy = make()',
        '[entry] = shared_objects()',
        'print(entry.age is not None and entry.age >= 0, entry.place)',
        'scope.close()',
        'try:',
        '    len(proxy)',
        'except DeadProxyError as error:',
        '    print(error)',
    ])

    def run_code(self, code, *options, **environment):
        result = script_helper.assert_python_ok(
            *options, '-c', code, __isolated=False, **environment)
        return result.out.decode().splitlines(), result.err.decode().splitlines()

    def test_nothing_is_recorded_unless_asked_for(self):
        out, err = self.run_code(self.CODE)
        self.assertEqual(out[0], 'False None')
        self.assertNotIn('shared at', out[1])
        self.assertEqual(err, [])

    def test_place_is_recorded_in_development_mode(self):
        out, err = self.run_code(self.CODE, '-X', 'dev')
        self.assertEqual(out, ['True <string>:5 in make',
                               "dead proxy of a 'list' object of interpreter 0, "
                               'shared at <string>:5 in make: its scope was closed'])
        self.assertEqual(err, [])

    def test_place_of_what_comes_out_of_c_code_is_the_callers(self):
        out, _ = self.run_code('\n'.join([
            'from concurrent import interpreters',
            'from concurrent.interpreters import *',
            'def make():',
            '    from concurrent.interpreters import SharedObjectProxy',
            '    return SharedObjectProxy([[]])',
            'interp = interpreters.create()',
            'inner = interp.call(make)[0]',
            'print(*[entry.place for entry in shared_objects() if entry.repr() == "[]"])',
            'del inner',
            'interp.close()',
        ]), '-X', 'dev')
        self.assertEqual(out, ['<string>:7 in <module>, interpreter 0'])

    def test_showshared_lists_what_is_shared_at_exit(self):
        code = ('from concurrent.interpreters import *\n'
                'import atexit\n'
                'kept, gone = share_forever([]), share({})\n'
                'atexit.register(lambda: release(gone))\n')
        for options, environment in ((('-X', 'showshared'), {}), ((), {'PYTHONSHOWSHARED': '1'})):
            with self.subTest(options):
                out, err = self.run_code(code, *options, **environment)
                self.assertEqual(err[0], 'Shared objects at exit: 1')
                self.assertRegex(err[1], "'list' object of interpreter 0.* at <string>:3 in")
                self.assertEqual(len(err), 2)

    def test_showshared_tells_of_interpreters_left_open(self):
        out, err = self.run_code('\n'.join([
            'from concurrent import interpreters',
            'from test.test_sharing import residents',
            'interp = interpreters.create()',
            'proxy = interp.call(residents.wrapped, residents.Box)',
        ]), '-X', 'showshared')
        self.assertRegex(err[1], f"^  <shared 'Box' object of interpreter 1, .*in wrapped>")

    def test_showshared_says_nothing_if_nothing_is_shared(self):
        _, err = self.run_code('from concurrent.interpreters import *; share([])',
                               '-X', 'showshared')
        self.assertEqual(err, [])


if __name__ == '__main__':
    unittest.main()
