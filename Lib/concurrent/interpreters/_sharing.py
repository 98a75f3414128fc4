"""Use any object from any interpreter.

The machinery is in the core; this is what concurrent.interpreters adds on top.
"""

import contextvars
import weakref

import _sharedobjects
from _sharedobjects import (
    DeadProxyError, RemoteError, RemoteTraceback, SharedObjectProxy,
    is_alive, is_shareable, register_interpreter, release, revoke, share,
    share_forever, share_stats, share_token,
)


__all__ = [
    'share', 'share_forever', 'SharedObjectProxy', 'ShareScope',
    'is_alive', 'is_shareable', 'owner', 'release', 'revoke',
    'share_token', 'share_stats',
    'DeadProxyError', 'RemoteError', 'RemoteTraceback',
]


def owner(proxy, /):
    """Return the Interpreter whose object the proxy stands for.

    The owner is not entered.
    """
    from . import Interpreter
    return Interpreter(_sharedobjects.owner_id(proxy))


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
        return f'<{type(self).__name__} {state} at {id(self):#x}>'

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
