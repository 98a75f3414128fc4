"""CPython's own generic suites, over objects of another interpreter.

A suite makes what it tests through an attribute (type2test, locktype, ...) or a global of its module
(deque, int, ...).  Here that is a Foreign: it makes the object in another interpreter and hands back
a proxy.

What cannot pass is in EXEMPT, each method with its reason.  Exempt methods run all the same, and
one that passes is an error, so that the table stays true.

    python -m test.test_sharing.generic     prints the table, and how many methods that is of all
"""

import builtins
import collections
import pickle
import pkgutil
import sys
import types
import unittest
import warnings
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy
from test import support
from unittest import mock

from .foreign_class import ClassStatement, Deriver, class_maker
from .support import MAIN, cells_live, settle


TYPE = 'asks for type(x), which is SharedObjectProxy'
VALUE = 'asks for the identity of a value that crosses as a copy'
LEFT = 'a C function looks into an operand of this interpreter, where a proxy does not pass'
SHAPE = 'an operand that should be refused is a proxy, and the type of proxies has every slot'
PROXY = 'asks for what speaks of the proxy: its size, references, hash by identity, reduction'
CYCLE = 'makes a cycle across interpreters, which no collector sees'
REHASH = 'counts how often items are hashed, and what crosses is hashed again'
TIME = 'asks how long it takes'
DESCRIPTOR = 'makes a method of it, but a proxy is no descriptor'
SETUP = 'needs what the suite prepares for its own modules and classes'

#: Methods that do not pass, and never will unless said otherwise: {reason: 'class.method ...'}
EXEMPT = {
    TYPE: '''
        OrderedDictOwnTest.test_merge_operator DateOnlyTest.test_strptime
        DateTimeTest.test_strptime TimeTest.test_strptime TimeTest.test_strptime_tz
        DateTest.test_isocalendar_pickling DateTimeTest.test_isocalendar_pickling
        DateTest.test_subclass_replace DateTimeTest.test_subclass_replace
        DateTimeTest.test_subclass_replace_fold TimeTest.test_subclass_replace
        TimeDeltaTest.test_subclass_timedelta SetTest.test_pickling FrozenSetTest.test_pickling
        SetTest.test_cyclical_repr StrTest.test_fixtype
        DecimalConstructionTest.test_explicit_context_create_from_float
        DecimalConstructionTest.test_explicit_from_float DecimalConstructionTest.test_from_number
        UserStringTest.test_fixtype BytesTest.test__bytes__ BytesTest.test_basics
        BytesTest.test_copy BytesTest.test_imod BytesTest.test_mod ByteArrayTest.test_basics
        ByteArrayTest.test_imod ByteArrayTest.test_mod BytesAsStringTest.test_fixtype
        ByteArrayAsStringTest.test_fixtype IntTest.test_round_with_none_arg_direct_call
        ComplexTest.test___complex__ ComplexTest.test_constructor
        ComplexTest.test_constructor_from_string ComplexTest.test_constructor_special_numbers
        ComplexTest.test_pos DequeTest.test_reversed_new DefaultDictTest.test_copy
        ChainMapTest.test_basics EnumerateTest.test_basicfunction
        ReversedTest.test_range_optimization DictTest.test_fromkeys UserDictTest.test_fromkeys
        DecimalConstructionTest.test_from_number_subclass DecimalUsabilityTest.test_subclassing
        IntTest.test_int_returns_int_subclass FloatTest.test_floatconversion
        FloatTest.test_keywords_in_subclass FloatHexTest.test_subclass
        ChainMapTest.test_union_operators FractionTest.testMixedPower FractionTest.testFromNumber
        FractionTest.testFromNumber_subclass PartialTest.test_construct_placeholder_singleton
        ReTest.test_match_repr EnumTest.test_programmatic_function_string
        EnumTest.test_programmatic_function_string_list
        EnumTest.test_programmatic_function_iterable
        EnumTest.test_programmatic_function_from_dict EnumTest.test_gnv_is_static
        FlagTest.test_programmatic_function_string
        FlagTest.test_programmatic_function_string_list
        FlagTest.test_programmatic_function_iterable
        FlagTest.test_programmatic_function_from_dict FlagTest.test_gnv_is_static
        IntEnumTest.test_programmatic_function_string
        IntEnumTest.test_programmatic_function_string_list
        IntEnumTest.test_programmatic_function_iterable
        IntEnumTest.test_programmatic_function_from_dict IntEnumTest.test_gnv_is_static
        StrEnumTest.test_programmatic_function_string
        StrEnumTest.test_programmatic_function_string_list
        StrEnumTest.test_programmatic_function_iterable
        StrEnumTest.test_programmatic_function_from_dict StrEnumTest.test_gnv_is_static
        IntFlagTest.test_programmatic_function_string
        IntFlagTest.test_programmatic_function_string_list
        IntFlagTest.test_programmatic_function_iterable
        IntFlagTest.test_programmatic_function_from_dict IntFlagTest.test_gnv_is_static
        DateTimeTests.test_sql_timestamp OpenTests.test_database_keyword
        IpaddrUnitTest.testIpType''',
    VALUE: '''
        TimeZoneTest.test_pickle IterTest.test_mutating_seq_class_iter_pickle
        FrozenSetTest.test_copy DecimalContextTest.test_copy IntTest.test_small_ints
        DequeTest.test_copy OperatorTest.test_indexOf OperatorTest.test_countOf
        OperatorTest.test_is OperatorTest.test_is_not PartialTest.test_copy
        PartialTest.test_pickle''',
    LEFT: '''
        DateTest.test_replace DateTest.test_strftime_trailing_percent
        DateTimeTest.test_more_ctime DateTimeTest.test_replace
        DateTimeTest.test_strftime_trailing_percent TimeTest.test_replace
        TimeDeltaTest.test_issue31293 TimeZoneTest.test_fromutc ZoneConversionTest.test_fromutc
        UserListTest.test_copy StrTest.test_find_many_lengths
        DecimalConstructionTest.test_explicit_from_list BytesTest.test_center
        BytesTest.test_ljust BytesTest.test_rjust ByteArrayTest.test_center
        ByteArrayTest.test_ljust ByteArrayTest.test_rjust ByteArrayTest.test_ord
        IntTest.test_non_numeric_input_types BytesIOTest.test_setstate StringIOTest.test_setstate
        StringIOTest.test_write_str_subclass DefaultDictTest.test_union
        CounterTest.test_multiset_operations BytesTest.test_join_concurrent_buffer_mutation
        ByteArrayTest.test_join_concurrent_buffer_mutation ArrayTest.test_tofrombytes
        DecimalContextTest.test_pickle PartialTest.test_recursive_pickle
        PartialTest.test_recursive_repr PartialTest.test_setstate
        PartialTest.test_setstate_subclasses ReTest.test_basic_re_sub ReTest.test_bug_764548
        ReTest.test_re_findall ReTest.test_re_fullmatch ReTest.test_re_match ReTest.test_re_split
        ReTest.test_pickling EnumTest.test_dir_on_class FlagTest.test_dir_on_class
        IntEnumTest.test_dir_on_class StrEnumTest.test_dir_on_class IntFlagTest.test_dir_on_class
        ConnectionTests.test_connection_reinit DeclTypesTests.test_foo''',
    SHAPE: 'StrTest.test_subscript UserStringTest.test_subscript',
    SETUP: '''
        OrderedDictOwnTest.test_abc CounterTest.test_basics
        IterTest.test_reduce_mutating_builtins_iter PartialTest.test_partial_genericalias
        EnumTest.test_multiple_superclasses_repr FlagTest.test_multiple_superclasses_repr
        IntEnumTest.test_multiple_superclasses_repr StrEnumTest.test_multiple_superclasses_repr
        IntFlagTest.test_multiple_superclasses_repr StrEnumTest.test_contains_tf
        RowTests.test_row_is_a_sequence ConnectionTests.test_connection_resource_warning''',
    TIME: 'ReTest.test_search_anchor_at_beginning',
    DESCRIPTOR: 'PartialTest.test_partial_as_method LRUTest.test_lru_method',
    PROXY: '''
        OrderedDictOwnTest.test_sizeof OrderedDictOwnTest.test_sizeof_exact
        OrderedDictOwnTest.test_reduce_not_too_fat OrderedDictOwnTest.test_yaml_linkage
        FloatTest.test_hash_nan DequeTest.test_sizeof BytesIOTest.test_cow_setstate
        BytesIOTest.test_cow_truncate BytesIOTest.test_cow_write
        IterTest.test_ref_counting_behavior ArrayTest.test_sizeof_with_buffer
        ArrayTest.test_reduce_ex DecimalUsabilityTest.test_hash_method_nan
        StructTest.test__sizeof__''',
    CYCLE: '''
        OrderedDictOwnTest.test_reference_loop DequeTest.test_container_iterator
        ListTest.test_free_after_iterating''',
    REHASH: 'SetTest.test_do_not_rehash_dict_keys FrozenSetTest.test_do_not_rehash_dict_keys',
}

if support.Py_GIL_DISABLED:
    # An iterator that has ended keeps what it iterated.
    EXEMPT[CYCLE] += '''
        TupleTest.test_free_after_iterating BytesTest.test_free_after_iterating
        ByteArrayTest.test_free_after_iterating ArrayTest.test_free_after_iterating'''

if support.Py_DEBUG:
    # Pattern._fail_after(), which debug builds have, takes a class of exceptions.
    EXEMPT[LEFT] += ' ReTest.test_memory_leaks'

#: Exempt methods that pass when memory happens not to be used again, or the machine is fast: these
#: are left out.
BY_CHANCE = {'DecimalContextTest.test_copy', 'ReTest.test_search_anchor_at_beginning'}

#: The test modules: test_generic_<topic>.
TOPICS = (
    'containers', 'ordered', 'numbers', 'dates', 'strings', 'enums', 'threads', 'streams', 'files',
    'databases', 'iterators', 'functions', 'library')


def exemptions(cls):
    """Return {method: reason} for a class."""
    return {method: reason for reason, names in EXEMPT.items()
            for owner, _, method in (name.partition('.') for name in names.split())
            if owner == cls.__name__}


def make_factory(name):
    """Return three proxies: of a class, of what makes proxies of its objects, of what derives."""
    try:
        cls = pkgutil.resolve_name(name)
    except ImportError:
        cls = getattr(builtins, name)

    def make(*args, **kwargs):
        return SharedObjectProxy(cls(*args, **kwargs))
    return SharedObjectProxy(cls), SharedObjectProxy(make), class_maker()


class Foreign:
    """A class of another interpreter; to call it makes a proxy of a new object there.

    A class that is derived from it is made there, too, and over there it is the class itself.
    A module will do as well; its classes are Foreigns then.
    """

    OWN = {'name', 'members', 'cls', 'make', 'deriver'}

    def __init__(self, name):
        self.name = name
        self.members = {}

    def open(self, place):
        self.cls, self.make, make_class = place.call(make_factory, self.name)
        self.deriver = Deriver(make_class)

    def close(self):
        del self.cls, self.make, self.deriver
        self.members.clear()

    def __call__(self, /, *args, **kwargs):
        return self.make(*args, **kwargs)

    def __getitem__(self, item):
        return self.cls[item]

    def __dir__(self):
        return dir(self.cls)

    def __instancecheck__(self, instance):
        return isinstance(instance, self.cls)

    def __subclasscheck__(self, cls):
        return issubclass(cls, self.cls)

    def __mro_entries__(self, bases):
        return ClassStatement,

    def __share__(self):
        return self.cls

    def __setattr__(self, name, value):
        if name in self.OWN:
            return super().__setattr__(name, value)
        setattr(self.cls, name, value)

    def __getattribute__(self, name):
        # These are the class's too, though an instance of any class has them.
        if name.startswith('__') and name not in ('__class__', '__mro_entries__'):
            return getattr(self.cls, name)
        return super().__getattribute__(name)

    def __getattr__(self, name):
        if name in self.OWN:
            raise AttributeError(name)
        value = getattr(self.cls, name)
        if not isinstance(self.cls, types.ModuleType) or not may_be_base(value):
            return value
        return self.members.setdefault(name, ForeignMember(value, self.deriver))


def may_be_base(value):
    return isinstance(value, type) and not issubclass(value, BaseException)


class ForeignMember(Foreign):
    """A class in a module of another interpreter."""

    def __init__(self, cls, deriver):
        self.cls = self.make = cls
        self.deriver = deriver


class ForeignPickle:
    """The pickle module for a suite: what it pickles through proxies is made again over there."""

    def __init__(self):
        self.through_proxies = set()

    def open(self, place):
        self.dumps_there, _, _ = place.call(make_factory, 'pickle.dumps')
        _, self.loads_there, _ = place.call(make_factory, 'pickle.loads')

    def close(self):
        del self.dumps_there, self.loads_there

    def dumps(self, obj, *args, **kwargs):
        if type(obj) is SharedObjectProxy:
            dumps = pickle.dumps
        elif type(obj) is tuple and SharedObjectProxy in map(type, obj):
            # They may know each other.
            dumps = self.dumps_there
        else:
            return pickle.dumps(obj, *args, **kwargs)
        data = dumps(obj, *args, **kwargs)
        self.through_proxies.add(data)
        return data

    def loads(self, data):
        return self.loads_there(data) if data in self.through_proxies else pickle.loads(data)

    def __getattr__(self, name):
        return getattr(pickle, name)


def forward_warnings(show):
    """Over there: have every warning shown by a function; return a proxy of what ends that."""
    # The filters that count here; without the GIL those of the context, if it has any.
    filters, old_show = warnings._get_filters(), warnings.showwarning
    old_filters = filters[:]

    def end():
        warnings.showwarning = old_show
        filters[:] = old_filters
        warnings._filters_mutated()

    def forward(message, category, filename, lineno, file=None, line=None):
        show(str(message), category, filename, lineno)
    warnings.simplefilter('always')
    warnings.showwarning = forward
    return SharedObjectProxy(end)


def show_warning(message, category, filename, lineno):
    if filename in ('<sys>', __file__):
        # It is about whoever called from here.
        warnings.warn(message, category, skip_file_prefixes=(__file__,))
    else:
        warnings.warn_explicit(message, category, filename, lineno)


class Generic:
    """Goes in front of a suite's class; its Foreign attributes belong to one new interpreter."""

    suites = []

    #: Where the Foreign attributes belong, if that is no new interpreter.
    place = None

    #: The suite's module, if the Foreigns take the place of its globals.
    suite_module = None

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
        show = SharedObjectProxy(show_warning)
        cls.addClassCleanup(place.call(forward_warnings, show))
        cls.pickle = ForeignPickle()
        for foreign in {cls.pickle, *cls.foreigners().values()}:
            foreign.open(place)
            cls.addClassCleanup(foreign.close)

    def setUp(self):
        # Somebody may keep the test, and so what setUp() made.
        self.addCleanup(drop_objects, self)
        for foreign in self.foreigners().values():
            self.addCleanup(foreign.deriver.forget)
        if self.suite_module is not None:
            self.enterContext(mock.patch.multiple(self.suite_module, create=True,
                                                  **self.foreigners()))
        for module in {sys.modules[cls.__module__] for cls in type(self).suite.__mro__}:
            if hasattr(module, 'pickle'):
                self.enterContext(mock.patch.object(module, 'pickle', self.pickle))
        super().setUp()

    @classmethod
    def foreigners(cls):
        return {name: value for name, value in vars(cls).items() if isinstance(value, Foreign)}

    @classmethod
    def _check_cells(cls, place, before):
        left = settle([MAIN, place], before)
        if left > before + cls.cycles:
            raise AssertionError(f'{cls.__name__} left {left - before} cells behind')


def make_suite(name, *bases, suite_module=None, cycles=0, **classes):
    """Return a test case of a suite, its first base, in which it gets those foreign classes.

    They are given by name, or made already.
    """
    if not issubclass(bases[0], unittest.TestCase):
        bases += (unittest.TestCase,)
    attributes = {key: name if isinstance(name, Foreign) else Foreign(name)
                  for key, name in classes.items()}
    attributes.update(suite=bases[0], suite_module=suite_module, cycles=cycles)
    return type(name, (Generic, *bases), attributes)


def add_suites(namespace, suites):
    """Add a test case to a module for each of {name: (the suite's class, ..., foreign classes)}.

    What comes in between is the suite's module, if it finds the classes as globals there.
    """
    for name, (base, *module, classes) in suites.items():
        case = make_suite(name, base, suite_module=module[0] if module else None, **classes)
        case.__module__ = namespace['__name__']
        namespace[name] = case


def exempt(method, reason, mark):
    def test(self):
        return method(self)
    test.__doc__ = reason
    return mark(test)


def drop_objects(test):
    for name in [name for name in vars(test) if not name.startswith('_')]:
        delattr(test, name)


def main(*, list_methods=True):
    from test.test_sharing import generic
    for topic in TOPICS:
        __import__(f'test.test_sharing.test_generic_{topic}')
    loader, kinds, count = unittest.TestLoader(), collections.Counter(), 0
    for cls in generic.Generic.suites:
        count += len(loader.getTestCaseNames(cls))
        for method, reason in exemptions(cls).items():
            kinds[reason] += 1
            if list_methods:
                print(f'{cls.__name__}.{method}: {reason}')
    for reason, exempt_count in kinds.most_common():
        print(f'{exempt_count:3} {reason}')
    print(f'{kinds.total()} of {count} methods are exempt ({kinds.total() / count:.2%})')


if __name__ == '__main__':
    main()
