// SPDX-License-Identifier: PSF-2.0
// Operands in kind: what an object that looks into its operands is compared and combined with.
//
// Lists, sets, dates, decimals (see pyshared_kind.hpp) look into an operand of their own kind, and
// what they see of another interpreter's is a proxy.  For the one operation a local copy takes its
// place, so that `proxy == [1, 2]`, `proxy | {3}` and `proxy + timedelta(1)` answer as the object
// does.

#pragma once

#include "pyshared_arguments.hpp"
#include "pyshared_guards.hpp"

namespace pyshared {

// What `object` is to be compared with in place of `other`: `other` itself, unless the object
// compares as one of a kind does and `other` is a proxy of such.
// Tstate: attached to the object's owner; enters the other's.  Refs: result new.
// Errors: null with an exception set.
[[nodiscard]] PyObject *comparand_in_kind(PyObject *object, PyObject *other);

// The same for operators, for objects of exactly a kind's type or with its operators.
[[nodiscard]] PyObject *operand_in_kind(PyObject *object, PyObject *other);

// Is it of a kind that never changes?  A first operand that may is not copied: `first += proxy`
// would make something new in place of it.
bool is_value_in_kind(PyObject *object);

// The same for an item to be set, for objects that hold no objects.
[[nodiscard]] PyObject *item_in_kind(PyObject *object, PyObject *item);

// The same for the arguments of a call, from the first on, if what is called is a method in C of
// one of these types, which would refuse every proxy: a method by name of an object or class, or
// (no name) the callee itself.
// Tstate: attached to the callee's owner.  Errors: false with an exception set.
[[nodiscard]] bool arguments_in_kind(PyObject *callee, PyObject *method,
                                     ArgumentArray &arguments, size_t first);

// What crosses by value and compares as the object does: the object itself, the int, str or float
// that an object of a subclass (an enum's member, say) is compared as, or NotImplemented.
// Tstate: attached.  Refs: result new.  Errors: null with an exception set.
[[nodiscard]] PyObject *comparable_value(PyObject *object);

}  // namespace pyshared
