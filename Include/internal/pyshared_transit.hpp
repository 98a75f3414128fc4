// SPDX-License-Identifier: PSF-2.0
// Proxies that travel by other means than a parcel: tokens, pickles, the base's own queues.

#pragma once

#include "pyshared_owner.hpp"

#include "pycore_crossinterp.h"

namespace pyshared {

// Tokens: the cell's index and generation.  They hold no handle.

inline constexpr size_t kTokenSize = 16;

// Tstate: attached.  Refs: result new.  The caller keeps the cell from being recycled.
[[nodiscard]] PyObject *make_token(const SharedCell &cell);

// The cell, with a handle; or null with DeadProxyError, TypeError or ValueError set.
// Tstate: attached.
[[nodiscard]] SharedCell *resolve_token(PyObject *bytes);

// What the base's registry of cross-interpreter data, and ours, know of the value's type.
enum class Registration : uint8_t {
    kNone,
    kData,          // it crosses as the data that a function makes of it
    kShareMethod,   // it has __share__
};

// Tstate: attached.  Errors: kNone, maybe with an exception set.
[[nodiscard]] Registration registration_of(PyThreadState *tstate, PyObject *value);

// Let instances of a class cross as the data that to_data makes of them.
// Tstate: attached.  Errors: -1 with an exception set.
[[nodiscard]] int register_class(PyObject *cls, xidatafunc to_data);

// Does the object cross through the base's queues and calls, pickled if need be?  Can it be pickled
// to cross?
// Tstate: attached.  Python: what crossing runs.  Errors: -1 with an exception set: it does not.
[[nodiscard]] int check_crossing(PyObject *object);
[[nodiscard]] int check_pickling(PyObject *object);

// Let objects of concurrent.interpreters.Interpreter cross, as the interpreter's ID.
// Tstate: attached.  Errors: -1 with an exception set.
[[nodiscard]] int register_interpreter_class(PyObject *cls);

// Let objects of concurrent.interpreters.PickleWrapper cross as pickled copies, and those of Rebuild
// as what their callable makes on arrival.
// Tstate: attached.  Errors: -1 with an exception set.
[[nodiscard]] int register_copied_class(PyObject *cls);
[[nodiscard]] int register_rebuilt_class(PyObject *cls);

// What the function of that name in concurrent.interpreters._copying returns for the proxy's
// object, in its owner.
// Tstate: attached.  Refs: borrowed, result new.  Python: the function runs in the owner.
// Errors: null with an exception set.
[[nodiscard]] PyObject *prepare_copy(PyObject *proxy, const char *function);

// Pickles that cross: within _PyShared_PickleDumps() a proxy pickles as a token, whose cell the
// session keeps alive until the pickle is freed.

bool in_pickle_session();

// What __reduce_ex__ answers in a session.
// Tstate: attached.  Refs: result new.
[[nodiscard]] PyObject *reduce_in_pickle_session(PyObject *proxy);

}  // namespace pyshared
