// SPDX-License-Identifier: PSF-2.0
// Exceptions that cross: packed in the owner, raised again in the caller.

#pragma once

#include "pyshared_parcel.hpp"

namespace pyshared {

// Append the exception, so that raise_packed() can raise it, or what stands for it, elsewhere.
// Never fails as a whole: what cannot be packed is left out, down to a plain MemoryError.
// Tstate: attached to the sender, no exception set.  Refs: borrowed.
// Python: a class's __reduce_ex__ and the value's __str__ may run.
void pack_exception(Parcel &parcel, PyObject *exception);

// Raise what pack_exception() appended.
// Tstate: attached to the receiver.  Python: a class's constructor may run.
// Errors: an exception is set, always.
void raise_packed(Parcel &parcel);

// The exception as str() shows it, and what to say if that fails.
// Tstate: attached.  Refs: result new.  Python: __str__ runs.
[[nodiscard]] PyObject *message_of(PyObject *exception);

// Its notes as a tuple, or None.
// Tstate: attached.  Refs: result new.
[[nodiscard]] PyObject *notes_of(PyObject *exception);

// A RemoteError for what `described` tells: (module, qualified name, message, report or None).
// Tstate: attached.  Refs: borrowed, result new.
[[nodiscard]] PyObject *make_remote_error(PyObject *described, PyObject *proxy);

// What a RemoteError was made of; borrowed, nulls for anything else.
struct RemoteParts {
    PyObject *described = nullptr;
    PyObject *proxy = nullptr;
};
[[nodiscard]] RemoteParts remote_parts(PyObject *exception);

}  // namespace pyshared
