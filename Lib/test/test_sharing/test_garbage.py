"""Proxies and the garbage collectors of the interpreters."""

import gc
import sys
import threading
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import ShareScope, SharedObjectProxy
from test.support import threading_helper

from . import residents
from .residents import Box, Log, Witness, safe_point, wait_until
from .support import MAIN, SharingTestCase


class Garden:
    """Objects that are only reachable by proxies of their own interpreter."""

    def __init__(self, size):
        boxes = [Box([i]) for i in range(size)]
        self.proxies = [SharedObjectProxy(box) for box in boxes]
        self.watches = [weakref.ref(box) for box in boxes]

    def tokens(self):
        return tuple(map(interpreters.share_token, self.proxies))

    def collect(self, times):
        """Collect; return how many objects were lost that are reachable."""
        for _ in range(times):
            gc.collect()
        return sum(watch() is None for watch in self.watches)


def make_garden(size):
    return SharedObjectProxy(Garden(size))


def make_cycle(elsewhere):
    """Make an object here and one elsewhere that hold each other; return a weak reference."""
    box = Box()
    box.value = elsewhere.make(SharedObjectProxy(box))
    return weakref.ref(box)


class GarbageTests(SharingTestCase):

    def test_cycle_through_a_proxy_in_its_owner_is_collected(self):
        for place in (MAIN, self.sub):
            with self.subTest(place):
                self.assertTrue(place.call(residents.cycle_is_collected))

    def test_cycle_held_by_another_interpreter_is_collected_once_dropped(self):
        box = Box()
        box.value = SharedObjectProxy(box)
        watch = weakref.ref(box)
        self.sub.call(residents.keep, 'box', box.value)
        del box
        gc.collect()
        self.assertIsNotNone(watch())
        self.sub.call(residents.drop, 'box')
        gc.collect()
        self.assertIsNone(watch())

    def test_cycle_across_interpreters_is_broken_by_release(self):
        box = Box()
        watch = weakref.ref(box)
        other = self.sub.call(residents.wrapped, Box, SharedObjectProxy(box))
        box.value = other
        del box, other
        gc.collect()
        self.assertIsNotNone(watch(), 'cycles across interpreters stay')
        interpreters.release(watch().value)
        self.assertTrue(wait_until(lambda: watch() is None))

    def test_object_in_a_cycle_with_an_unreachable_proxy_of_another_owner_is_collected(self):
        log = Log()
        box = Box()
        box.value = box, self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))
        del box
        gc.collect()
        safe_point()
        self.assertEqual(log.wait(), [('gone', self.sub.id)])

    def test_frozen_objects_work_and_are_released(self):
        for place in (MAIN, self.sub):
            with self.subTest(place):
                self.assertEqual(place.call(freeze_and_use), (1, True))

    def test_destructor_of_a_cycle_uses_the_proxy_in_it(self):
        log = Log()

        class Node:
            def __del__(self):
                log(self.proxy.name, self.other.value)
        node = Node()
        node.name, node.proxy = 'node', SharedObjectProxy(node)
        node.other = self.sub.call(residents.wrapped, Box, 5)
        del node
        gc.collect()
        self.assertEqual(log.entries, [('node', 5)])

    def test_what_is_used_by_token_or_listed_is_not_collected(self):
        garden = self.sub.call(make_garden, 100)
        tokens = garden.tokens()

        def resolve():
            for token in tokens:
                SharedObjectProxy.from_token(token)
        for use in (resolve, interpreters.shared_objects):
            with self.subTest(use):
                lost = []
                thread = threading.Thread(target=lambda: lost.append(garden.collect(50)))
                with threading_helper.start_threads([thread]):
                    while thread.is_alive():
                        use()
                self.assertEqual(lost, [0])


class CycleAcrossTests(SharingTestCase):
    """A cycle across interpreters stays until something breaks it."""

    def cycle(self):
        elsewhere = self.sub.call(residents.wrapped, Box)
        return make_cycle(elsewhere)

    def assertGone(self, watch):
        self.assertTrue(wait_until(lambda: gc.collect() is not None and watch() is None))

    def test_it_is_reported(self):
        known = {entry.owner_id for entry in interpreters.shared_objects()
                 if entry.type_name == 'Box'}
        self.assertEqual(known, set())
        watch = self.cycle()
        gc.collect()
        self.sub.call(gc.collect)
        found = [entry for entry in interpreters.shared_objects() if entry.type_name == 'Box']
        self.assertEqual({entry.owner_id for entry in found}, {0, self.sub.id})
        self.assertIsNotNone(watch())
        interpreters.release(watch().value)
        self.assertGone(watch)

    def test_closing_an_interpreter_breaks_it(self):
        interp = self.new_interpreter()
        watch = make_cycle(interp.call(residents.wrapped, Box))
        gc.collect()
        self.assertIsNotNone(watch())
        interp.close()
        self.assertGone(watch)

    def test_the_end_of_a_scope_breaks_it(self):
        with ShareScope() as scope:
            watch = make_cycle(scope.share(self.sub.call(residents.wrapped, Box)))
            gc.collect()
            self.assertIsNotNone(watch())
        self.assertGone(watch)

    def test_revoking_breaks_it(self):
        watch = self.cycle()
        interpreters.revoke(SharedObjectProxy(watch()))
        self.assertGone(watch)


class IntrospectionTests(SharingTestCase):

    def test_referents_of_a_proxy_are_of_its_own_interpreter(self):
        theirs = self.sub.call(residents.wrapped, Box)
        self.assertEqual(gc.get_referents(theirs), [])
        box = Box()
        mine = SharedObjectProxy(box)
        for referent in gc.get_referents(mine):
            self.assertIs(referent, box)
        self.sub.call(residents.keep, 'box', mine)
        self.assertEqual(gc.get_referents(mine), [])
        self.sub.call(residents.drop, 'box')

    def test_objects_of_the_collector_have_no_foreign_ones(self):
        theirs = self.sub.call(residents.wrapped, Box)
        self.assertTrue(gc.is_tracked(theirs))
        self.assertTrue(any(tracked is theirs for tracked in gc.get_objects()))
        self.assertTrue(self.sub.call(no_proxy_is_tracked))

    def test_size_is_the_proxys_own(self):
        sizes = {sys.getsizeof(proxy) for proxy in (
            SharedObjectProxy(b'x' * 100_000), SharedObjectProxy([]),
            self.sub.call(residents.wrapped, bytes, 100_000))}
        self.assertEqual(len(sizes), 1)
        self.assertLess(*sizes, 300)
        interp = self.new_interpreter()
        dead = interp.call(residents.wrapped, Box)
        interp.close()
        self.assertEqual({sys.getsizeof(dead)}, sizes)


def freeze_and_use():
    """Freeze what there is, with proxies; return what they answer, and whether one is released."""
    box = Box()
    proxy = box.value = SharedObjectProxy(box)
    other = SharedObjectProxy(Box())
    watch = weakref.ref(other)
    gc.freeze()
    try:
        gc.collect()
        answer = len(proxy)
        del other
        return answer, watch() is None
    finally:
        gc.unfreeze()
        box.value = None


def no_proxy_is_tracked():
    return not any(type(tracked) is SharedObjectProxy
                   and interpreters.owner(tracked) == interpreters.get_current()
                   for tracked in gc.get_objects())


if __name__ == '__main__':
    unittest.main()
