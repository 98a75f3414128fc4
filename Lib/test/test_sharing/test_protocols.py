"""Protocols that take more than one operation: buffers, await, patterns, raise and throw()."""

import asyncio
import collections.abc
import inspect
import operator
from concurrent import interpreters
from concurrent.interpreters import InterpreterError, SharedObjectProxy

from test.support import import_helper

from .support import SharingTestCase, add_directions


# What the owner has.

class Countdown:
    def __init__(self, start):
        self.left = start

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


class AsyncBlock:
    def __init__(self):
        self.seen = []

    async def __aenter__(self):
        self.seen.append('entered')
        return self

    async def __aexit__(self, cls, exc, traceback):
        self.seen.append(cls.__name__)
        return True


class Suspending:
    def __await__(self):
        answer = yield 'first'
        return answer


async def double(value):
    return 2 * value


async def fail(value):
    raise LookupError(value)


async def count(stop):
    for i in range(stop):
        yield i


async def suspended(log):
    try:
        return await Suspending()
    except ValueError as exc:
        return 'caught', *exc.args
    finally:
        log('finally')


async def async_echo(log):
    got = None
    try:
        while True:
            try:
                got = yield got
            except ValueError as exc:
                got = ('caught', *exc.args)
    finally:
        log('finally')


def echo():
    """A generator that gives back what it is sent, and tells what it is thrown."""
    got = None
    while True:
        try:
            got = yield got
        except ValueError as exc:
            got = ('caught', *exc.args)


def make(name, *args):
    return SharedObjectProxy(globals()[name](*args))


def make_bytes(text):
    return SharedObjectProxy(bytearray(text))


def make_value(source):
    return SharedObjectProxy(eval(source, {'collections': collections, 'Place': Place}))


def function(name):
    return SharedObjectProxy(globals()[name])


# What the caller does; each returns something to compare.

def look_through(p):
    with memoryview(p) as view:
        view[0] = ord('H')
        facts = view.nbytes, view.format, view.itemsize, view.ndim, view.readonly
        return bytes(view), facts, view[1:3].tobytes()


def grow_while_held(p):
    view = memoryview(p)
    try:
        p.append(1)
    except BufferError:
        held = True
    else:
        held = False
    view.release()
    p.append(1)
    return held, len(p)


def make_bytes_of(p):
    return bytes(p), bytearray(p), b''.join([p, p]), b'-' + p


def view_of_none(p):
    try:
        memoryview(p)
    except TypeError:
        return 'TypeError'


def read_view(view):
    return bytes(view)


def write_view(view, text):
    view[:] = text


def run(p):
    return asyncio.run(p)


def await_it(p):
    async def main():
        try:
            return await p
        except (LookupError, TypeError) as exc:
            return type(exc).__name__
    return asyncio.run(main())


def drive(p):
    """Await by hand, sending an answer to what it waits for."""
    async def main():
        return await p
    coroutine = main()
    asked = coroutine.send(None)
    try:
        coroutine.send('answer')
    except StopIteration as stop:
        return asked, stop.value


def stopped_by(function, *args):
    try:
        function(*args)
    except StopIteration as stop:
        return stop.value


def drive_coroutine(make, log):
    """Send into, throw into and close coroutines by hand."""
    sent, thrown, closed = make(log), make(log), make(log)
    return ([p.send(None) for p in (sent, thrown, closed)], stopped_by(sent.send, 'answer'),
            stopped_by(thrown.throw, ValueError('thrown')), closed.close(),
            inspect.getcoroutinestate(closed))


def drive_async_generator(make, log):
    async def main():
        p = make(log)
        return (await anext(p), await p.asend('sent'), await p.athrow(ValueError('thrown')),
                await p.asend('again'), await p.aclose(), await anext(p, 'end'))
    return asyncio.run(main())


def gather(make, log):
    async def main():
        return await asyncio.gather(*(make(number) for number in range(3)))
    return asyncio.run(main())


def collect_async(p):
    async def main():
        try:
            return [item async for item in p]
        except TypeError as exc:
            return type(exc).__name__
    return asyncio.run(main())


def in_block(p):
    async def main():
        async with p:
            1 / 0
    asyncio.run(main())
    return list(p.seen)


def delegate(p):
    def outer():
        yield from p
    generator = outer()
    return (next(generator), generator.send(5), generator.throw(ValueError('thrown')),
            p.send(6), p.throw(ValueError('again')))


def match_sequence(p):
    match p:
        case [first, *rest]:
            return first, rest
    return 'no sequence'


def match_mapping(p):
    match p:
        case {'a': value, **rest}:
            return value, rest
    return 'no mapping'


class Place:
    __match_args__ = 'x', 'y'

    def __init__(self, x, y):
        self.x, self.y = x, y


def match_parts(p):
    match p:
        case Place(1, y):
            return 'by position', y
        case Place(x=x, y=[first, *rest]):
            return 'by name', x, first, len(rest)
        case Place():
            return 'Place'
        case [Place(x, 1) | {'x': x}, str(text)]:
            return 'in a sequence', x, text[0]
        case {'place': Place(x, y), **rest} if len(rest) == 1:
            return 'in a mapping', x, y
        case Exception(args=[arg]):
            return 'exception', arg
        case type():
            return 'class', p.__name__
        case 5 | 6:
            return 'a value'
        case 'text':
            return 'a text'
        case float(number) if number > 1:
            return 'guarded', number
        case []:
            return 'empty'
        case collections.abc.Set():
            return 'an abstract class'
    return 'nothing'


def match_class(p):
    match p:
        case int():
            return 'int'
        case str():
            return 'str'
    return 'neither'


def raised(p):
    try:
        raise p
    except BaseException as exc:
        return type(exc).__name__, exc.args


def raised_from(p):
    try:
        raise RuntimeError from p
    except RuntimeError as exc:
        return type(exc.__cause__).__name__, exc.__cause__.args


def shapes(p):
    """What C code learns from slots and Python code from attributes and classes."""
    return (
        operator.length_hint(p, -1) if hasattr(p, '__len__') else None,
        hasattr(p, '__iter__'), hasattr(p, '__await__'), hasattr(p, '__buffer__'),
        callable(p), inspect.isawaitable(p), inspect.isgenerator(p), inspect.iscoroutine(p),
        isinstance(p, collections.abc.AsyncIterator), isinstance(p, collections.abc.Sequence),
        match_sequence(p) == 'no sequence', match_mapping(p) == 'no mapping',
        getattr(p, 'nothing', 'default'))


class Protocols:

    def using(self, function, *makers):
        """Call the function, in the caller, with a proxy of what was made in the owner."""
        return self.caller().call(function, self.owner().call(*makers))

    def test_memoryview(self):
        self.assertEqual(self.using(look_through, make_bytes, b'hello'),
                         (b'Hello', (5, 'B', 1, 1, False), b'el'))

    def test_a_buffer_is_held_until_it_is_released(self):
        self.assertEqual(self.using(grow_while_held, make_bytes, b'abc'), (True, 4))

    def test_bytes_of_a_buffer(self):
        self.assertEqual(self.using(make_bytes_of, make_bytes, b'ab'),
                         (b'ab', bytearray(b'ab'), b'abab', b'-ab'))

    def test_no_buffer(self):
        for source in '[1]', '5', '"text"':
            with self.subTest(source):
                self.assertEqual(self.using(view_of_none, make_value, source), 'TypeError')

    def test_items_that_are_no_buffer(self):
        self.assertEqual(self.using(bytearray, make_value, '[1, 2]'), bytearray([1, 2]))

    def test_await(self):
        self.assertEqual(self.using(run, make, 'double', 21), 42)
        self.assertEqual(self.using(await_it, make, 'double', 21), 42)
        self.assertEqual(self.using(drive, make, 'Suspending'), ('first', 'answer'))
        self.assertEqual(self.using(await_it, make, 'fail', 'gone'), 'LookupError')

    def test_await_what_cannot_be(self):
        self.assertEqual(self.using(await_it, make_value, '[1]'), 'TypeError')

    def test_async_for(self):
        self.assertEqual(self.using(collect_async, make, 'Countdown', 3), [2, 1, 0])
        self.assertEqual(self.using(collect_async, make, 'count', 3), [0, 1, 2])
        self.assertEqual(self.using(collect_async, make_value, '[1]'), 'TypeError')

    def test_async_with(self):
        self.assertEqual(self.using(in_block, make, 'AsyncBlock'),
                         ['entered', 'ZeroDivisionError'])

    def test_yield_from_and_throw(self):
        self.assertEqual(self.using(delegate, make, 'echo'),
                         (None, 5, ('caught', 'thrown'), 6, ('caught', 'again')))

    def test_coroutine_by_hand(self):
        for drive, make, expected in (
                (drive_coroutine, suspended, (['first'] * 3, 'answer', ('caught', 'thrown'), None,
                                              'CORO_CLOSED')),
                (drive_async_generator, async_echo,
                 (None, 'sent', ('caught', 'thrown'), 'again', None, 'end'))):
            with self.subTest(drive.__name__):
                own, theirs = [], []
                self.assertEqual(drive(make, own.append), expected)
                there = self.owner().call(function, make.__name__)
                self.assertEqual(self.caller().call(drive, there, SharedObjectProxy(theirs.append)),
                                 expected)
                self.assertEqual(theirs, own)
                self.assertIn('finally', own)

    def test_coroutines_together(self):
        there = self.owner().call(function, 'double')
        self.assertEqual(self.caller().call(gather, there, None), [0, 2, 4])

    def test_patterns_of_parts(self):
        for source in ('Place(1, 2)', 'Place(2, [3, 4])', 'Place(2, 3)', '[Place(5, 1), "text"]',
                       '[{"x": 5}, "text"]', '{"place": Place(1, 2), 1: 1}', '{"place": 1}', '{}',
                       'ValueError(7)', 'ValueError(7, 8)', 'Place', '5', '6', '7', '"text"',
                       '"other"', '1.5', '0.5', '[]', '()', 'set()', 'frozenset()', 'b""',
                       'collections.deque()', 'collections.OrderedDict(place=Place(1, 2), x=2)'):
            with self.subTest(source):
                plain = match_parts(eval(source))
                self.assertEqual(self.using(match_parts, make_value, source), plain)

    def test_patterns(self):
        self.assertEqual(self.using(match_sequence, make_value, '[1, 2, 3]'), (1, [2, 3]))
        self.assertEqual(self.using(match_sequence, make_value, 'collections.deque("ab")'),
                         ('a', ['b']))
        self.assertEqual(self.using(match_mapping, make_value, '{"a": 1, "b": 2}'),
                         (1, {'b': 2}))
        for source in '"text"', 'b"bytes"', '5', '{1, 2}':
            with self.subTest(source):
                self.assertEqual(self.using(match_sequence, make_value, source), 'no sequence')
                self.assertEqual(self.using(match_mapping, make_value, source), 'no mapping')
        self.assertEqual(self.using(match_class, make_value, '5'), 'int')
        self.assertEqual(self.using(match_class, make_value, '"text"'), 'str')
        self.assertEqual(self.using(match_class, make_value, '[]'), 'neither')

    def test_raise(self):
        self.assertEqual(self.using(raised, make_value, 'KeyError("k")'), ('KeyError', ('k',)))
        self.assertEqual(self.using(raised, make_value, 'KeyError'), ('KeyError', ()))
        self.assertEqual(self.using(raised, make_value, '5')[0], 'TypeError')
        self.assertEqual(self.using(raised_from, make_value, 'KeyError("k")'),
                         ('KeyError', ('k',)))

    def test_shapes(self):
        for source in ('[1, 2]', '{"a": 1}', '5', '"text"', 'b"bytes"', 'len', 'iter([1])',
                       'collections.deque()', 'None', 'bytearray(2)', 'object()'):
            with self.subTest(source):
                self.assertEqual(self.using(shapes, make_value, source),
                                 shapes(eval(source)))


add_directions(globals(), Protocols)


class ViewTests(SharingTestCase):
    """Memoryviews that cross, and the end of those whose memory they show."""

    def test_crosses_as_a_view_of_the_same_memory(self):
        data = bytearray(b'abc')
        p = self.sub.call(make_value, '[].append')
        self.assertEqual(self.sub.call(read_view, memoryview(data)), b'abc')
        self.sub.call(write_view, memoryview(data), b'xyz')
        self.assertEqual(data, b'xyz')
        p(memoryview(data))
        with self.assertRaises(BufferError):
            data.append(1)
        del p

    def test_an_owner_whose_buffer_is_held_is_not_closed(self):
        interp = self.new_interpreter()
        p = interp.call(make_bytes, b'abc')
        first, second = memoryview(p), memoryview(p)
        with self.assertRaisesRegex(InterpreterError, 'others hold 2 of its buffers'):
            interp.close()
        first.release()
        with self.assertRaisesRegex(InterpreterError, 'others hold 1 of its buffers'):
            interp.close()
        self.assertEqual(bytes(second), b'abc')
        second.release()
        interp.close()

    def test_a_buffer_without_a_view(self):
        _testcapi = import_helper.import_module('_testcapi')
        for p in self.sub.call(make_bytes, b'abc'), SharedObjectProxy(b'abc'):
            self.assertRaises(BufferError, _testcapi.getbuffer_with_null_view, p)

    def test_a_view_keeps_the_object(self):
        p = self.sub.call(make_bytes, b'abc')
        view = memoryview(p)
        interpreters.release(p)
        del p
        self.assertEqual(bytes(view), b'abc')
        view.release()
