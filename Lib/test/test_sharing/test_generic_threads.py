"""Locks of another interpreter pass CPython's own tests, from several threads of this one."""

import unittest
from test import lock_tests

from .generic import Foreign, Generic


class LockTest(Generic, lock_tests.LockTests):
    locktype = Foreign('threading.Lock')


class RLockTest(Generic, lock_tests.RLockTests):
    locktype = Foreign('threading.RLock')


class EventTest(Generic, lock_tests.EventTests):
    eventtype = Foreign('threading.Event')


class ConditionTest(Generic, lock_tests.ConditionTests):
    condtype = Foreign('threading.Condition')


class SemaphoreTest(Generic, lock_tests.SemaphoreTests):
    semtype = Foreign('threading.Semaphore')


class BoundedSemaphoreTest(Generic, lock_tests.BoundedSemaphoreTests):
    semtype = Foreign('threading.BoundedSemaphore')


class BarrierTest(Generic, lock_tests.BarrierTests):
    barriertype = Foreign('threading.Barrier')


if __name__ == '__main__':
    unittest.main()
