// SPDX-License-Identifier: PSF-2.0
// Signals while the main thread is in another interpreter.
//
// Threads:  the kernel may run the C handler in any thread.  `handlers_looking` keeps the thread
//           state that it found from being deleted: it is raised before the look at
//           `main_thread_elsewhere`, which was changed before the deletion waits for zero.
// Locks:    none.
// See:      Doc/internals/entering.md; Lib/test/test_sharing/test_signals.py.

#include "pyshared_signal.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_error.hpp"
#include "pyshared_fork.hpp"
#include "pyshared_parcel.hpp"

#include <sched.h>

namespace pyshared {

constinit std::atomic<PyThreadState *> main_thread_elsewhere{nullptr};

namespace {

constinit std::atomic<int> handlers_looking{0};
static_assert(std::atomic<int>::is_always_lock_free);

// Give back what the parcel keeps of the owner's.
void return_what_is_kept(Parcel &parcel, Owner &owner)
{
    if (!parcel.keeps_anything()) {
        return;
    }
    InterpreterEntry again;
    if (again.enter(owner) == InterpreterEntry::Outcome::kEntered) {
        parcel.give_back();
    }
    else {
        parcel.abandon();
    }
}

}  // namespace

void wait_for_signal_handlers()
{
    // An addition, not a load: handlers that come later see what this thread has seen.
    while (handlers_looking.fetch_add(0, std::memory_order_acq_rel) != 0) {
        sched_yield();
    }
}

void reset_signals()
{
    main_thread_elsewhere.store(nullptr, std::memory_order_relaxed);
    handlers_looking.store(0, std::memory_order_relaxed);
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

void _PyShared_SignalReceived(void)
{
    handlers_looking.fetch_add(1, std::memory_order_acq_rel);
    if (PyThreadState *tstate = main_thread_elsewhere.load(std::memory_order_acquire)) {
        _Py_set_eval_breaker_bit(tstate, _PY_SIGNALS_PENDING_BIT);
    }
    handlers_looking.fetch_sub(1, std::memory_order_acq_rel);
}

int _PyShared_HandleSignals(void)
{
    PyInterpreterState *main = _PyInterpreterState_Main();
    if (!_Py_IsMainThread() || !_Py_atomic_load_int_relaxed(&_PyRuntime.signals.is_tripped)
        || !this_thread_is_inside(main)) {
        return 0;
    }
    Owner &owner = *owner_of(main);
    Parcel parcel(owner, nullptr, Parcel::Lifetime::kMayEnd);
    InterpreterEntry entry;
    if (entry.enter(owner) != InterpreterEntry::Outcome::kEntered) {
        // It is ending, and handles no signals any more.
        return 0;
    }
    bool raised = _PyErr_CheckSignalsTstate(_PyThreadState_GET()) < 0;
    if (raised) {
        PyObject *exception = PyErr_GetRaisedException();
        pack_exception(parcel, exception);
        Py_DECREF(exception);
    }
    entry.leave();
    if (raised) {
        raise_packed(parcel);
        PyObject *exception = PyErr_GetRaisedException();
        return_what_is_kept(parcel, owner);
        PyErr_SetRaisedException(exception);
    }
    return raised ? -1 : 0;
}

}  // extern "C"
