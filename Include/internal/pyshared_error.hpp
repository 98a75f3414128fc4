// SPDX-License-Identifier: PSF-2.0
// Exceptions that cross: packed in the owner, raised again in the caller.
//
// The parcel's layout, after a form number:
//
//     kBuiltin  class, arguments or just a message, state, origin
//     kGroup    message, state, members, origin
//     kNamed    module, qualified name, (arguments, state) or None or ..., proxy or None, message,
//               notes, members, origin
//     kHome     the exception, notes, report or None
//
// where members are a count and that many exceptions, and the origin is None, or a report and then
// the cell of the exception that comes home, or nothing.

#pragma once

#include "pyshared_parcel.hpp"

namespace pyshared {

enum class ErrorForm : int { kBuiltin, kGroup, kNamed, kHome };

inline constexpr const char *kNotes = "__notes__";

inline bool is_any_group(PyObject *exception)
{
    return PyObject_TypeCheck(exception,
                              reinterpret_cast<PyTypeObject *>(PyExc_BaseExceptionGroup));
}

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

// (arguments, state) to make it again; of a group's arguments the message alone, its members go by
// themselves.
// Tstate: attached.  Refs: result new.  Python: __reduce_ex__ runs.
// Errors: null, with an exception set or not, if that cannot be told.
[[nodiscard]] PyObject *reduced(PyObject *exception);

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
