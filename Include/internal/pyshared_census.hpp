// SPDX-License-Identifier: PSF-2.0
// The census: which objects are shared now.

#pragma once

#include "pyshared_python.hpp"

#include "pyshared_owner.hpp"

namespace pyshared {

// Read the options.
// Tstate: attached to the main interpreter, whose configuration is complete.
void configure_census(const PyInterpreterState *main);

// Every cell that somebody holds, as a list of tuples:
// (owner's ID, token, type's name or None, other handles, scope's number or None, age in seconds
// or None, place or None, is it alive).
// Tstate: attached; enters each owner, for the names of the types.
// Errors: null with an exception set.
[[nodiscard]] PyObject *list_shared_objects();

// How many cells wait for their owners to drop what they hold.  Any thread; a moment's truth.
uint64_t count_pending_releases();

}  // namespace pyshared
