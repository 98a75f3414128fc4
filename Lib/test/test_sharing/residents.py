"""What the tests of lifetimes put into interpreters: objects, and functions to call there.

Imports little: each interpreter that is made for a test has to import it.
"""

import contextvars
import gc
import sys
import textwrap
import threading
import time
import weakref
from concurrent import interpreters
from concurrent.interpreters import SharedObjectProxy


local = threading.local()
lock = threading.RLock()
variable = contextvars.ContextVar('variable', default=0)

# What interpreters keep between calls.
kept = {}


class Box:
    """Holds a value, calls back, and cannot be pickled."""

    def __init__(self, value=None):
        self.value = value

    def __reduce__(self):
        raise TypeError('a Box stays where it is')

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([self.value])

    def set(self, value):
        self.value = value

    def make(self, value=None):
        return Box(value)

    def call(self, function, /, *args):
        return function(*args)

    def close_and_make(self, close):
        close()
        return Box()

    def bounce(self, other, depth):
        """Call each other in turn; return how deep it went."""
        return 1 + other.bounce(SharedObjectProxy(self), depth - 1) if depth else 0

    def next_local(self):
        """Count up in a thread-local variable."""
        local.count = getattr(local, 'count', 0) + 1
        return local.count

    def set_local(self, value):
        local.value = value

    def next_variable(self):
        """Count up in a context variable."""
        variable.set(variable.get() + 1)
        return variable.get()

    def thread(self):
        return threading.get_ident(), id(threading.current_thread())

    def exception(self):
        return repr(sys.exception())

    def with_lock(self, function, /, *args):
        with lock:
            return function(*args)

    def recurse(self, other, depth):
        return other.recurse(SharedObjectProxy(self), depth + 1)

    def wander(self, boxes, seed, steps):
        """Take a walk: each step calls a random box, or comes back; return the steps taken."""
        taken = 1
        while steps > taken and seed % 7:
            seed = (seed * 1103515245 + 12345) % (1 << 31)
            target = boxes[(seed >> 8) % len(boxes)]
            taken += target.wander(boxes, seed, (steps - taken) // 2)
        return taken


class Witness:
    """Reports its own death: calls report(tag, interpreter's id)."""

    def __init__(self, report, tag='gone'):
        self.report = report
        self.tag = tag

    def __del__(self):
        self.report(self.tag, interpreters.get_current().id)


class Counter:

    def __init__(self):
        self.total = 0
        self.lock = threading.Lock()

    def add(self):
        with self.lock:
            self.total += 1


class Adder:

    def __init__(self, counter):
        self.counter = counter

    def add(self, count):
        for _ in range(count):
            self.counter.add()
        return count


class PerThread:
    """Lives in a thread-local variable of each thread that comes by."""

    living = weakref.WeakSet()

    @classmethod
    def settle(cls):
        local.settled = cls()
        cls.living.add(local.settled)

    @classmethod
    def count(cls):
        return len(cls.living)


def cells_live():
    return interpreters.share_stats()['cells_live']


def list_type():
    return list


def lock_itself():
    return lock


def per_thread():
    return PerThread


def share_forever_itself():
    return interpreters.share_forever


def witness_class():
    return Witness


class Log:
    """Keeps what is reported to it, in the interpreter that reads it."""

    def __init__(self):
        self.entries = []
        self.changed = threading.Condition()

    def __call__(self, *entry):
        with self.changed:
            self.entries.append(entry)
            self.changed.notify_all()

    def wait(self, count=1):
        """Wait for that many entries; return them all."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.entries) >= count, 30)
            return list(self.entries)


def wait_until(condition, seconds=30):
    """Return the condition's last answer: true, or what it was when time was up."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return answer


def safe_point():
    """A call: what waits for the next safe point has run when it returns."""


def raised_by(function, /, *args):
    """Return the class of the exception, or None; keep no traceback."""
    try:
        function(*args)
    except BaseException as exc:
        return type(exc)
    return None


def current_id():
    return interpreters.get_current().id


def execute(source):
    exec(source, {})


def execute_with(source, flag):
    exec(source, {'flag': flag})


def compiled(source):
    return SharedObjectProxy(lambda: execute(textwrap.dedent(source)))


def identifier():
    return current_id


def throw(error):
    raise error


def append_to(values, value):
    values.append(value)


def wrapped(function, /, *args):
    """Return a proxy of what the function makes here."""
    return SharedObjectProxy(function(*args))


def wrapped_boxes(count):
    return tuple(map(SharedObjectProxy, map(Box, range(count))))


def share_forever_twice(proxies):
    """Two threads make each of the proxies immortal, at the same time if they can."""
    reached = [0, 0]

    def share_each(index):
        try:
            for number, proxy in enumerate(proxies):
                reached[index] = number
                while reached[1 - index] < number:
                    time.sleep(0)
                interpreters.share_forever(proxy)
        finally:
            reached[index] = len(proxies)
    threads = [threading.Thread(target=share_each, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def keep(name, value):
    kept[name] = value


def keep_made(name, function, /, *args):
    """Make something here and keep it; return a proxy."""
    kept[name] = function(*args)
    return SharedObjectProxy(kept[name])


def everything_kept():
    return kept


def kept_proxy(name):
    return SharedObjectProxy(kept[name])


def keep_wrapped(name):
    kept[name] = SharedObjectProxy(kept[name])


def report_to_kept(name, *entry):
    kept[name](*entry)


def call(function, /, *args):
    return function(*args)


def same(value):
    return value


def spin_while(log):
    """Run Python code until the log has an entry; return which thread did."""
    import threading
    while not log:
        pass
    return threading.get_ident()


def keep_value(name, source):
    kept[name] = kept[source].value


def pass_on(name, target):
    """Give what is kept to a kept Box."""
    kept[target].set(kept[name])


def keep_result(name, source, method, /, *args):
    """Keep what a method of something kept returns; return it."""
    kept[name] = getattr(kept[source], method)(*args)
    return kept[name]


def kept_is_alive(name):
    return interpreters.is_alive(kept[name])


def drop(name):
    del kept[name]


def drop_all():
    kept.clear()
    gc.collect()


def attempt(function, /, *args):
    """Return the name and message of the error that the call ends with, or None."""
    try:
        function(*args)
    except Exception as exc:
        return type(exc).__name__, str(exc)
    return None


def attempt_kept(name, function, /, *args):
    return attempt(function, kept[name], *args)


def drop_and_look(make):
    """Drop the only proxy of a new Witness; return what had died at the next safe point."""
    log = Log()
    proxy = make(log, 'dropped')
    before = list(log.entries)
    del proxy
    safe_point()
    return tuple(before), tuple(log.entries)


def spin_until_dead():
    """Hold this interpreter in a loop until a kept object's death is known here."""
    kept['spinning'] = True
    deadline = time.monotonic() + 30
    while 'death' not in kept and time.monotonic() < deadline:
        pass
    return 'death' in kept


def read_without_detaching(fd, about_to):
    """Read a byte in C code that keeps this interpreter's lock."""
    import ctypes
    read = ctypes.PyDLL(None).read
    buffer = ctypes.create_string_buffer(1)
    about_to()
    return read(fd, buffer, 1)


def spinner():
    return spin_until_dead


def be_quiet():
    """Let errors in destructors pass."""
    sys.unraisablehook = lambda unraisable: None


class Lingering:
    """Runs when it dies, busily, until release_lingering() was called; reports before that."""

    def __init__(self, report):
        self.report = report

    def __del__(self):
        self.report(threading.get_ident())
        deadline = time.monotonic() + 30
        while 'caller' not in kept and time.monotonic() < deadline:
            pass


def release_lingering():
    kept['caller'] = threading.get_ident()
    return kept['caller']


class LocalWitness:
    """Notes its death in its own interpreter, without leaving it."""

    def __del__(self):
        kept['death'] = current_id()


def cycle_is_collected(held_elsewhere=None):
    """Make a cycle through a proxy; return whether a collection frees it."""
    box = Box()
    box.value = SharedObjectProxy(box)
    if held_elsewhere is not None:
        held_elsewhere(box.value)
    watch = weakref.ref(box)
    del box
    gc.collect()
    return watch() is None
