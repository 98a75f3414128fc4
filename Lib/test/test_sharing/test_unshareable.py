"""What cannot cross is named: which part of which argument it is, and why."""

import functools
import importlib
import threading
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor
from concurrent.interpreters import (
    DeadProxyError, NotShareableError, Rebuild, SharedObjectProxy, dont_share, release)
from test.support import import_helper
from test.support.os_helper import temp_dir
from test.support.script_helper import make_script

from .support import SharingTestCase


class Handle:
    """Says itself how it crosses: as a proxy."""

    def __share__(self):
        return SharedObjectProxy(self)


class WrongHandle:
    def __share__(self):
        return []


class Caller:
    """Called in another interpreter, it is called here."""

    def __init__(self):
        self.here = interpreters.get_current().id

    def __share__(self):
        return SharedObjectProxy(self)

    def __call__(self):
        return self.here, interpreters.get_current().id


class Holder:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def new_lock():
    return threading.Lock()


class CallableHolder(Holder):
    def __call__(self, *args):
        pass


def type_names(*args, **kwargs):
    return [type(value).__name__ for value in (*args, *kwargs.values())]


def inner_types(values):
    return [type(value).__name__ for value in values]


#: What cannot cross: its source, where in it the reason is, and the type of that.
UNSHAREABLE = [
    ('lock', '', 'lock'),
    ('[1, lock]', '[1]', 'lock'),
    ('(1, (2, [lock]))', '[1][1][0]', 'lock'),
    ('{"b": lock}', "['b']", 'lock'),
    ('{("k", 1): {2: [lock]}}', "[('k', 1)][2][0]", 'lock'),
    ('Holder(a=1, b=[lock])', '.b[0]', 'lock'),
    ('{lock}', ' item ', 'lock'),
    ('dont_share([lock])', '', 'PickleWrapper'),
]


class UnshareableTests(SharingTestCase):

    def setUp(self):
        super().setUp()
        self.queue = interpreters.create_queue()
        self.makers = {'lock': threading.Lock(), 'Holder': Holder, 'dont_share': dont_share}

    def check(self, error, path, type_name):
        text = str(error.exception)
        self.assertStartsWith(text, path)
        self.assertIn(f', a {type_name!r} object, cannot cross', text)
        self.assertIn("cannot pickle '_thread.lock' object", text)
        self.assertIs(type(error.exception.__cause__), TypeError)

    def test_a_call_names_the_argument(self):
        for source, path, type_name in UNSHAREABLE:
            with self.subTest(source):
                value = eval(source, self.makers)
                with self.assertRaises(NotShareableError) as error:
                    self.sub.call(type_names, 1, value)
                self.check(error, f'args[1]{path}', type_name)
                with self.assertRaises(NotShareableError) as error:
                    self.sub.call(type_names, 1, x=2, y=value)
                self.check(error, f"kwargs['y']{path}", type_name)
                with self.assertRaises(NotShareableError) as error:
                    self.sub.call_soon(type_names, 1, y=value)
                self.check(error, f"kwargs['y']{path}", type_name)

    def test_a_call_names_what_of_the_callable(self):
        lock = self.makers['lock']
        holder = CallableHolder(a=1, b=[lock])
        for path, type_name, callable in (
                ('', 'builtin_function_or_method', lock.acquire),
                ('', 'method', holder.__call__),
                ('', 'partial', functools.partial(type_names, lock)),
                ('.b[0]', 'lock', holder)):
            with self.subTest(callable):
                for call in self.sub.call, self.sub.call_soon:
                    with self.assertRaises(NotShareableError) as error:
                        call(callable, 1)
                    self.check(error, f'callable{path}', type_name)

    def test_what_is_handled_meanwhile_is_not_the_reason(self):
        lock = threading.Lock()
        there_is_none = Rebuild(int, 'no number')
        handled, other = KeyError('unrelated'), KeyError('other')
        for what, call in (
                ('closures not supported', lambda: self.sub.call(lambda: lock)),
                ("'no number'", lambda: self.sub.call(type_names, there_is_none)),
                ("'lock' object", lambda: self.sub.call(InterpreterPoolExecutor, lock))):
            with self.subTest(what):
                try:
                    raise handled
                except KeyError:
                    handled.__context__, other.__context__ = other, handled     # A chain without end.
                    with self.assertRaises(NotShareableError) as caught:
                        call()
                self.assertIn(what, str(caught.exception))
                self.assertNotIn('unrelated', str(caught.exception))
                self.assertIsNot(caught.exception.__cause__, handled)

    def test_a_pool_names_the_part_of_the_task(self):
        lock = self.makers['lock']
        with InterpreterPoolExecutor(max_workers=1) as pool:
            for start, submit in (
                    ("args[0], a 'lock' object,", lambda: pool.submit(type_names, lock)),
                    ("kwargs['x'][1], a 'lock' object,", lambda: pool.submit(type_names, x=[1, lock])),
                    ("callable, a 'builtin_function_or_method' object,",
                     lambda: pool.submit(lock.acquire)),
                    ("callable, the function", lambda: pool.submit(lambda: lock)),
                    ("the result of 'new_lock'", lambda: pool.submit(new_lock))):
                with self.subTest(start), self.assertRaises(NotShareableError) as error:
                    submit().result()
                self.assertStartsWith(str(error.exception), start)

    def refusal_of(self, function):
        with self.assertRaises(NotShareableError) as error:
            self.sub.call(function)
        return error.exception

    def test_a_call_names_the_function_whose_result_does_not_cross(self):
        for function in new_lock, lambda: __import__('threading').Lock():
            with self.subTest(function):
                self.assertEqual(
                    str(self.refusal_of(function)),
                    f'the result of {function.__qualname__!r} cannot cross to another interpreter: '
                    f"cannot pickle '_thread.lock' object (let it return a proxy of it, by share())")

    def test_a_call_names_the_function_that_does_not_cross(self):
        variable = 1
        for why, function in (('closures not supported', lambda: variable),
                              ('globals not supported', lambda: interpreters)):
            with self.subTest(why):
                error = self.refusal_of(function)
                self.assertStartsWith(
                    str(error),
                    f'callable, the function {function.__qualname__!r}, cannot cross to another '
                    f'interpreter: {why} (pass what it needs')
                self.assertIs(type(error.__cause__), ValueError)
                with self.assertRaises(NotShareableError) as error:
                    self.sub.call_soon(function)
                self.assertStartsWith(
                    str(error.exception),
                    f'callable, the function {function.__qualname__!r}, cannot cross to another '
                    f"interpreter: Can't pickle local object {function} (pass what it needs")

    def test_a_call_tells_why_an_argument_cannot_be_made_there(self):
        with temp_dir() as folder, import_helper.DirsOnSysPath(folder):
            make_script(folder, 'test_sharing_only_here', 'class Outer:\n    class Inner: pass')
            inner = importlib.import_module('test_sharing_only_here').Outer.Inner
        self.addCleanup(import_helper.forget, 'test_sharing_only_here')
        for value, why in ((inner(), 'No module named'),
                           (Rebuild(inner), "cannot rebuild an object here: there is no "
                                            "'Outer.Inner' in module")):
            for call in (lambda: self.sub.call(type_names, value),
                         lambda: self.sub.call(type_names, 1, [value]),
                         lambda: self.sub.call(type_names, x=value)):
                with self.subTest(why=why):
                    with self.assertRaises(NotShareableError) as error:
                        call()
                    what, _, text = str(error.exception).partition(': ')
                    self.assertIn('args not shareable', what)       # As the base says it.
                    self.assertEqual(
                        text,
                        f"the arguments of 'type_names' cannot be made in the other interpreter: "
                        f"{why} 'test_sharing_only_here'")
                    self.assertIsNotNone(error.exception.__cause__)

    def test_a_queue_and_prepare_main_name_the_part(self):
        for source, path, type_name in UNSHAREABLE:
            with self.subTest(source):
                value = eval(source, self.makers)
                with self.assertRaises(NotShareableError) as error:
                    self.queue.put(value)
                self.check(error, f'obj{path}', type_name)
                with self.assertRaises(NotShareableError) as error:
                    self.queue.put((1, value))
                self.check(error, f'obj[1]{path}', type_name)
                with self.assertRaises(NotShareableError) as error:
                    self.queue.put_nowait([1, value])
                self.assertStartsWith(str(error.exception), 'obj[1]')
                with self.assertRaises(NotShareableError) as error:
                    self.sub.prepare_main({'x': 1, 'y': value})
                self.check(error, f"ns['y']{path}", type_name)

    def test_a_part_that_cannot_be_looked_into(self):
        class Evil:
            lock = property(lambda self: 1 / 0)
            __class__ = property(lambda self: 1 / 0)
        with self.assertRaisesRegex(NotShareableError, r"args\[0\], a '.*Evil' object"):
            self.sub.call(type_names, Evil())

    def test_a_wrong_share_method(self):
        message = r"{}, a 'WrongHandle' object.*WrongHandle.__share__\(\) must return.*'list'"
        for path, call in {
                r'args\[0\]': lambda: self.sub.call(type_names, WrongHandle()),
                r"kwargs\['x'\]\[1\]": lambda: self.sub.call(type_names, x=[1, WrongHandle()]),
                r'obj\[0\]': lambda: self.queue.put([WrongHandle()])}.items():
            with self.subTest(path):
                with self.assertRaisesRegex(NotShareableError, message.format(path)) as error:
                    call()
                self.assertIs(type(error.exception.__cause__), TypeError)

    def test_a_proxy_names_the_argument(self):
        p = self.share_from(self.sub, 'dict')
        dead = SharedObjectProxy([])
        release(dead)
        for path, error, call in (
                ('args[0],', DeadProxyError, lambda: p(dead)),
                ('args[1][0],', DeadProxyError, lambda: p(1, (dead,))),
                ("kwargs['x'][1][0],", DeadProxyError, lambda: p(x=(1, (dead,)))),
                ('args[0][1],', TypeError, lambda: p((1, WrongHandle()))),
                ('args[0],', TypeError, lambda: p.fromkeys(WrongHandle())),
                ("kwargs['a'],", TypeError, lambda: p.fromkeys(1, 2, a=WrongHandle())),
                ('args[0],', NotShareableError,
                 lambda: p(dont_share([threading.Lock()])))):
            with self.subTest(path):
                with self.assertRaises(error) as caught:
                    call()
                notes = caught.exception.__notes__
                self.assertEqual(len(notes), 1)
                self.assertStartsWith(notes[0], f'It is {path}')
        del p


class EverywhereTests(SharingTestCase):
    """What says how it crosses is asked wherever it crosses."""

    def setUp(self):
        super().setUp()
        self.values = {'h': Handle(), 'r': Rebuild(dict, a=1), 'w': dont_share([1])}
        self.arrived = ['SharedObjectProxy', 'dict', 'list']

    def test_positional_and_keyword_arguments_of_a_call(self):
        values = list(self.values.values())
        self.assertEqual(self.sub.call(type_names, *values), self.arrived)
        self.assertEqual(self.sub.call(type_names, **self.values), self.arrived)
        self.assertEqual(self.sub.call_soon(type_names, **self.values).result(), self.arrived)

    def test_inside_what_is_copied(self):
        values = list(self.values.values())
        self.assertEqual(self.sub.call(inner_types, values), self.arrived)
        queue = interpreters.create_queue()
        queue.put([dont_share([1]), Rebuild(dict)])
        self.assertEqual(queue.get(), [[1], {}])

    def test_inside_a_wrapper_nobody_is_asked(self):
        self.assertEqual(self.sub.call(inner_types, dont_share([Handle()])), ['Handle'])
        self.assertEqual(self.sub.call(type_names, dont_share(Handle())), ['Handle'])
        self.assertEqual(self.sub.call(type_names, x=dont_share(Handle())), ['Handle'])

    def test_the_callable_of_a_call(self):
        here, there = interpreters.get_current().id, self.sub.id
        self.assertEqual(self.sub.call(Caller()), (here, here))
        self.assertEqual(self.sub.call(dont_share(Caller())), (here, there))
        self.assertEqual(self.sub.call(SharedObjectProxy(Caller())), (here, here))
        with self.assertRaises(TypeError):
            self.sub.call([])

    def test_a_pool(self):
        with InterpreterPoolExecutor(max_workers=1) as pool:
            future = pool.submit(type_names, *self.values.values(), **self.values)
            self.assertEqual(future.result(), self.arrived * 2)


if __name__ == '__main__':
    import unittest
    unittest.main()
