"""What crosses by itself arrives with its type and value; everything else as a proxy."""

import functools
import unittest
from concurrent.interpreters import SharedObjectProxy
from test.support import import_helper

from . import operations
from .support import add_directions

INTEGERS = [f'{sign}2**{power} {change}' for power in (8, 15, 30, 31, 32, 60, 62, 63, 64, 90, 1000)
            for sign in ('', '-') for change in ('- 1', '+ 0', '+ 1')]

#: Values that cross, as source text, so that each side makes its own.
CROSSING = [
    'None', 'True', 'False', '...', 'NotImplemented',
    '0', '1', '-1', '-5', '-6', '256', '257', '10**5000', '-10**5000', *INTEGERS,
    '0.0', '-0.0', '1.5', 'math.inf', '-math.inf', '5e-324', '1.7976931348623157e308',
    'struct.unpack("<d", b"\\x01\\x02\\x03\\x04\\x05\\x06\\xf8\\x7f")[0]',
    'struct.unpack("<d", b"\\x01\\x02\\x03\\x04\\x05\\x06\\xf8\\xff")[0]',
    '0j', 'complex(-0.0, -0.0)', 'complex(1.5, math.inf)', 'complex(math.nan, 2)',
    '""', '"a"', '"\\x00"', '"é"', '"\\u0394"', '"\\U0001f40d"', '"\\ud800"', '"\\udfff\\ud800"',
    '"ascii only"', '"na\\xefve"', '"\\u0394\\u03b5\\u03bb\\u03c4\\u03b1"', '"snake \\U0001f40d"',
    '"mixed \\xe9\\u0394\\ud83d"', '"a\\x00b"', '"x" * 2**20', '"\\xe9" * 2**20',
    '"\\u0394" * 2**20', '"\\U0001f40d" * 2**18',
    *(f'"s" * {n}' for n in (63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 65535, 65536)),
    'b""', 'b"a"', 'b"\\x00\\xff"', 'bytes(range(256))', 'b"b" * 2**20',
    *(f'b"b" * {n}' for n in (63, 64, 65, 4095, 4096, 4097, 65535, 65536)),
    '()', '(1,)', '((), ((),))', '(None, True, 1.5, "s", b"b", 2**70, 1j, (..., NotImplemented))',
    'tuple(range(1000))', '("x" * 5000, b"y" * 5000) * 3',
    'functools.reduce(lambda inner, _: (inner,), range(50), "core")',
    'frozenset()', 'frozenset({1, "a", b"a", (2, 3)})', 'frozenset({frozenset({frozenset()})})',
    'frozenset(range(1000))',
    'slice(None)', 'slice(1, 2, 3)', 'slice("a", (1, 2), None)', 'slice(2**70, -2**70, -1)',
    'range(0)', 'range(5)', 'range(1, 10, 3)', 'range(10, 0, -1)', 'range(-2**80, 2**80, 2**70)',
    'range(True)',
]

#: What every interpreter has in common, and is the same object in all.
COMMON = [
    'None', 'True', 'False', '...', 'NotImplemented', '5',
    'object', 'type', 'int', 'bool', 'str', 'list', 'dict', 'type(None)', 'type(...)',
    'types.FunctionType', 'types.CodeType', 'type(iter([]))', 'memoryview', 'property', 'super',
    'BaseException', 'Exception', 'ValueError', 'KeyError', 'OSError', 'FileNotFoundError',
    'StopIteration', 'KeyboardInterrupt', 'UnicodeDecodeError', 'BaseExceptionGroup',
    'SharedObjectProxy',
]

#: What is always a proxy on the other side, though some look like values.
WRAPPED = [
    'Text("s")', 'Whole(3)', 'Real(1.5)', 'Data(b"b")', 'Pair((1, 2))', 'Frozen({1})',
    'NamedPair(1, 2)', 'Color.RED', 'IntColor.BLUE', 'Flags.A',
    '[]', '{}', 'set()', 'bytearray(b"a")', 'object()', 'Point', 'Point()', 'len', 'math',
    'signature_log', 'Point().moved', 'iter([])', 'count_to(3)', 'fractions.Fraction(1, 2)',
    'datetime.date(2026, 1, 1)', 'decimal.Decimal("1.5")', 'ValueError("v")', 'time.gmtime(0)',
    'types.MappingProxyType({})', 'weakref.ref(Point)', 'lambda: 1',
]


def same(one, other):
    return operations.describe(one) == operations.describe(other)


def received(source, value):
    """In the owner: whether the value is what the source makes, and the value again."""
    return same(value, operations.evaluate(source)), value


def made(source):
    return operations.evaluate(source)


def send(function, source):
    """In the caller: whether a value arrived as what it is, and came back so."""
    value = operations.evaluate(source)
    arrived, back = function(source, value)
    return arrived, same(back, value), type(back) is type(value)


def fetch(function, source):
    return same(function(source), operations.evaluate(source))


def send_common(function, source):
    value = operations.evaluate(source)
    return function(source, value)[1] is value, operations.evaluate(source) is value


def fetch_common(function, source):
    return function(source) is operations.evaluate(source)


def is_proxy(value):
    return type(value) is SharedObjectProxy


def send_registered(function, source):
    value = operations.evaluate(source)
    name, back = function(value)
    return name == type(value).__name__, type(back) is type(value) and back == value


def send_wrapped(function, source):
    return function(operations.evaluate(source))


def fetch_wrapped(function, source):
    return is_proxy(function(source))


def collect_keywords(**keywords):
    return tuple(keywords.items())


def send_keywords(function, names):
    keywords = dict.fromkeys(names, 1)
    return function(**keywords) == tuple(keywords.items())


def call_by_name(value, *, other=None):
    return value, other


@functools.cache
def kept_names(*sources):
    return tuple(map(operations.evaluate, sources))


def send_names_of_c_code(function, name, other):
    """Call with a tuple of names that the caller keeps, as C code may, and so may the owner."""
    names = kept_names(name, other)
    ctypes = import_helper.import_module('ctypes')
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p,
                                  ctypes.c_size_t, ctypes.py_object)
    vectorcall = prototype(('PyObject_Vectorcall', ctypes.pythonapi))
    results = []
    for n in range(3):
        values = (ctypes.py_object * 2)(n, -n)
        results.append(vectorcall(function, ctypes.addressof(values), 0, names))
    return results == [(n, -n) for n in range(3)]


WRAPPERS = {'tuple': lambda value: (value,), 'frozenset': lambda value: frozenset((value,)),
            'slice': slice}


def nest(depth, wrapper, value=None):
    for _ in range(depth):
        value = WRAPPERS[wrapper](value)
    return value


def identity(value):
    return value


def class_and_value(value):
    return type(value).__name__, value


def send_nested(function, depth, wrapper='tuple'):
    """How the round trip of something deep ended."""
    value = nest(depth, wrapper)
    try:
        back = function(value)
    except RecursionError as error:
        return type(error).__name__
    while back is not None:
        back, = (back.stop,) if wrapper == 'slice' else back
        depth -= 1
    return depth


def alike():
    """Strings, among them many of one length that begin and end alike."""
    for size in range(70):
        yield from (f'{"-" * size}', f'{"-" * size}é', f'{"-" * size}\0')
    for n in range(200):
        yield from (f'key{n}', f'beginning{n:03}end......', f'{n:02x}', f'{"-" * 30}{n:08}{"-" * 25}')


def send_again_and_again(function):
    """What did not come back as it was sent, alone or twice in a tuple."""
    return [text for _ in range(3) for text in alike()
            if function(text) != text or function((text, 0, text)) != (text, 0, text)]


def count_alike(strings):
    return sum(strings.get(text) == text for text in alike())


def fetch_again_and_again(function):
    strings = {text: text for text in alike()}
    return [function(strings) for _ in range(2)] == [len(strings)] * 2


class ValuesTest:

    def function(self, name):
        """Return a proxy, for the caller, of a function of this module in the owner."""
        return self.owner().call(wrapped_function, name)

    def check_all(self, sender, function_name, sources, expected):
        function = self.function(function_name)
        for source in sources:
            with self.subTest(source):
                self.assertEqual(self.caller().call(sender, function, source), expected)

    def test_argument_and_result_round_trip(self):
        self.check_all(send, 'received', CROSSING, (True, True, True))

    def test_result_arrives_exactly(self):
        self.check_all(fetch, 'made', CROSSING, True)

    def test_common_argument_is_the_same_object(self):
        self.check_all(send_common, 'received', COMMON, (True, True))

    def test_common_result_is_the_same_object(self):
        self.check_all(fetch_common, 'made', COMMON, True)

    def test_strings_that_are_alike_arrive_exactly(self):
        function = self.function('identity')
        self.assertEqual(self.caller().call(send_again_and_again, function), [])

    def test_strings_find_the_keys_that_they_equal(self):
        function = self.function('count_alike')
        self.assertTrue(self.caller().call(fetch_again_and_again, function))

    def test_other_argument_is_a_proxy(self):
        self.check_all(send_wrapped, 'is_proxy', WRAPPED, True)

    def test_other_result_is_a_proxy(self):
        self.check_all(fetch_wrapped, 'made', WRAPPED, True)

    def test_registered_types_arrive_as_what_they_are(self):
        self.check_all(send_registered, 'class_and_value', [
            'memoryview(b"abc")', 'interpreters.create_queue()', 'interpreters.get_main()'],
            (True, True))

    def test_items_of_a_tuple_cross_one_by_one(self):
        self.check_all(mixed, 'mix', [
            '(1, [2], ("a", Point(3, 4), (Whole(5),)), frozenset((1, Color.RED)), slice([1], 7))'],
            True)

    def test_keyword_names_arrive_exactly(self):
        self.check_all(send_keywords, 'collect_keywords', [
            ('a', 'b'), ('self', 'cls', 'args', 'kwargs', 'function', 'callable', 'proxy'),
            ('',), (' ', 'a b', '\n'), ('class', 'None', 'lambda'),
            ('é', 'Δ', '名', '\U0001d4b3'), ('\ud800',), ('\x00', 'a\x00b'), ('k' * 100_000,), tuple(f'k{i}' for i in range(300)),
        ], True)

    def test_keyword_names_that_c_code_keeps(self):
        import_helper.import_module('ctypes')
        function = self.function('call_by_name')
        for names in (('"value"', '"other"'), ('Text("value")', '"other"'),
                      ('Word.VALUE', 'Text("other")')):
            with self.subTest(names):
                self.assertTrue(self.caller().call(send_names_of_c_code, function, *names))

    def test_deep_tuple_arrives(self):
        self.check_nested(100, 0)

    def test_too_deep_tuple_is_a_recursion_error(self):
        self.check_nested(1_000_000, 'RecursionError')

    def check_nested(self, depth, expected):
        function = self.function('identity')
        for wrapper in WRAPPERS:
            with self.subTest(wrapper):
                self.assertEqual(self.caller().call(send_nested, function, depth, wrapper), expected)


def wrapped_function(name):
    return SharedObjectProxy(globals()[name])


def mix(source):
    return operations.evaluate(source)


def mixed(function, source):
    number, items, (text, point, (whole,)), of_set, of_slice = function(source)
    return (number == 1 and is_proxy(items) and items[0] == 2 and text == 'a'
            and is_proxy(point) and point.y == 4 and is_proxy(whole) and whole + 1 == 6
            and type(of_set) is frozenset and sorted(map(is_proxy, of_set)) == [False, True]
            and type(of_slice) is slice and is_proxy(of_slice.start) and of_slice.stop == 7)


add_directions(globals(), ValuesTest, across=True)


if __name__ == '__main__':
    unittest.main()
