"""In its object's own interpreter, a call through a proxy goes on as if there were no proxy."""

import functools
import sys
import unittest
import weakref
from concurrent import interpreters
from concurrent.interpreters import DeadProxyError, SharedObjectProxy
from test.support import set_recursion_limit

from .support import SMALL_STACK, SharingTestCase, call_on_stack

# Enough for a call site to be specialized for what it calls.
MANY = 60


class Thing:
    def __init__(self, value=0):
        self.value = value

    def method(self, *args, **kwargs):
        return self, args, kwargs

    def descend(self, proxy, levels):
        return levels if levels == 0 else proxy.descend(proxy, levels - 1)

    def __call__(self, *args, **kwargs):
        return 'called', args, kwargs


def function(*args, **kwargs):
    return args, kwargs


def caller_name():
    return sys._getframe(1).f_code.co_name


def fail(proxy):
    raise ValueError('on purpose')


#: Callables of each kind that calls are specialized for.
CALLABLES = {
    'function': lambda: function,
    'bound method': lambda: Thing(1).method,
    'class': lambda: Thing,
    'instance': lambda: Thing(2),
    'built-in function': lambda: max,
    'method of a list': lambda: [3].index,
    'descriptor of a method': lambda: list.copy,
    'partial function': lambda: functools.partial(function, 1),
    'lambda': lambda: lambda *args, **kwargs: (args, kwargs),
}

#: Calls, each a call site of its own.
CALLS = {
    'nothing': lambda f: f(),
    'positional': lambda f: f(3, 4),
    'a list': lambda f: f([3, 4]),
    'one': lambda f: f(3),
    'keywords': lambda f: f(key=5),
    'both': lambda f: f([1, 2], key=len),
    'unpacked': lambda f: f(*[[1, 2]], **{'key': len}),
}


def outcome(call, callee):
    try:
        return 'returned', repr_without_address(call(callee))
    except Exception as exc:
        return type(exc), str(exc)


def repr_without_address(value):
    return repr(value).split(' at 0x')[0]


class CallAtHomeTest(SharingTestCase):

    sub_count = 1

    def test_call_is_the_objects(self):
        for kind, make in CALLABLES.items():
            callee = make()
            proxy = SharedObjectProxy(callee)
            for name, call in CALLS.items():
                with self.subTest(kind, call=name):
                    wanted = outcome(call, callee)
                    for _ in range(MANY):
                        self.assertEqual(outcome(call, proxy), wanted)

    def test_call_site_meets_one_after_the_other(self):
        foreign = self.share_from(self.sub, 'len')
        home = SharedObjectProxy(len)
        for _ in range(MANY):
            results = [f([1, 2]) for f in (home, len, foreign, SharedObjectProxy(sum), home, max)]
            self.assertEqual(results, [2, 2, 2, 3, 2, 2])

    def test_method_is_called_of_the_object_itself(self):
        thing = Thing()
        proxy = SharedObjectProxy(thing)
        for _ in range(MANY):
            self.assertIs(proxy.method()[0], thing)
            self.assertIs(proxy.method(1, key=2)[0], thing)

    def test_function_gets_the_objects_of_proxied_arguments(self):
        thing = Thing()
        argument, proxy = SharedObjectProxy(thing), SharedObjectProxy(function)
        for _ in range(MANY):
            self.assertIs(proxy(argument)[0][0], thing)
            self.assertIs(proxy(1, key=argument)[1]['key'], thing)

    def test_frame_is_called_by_the_caller(self):
        proxy = SharedObjectProxy(caller_name)
        for _ in range(MANY):
            self.assertEqual(proxy(), 'test_frame_is_called_by_the_caller')

    def test_recursion_takes_no_stack_of_c(self):
        def descend(levels):
            return levels if levels == 0 else proxy(levels - 1)

        def descend_with_keyword(*, levels):
            return levels if levels == 0 else keyword_proxy(levels=levels - 1)

        proxy, keyword_proxy = SharedObjectProxy(descend), SharedObjectProxy(descend_with_keyword)
        thing = SharedObjectProxy(Thing())
        with set_recursion_limit(100_000):
            self.assertEqual(call_on_stack(SMALL_STACK, lambda: (
                descend(20_000), descend_with_keyword(levels=20_000),
                thing.descend(thing, 20_000))), (0, 0, 0))

    def test_error_comes_through(self):
        proxy = SharedObjectProxy(fail)
        for _ in range(MANY):
            with self.assertRaisesRegex(ValueError, 'on purpose') as caught:
                proxy(1)
            self.assertIsNone(caught.exception.__cause__)

    def test_proxy_that_goes_with_the_call(self):
        gone = []
        for _ in range(MANY):
            proxy = SharedObjectProxy(function)
            reference = weakref.ref(proxy, gone.append)
            callees = [proxy]
            del proxy
            self.assertEqual(callees.pop()(3), ((3,), {}))
            self.assertEqual(gone.pop(), reference)

    def test_what_cannot_be_used_says_so(self):
        def call(*args, **kwargs):
            return proxy(*args, **kwargs), proxy(1), proxy(key=1), proxy.method(1)

        for end in interpreters.release, interpreters.revoke:
            proxy = SharedObjectProxy(Thing())
            for _ in range(MANY):
                call(1)
            end(proxy)
            for use in (lambda: proxy(1), lambda: proxy(key=1), lambda: proxy.method(1)):
                with self.subTest(end.__name__), self.assertRaises(DeadProxyError):
                    use()

    def test_profiler_sees_what_it_sees_of_the_object(self):
        thing, events = Thing(), []

        def profile(frame, event, arg):
            if frame.f_code is function.__code__ or event.startswith('c_') and arg is len:
                events.append(event)

        def profiled(call, method, builtin):
            del events[:]
            sys.setprofile(profile)
            try:
                for _ in range(MANY):
                    call(1)
                    call(key=1)
                    method.method()
                    builtin('')
            finally:
                sys.setprofile(None)
            return events[:]

        wanted = profiled(function, thing, len)
        self.assertEqual(len(wanted), 6 * MANY)
        self.assertEqual(profiled(*map(SharedObjectProxy, (function, thing, len))), wanted)


if __name__ == '__main__':
    unittest.main()
