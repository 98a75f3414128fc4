// SPDX-License-Identifier: PSF-2.0
// What the base's registry of cross-interpreter data said of a type, remembered.
//
// The registry is a list, and that of static types has a lock for the whole process; what it says
// depends on the type alone.  Each interpreter remembers the answers for the types it asked about
// last, also that there is none.
//
// An answer is good while its stamp is: the type's version (so nothing of it has changed, and no
// other type has taken its place) and that of all registries.  Locking is the user's.

#pragma once

#include "pyshared_table.hpp"

#include "pycore_crossinterp.h"

#include <cstddef>
#include <cstdint>

namespace pyshared {

class TypeCache final {
public:
    using Answer = _PyXIData_getdata_t;

    // Null if nothing is known.
    const Answer *find(PyTypeObject *type, uint64_t stamp) const
    {
        const Entry &entry = entries_[index(type)];
        return entry.type == type && entry.stamp == stamp ? &entry.answer : nullptr;
    }

    void remember(PyTypeObject *type, uint64_t stamp, const Answer &answer)
    {
        entries_[index(type)] = Entry{type, stamp, answer};
    }

private:
    struct Entry {
        PyTypeObject *type;
        uint64_t stamp;
        Answer answer;
    };

    static constexpr size_t kEntries = 32;

    static size_t index(const PyTypeObject *type) { return hash_pointer(type) % kEntries; }

    Entry entries_[kEntries]{};
};

}  // namespace pyshared
