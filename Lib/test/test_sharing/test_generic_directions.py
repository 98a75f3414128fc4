"""CPython's own suites once more in the other directions: a subinterpreter runs them.

What they test belongs to the main interpreter, or to another subinterpreter.
"""

import importlib
import unittest
from concurrent.interpreters import SharedObjectProxy

from .support import DIRECTIONS, SharingTestCase

#: {topic: suites}: a part of them.  test_bytes cannot be imported in a subinterpreter.
SUITES = {
    'containers': ['ListTest', 'TupleTest', 'DictTest', 'OrderedDictTest', 'SetTest', 'DequeTest',
                   'CounterTest', 'SetMutateTest'],
    'numbers': ['IntTest', 'FloatTest', 'ComplexTest', 'FractionTest'],
    'streams': ['BytesIOTest', 'StringIOTest'],
    'iterators': ['IterTest', 'EnumerateTest', 'ReversedTest', 'MemoryviewTest'],
}


class Place:
    """Where a suite's objects belong, as a place to call functions in."""

    def __init__(self, call_by_name):
        self.call_by_name = call_by_name

    def call(self, function, /, *args):
        return self.call_by_name(function.__module__, function.__name__, *args)


def call_by_name(module, name, *args):
    return getattr(importlib.import_module(module), name)(*args)


def name_caller():
    return SharedObjectProxy(call_by_name)


def run(topic, name, call_by_name):
    """Run a suite here, over objects from elsewhere; return how many methods, and what failed."""
    module = importlib.import_module(f'test.test_sharing.test_generic_{topic}')
    case = getattr(module, name)
    case.place = Place(call_by_name)
    try:
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    finally:
        case.place = None
    failed = [f'{test}: {text}' for test, text in result.failures + result.errors]
    failed += [f'{test}: unexpected success' for test in result.unexpectedSuccesses]
    return result.testsRun - len(result.skipped), failed


class OfSuites:

    def _check_cells(self, before):
        """The suite has looked: some make cycles, which end with the interpreters."""

    def check(self, topic, name):
        caller = self.owner().call(name_caller)
        count, failed = self.caller().call(run, topic, name, caller)
        self.assertGreater(count, 5)
        self.assertEqual(failed, [])


def add_directions(namespace):
    for direction, owner, caller in DIRECTIONS:
        if direction not in ('SubToMain', 'SubToSub'):
            continue
        methods = {f'test_{name}': lambda self, topic=topic, name=name: self.check(topic, name)
                   for topic, names in SUITES.items() for name in names}
        cls = type(f'{direction}Test', (OfSuites, SharingTestCase), dict(
            methods, __module__=namespace['__name__'], sub_count=2, owner=owner, caller=caller))
        namespace[cls.__name__] = cls


add_directions(globals())


if __name__ == '__main__':
    unittest.main()
