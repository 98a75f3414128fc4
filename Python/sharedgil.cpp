// SPDX-License-Identifier: PSF-2.0
// The GIL of another interpreter: looking at it, waiting for it, asking for it.
//
// Threads:  how patient a thread is concerns that thread alone.
// Locks:    the GIL's mutex, for signal_holder().
// See:      Doc/internals/entering.md; Tests/gil_test.cpp; Tools/bench, "two interpreters, one object".

#include "pyshared_gil.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_owner.hpp"

#include <pthread.h>

namespace pyshared {
namespace {

// Most who have the GIL of another interpreter are in and out before a thread could fall asleep and be
// woken.  But two threads that take turns at each call spend most of their time fetching what the other
// one's processor has changed; a thread that looks seldom lets the other one make some calls in a row,
// and makes some itself.  A thread that waited in vain is not patient the next time: whoever has that
// GIL does not come out so soon.
struct Patience {
    PyTime_t moment;        // nanoseconds before each look
    int looks;
};
constexpr Patience kPatient{2000, 5};
constexpr Patience kImpatient{300, 1};

constinit thread_local bool patient = false;

template <class Gil> bool can_be_taken(const Gil &gil)
{
    if constexpr (requires { _PyShared_GIL_IsFree(&gil); }) {
        // Pairs with _PyShared_GIL_Take(), after which the release queue is looked at.
        fence_after_change();
        return _PyShared_GIL_IsFree(&gil);
    }
    return false;
}

// Locks: the GIL's mutex, so that nobody drops or takes the GIL until it is unlocked.
template <class Gil> void keep_by_mutex(Gil *gil)
{
    if constexpr (requires { _PyShared_GIL_ByMutex(gil); }) {
        _PyShared_GIL_ByMutex(gil);
    }
}

void pause_processor()
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

// Ends at once without a clock.
void pause_for(PyTime_t moment)
{
    PyTime_t start, now;
    if (PyTime_MonotonicRaw(&start) < 0) {
        return;
    }
    do {
        for (int i = 0; i < 8; ++i) {
            pause_processor();
        }
    } while (PyTime_MonotonicRaw(&now) == 0 && now - start < moment);
}

// Returns whether it was seen free.
bool wait_briefly(const _gil_runtime_state &gil)
{
    const Patience &patience = patient ? kPatient : kImpatient;
    patient = false;
    for (int look = 0; look < patience.looks && !patient; ++look) {
        pause_for(patience.moment);
        patient = !is_held(gil);
    }
    return patient;
}

}  // namespace

bool is_free(const PyInterpreterState *interp)
{
    return can_be_taken(*interp->ceval.gil);
}

void wait_or_ask(const PyInterpreterState *interp)
{
    if (!wait_briefly(*interp->ceval.gil)) {
        signal_holder(interp, _PY_GIL_DROP_REQUEST_BIT, Holder::kAnyone);
    }
}

void signal_holder(const PyInterpreterState *interp, uintptr_t bit, Holder whom)
{
    if constexpr (kFreeThreaded) {
        _Py_set_eval_breaker_bit_all(const_cast<PyInterpreterState *>(interp), bit);
        return;
    }
    _gil_runtime_state *gil = interp->ceval.gil;
    pthread_mutex_lock(&gil->mutex);
    keep_by_mutex(gil);
    if (_Py_atomic_load_int_relaxed(&gil->locked)) {
        auto *holder = static_cast<PyThreadState *>(
            _Py_atomic_load_ptr_relaxed(&gil->last_holder));
        if (whom == Holder::kAnyone || holder->interp == interp) {
            _Py_set_eval_breaker_bit(holder, bit);
        }
    }
    pthread_mutex_unlock(&gil->mutex);
}

}  // namespace pyshared

using namespace pyshared;

extern "C" int _PyShared_GIL_WaitBriefly(const struct _gil_runtime_state *gil)
{
    return this_thread_is_in_a_call() && wait_briefly(*gil);
}
