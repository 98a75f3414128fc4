// SPDX-License-Identifier: PSF-2.0
// fork() in the main interpreter while there are others.
//
// In the child only the forking thread and the main interpreter exist.  The memory of the others is
// there, as it was at the moment of the fork, which may be in the middle of anything: it is left
// where it is and only looked at as far as a thread that was stopped anywhere leaves it sound.
//
// What is rebuilt: locks; the gate, for the threads inside are gone; the queue of the main
// interpreter, for a cell may have been marked and not pushed yet; the lists of scopes.  Cells
// of other owners are dead.  Cells of the main interpreter live on; handles that the others held
// are never given back, so what they held stays alive.
//
// The parent holds the pool's and the registry's lock across fork(), so that both are whole in the
// child.
//
// See: Doc/internals/fork.md; Lib/test/test_sharing/test_fork.py.

#include "pyshared_fork.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_scope.hpp"

#include "pycore_runtime.h"

#include <algorithm>

namespace pyshared {
namespace {

template <class Visit> void for_each_live_cell(Visit visit)
{
    for (uint32_t index = 0; index < cell_pool().limit(); ++index) {
        SharedCell &cell = *cell_pool().at(index);
        // One that was being taken or given back has no owner yet, or no more.
        if (cell.load().live() && cell.owner != nullptr) {
            visit(cell);
        }
    }
}

void abandon(Owner &other, Owner &survivor)
{
    other.local_mutex = {};
    refer_from_cells(other);
    other.gate.store(kGateClosing, std::memory_order_relaxed);
    other.release_queue.store(closed_queue(), std::memory_order_relaxed);
    other.interp = nullptr;
    inherit_requests(other, survivor);
}

void rebuild_cells(Owner &survivor)
{
    for_each_live_cell([](SharedCell &cell) {
        if (cell.scope != nullptr) {
            cell.scope->reset_after_fork();
        }
    });
    survivor.release_queue.store(nullptr, std::memory_order_relaxed);
    for_each_live_cell([&](SharedCell &cell) {
        if (cell.owner == &survivor) {
            if (cell.scope != nullptr && cell.object != nullptr) {
                cell.scope->relink_after_fork(cell);
            }
            requeue(cell);
        }
        else {
            abandon_cell(cell);
        }
    });
}

// Static types count the interpreters that use them; the main one is the last that can let go.
void forget_users_of_static_types()
{
    for (auto &type : _PyRuntime.types.managed_static.types) {
        type.interp_count = std::min<int64_t>(type.interp_count, 1);
    }
}

}  // namespace
}  // namespace pyshared

using namespace pyshared;

extern "C" {

int _PyShared_RefuseFork(void)
{
    if (!this_thread_is_in_a_call()) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError,
                    "fork not supported inside a call from another interpreter");
    return -1;
}

void _PyShared_BeforeFork(void)
{
    hold_registry();
    cell_pool().hold();
}

void _PyShared_AfterForkParent(void)
{
    cell_pool().let_go();
    let_go_of_registry();
}

void _PyShared_AfterForkChild(void)
{
    cell_pool().let_go();
    PyThreadState *tstate = _PyThreadState_GET();
    Owner *survivor = owner_of(tstate);
    if (survivor == nullptr || !_Py_IsMainInterpreter(tstate->interp)) {
        return;
    }
    reset_signals();
    reset_births_lock();
    forget_other_thread_states();
    survivor->local_mutex = {};
    survivor->request_mutex = {};
    survivor->gate.store(0, std::memory_order_relaxed);
    reset_seats(*survivor);
    survivor->sessions.store(0, std::memory_order_relaxed);
    survivor->exports.store(0, std::memory_order_relaxed);
    keep_only_owner(*survivor, abandon);
    rebuild_cells(*survivor);
    forget_users_of_static_types();
    _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
}

}  // extern "C"
