"""Ways for a process to end while objects are shared; test_lifetime runs each one in a child.

A scenario says in its decorator how its process ends: the exit code, what it prints, and a word
by which to know lines that belong on stderr.  What else comes there, but for the warning about
remaining interpreters, is an error.
"""

import atexit
import contextlib
import os
import sys
import threading
from concurrent import interpreters
from concurrent.futures import InterpreterPoolExecutor
from concurrent.interpreters import SharedObjectProxy

from . import residents
from .residents import Box, Log, Witness


SCENARIOS = {}


def scenario(code=0, output=(), errors=None):
    def register(function):
        function.code, function.output, function.errors = code, list(output), errors
        SCENARIOS[function.__name__] = function
        return function
    return register


class Crowd:
    """Two interpreters and main that hold proxies of each other's objects."""

    def __init__(self):
        self.box = Box()
        self.first, self.second = self.interps = [interpreters.create() for _ in range(2)]
        self.proxies = [interp.call(residents.keep_made, 'box', Box) for interp in self.interps]
        for proxy in self.proxies:
            proxy.set((self.box, *self.proxies))
        self.box.value = self.proxies


def show(*words):
    print(*words, flush=True)


crowds = []


def stay():
    """Keep a crowd until the very end."""
    crowds.append(Crowd())
    return crowds[-1]


def start_daemon(target):
    """Start a daemon thread; return when it says that it is inside."""
    inside = threading.Event()
    threading.Thread(target=target, args=(inside,), daemon=True).start()
    if not inside.wait(30):
        os._exit(99)


def block(inside):
    """Say that it is inside, and stay."""
    inside.set()
    threading.Event().wait()


@scenario()
def everything_left_open():
    stay()


@scenario()
def everything_closed():
    crowd = Crowd()
    for interp in crowd.interps:
        interp.close()


@scenario(output=['dead'])
def proxies_outlive_their_owners():
    crowd = stay()
    for interp in crowd.interps:
        interp.close()
    show('alive' if any(map(interpreters.is_alive, crowd.proxies)) else 'dead')


@scenario(code=3)
def sys_exit_in_a_callback():
    stay().proxies[0].call(lambda: sys.exit(3))


@scenario(code=4)
def sys_exit_in_an_owner():
    stay().proxies[0].call(sys.exit, 4)


@scenario(code=5)
def os_exit_in_a_call():
    stay().proxies[0].call(lambda: os._exit(5))


@scenario(code=1, errors='')
def error_in_a_call():
    stay().proxies[0].call(lambda: 1 / 0)


@scenario(output=['used', 'closed'])
def atexit_uses_and_closes():
    crowd = stay()

    def use():
        if len(crowd.proxies[0]) == 1 and crowd.proxies[1].make(crowd.box).value is crowd.box:
            show('used')

    def close():
        for interp in crowd.interps:
            interp.close()
        show('closed')
    atexit.register(close)
    atexit.register(use)


@scenario(output=['atexit'])
def atexit_of_a_closed_interpreter_calls_main():
    crowd = stay()
    crowd.proxies[0].call(atexit_register, show)
    crowd.first.close()


def atexit_register(function):
    atexit.register(function, 'atexit')


@scenario(errors='')
def atexit_of_an_interpreter_left_open_calls_main():
    # Main's objects are gone by then; an error is reported there, in peace.
    crowd = stay()
    crowd.first.call(register_len, SharedObjectProxy(crowd.box))


def register_len(proxy):
    atexit.register(len, proxy)


@scenario(errors='')
def atexit_that_fails_at_close():
    interp = interpreters.create()
    proxy = interp.call(residents.keep_made, 'box', Box)
    interp.exec('import atexit; atexit.register(lambda: 1 / 0)')
    interp.close()
    if interpreters.is_alive(proxy):
        os._exit(98)


@scenario(errors='')     # Some find that the others are gone already.
def destructors_call_everyone():
    crowd = stay()
    logs = [SharedObjectProxy(Log()), *(i.call(residents.wrapped, Log) for i in crowd.interps)]
    for log in logs:
        crowd.box.value.append(Witness(log))
        for interp in crowd.interps:
            interp.call(residents.keep_made, f'witness {id(log)}', Witness, log)


@scenario()
def daemon_threads_wait_inside():
    crowd = stay()

    def wait(inside):
        crowd.proxies[0].call(crowd.proxies[1].call, block, inside)
    start_daemon(wait)
    start_daemon(wait)


@scenario()
def daemon_thread_spins_inside():
    crowd = stay()
    spin_there = crowd.first.call(residents.wrapped, residents.spinner)
    kept = crowd.first.call(residents.wrapped, residents.everything_kept)

    def spin(inside):
        threading.Thread(target=spin_there, daemon=True).start()
        residents.wait_until(lambda: 'spinning' in kept)
        inside.set()
    start_daemon(spin)


@scenario()
def daemon_threads_come_and_go():
    crowd = stay()

    def use(inside):
        inside.set()
        try:
            while True:
                for proxy in crowd.proxies:
                    proxy.make(crowd.box).value.make(proxy)
        except interpreters.DeadProxyError:
            pass
    for _ in range(4):
        start_daemon(use)


@scenario(output=['finished'])
def thread_inside_is_waited_for():
    crowd = stay()
    main_is_ending = threading.Event()

    def finish():
        main_is_ending.wait(30)
        show('finished')
    threading.Thread(target=crowd.proxies[0].call, args=(finish,)).start()
    threading._register_atexit(main_is_ending.set)


@scenario()
def queues_full_of_proxies():
    crowd = stay()
    queue = crowd.queue = interpreters.create_queue()
    for proxy in (SharedObjectProxy(crowd.box), *crowd.proxies):
        queue.put(proxy)
        queue.put([proxy, {'key': proxy}])
    crowd.first.call(queue.put, crowd.proxies[1])


@scenario(output=['3'])
def shared_forever():
    crowd = stay()
    forever = interpreters.share_forever(crowd.box)
    forever.value = 3
    crowd.first.prepare_main(forever=forever)
    crowd.first.exec('from concurrent.interpreters import share_forever\n'
                     'share_forever([forever]); print(forever.value, flush=True)')


@scenario()
def scopes_left_open():
    crowd = stay()
    crowd.scope = interpreters.ShareScope()
    scoped = crowd.scope.share(crowd.box)
    crowd.first.prepare_main(scoped=scoped)
    crowd.stack = contextlib.ExitStack()
    crowd.stack.enter_context(interpreters.share(crowd))


@scenario(output=['done'])
def pool_left_open():
    log = Log()
    crowds.append(pool := InterpreterPoolExecutor(
        2, initializer=residents.keep, initargs=('log', SharedObjectProxy(log))))
    for future in [pool.submit(residents.attempt_kept, 'log', len) for _ in range(4)]:
        future.result()
    show('done')


@scenario(code=6)
def os_exit_while_threads_are_inside():
    crowd = stay()
    start_daemon(lambda inside: crowd.proxies[0].call(crowd.proxies[1].call, block, inside))
    crowd.proxies[1].call(os._exit, 6)


@scenario(code=7)
def sys_exit_while_a_daemon_thread_is_inside():
    crowd = stay()
    start_daemon(lambda inside: crowd.proxies[0].call(block, inside))
    crowd.proxies[0].call(crowd.proxies[1].call, sys.exit, 7)


@scenario()
def daemon_thread_opens_interpreters():
    def use(inside):
        crowd = stay()
        inside.set()
        with contextlib.suppress(interpreters.DeadProxyError):
            while True:
                crowd.proxies[0].make(crowd.proxies[1])
    start_daemon(use)


@scenario(output=['opened'])
def atexit_opens_interpreters():
    def leave_open():
        if len(stay().proxies[0]) == 1:
            show('opened')
    atexit.register(leave_open)


@scenario(output=['held'])
def buffers_held_at_the_end():
    crowd = stay()
    crowd.views = [memoryview(proxy.call(bytearray, b'held')) for proxy in crowd.proxies]
    crowd.first.prepare_main(view=memoryview(bytearray(b'lent')))
    show(bytes(crowd.views[1]).decode())


@scenario()
def scope_closed_at_the_end():
    crowd = stay()
    crowd.scope = interpreters.ShareScope()
    crowd.scoped = [crowd.scope.share(proxy) for proxy in crowd.proxies]
    crowd.first.prepare_main(close=SharedObjectProxy(crowd.scope.close))
    crowd.first.exec('import atexit; atexit.register(close)')
    crowd.first.close()
    if any(map(interpreters.is_alive, crowd.scoped)):
        os._exit(97)


@scenario()
def cycles_across_interpreters():
    crowd = stay()
    for _ in range(100):
        box = Box()
        box.value = crowd.proxies[0].make((crowd.proxies[1].make(box), box))


@scenario()
def requests_that_nobody_serves():
    crowd = stay()
    crowd.futures = [crowd.first.call_soon(len, SharedObjectProxy(crowd.box)) for _ in range(20)]


@scenario()
def exit_from_a_thread_that_used_proxies():
    crowd = stay()
    thread = threading.Thread(target=crowd.proxies[0].call, args=(sys.exit,))
    thread.start()
    thread.join()
