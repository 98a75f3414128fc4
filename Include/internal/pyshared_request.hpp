// SPDX-License-Identifier: PSF-2.0
// Requests: what an interpreter is asked to run without anybody waiting for it.
//
// A request is made by one interpreter and served in another, by whatever thread comes first to a
// safe point there, or by a thread that enters it for that.  Requests start in the order in which
// they were made.  Each is answered exactly once: `reply`, a callable of the asking interpreter, is
// called with a function that does the work and belongs to the interpreter that serves; or with
// None, if that interpreter ends first.

#pragma once

#include "pyshared_owner.hpp"

namespace pyshared {

// Ask an interpreter to do `work`, a tuple (callable, args, kwargs or None), which crosses as the
// arguments of Interpreter.call() do, and to answer `reply`.
// Tstate: attached.  Refs: borrowed.
// Errors: -1 with an exception set: it cannot cross, or there is no such interpreter.
[[nodiscard]] int ask(int64_t interp_id, PyObject *reply, PyObject *work);

// Serve what waits, unless this thread is serving already.
// Tstate: attached to `here`.  Python: runs.  Errors: none.
void serve_requests(Owner &here);

// At a safe point.  Not near the end of the stack, where the answer might not find its way, nor while
// the thread state is cleared, which would keep what is called from then on: the helper thread of
// whoever asked does it.
inline void serve_if_asked(Owner &here, PyThreadState *tstate)
{
    constexpr int kMargins = 2;
    if (here.first_request.load(std::memory_order_relaxed) != nullptr
        && !tstate->_status.finalizing
        && !_Py_ReachedRecursionLimitWithMargin(tstate, kMargins)) [[unlikely]] {
        serve_requests(here);
    }
}

// The same for another interpreter, entering it; nothing if it is gone or ending.
// Tstate: attached.
void serve_there(int64_t interp_id);

// Answer that the requests that wait will not be served, and take no more.
// Tstate: attached to `here`, which is ending.  Python: runs, in those that asked.
void refuse_requests(Owner &here);

}  // namespace pyshared
