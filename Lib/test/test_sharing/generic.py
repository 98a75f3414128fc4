"""CPython's own generic suites, over objects of another interpreter.

A suite makes what it tests through an attribute (type2test, locktype, ...).  Here that is a
Foreign: it makes the object in another interpreter and hands back a proxy.

What cannot pass is in EXEMPT, each method with its reason.  Exempt methods run all the same, and
one that passes is an error, so that the table stays true.

    python -m test.test_sharing.generic     prints the table, and how many methods that is of all
"""

import unittest
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy

from .support import MAIN, cells_live, settle


SUBCLASS = 'derives from the class under test: a proxied class cannot be a base class'
TYPE = 'asks for type(x), which is SharedObjectProxy'
VALUE = 'asks for the identity of a value that crosses as a copy'
LEFT = 'a C function looks into an operand of this interpreter, where a proxy does not pass'
SHAPE = 'an operand that should be refused is a proxy, and the type of proxies has every slot'
REHASH = 'counts how often items are hashed, and what crosses is hashed again'
SETUP = 'needs what the suite prepares for its own modules and classes'

#: Methods that do not pass, and never will unless said otherwise: {reason: 'class.method ...'}
EXEMPT = {
    SUBCLASS: '''
        ListTest.test_free_after_iterating ListTest.test_getitemoverwriteiter ListTest.test_mul
        TupleTest.test_free_after_iterating TupleTest.test_getitemoverwriteiter TupleTest.test_mul
        UserListTest.test_free_after_iterating UserListTest.test_getitemoverwriteiter
        UserListTest.test_mul DictTest.test_fromkeys UserDictTest.test_fromkeys
        SetTest.test_free_after_iterating SetTest.test_subclass_with_custom_hash
        FrozenSetTest.test_free_after_iterating FrozenSetTest.test_subclass_with_custom_hash
        StrTest.test_mul DecimalConstructionTest.test_from_number_subclass
        DecimalFormatTest.test_decimal_from_float_argument_type
        DecimalUsabilityTest.test_subclassing''',
    TYPE: '''
        SetTest.test_pickling FrozenSetTest.test_pickling SetTest.test_cyclical_repr
        FractionTest.testMixedDivision FractionTest.testMixedIntegerDivision
        FractionTest.testMixedMultiplication StrTest.test_fixtype
        DecimalConstructionTest.test_explicit_context_create_from_float
        DecimalConstructionTest.test_explicit_from_float DecimalConstructionTest.test_from_number
        DecimalUsabilityTest.test_hash_method_nan''',
    VALUE: 'FrozenSetTest.test_copy DecimalContextTest.test_copy',
    LEFT: '''
        UserListTest.test_copy StrTest.test_find_many_lengths
        DecimalConstructionTest.test_explicit_from_list''',
    SHAPE: '''
        StrTest.test_subscript''',
    SETUP: '''
        DecimalConstructionTest.test_explicit_context_create_decimal
        DecimalConstructionTest.test_explicit_from_string DecimalUsabilityTest.test_tonum_methods
        DecimalContextTest.test_pickle DecimalFormatTest.test_n_format
        DecimalFormatTest.test_deprecated_N_format DecimalImplicitTest.test_implicit_from_int
        DecimalUsabilityTest.test_decimal_fraction_comparison
        FractionTest.test_limit_int FractionTest.testMixedPower''',
    REHASH: 'SetTest.test_do_not_rehash_dict_keys FrozenSetTest.test_do_not_rehash_dict_keys',
}

#: Exempt methods that pass when memory happens not to be used again: these are left out.
BY_CHANCE = {'DecimalContextTest.test_copy'}


def exemptions(cls):
    """Return {method: reason} for a class."""
    return {method: reason for reason, names in EXEMPT.items()
            for owner, _, method in (name.partition('.') for name in names.split())
            if owner == cls.__name__}


def make_factory(source):
    """Return proxies of a class, found by source text, and of a function that makes a proxy."""
    namespace = {}
    for name in 'collections', 'decimal', 'fractions', 'threading':
        if name in source:
            namespace[name] = __import__(name)
    cls = eval(source, namespace)

    def make(*args, **kwargs):
        return SharedObjectProxy(cls(*args, **kwargs))
    return SharedObjectProxy(cls), SharedObjectProxy(make)


class Foreign:
    """A class of another interpreter; to call it makes a proxy of a new object there."""

    def __init__(self, source):
        self.source = source

    def open(self, place):
        self.cls, self.make = place.call(make_factory, self.source)

    def close(self):
        del self.cls, self.make

    def __call__(self, /, *args, **kwargs):
        return self.make(*args, **kwargs)

    def __instancecheck__(self, instance):
        return isinstance(instance, self.cls)

    def __subclasscheck__(self, cls):
        return issubclass(cls, self.cls)

    def __mro_entries__(self, bases):
        raise TypeError('a proxied class cannot be a base class')

    def __getattr__(self, name):
        if name in ('cls', 'make'):
            raise AttributeError(name)
        return getattr(self.cls, name)


class Generic:
    """Goes in front of a suite's class; its Foreign attributes belong to one new interpreter."""

    suites = []

    #: Cells of cycles across interpreters that the suite makes; they end with the interpreter.
    cycles = 0

    def __init_subclass__(cls):
        super().__init_subclass__()
        Generic.suites.append(cls)
        for method, reason in exemptions(cls).items():
            by_chance = f'{cls.__name__}.{method}' in BY_CHANCE
            mark = unittest.skip(reason) if by_chance else unittest.expectedFailure
            setattr(cls, method, exempt(getattr(cls, method), reason, mark))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        before = cells_live()
        cls.sub = interpreters.create()
        cls.addClassCleanup(cls.sub.close)
        cls.addClassCleanup(cls._check_cells, before)
        for foreign in cls.foreigners():
            foreign.open(cls.sub)
            cls.addClassCleanup(foreign.close)

    @classmethod
    def foreigners(cls):
        return [value for value in vars(cls).values() if isinstance(value, Foreign)]

    @classmethod
    def _check_cells(cls, before):
        left = settle([MAIN, cls.sub], before)
        if left > before + cls.cycles:
            raise AssertionError(f'{cls.__name__} left {left - before} cells behind')


def exempt(method, reason, mark):
    def test(self):
        # The result keeps a test that fails, and so what setUp() made.
        self.addCleanup(drop_proxies, self)
        return method(self)
    test.__doc__ = reason
    return mark(test)


def drop_proxies(test):
    for name, value in list(vars(test).items()):
        if type(value) is SharedObjectProxy:
            delattr(test, name)


def main():
    from test.test_sharing import generic
    for topic in 'containers', 'numbers', 'strings', 'threads':
        __import__(f'test.test_sharing.test_generic_{topic}')
    loader, exempt_count, count = unittest.TestLoader(), 0, 0
    for cls in generic.Generic.suites:
        count += len(loader.getTestCaseNames(cls))
        for method, reason in exemptions(cls).items():
            exempt_count += 1
            print(f'{cls.__name__}.{method}: {reason}')
    print(f'{exempt_count} of {count} methods are exempt ({exempt_count / count:.1%})')


if __name__ == '__main__':
    main()
