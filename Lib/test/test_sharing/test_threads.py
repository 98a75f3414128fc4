"""A thread is one thread, in whatever interpreter it happens to be."""

import contextvars
import gc
import random
import sys
import threading
import time
import unittest
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy
from test import support
from test.support import threading_helper

from . import residents
from .residents import Box, safe_point
from .support import SMALL_STACK, SharingTestCase, call_on_stack, cells_live


def run_threads(count, target, *args):
    """Run the target in threads, each with its number first; return what they returned."""
    results = [None] * count

    def run(index):
        try:
            results[index] = target(index, *args)
        except BaseException as exc:
            results[index] = type(exc), str(exc)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    with threading_helper.start_threads(threads):
        pass
    return results


class ThreadTestCase(SharingTestCase):
    sub_count = 2

    def setUp(self):
        super().setUp()
        self.boxes = [sub.call(residents.wrapped, Box) for sub in self.subs]
        self.addCleanup(delattr, self, 'boxes')


class IdentityTests(ThreadTestCase):

    def test_thread_locals_persist_across_calls(self):
        def count(index):
            return [[box.next_local() for box in self.boxes] for _ in range(3)]
        expected = [[1, 1], [2, 2], [3, 3]]
        for results in run_threads(3, count):
            self.assertEqual(results, expected)

    def test_context_variables_persist_across_calls(self):
        def count(index):
            return [[box.next_variable() for box in self.boxes] for _ in range(3)]
        for results in run_threads(3, count):
            self.assertEqual(results, [[1, 1], [2, 2], [3, 3]])

    def test_callers_context_stays_its_own(self):
        mine = residents.variable
        token = mine.set(100)
        try:
            def count(index):
                return self.boxes[0].next_variable(), mine.get()
            context = contextvars.copy_context()
            self.assertEqual(context.run(count, 0)[1], 100)
        finally:
            mine.reset(token)

    def test_main_calls_sub_calls_main_sees_the_same_thread(self):
        home = Box()
        residents.local.__dict__.clear()
        self.addCleanup(residents.local.__dict__.clear)
        self.assertEqual(home.next_local(), 1)
        mine = SharedObjectProxy(home)
        for depth in range(2, 6):
            self.assertEqual(self.boxes[0].call(self.boxes[1].call, mine.next_local), depth)
        self.assertEqual(home.next_local(), 6)
        self.assertEqual(self.boxes[0].call(home.thread), home.thread())

    def test_sub_calls_main_calls_sub_sees_the_same_thread(self):
        first, second = self.boxes

        def count(index):
            return [first.next_local(), first.call(second.call, first.next_local),
                    first.call(lambda: first.call(first.next_local)), first.next_local()]
        for result in run_threads(3, count):
            self.assertEqual(result, [1, 2, 3, 4])

    def test_ident_is_the_threads_own_everywhere(self):
        def idents(index):
            return {box.thread()[0] for box in self.boxes} == {threading.get_ident()}
        self.assertEqual(run_threads(3, idents), [True] * 3)

    def test_what_dies_with_a_thread_state_may_go_elsewhere_and_come_back(self):
        told = []

        def leave_behind(index):
            self.boxes[0].set_local(self.sub.call(
                residents.wrapped, residents.Witness, SharedObjectProxy(lambda *of: told.append(of))))
        run_threads(1, leave_behind)
        self.assertTrue(residents.wait_until(lambda: told))
        self.assertEqual(told, [('gone', self.sub.id)])

    def test_reentrant_lock_stays_reentrant(self):
        home = SharedObjectProxy(residents.lock)
        first, second = self.boxes
        with residents.lock:
            self.assertTrue(first.call(home.acquire, False))
            residents.lock.release()
            self.assertTrue(first.call(second.call, home.acquire, True, 30))
            residents.lock.release()
        # Held in sub, on the way out to main and back in.
        self.assertEqual(
            first.with_lock(lambda: first.with_lock(lambda: first.with_lock(len, first))), 1)

    def test_lock_of_another_thread_stays_locked(self):
        first = self.boxes[0]
        inside, leave = threading.Event(), threading.Event()

        def hold():
            inside.set()
            leave.wait(30)
        thread = threading.Thread(target=first.with_lock, args=(hold,))
        with threading_helper.start_threads([thread]):
            inside.wait()
            lock = self.sub.call(residents.wrapped, residents.lock_itself)
            self.assertFalse(lock.acquire(False))
            leave.set()
        self.assertTrue(lock.acquire(True, 30))
        lock.release()


class NumbersTests(ThreadTestCase):

    THREADS = 2_000

    def test_short_lived_threads_leave_nothing(self):
        places = [sub.call(residents.wrapped, residents.per_thread) for sub in self.subs]
        cells = cells_live()

        def visit(index):
            for place in places:
                place.settle()
            return [box.next_local() for box in self.boxes]
        for _ in range(self.THREADS // 50):
            self.assertEqual(run_threads(50, visit), [[1, 1]] * 50)
        # Their thread states are gone, and what those held.
        self.assertEqual([place.count() for place in places], [0, 0])
        gc.collect()
        safe_point()
        self.assertLessEqual(cells_live(), cells)

    def test_many_threads_on_one_proxy_lose_nothing(self):
        counter = self.sub.call(residents.wrapped, residents.Counter)

        def add(index):
            for _ in range(200):
                counter.add()
        self.assertEqual(run_threads(8, add), [None] * 8)
        self.assertEqual(counter.total, 1_600)

    def test_many_threads_on_one_proxy_from_two_interpreters(self):
        counter = SharedObjectProxy(residents.Counter())
        adders = [sub.call(residents.wrapped, residents.Adder, counter) for sub in self.subs]
        results = run_threads(6, lambda index: adders[index % 2].add(100))
        self.assertEqual(results, [100] * 6)
        self.assertEqual(counter.total, 600)

    def test_callers_other_threads_run_meanwhile(self):
        inside, go_on = threading.Event(), threading.Event()

        def wait():
            inside.set()
            return go_on.wait(30)
        results = []
        thread = threading.Thread(target=lambda: results.append(self.boxes[0].call(wait)))
        with threading_helper.start_threads([thread]):
            self.assertTrue(inside.wait(30))
            self.assertEqual(self.boxes[0].call(lambda: 'in at the same time'),
                             'in at the same time')
            go_on.set()
        self.assertEqual(results, [True])

    def test_same_object_arriving_on_many_threads_is_one_proxy(self):
        home = self.boxes[0]
        home.value = (home.make(),)
        barrier = threading.Barrier(6)

        def fetch(index):
            barrier.wait(30)
            return home.value[0]
        for _ in range(20):
            self.assertEqual(len({id(proxy) for proxy in run_threads(6, fetch)}), 1)


class RecursionTests(ThreadTestCase):

    SIZES = (0, SMALL_STACK, 1 << 20)

    def raised_on_stack(self, size, function, /, *args):
        return call_on_stack(size, residents.raised_by, function, *args)

    def test_recursion_between_interpreters_ends_in_recursion_error(self):
        first, second = self.boxes
        home = Box()
        pairs = {'two subs': (first, second), 'main and sub': (home, first),
                 'sub and main': (first, SharedObjectProxy(home))}
        for name, (one, other) in pairs.items():
            with self.subTest(name, thread='main'):
                self.assertIs(residents.raised_by(one.recurse, other, 0), RecursionError)
            for size in self.SIZES:
                with self.subTest(name, stack=size):
                    self.assertIs(self.raised_on_stack(size, one.recurse, other, 0), RecursionError)
        # All of it works as before.
        self.assertEqual(first.bounce(second, 5), 5)

    def test_proxy_that_dies_at_the_end_of_the_stack_is_not_found_again(self):
        # There, what nobody refers to is kept, to be destroyed when there is more stack.
        box = Box()

        def descend():
            for _ in range(3):
                SharedObjectProxy(box)
            return list(map(lambda _: descend(), (1,)))
        for size in self.SIZES:
            with self.subTest(stack=size):
                self.assertIs(self.raised_on_stack(size, descend), RecursionError)
        self.assertIs(SharedObjectProxy(box), SharedObjectProxy(box))

    def test_recursion_through_repr_and_comparison_ends_in_recursion_error(self):
        def nest(depth):
            made = None
            makers = [sub.call(residents.wrapped, residents.list_type) for sub in self.subs]
            for i in range(depth):
                made = makers[i % 2]((made,))
            return made
        self.assertEqual(repr(nest(5)), '[[[[[None]]]]]')
        deep = nest(20_000)
        for use in (repr, str, lambda deep: deep == nest(0)):
            for size in self.SIZES:
                with self.subTest(use, stack=size):
                    self.assertIn(self.raised_on_stack(size, use, deep), (RecursionError, None))
        self.assertIs(residents.raised_by(repr, deep), RecursionError)

    def test_depth_is_the_same_after_many_returns(self):
        first, second = self.boxes
        for _ in range(50):
            self.assertEqual(first.bounce(second, 20), 20)


class StressTests(SharingTestCase):
    sub_count = 4

    STEPS = 20_000

    def test_random_call_graphs_finish(self):
        boxes = tuple(sub.call(residents.wrapped, Box) for sub in self.subs)
        everyone = (*boxes, SharedObjectProxy(Box()))
        seed = random.randrange(1 << 30)

        def walk(index):
            taken = 0
            walker = random.Random(seed + index)
            while taken < self.STEPS // 8:
                start = walker.choice(boxes)
                taken += start.wander(everyone, walker.randrange(1 << 30), 200)
            return taken
        results = run_threads(8, walk)
        with self.subTest(seed=seed):
            for taken in results:
                self.assertGreaterEqual(taken, self.STEPS // 8, results)

    def test_use_while_another_thread_releases(self):
        # On free-threaded builds they are at one proxy at the same time.
        queue = interpreters.create_queue()
        other = self.subs[1].call(residents.wrapped, Box)
        uses = {
            'method': lambda proxy: proxy.set(1),
            'argument': other.set,
            'is_alive': interpreters.is_alive,
            'owner': interpreters.owner,
            'share': interpreters.share,
            'share_token': interpreters.share_token,
            'len': len,
            'repr': repr,
            'queue': lambda proxy: (queue.put(proxy), queue.get()),
            'pickle': lambda proxy: (queue.put([proxy]), queue.get()),
        }

        def work(index, function, proxies, reached):
            for number, proxy in enumerate(proxies):
                if index == 0:
                    reached[0] = number
                    while interpreters.is_alive(proxy):
                        residents.raised_by(function, proxy)
                    residents.raised_by(function, proxy)
                else:
                    while reached[0] < number:
                        time.sleep(0)
                    interpreters.release(proxy)
            return 'done'
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        support.setswitchinterval(1e-5)
        for name, function in uses.items():
            with self.subTest(name):
                for _ in range(10):
                    proxies = self.sub.call(residents.wrapped_boxes, 100)
                    self.assertEqual(run_threads(2, work, function, proxies, [-1]), ['done'] * 2)

    def test_what_arrives_during_a_collection_can_be_used(self):
        # The collector finds a proxy unreachable, and meanwhile another thread is given it.
        box = self.sub.call(residents.wrapped, Box)
        box.value = self.sub.call(residents.wrapped, Box)
        finished = threading.Event()

        def work(index):
            if index == 0:
                for _ in range(100):
                    make_garbage(box.value)
                    gc.collect(0)
                finished.set()
            while not finished.is_set():
                self.assertIsNone(box.value.value)
            return 'done'

        def make_garbage(proxy):
            chain = [proxy]
            first = chain
            for _ in range(2000):
                chain = [chain]
            first.append(chain)
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        self.assertEqual(run_threads(2, work), ['done'] * 2)

    def test_threads_share_the_same_proxies_for_good(self):
        # Once they end with their interpreter, each is freed once.
        user = self.new_interpreter()
        user.call(residents.share_forever_twice, self.sub.call(residents.wrapped_boxes, 2000))
        held = cells_live()
        user.close()
        self.assertLessEqual(cells_live(), held - 2000)

    def test_random_sharing_and_dropping_leaves_nothing(self):
        boxes = tuple(sub.call(residents.wrapped, Box) for sub in self.subs)
        seed = random.randrange(1 << 30)
        before = cells_live()

        def walk(index):
            walker = random.Random(seed + index)
            for _ in range(300):
                source, target = walker.sample(boxes, 2)
                match walker.randrange(5):
                    case 0:
                        target.value = source.make(source)
                    case 1:
                        target.value = (source, Box(), source.make(target.make()))
                    case 2:
                        target.value = None
                    case 3:
                        source.call(target.make)
                    case 4:
                        with interpreters.ShareScope() as scope:
                            scope.share(source).make(target)
            return 'done'
        self.assertEqual(run_threads(8, walk), ['done'] * 8, f'seed {seed}')
        for box in boxes:
            box.value = None
        safe_point()
        self.assertTrue(residents.wait_until(
            lambda: [sub.call(gc.collect) for sub in self.subs] and cells_live() <= before))


if __name__ == '__main__':
    unittest.main()
