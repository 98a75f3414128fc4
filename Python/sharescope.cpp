// SPDX-License-Identifier: PSF-2.0
// Scopes: which cells die together.
//
// Threads:  a scope may be closed by any thread of any interpreter while others share in it.
// Locks:    `mutex_`; no code runs and no interpreter is entered while it is held.
// Shutdown: nothing to do: a cell's reference keeps its scope.

#include "pyshared_scope.hpp"

#include "pyshared_entry.hpp"

#include <cstring>
#include <new>
#include <utility>

namespace pyshared {
namespace {

constinit std::atomic<uint64_t> last_number{0};

// The owners whose cells a closing scope killed; each entry holds a reference.
class OwnerList final {
public:
    OwnerList() = default;
    ~OwnerList()
    {
        for (size_t i = 0; i < count_; ++i) {
            release(*owners_[i]);
        }
        if (owners_ != inline_) {
            PyMem_RawFree(owners_);
        }
    }
    OwnerList(const OwnerList &) = delete;
    OwnerList &operator=(const OwnerList &) = delete;

    // If memory is out the owner is left out: it drains at its own next safe point.
    void add(Owner &owner)
    {
        for (size_t i = count_; i-- > 0;) {
            if (owners_[i] == &owner) {
                return;
            }
        }
        if (count_ == capacity_ && !grow()) {
            return;
        }
        retain(owner);
        owners_[count_++] = &owner;
    }

    Owner *const *begin() const { return owners_; }
    Owner *const *end() const { return owners_ + count_; }

private:
    bool grow()
    {
        auto **larger = static_cast<Owner **>(
            PyMem_RawMalloc(2 * capacity_ * sizeof(Owner *)));
        if (larger == nullptr) {
            return false;
        }
        std::memcpy(larger, owners_, count_ * sizeof(Owner *));
        if (owners_ != inline_) {
            PyMem_RawFree(owners_);
        }
        owners_ = larger;
        capacity_ *= 2;
        return true;
    }

    Owner *inline_[8];
    Owner **owners_ = inline_;
    size_t count_ = 0;
    size_t capacity_ = 8;
};

// Drop the objects that wait in an owner, now.
void drain_now(Owner &owner)
{
    if (&owner == owner_of(_PyThreadState_GET())) {
        drain(owner);
        return;
    }
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
    return ::new (memory) Scope(last_number.fetch_add(1, std::memory_order_relaxed) + 1);
}

void Scope::release()
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        this->~Scope();
        PyMem_RawFree(this);
    }
}

bool Scope::add(SharedCell &cell)
{
    LeafLock lock(mutex_);
    if (!open_.load(std::memory_order_relaxed)) {
        return false;
    }
    cell.scope = retain();
    link_lock_held(cell);
    return true;
}

void Scope::link_lock_held(SharedCell &cell)
{
    cell.scope_previous = nullptr;
    cell.scope_next = members_;
    if (members_ != nullptr) {
        members_->scope_previous = &cell;
    }
    members_ = &cell;
}

void Scope::unlink(SharedCell &cell)
{
    if (cell.scope == nullptr) {
        return;
    }
    Scope &scope = *cell.scope;
    LeafLock lock(scope.mutex_);
    if (scope.members_ == &cell) {
        scope.members_ = cell.scope_next;
    }
    if (cell.scope_previous != nullptr) {
        cell.scope_previous->scope_next = cell.scope_next;
    }
    if (cell.scope_next != nullptr) {
        cell.scope_next->scope_previous = cell.scope_previous;
    }
    cell.scope_previous = cell.scope_next = nullptr;
}

void Scope::reset_after_fork()
{
    mutex_ = {};
    members_ = nullptr;
}

void Scope::relink_after_fork(SharedCell &cell)
{
    cell.scope_previous = cell.scope_next = nullptr;
    if (!is_open()) {
        (void)kill_must_queue(cell, Death::kScopeClosed);
    }
    else if (!cell.load().dead()) {
        link_lock_held(cell);
    }
}

void Scope::close()
{
    OwnerList owners;
    {
        LeafLock lock(mutex_);
        open_.store(false, std::memory_order_release);
        while (members_ != nullptr) {
            SharedCell &cell = *members_;
            members_ = std::exchange(cell.scope_next, nullptr);
            if (members_ != nullptr) {
                members_->scope_previous = nullptr;
            }
            owners.add(*cell.owner);
            kill(cell, Death::kScopeClosed);
        }
    }
    for (Owner *owner : owners) {
        drain_now(*owner);
    }
}

}  // namespace pyshared
