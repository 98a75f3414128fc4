// SPDX-License-Identifier: PSF-2.0
// Scopes: which cells die together.
//
// A scope lists the cells of everything that was shared in it or came out of it.  A cell joins
// when it is made and leaves when it is drained, so a scope that is open for days stays small.
// The list is an array; a member knows its place there, and where one leaves the last takes its place.
//
// Locks: `mutex_` guards the state and the list; a leaf, below an owner's local lock.

#pragma once

#include "pyshared_array.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_owner.hpp"

#include <atomic>
#include <cstdint>

namespace pyshared {

enum class Joined : uint8_t { kYes, kClosed, kNoMemory };

class Scope final {
public:
    // A new open scope with one reference, or null with MemoryError.
    // Tstate: attached.
    [[nodiscard]] static Scope *create();

    Scope *retain()
    {
        references_.fetch_add(1, std::memory_order_relaxed);
        return this;
    }
    // Tstate: any.
    void release();

    bool is_open() const { return state_.load(std::memory_order_acquire) == State::kOpen; }

    // Make a live cell a member, if the scope is open.
    // Tstate: attached to the cell's owner.  Refs: a member gets a reference to the scope.
    // Errors: a cell that did not join is to be recycled.
    [[nodiscard]] Joined add(SharedCell &cell);

    // Take the cell off the list, if it is there; it keeps its reference until it is recycled.
    // Tstate: attached to the cell's owner.
    static void unlink(SharedCell &cell);

    // Kill every member and drop their objects, in every interpreter, before returning; calls
    // that run keep what they use and finish.  Idempotent.
    // Tstate: attached.  Locks: none.
    // Python: destructors run, in their owners.
    void close();

    // In the child of a fork(): empty the list, and put one cell of the survivor back on it.  If the
    // scope was being closed, or memory is out, that cell is killed, too, and is still to be queued.
    void reset_after_fork();
    void relink_after_fork(SharedCell &cell);

    // Tells scopes apart; never used twice in a process.  Given when it is first asked for.
    uint64_t number();

private:
    enum class State : uint8_t {
        kOpen,
        kClosing,
        kEmpty,         // closed, and whoever closes it touches no member any more
    };

    [[nodiscard]] bool link_lock_held(SharedCell &cell);

    Scope() = default;

    std::atomic<uint64_t> number_{0};
    std::atomic<int64_t> references_{1};
    std::atomic<State> state_{State::kOpen};    // written under mutex_
    PyMutex mutex_{};
    SmallArray<SharedCell *, 4> members_;   // mutex_
};

}  // namespace pyshared
