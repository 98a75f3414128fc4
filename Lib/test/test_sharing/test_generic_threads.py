"""Locks and queues of another interpreter pass CPython's own tests, from several threads here."""

import unittest
from test import lock_tests, test_queue

from .generic import add_suites

add_suites(globals(), {
    'LockTest': (lock_tests.LockTests, {'locktype': 'threading.Lock'}),
    'RLockTest': (lock_tests.RLockTests, {'locktype': 'threading.RLock'}),
    'EventTest': (lock_tests.EventTests, {'eventtype': 'threading.Event'}),
    'ConditionTest': (lock_tests.ConditionTests, {'condtype': 'threading.Condition'}),
    'SemaphoreTest': (lock_tests.SemaphoreTests, {'semtype': 'threading.Semaphore'}),
    'BoundedSemaphoreTest': (lock_tests.BoundedSemaphoreTests,
                             {'semtype': 'threading.BoundedSemaphore'}),
    'BarrierTest': (lock_tests.BarrierTests, {'barriertype': 'threading.Barrier'}),
    'QueueTest': (test_queue.CQueueTest, {'queue': 'queue'}),
    'LifoQueueTest': (test_queue.CLifoQueueTest, {'queue': 'queue'}),
    'PriorityQueueTest': (test_queue.CPriorityQueueTest, {'queue': 'queue'}),
})


if __name__ == '__main__':
    unittest.main()
