// SPDX-License-Identifier: PSF-2.0
// Owner records: the gate, the cells an interpreter owns, and their release.
//
// Owner:    each interpreter has one record; it alone touches the local part.
// Threads:  the gate and the queue are anybody's.
// Locks:    the registry's mutex, an owner's local lock, a scope's mutex: taken in this order, all
//           leaves as far as Python is concerned: no code runs while one is held.
// Shutdown: InterpreterEnding closes the gate and waits, InterpreterRetire empties the cells,
//           InterpreterFini and InterpreterClear drop what the interpreter itself still holds,
//           InterpreterDelete parts with the record.
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

#include <cstring>
#include <new>
#include <utility>

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

// How long an ending interpreter waits for who is inside before it goes on without them.
constexpr PyTime_t kDrainLimit = PyTime_t{2} * 1000 * 1000 * 1000;

// How long close() gives calls that are about to return.
constexpr int kLeavingMilliseconds = 20;

// How much a safe point looks after before the program goes on.
constexpr int kMostRounds = 10'000;

static_assert(offsetof(Owner, release_queue) == 0, "C code reads it as _PyShared_Owner");

const char *death_reason(Death death)
{
    switch (death) {
    case Death::kScopeClosed:
        return "its scope was closed";
    case Death::kReleased:
        return "it was released";
    case Death::kRevoked:
        return "its owner revoked it";
    case Death::kOwnerGone:
        return "its owner was closed";
    case Death::kForked:
        return "its owner did not survive a fork";
    case Death::kNone:
        break;
    }
    return "it is not alive";
}

// Put a cell, marked queued, on its owner's queue.
enum class Pushed : uint8_t { kFirst, kMore, kClosed };

Pushed push(Owner &owner, SharedCell &cell)
{
    SharedCell *head = owner.release_queue.load(std::memory_order_relaxed);
    do {
        if (head == closed_queue()) {
            // Pairs with take_queue(): what the owner did to the cell before it closed is seen.
            std::atomic_thread_fence(std::memory_order_acquire);
            return Pushed::kClosed;
        }
        cell.next_queued = link_to(head);
    } while (!owner.release_queue.compare_exchange_weak(head, &cell, std::memory_order_release,
                                                        std::memory_order_relaxed));
    return head == nullptr ? Pushed::kFirst : Pushed::kMore;
}

// Give a cell that nobody holds, its object dropped, back to the pool.
void recycle(SharedCell &cell, Magazine *magazine)
{
    Owner &owner = *cell.owner;
    Scope *scope = cell.scope;
    if (cell.buried.load(std::memory_order_acquire)) {
        PyMem_RawFree(cell.epitaph);
    }
    cell_pool().recycle(cell, magazine);
    if (scope != nullptr) {
        scope->release();
    }
    release(owner);
}

void ask_for_safe_point(PyThreadState *tstate)
{
    if (!_Py_eval_breaker_bit_is_set(tstate, _PY_CALLS_TO_DO_BIT)) {
        _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
    }
}

// Remember, in the interpreter this thread is attached to, to look whether the owner is idle.
void remember_drop(Owner &owner)
{
    PyThreadState *tstate = _PyThreadState_GET();
    if (tstate == nullptr || tstate->interp->xi.shared == nullptr) {
        return;
    }
    Owner &here = *owner_of(tstate);
    if (&here != &owner) {
        LocalLock lock(here);
        here.dropped.add(owner);
    }
    ask_for_safe_point(tstate);
}

// Push where nobody is let in any more.
void push_at_end(Owner &owner, SharedCell &cell)
{
    if (push(owner, cell) == Pushed::kClosed && take_off_queue(cell) == Drained::kUnused) {
        // The owner is gone and has dropped the object.  One that is only dead, by a scope that
        // closes just now, still has handles; whoever drops the last one comes here again.
        recycle(cell, nullptr);
    }
}

// Push and see that someone looks: this thread, if it runs in the owner; the owner, if it runs; or
// with `look_after` this thread again, at its next safe point.
// Marked queued and not pushed yet: the cell and its owner cannot go away before the push.
enum class LookAfter : bool { kNo, kYes };

void send_to_owner(SharedCell &cell, LookAfter look_after)
{
    Owner &owner = *cell.owner;
    PyThreadState *tstate = _PyThreadState_GET();
    if (tstate != nullptr && owner_of(tstate) == &owner) {
        push_at_end(owner, cell);
        ask_for_safe_point(tstate);
        return;
    }
    if (!enter_gate(owner, Visit::kPassing)) {
        push_at_end(owner, cell);
        return;
    }
    if (push(owner, cell) == Pushed::kFirst) {
        request_safe_point(owner);
    }
    if (look_after == LookAfter::kYes) {
        remember_drop(owner);
    }
    leave_gate(owner, Visit::kPassing);
}

// The reference goes to the caller.
Owner *take_drop_target(Owner &here)
{
    LocalLock lock(here);
    return here.dropped.take();
}

// The cell's reference to its object.  Whichever thread of the owner comes to drain drops it, so on
// free-threaded builds it is counted as one that any thread may give back: a drop of one that is the
// maker's own would wait until that thread runs again.
void take_reference(PyObject *object)
{
#ifdef Py_GIL_DISABLED
    if (!_Py_IsImmortal(object)) {
        _Py_atomic_add_ssize(&object->ob_ref_shared, Py_ssize_t{1} << _Py_REF_SHARED_SHIFT);
    }
#else
    Py_INCREF(object);
#endif
}

// Part the cell from its object; the reference goes to the caller.
PyObject *take_object_lock_held(Owner &owner, SharedCell &cell)
{
    if (cell.object == nullptr) {
        return nullptr;
    }
    owner.cells.remove(cell);
    Scope::unlink(cell);
    return std::exchange(cell.object, nullptr);
}

// The same for a dead cell with handles; its type's name is kept for messages.
PyObject *bury_lock_held(Owner &owner, SharedCell &cell)
{
    PyObject *object = take_object_lock_held(owner, cell);
    if (object != nullptr) {
        cell.epitaph = _PyMem_RawStrdup(Py_TYPE(object)->tp_name);
        cell.buried.store(true, std::memory_order_release);
    }
    return object;
}

// Do what the state of one cell, just taken off the queue, asks for.
PyObject *settle_lock_held(Owner &owner, SharedCell &cell)
{
    switch (take_off_queue(cell)) {
    case Drained::kInUse:
        return nullptr;
    case Drained::kDead:
        return bury_lock_held(owner, cell);
    case Drained::kUnused: {
        PyObject *object = take_object_lock_held(owner, cell);
        recycle(cell, &owner.magazine);
        return object;
    }
    }
    Py_UNREACHABLE();
}

// Take the whole queue, oldest first.
SharedCell *take_queue(Owner &owner, SharedCell *leave_behind)
{
    SharedCell *newest = owner.release_queue.load(std::memory_order_relaxed);
    do {
        if (newest == closed_queue()) {
            return nullptr;
        }
    } while (!owner.release_queue.compare_exchange_weak(newest, leave_behind,
                                                        std::memory_order_acq_rel,
                                                        std::memory_order_relaxed));
    SharedCell *oldest = nullptr;
    while (newest != nullptr) {
        SharedCell *next = cell_pool().follow(newest->next_queued);
        newest->next_queued = link_to(oldest);
        oldest = std::exchange(newest, next);
    }
    return oldest;
}

void settle_all(Owner &owner, SharedCell *list)
{
    if (list == nullptr) {
        return;
    }
    ErrorStash stash;
    while (list != nullptr) {
        SharedCell *cell = std::exchange(list, cell_pool().follow(list->next_queued));
        PyObject *object;
        {
            LocalLock lock(owner);
            object = settle_lock_held(owner, *cell);
        }
        Py_XDECREF(object);
    }
}

// Drop the objects of dead cells that no queue shows: another thread has marked them and is about
// to push them.
void drop_unqueued(Owner &owner)
{
    for (;;) {
        PyObject *object;
        {
            LocalLock lock(owner);
            SharedCell *cell = owner.cells.any();
            if (cell == nullptr) {
                return;
            }
            object = bury_lock_held(owner, *cell);
        }
        Py_XDECREF(object);
    }
}

// Tstate: attached to the owner, so its queue is open, and nobody need be told.
template <class Matches> void kill_cells(Owner &owner, Death why, Matches matches)
{
    LocalLock lock(owner);
    owner.cells.for_each([&](SharedCell &cell) {
        if (matches(cell) && kill_must_queue(cell, why)) {
            (void)push(owner, cell);
        }
    });
}

// But buffers that others hold stay as they are.
void kill_all_cells(Owner &owner, Death why)
{
    kill_cells(owner, why, [](const SharedCell &cell) { return !is_export(cell.object); });
}

// Wait until nobody is inside the gate, or the limit has passed.
void wait_for_entries(Owner &owner)
{
    PyTime_t deadline = _PyDeadline_Init(kDrainLimit);
    for (;;) {
        uint64_t gate = owner.gate.load(std::memory_order_acquire);
        PyTime_t left = _PyDeadline_Get(deadline);
        if (entries_in_flight(gate) == 0 || left <= 0) {
            return;
        }
        _PyParkingLot_Park(&owner.gate, &gate, sizeof(gate), left, nullptr, /*detach=*/1);
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

enum class End : uint8_t { kMay, kCalled, kRunning, kBegun };

// Set `ending`, unless calls or sessions are in flight.  From here on none begin, but from there.
End begin_end(Owner &owner)
{
    uint64_t gate = owner.gate.load(std::memory_order_relaxed);
    do {
        if ((gate & (kGateClosing | kGateEnding)) != 0) {
            return End::kBegun;
        }
        if (calls_in_flight(gate) != 0) {
            return End::kCalled;
        }
    } while (!owner.gate.compare_exchange_weak(gate, gate | kGateEnding));
    // Pairs with begin_session(): one of the two sees the other.
    if (owner.sessions.load() != 0) {
        owner.gate.fetch_and(~kGateEnding);
        return End::kRunning;
    }
    return End::kMay;
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

void raise_cannot_close(const Owner &owner, End why)
{
    long long id = owner.interp_id;
    unsigned long long calls = calls_in_flight(owner);
    switch (why) {
    case End::kCalled:
        PyErr_Format(PyExc_InterpreterError, "cannot close interpreter %lld: %llu %s running in it",
                     id, calls, calls == 1 ? "call is" : "calls are");
        break;
    case End::kRunning:
        PyErr_Format(PyExc_InterpreterError, "cannot close interpreter %lld: it is running", id);
        break;
    case End::kBegun:
        PyErr_Format(PyExc_InterpreterError, "interpreter %lld is being closed already", id);
        break;
    case End::kMay:
        break;
    }
}

}  // namespace

void DropTargets::add(Owner &owner)
{
    for (int i = 0; i < count; ++i) {
        if (owners[i] == &owner) {
            return;
        }
    }
    if (count < kCapacity) {
        retain(owner);
        owners[count++] = &owner;
    }
}

void take_over_drops(Owner &from, DropTargets &targets)
{
    if (from.dropped.count != 0) {
        LocalLock lock(from);
        targets = std::exchange(from.dropped, DropTargets{});
    }
}

void take_over_releases(Owner &left, DropTargets &targets)
{
    // Pairs with wants_attention(): either this thread sees the cell on the queue, or whoever
    // pushed it sees that nobody holds the GIL.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (left.release_queue.load(std::memory_order_relaxed) != nullptr) {
        targets.add(left);
    }
}

void add_drops(PyThreadState *tstate, DropTargets &targets)
{
    if (targets.count == 0) {
        return;
    }
    Owner &here = *owner_of(tstate);
    while (Owner *owner = targets.take()) {
        if (owner != &here) {
            LocalLock lock(here);
            here.dropped.add(*owner);
        }
        release(*owner);
    }
    _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
}

void wake_closer(Owner &owner)
{
    _PyParkingLot_UnparkAll(&owner.gate);
}

bool may_stay(const Owner &owner, uint64_t gate, Visit visit)
{
    return (gate & kGateClosing) == 0
           && (visit == Visit::kPassing || this_thread_is_inside(owner.interp));
}

Owner *begin_session(const PyInterpreterState *interp)
{
    bool inside = this_thread_is_inside(interp);
    LeafLock lock(registry.mutex);
    for (Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        if (owner->interp == interp) {
            owner->sessions.fetch_add(1);
            // Pairs with begin_end().
            uint64_t gate = owner->gate.load();
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
        PyMem_RawFree(&owner);
    }
}

SharedCell *cell_for(Owner &owner, PyObject *object, Scope *scope)
{
    enum class Problem : uint8_t { kNone, kMemory, kRetired, kScopeClosed, kTooMany };
    Problem problem = Problem::kNone;
    bool made = false;
    SharedCell *cell;
    {
        LocalLock lock(owner);
        cell = owner.cells.find(CellTableTraits::hash(object, scope), [&](SharedCell &candidate) {
            return candidate.object == object && candidate.scope == scope
                   && !candidate.load(std::memory_order_relaxed).dead();
        });
        if (cell != nullptr) {
            problem = take_handle(*cell) ? Problem::kNone : Problem::kTooMany;
        }
        else if (owner.retired) {
            problem = Problem::kRetired;
        }
        else if ((cell = cell_pool().allocate(owner.magazine)) == nullptr) {
            problem = Problem::kMemory;
        }
        else {
            // Complete before it joins: whoever closes the scope may see it at once.
            set_owner(*cell, &owner);
            cell->object = object;
            cell->shape = shape_of(owner, object);
            Joined joined = scope == nullptr ? Joined::kYes : scope->add(*cell);
            if (joined != Joined::kYes) {
                cell_pool().recycle(*cell, &owner.magazine);
                problem = joined == Joined::kClosed ? Problem::kScopeClosed : Problem::kMemory;
            }
            else {
                take_reference(object);
                retain(owner);
                owner.cells.insert(*cell);
                made = true;
            }
        }
    }
    if (made && births_are_remembered.load(std::memory_order_relaxed)) [[unlikely]] {
        remember_birth(*cell);
    }
    switch (problem) {
    case Problem::kNone:
        return cell;
    case Problem::kMemory:
        PyErr_NoMemory();
        break;
    case Problem::kTooMany:
        PyErr_SetString(PyExc_OverflowError, "too many references to one shared object");
        break;
    case Problem::kRetired:
        PyErr_SetString(PyExc_InterpreterError,
                        "cannot share objects of an interpreter that is ending");
        break;
    case Problem::kScopeClosed:
        if (PyObject *type = dead_proxy_error(owner)) {
            PyErr_Format(type, "cannot share a '%.200s' object in a scope that is closed",
                         Py_TYPE(object)->tp_name);
        }
        break;
    }
    return nullptr;
}

void drop_handle(SharedCell &cell)
{
    if (drop_handle_must_queue(cell)) {
        send_to_owner(cell, LookAfter::kYes);
    }
}

void kill(SharedCell &cell, Death why)
{
    if (kill_must_queue(cell, why)) {
        send_to_owner(cell, LookAfter::kNo);
    }
}

void revoke_object(Owner &here, const SharedCell &cell)
{
    const PyObject *object = cell.object;
    if (object != nullptr) {
        kill_cells(here, Death::kRevoked,
                   [object](const SharedCell &other) { return other.object == object; });
        drain(here);
    }
}

void drain(Owner &owner)
{
    settle_all(owner, take_queue(owner, nullptr));
}

PyObject *describe_dead(const SharedCell &cell)
{
    Death death = cell.death.load(std::memory_order_relaxed);
    uint64_t gate = cell.owner->gate.load(std::memory_order_relaxed);
    if (death == Death::kNone && (gate & (kGateClosing | kGateEnding)) != 0) {
        death = Death::kOwnerGone;
    }
    const char *reason = death_reason(death);
    long long id = cell.owner->interp_id;
    Ref birth = Ref::steal(describe_birth(cell));
    if (!birth) {
        return nullptr;
    }
    if (cell.buried.load(std::memory_order_acquire) && cell.epitaph != nullptr) {
        return PyUnicode_FromFormat("dead proxy of a '%.200s' object of interpreter %lld%U: %s",
                                    cell.epitaph, id, birth.get(), reason);
    }
    return PyUnicode_FromFormat("dead proxy of an object of interpreter %lld%U: %s", id,
                                birth.get(), reason);
}

char *type_name_of(const SharedCell &cell)
{
    if (cell.object != nullptr) {
        return _PyMem_RawStrdup(Py_TYPE(cell.object)->tp_name);
    }
    return epitaph_of(cell);
}

char *epitaph_of(const SharedCell &cell)
{
    bool told = cell.buried.load(std::memory_order_acquire) && cell.epitaph != nullptr;
    return told ? _PyMem_RawStrdup(cell.epitaph) : nullptr;
}

void raise_dead(const SharedCell &cell)
{
    Ref message = Ref::steal(describe_dead(cell));
    PyObject *type = dead_proxy_error(*owner_of(_PyThreadState_GET()));
    if (message && type != nullptr) {
        PyErr_SetObject(type, message.get());
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

void abandon_cell(SharedCell &cell)
{
    if (cell.object != nullptr) {
        // Its type is where it was; neither is touched any more.
        cell.epitaph = _PyMem_RawStrdup(Py_TYPE(std::exchange(cell.object, nullptr))->tp_name);
        cell.buried.store(true, std::memory_order_relaxed);
    }
    if (!cell.load().dead()) {
        cell.death.store(Death::kForked, std::memory_order_relaxed);
    }
    uint64_t bits = (cell.load().bits() | CellWord::kDead) & ~CellWord::kQueued;
    cell.word.store(bits, std::memory_order_relaxed);
    if (CellWord(bits).handles() == 0) {
        recycle(cell, nullptr);
    }
}

void requeue(SharedCell &cell)
{
    if (cell.load().queued()) {
        (void)push(*cell.owner, cell);
    }
}

uint64_t count_switches()
{
    LeafLock lock(registry.mutex);
    uint64_t count = registry.switches;
    for (const Owner *owner = registry.head; owner != nullptr; owner = owner->next) {
        count += owner->switches.load(std::memory_order_relaxed);
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
    void *memory = PyMem_RawCalloc(1, sizeof(Owner));
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
    int64_t exports = owner->exports.load(std::memory_order_relaxed);
    if (exports != 0) {
        PyErr_Format(PyExc_InterpreterError,
                     "cannot close interpreter %lld: others hold %lld of its buffers",
                     (long long)owner->interp_id, (long long)exports);
        return -1;
    }
    End end = begin_end(*owner);
    if (end != End::kMay) {
        raise_cannot_close(*owner, end);
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
        || owner->exports.load(std::memory_order_relaxed) != 0
        || begin_end(*owner) != End::kMay) {
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
    owner->gate.fetch_or(kGateClosing, std::memory_order_acq_rel);
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

void _PyShared_SafePoint(PyThreadState *tstate)
{
    Owner *here = owner_of(tstate);
    if (here == nullptr) {
        return;
    }
    // Looking after one owner may drop what belongs to another one, or to this interpreter.
    for (int round = 0; round < kMostRounds; ++round) {
        drain_if_pending(*here);
        serve_if_asked(*here);
        Owner *target = take_drop_target(*here);
        if (target == nullptr) {
            return;
        }
        drain_if_idle(*target);
        release(*target);
    }
    _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
}

void _PyShared_InterpreterRetire(PyThreadState *tstate)
{
    Owner *owner = owner_of(tstate);
    if (owner == nullptr) {
        return;
    }
    // Destructors may share anew, a bounded number of times.
    for (int round = 0; round < 100 && owner->cells.size() != 0; ++round) {
        kill_all_cells(*owner, Death::kOwnerGone);
        drain(*owner);
    }
    {
        LocalLock lock(*owner);
        owner->retired = true;
    }
    kill_all_cells(*owner, Death::kOwnerGone);
    drain(*owner);
    {
        ErrorStash stash;
        drop_unqueued(*owner);
    }
    // Not before all cells are without their objects: from here on others recycle them.
    settle_all(*owner, take_queue(*owner, closed_queue()));
    cell_pool().flush(owner->magazine);
}

void _PyShared_InterpreterFini(PyInterpreterState *interp)
{
    Owner *owner = owner_of(interp);
    if (owner != nullptr) {
        forget_names(*owner);
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

void _PyShared_LookAfter(PyInterpreterState *interp)
{
    if (Owner *owner = owner_of(interp)) {
        remember_drop(*owner);
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
                registry.switches += owner->switches.load(std::memory_order_relaxed);
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
