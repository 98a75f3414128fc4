// SPDX-License-Identifier: PSF-2.0
// Operands in kind: what a builtin container is compared and combined with.
//
// Lists, tuples, dicts and sets look into an operand of their own kind, and what they see of
// another interpreter's is a proxy.  For the one operation a local container of the same items
// takes its place, so that `proxy == [1, 2]` and `proxy | {3}` answer as the object does.

#pragma once

#include "pyshared_guards.hpp"

namespace pyshared {

// What `object` is to be compared with in place of `other`: `other` itself, unless the object
// compares as a builtin container does and `other` is a proxy of a builtin container.
// Tstate: attached to the object's owner; enters the other's.  Refs: result new.
// Errors: null with an exception set.
[[nodiscard]] PyObject *comparand_in_kind(PyObject *object, PyObject *other);

// The same for operators, for objects of exactly a builtin container type.
[[nodiscard]] PyObject *operand_in_kind(PyObject *object, PyObject *other);

// What crosses by value and compares as the object does: the object itself, the int, str or float
// that an object of a subclass (an enum's member, say) is compared as, or NotImplemented.
// Tstate: attached.  Refs: result new.  Errors: null with an exception set.
[[nodiscard]] PyObject *comparable_value(PyObject *object);

}  // namespace pyshared
