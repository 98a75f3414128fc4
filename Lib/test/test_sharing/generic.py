"""CPython's own generic suites, over objects of another interpreter.

A suite makes what it tests through an attribute (type2test, locktype, ...) or a global of its module
(deque, int, ...).  Here that is a Foreign: it makes the object in another interpreter and hands back
a proxy.

What cannot pass is in EXEMPT, each method with its reason.  Exempt methods run all the same, and
one that passes is an error, so that the table stays true.

    python -m test.test_sharing.generic     prints the table, and how many methods that is of all
"""

import unittest
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy
from unittest import mock

from .support import MAIN, cells_live, settle


SUBCLASS = 'derives from the class under test: a proxied class cannot be a base class'
TYPE = 'asks for type(x), which is SharedObjectProxy'
VALUE = 'asks for the identity of a value that crosses as a copy'
LEFT = 'a C function looks into an operand of this interpreter, where a proxy does not pass'
SHAPE = 'an operand that should be refused is a proxy, and the type of proxies has every slot'
PROXY = 'asks for what speaks of the proxy: its size, its references, its hash by identity'
CYCLE = 'makes a cycle across interpreters, which no collector sees'
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
        DecimalUsabilityTest.test_subclassing UserStringTest.test_mul
        BytesTest.test_free_after_iterating ByteArrayTest.test_free_after_iterating
        BytesAsStringTest.test_mul ByteArrayAsStringTest.test_mul BytesIOTest.test_pickling
        BytesIOTest.test_subclassing StringIOTest.test_pickling StringIOTest.test_subclassing
        PyStringIOTest.test_pickling PyStringIOTest.test_subclassing
        IntTest.test_int_returns_int_subclass IntTest.test_int_subclass_with_index
        IntTest.test_int_subclass_with_int FloatTest.test_floatconversion
        FloatTest.test_keywords_in_subclass FloatHexTest.test_subclass
        DequeSequenceTest.test_getitemoverwriteiter DequeSequenceTest.test_mul
        DefaultDictTest.test_recursive_repr CounterTest.test_copy_subclass
        CounterTest.test_helper_function ChainMapTest.test_missing
        ChainMapTest.test_union_operators ArrayTest.test_free_after_iterating
        ArrayTest.test_subclassing''',
    TYPE: '''
        SetTest.test_pickling FrozenSetTest.test_pickling SetTest.test_cyclical_repr
        FractionTest.testMixedDivision FractionTest.testMixedIntegerDivision
        FractionTest.testMixedMultiplication StrTest.test_fixtype
        DecimalConstructionTest.test_explicit_context_create_from_float
        DecimalConstructionTest.test_explicit_from_float DecimalConstructionTest.test_from_number
        DecimalUsabilityTest.test_hash_method_nan UserStringTest.test_fixtype
        BytesTest.test__bytes__ BytesTest.test_basics BytesTest.test_copy BytesTest.test_imod
        BytesTest.test_iterator_pickling BytesTest.test_mod ByteArrayTest.test_basics
        ByteArrayTest.test_imod ByteArrayTest.test_iterator_pickling ByteArrayTest.test_mod
        BytesAsStringTest.test_fixtype ByteArrayAsStringTest.test_fixtype
        IntTest.test_round_with_none_arg_direct_call ComplexTest.test___complex__
        ComplexTest.test_constructor ComplexTest.test_constructor_from_string
        ComplexTest.test_constructor_special_numbers ComplexTest.test_pos
        DequeTest.test_iterator_pickle DequeTest.test_reversed_new DefaultDictTest.test_copy
        ChainMapTest.test_basics IterTest.test_mutating_seq_class_iter_pickle
        EnumerateTest.test_basicfunction EnumerateTest.test_pickle EnumerateStartTest.test_pickle
        ReversedTest.test_pickle ReversedTest.test_range_optimization
        RangeTest.test_iterator_pickling ArrayTest.test_iterator_pickle
        ArrayTest.test_reverse_iterator_picking''',
    VALUE: '''
        FrozenSetTest.test_copy DecimalContextTest.test_copy IntTest.test_small_ints
        DequeTest.test_copy''',
    LEFT: '''
        UserListTest.test_copy StrTest.test_find_many_lengths
        DecimalConstructionTest.test_explicit_from_list BytesTest.test_center BytesTest.test_ljust
        BytesTest.test_rjust ByteArrayTest.test_center ByteArrayTest.test_ljust
        ByteArrayTest.test_rjust ByteArrayTest.test_ord IntTest.test_non_numeric_input_types
        BytesIOTest.test_setstate StringIOTest.test_setstate StringIOTest.test_write_str_subclass
        DefaultDictTest.test_union CounterTest.test_multiset_operations
        DequeSequenceTest.test_pickle BytesTest.test_join_concurrent_buffer_mutation
        ByteArrayTest.test_join_concurrent_buffer_mutation ArrayTest.test_pickle
        ArrayTest.test_pickle_for_empty_array ArrayTest.test_tofrombytes''',
    SHAPE: '''
        StrTest.test_subscript UserStringTest.test_subscript''',
    SETUP: '''
        DecimalContextTest.test_pickle DecimalFormatTest.test_n_format
        DecimalFormatTest.test_deprecated_N_format FractionTest.test_limit_int
        FractionTest.testMixedPower ComplexTest.test_richcompare
        ComplexTest.test_richcompare_boundaries CounterTest.test_basics
        IterTest.test_reduce_mutating_builtins_iter ArrayTest.test_reduce_ex
        ItertoolsTest.test_immutable_types''',
    PROXY: '''
        FloatTest.test_hash_nan DequeTest.test_sizeof BytesIOTest.test_cow_setstate
        BytesIOTest.test_cow_truncate BytesIOTest.test_cow_write
        IterTest.test_ref_counting_behavior ArrayTest.test_sizeof_with_buffer''',
    CYCLE: '''
        DequeTest.test_container_iterator''',
    REHASH: 'SetTest.test_do_not_rehash_dict_keys FrozenSetTest.test_do_not_rehash_dict_keys',
}

#: Exempt methods that pass when memory happens not to be used again: these are left out.
BY_CHANCE = {'DecimalContextTest.test_copy'}

#: The test modules: test_generic_<topic>.
TOPICS = 'containers', 'numbers', 'strings', 'threads', 'streams', 'iterators'


def exemptions(cls):
    """Return {method: reason} for a class."""
    return {method: reason for reason, names in EXEMPT.items()
            for owner, _, method in (name.partition('.') for name in names.split())
            if owner == cls.__name__}


def make_factory(source):
    """Return proxies of a class, found by source text, and of a function that makes a proxy."""
    module = source.partition('.')[0]
    try:
        cls = eval(source, {module: __import__(module)})
    except ImportError:
        cls = eval(source)

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

    #: Where the Foreign attributes belong, if that is no new interpreter.
    place = None

    #: The suite's module, if the Foreigns take the place of its globals.
    module = None

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
        place = cls.place
        if place is None:
            place = interpreters.create()
            cls.addClassCleanup(place.close)
        cls.addClassCleanup(cls._check_cells, place, before)
        for foreign in cls.foreigners().values():
            foreign.open(place)
            cls.addClassCleanup(foreign.close)

    def setUp(self):
        # Somebody may keep the test, and so what setUp() made.
        self.addCleanup(drop_proxies, self)
        if self.module is not None:
            self.enterContext(mock.patch.multiple(self.module, create=True, **self.foreigners()))
        super().setUp()

    @classmethod
    def foreigners(cls):
        return {name: value for name, value in vars(cls).items() if isinstance(value, Foreign)}

    @classmethod
    def _check_cells(cls, place, before):
        left = settle([MAIN, place], before)
        if left > before + cls.cycles:
            raise AssertionError(f'{cls.__name__} left {left - before} cells behind')


def make_suite(name, *bases, module=None, cycles=0, **classes):
    """Return a test case of a suite, its first base, in which it gets those foreign classes.

    They are given by source text.
    """
    if not issubclass(bases[0], unittest.TestCase):
        bases += (unittest.TestCase,)
    attributes = {name: Foreign(source) for name, source in classes.items()}
    return type(name, (Generic, *bases), dict(attributes, module=module, cycles=cycles))


def add_suites(namespace, suites):
    """Add a test case to a module for each of {name: (the suite's class, ..., foreign classes)}.

    What comes in between is the suite's module, if it finds the classes as globals there.
    """
    for name, (base, *module, classes) in suites.items():
        case = make_suite(name, base, module=module[0] if module else None, **classes)
        case.__module__ = namespace['__name__']
        namespace[name] = case


def exempt(method, reason, mark):
    def test(self):
        return method(self)
    test.__doc__ = reason
    return mark(test)


def drop_proxies(test):
    for name, value in list(vars(test).items()):
        if type(value) is SharedObjectProxy:
            delattr(test, name)


def main():
    from test.test_sharing import generic
    for topic in TOPICS:
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
