"""In its object's own interpreter, bytecode does with a proxy what it does with the object.

Instructions are specialized for the object there.  So each operation is carried out often enough
for that, at one place, by objects and proxies of all sorts in turn.
"""

import itertools
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import DeadProxyError, SharedObjectProxy
from test.support import threading_helper

from .support import SharingTestCase, used_by_threads

# Enough for an instruction to be specialized, and to begin anew after it has missed.
MANY = 120


class Thing:
    """A thing with some attributes."""
    in_class = 'in the class'

    def __init__(self, value=1000):
        self.value = value
        self.__dict__['__own__'] = 'own'

    @property
    def double(self):
        return self.value * 2

    def method(self):
        return self.value

    def __getitem__(self, key):
        return key, self.value


class Slotted:
    __slots__ = ('value',)

    def __init__(self):
        self.value = 2000


class Dynamic:
    def __getattribute__(self, name):
        return f'{name} of {object.__getattribute__(self, "__class__").__name__}'


def changed(change, read):
    """Return an operation that changes a thing and tells what it has then."""
    def operate(thing):
        change(thing)
        return read(thing)
    return operate


def set_value(thing):
    thing.value = thing.value + 1


def set_item(thing):
    thing[0] = thing[0] + 1


def delete_value(thing):
    thing.other = 1
    del thing.other


#: name: (what makes the subject, the operation), an instruction each.
OPERATIONS = {
    'attribute of the instance': (Thing, lambda thing: thing.value),
    'attribute of the class': (Thing, lambda thing: thing.in_class),
    'property': (Thing, lambda thing: thing.double),
    'slot': (Slotted, lambda thing: thing.value),
    'attribute that is not there': (Thing, lambda thing: thing.nothing),
    'attribute through __getattribute__': (Dynamic, lambda thing: thing.value),
    'attribute of a class': (lambda: Thing, lambda thing: thing.in_class),
    'attribute of a module': (lambda: itertools, lambda thing: thing.count.__name__),
    '__doc__': (Thing, lambda thing: thing.__doc__),
    '__dict__': (Thing, lambda thing: sorted(thing.__dict__)),
    '__class__': (Thing, lambda thing: thing.__class__.__name__),
    'name with underscores': (Thing, lambda thing: thing.__own__),
    'method': (Thing, lambda thing: thing.method()),
    'method that is kept': (Thing, lambda thing: (thing.method,)[0]()),
    'method of a list': (lambda: [3, 4], lambda thing: thing.index(4)),
    'setting an attribute': (Thing, changed(set_value, lambda thing: thing.value)),
    'setting a slot': (Slotted, changed(set_value, lambda thing: thing.value)),
    'deleting an attribute': (Thing, changed(delete_value, lambda thing: thing.other)),
    'item of a list': (lambda: [1000, 2000], lambda thing: thing[1]),
    'item that is not there': (lambda: [1000, 2000], lambda thing: thing[2]),
    'slice of a list': (lambda: [1000, 2000], lambda thing: thing[:1]),
    'item of a tuple': (lambda: (1000, []), lambda thing: thing[0]),
    'item of a str': (lambda: 'text', lambda thing: thing[1]),
    'item of a dict': (lambda: {'key': 1000}, lambda thing: thing['key']),
    'key that is not there': (lambda: {'key': 1000}, lambda thing: thing['other']),
    '__getitem__': (Thing, lambda thing: thing['key']),
    'setting an item of a list': (lambda: [1000], changed(set_item, lambda thing: thing[0])),
    'setting an item of a dict': (lambda: {0: 1000}, changed(set_item, lambda thing: thing[0])),
    'in a set': (lambda: {1000, 2000}, lambda thing: 1000 in thing),
    'not in a dict': (lambda: {1000: 2000}, lambda thing: 2000 not in thing),
    'in a list': (lambda: [1000], lambda thing: 1000 in thing),
    'sum': (lambda: 1000, lambda thing: thing + 1000),
    'sum of lists': (lambda: [1000], lambda thing: thing + [1]),
    'comparison': (lambda: 1000, lambda thing: thing < 1001),
    'truth': (lambda: [1000], lambda thing: bool(thing) and (1 if thing else 2)),
    'unpacking': (lambda: (1000, 2000), lambda thing: [(b, a) for a, b in (thing,)]),
    'loop': (lambda: [1000, 2000], lambda thing: [step for step in thing]),
    'call': (lambda: Thing(3).method, lambda thing: thing()),
    'call of a class': (lambda: Thing, lambda thing: thing(4).value),
    'call with a keyword': (lambda: Thing, lambda thing: thing(value=5).value),
}


def outcome(operation, subject):
    try:
        return 'returned', repr(operation(subject))
    except Exception as exc:
        return type(exc), str(exc)


class BytecodeAtHomeTest(SharingTestCase):

    sub_count = 1

    def foreign_subjects(self):
        """Return {name: a proxy of what another interpreter has made}."""
        received = {}
        self.sub.prepare_main(received=SharedObjectProxy(received))
        self.sub.exec('from concurrent.interpreters import SharedObjectProxy\n'
                      'from test.test_sharing.test_bytecode import OPERATIONS\n'
                      'for name, (make, _) in OPERATIONS.items():\n'
                      '    received[name] = SharedObjectProxy(make())\n'
                      'del received, make\n')
        return received

    def test_operation_is_the_objects(self):
        for name, (make, operation) in OPERATIONS.items():
            thing, proxy = make(), SharedObjectProxy(make())
            for number in range(MANY):
                with self.subTest(name, number=number):
                    self.assertEqual(outcome(operation, proxy), outcome(operation, thing))

    def test_one_instruction_meets_all_sorts(self):
        foreign = self.foreign_subjects()
        for name, (make, operation) in OPERATIONS.items():
            thing, proxy = make(), SharedObjectProxy(make())
            for number in range(MANY):
                wanted = outcome(operation, thing)
                with self.subTest(name, number=number):
                    self.assertEqual(outcome(operation, proxy), wanted)
                    self.assertEqual(outcome(operation, foreign[name]), wanted)

    def test_proxy_that_cannot_be_used_any_more(self):
        for name, (make, operation) in OPERATIONS.items():
            for end in interpreters.release, interpreters.revoke:
                proxy = SharedObjectProxy(make())
                for _ in range(MANY):
                    outcome(operation, proxy)
                end(proxy)
                for _ in range(MANY):
                    with self.subTest(name, end=end.__name__):
                        self.assertIs(outcome(operation, proxy)[0], DeadProxyError)

    def test_what_is_the_proxys_own_is_not_the_objects(self):
        def reduce(thing):
            return thing.__reduce_ex__(4)[0]

        thing = Thing()
        proxy = SharedObjectProxy(thing)
        own = getattr(proxy, '__reduce_ex__')(4)[0]
        self.assertNotEqual(own, reduce(thing))
        for _ in range(MANY):
            self.assertEqual(reduce(proxy), own)
            self.assertNotEqual(reduce(thing), own)

    def test_augmented_assignment_keeps_the_proxy(self):
        def extend(proxy):
            proxy += [1]
            return proxy

        things = []
        proxy = SharedObjectProxy(things)
        for _ in range(MANY):
            extend([])
            self.assertIs(extend(proxy), proxy)
        self.assertEqual(len(things), MANY)

    def test_object_outlives_its_proxy_in_the_middle_of_a_call(self):
        def use():
            return proxies.pop().method()

        for number in range(MANY):
            proxies = [SharedObjectProxy(Thing(number))]
            reference = weakref.ref(proxies[0])
            self.assertEqual(use(), number)
            self.assertIsNone(reference())

    def test_weak_reference_to_the_proxy_calls_back(self):
        gone = []
        for number in range(MANY):
            proxies = [SharedObjectProxy(Thing(number))]
            reference = weakref.ref(proxies[0], gone.append)
            self.assertEqual(proxies.pop().value, number)
            self.assertEqual(gone.pop(), reference)

    @threading_helper.requires_working_threading()
    def test_threads_use_what_others_release(self):
        things = [Thing(7), [7], {7}, lambda: 7]
        proxies = list(map(SharedObjectProxy, things))

        def use():
            thing, items, numbers, call = proxies
            try:
                self.assertEqual((thing.value, items[0], 7 in numbers, call()), (7, 7, True, 7))
                thing.value = items[0] = 7
            except DeadProxyError:
                pass

        with used_by_threads(use, DeadProxyError, times=3000) as errors:
            for number in range(3000):
                place = number % len(things)
                interpreters.release(proxies[place])
                proxies[place] = SharedObjectProxy(things[place])
        self.assertEqual(errors, [])


if __name__ == '__main__':
    unittest.main()
