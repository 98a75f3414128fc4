// SPDX-License-Identifier: PSF-2.0
// The census: which objects are shared now, and, if asked to remember, since when and from where.
//
// Births are remembered only with -X showshared (or PYTHONSHOWSHARED) and in development mode;
// otherwise a share costs the look at one flag.  They are kept beside the pool, by the cells'
// index, so that cells stay small.

#pragma once

#include "pyshared_python.hpp"

#include "pyshared_owner.hpp"

#include <atomic>

namespace pyshared {

// Are births remembered?  Written when the main interpreter is made.
extern std::atomic<bool> births_are_remembered;

// Read the options.
// Tstate: attached to the main interpreter, whose configuration is complete.
void configure_census(const PyInterpreterState *main);

// Remember that the cell is new, and the place in the code that made it so: the innermost line of
// Python that this thread is in, here or in an interpreter that it came from.
// Tstate: attached to the cell's owner.  Locks: takes the census's.
// Refs:   the caller holds a handle.  Python: none.  Errors: none; without memory it is not known.
void remember_birth(const SharedCell &cell);

// ", shared at FILE:LINE in FUNCTION", or "" if that is not known; null with MemoryError.
// Tstate: attached.  Refs: the caller holds a handle; result new.
[[nodiscard]] PyObject *describe_birth(const SharedCell &cell);

// Every cell that somebody holds, as a list of tuples:
// (owner's ID, token, type's name or None, other handles, scope's number or None, age in seconds
// or None, place or None, is it alive).
// Tstate: attached; enters each owner, for the names of the types.
// Errors: null with an exception set.
[[nodiscard]] PyObject *list_shared_objects();

// How many cells wait for their owners to drop what they hold.  Any thread; a moment's truth.
uint64_t count_pending_releases();

// Forget all births.  Nobody may use the census meanwhile.
void clear_census();

}  // namespace pyshared
