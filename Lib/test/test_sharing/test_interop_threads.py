"""Locks and queues: a thread blocks in one interpreter and is released from another."""

import queue
import threading
import time
import unittest
from concurrent.interpreters import SharedObjectProxy

from .residents import wrapped
from .support import MAIN, SharingTestCase


def taken_lock(name):
    lock = getattr(threading, name)()
    lock.acquire()
    return lock


def acquire_lock(lock, entered):
    entered()
    return lock.acquire(timeout=30)


def release_lock(lock):
    lock.release()


def wait_for_event(event, entered):
    entered()
    return event.wait(30)


def set_event(event):
    event.set()


def wait_for_condition(condition, entered):
    with condition:
        entered()
        return condition.wait(30)


def notify(condition):
    # The waiter holds the lock until it waits.
    with condition:
        condition.notify_all()


def get(items, entered):
    entered()
    return items.get(timeout=30)


def put(items):
    items.put('item')


def put_when_full(items, entered):
    entered()
    items.put('second', timeout=30)
    return items.get(timeout=30)


def make_room(items):
    return items.get(timeout=30)


def full_queue():
    items = queue.Queue(1)
    items.put('first')
    return items


def wait_at_barrier(barrier, entered):
    entered()
    return barrier.wait(30) in (0, 1)


def reach_barrier(barrier):
    barrier.wait(30)


#: name: (how the object is made, what blocks, what releases it, what the blocked call returns)
PRIMITIVES = {
    'lock': (lambda: (taken_lock, 'Lock'), acquire_lock, release_lock, True),
    'semaphore': (lambda: (threading.Semaphore, 0), acquire_lock, release_lock, True),
    'event': (lambda: (threading.Event,), wait_for_event, set_event, True),
    'condition': (lambda: (threading.Condition,), wait_for_condition, notify, True),
    'barrier': (lambda: (threading.Barrier, 2), wait_at_barrier, reach_barrier, True),
    'queue': (lambda: (queue.Queue,), get, put, 'item'),
    'full queue': (lambda: (full_queue,), put_when_full, make_room, 'second'),
    'simple queue': (lambda: (queue.SimpleQueue,), get, put, 'item'),
    'priority queue': (lambda: (queue.PriorityQueue,), get, put, 'item'),
}


#: The owner, who blocks, who releases: the number of a subinterpreter, or None for the main one.
PLACES = ((0, 1, 2), (None, 0, 1), (0, None, 1), (0, 1, None), (0, 0, 1), (0, 1, 0))


class BlockingTest(SharingTestCase):
    """Owner, who blocks and who releases are each in an interpreter of their own."""

    sub_count = 3

    def check(self, name, owner, blocked, releasing):
        make, block, release, expected = PRIMITIVES[name]
        subject = owner.call(wrapped, *make())
        entered = threading.Event()
        outcome = []

        def run(signal=SharedObjectProxy(entered.set)):
            outcome.append(blocked.call(block, subject, signal))

        thread = threading.Thread(target=run)
        thread.start()
        self.assertTrue(entered.wait(30))
        time.sleep(0.01)            # It may block by now; if it does not yet, all is well too.
        releasing.call(release, subject)
        thread.join(30)
        self.assertFalse(thread.is_alive())
        self.assertEqual(outcome, [expected])

    def test_released_from_another_interpreter(self):
        for name in PRIMITIVES:
            for numbers in PLACES:
                places = [MAIN if number is None else self.subs[number] for number in numbers]
                with self.subTest(name, places=places):
                    self.check(name, *places)

    def test_rlock_is_waited_for_until_its_thread_releases_it_elsewhere(self):
        for owner, blocked, releasing in ((self.subs[0], self.subs[1], self.subs[2]),
                                          (self.subs[0], MAIN, self.subs[1]),
                                          (MAIN, self.subs[0], self.subs[1])):
            with self.subTest(owner=owner, blocked=blocked, releasing=releasing):
                lock = owner.call(wrapped, threading.RLock)
                lock.acquire()
                entered, outcome = threading.Event(), []

                def run(signal=SharedObjectProxy(entered.set)):
                    outcome.append(blocked.call(with_lock, lock, signal))
                thread = threading.Thread(target=run)
                thread.start()
                self.assertTrue(entered.wait(30))
                self.assertEqual(outcome, [])
                releasing.call(release_lock, lock)
                thread.join(30)
                self.assertEqual(outcome, [True])

    def test_rlock_of_another_interpreter_belongs_to_the_thread(self):
        lock = self.sub.call(wrapped, threading.RLock)
        for place in MAIN, self.subs[1]:
            with lock:
                place.call(nested, lock)
                self.assertFalse(from_another_thread(lock))
            self.assertTrue(from_another_thread(lock))


def nested(lock):
    with lock:
        pass


def with_lock(lock, entered):
    entered()
    with lock:
        return True


def from_another_thread(lock):
    """Whether another thread gets the lock."""
    outcome = []

    def acquire(lock=lock):
        outcome.append(lock.acquire(blocking=False))
        if outcome[0]:
            lock.release()

    thread = threading.Thread(target=acquire)
    thread.start()
    thread.join(30)
    return outcome[0]


if __name__ == '__main__':
    unittest.main()
