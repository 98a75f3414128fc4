"""A method that was called before is looked up as it is now: what callers remember must not show."""

import unittest
from concurrent.interpreters import SharedObjectProxy

from .support import add_directions


def first(self, value):
    return 'first', value


def second(self, value):
    return 'second', value


def own(value):
    return 'own', value


class Base:
    pass


class Other:
    method = second


#: What can be called, each of a class that nothing else has.
KINDS = {
    'with a dictionary': lambda: type('Kind', (), {'method': first}),
    'with attributes': lambda: type('Kind', (), {
        'method': first, '__init__': lambda self: vars(self).update(a=1, b=2)}),
    'with slots': lambda: type('Kind', (), {'method': first, '__slots__': ('a',)}),
    'with both': lambda: type('Kind', (), {'method': first, '__slots__': ('a', '__dict__')}),
    'inherited': lambda: type('Kind', (type('Parent', (Base,), {'method': first}),), {}),
    'of a list': lambda: type('Kind', (list,), {'method': first}),
    'with a fallback': lambda: type('Kind', (), {
        'method': first, '__getattr__': lambda self, name: own}),
}


def of_another_instance(thing):
    type(thing)().method = own


def many_attributes(thing):
    for i in range(100):
        setattr(thing, f'attribute{i}', i)


def of_the_parent(thing):
    del type(thing).__mro__[-3].method


#: What may happen to it between two calls.
CHANGES = {
    'nothing': lambda thing: None,
    'an attribute of its own': lambda thing: setattr(thing, 'method', own),
    'one in its dictionary': lambda thing: vars(thing).update(method=own),
    'another dictionary': lambda thing: setattr(thing, '__dict__', {'method': own}),
    'an empty dictionary': lambda thing: setattr(thing, '__dict__', {}),
    'an attribute of another instance': of_another_instance,
    'many attributes': many_attributes,
    'many attributes, then that one': lambda thing: (many_attributes(thing),
                                                     setattr(thing, 'method', own)),
    'another method': lambda thing: setattr(type(thing), 'method', second),
    'no method': lambda thing: delattr(type(thing), 'method'),
    'no method in the parent': of_the_parent,
    'a static method': lambda thing: setattr(type(thing), 'method', staticmethod(own)),
    'a class method': lambda thing: setattr(type(thing), 'method', classmethod(first)),
    'a property': lambda thing: setattr(type(thing), 'method', property(lambda self: own)),
    'a value': lambda thing: setattr(type(thing), 'method', 3),
    'another class': lambda thing: setattr(thing, '__class__', Other),
    'its own __getattribute__': lambda thing: setattr(type(thing), '__getattribute__',
                                                      lambda self, name: own),
}


def outcome(thing):
    try:
        return thing.method(1000)
    except (AttributeError, TypeError) as error:
        return type(error).__name__


def outcomes(thing):
    return [outcome(thing) for _ in range(4)]


made = None         # in the owner: what was made last


def make(kind):
    global made
    made = KINDS[kind]()()
    return SharedObjectProxy(made)


def change_made(name):
    return change(made, name)


def change(thing, name):
    """Make the change to the thing; return whether it could be made."""
    try:
        CHANGES[name](thing)
    except (AttributeError, TypeError, IndexError):
        return False
    return True


class Vanishing:
    """One whose method takes itself away while it runs."""

    def method(self, value):
        del type(self).method
        return 'last', value


def make_vanishing():
    return SharedObjectProxy(type('Kind', (), {'method': Vanishing.method})())


class MethodLookupTest:

    def test_call_sees_what_has_changed(self):
        changed = 0
        for kind in KINDS:
            for name in CHANGES:
                with self.subTest(kind=kind, change=name):
                    plain = KINDS[kind]()()
                    proxy = self.owner().call(make, kind)
                    self.assertEqual(self.caller().call(outcomes, proxy), outcomes(plain))
                    could = change(plain, name)
                    self.assertIs(self.owner().call(change_made, name), could)
                    self.assertEqual(self.caller().call(outcomes, proxy), outcomes(plain))
                    changed += could
        self.assertGreater(changed, len(KINDS) * len(CHANGES) / 2)

    def test_change_while_it_runs(self):
        proxy = self.owner().call(make_vanishing)
        self.assertEqual(self.caller().call(outcomes, proxy),
                         [('last', 1000), *['AttributeError'] * 3])

    def test_two_classes_with_one_name(self):
        one = self.owner().call(make, 'with slots')
        other = self.owner().call(make, 'with a dictionary')
        self.owner().call(change_made, 'another method')
        for _ in range(3):
            self.assertEqual(self.caller().call(outcome, one), ('first', 1000))
            self.assertEqual(self.caller().call(outcome, other), ('second', 1000))


add_directions(globals(), MethodLookupTest)


if __name__ == '__main__':
    unittest.main()
