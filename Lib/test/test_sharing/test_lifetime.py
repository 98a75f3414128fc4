"""An object lives while a proxy of it does, and no longer; owners end cleanly."""

import gc
import operator
import os
import sys
import threading
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import DeadProxyError, InterpreterError, SharedObjectProxy
from test import support
from test.support import import_helper, script_helper, threading_helper

from . import exits, residents
from .residents import Box, LocalWitness, Log, Witness, safe_point, wait_until
from .support import MAIN, SharingTestCase, cells_live, closes, used_by_threads


class ReleaseTests(SharingTestCase):
    sub_count = 2

    def test_drop_last_proxy_of_idle_owner_destroys_by_next_safe_point(self):
        main, first, second = MAIN, *self.subs
        for owner, caller in ((first, main), (main, first), (first, second)):
            with self.subTest(owner=owner, caller=caller):
                owner_id = owner.call(residents.current_id)
                make = owner.call(residents.wrapped, residents.witness_class)
                before, after = caller.call(residents.drop_and_look, make)
                self.assertEqual((before, after), ((), (('dropped', owner_id),)))

    def test_deallocation_destroys_nothing(self):
        # C code drops and looks, without a safe point in between.
        log = Log()
        proxies = [self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))]
        dropped, entries = map(operator.call, (proxies.clear, log.entries.copy))
        self.assertEqual(entries, [])
        safe_point()
        self.assertEqual(log.entries, [('gone', self.sub.id)])

    def test_drop_does_not_wait_for_an_owner_that_keeps_its_lock(self):
        import_helper.import_module('ctypes')
        log = Log()
        proxies = [self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))]
        source, sink = os.pipe()
        self.addCleanup(os.close, source)
        self.addCleanup(os.close, sink)
        about_to = threading.Event()
        thread = threading.Thread(target=self.sub.call, args=(
            residents.read_without_detaching, source, SharedObjectProxy(about_to.set)))
        with threading_helper.start_threads([thread]):
            self.assertTrue(about_to.wait(30))
            proxies.clear()
            safe_point()
            os.write(sink, b'x')    # If that had waited, nobody would come here.
        self.assertEqual(log.wait(), [('gone', self.sub.id)])

    def test_drop_as_the_last_thing_in_an_interpreter_destroys(self):
        log = Log()
        for other in (MAIN, self.subs[1]):
            with self.subTest(other):
                log.entries.clear()
                proxy = other.call(residents.wrapped, Witness, SharedObjectProxy(log))
                self.sub.call(residents.keep, 'proxy', proxy)
                del proxy
                self.sub.exec('import test.test_sharing.residents as residents\n'
                              'residents.kept.clear()')
                safe_point()
                self.assertEqual(len(log.entries), 1)

    def test_close_by_several_threads_at_once_closes_once(self):
        interp = self.new_interpreter()
        interp.exec('import atexit, time; atexit.register(time.sleep, 0.1)')
        answers = []

        def close():
            answers.append(residents.attempt(interp.close))
        with threading_helper.start_threads([threading.Thread(target=close) for _ in range(4)]):
            pass
        self.assertEqual(answers.count(None), 1, answers)
        for error, message in filter(None, answers):
            self.assertIn(error, ('InterpreterError', 'InterpreterNotFoundError'), message)

    def test_end_of_the_last_holder_destroys_in_an_idle_owner(self):
        log = Log()
        holder = self.new_interpreter()
        proxy = self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))
        holder.call(residents.keep, 'witness', proxy)
        del proxy
        holder.close()
        safe_point()
        self.assertEqual(log.entries, [('gone', self.sub.id)])

    def test_drop_in_one_interpreter_keeps_object_for_others(self):
        log = Log()
        witness = Witness(log)
        proxy = SharedObjectProxy(witness)
        for sub in self.subs:
            sub.call(residents.keep, 'witness', proxy)
        del witness, proxy
        for sub in self.subs:
            gc.collect()
            self.assertEqual(log.entries, [])
            sub.call(residents.drop, 'witness')
        self.assertEqual(log.wait(), [('gone', 0)])

    def test_drop_in_caller_keeps_object_its_owner_uses(self):
        box = self.sub.call(residents.keep_made, 'box', Box, 5)
        del box
        self.assertEqual(self.sub.call(residents.kept_proxy, 'box').value, 5)
        self.sub.call(residents.drop, 'box')

    def test_drop_while_owner_runs_python_destroys_there(self):
        self.sub.call(residents.drop_all)
        proxy = self.sub.call(residents.wrapped, LocalWitness)
        kept = self.sub.call(residents.wrapped, residents.everything_kept)
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(self.sub.call(residents.spin_until_dead)))
        with threading_helper.start_threads([thread]):
            self.assertTrue(wait_until(lambda: 'spinning' in kept))
            del proxy
        self.assertEqual(answers, [True])
        self.assertEqual(kept['death'], self.sub.id)
        self.sub.call(residents.drop_all)

    def test_drop_on_another_thread_destroys(self):
        log = Log()
        proxies = [self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))]

        def drop():
            proxies.clear()
            safe_point()
        with threading_helper.start_threads([threading.Thread(target=drop)]):
            pass
        self.assertEqual(log.wait(), [('gone', self.sub.id)])

    def test_drop_by_another_thread_does_not_wait_for_the_maker(self):
        log, proxies = Log(), []
        owner, other = self.subs
        other.call(residents.drop_all)
        kept = other.call(residents.wrapped, residents.everything_kept)

        def make():
            proxies.append(owner.call(residents.wrapped, Witness, SharedObjectProxy(log)))
            other.call(residents.spin_until_dead)
        with threading_helper.start_threads([threading.Thread(target=make)]):
            self.assertTrue(wait_until(lambda: 'spinning' in kept))
            proxies.clear()
            safe_point()
            entries = list(log.entries)
            kept['death'] = True
        self.assertEqual(entries, [('gone', owner.id)])
        other.call(residents.drop_all)

    def test_destructor_that_raises_is_reported_and_ignored(self):
        reports = []

        def report(unraisable):
            reports.append((unraisable.exc_type, str(unraisable.exc_value)))

        def fail(*entry):
            raise LookupError(f'{entry}')
        with support.swap_attr(sys, 'unraisablehook', report):
            proxies = [SharedObjectProxy(Witness(fail))]
            self.sub.call(residents.keep, 'witness', proxies[0])
            proxies.clear()
            self.sub.call(residents.drop, 'witness')
            self.assertTrue(wait_until(lambda: reports))
        self.assertEqual(reports, [(LookupError, "('gone', 0)")])

    def test_destructor_keeps_exception_that_is_being_handled(self):
        log = Log()
        try:
            raise KeyError('first')
        except KeyError:
            proxy = self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))
            del proxy
            safe_point()
            self.assertEqual(log.wait(), [('gone', self.sub.id)])
            with self.assertRaisesRegex(KeyError, 'first'):
                raise

    def test_destructor_that_shares_again_revives_the_object(self):
        saved = []

        class Phoenix:
            def __del__(self):
                saved.append(SharedObjectProxy(self))
        self.sub.call(residents.keep, 'phoenix', SharedObjectProxy(Phoenix()))
        self.sub.call(residents.drop, 'phoenix')
        self.assertTrue(wait_until(lambda: saved))
        self.assertIsInstance(saved[0], Phoenix)
        self.sub.call(residents.keep, 'phoenix', saved[0])
        self.assertTrue(self.sub.call(residents.kept_is_alive, 'phoenix'))
        self.sub.call(residents.drop, 'phoenix')
        saved.clear()

    def test_long_chain_across_interpreters_is_released_as_a_whole(self):
        before = cells_live()
        first, second = (sub.call(residents.wrapped, Box) for sub in self.subs)
        chain = None
        for _ in range(2_000):
            chain = first.make(second.make(chain))
        self.assertGreaterEqual(cells_live(), before + 4_000)
        del chain, first, second
        self.assertTrue(wait_until(lambda: cells_live() <= before))

    def test_many_shares_and_drops_leave_no_cells_and_little_memory(self):
        make = self.sub.call(residents.wrapped, Box).make
        before = cells_live()
        for _ in range(3):
            for _ in range(5_000):
                make(Box())
            safe_point()
            stats = interpreters.share_stats()
            self.assertLess(stats['cells_live'], before + 1_000)
        self.assertEqual(interpreters.share_stats()['bytes'], stats['bytes'])
        self.assertTrue(wait_until(lambda: cells_live() <= before))

    def test_recycled_cells_are_counted(self):
        before = interpreters.share_stats()['cells_recycled']
        for _ in range(100):
            SharedObjectProxy(Box())
            safe_point()
        self.assertGreaterEqual(interpreters.share_stats()['cells_recycled'], before + 99)


class WeakrefTests(SharingTestCase):

    def test_weakref_dies_with_the_proxy_and_calls_back(self):
        for place in (MAIN, self.sub):
            with self.subTest(place):
                calls = []
                proxy = place.call(residents.wrapped, Box)
                if place is MAIN:
                    proxy = SharedObjectProxy(Box())
                ref = weakref.ref(proxy, calls.append)
                self.assertIs(ref(), proxy)
                self.assertIs(weakref.ref(proxy)(), proxy)
                del proxy
                self.assertEqual(calls, [ref])
                self.assertIsNone(ref())

    def test_weakref_stays_while_the_proxy_does_though_dead(self):
        proxy = SharedObjectProxy(Box())
        ref = weakref.ref(proxy)
        interpreters.revoke(proxy)
        self.assertIs(ref(), proxy)
        del proxy
        self.assertIsNone(ref())

    def test_callback_that_asks_for_the_object_gets_a_new_proxy(self):
        box = Box()
        found = []
        proxy = SharedObjectProxy(box)
        ref = weakref.ref(proxy, lambda ref: found.append(SharedObjectProxy(box)))
        del proxy
        self.assertIsNone(ref())
        self.assertTrue(interpreters.is_alive(found[0]))

    def test_weak_containers_hold_proxies(self):
        proxies = [SharedObjectProxy(Box()), self.sub.call(residents.wrapped, Box)]
        values = weakref.WeakValueDictionary(enumerate(proxies))
        keys = weakref.WeakSet(proxies)
        self.assertEqual((len(values), len(keys)), (2, 2))
        proxies.clear()
        gc.collect()
        self.assertEqual((len(values), len(keys)), (0, 0))


class ReleaseNowTests(SharingTestCase):
    sub_count = 2

    def test_release_kills_this_interpreters_proxy_only(self):
        box = Box(3)
        proxy = SharedObjectProxy(box)
        for sub in self.subs:
            sub.call(residents.keep, 'box', proxy)
        interpreters.release(proxy)
        self.assertFalse(interpreters.is_alive(proxy))
        self.assertTrue(self.sub.call(residents.kept_is_alive, 'box'))
        self.sub.call(residents.attempt_kept, 'box', interpreters.release)
        self.assertFalse(self.sub.call(residents.kept_is_alive, 'box'))
        self.assertTrue(self.subs[1].call(residents.kept_is_alive, 'box'))
        for sub in self.subs:
            sub.call(residents.drop, 'box')

    def test_released_proxy_says_so_and_names_the_owner(self):
        proxy = self.sub.call(residents.wrapped, Box)
        interpreters.release(proxy)
        says = rf'an object of interpreter {self.sub.id}: it was released in this interpreter'
        with self.assertRaisesRegex(interpreters.DeadProxyError, says):
            proxy.value
        self.assertRegex(repr(proxy), says)

    def test_release_last_proxy_destroys(self):
        log = Log()
        proxy = self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))
        interpreters.release(proxy)
        safe_point()
        self.assertEqual(log.entries, [('gone', self.sub.id)])

    def test_release_twice_is_once(self):
        log = Log()
        proxy = self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))
        for _ in range(3):
            interpreters.release(proxy)
        self.assertEqual(log.wait(), [('gone', self.sub.id)])

    def test_released_proxy_raises_and_says_so(self):
        for place in (MAIN, self.sub):
            with self.subTest(place):
                proxy = SharedObjectProxy(place.call(residents.wrapped, Box))
                interpreters.release(proxy)
                for use in (len, iter, str, lambda p: p.value, lambda p: p.make()):
                    with self.assertRaisesRegex(DeadProxyError, 'released'):
                        use(proxy)
                self.assertIn('released', repr(proxy))

    def test_released_object_that_arrives_again_is_alive(self):
        make = self.sub.call(residents.wrapped, Box)
        make.value = 1, make.make()
        proxy = make.value[1]
        interpreters.release(proxy)
        again = make.value[1]
        self.assertIsNot(again, proxy)
        self.assertTrue(interpreters.is_alive(again))
        self.assertFalse(interpreters.is_alive(proxy))
        make.value = None

    def test_release_during_a_call_lets_it_finish(self):
        log = Log()
        proxy = self.sub.call(residents.wrapped, Box, 'result')

        def finish():
            interpreters.release(proxy)
            return proxy_is_alive()

        def proxy_is_alive():
            return interpreters.is_alive(proxy)
        self.assertIs(proxy.call(finish), False)
        with self.assertRaises(DeadProxyError):
            proxy.value
        self.assertEqual(log.entries, [])

    def test_release_needs_a_proxy(self):
        for function in (interpreters.release, interpreters.revoke, interpreters.is_alive,
                         interpreters.owner, interpreters.share_token):
            with self.subTest(function.__name__), self.assertRaises(TypeError):
                function(object())


class RevokeTests(SharingTestCase):
    sub_count = 2

    def test_revoke_kills_all_proxies_everywhere(self):
        box = Box()
        proxy = SharedObjectProxy(box)
        with interpreters.ShareScope() as scope:
            scoped = scope.share(box)
            for sub in self.subs:
                sub.call(residents.keep, 'box', proxy)
                sub.call(residents.keep, 'scoped', scoped)
            interpreters.revoke(proxy)
            for sub in self.subs:
                for name in ('box', 'scoped'):
                    self.assertFalse(sub.call(residents.kept_is_alive, name))
                    error, message = sub.call(residents.attempt_kept, name, len)
                    self.assertEqual(error, 'DeadProxyError')
                    self.assertIn('revoked', message)
            for dead in (proxy, scoped):
                self.assertFalse(interpreters.is_alive(dead))
        self.assertEqual(len(box), 1)
        for sub in self.subs:
            sub.call(residents.drop_all)

    def test_revoke_releases_the_object_at_once(self):
        log = Log()
        self.sub.call(residents.keep, 'proxy', SharedObjectProxy(Witness(log)))
        token = self.sub.call(residents.attempt_kept, 'proxy', len)
        self.assertEqual(token[0], 'TypeError')
        witness = [SharedObjectProxy(Witness(log, 'mine'))]
        interpreters.revoke(witness[0])
        self.assertEqual(log.entries, [('mine', 0)])
        self.sub.call(residents.drop, 'proxy')
        self.assertEqual(log.wait(2), [('mine', 0), ('gone', 0)])

    def test_revoked_object_can_be_shared_again(self):
        box = Box()
        first = SharedObjectProxy(box)
        interpreters.revoke(first)
        second = SharedObjectProxy(box)
        self.assertTrue(interpreters.is_alive(second))
        self.assertFalse(interpreters.is_alive(first))

    def test_revoke_is_idempotent(self):
        proxy = SharedObjectProxy(Box())
        interpreters.revoke(proxy)
        interpreters.revoke(proxy)
        self.assertFalse(interpreters.is_alive(proxy))

    def test_revoke_by_others_is_refused(self):
        proxy = self.sub.call(residents.wrapped, Box)
        with self.assertRaisesRegex(InterpreterError, str(self.sub.id)):
            interpreters.revoke(proxy)
        self.assertTrue(interpreters.is_alive(proxy))

    def test_revoke_during_a_call_lets_it_finish(self):
        box = Box(7)
        proxy = SharedObjectProxy(box)
        caller = self.sub.call(residents.wrapped, Box)

        def revoke():
            interpreters.revoke(proxy)
            return box.value
        # Through sub, so that the call is one of a proxy of this interpreter's box.
        self.assertEqual(caller.call(SharedObjectProxy(box.call), revoke), 7)
        self.assertFalse(interpreters.is_alive(proxy))


class AnswersTests(SharingTestCase):
    sub_count = 2

    def test_owner_is_the_owning_interpreter(self):
        theirs = self.sub.call(residents.wrapped, Box)
        self.assertEqual(interpreters.owner(theirs), self.sub)
        self.assertEqual(interpreters.owner(SharedObjectProxy(self)).id, 0)
        self.subs[1].call(residents.keep, 'box', theirs)
        answer = self.subs[1].call(residents.attempt_kept, 'box', len)
        self.assertIsNone(answer)
        self.subs[1].call(residents.drop, 'box')

    def test_owner_and_is_alive_answer_while_the_owner_is_busy(self):
        self.sub.call(residents.drop_all)
        kept = self.sub.call(residents.wrapped, residents.everything_kept)
        proxy = self.sub.call(residents.wrapped, Box)
        thread = threading.Thread(target=self.sub.call, args=(residents.spin_until_dead,))
        with threading_helper.start_threads([thread]):
            wait_until(lambda: 'spinning' in kept)
            self.assertTrue(interpreters.is_alive(proxy))
            self.assertEqual(interpreters.owner(proxy).id, self.sub.id)
            kept['death'] = True
        self.sub.call(residents.drop_all)


class TokenTests(SharingTestCase):
    sub_count = 2

    def test_token_finds_the_object_again_in_any_interpreter(self):
        box = Box('here')
        token = interpreters.share_token(proxy := SharedObjectProxy(box))
        self.assertIs(type(token), bytes)
        self.assertIs(SharedObjectProxy.from_token(token), proxy)
        for sub in self.subs:
            self.assertIs(sub.call(SharedObjectProxy.from_token, token), box)

    def test_token_holds_no_reference(self):
        log = Log()
        proxy = self.sub.call(residents.wrapped, Witness, SharedObjectProxy(log))
        token = interpreters.share_token(proxy)
        del proxy
        safe_point()
        self.assertEqual(log.entries, [('gone', self.sub.id)])
        with self.assertRaisesRegex(DeadProxyError, 'stale'):
            SharedObjectProxy.from_token(token)

    def test_stale_token_never_resolves_to_another_object(self):
        stale = [interpreters.share_token(SharedObjectProxy(Box())) for _ in range(100)]
        safe_point()
        fresh = [SharedObjectProxy(Box()) for _ in range(1_000)]
        for token in stale:
            with self.assertRaises(DeadProxyError):
                SharedObjectProxy.from_token(token)
        fresh.clear()

    def test_token_of_a_closed_interpreter_is_stale(self):
        interp = self.new_interpreter()
        token = interpreters.share_token(interp.call(residents.keep_made, 'box', Box))
        interp.close()
        with self.assertRaises(DeadProxyError):
            SharedObjectProxy.from_token(token)

    def test_token_of_a_dead_proxy_is_refused(self):
        proxy = SharedObjectProxy(Box())
        interpreters.release(proxy)
        with self.assertRaises(DeadProxyError):
            interpreters.share_token(proxy)

    def test_wrong_token_is_an_error(self):
        token = interpreters.share_token(SharedObjectProxy(Box()))
        for wrong, error in (
            ('token', TypeError), (None, TypeError), (bytearray(token), TypeError),
            (b'', ValueError), (token[:-1], ValueError), (token + b'\0', ValueError),
            (bytes(len(token)), ValueError),
        ):
            with self.subTest(wrong), self.assertRaises(error):
                SharedObjectProxy.from_token(wrong)

    def test_token_with_any_bit_flipped_is_an_error(self):
        proxies = [SharedObjectProxy(Box()) for _ in range(600)]
        token = interpreters.share_token(proxies[300])
        number = int.from_bytes(token)
        for bit in range(8 * len(token)):
            wrong = (number ^ 1 << bit).to_bytes(len(token))
            with self.subTest(bit), self.assertRaises((DeadProxyError, ValueError)):
                SharedObjectProxy.from_token(wrong)


class ForeverTests(SharingTestCase):
    """In interpreters of their own: what they share stays until those end."""

    sub_count = 0

    def test_share_forever_lives_until_its_owner_ends(self):
        log = Log()
        interp = self.new_interpreter()
        interp.exec('from concurrent.interpreters import *\n'
                    'from test.test_sharing.residents import *\n'
                    'import gc, sys')
        interp.prepare_main(log=SharedObjectProxy(log))
        interp.exec('forever = share_forever(Witness(log))\n'
                    'assert sys._is_immortal(forever)\n'
                    'keep("token", share_token(forever))\n'
                    'keep("witness", forever)\n'
                    'del forever; drop("witness"); gc.collect()')
        self.assertEqual(log.entries, [])
        token = interp.call(residents.attempt, residents.drop, 'token')
        self.assertIsNone(token)
        interp.close()
        self.assertEqual(log.entries, [('gone', interp.id)])

    def test_share_forever_elsewhere_is_an_ordinary_proxy(self):
        interp = self.new_interpreter()
        interp.exec('from concurrent.interpreters import *\n'
                    'from test.test_sharing.residents import *\n'
                    'keep("box", share_forever(Box(Box())))')
        proxy = interp.call(residents.kept_proxy, 'box')
        self.assertFalse(sys._is_immortal(proxy))
        self.assertFalse(sys._is_immortal(proxy.value))
        self.assertEqual(len(proxy), 1)
        interp.close()
        with self.assertRaises(DeadProxyError):
            len(proxy)

    def test_share_forever_of_anothers_object_holds_it_until_the_holder_ends(self):
        log = Log()
        owner, holder = self.new_interpreter(), self.new_interpreter()
        holder.prepare_main(proxy=owner.call(residents.wrapped, Witness, SharedObjectProxy(log)))
        holder.exec('from concurrent.interpreters import share_forever\n'
                    'import gc\n'
                    'assert share_forever(proxy) is proxy\n'
                    'del proxy; gc.collect()')
        safe_point()
        self.assertEqual(log.entries, [])
        holder.close()
        safe_point()
        self.assertEqual(log.entries, [('gone', owner.id)])

    def test_share_forever_of_native_returns_it(self):
        for native in (None, 1, 'text', (1, 2)):
            self.assertIs(interpreters.share_forever(native), native)

    def test_share_forever_twice_is_one_object(self):
        interp = self.new_interpreter()
        interp.exec('from concurrent.interpreters import *\n'
                    'box = []\n'
                    'first, second = share_forever(box), share_forever(box)\n'
                    'first.append(1)\n'
                    'assert box == second == [1]\n')


class ClosingTests(SharingTestCase):
    sub_count = 1

    USES = {
        'attribute': lambda proxy: proxy.value,
        'set': lambda proxy: setattr(proxy, 'value', 1),
        'method': lambda proxy: proxy.make(),
        'len': len,
        'iter': iter,
        'str': str,
        'hash': hash,
        'item': lambda proxy: proxy[0],
        'equal': lambda proxy: proxy == 1,
        'truth': bool,
    }

    def test_close_kills_proxies_of_its_objects_everywhere(self):
        interp = self.new_interpreter()
        proxy = interp.call(residents.keep_made, 'box', Box)
        derived = proxy.make()
        self.sub.call(residents.keep, 'box', proxy)
        interp.close()
        for name, use in self.USES.items():
            for dead in (proxy, derived):
                with self.subTest(name), self.assertRaisesRegex(
                        DeadProxyError, rf"'Box' object of interpreter {interp.id}\b.*: .*closed"):
                    use(dead)
        self.assertFalse(interpreters.is_alive(proxy))
        self.assertIn('Box', repr(proxy))
        self.assertFalse(self.sub.call(residents.kept_is_alive, 'box'))
        error, message = self.sub.call(residents.attempt_kept, 'box', len)
        self.assertEqual(error, 'DeadProxyError')
        self.assertIn(f"'Box' object of interpreter {interp.id}", message)
        self.sub.call(residents.drop, 'box')

    def test_close_runs_destructors_while_the_owner_is_usable(self):
        log = Log()
        interp = self.new_interpreter()
        interp.prepare_main(log=SharedObjectProxy(log))
        interp.exec('''if True:
            import sys
            from concurrent.interpreters import SharedObjectProxy
            class Last:
                def __del__(self):
                    import colorsys
                    log(colorsys.__name__, len(sys.modules) > 20, f"{self.name}", helper())
            def helper():
                return "helped"
            def make():
                last = Last()
                last.name = "last"
                return last''')
        proxy = interp.call(make_in_main)
        interp.close()
        self.assertEqual(log.entries, [('colorsys', True, 'last', 'helped')])
        self.assertFalse(interpreters.is_alive(proxy))

    def test_close_while_destructors_share_anew_ends(self):
        # As many each time, or ever more.
        for children in (1, 2, 10):
            with self.subTest(children):
                log = Log()
                interp = self.new_interpreter()
                interp.prepare_main(children=children, log=SharedObjectProxy(log))
                interp.exec(SHARES_ANEW)
                proxy = interp.call(make_in_main)
                interp.close()
                self.assertFalse(interpreters.is_alive(proxy))
                self.assertEqual(len(log.entries), 1)
                self.assertIn('is ending', *log.entries[0])

    def test_close_releases_what_it_held_of_others(self):
        for where, holder in HOLDERS.items():
            with self.subTest(where):
                log = Log()
                interp = self.new_interpreter()
                proxies = [SharedObjectProxy(Witness(log))]
                interp.prepare_main(proxy=proxies[0])
                proxies.clear()
                interp.exec(holder)
                gc.collect()
                self.assertEqual(log.entries, [])
                interp.close()
                self.assertEqual(log.wait(), [('gone', 0)])

    def test_close_releases_what_its_thread_locals_held(self):
        log = Log()
        interp = self.new_interpreter()
        box = interp.call(residents.keep_made, 'box', Box)
        box.set_local(SharedObjectProxy(Witness(log)))
        gc.collect()
        self.assertEqual(log.entries, [])
        interp.close()
        self.assertEqual(log.wait(), [('gone', 0)])

    def test_close_kills_what_lies_in_queues(self):
        interp = self.new_interpreter()
        queue = interpreters.create_queue()
        proxy = interp.call(residents.keep_made, 'box', Box)
        for item in (proxy, (proxy, 1), [proxy]):
            queue.put(item)
        interp.close()
        for dead in (queue.get(), queue.get()[0]):
            with self.assertRaisesRegex(DeadProxyError, 'closed'):
                len(dead)
        # What was pickled into the queue cannot be made any more.
        with self.assertRaises(interpreters.NotShareableError) as caught:
            queue.get()
        self.assertIsInstance(caught.exception.__cause__, DeadProxyError)
        self.assertTrue(queue.empty())

    def test_close_although_atexit_fails(self):
        for error in ('KeyError()', 'SystemExit(3)', 'KeyboardInterrupt()', 'MemoryError()'):
            with self.subTest(error):
                log = Log()
                interp = self.new_interpreter()
                witness = interp.call(residents.wrapped, Witness, SharedObjectProxy(log))
                interp.exec('import atexit, sys\n'
                            'sys.unraisablehook = lambda unraisable: None\n'
                            f'def fail(): raise {error}\n'
                            'atexit.register(fail)')
                interp.close()
                self.assertFalse(interpreters.is_alive(witness))
                self.assertEqual(log.entries, [('gone', interp.id)])

    def test_close_twice_is_an_error(self):
        interp = self.new_interpreter()
        interp.close()
        with self.assertRaises(interpreters.InterpreterNotFoundError):
            interp.close()

    def test_close_during_calls_of_other_threads_says_how_many(self):
        for count, message in ((1, '1 call '), (3, '3 calls ')):
            with self.subTest(count):
                interp = self.new_interpreter()
                proxy = interp.call(residents.wrapped, Box)
                entered = threading.Semaphore(0)
                leave = threading.Event()
                results = []

                def stay():
                    entered.release()
                    leave.wait(30)
                    return 'stayed'
                threads = [threading.Thread(target=lambda: results.append(proxy.call(stay)))
                           for _ in range(count)]
                with threading_helper.start_threads(threads):
                    for _ in threads:
                        entered.acquire()
                    with self.assertRaisesRegex(InterpreterError, message):
                        interp.close()
                    self.assertEqual(len(proxy), 1)
                    leave.set()
                self.assertEqual(results, ['stayed'] * count)
                interp.close()
                self.assertFalse(interpreters.is_alive(proxy))

    def test_close_from_inside_a_call_from_it_is_refused(self):
        interp = self.new_interpreter()
        proxy = interp.call(residents.wrapped, Box)
        with self.assertRaisesRegex(InterpreterError, f'interpreter {interp.id}'):
            proxy.call(interp.close)
        other = self.sub.call(residents.wrapped, Box)
        with self.assertRaisesRegex(InterpreterError, f'interpreter {interp.id}'):
            proxy.call(other.call, interp.close)
        self.assertEqual(len(proxy), 1)
        interp.close()

    def test_dropping_the_last_interpreter_object_during_a_call_keeps_it_running(self):
        interps = [interpreters.create()]
        proxy = interps[0].call(residents.wrapped, Box, 5)

        def drop():
            interps.clear()
            gc.collect()
        proxy.call(drop)
        self.assertEqual(proxy.value, 5)
        owner = interpreters.owner(proxy)
        owner.close()
        self.assertFalse(interpreters.is_alive(proxy))

    def test_create_and_close_many_leaves_nothing(self):
        before = interpreters.share_stats()
        box = Box()
        for _ in range(20):
            interp = interpreters.create()
            theirs = interp.call(residents.keep_made, 'box', Box)
            theirs.set(box)
            theirs.set((box, theirs.make(box)))
            interp.close()
            self.assertFalse(interpreters.is_alive(theirs))
        del theirs
        after = interpreters.share_stats()
        self.assertEqual(after['cells_live'], before['cells_live'])
        self.assertLessEqual(after['bytes'], before['bytes'] + 100_000)

    def test_close_races_with_calls(self):
        def use():
            self.assertEqual((proxy.value, proxy.make(2).value), (1, 2))
        for _ in range(10):
            interp = interpreters.create()
            proxy = interp.call(residents.wrapped, Box, 1)
            with used_by_threads(use, DeadProxyError, times=200) as errors:
                self.assertTrue(wait_until(lambda: closes(interp)))
            self.assertEqual(errors, [])


SHARES_ANEW = '''
from concurrent.interpreters import InterpreterError, SharedObjectProxy

class Again:
    heir = False

    def __del__(self):
        global refused
        for _ in range(children if self.heir and not refused else 0):
            again = make()
            try:
                keep.append(SharedObjectProxy(again))
            except InterpreterError as error:
                again.heir, refused = False, True
                log(str(error))
                break

def make():
    again = Again()
    again.heir = True
    return again

keep, refused = [], False
'''


def make_in_main():
    """Return a proxy of what __main__.make() makes here."""
    import __main__
    from concurrent.interpreters import SharedObjectProxy
    return SharedObjectProxy(__main__.make())


HOLDERS = {
    'global': '',
    'module': 'import sys, types\n'
              'sys.modules["held"] = types.ModuleType("held")\n'
              'sys.modules["held"].proxy = proxy; del proxy',
    'cycle': 'class Node: pass\n'
             'node = Node(); node.self = node; node.proxy = proxy; del node, proxy',
    'immortal': 'from concurrent.interpreters import share_forever\n'
                'share_forever([proxy]); del proxy',
    'frame': 'def generate(held):\n'
             '    while True:\n'
             '        yield held\n'
             'suspended = generate(proxy); next(suspended); del proxy',
}


class ExitTests(unittest.TestCase):
    """The end of a process, in the middle of anything."""

    WARNING = 'RuntimeWarning: remaining subinterpreters; close them'

    def test_process_exit(self):
        for name, scenario in exits.SCENARIOS.items():
            with self.subTest(name):
                code = f'from {exits.__name__} import SCENARIOS; SCENARIOS[{name!r}]()'
                result, _ = script_helper.run_python_until_end(
                    '-c', code, __isolated=False, PYTHONFAULTHANDLER='1')
                self.assertEqual(result.rc, scenario.code, result)
                self.assertEqual(result.out.decode().split(), scenario.output, result)
                errors = result.err.decode().splitlines()
                left = [line for line in errors if not self.is_expected(line, scenario)]
                self.assertEqual(left, [])

    def is_expected(self, line, scenario):
        return self.WARNING in line or (
            scenario.errors is not None and scenario.errors in line)


if __name__ == '__main__':
    unittest.main()
