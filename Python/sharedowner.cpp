// SPDX-License-Identifier: PSF-2.0
// Owner records: their registry, their gates, and the end of an owner.
//
// Owner:    each interpreter has one record; it alone touches the local part.
// Threads:  the gate is anybody's.
// Locks:    the registry's mutex, an owner's local lock, a scope's mutex: taken in this order, all
//           leaves as far as Python is concerned: no code runs while one is held.
// Shutdown: InterpreterEnding closes the gate and waits, InterpreterRetire (sharedrelease.cpp)
//           empties the cells, InterpreterFini and InterpreterClear drop what the interpreter itself
//           still holds, InterpreterDelete parts with the record.
// See:      Doc/internals/lifecycle.md; Lib/test/test_sharing/test_lifetime.py.

#include "pyshared_owner.hpp"

#include "pyshared_births.hpp"
#include "pyshared_census.hpp"
#include "pyshared_entry.hpp"
#include "pyshared_fork.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_name.hpp"
#include "pyshared_proxy.hpp"
#include "pyshared_request.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_slots.hpp"

#include "pycore_parking_lot.h"
#include "pycore_time.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <sched.h>
#include <unistd.h>

namespace pyshared {
namespace {

// Every record whose interpreter exists.
struct Registry {
    PyMutex mutex{};
    Owner *head = nullptr;      // mutex
    uint64_t last_serial = 0;   // mutex
    uint64_t switches = 0;      // mutex; those of interpreters that are gone
};

constinit Registry registry;

static_assert(offsetof(Owner, release_queue) == 0, "C code reads it as _PyShared_Owner");

// How long interpreters that end with the process wait for who is inside before they go on without them.
constexpr PyTime_t kDrainLimit = PyTime_t{2} * 1000 * 1000 * 1000;

// How long close() gives calls that are about to return.
constexpr int kLeavingMilliseconds = 20;

// Wait until nobody is inside the gate: as long as that takes, unless the process ends or this thread
// is what is inside, further out.  Who stands up from a seat may not see that somebody waits, so one
// looks again after a millisecond.
// Tstate: attached to the owner.
void wait_for_entries(Owner &owner)
{
    constexpr PyTime_t kMillisecond = 1000 * 1000;
    bool limited = std::atomic_ref(_PyInterpreterState_Main()->finalizing).load() != 0
                   || this_thread_is_inside(owner.interp);
    PyTime_t deadline = _PyDeadline_Init(kDrainLimit);
    for (;;) {
        uint64_t gate = owner.gate.load(std::memory_order_acquire);
        if (entries_in_flight(owner) == 0 || (limited && _PyDeadline_Get(deadline) <= 0)) {
            return;
        }
        _PyParkingLot_Park(&owner.gate, &gate, sizeof(gate), kMillisecond, nullptr, /*detach=*/1);
    }
}

// An interpreter is gone that should have looked after the owners of what it dropped at its end.
// Tstate: another interpreter's, or none.
void pass_on_drops(Owner &gone)
{
    PyThreadState *tstate = _PyThreadState_GET();
    if (tstate != nullptr) {
        add_drops(tstate, gone.dropped);
    }
    while (Owner *target = gone.dropped.take()) {
        drain_if_idle_detached(*target, gone.dropped);
        release(*target);
    }
}

// Give calls that are on their way out a moment for it: one has returned a little before its thread
// is out of the gate.
void wait_for_leaving(const Owner &owner)
{
    for (int i = 0; i < kLeavingMilliseconds && calls_in_flight(owner) != 0; ++i) {
        Py_BEGIN_ALLOW_THREADS
        usleep(1000);
        Py_END_ALLOW_THREADS
    }
}

enum class Obstacle : uint8_t { kNone, kCalls, kBuffers, kSession, kClosing };

// What keeps an interpreter from being ended, and how many.
struct Obstacles {
    Obstacle what;
    uint64_t count = 0;
};

// What keeps an interpreter from being ended.  Whoever comes after `asking` was set waits.
Obstacles find_obstacles(const Owner &owner)
{
    if (uint64_t calls = calls_in_flight(owner); calls != 0) {
        return {Obstacle::kCalls, calls};
    }
    if (owner.sessions.load() != 0) {
        return {Obstacle::kSession};
    }
    // Others get buffers in calls, of which there are none.
    if (int64_t exports = owner.exports.load(); exports != 0) {
        return {Obstacle::kBuffers, static_cast<uint64_t>(exports)};
    }
    return {Obstacle::kNone};
}

// Set `ending`, unless something is in the way.  From here on no calls begin, but from there.
Obstacles begin_end(Owner &owner)
{
    uint64_t gate;
    do {
        gate = settled_gate(owner);
        if ((gate & (kGateClosing | kGateEnding)) != 0) {
            return {Obstacle::kClosing};
        }
    } while (!owner.gate.compare_exchange_weak(gate, gate | kGateAsking));
    Obstacles found = find_obstacles(owner);
    if (found.what == Obstacle::kNone) {
        owner.gate.fetch_or(kGateEnding);
    }
    owner.gate.fetch_and(~kGateAsking);
    return found;
}

// The thread state in which an interpreter is ended that has begun to; null without memory, and then
// it has not begun.
// Tstate: any, and the same afterwards.  Made while detached, like all of ours.
PyThreadState *make_last_thread_state(Owner &owner)
{
    PyThreadState *current = _PyThreadState_GET();
    if (current != nullptr) {
        _PyThreadState_Detach(current);
    }
    PyThreadState *last = _PyThreadState_NewBound(owner.interp, _PyThreadState_WHENCE_FINI);
    if (current != nullptr) {
        _PyThreadState_Attach(current);
    }
    if (last == nullptr) {
        owner.gate.fetch_and(~kGateEnding);
    }
    return last;
}

void raise_cannot_close(const Owner &owner, Obstacles why)
{
    long long id = owner.interp_id;
    unsigned long long count = why.count;
    switch (why.what) {
    case Obstacle::kCalls:
        PyErr_Format(PyExc_InterpreterError, "cannot close interpreter %lld: %llu %s running in it",
                     id, count, count == 1 ? "call is" : "calls are");
        break;
    case Obstacle::kBuffers:
        PyErr_Format(PyExc_InterpreterError,
                     "cannot close interpreter %lld: others hold %llu of its buffers", id, count);
        break;
    case Obstacle::kSession:
        PyErr_Format(PyExc_InterpreterError, "cannot close interpreter %lld: it is running", id);
        break;
    case Obstacle::kClosing:
        PyErr_Format(PyExc_InterpreterError, "interpreter %lld is being closed already", id);
        break;
    case Obstacle::kNone:
        break;
    }
}

}  // namespace

void wake_closer(Owner &owner)
{
    _PyParkingLot_UnparkAll(&owner.gate);
}

uint64_t settled_gate(const Owner &owner)
{
    for (;;) {
        uint64_t gate = owner.gate.load();
        if ((gate & kGateAsking) == 0) {
            return gate;
        }
        sched_yield();
    }
}

bool may_stay(const Owner &owner, Visit visit)
{
    uint64_t gate = settled_gate(owner);
    if ((gate & kGateClosing) != 0) {
        return false;
    }
    return (gate & kGateEnding) == 0 || visit == Visit::kPassing
           || this_thread_is_inside(owner.interp);
}

Seat *take_seat(Owner &owner)
{
    for (Seat &seat : owner.seats) {
        if (!seat.taken.exchange(true, std::memory_order_acquire)) {
            return &seat;
        }
    }
    return nullptr;
}

void reset_seats(Owner &owner)
{
    for (Seat &seat : owner.seats) {
        seat.taken.store(false, std::memory_order_relaxed);
        seat.inside.store(0, std::memory_order_relaxed);
    }
}

uint64_t count_visits(const Owner &owner)
{
    // Pairs with fence_after_change(): the flag that was set before is seen by who is not seen here.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    uint64_t visits = owner.gate.load(std::memory_order_acquire) & ~kGateFlags;
    for (const Seat &seat : owner.seats) {
        visits += seat.inside.load(std::memory_order_acquire);
    }
    return visits;
}

Owner *begin_session(const PyInterpreterState *interp)
{
    bool inside = this_thread_is_inside(interp);
    LeafLock lock(registry.mutex);
    for (Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        if (owner->interp == interp) {
            owner->sessions.fetch_add(1);
            // Pairs with begin_end(): one of the two sees the other.
            uint64_t gate = settled_gate(*owner);
            if ((gate & kGateClosing) == 0 && ((gate & kGateEnding) == 0 || inside)) {
                return owner;
            }
            end_session(*owner);
            break;
        }
    }
    return nullptr;
}

void end_session(Owner &owner)
{
    owner.sessions.fetch_sub(1, std::memory_order_acq_rel);
}

void release(Owner &owner)
{
    if (owner.references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        owner.~Owner();
        std::free(&owner);
    }
}

PyObject *share_name(Owner &here)
{
    if (here.share_name == nullptr) {
        here.share_name = PyUnicode_InternFromString("__share__");
    }
    return here.share_name;
}

Owner *find_owner(int64_t interp_id)
{
    LeafLock lock(registry.mutex);
    for (Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        if (owner->interp_id == interp_id) {
            retain(*owner);
            return owner;
        }
    }
    return nullptr;
}

Owner *next_owner(uint64_t serial)
{
    Owner *next = nullptr;
    LeafLock lock(registry.mutex);
    for (Owner *owner = registry.head; owner != nullptr && owner->serial > serial;
         owner = owner->next) {
        next = owner;       // The newest comes first.
    }
    if (next != nullptr) {
        retain(*next);
    }
    return next;
}

Owner *find_owner_of(const SharedCell &cell)
{
    const Owner *wanted = peek_owner(cell);
    LeafLock lock(registry.mutex);
    for (Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        if (owner == wanted) {
            retain(*owner);
            return owner;
        }
    }
    return nullptr;
}

void hold_registry()
{
    PyMutex_LockFlags(&registry.mutex, _Py_LOCK_DONT_DETACH);
}

void let_go_of_registry()
{
    PyMutex_Unlock(&registry.mutex);
}

void keep_only_owner(Owner &survivor, void (*abandon)(Owner &other, Owner &survivor))
{
    for (Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        if (owner != &survivor) {
            abandon(*owner, survivor);
        }
    }
    survivor.next = nullptr;
    registry.head = &survivor;
    registry.mutex = {};
}

namespace {

uint64_t switches_to(const Owner &owner)
{
    uint64_t count = owner.switches.load(std::memory_order_relaxed);
    for (const Seat &seat : owner.seats) {
        count += seat.switches.load(std::memory_order_relaxed);
    }
    return count;
}

}  // namespace

uint64_t count_switches()
{
    LeafLock lock(registry.mutex);
    uint64_t count = registry.switches;
    for (const Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        count += switches_to(*owner);
    }
    return count;
}

void for_each_owner(void (*visit)(Owner &, void *), void *context)
{
    LeafLock lock(registry.mutex);
    for (Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        visit(*owner, context);
    }
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

int _PyShared_InterpreterInit(PyInterpreterState *interp)
{
    void *memory = std::aligned_alloc(alignof(Owner), sizeof(Owner));
    if (memory == nullptr) {
        return -1;
    }
    Owner *owner = ::new (memory) Owner{};
    owner->interp = interp;
    owner->interp_id = PyInterpreterState_GetID(interp);
    {
        LeafLock lock(registry.mutex);
        owner->serial = ++registry.last_serial;
        owner->next = registry.head;
        registry.head = owner;
    }
    interp->xi.shared = reinterpret_cast<_PyShared_Owner *>(owner);
    if (_Py_IsMainInterpreter(interp)) {
        configure_census(interp);
    }
    return 0;
}

int _PyShared_BeginEnd(PyInterpreterState *interp, PyThreadState **last)
{
    *last = nullptr;
    Owner *owner = owner_of(interp);
    if (owner == nullptr || !_PyInterpreterState_IsReady(interp)) {
        return 0;
    }
    if (this_thread_is_inside(interp)) {
        PyErr_Format(PyExc_InterpreterError,
                     "cannot close interpreter %lld: this thread is in a call from it",
                     (long long)owner->interp_id);
        return -1;
    }
    wait_for_leaving(*owner);
    // What was let go of may only not have been looked at yet.
    drain_if_idle(*owner);
    Obstacles found = begin_end(*owner);
    if (found.what != Obstacle::kNone) {
        raise_cannot_close(*owner, found);
        return -1;
    }
    *last = make_last_thread_state(*owner);
    if (*last == nullptr) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

PyThreadState *_PyShared_BeginEndQuietly(PyInterpreterState *interp)
{
    Owner *owner = owner_of(interp);
    if (owner == nullptr || this_thread_is_inside(interp)
        || begin_end(*owner).what != Obstacle::kNone) {
        return nullptr;
    }
    return make_last_thread_state(*owner);
}

void _PyShared_InterpreterEnding(PyThreadState *tstate)
{
    Owner *owner = owner_of(tstate);
    if (owner == nullptr) {
        return;
    }
    owner->gate.fetch_or(kGateClosing);
    wait_for_entries(*owner);
    refuse_requests(*owner);
    drain(*owner);
    if (entries_in_flight(*owner) == 0) {
        delete_own_thread_states(tstate, ThreadStates::kAll);
    }
    else if (!this_thread_is_inside(tstate->interp)) {
        delete_own_thread_states(tstate, ThreadStates::kOfThisThread);
    }
}

void _PyShared_InterpreterFini(PyInterpreterState *interp)
{
    Owner *owner = owner_of(interp);
    if (owner != nullptr) {
        forget_names(*owner);
        owner->strings.clear();
        Py_CLEAR(owner->dead_proxy_error);
        Py_CLEAR(owner->remote_error);
        Py_CLEAR(owner->remote_traceback);
        Py_CLEAR(owner->share_name);
    }
}

void _PyShared_InterpreterClear(PyInterpreterState *interp)
{
    Owner *owner = owner_of(interp);
    if (owner != nullptr) {
        abandon_proxies(*owner);
    }
}

int _PyShared_InterpreterDelete(PyInterpreterState *interp)
{
    Owner *owner = owner_of(interp);
    if (owner == nullptr) {
        return 1;
    }
    bool abandoned = entries_in_flight(*owner) != 0
                     || owner->exports.load(std::memory_order_acquire) != 0
                     || owner->sessions.load(std::memory_order_acquire) != 0;
    owner->gate.fetch_or(kGateClosing, std::memory_order_acq_rel);
    interp->xi.shared = nullptr;
    {
        LeafLock lock(registry.mutex);
        for (Owner **link = &registry.head; *link != nullptr; link = &(*link)->next) {
            if (*link == owner) {
                *link = owner->next;
                registry.switches += switches_to(*owner);
                break;
            }
        }
    }
    owner->interp = nullptr;
    pass_on_drops(*owner);
    release(*owner);
    if (_Py_IsMainInterpreter(interp)) {
        _PyShared_ThreadExit();
        cell_pool().release_all();
        clear_births();
    }
    return !abandoned;
}

}  // extern "C"
