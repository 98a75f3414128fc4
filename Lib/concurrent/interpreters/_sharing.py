"""Use any object from any interpreter.

The machinery is in the core; this is what concurrent.interpreters adds on top.
"""

import contextvars
import sys
import threading
import weakref
from functools import partial

import _sharedobjects
from _interpreters import InterpreterError, NotShareableError
from _sharedobjects import (
    DeadProxyError, RemoteError, RemoteTraceback, SharedObjectProxy,
    is_alive, is_shareable, register_interpreter, release, revoke, share,
    share_forever, share_stats, share_token,
)

from ._copying import *
from ._copying import __all__ as _copying_names
from ._unshareable import unshareable, unshareable_call


__all__ = [
    *_copying_names,
    'share', 'share_forever', 'SharedObjectProxy', 'ShareScope',
    'is_alive', 'is_shareable', 'owner', 'release', 'revoke',
    'share_token', 'share_stats', 'shared_objects',
    'DeadProxyError', 'RemoteError', 'RemoteTraceback',
]


def owner(proxy, /):
    """Return the Interpreter whose object the proxy stands for.

    The owner is not entered.
    """
    from . import Interpreter
    return Interpreter(_sharedobjects.owner_id(proxy))


class SharedObject:
    """What shared_objects() tells of one object.  It does not keep the object.

    owner_id    the ID of the interpreter whose object it is
    type_name   the name of its type; None if its owner could not be asked
    references  how many proxies and messages hold it, in all interpreters
    scope       the number of its scope, as a ShareScope's repr() tells it, or
                None
    age         how long it has been shared, in seconds, and
    place       which line of code shared it; both None if that was not
                recorded: see -X showshared
    alive       false if its proxies are dead but not gone yet
    """

    __slots__ = ('owner_id', '_token', 'type_name', 'references', 'scope',
                 'age', 'place', 'alive')

    def __init__(self, *values):
        for name, value in zip(self.__slots__, values, strict=True):
            setattr(self, name, value)

    @property
    def owner(self):
        """The Interpreter whose object it is."""
        from . import Interpreter
        return Interpreter(self.owner_id)

    def repr(self):
        """Return the object's own repr(), made in its owner; None if it is gone."""
        try:
            proxy = SharedObjectProxy.from_token(self._token)
        except DeadProxyError:
            return None
        return repr(proxy)

    def __repr__(self):
        what = f'{self.type_name!r} object' if self.type_name else 'object'
        state = '' if self.alive else 'dead '
        words = [f'{state}shared {what} of interpreter {self.owner_id}',
                 f'references: {self.references}']
        if self.scope is not None:
            words.append(f'in scope {self.scope}')
        if self.age is not None:
            words.append(f'{self.age:.1f} s old')
        if self.place is not None:
            words.append(f'shared at {self.place}')
        return f'<{", ".join(words)}>'


def shared_objects():
    """Return a list of the objects that are shared now, in the whole process.

    Each is told by a SharedObject.  The owners are entered to ask for the
    types' names.
    """
    return [SharedObject(*row) for row in _sharedobjects._shared_objects()]


def _show_shared_objects():
    """What -X showshared prints as the main interpreter ends."""
    shared = shared_objects()
    if shared and sys.stderr is not None:
        print(f'Shared objects at exit: {len(shared)}', *map(repr, shared),
              sep='\n  ', file=sys.stderr, flush=True)


class _AskedCall:
    """A call that another interpreter was asked to make, and its future.

    A helper thread completes the future when it has left the other
    interpreter, so that the future's callbacks may close that.
    """

    def __init__(self, interp_id):
        from concurrent.futures import Future
        self.future = Future()
        self._interp_id = interp_id
        self._lock = threading.Lock()
        self._complete = None           # _lock
        self._is_answered = False       # _lock
        self._has_helper = True         # _lock
        self._answered = threading.Lock()
        self._answered.acquire()

    def make(self, run):
        """Make the call, in a thread that is inside the other interpreter."""
        if not self.future.set_running_or_notify_cancel():
            self._answer(None)
            return
        try:
            result = run()
        except BaseException as exc:
            # It may end after it has come to the request, and before the call.
            ended = (isinstance(exc, DeadProxyError)
                     and type(run) is SharedObjectProxy and not is_alive(run))
            exc.__traceback__ = exc.__traceback__.tb_next   # Not this frame: it holds the future.
            self._answer(partial(self.future.set_exception, self._too_late() if ended else exc))
        else:
            self._answer(partial(self.future.set_result, result))

    def refuse(self):
        """The other interpreter ends, or was not there any more after a fork.

        In the child of a fork there is no helper.
        """
        self._answer(None)
        self._fail(self._too_late())

    def lose(self):
        """Unless it was answered: nobody will, for want of memory or as this interpreter ends."""
        self._answer(partial(self._fail, InterpreterError(
            f'interpreter {self._interp_id} could not make the call')))

    def help(self):
        """Have the request served, by this thread if no other does, and complete the future."""
        _sharedobjects._serve(self._interp_id)
        self._answered.acquire()
        self._finish()

    def help_without_waiting(self):
        """The same for a thread that may be serving requests itself."""
        _sharedobjects._serve(self._interp_id)
        with self._lock:
            self._has_helper = False
            is_answered = self._is_answered
        if is_answered:
            self._finish()

    def _too_late(self):
        return InterpreterError(
            f'interpreter {self._interp_id} was closed before it made the call')

    def _fail(self, error):
        if self.future.running() or self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def _answer(self, complete):
        with self._lock:
            if self._is_answered:
                return
            self._is_answered = True
            self._complete = complete
            has_helper = self._has_helper
        if has_helper:
            self._answered.release()
        else:
            self._finish()

    def _finish(self):
        complete, self._complete = self._complete, None
        if complete is not None:
            complete()


class _Reply:
    """What the other interpreter calls, with what makes the call, or with None."""

    def __init__(self, asked):
        self._asked = asked

    def __call__(self, run):
        if run is None:
            self._asked.refuse()
        else:
            self._asked.make(run)

    def __del__(self):
        self._asked.lose()


def call_soon(self, callable, /, *args, **kwargs):
    """Ask the interpreter to call the object, without waiting for it.

    Returns a concurrent.futures.Future.  The callable and its arguments
    cross as those of call() do; the result and an exception cross back as
    those of a proxy.  It is called by a thread that runs in the
    interpreter, between two bytecodes, as a signal handler would be; if
    none does, a helper thread is started.  Calls start in the order they
    were asked for.  The future can be cancelled until the call starts.  If
    the interpreter is closed first, it fails with InterpreterError.  Its
    callbacks run in a thread of the interpreter that asked, and may close
    the other one.
    """
    asked = _AskedCall(self.id)
    try:
        _sharedobjects._ask(self.id, _Reply(asked), (callable, args, kwargs or None))
    except NotShareableError as exc:
        raise unshareable_call(exc, callable, args, kwargs)
    # A thread that runs there may stop to do so before it comes to a safe
    # point, so there is always one that goes and looks.
    try:
        threading.Thread(target=asked.help).start()
    except RuntimeError:
        # Too late for new threads: this interpreter is ending.
        asked.help_without_waiting()
    return asked.future


def pass_on_interrupt(excinfo, /):
    """Raise KeyboardInterrupt if that is what ended the user's call into an interpreter.

    The main thread may be interrupted while it is in another interpreter.
    """
    from . import ExecutionFailed, get_current, get_main
    if (excinfo.type.__name__ == 'KeyboardInterrupt'
            and threading.current_thread() is threading.main_thread()
            and get_current() == get_main()):
        raise KeyboardInterrupt from ExecutionFailed(excinfo)


# The scope that the innermost "with" block of this context has entered.
_innermost = contextvars.ContextVar('innermost share scope', default=None)


class ShareScope:
    """Many objects that are shared until the scope is closed.

        with ShareScope() as scope:
            p = scope.share(a)
            q = scope.share(b)

    When the block ends, the proxies and everything that came out of them are
    dead, in every interpreter, and the objects behind them are released.
    Scopes nest: closing one closes those that were entered inside it.
    """

    def __init__(self):
        self._scope = _sharedobjects.Scope()
        self._inner = weakref.WeakSet()
        self._token = None

    def __repr__(self):
        state = 'closed' if self.closed else 'open'
        return f'<{type(self).__name__} {self._scope.number}, {state}>'

    @property
    def closed(self):
        """Whether the scope was closed."""
        return not self._scope.is_open

    def _check_open(self):
        if self.closed:
            raise ValueError('the share scope is closed')

    def share(self, obj, /):
        """Return obj in a form that any interpreter can use, until the scope ends.

        Natively shareable objects are returned as they are.  An object that
        is a proxy already gets another one, in this scope.
        """
        self._check_open()
        if not isinstance(obj, SharedObjectProxy):
            shared = share(obj)
            if not isinstance(shared, SharedObjectProxy):
                return shared
            if hasattr(type(obj), '__share__'):
                obj = shared
        return self._scope.wrap(obj)

    def close(self):
        """Kill every proxy of the scope and release the objects.

        Calls that are running finish, but their results are dead.  Idempotent.
        """
        for scope in list(self._inner):
            scope.close()
        self._scope.close()

    def __enter__(self):
        self._check_open()
        if self._token is not None:
            raise RuntimeError('the share scope was entered already')
        outer = _innermost.get()
        if outer is not None:
            outer._inner.add(self)
        self._token = _innermost.set(self)
        return self

    def __exit__(self, exc_type, exc, traceback):
        token, self._token = self._token, None
        try:
            _innermost.reset(token)
        except ValueError:
            # The block was entered in another context: a generator's, say.
            pass
        self.close()
