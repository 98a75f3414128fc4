// SPDX-License-Identifier: PSF-2.0
// The methods that callers from other interpreters found last, as the bytecode of one interpreter
// remembers its own.
//
// Invariants
// * An entry holds for as long as the class has its version, which the base changes when anything is
//   changed that looking the method up depends on; until then the class keeps the method.  A version
//   is never used twice.
// * Instances with a dictionary have their attributes inline, and the version of the names they have
//   in common says that the method's is not among them.
// * Names are immortal, so they are compared by their addresses.
//
// With the GIL only, which guards it: without it, what was found could be gone before it is called.

#pragma once

#include "pyshared_table.hpp"

#include "pycore_dict.h"
#include "pycore_typeobject.h"

#include <cstddef>
#include <cstdint>

namespace pyshared {

class MethodCache final {
public:
    // The function to call with the object first; null if none is known.
    // Tstate: attached to the interpreter.  Refs: borrowed, from the class.
    PyObject *find(PyObject *object, PyObject *name) const
    {
        PyTypeObject *type = Py_TYPE(object);
        const Entry &entry = entries_[index(type->tp_version_tag, name)];
        if (entry.type_version != type->tp_version_tag || entry.name != name) {
            return nullptr;
        }
        bool shadowed = entry.keys_version != 0
                        && (keys_of(type)->dk_version != entry.keys_version
                            || !_PyObject_InlineValues(object)->valid);
        return shadowed ? nullptr : entry.method;
    }

    // Look the method up and remember it, if it can be.
    // Tstate: attached to the interpreter.  Python: none.  Errors: none.
    void learn(PyObject *object, PyObject *name)
    {
        PyTypeObject *type = Py_TYPE(object);
        bool has_values = (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) != 0;
        if (type->tp_getattro != PyObject_GenericGetAttr || !_Py_IsImmortal(name)
            || (!has_values && type->tp_dictoffset != 0)) {
            return;
        }
        PyObject *method = _PyType_Lookup(type, name);
        if (method == nullptr || type->tp_version_tag == 0
            || !_PyType_HasFeature(Py_TYPE(method), Py_TPFLAGS_METHOD_DESCRIPTOR)) {
            return;
        }
        uint32_t keys_version = has_values ? version_without(keys_of(type), name) : 0;
        if (!has_values || keys_version != 0) {
            entries_[index(type->tp_version_tag, name)]
                = Entry{type->tp_version_tag, keys_version, name, method};
        }
    }

private:
    struct Entry {
        uint32_t type_version;
        uint32_t keys_version;      // 0: instances have no attributes of their own
        PyObject *name;
        PyObject *method;
    };

    static constexpr size_t kEntries = 64;

    static size_t index(uint32_t version, const PyObject *name)
    {
        return (version ^ reinterpret_cast<uintptr_t>(name) >> 4) % kEntries;
    }

    static PyDictKeysObject *keys_of(PyTypeObject *type)
    {
        return reinterpret_cast<PyHeapTypeObject *>(type)->ht_cached_keys;
    }

    // The version of the keys; 0 if they have the name, or no version any more.
    static uint32_t version_without(PyDictKeysObject *keys, PyObject *name)
    {
        return keys == nullptr || _PyDictKeys_StringLookup(keys, name) >= 0
                   ? 0
                   : _PyDictKeys_GetVersionForCurrentState(_PyInterpreterState_GET(), keys);
    }

    Entry entries_[kEntries]{};
};

}  // namespace pyshared
