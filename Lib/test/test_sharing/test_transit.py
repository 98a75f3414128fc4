"""Proxies travel by every way that leads from one interpreter to another."""

import gc
import unittest
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor
from concurrent.interpreters import (
    DeadProxyError, ExecutionFailed, NotShareableError, SharedObjectProxy, dont_share)
from concurrent.interpreters._queues import UNBOUND

from . import residents
from .residents import Box, Log, Witness, safe_point
from .support import SMALL_STACK, SharingTestCase, call_on_stack, cells_live


# How a proxy may be wrapped up in what crosses by copy, and how it is found there again.
CONTAINERS = {
    'itself': (lambda proxy: proxy, lambda found: found),
    'tuple': (lambda proxy: (1, proxy), lambda found: found[1]),
    'list': (lambda proxy: [proxy, 2], lambda found: found[0]),
    'dict': (lambda proxy: {'key': proxy}, lambda found: found['key']),
    'key': (lambda proxy: {proxy: 'value'}, lambda found: next(iter(found))),
    'set': (lambda proxy: {proxy}, lambda found: found.pop()),
    'deep': (lambda proxy: [({'a': [proxy]},)], lambda found: found[0][0]['a'][0]),
}


def unpack(container, found):
    return CONTAINERS[container][1](found)


def describe_arrival(container, found):
    """What a container's proxy arrived as: is it a proxy, whose, and the value behind it."""
    arrived = unpack(container, found)
    is_proxy = type(arrived) is SharedObjectProxy
    return is_proxy, is_proxy and interpreters.owner(arrived).id, arrived.value


def make_container(container, value):
    return CONTAINERS[container][0](SharedObjectProxy(Box(value)))


def send(container, queue, name):
    queue.put(CONTAINERS[container][0](residents.kept[name]))


def receive(container, queue):
    return describe_arrival(container, queue.get(timeout=30))


class TransitTestCase(SharingTestCase):
    sub_count = 2

    def containers(self):
        for name, (pack, unpack) in CONTAINERS.items():
            with self.subTest(name):
                yield name, pack, unpack


class CallTests(TransitTestCase):

    def test_argument_arrives_as_a_proxy(self):
        proxy = SharedObjectProxy(Box('v'))
        for name, pack, _ in self.containers():
            for call in (lambda f, x: self.sub.call(f, name, x),
                         lambda f, x: self.sub.call(f, name, found=x)):
                self.assertEqual(call(describe_arrival, pack(proxy)), (True, 0, 'v'))

    def test_argument_arrives_at_home_as_the_object(self):
        proxy = self.sub.call(residents.keep_made, 'box', Box, 'v')
        for name, pack, _ in self.containers():
            found = self.sub.call(describe_arrival, name, pack(proxy))
            self.assertEqual(found, (False, False, 'v'))
        self.sub.call(residents.drop, 'box')

    def test_third_partys_argument_arrives_as_a_proxy_of_the_third(self):
        proxy = self.subs[1].call(residents.wrapped, Box, 'v')
        for name, pack, _ in self.containers():
            found = self.sub.call(describe_arrival, name, pack(proxy))
            self.assertEqual(found, (True, self.subs[1].id, 'v'))

    def test_result_arrives_as_a_proxy(self):
        for name, _, unpack in self.containers():
            proxy = unpack(self.sub.call(make_container, name, 'v'))
            self.assertIs(type(proxy), SharedObjectProxy)
            self.assertEqual((interpreters.owner(proxy), proxy.value), (self.sub, 'v'))

    def test_result_arrives_at_home_as_the_object(self):
        box = Box()
        proxy = SharedObjectProxy(box)
        for name, pack, unpack in self.containers():
            self.assertIs(unpack(self.sub.call(residents.same, pack(proxy))), box)

    def test_callable_may_be_a_proxy(self):
        log = Log()
        self.sub.call(SharedObjectProxy(log), 'called', 1)
        self.assertEqual(log.entries, [('called', 1)])
        theirs = self.sub.call(residents.wrapped, Box)
        self.assertIsNone(self.sub.call(theirs.set, 5))
        self.assertEqual(theirs.value, 5)
        self.assertIsNone(self.subs[1].call(theirs.set, 6))
        self.assertEqual(theirs.value, 6)

    def test_call_in_thread_takes_proxies(self):
        log = Log()
        for i in range(3):
            self.sub.call_in_thread(SharedObjectProxy(log), i).join()
        self.assertEqual(log.entries, [(0,), (1,), (2,)])

    def test_error_of_a_proxied_call_ends_the_call(self):
        proxy = SharedObjectProxy(Box())
        with self.assertRaisesRegex(ExecutionFailed, 'AttributeError'):
            self.sub.call(describe_arrival, 'deep', [({'a': [SharedObjectProxy(object())]},)])
        self.assertEqual(len(proxy), 1)

    def test_object_without_a_way_across_is_refused(self):
        for argument in (Box(), [Box()], [SharedObjectProxy(Box()), Box()]):
            with self.subTest(argument), self.assertRaises(NotShareableError):
                self.sub.call(residents.keep, 'never', argument)

    def test_dead_proxy_is_refused(self):
        released = SharedObjectProxy(Box())
        interpreters.release(released)
        for argument in (released, [released]):
            with self.subTest(type(argument)):
                with self.assertRaises((DeadProxyError, NotShareableError)):
                    self.sub.call(residents.keep, 'never', argument)

    def test_call_holds_what_it_carries_until_it_ends(self):
        log = Log()
        self.sub.call(check_witness, SharedObjectProxy(Witness(log)))
        safe_point()
        self.assertEqual(log.entries, [('gone', 0)])


def check_witness(witness):
    gc.collect()
    assert witness.tag == 'gone'


class DeepTupleTests(TransitTestCase):
    """Tuples inside tuples cross as tuples, one level of C calls each."""

    def ways(self, value):
        """Return (name, function) of each way there is for the value."""
        queue = interpreters.create_queue()
        return dict(
            call=lambda: self.sub.call(type, value),
            call_soon=lambda: self.sub.call_soon(type, value).result(),
            prepare_main=lambda: self.sub.prepare_main(value=value),
            queue=lambda: queue.put(value) or queue.get()).items()

    def test_deep_tuple_arrives(self):
        for name, send in self.ways(nested(20_000)):
            with self.subTest(name):
                try:
                    send()
                except RecursionError:
                    pass            # The stack was too small.

    def test_tuple_that_is_too_deep_is_refused(self):
        for name, send in self.ways(nested(5_000)):
            with self.subTest(name), self.assertRaises(RecursionError):
                call_on_stack(SMALL_STACK, send)

    def test_item_that_cannot_cross_deep_inside_is_named(self):
        for name, send in self.ways(nested(2_000, dont_share(Box()))):
            with (self.subTest(name),
                  self.assertRaisesRegex(NotShareableError, 'a Box stays where it is$') as caught):
                send()
            self.assertNotIn('((', str(caught.exception))


def nested(depth, value=None):
    """Return the value in a tuple in a tuple ..., so many of them."""
    for _ in range(depth):
        value = value,
    return value


class PrepareMainTests(TransitTestCase):

    def test_prepare_main_binds_proxies_and_objects(self):
        mine = SharedObjectProxy(Box('mine'))
        theirs = self.sub.call(residents.wrapped, Box, 'theirs')
        self.sub.prepare_main({'mine': mine}, theirs=theirs, both=(mine, theirs))
        self.sub.exec('from concurrent.interpreters import SharedObjectProxy as P\n'
                      'assert type(mine) is P and mine.value == "mine"\n'
                      'assert type(theirs) is not P and theirs.value == "theirs"\n'
                      'assert both[0] is mine and both[1] is theirs\n'
                      'mine.set("set")\n'
                      'del mine, theirs, both')
        self.assertEqual(mine.value, 'set')

    def test_prepare_main_takes_what_has_share(self):
        class Sharing:
            def __share__(self):
                return SharedObjectProxy(box), 3
        box = Box('shared')
        self.sub.prepare_main(sharing=Sharing())
        self.sub.exec('assert sharing[0].value == "shared" and sharing[1] == 3\ndel sharing')


class QueueTests(TransitTestCase):

    def setUp(self):
        super().setUp()
        self.queue = interpreters.create_queue()

    def tearDown(self):
        del self.queue
        super().tearDown()

    def test_put_and_get_elsewhere(self):
        first, second = self.subs
        proxy = first.call(residents.keep_made, 'box', Box, 'v')
        for name, pack, _ in self.containers():
            self.queue.put(pack(proxy))
            self.assertEqual(second.call(receive, name, self.queue), (True, first.id, 'v'))
            self.queue.put(pack(proxy))
            self.assertEqual(first.call(receive, name, self.queue), (False, False, 'v'))
        first.call(residents.drop, 'box')

    def test_put_elsewhere_and_get(self):
        box = Box()
        proxy = SharedObjectProxy(box)
        theirs = self.sub.call(residents.keep_made, 'theirs', Box)
        self.sub.call(residents.keep, 'mine', proxy)
        self.sub.call(residents.keep_wrapped, 'theirs')
        for name, _, unpack in self.containers():
            self.sub.call(send, name, self.queue, 'mine')
            self.assertIs(unpack(self.queue.get(timeout=30)), box)
            self.sub.call(send, name, self.queue, 'theirs')
            self.assertIs(unpack(self.queue.get(timeout=30)), theirs)
        self.sub.call(residents.drop_all)

    def test_put_and_get_at_home(self):
        box = Box()
        proxy = SharedObjectProxy(box)
        for name, pack, unpack in self.containers():
            self.queue.put(pack(proxy))
            self.assertIs(unpack(self.queue.get(timeout=30)), box)

    def test_queue_keeps_the_object_alive(self):
        for name, pack, unpack in self.containers():
            log = Log()
            self.queue.put(pack(SharedObjectProxy(Witness(log))))
            gc.collect()
            self.assertEqual(log.entries, [])
            self.queue.get(timeout=30)
            gc.collect()
            self.assertEqual(log.entries, [('gone', 0)])

    def test_destroyed_queue_releases(self):
        log = Log()
        for _, pack, _ in self.containers():
            self.queue.put(pack(SharedObjectProxy(Witness(log))))
        del self.queue
        gc.collect()
        self.assertEqual(log.wait(len(CONTAINERS)), [('gone', 0)] * len(CONTAINERS))
        self.queue = None

    def test_receiver_that_ends_first_leaves_the_message(self):
        box = Box()
        interp = self.new_interpreter()
        interp.prepare_main(queue=self.queue)
        self.queue.put([SharedObjectProxy(box)])
        interp.close()
        self.assertIs(self.queue.get(timeout=30)[0], box)

    def test_sender_that_ends_first_leaves_nothing_that_works(self):
        for name in CONTAINERS:
            log = Log()
            interp = self.new_interpreter()
            interp.call(residents.keep, 'mine', SharedObjectProxy(Witness(log)))
            interp.call(residents.keep_made, 'theirs', Box)
            interp.call(residents.keep_wrapped, 'theirs')
            interp.call(send, name, self.queue, 'mine')
            interp.call(send, name, self.queue, 'theirs')
            interp.close()
            for _ in range(2):
                self.assertIs(self.queue.get(timeout=30), UNBOUND)
            gc.collect()
            safe_point()
            self.assertEqual(log.wait(), [('gone', 0)])
        self.assertTrue(self.queue.empty())

    def test_many_through_a_queue_leave_nothing(self):
        before = cells_live()
        for _ in range(1_000):
            self.queue.put(SharedObjectProxy(Box()))
            self.queue.put([SharedObjectProxy(Box())])
            self.queue.get()
            self.queue.get()
        gc.collect()
        self.assertLessEqual(cells_live(), before + 2)


class PoolTests(TransitTestCase):
    sub_count = 0

    def test_pool_takes_and_returns_proxies(self):
        log = Log()
        report = SharedObjectProxy(log)
        with InterpreterPoolExecutor(2, initializer=residents.keep,
                                     initargs=('log', report)) as pool:
            for future in [pool.submit(residents.report_to_kept, 'log', i) for i in range(10)]:
                future.result(timeout=60)
            made = pool.submit(residents.wrapped, Box, report).result(timeout=60)
            self.assertIs(type(made), SharedObjectProxy)
            self.assertIs(made.value, log)
            nested = pool.submit(make_container, 'deep', 'v').result(timeout=60)
            self.assertEqual(unpack('deep', nested).value, 'v')
            home = list(pool.map(residents.same, [report, [report]]))
        self.assertEqual(sorted(log.entries), [(i,) for i in range(10)])
        self.assertIs(home[0], log)
        self.assertIs(home[1][0], log)
        self.assertFalse(interpreters.is_alive(made))

    def test_pool_calls_a_proxy(self):
        log = Log()
        with InterpreterPoolExecutor(2) as pool:
            for future in [pool.submit(SharedObjectProxy(log), i) for i in range(10)]:
                self.assertIsNone(future.result(timeout=60))
        self.assertEqual(sorted(log.entries), [(i,) for i in range(10)])

    def test_error_of_a_proxied_call_in_a_pool_keeps_its_type(self):
        def fail():
            raise KeyError('key')
        with InterpreterPoolExecutor(1) as pool:
            future = pool.submit(residents.same, 1)
            self.assertEqual(future.result(timeout=60), 1)
            future = pool.submit(SharedObjectProxy(fail))
            with self.assertRaisesRegex(KeyError, 'key'):
                future.result(timeout=60)


if __name__ == '__main__':
    unittest.main()
