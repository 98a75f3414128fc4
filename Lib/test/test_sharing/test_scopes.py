"""What is shared in a scope dies with it, wherever it went."""

import asyncio
import gc
import threading
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import DeadProxyError, ShareScope, SharedObjectProxy, share
from test.support import threading_helper

from . import residents
from .residents import Box, Log, Witness, safe_point, wait_until
from .support import SharingTestCase, cells_live, used_by_threads


CLOSED = 'scope was closed'


class ScopeTestCase(SharingTestCase):
    sub_count = 2

    def assertDead(self, *proxies):
        for proxy in proxies:
            self.assertFalse(interpreters.is_alive(proxy))
            with self.assertRaisesRegex(DeadProxyError, CLOSED):
                len(proxy)

    def assertDeadIn(self, sub, name):
        self.assertFalse(sub.call(residents.kept_is_alive, name))
        error, message = sub.call(residents.attempt_kept, name, len)
        self.assertEqual(error, 'DeadProxyError')
        self.assertIn(CLOSED, message)
        sub.call(residents.drop, name)


class WithShareTests(ScopeTestCase):

    def test_with_share_ends_the_proxy_it_gave_out(self):
        box = Box(1)
        with share(box) as proxy:
            self.assertIsInstance(proxy, SharedObjectProxy)
            self.sub.call(residents.keep, 'box', proxy)
            self.assertTrue(self.sub.call(residents.kept_is_alive, 'box'))
            self.assertEqual(proxy.value, 1)
        self.assertDead(proxy)
        self.assertDeadIn(self.sub, 'box')
        self.assertEqual(box.value, 1)

    def test_with_share_has_released_before_it_ends(self):
        log = Log()
        with share(Witness(log)) as proxy:
            self.sub.call(residents.keep, 'proxy', proxy)
            gc.collect()
            self.assertEqual(log.entries, [])
        # Not even a safe point.
        self.assertEqual(log.entries, [('gone', 0)])
        self.sub.call(residents.drop, 'proxy')
        del proxy

    def test_scope_of_another_owners_object_ends_alone(self):
        theirs = self.sub.call(residents.wrapped, Box, 2)
        with ShareScope() as scope:
            scoped = scope.share(theirs)
            self.assertEqual(scoped.value, 2)
        self.assertDead(scoped)
        self.assertEqual(theirs.value, 2)

    def test_error_that_leaves_the_block_closes_and_passes_on(self):
        for error in (KeyError('k'), KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
            with self.subTest(error):
                with self.assertRaises(type(error)) as caught:
                    with share(Box()) as proxy:
                        self.sub.call(residents.keep, 'box', proxy)
                        raise error
                self.assertIs(caught.exception, error)
                self.assertDead(proxy)
                self.assertDeadIn(self.sub, 'box')

    def test_error_raised_elsewhere_leaves_the_block(self):
        with self.assertRaises(ZeroDivisionError):
            with share(Box()) as proxy:
                box = self.sub.call(residents.wrapped, Box, proxy)
                box.call(lambda: 1 / 0)
        self.assertDead(proxy)

    def test_every_way_out_of_the_block_closes(self):
        proxies = []

        def leave():
            for _ in range(2):
                with share(Box()) as proxy:
                    proxies.append(proxy)
                    continue
            while True:
                with share(Box()) as proxy:
                    proxies.append(proxy)
                    break
            with share(Box()) as proxy:
                proxies.append(proxy)
                return
        leave()
        self.assertEqual(len(proxies), 4)
        self.assertDead(*proxies)

    def test_armed_proxy_is_disarmed_by_any_use(self):
        def used(proxy):
            proxy.value

        def sent(proxy):
            self.sub.prepare_main(proxy=proxy)
            self.sub.exec('del proxy')

        def queued(proxy):
            interpreters.create_queue().put(proxy)
        for disarm in (used, sent, queued, interpreters.share_token):
            with self.subTest(disarm.__name__):
                proxy = share(Box())
                disarm(proxy)
                with self.assertRaisesRegex((TypeError, AttributeError), 'context manager|enter'):
                    with proxy:
                        pass
                self.assertTrue(interpreters.is_alive(proxy))

    def test_second_with_is_the_objects_own(self):
        with share(self.lock()) as lock:
            with lock:
                self.assertTrue(lock.locked())
            self.assertFalse(lock.locked())
        with self.assertRaises(DeadProxyError):
            lock.locked()

    def lock(self):
        class Lock:
            """A lock that crosses as a proxy, not by itself."""

            def __init__(self):
                self.lock = threading.Lock()
                self.locked = self.lock.locked

            def __enter__(self):
                self.lock.acquire()
                return self

            def __exit__(self, *args):
                self.lock.release()
        return Lock()


class MembershipTests(ScopeTestCase):

    def test_what_comes_out_of_a_scoped_proxy_is_in_the_scope(self):
        with ShareScope() as scope:
            scoped = scope.share(self.sub.call(residents.wrapped, Box))
            child = scoped.make()
            grandchild = child.make().make()
            scoped.value = child
            item = next(iter(scoped))
            method = scoped.make
            self.assertIs(item, child)
            self.assertTrue(all(map(interpreters.is_alive, (child, grandchild, method))))
            scoped.value = None
        self.assertDead(scoped, child, grandchild)
        self.assertFalse(interpreters.is_alive(method))

    def test_arguments_of_a_scoped_proxy_are_in_the_scope(self):
        mine = Box()
        with ShareScope() as scope:
            scoped = scope.share(self.sub.call(residents.keep_made, 'box', Box))
            scoped.value = mine
            self.assertTrue(self.sub.call(value_is_alive, 'box'))
        self.assertFalse(self.sub.call(value_is_alive, 'box'))
        self.sub.call(residents.drop, 'box')

    def test_membership_reaches_other_interpreters(self):
        with ShareScope() as scope:
            scoped = scope.share(Box())
            first, second = self.subs
            first.call(residents.keep, 'scoped', scoped)
            child = first.call(residents.keep_result, 'child', 'scoped', 'make')
            self.assertIsInstance(child, Box, 'it came home')
            first.call(residents.keep, 'box', second.call(residents.keep_made, 'box', Box))
            first.call(residents.pass_on, 'scoped', 'box')
            second.call(residents.keep_value, 'copy', 'box')
            second.call(residents.drop, 'box')
            first.call(residents.drop, 'box')
            second.call(residents.keep_result, 'grandchild', 'copy', 'make')
        for sub, name in ((first, 'scoped'), (first, 'child'), (second, 'grandchild'),
                          (second, 'copy')):
            self.assertDeadIn(sub, name)

    def test_objects_of_all_interpreters_are_released_when_the_block_ends(self):
        log = Log()
        report = SharedObjectProxy(log)
        with ShareScope() as scope:
            proxies = [scope.share(Witness(log, 'mine'))]
            for sub in self.subs:
                proxies.append(scope.share(sub.call(residents.wrapped, Witness, report, sub.id)))
            for sub in self.subs:
                # Its own would come home and be kept there.
                others = tuple(p for p in proxies if interpreters.owner(p) != sub)
                sub.call(residents.keep, 'proxies', others)
            del proxies, others
            gc.collect()
            self.assertEqual(log.entries, [])
        self.assertEqual(sorted(log.entries, key=str),
                         sorted([('mine', 0), *((sub.id, sub.id) for sub in self.subs)], key=str))
        for sub in self.subs:
            sub.call(residents.drop, 'proxies')

    def test_same_object_outside_the_scope_stays_alive(self):
        box = Box(4)
        outside = SharedObjectProxy(box)
        with ShareScope() as scope:
            inside = scope.share(box)
            self.assertIsNot(inside, outside)
            self.assertIs(scope.share(box), inside)
        self.assertDead(inside)
        self.assertEqual(outside.value, 4)

    def test_scopes_are_apart(self):
        box = Box()
        with ShareScope() as first:
            a = first.share(box)
            with ShareScope() as second:
                b = second.share(box)
                self.assertIsNot(a, b)
            self.assertDead(b)
            self.assertEqual(len(a), 1)
        self.assertDead(a)

    def test_share_of_a_scoped_proxy_leaves_the_scope(self):
        for make in (Box, None):
            with self.subTest(make):
                target = Box(5) if make else self.sub.call(residents.wrapped, Box, 5)
                with ShareScope() as scope:
                    inside = scope.share(target)
                    outside = share(inside)
                    self.assertIsNot(outside, inside)
                self.assertDead(inside)
                self.assertEqual(outside.value, 5)

    def test_share_of_a_scoped_proxy_is_armed(self):
        with ShareScope() as scope:
            inside = scope.share(self.sub.call(residents.wrapped, Box))
            with share(inside) as again:
                self.assertEqual(len(again), 1)
            self.assertDead(again)
            self.assertEqual(len(inside), 1)

    def test_share_of_an_unscoped_proxy_is_the_same(self):
        proxy = SharedObjectProxy(Box())
        self.assertIs(share(proxy), proxy)

    def test_result_of_a_call_that_outlives_its_scope_is_dead(self):
        scope = ShareScope()
        scoped = scope.share(self.sub.call(residents.wrapped, Box))
        with self.assertRaises(DeadProxyError):
            # The call itself finishes; what it returns cannot cross any more.
            scoped.close_and_make(scope.close)
        self.assertDead(scoped)

    def test_long_scope_does_not_grow(self):
        with ShareScope() as scope:
            scoped = scope.share(self.sub.call(residents.wrapped, Box))
            before = cells_live()
            for _ in range(10):
                for _ in range(200):
                    scoped.make(Box()).make().value
                safe_point()
                self.assertTrue(wait_until(lambda: cells_live() <= before + 2))

    def test_dropped_member_is_released_before_the_scope_ends(self):
        log = Log()
        with ShareScope() as scope:
            scoped = scope.share(self.sub.call(residents.wrapped, Witness,
                                               SharedObjectProxy(log)))
            del scoped
            safe_point()
            self.assertEqual(log.wait(), [('gone', self.sub.id)])


def value_is_alive(name):
    return interpreters.is_alive(residents.kept[name].value)


class ShareScopeTests(ScopeTestCase):

    def test_natives_are_returned_as_they_are(self):
        with ShareScope() as scope:
            for native in (None, True, 3, 1 << 100, 'text', b'bytes', (1, (2, None)), ...):
                self.assertIs(scope.share(native), native)

    def test_close_is_idempotent(self):
        scope = ShareScope()
        proxy = scope.share(Box())
        self.assertFalse(scope.closed)
        for _ in range(3):
            scope.close()
            self.assertTrue(scope.closed)
        self.assertDead(proxy)

    def test_use_after_close_raises(self):
        scope = ShareScope()
        scope.close()
        for use in (scope.share, lambda obj: scope.__enter__()):
            for value in (Box(), None):
                with self.assertRaisesRegex(ValueError, 'closed'):
                    use(value)

    def test_close_inside_the_block(self):
        with ShareScope() as scope:
            proxy = scope.share(Box())
            scope.close()
            self.assertDead(proxy)
            with self.assertRaises(ValueError):
                scope.share(Box())

    def test_nested_scopes_end_with_the_outer_one(self):
        outer = ShareScope()
        with outer:
            a = outer.share(Box())
            with ShareScope() as inner:
                b = inner.share(Box())
                with ShareScope() as innermost:
                    c = innermost.share(Box())
                    outer.close()
                    self.assertDead(a, b, c)
                    self.assertTrue(inner.closed and innermost.closed)

    def test_inner_scope_ends_alone(self):
        with ShareScope() as outer:
            a = outer.share(Box())
            with ShareScope() as inner:
                b = inner.share(Box())
            self.assertDead(b)
            self.assertEqual(len(a), 1)

    def test_dropped_scope_does_not_close(self):
        # Its proxies keep it: only close() and the end of a block kill.
        proxy = ShareScope().share(Box())
        gc.collect()
        self.assertTrue(interpreters.is_alive(proxy))

    def test_destructor_that_uses_the_closing_scope(self):
        scope = ShareScope()
        errors = []

        class Late:
            def __del__(self):
                errors.append(residents.attempt(scope.share, Box()))
                scope.close()
        proxies = [scope.share(Late()) for _ in range(2)]
        scope.close()
        self.assertDead(*proxies)
        self.assertEqual([error[0] for error in errors], ['ValueError'] * 2)

    def test_share_protocol_in_a_scope(self):
        class Sharing:
            def __share__(self):
                return SharedObjectProxy(inner)
        inner = Box(6)
        with ShareScope() as scope:
            proxy = scope.share(Sharing())
            self.assertEqual(proxy.value, 6)
        self.assertDead(proxy)


class ConcurrencyTests(ScopeTestCase):

    def test_close_while_another_thread_calls_lets_the_call_finish(self):
        scope = ShareScope()
        proxy = scope.share(self.sub.call(residents.wrapped, Box, 7))
        inside, go_on = threading.Event(), threading.Event()
        results = []

        def stay():
            inside.set()
            go_on.wait(30)
            return 8
        thread = threading.Thread(target=lambda: results.append(proxy.call(stay)))
        with threading_helper.start_threads([thread]):
            inside.wait()
            scope.close()
            self.assertDead(proxy)
            go_on.set()
        self.assertEqual(results, [8])

    def test_close_from_another_interpreter(self):
        scope = ShareScope()
        proxy = scope.share(Box())
        self.sub.call(residents.wrapped, Box).call(scope.close)
        self.assertDead(proxy)

    def test_close_from_another_thread_while_sharing(self):
        for _ in range(20):
            scope = ShareScope()
            scoped = scope.share(self.sub.call(residents.wrapped, Box))
            with used_by_threads(lambda: scoped.make(Box()).make(), DeadProxyError) as errors:
                scope.close()
            self.assertEqual(errors, [])
            self.assertDead(scoped)

    def test_generator_suspended_inside_a_block_keeps_it_open(self):
        def generate():
            with share(Box()) as proxy:
                yield proxy
                yield proxy
        generator = generate()
        proxy = next(generator)
        with ShareScope():
            self.assertIs(next(generator), proxy)
        self.assertEqual(len(proxy), 1)
        generator.close()
        self.assertDead(proxy)

    def test_generators_with_scopes_interleave(self):
        def generate():
            with ShareScope() as scope:
                yield scope.share(Box())
                yield
        first, second = generate(), generate()
        a, b = next(first), next(second)
        first.close()
        self.assertDead(a)
        second.close()
        self.assertDead(b)

    def test_coroutine_suspended_inside_a_block_keeps_it_open(self):
        class Pause:
            def __await__(self):
                yield

        async def hold(proxies):
            with share(Box()) as proxy:
                proxies.append(proxy)
                await Pause()
                proxies.append(proxy.make())
                await Pause()
        for end in ('close', 'throw', 'drop'):
            with self.subTest(end):
                proxies = []
                coroutine = hold(proxies)
                coroutine.send(None)
                with ShareScope():
                    coroutine.send(None)
                self.assertEqual(len(proxies[0]), 1)
                if end == 'close':
                    coroutine.close()
                elif end == 'throw':
                    with self.assertRaises(KeyError):
                        coroutine.throw(KeyError)
                del coroutine
                self.assertDead(proxies[0])
                self.assertEqual(len(proxies), 2)

    def test_async_generator_suspended_inside_a_block_keeps_it_open(self):
        async def generate():
            with share(Box()) as proxy:
                yield proxy
                await asyncio.sleep(0)
                yield proxy

        async def main():
            generator = generate()
            proxy = await anext(generator)
            with ShareScope():
                self.assertIs(await anext(generator), proxy)
            self.assertEqual(len(proxy), 1)
            await generator.aclose()
            return proxy
        self.assertDead(asyncio.run(main()))

    def test_tasks_with_scopes_interleave(self):
        async def use(number):
            with ShareScope() as scope:
                box = scope.share(Box(number))
                for _ in range(5):
                    await asyncio.sleep(0)
                    self.assertEqual(box.value, number)
            return box

        async def main():
            return await asyncio.gather(*map(use, range(10)))
        self.assertDead(*asyncio.run(main()))

    def test_close_from_another_interpreter_while_calls_run(self):
        scope = ShareScope()
        there = self.subs[1].call(residents.wrapped, Box)
        proxies = [scope.share(sub.call(residents.wrapped, Box)) for sub in self.subs]
        inside, go_on = threading.Semaphore(0), threading.Event()
        results = []

        def stay():
            inside.release()
            return go_on.wait(30)
        threads = [threading.Thread(target=lambda p=proxy: results.append(p.call(stay)))
                   for proxy in proxies]
        with threading_helper.start_threads(threads):
            for _ in threads:
                inside.acquire()
            there.call(scope.close)
            self.assertDead(*proxies)
            go_on.set()
        self.assertEqual(results, [True, True])

    def test_dropped_generator_closes_its_scope(self):
        def generate():
            with share(Box()) as proxy:
                yield proxy
        proxy = next(generate())
        gc.collect()
        self.assertDead(proxy)


class OwnersEndTests(ScopeTestCase):

    def test_scope_outlives_an_owner(self):
        with ShareScope() as scope:
            interp = self.new_interpreter()
            proxy = scope.share(interp.call(residents.keep_made, 'box', Box))
            mine = scope.share(Box())
            interp.close()
            self.assertFalse(interpreters.is_alive(proxy))
            self.assertEqual(len(mine), 1)
        with self.assertRaises(DeadProxyError):
            len(proxy)

    def test_scope_held_by_an_interpreter_that_ends(self):
        interp = self.new_interpreter()
        interp.prepare_main(box=SharedObjectProxy(Box()))
        interp.exec('from concurrent.interpreters import *\n'
                    'scope = ShareScope(); scope.__enter__()\n'
                    'scoped = scope.share(box); mine = scope.share([])\n'
                    'box.value = scoped, mine')
        interp.close()

    def test_close_after_the_owner_of_a_member_has_ended(self):
        scope = ShareScope()
        interp = self.new_interpreter()
        watch = weakref.ref(box := Box())
        theirs = scope.share(interp.call(residents.keep_made, 'box', Box))
        theirs.value = box
        del box
        interp.close()
        self.assertTrue(wait_until(lambda: gc.collect() is not None and watch() is None))
        scope.close()


if __name__ == '__main__':
    unittest.main()
