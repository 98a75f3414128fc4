// SPDX-License-Identifier: PSF-2.0
// The GIL of another interpreter: looking at it, waiting for it, asking for it.
//
// Invariants
// * A GIL is looked at inside the gate of its interpreter only, which keeps it.
// * What a look tells may be over by the time it is used; the base's take_gil() decides.
// * Works with and without the GIL's fast path, an optional patch: `requires` tells whether it is
//   there.  Free-threaded builds have no GIL to wait for: whoever runs in an interpreter is
//   signalled, and none counts as running.

#pragma once

#include "pyshared_python.hpp"

#include "pycore_gil.h"

#include <cstdint>

namespace pyshared {

// Does anybody have the GIL?  Other builds than free-threaded ones.
// Tstate: any.
template <class Gil> bool is_held(const Gil &gil)
{
    if constexpr (requires { gil.shared_locked; }) {
        return _Py_atomic_load_int_relaxed(&gil.shared_locked) != 0;
    }
    else {
        return _Py_atomic_load_int_relaxed(&gil.locked) != 0;
    }
}

// Does nobody run in the interpreter?
// Tstate: any.
inline bool is_idle(const PyInterpreterState *interp)
{
    return kFreeThreaded || !is_held(*interp->ceval.gil);
}

// Does nobody have the GIL, so that whoever takes it next sees what this thread changed just before,
// by an atomic instruction?  False if that cannot be told.
// Tstate: any.
bool is_free(const PyInterpreterState *interp);

// Somebody has the GIL: wait a moment, and then ask for it to be dropped at once.
// Tstate: none attached.
void wait_or_ask(const PyInterpreterState *interp);

// Set a bit of the eval breaker of the thread state that has the GIL, if one has it; only of the
// interpreter's own, as one GIL may be that of several.
// Tstate: any.  Locks: the GIL's mutex is taken, so that the holder does not go away meanwhile.
enum class Holder : uint8_t { kAnyone, kOfTheInterpreter };
void signal_holder(const PyInterpreterState *interp, uintptr_t bit, Holder whom);

}  // namespace pyshared
