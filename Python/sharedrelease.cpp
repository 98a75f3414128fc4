// SPDX-License-Identifier: PSF-2.0
// The cells that an interpreter owns: how they are made, found, killed and released.
//
// Owner:    the interpreter's table of cells and its magazine.
// Threads:  the queue of releases is anybody's; the owner drains it.
// Locks:    the owner's local lock, then a scope's mutex; no code runs while one is held.
// Python:   destructors run in the owner, at its safe points or when a thread enters it; never in
//           the deallocation of a proxy.
// See:      Doc/internals/lifecycle.md; Lib/test/test_sharing/test_lifetime.py.

#include "pyshared_owner.hpp"

#include "pyshared_births.hpp"
#include "pyshared_entry.hpp"
#include "pyshared_fork.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_proxy.hpp"
#include "pyshared_request.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_slots.hpp"

#include <algorithm>
#include <utility>

namespace pyshared {
namespace {

// How much a safe point looks after before the program goes on.
constexpr int kMostRounds = 10'000;

// At how many safe points a thread looks again after owners that it found running: one may have been
// about to block, and not come to a safe point of its own.  About a millisecond.
constexpr int kMostLooks = 10'000;

// How many objects destructors may share anew while their interpreter ends, beyond as many as there were.
constexpr size_t kMostSharedAnew = 1'000;

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
    // Acquired: the number of the head's slab, which another thread may have made, is read; and what
    // the owner did to the cell before it closed the queue is seen.
    SharedCell *head = owner.release_queue.load(std::memory_order_acquire);
    do {
        if (head == closed_queue()) {
            return Pushed::kClosed;
        }
        cell.next_queued = link_to(head);
    } while (!owner.release_queue.compare_exchange_weak(head, &cell, std::memory_order_acq_rel,
                                                        std::memory_order_acquire));
    return head == nullptr ? Pushed::kFirst : Pushed::kMore;
}

// Give a cell that nobody holds, its object dropped, back to the pool.
// Locks: the owner's local lock held; or its queue is closed.
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
    if (owner.cells_refer) {
        release(owner);
    }
    else {
        --owner.live_cells;
    }
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
        here.looks = 0;
    }
    ask_for_safe_point(tstate);
}

// The queue is closed: the owner is gone and has dropped the object.  A cell that is only dead, by a
// scope that closes just now, still has handles; whoever drops the last one comes here again.
void settle_after_end(SharedCell &cell)
{
    if (take_off_queue(cell) == Drained::kUnused) {
        recycle(cell, nullptr);
    }
}

// Push where nobody need be told.
void push_at_end(Owner &owner, SharedCell &cell)
{
    if (push(owner, cell) == Pushed::kClosed) {
        settle_after_end(cell);
    }
}

// Push and see that someone looks: this thread, if it runs in the owner; the owner, if it runs; or
// with `look_after` this thread again, at its next safe point.
// Marked queued and not pushed yet: the cell and its owner cannot go away before the push.
enum class LookAfter : bool { kNo, kYes };

void see_that_someone_looks(Owner &owner, Pushed pushed, LookAfter look_after)
{
    if (pushed == Pushed::kFirst) {
        request_safe_point(owner);
    }
    if (look_after == LookAfter::kYes) {
        remember_drop(owner);
    }
}

void send_to_owner(SharedCell &cell, LookAfter look_after)
{
    Owner &owner = *cell.owner;
    PyThreadState *tstate = _PyThreadState_GET();
    if (tstate != nullptr && owner_of(tstate) == &owner) {
        push_at_end(owner, cell);
        ask_for_safe_point(tstate);
        return;
    }
    if (Seat *seat = seat_of_this_thread(owner)) {
        // The push is what comes between sitting down and the look at the flags; while it sits, this
        // thread keeps the record.
        sit_down(*seat, Visit::kPassing);
        Pushed pushed = push(owner, cell);
        if (pushed == Pushed::kClosed) {
            settle_after_end(cell);
        }
        else if (may_remain(owner, Visit::kPassing)) {
            see_that_someone_looks(owner, pushed, look_after);
        }
        stand_up(owner, *seat, Visit::kPassing);
        return;
    }
    if (!enter_gate(owner, Visit::kPassing)) {
        push_at_end(owner, cell);
        return;
    }
    see_that_someone_looks(owner, push(owner, cell), look_after);
    leave_gate(owner, Visit::kPassing);
}

// The reference goes to the caller.
Owner *take_drop_target(Owner &here)
{
    LocalLock lock(here);
    return here.dropped.take();
}

// Have the next safe point look again after owners that were running.  With the GIL only: without
// it, none counts as running.
void look_again(Owner &here, PyThreadState *tstate, DropTargets &running)
{
    if (running.count == 0) {
        return;
    }
    bool again = here.looks++ < kMostLooks;
    while (Owner *owner = running.take()) {
        if (again) {
            LocalLock lock(here);
            here.dropped.add(*owner);
        }
        release(*owner);
    }
    if (again) {
        _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
    }
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
    PyObject *object = cell.object;
    // Pairs with live_object_of().
    std::atomic_ref(cell.object).store(nullptr, std::memory_order_release);
    return object;
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

}  // namespace

void DropTargets::add(Owner &owner)
{
    int used = count.load(std::memory_order_relaxed);
    if (used == kCapacity || std::find(owners, owners + used, &owner) != owners + used) {
        return;
    }
    retain(owner);
    owners[used] = &owner;
    count.store(used + 1, std::memory_order_relaxed);
}

Owner *DropTargets::take()
{
    int used = count.load(std::memory_order_relaxed);
    if (used == 0) {
        return nullptr;
    }
    count.store(used - 1, std::memory_order_relaxed);
    return owners[used - 1];
}

void DropTargets::take_all(DropTargets &from)
{
    int used = from.count.load(std::memory_order_relaxed);
    std::copy_n(from.owners, used, owners);
    count.store(used, std::memory_order_relaxed);
    from.count.store(0, std::memory_order_relaxed);
}

void take_over_drops(Owner &from, DropTargets &targets)
{
    if (!from.dropped.empty()) {
        LocalLock lock(from);
        targets.take_all(from.dropped);
    }
}

void take_over_releases(Owner &left, DropTargets &targets)
{
    // Pairs with attention_for(): either this thread sees the cell on the queue, or whoever
    // pushed it sees that nobody holds the GIL.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (left.release_queue.load(std::memory_order_relaxed) != nullptr) {
        targets.add(left);
    }
}

void add_drops(PyThreadState *tstate, DropTargets &targets)
{
    if (targets.empty()) {
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
                ++owner.live_cells;
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

void refer_from_cells(Owner &owner)
{
    LocalLock lock(owner);
    if (!std::exchange(owner.cells_refer, true)) {
        owner.references.fetch_add(owner.live_cells, std::memory_order_relaxed);
    }
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

}  // namespace pyshared

using namespace pyshared;

extern "C" {

void _PyShared_SafePoint(PyThreadState *tstate)
{
    Owner *here = owner_of(tstate);
    if (here == nullptr) {
        return;
    }
    // Looking after one owner may drop what belongs to another one, or to this interpreter.
    DropTargets running;
    for (int round = 0; round < kMostRounds; ++round) {
        drain_if_pending(*here);
        serve_if_asked(*here, tstate);
        Owner *target = take_drop_target(*here);
        if (target == nullptr) {
            look_again(*here, tstate, running);
            return;
        }
        if (!drain_if_idle(*target)) {
            running.add(*target);
        }
        release(*target);
    }
    look_again(*here, tstate, running);
    _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
}

void _PyShared_InterpreterRetire(PyThreadState *tstate)
{
    Owner *owner = owner_of(tstate);
    if (owner == nullptr) {
        return;
    }
    // Destructors may share anew, and each of them more than one: so often, and not for ever.
    size_t cells = owner->cells.size();
    for (size_t left = 2 * cells + kMostSharedAnew; cells != 0 && cells <= left;
         cells = owner->cells.size()) {
        left -= cells;
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
    refer_from_cells(*owner);
    // Not before all cells are without their objects: from here on others recycle them.
    settle_all(*owner, take_queue(*owner, closed_queue()));
    cell_pool().flush(owner->magazine);
}

void _PyShared_LookAfter(PyInterpreterState *interp)
{
    if (Owner *owner = owner_of(interp)) {
        remember_drop(*owner);
    }
}

}  // extern "C"
