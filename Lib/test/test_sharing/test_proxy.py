"""What a proxy is as an object of its own: type, address, size, references, text, arming."""

import gc
import pydoc
import sys
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import (
    DeadProxyError, ShareScope, SharedObjectProxy, is_alive, release, revoke, share, share_forever)

from . import operations
from .operations import Bare, Block, Point
from .support import MAIN, SharingTestCase, add_directions


def made(source):
    return SharedObjectProxy(operations.evaluate(source, **globals()))


# Properties of a proxy, as source text; each is true where x is a proxy of what is on the left.

OF_THE_PROXY = {
    'Point(1, 2)': '''
        type(x) is SharedObjectProxy
        isinstance(x, SharedObjectProxy)
        issubclass(type(x), SharedObjectProxy)
        type(x).__name__ == "SharedObjectProxy"
        x.__class__ is Point
        isinstance(x, Point)
        not isinstance(x, int)
        id(x) == id(x)
        x is x
        weakref.ref(x)() is x
        weakref.ref(x) is weakref.ref(x)
        weakref.getweakrefcount(x) == 0
        gc.is_tracked(x)
        not sys._is_immortal(x)
        SharedObjectProxy(x) is not x
        repr(x) == "Point(x=1, y=2)"
        type(pydoc.render_doc(x)) is str
    ''',
    '[1] * 1000': '''
        isinstance(x, list)
        x.__class__ is list
        sys.getsizeof(x) == sys.getsizeof(SharedObjectProxy(5))
        sys.getsizeof(x) < 500
    ''',
    'Bare()': 'weakref.WeakSet([x]).pop() is x \n weakref.WeakKeyDictionary({x: 1})[x] == 1',
    'None': '''
        x is not None
        not x
        x == None
        x.__class__ is type(None)
        repr(x) == "None"
    ''',
    'len': 'callable(x) \n x.__class__ is type(len) \n x([1, 2]) == 2',
    'Point': 'isinstance(x, type) \n x.__class__ is type \n isinstance(x(), Point)',
    'type("Own", (), {"__module__": "nowhere"})()': '''
        type(x.__class__) is SharedObjectProxy
        x.__class__.__name__ == "Own"
        isinstance(x.__class__, type)
        not isinstance(x, Point)
        isinstance(x, SharedObjectProxy)
    ''',
}


def holds(source, x):
    return bool(operations.evaluate(source, **globals() | {'x': x}))


class PropertiesTest:

    def test_properties_of_a_proxy(self):
        for subject, sources in OF_THE_PROXY.items():
            for source in filter(None, map(str.strip, sources.splitlines())):
                with self.subTest(source, subject=subject):
                    x = self.owner().call(made, subject)
                    self.assertIs(self.caller().call(holds, source, x), True)


add_directions(globals(), PropertiesTest, across=True)


class WeakReferencesTest(SharingTestCase):

    def test_dropped_proxy_is_gone_and_calls_back(self):
        called = []
        proxy = self.share_from(self.sub, '[]')
        reference = weakref.ref(proxy, called.append)
        mapping = weakref.WeakValueDictionary({'key': proxy})
        self.assertIs(reference(), proxy)
        del proxy
        gc.collect()
        self.assertIsNone(reference())
        self.assertEqual(called, [reference])
        self.assertNotIn('key', mapping)

    def test_object_itself_can_be_referenced_weakly_in_its_owner(self):
        thing = Point(1, 2)
        reference = weakref.ref(thing)
        proxy = SharedObjectProxy(thing)
        del thing
        gc.collect()
        self.assertEqual(reference().x, 1)
        del proxy
        operations.collect()
        self.assertIsNone(reference())

    def test_cycle_through_a_proxy_of_the_owner_is_collected(self):
        thing = Point()
        thing.x = SharedObjectProxy(thing)
        reference = weakref.ref(thing)
        del thing
        operations.collect()
        self.assertIsNone(reference())


def end_scope(place):
    scope = ShareScope()
    proxy = scope.share(place.call(made, 'Point(1, 2)'))
    scope.close()
    return proxy


def end_release(place):
    proxy = place.call(made, 'Point(1, 2)')
    release(proxy)
    return proxy


def end_revoke(place):
    proxy = SharedObjectProxy(Point(1, 2))
    revoke(proxy)
    return proxy


def end_owner(place):
    interp = interpreters.create()
    proxy = interp.call(operations.wrapped, 'Point(1, 2)')
    interp.close()
    return proxy


#: How a proxy dies, and the word for it.
ENDS = {end_scope: 'scope', end_release: 'released', end_revoke: 'revoked',
        end_owner: 'owner|closed|ended'}


class DeadTest(SharingTestCase):

    def test_dead_proxy_is_described_and_raises(self):
        for end, reason in ENDS.items():
            for place in MAIN, self.sub:
                with self.subTest(end.__name__, place=place):
                    proxy = end(place)
                    self.assertFalse(is_alive(proxy))
                    self.assertRegex(repr(proxy), f'^<dead proxy.*({reason})')
                    self.assertEqual(f'{proxy!r}', repr(proxy))
                    for use in len, str, hash, bool, iter, list, release_then_use:
                        with self.assertRaisesRegex(DeadProxyError, reason):
                            use(proxy)
                    self.assertIs(type(proxy), SharedObjectProxy)
                    self.assertIs(weakref.ref(proxy)(), proxy)
                    self.assertEqual(id(proxy), id(proxy))
                    self.assertGreater(sys.getsizeof(proxy), 0)

    def test_description_names_type_and_owner(self):
        for end in (end_scope, end_revoke, end_owner):
            with self.subTest(end.__name__):
                proxy = end(MAIN)
                self.assertIn('Point', repr(proxy))
                self.assertRegex(repr(proxy), r'interpreter \d+')
                with self.assertRaisesRegex(DeadProxyError, r'Point.*interpreter \d+'):
                    proxy.x

    def test_dead_proxy_equals_itself_in_a_list(self):
        proxy = end_scope(MAIN)
        self.assertIn(proxy, [proxy])


def release_then_use(proxy):
    proxy.attribute


class ArmedTest(SharingTestCase):

    def test_with_hands_out_a_second_proxy_that_dies_with_the_block(self):
        thing = Point(1, [2])
        armed = share(thing)
        with armed as proxy:
            self.assertIs(type(proxy), SharedObjectProxy)
            self.assertIsNot(proxy, armed)
            self.assertEqual(proxy.x, 1)
            self.assertTrue(is_alive(proxy))
        self.assertFalse(is_alive(proxy))
        with self.assertRaises(DeadProxyError):
            proxy.x

    def test_block_ends_what_came_out_of_the_proxy_elsewhere(self):
        keeper = self.share_from(self.sub, '[]')
        with share(Point(1, 2)) as proxy:
            keeper.append(proxy)
            self.sub.call(operations.evaluate, 'x.append(x[0].moved)', x=keeper)
            self.assertEqual(keeper[1](1).x, 2)
        for index in range(2):
            self.assertEqual(self.sub.call(operations.outcome, f'x[{index}]()', x=keeper)[:2],
                             ('raises', 'concurrent.interpreters.DeadProxyError'))

    def test_block_releases_the_object(self):
        thing = Point()
        reference = weakref.ref(thing)
        with share(thing) as proxy:
            del thing
            self.assertIsNotNone(reference())
        operations.collect()
        self.assertIsNone(reference())

    def test_error_in_the_block_passes(self):
        with self.assertRaisesRegex(ValueError, 'through'):
            with share(Point()) as proxy:
                raise ValueError('through')
        self.assertFalse(is_alive(proxy))

    def test_second_proxy_enters_the_object(self):
        with share(Block()) as proxy:
            with proxy as entered:
                self.assertEqual(entered, ('enter',))
            self.assertEqual(proxy.log, ('enter', None, None))
            self.assertTrue(is_alive(proxy))

    def test_disarmed_proxy_enters_the_object(self):
        keeper = self.share_from(self.sub, '[]')

        def use(proxy):
            proxy.log

        disarming = dict(use=use, send=keeper.append, text=str, token=interpreters.share_token,
                         compare=lambda proxy: proxy == 1, test=bool)
        for name, disarm in disarming.items():
            with self.subTest(name):
                proxy = share(Block())
                disarm(proxy)
                with proxy as entered:
                    self.assertEqual(entered, ('enter',))
                self.assertEqual(proxy.log, ('enter', None, None))
        keeper.clear()

    def test_disarmed_proxy_of_what_cannot_be_entered_raises(self):
        proxy = share(Point())
        proxy.x
        with self.assertRaisesRegex(TypeError, "'?Point'? .*context manager"):
            with proxy:
                pass

    def test_looking_at_a_proxy_does_not_disarm_it(self):
        proxy = share(Block())
        type(proxy), id(proxy), is_alive(proxy), interpreters.owner(proxy), weakref.ref(proxy)
        with proxy as second:
            self.assertIs(type(second), SharedObjectProxy)
        self.assertFalse(is_alive(second))

    def test_proxy_class_is_never_armed(self):
        proxy = SharedObjectProxy(Block())
        with proxy as entered:
            self.assertEqual(entered, ('enter',))
        self.assertTrue(is_alive(proxy))

    def test_share_of_a_proxy_in_a_scope_is_outside_it(self):
        thing = Point(1, 2)
        with share(thing) as proxy:
            kept = share(proxy)
            self.assertIsNot(kept, proxy)
        self.assertEqual(kept.x, 1)
        fresh = share(Point(1, 2))
        self.assertIs(share(fresh), fresh)

    def test_blocks_nest_and_end_apart(self):
        thing = Point(1, 2)
        with share(thing) as outer:
            with share(thing) as inner:
                self.assertEqual(inner.x, outer.x)
            self.assertFalse(is_alive(inner))
            self.assertEqual(outer.x, 1)


def share_for_ever():
    """In an interpreter that ends soon: what share_forever() makes, checked there."""
    thing = Point(1, [2])
    proxy = share_forever(thing)
    assert type(proxy) is SharedObjectProxy
    assert sys._is_immortal(proxy)
    assert not sys._is_immortal(proxy.y) or type(proxy.y) is not SharedObjectProxy
    for native in None, 5, 'text', (1, 2), int:
        assert share_forever(native) is native
    return proxy


class ForeverTest(SharingTestCase):

    def test_proxy_is_immortal_and_lives_until_its_owner_ends(self):
        interp = self.new_interpreter()
        proxy = interp.call(share_for_ever)
        interp.call(operations.collect)
        self.assertEqual(proxy.x, 1)
        self.assertFalse(sys._is_immortal(proxy.y))
        interp.close()
        self.assertFalse(is_alive(proxy))
        self.assertIn('dead', repr(proxy))


if __name__ == '__main__':
    unittest.main()
