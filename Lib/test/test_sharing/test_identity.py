"""The same object is the same proxy, and an object that comes home is itself."""

import unittest
from concurrent.interpreters import SharedObjectProxy

from . import operations
from .grouping import lines
from .support import MAIN, SharingTestCase, add_directions


class Hub:
    """An object of the owner that hands out objects and keeps what it is given."""

    def __init__(self):
        self.item = []
        self.kept = []

    def me(self):
        return self

    def get(self):
        return self.item

    def both(self):
        return self.item, (self.item,)

    def echo(self, value):
        return value

    def keep(self, value):
        self.kept.append(value)

    def is_me(self, value):
        return value is self

    def is_item(self, value):
        return value is self.item

    def is_kept(self, value):
        return value is self.kept[-1]

    def are_same(self, *values, **named):
        first, *others = *values, *named.values()
        return all(value is first for value in others)

    def is_own_item(self, values):
        return values[0] is self.item

    def __iter__(self):
        return self

    def __next__(self):
        return self.item

    def __getitem__(self, key):
        return key

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def __iadd__(self, other):
        return self

    def __add__(self, other):
        return other

    def __call__(self, value=None):
        return value or self


#: What is true where x is a proxy of a Hub, and y an object of the caller.
IDENTITIES = '''
    x.item is x.item
    x.item is x.get()
    x.get() is x.get()
    x.both()[0] is x.item
    x.both()[0] is x.both()[1][0]
    x.me() is x
    x.me().me() is x
    x() is x
    x.me.__self__ is x
    x.__class__ is x.__class__
    iter(x) is x
    iter(x.item.__iter__()) is not x
    next(x) is x.item
    x.__enter__() is x
    z = x; x += 1; x is z
    z = x.item; z += [1]; z is x.item
    x.item.append(x.item); x.item[0] is x.item
    x.item.append(x); x.item[0] is x
    share(x) is x
    x in [x.me()]
    x == x.me()
    {x: 1}[x.me()] == 1

    x.is_me(x)
    x.is_item(x.item)
    x.is_own_item((x.item,))
    x.is_own_item([x.item])
    x.are_same(x, x.me(), a=x)
    x.item.append(x.item); x.is_own_item(x.item)
    x.keep(x.item); x.is_item(x.kept[0])

    y is x.echo(y)
    y is x.echo((1, (y,)))[1][0]
    y is x[y]
    y is x + y
    y is x(value=y)
    y is x.echo(SharedObjectProxy(y))
    x.keep(y); x.kept[0] is y
    x.keep((y,)); x.kept[0][0] is y
    x.new = y; x.new is y
    x.item.append(y); y in x.item
    x.item.append(y); x.item.pop() is y
    x.item.append(y); [z for z in x.item][0] is y
    x.are_same(y, y)
    x.are_same(y, SharedObjectProxy(y))
    x.are_same(y, a=y, b=y)
    x.keep(y); x.is_kept(y)
    x.keep(y.moved.__func__); x.is_kept(y.moved.__func__)
    x.echo(len) is len
    x.echo(SharedObjectProxy) is SharedObjectProxy
'''


def hub():
    return SharedObjectProxy(Hub())


def holds(source, x):
    return operations.evaluate(source, x=x, y=operations.Point(1, 2), Hub=Hub)


def are_same(one, other):
    return one is other and type(one) is SharedObjectProxy


def address_of_type():
    return id(SharedObjectProxy)


class IdentityTest:

    def test_identity_is_kept(self):
        for source in lines(IDENTITIES):
            with self.subTest(source):
                x = self.owner().call(hub)
                self.assertIs(self.caller().call(holds, source, x), True)

    def test_same_object_twice_is_one_proxy(self):
        x = self.owner().call(hub)
        self.assertTrue(self.caller().call(are_same, x, x))

    def test_type_is_the_same_object(self):
        self.assertEqual(self.caller().call(address_of_type), id(SharedObjectProxy))


add_directions(globals(), IdentityTest, across=True)


class HomeTest(SharingTestCase):

    sub_count = 2

    def test_object_that_went_round_is_itself(self):
        one, other = [sub.call(hub) for sub in self.subs]
        thing = operations.Point(1, 2)
        self.assertIs(one.echo(thing), thing)
        one.keep(thing)
        # Through both interpreters, and home by another way.
        other.keep(one.kept[0])
        self.assertIs(other.kept[0], thing)
        self.assertIs(other.echo(one.kept)[0], thing)

    def test_proxies_of_two_interpreters_meet_as_one(self):
        one, other = [sub.call(hub) for sub in self.subs]
        one.keep(other)
        other.keep(other)
        self.assertIs(one.kept[0], other)
        self.assertIs(other.kept[0], other)
        self.assertTrue(one.are_same(other, one.kept[0]))
        self.assertTrue(other.is_me(one.kept[0]))

    def test_distinct_objects_are_distinct_proxies(self):
        one = self.sub.call(hub)
        self.assertIsNot(one.item, one.kept)
        self.assertNotEqual(id(one.item), id(one))
        self.assertFalse(one.are_same(operations.Point(), operations.Point()))

    def test_proxy_of_home_object_is_not_the_object(self):
        thing = operations.Point(1, 2)
        proxy = MAIN.call(SharedObjectProxy, thing)
        self.assertIsNot(proxy, thing)
        self.assertNotEqual(id(proxy), id(thing))


if __name__ == '__main__':
    unittest.main()
