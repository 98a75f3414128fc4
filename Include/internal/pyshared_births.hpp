// SPDX-License-Identifier: PSF-2.0
// Births: since when each object is shared, and from where.
//
// They are remembered only with -X showshared (or PYTHONSHOWSHARED) and in development mode;
// otherwise a share costs the look at one flag.  They are kept beside the pool, by the cells'
// index, so that cells stay small.

#pragma once

#include "pyshared_python.hpp"

#include "pyshared_owner.hpp"

#include "pycore_time.h"

#include <atomic>

namespace pyshared {

// Are births remembered?  Written when the main interpreter is made.
extern std::atomic<bool> births_are_remembered;

// What is known of a cell's birth: a copy.
class KnownBirth final {
public:
    // Locks: takes that of the births.  Refs: the caller holds a handle.
    explicit KnownBirth(const SharedCell &cell);
    ~KnownBirth() { PyMem_RawFree(place_); }
    KnownBirth(const KnownBirth &) = delete;
    KnownBirth &operator=(const KnownBirth &) = delete;

    // In seconds, or None if that is not known.
    // Tstate: attached.  Refs: result new.  Errors: null with MemoryError.
    [[nodiscard]] PyObject *age() const;

    // "FILE:LINE in FUNCTION", or null if that is not known.
    const char *place() const { return place_; }

private:
    PyTime_t when_ = 0;         // 0: not known
    char *place_ = nullptr;     // raw memory
};

// Remember that the cell is new, and the place in the code that made it so: the innermost line of
// Python that this thread is in, here or in an interpreter that it came from.
// Tstate: attached to the cell's owner.  Locks: takes that of the births.
// Refs:   the caller holds a handle.  Python: none.  Errors: none; without memory it is not known.
void remember_birth(const SharedCell &cell);

// ", shared at FILE:LINE in FUNCTION", or "" if that is not known; null with MemoryError.
// Tstate: attached.  Refs: the caller holds a handle; result new.
[[nodiscard]] PyObject *describe_birth(const SharedCell &cell);

// Forget all births.  Nobody may use them meanwhile.
void clear_births();

}  // namespace pyshared
