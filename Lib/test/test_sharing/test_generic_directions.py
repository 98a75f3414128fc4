"""CPython's own suites once more in the other directions: a subinterpreter runs them.

What they test belongs to the main interpreter, or to another subinterpreter.
"""

import importlib
import unittest
from concurrent.interpreters import SharedObjectProxy

from .generic import make_factory
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
    """Where a suite's objects belong: it makes factories there, whatever it is asked to call."""

    def __init__(self, make_factory):
        self.make_factory = make_factory

    def call(self, function, /, *args):
        if function is make_factory:
            return self.make_factory(*args)


def factory_maker():
    return SharedObjectProxy(make_factory)


def run(topic, name, factory_maker):
    """Run a suite here, over objects from elsewhere; return how many methods, and what failed."""
    module = importlib.import_module(f'test.test_sharing.test_generic_{topic}')
    case = getattr(module, name)
    case.place = Place(factory_maker)
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
        maker = self.owner().call(factory_maker)
        count, failed = self.caller().call(run, topic, name, maker)
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
