// SPDX-License-Identifier: PSF-2.0
// What each part does about fork(): see Python/sharedfork.cpp.

#pragma once

#include "pyshared_owner.hpp"

namespace pyshared {

// Hold what must not be in the middle of a change when the process is copied, and let go of it.
// Tstate: attached to the forking interpreter.
void hold_registry();
void let_go_of_registry();

// In the child: `survivor` is the only interpreter now.  `abandon` is called for all others, whose
// records stay where they are.  Lets go of the registry.
void keep_only_owner(Owner &survivor, void (*abandon)(Owner &other, Owner &survivor));

// In the child: the cell's owner did not survive.  What the cell holds is left alone.
void abandon_cell(SharedCell &cell);

// In the child: forget what the thread remembers of other interpreters.
void forget_other_thread_states();

// In the child: an interpreter is gone; what it was asked is refused by the survivor.
void inherit_requests(Owner &gone, Owner &survivor);

// In the child: the main thread is in no other interpreter, and no handler runs elsewhere.
void reset_signals();

// In the child: nobody holds the lock of the births.
void reset_births_lock();

}  // namespace pyshared
