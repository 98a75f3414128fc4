// SPDX-License-Identifier: PSF-2.0
// Kinds: the types that look inside an operand of their own kind.
//
// A list, a set, a date, a decimal number or an array is combined and compared by C code that reads
// the other's memory, and what it finds of another interpreter's is a proxy.  A kind says how an
// equal object is made elsewhere: from items or a few values, which cross as any others.
//
// To cross remains another matter: these objects are shared, and what arrives of them is a proxy.

#pragma once

#include "pyshared_guards.hpp"

namespace pyshared {

enum class Copied : uint8_t {
    kNever,     // only its methods look into what they are given
    kItems,     // type(items)
    kPairs,     // type(pairs of keys and values)
    kKeysView,  // dict.fromkeys(keys).keys()
    kItemsView, // dict(pairs).items()
    kReduced,   // type(*what __reduce_ex__ gives)
    kArray,     // type(typecode, bytes)
};

struct Kind {
    PyTypeObject *builtin;      // the type, or null:
    const char *module;         // where an extension's type is,
    const char *name;           // and what it is called there
    Copied copied;
    // Its methods can do nothing with a proxy: they only know their own types.
    bool takes_copies;
};

// A type by the nearest of its bases that is of a kind.
struct KindOfType {
    const Kind *kind = nullptr;
    PyTypeObject *base = nullptr;

    // Does the type compare as that base does?
    bool compares(PyTypeObject *type) const
    {
        return kind != nullptr && type->tp_richcompare == base->tp_richcompare;
    }
};

// Tstate: attached.  Refs: borrowed.  Errors: none.
KindOfType kind_of(PyTypeObject *type);

enum class WhichTypes : uint8_t {
    kExact,     // what is exactly of a kind
    kDerived,   // and what compares as one that it is derived from
};

// An equal object of this interpreter, if the proxy's object is of a kind or crosses by value;
// otherwise the proxy itself.
// Tstate: attached; enters the owner.  Refs: result new.  Python: runs in between, on both sides.
// Errors: null with an exception set.
[[nodiscard]] PyObject *copy_in_kind(PyObject *proxy, WhichTypes which);

}  // namespace pyshared
