"""Copies instead of proxies: materialize(), dont_share(), PickleWrapper, Rebuild."""

import array
import importlib
import pickle
import textwrap
import threading
from test.support import channels, import_helper, script_helper
from test.support.os_helper import temp_dir
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor
from concurrent.interpreters import (
    DeadProxyError, NotShareableError, PickleWrapper, Rebuild, SharedObjectProxy, dont_share,
    is_shareable, materialize, release, share)

from .support import SharingTestCase, add_directions


class Thing:
    """Crosses as a StandIn of itself."""

    def __init__(self, value):
        self.value = value

    def __share__(self):
        return Rebuild(StandIn, SharedObjectProxy(self), note='made here')


class StandIn:
    def __init__(self, target, *, note):
        self.target = target
        self.note = note

    def describe(self):
        return type(self).__name__, self.target.value, self.note


class Plain:
    def __init__(self, value):
        self.value = value


# The size from which the contents of an object are read in the owner's memory.
LARGE = 1 << 16


class Buffered:
    """Pickles as numpy's arrays do: what it holds is a buffer out of band."""

    def __init__(self, contents):
        self.contents = contents

    def __reduce_ex__(self, protocol):
        return Buffered, (pickle.PickleBuffer(self.contents),)

    def __eq__(self, other):
        return bytes(self.contents) == bytes(other.contents)


def make_value(source):
    return SharedObjectProxy(eval(source, globals()))


def make_holder(obj):
    """A function's result is the object, which crosses by whatever it asks for."""
    return SharedObjectProxy(lambda: obj)


def hold_wrapped(source):
    return make_holder(dont_share(eval(source)))


def hold_thing():
    return make_holder(Thing(7))


def hold_lost():
    def nowhere():
        """Cannot be found by name."""
    return make_holder(Rebuild(nowhere))


def call_for_type(p):
    value = p()
    return type(value).__name__, value


def call_to_describe(p):
    return p().describe()


def call_for_error(p):
    try:
        p()
    except Exception as exc:
        return type(exc).__name__, str(exc)


def copied_parts(p):
    """Whether the copies of one object in a list are one, the types, and the copies."""
    first, other, again = materialize(p)
    return first is again, type(first).__name__, type(other).__name__, (first, other)


def copy_and_resize(p):
    """The owner's object is as free as it was once the copy is made."""
    copy = materialize(p)
    p.extend(b'more')
    return len(copy), len(p)


def copied(p):
    copy = materialize(p)
    return type(copy).__name__, copy


class Change:
    """Where its copy is made, it changes what is copied after it."""

    def __init__(self, contents):
        self.contents = contents

    def __reduce__(self):
        return change, (SharedObjectProxy(self.contents),)


def change(contents):
    with memoryview(contents) as view:
        view[:1] = view[1:2]
    return 'changed'


def copy_what_changes(p):
    changed, copy = materialize(p)
    return changed, bytes(memoryview(copy).cast('B')[:2])


def copy_and_change(p):
    copy = materialize(p)
    copy.append(4)
    return list(p), copy


def copy_with_proxy(p):
    copy = materialize(p)
    return type(copy).__name__, type(copy[0]) is SharedObjectProxy, copy[0].locked()


def copy_unpicklable(p):
    try:
        materialize(p)
    except NotShareableError as exc:
        return type(exc.__cause__).__name__, 'interpreter' in str(exc)


class AcrossCopies:

    def using(self, function, *makers):
        return self.caller().call(function, self.owner().call(*makers))

    def test_materialize(self):
        for source in ('[1, 2, [3]]', '{"a": (1, None)}', 'bytearray(b"abc")', '{1, 2}',
                       '"text"', 'list(range(20_000))', 'bytearray(200_000)'):
            with self.subTest(source[:20]):
                value = eval(source)
                self.assertEqual(self.using(copied, make_value, source),
                                 (type(value).__name__, value))

    def test_materialize_what_is_large(self):
        for first, other in (
                ('bytearray(range(256)) * (LARGE // 256)', 'bytes(LARGE)'),
                ('b"x" * (LARGE - 1)', 'bytearray(LARGE + 1)'),
                ('"x" * LARGE', '"\\u1234" * LARGE'),
                ('array.array("d", range(LARGE))', 'array.array("w", "text")'),
                ('array.array("b")', 'array.array("Q", [2**64 - 1]) * LARGE'),
                ('Buffered(bytearray(LARGE))', 'Buffered(bytes(LARGE + 5))'),
                ('Buffered(array.array("i", [5]) * LARGE)', 'Buffered(b"short")'),
                ('Buffered(memoryview(bytearray(LARGE)).cast("B", [2, LARGE // 2]))', '5'),
                ('list(range(LARGE))', '{1: bytearray(10 * LARGE), 2: (b"y" * LARGE,)}')):
            with self.subTest(first):
                source = f'(lambda x: [x, {other}, x])({first})'
                ours = eval(source)
                self.assertEqual(
                    self.using(copied_parts, make_value, source),
                    (True, type(ours[0]).__name__, type(ours[1]).__name__, tuple(ours[:2])))

    def test_what_is_large_is_read_where_the_owner_has_it(self):
        for made, expected in (('bytearray(b"12" * LARGE)', b'22'),
                               ('array.array("B", b"12" * LARGE)', b'22'),
                               ('bytearray(b"12" * 100)', b'12')):
            with self.subTest(made):
                source = f'(lambda x: [Change(x), x])({made})'
                self.assertEqual(self.using(copy_what_changes, make_value, source),
                                 ('changed', expected))

    def test_a_large_object_is_let_go(self):
        self.assertEqual(self.using(copy_and_resize, make_value, 'bytearray(200_000)'),
                         (200_000, 200_004))

    def test_a_copy_is_its_own(self):
        self.assertEqual(self.using(copy_and_change, make_value, '[1, 2, 3]'),
                         ([1, 2, 3], [1, 2, 3, 4]))

    def test_proxies_in_a_copy_stay_proxies(self):
        self.assertEqual(
            self.using(copy_with_proxy, make_value, '[SharedObjectProxy(threading.Lock())]'),
            ('list', True, False))

    def test_what_cannot_be_pickled(self):
        self.assertEqual(self.using(copy_unpicklable, make_value, 'threading.Lock()'),
                         ('TypeError', True))

    def test_dont_share(self):
        self.assertEqual(self.using(call_for_type, hold_wrapped, '[1, 2]'), ('list', [1, 2]))

    def test_rebuild(self):
        self.assertEqual(self.using(call_to_describe, hold_thing), ('StandIn', 7, 'made here'))

    def test_rebuild_of_what_is_not_found(self):
        name, message = self.using(call_for_error, hold_lost)
        self.assertEqual(name, 'AttributeError')
        self.assertIn("hold_lost.<locals>.nowhere", message)
        self.assertIn("test_copies", message)


add_directions(globals(), AcrossCopies, across=True)


class LocalTests(SharingTestCase):

    def test_materialize_what_is_here(self):
        obj = [1]
        self.assertIs(materialize(obj), obj)
        self.assertIs(materialize(SharedObjectProxy(obj)), obj)
        self.assertIs(materialize(None), None)

    def test_materialize_a_dead_proxy(self):
        p = self.sub.call(make_value, '[1]')
        release(p)
        with self.assertRaises(DeadProxyError):
            materialize(p)
        p = SharedObjectProxy([1])
        release(p)
        with self.assertRaises(DeadProxyError):
            materialize(p)

    def test_materialize_what_cannot_be_unpickled(self):
        name = 'concurrent.interpreters._no_such_module'
        p = self.sub.call(make_value, f'__import__("types").ModuleType({name!r})')
        with self.assertRaises(NotShareableError):
            materialize(p)
        del p

    def test_classes_of_the_main_module(self):
        """The other interpreter's __main__ is not the program."""
        program = textwrap.dedent("""\
            from concurrent import interpreters

            class Thing:
                def __init__(self, value):
                    self.value = value

            def copied(p):
                copy = interpreters.materialize(p)
                return type(copy).__name__, copy.value

            if __name__ == '__main__':
                interp = interpreters.create()
                print(interp.call(copied, interpreters.share(Thing((1, b'2')))))
                interp.close()
            """)
        with temp_dir() as path:
            script = script_helper.make_script(path, 'program', program)
            result = script_helper.assert_python_ok(script)
        self.assertEqual(result.out.strip(), b"('Thing', (1, b'2'))")

    def test_natively_shareable(self):
        for value in dont_share([1]), Rebuild(Plain, 1):
            with self.subTest(repr(value)):
                self.assertTrue(is_shareable(value))
                self.assertIs(share(value), value)

    def test_through_a_queue(self):
        queue = interpreters.create_queue()
        queue.put(dont_share({'a': [1]}))
        self.assertEqual(queue.get(), {'a': [1]})
        queue.put(Rebuild(Plain, [5]))
        self.assertEqual(queue.get().value, [5])
        queue.put(Thing(3))
        self.assertEqual(queue.get().describe(), ('StandIn', 3, 'made here'))

    def test_through_a_channel(self):
        receiving, sending = channels.create()
        for value in dont_share([1]), Rebuild(Plain, [5]), Thing(3), [SharedObjectProxy(self)]:
            sending.send_nowait(value)
        self.assertEqual(receiving.recv(), [1])
        self.assertEqual(receiving.recv().value, [5])
        self.assertEqual(receiving.recv().describe(), ('StandIn', 3, 'made here'))
        self.assertEqual(receiving.recv(), [self])

    def test_as_results_of_calls(self):
        with InterpreterPoolExecutor(max_workers=1) as pool:
            for call in (self.sub.call, lambda *args: self.sub.call_soon(*args).result(),
                         lambda *args: pool.submit(*args).result()):
                self.assertEqual(call(Thing, 3).describe(), ('StandIn', 3, 'made here'))
                self.assertEqual(call(dont_share, [1]), [1])
                self.assertEqual(call(Rebuild, dict), {})

    def test_as_arguments_of_a_call(self):
        self.assertEqual(self.sub.call(StandIn.describe, Thing(4)), ('StandIn', 4, 'made here'))
        self.sub.prepare_main(thing=Thing(5), copy=dont_share([1]))
        self.sub.exec('assert thing.describe() == ("StandIn", 5, "made here"), thing.describe()\n'
                      'assert type(copy) is list\n'
                      'del thing, copy')

    def test_as_arguments_of_a_proxy(self):
        p = self.sub.call(make_value, '[].append')
        names = self.sub.call(make_value, 'lambda x: type(x).__name__')
        self.assertEqual(names(dont_share([1])), 'list')
        self.assertEqual(names(Thing(1)), 'StandIn')
        self.assertEqual(names((dont_share({}),)), 'tuple')
        with self.assertRaises(NotShareableError):
            names(dont_share(threading.Lock()))
        del p, names

    def test_repr(self):
        self.assertEqual(repr(dont_share([1])), 'PickleWrapper([1])')
        self.assertEqual(repr(Rebuild(Plain, 1, x=2)), 'Rebuild(Plain, 1, x=2)')

    def test_rebuild_in_a_module_that_is_only_here(self):
        with temp_dir() as folder, import_helper.DirsOnSysPath(folder):
            script_helper.make_script(folder, 'test_sharing_rebuilt', 'class Outer:\n'
                                      '    class Inner: pass')
            inner = importlib.import_module('test_sharing_rebuilt').Outer.Inner
        self.addCleanup(import_helper.forget, 'test_sharing_rebuilt')
        message = "cannot rebuild an object here.*'Outer.Inner' in module 'test_sharing_rebuilt'"
        names = self.sub.call(make_value, 'lambda x: type(x).__name__')
        queue = interpreters.create_queue()
        queue.put(Rebuild(inner))
        self.sub.prepare_main(queue=queue)
        for error, use in ((ModuleNotFoundError, lambda: names(Rebuild(inner))),
                           (NotShareableError, lambda: self.sub.call(print, Rebuild(inner))),
                           (interpreters.ExecutionFailed, lambda: self.sub.exec('queue.get()'))):
            with self.subTest(error), self.assertRaisesRegex(error, message):
                use()
        del names

    def test_rebuild_needs_a_name(self):
        with self.assertRaisesRegex(TypeError, 'found by name'):
            Rebuild(3)
