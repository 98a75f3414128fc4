// SPDX-License-Identifier: PSF-2.0
// Signals while the main thread is in another interpreter.
//
// Handlers written in Python belong to the main interpreter.  Where the main thread, on its way
// from there, runs in another one, they are run as if it were there: it enters the main interpreter
// for them, and what they raise is raised in the code that was interrupted.

#pragma once

#include "pyshared_python.hpp"

#include "pycore_signal.h"

#include <atomic>

#include <pthread.h>

namespace pyshared {

// The thread state of another interpreter in which the main thread runs, or null.  Written by the
// main thread, read by signal handlers in any.
extern std::atomic<PyThreadState *> main_thread_elsewhere;

// The calling thread is about to attach this thread state: an arriving signal is to interrupt it.
// Null: the one that signals interrupt anyway.  Returns whether this is the main thread.
// Tstate: any.
inline bool let_signals_interrupt(PyThreadState *tstate)
{
    // _Py_IsMainThread(), without its two calls.
    bool main_thread = reinterpret_cast<unsigned long>(pthread_self()) == _PyRuntime.main_thread;
    if (main_thread) {
        main_thread_elsewhere.store(tstate, std::memory_order_release);
    }
    return main_thread;
}

// The main thread has attached `tstate`: a signal that came a little earlier interrupts it, too.
inline void notice_earlier_signal(PyThreadState *tstate)
{
    if (_Py_atomic_load_int_relaxed(&_PyRuntime.signals.is_tripped)) [[unlikely]] {
        _Py_set_eval_breaker_bit(tstate, _PY_SIGNALS_PENDING_BIT);
    }
}

// Wait until no signal handler looks at a thread state that is to be deleted.
void wait_for_signal_handlers();

}  // namespace pyshared
