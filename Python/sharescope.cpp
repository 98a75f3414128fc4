// SPDX-License-Identifier: PSF-2.0
// Scopes: which cells die together.
//
// Threads:  a scope may be closed by any thread of any interpreter while others share in it.
// Locks:    `mutex_`; no code runs and no interpreter is entered while it is held.
// Shutdown: nothing to do: a cell's reference keeps its scope.

#include "pyshared_scope.hpp"

#include "pyshared_entry.hpp"

#include <new>

namespace pyshared {
namespace {

constinit std::atomic<uint64_t> last_number{0};

// The other owners whose cells a closing scope killed; each entry holds a reference.
class OwnerList final {
public:
    OwnerList() = default;
    ~OwnerList()
    {
        for (Owner *owner : owners_) {
            release(*owner);
        }
    }
    OwnerList(const OwnerList &) = delete;
    OwnerList &operator=(const OwnerList &) = delete;

    // If memory is out the owner is left out: it drains at its own next safe point.
    void add(Owner &owner)
    {
        for (size_t i = owners_.size(); i-- > 0;) {
            if (owners_[i] == &owner) {
                return;
            }
        }
        if (owners_.push(&owner)) {
            retain(owner);
        }
    }

    Owner *const *begin() const { return owners_.begin(); }
    Owner *const *end() const { return owners_.end(); }

private:
    SmallArray<Owner *, 8> owners_;
};

// Drop the objects that wait in another interpreter, now.
void drain_elsewhere(Owner &owner)
{
    InterpreterEntry entry;
    if (entry.enter(owner, Visit::kPassing) == InterpreterEntry::Outcome::kEntered) {
        drain(owner);
    }
}

}  // namespace

Scope *Scope::create()
{
    void *memory = PyMem_RawMalloc(sizeof(Scope));
    if (memory == nullptr) {
        PyErr_NoMemory();
        return nullptr;
    }
    return ::new (memory) Scope;
}

uint64_t Scope::number()
{
    uint64_t number = number_.load(std::memory_order_relaxed);
    if (number != 0) {
        return number;
    }
    uint64_t fresh = last_number.fetch_add(1, std::memory_order_relaxed) + 1;
    return number_.compare_exchange_strong(number, fresh, std::memory_order_relaxed) ? fresh
                                                                                     : number;
}

void Scope::release()
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        this->~Scope();
        PyMem_RawFree(this);
    }
}

Joined Scope::add(SharedCell &cell)
{
    LeafLock lock(mutex_);
    if (!is_open()) {
        return Joined::kClosed;
    }
    cell.scope = this;
    if (!link_lock_held(cell)) {
        return Joined::kNoMemory;
    }
    retain();
    return Joined::kYes;
}

bool Scope::link_lock_held(SharedCell &cell)
{
    cell.listed.place_in_scope = static_cast<uint32_t>(members_.size());
    return members_.push(&cell);
}

void Scope::unlink(SharedCell &cell)
{
    if (cell.scope == nullptr) {
        return;
    }
    Scope &scope = *cell.scope;
    if (scope.state_.load(std::memory_order_acquire) == State::kEmpty) {
        return;
    }
    LeafLock lock(scope.mutex_);
    uint32_t place = cell.listed.place_in_scope;
    if (place < scope.members_.size() && scope.members_[place] == &cell) {
        SharedCell *last = scope.members_.pop();
        if (last != &cell) {
            scope.members_[place] = last;
            last->listed.place_in_scope = place;
        }
    }
}

void Scope::reset_after_fork()
{
    if (PyMutex_IsLocked(&mutex_)) {
        // By a thread that is gone, maybe in the middle of a change.
        mutex_ = {};
        members_.abandon();
    }
    members_.clear();
}

void Scope::relink_after_fork(SharedCell &cell)
{
    if (cell.load().dead()) {
        return;
    }
    if (!is_open() || !link_lock_held(cell)) {
        (void)kill_must_queue(cell, Death::kScopeClosed);
    }
}

void Scope::close()
{
    Owner &here = *owner_of(_PyThreadState_GET());
    OwnerList owners;
    {
        LeafLock lock(mutex_);
        state_.store(State::kClosing, std::memory_order_relaxed);
        while (!members_.empty()) {
            SharedCell &cell = *members_.pop();
            if (cell.owner != &here) {
                owners.add(*cell.owner);
            }
            kill(cell, Death::kScopeClosed);
        }
        // Pairs with unlink().
        state_.store(State::kEmpty, std::memory_order_release);
    }
    drain_if_pending(here);
    for (Owner *owner : owners) {
        drain_elsewhere(*owner);
    }
}

}  // namespace pyshared
