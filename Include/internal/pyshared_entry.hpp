// SPDX-License-Identifier: PSF-2.0
// Entering another interpreter, and the thread states that it takes.
//
// Invariants
// * A thread attaches to another interpreter only inside that interpreter's gate, and leaves the
//   gate only when it is attached to its own again (the base still writes to the thread state it
//   left after the lock of the interpreter is gone).
// * One interpreter's lock is held at any time, so lock order cannot deadlock.
// * A thread that is already running in an interpreter further out comes back to that very thread
//   state; otherwise to one it has used there before, kept per thread; a new one is made at most
//   once per thread and interpreter, while detached.

#pragma once

#include "pyshared_owner.hpp"

namespace pyshared {

struct ThreadSlot;

// Does something wait to be done in an owner, and does nobody run there who will do it?
enum class Attention : uint8_t { kNotWanted, kIfItStops, kWanted };

// Being inside an owner: entered by enter(), undone by leave() or the destructor.
//
//     InterpreterEntry entry;
//     if (!entry.enter(*cell.owner)) { ...an exception is set in the caller... }
//     ...attached to the owner...
//     entry.leave();
class [[nodiscard]] InterpreterEntry final {
public:
    InterpreterEntry() = default;
    ~InterpreterEntry()
    {
        if (owner_ != nullptr) {
            leave();
        }
        if (link_.homecomers != nullptr) {
            close_homecomers();
        }
    }
    InterpreterEntry(const InterpreterEntry &) = delete;
    InterpreterEntry &operator=(const InterpreterEntry &) = delete;

    enum class Outcome : uint8_t { kEntered, kClosed, kNoMemory };

    // Attach the owner's thread state to this thread.
    // Refs:   the owner's record outlives the entry.
    // Tstate: attached to another interpreter; on kEntered to the owner, else still there.
    // Python: destructors of the owner's waiting releases may run.
    // Errors: none set; see the result.
    [[nodiscard]] Outcome enter(Owner &owner, Visit visit = Visit::kCall);

    // The same to run releases or pending calls, if any wait and nobody runs there; passes through.
    // An owner that is closing wants no attention.
    [[nodiscard]] Attention enter_if_idle(Owner &owner);

    // Come back to the caller.
    void leave();

    bool entered() const { return owner_ != nullptr; }

private:
    bool step_in(Owner &owner, PyThreadState *from);
    bool step_in_attached(Owner &owner);
    Outcome attach_inside(Owner &owner, PyThreadState *from, ThreadSlot *slot);
    void step_out(Owner &owner);
    void close_homecomers();

    _PyShared_Switch link_{};
    Owner *owner_ = nullptr;
    PyThreadState *inside_ = nullptr;
    Seat *seat_ = nullptr;          // where this entry is counted; null: at the gate
    Visit visit_ = Visit::kCall;
    PyObject *stashed_exception_ = nullptr;     // the owner's, of a suspended thread state
};

// Is this thread, further out, inside that interpreter?
// Tstate: any.
bool this_thread_is_inside(const PyInterpreterState *interp);

// The interpreter that this thread goes back to from the one it is in.
// Tstate: attached, inside an entry.
Owner &caller_of_this_thread();

// The scope for exceptions of this interpreter that leave it and may come home to it: this thread,
// further out, is in a call from it.  It is closed when the outermost such call has ended.
// Tstate: attached.  Refs: borrowed.
// Errors: null without an exception if there is no such call; null with MemoryError.
[[nodiscard]] Scope *homecoming_scope();

// Is this thread inside a call from another interpreter, or in a session there?
bool this_thread_is_in_a_call();

// Visit this thread's thread states, from the attached one out along the interpreters it came
// from, until `visit` returns true.
void visit_thread_states(bool (*visit)(PyThreadState *, void *), void *context);

// Drain the owner, and make its pending calls, if nobody runs in it just now; a running one does
// so itself, at its next safe point.  Returns false if something is left to that.
// Tstate: attached to another interpreter.
bool drain_if_idle(Owner &owner);

// The same for a thread that has no thread state attached; it has none afterwards either.  What is
// to be looked after next is added to `dropped`.
void drain_if_idle_detached(Owner &owner, DropTargets &dropped);

// The calling thread's seat in the owner's gate; null if it has none.
// Tstate: any.
Seat *seat_of_this_thread(const Owner &owner);

// Ask whatever thread runs in the owner to come to a safe point, for what was atomically changed just
// before; who comes to run there next sees it anyway.
// Tstate: any, inside the owner's gate.
void request_safe_point(Owner &owner);

// Delete the idle thread states that we made for an interpreter which nobody can enter any more:
// all, or if other threads are still inside those of this thread.
// Tstate: attached to the interpreter; this thread is not further inside.
enum class ThreadStates : uint8_t { kAll, kOfThisThread };
void delete_own_thread_states(PyThreadState *tstate, ThreadStates which);

}  // namespace pyshared
