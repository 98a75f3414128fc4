// SPDX-License-Identifier: PSF-2.0
// Entering another interpreter, and the thread states that it takes.
//
// Threads:  everything here concerns the calling thread alone, except that a thread state may be
//           deleted by another thread (an embedder's): then the epoch is bumped, and every thread
//           forgets the thread states that are not its own and looks whether its own are there.
// Locks:    none of ours is held across a switch.
// Shutdown: a thread's own thread states are deleted when it ends (_PyShared_ThreadExit), or by
//           the interpreter that ends first (delete_own_thread_states); both go by the gate.
// See:      Doc/internals/entering.md; Tests/entry_test.cpp.

#include "pyshared_entry.hpp"

#include "pyshared_fork.hpp"
#include "pyshared_gil.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_signal.hpp"

#include "pycore_pylifecycle.h"

#include <atomic>
#include <utility>

#include <pthread.h>

namespace pyshared {

// A thread state of the calling thread in some interpreter.
struct ThreadSlot {
    Owner *owner = nullptr;             // holds a reference to the record
    PyThreadState *tstate = nullptr;    // valid inside the owner's gate only; null: to be found
    Seat *seat = nullptr;               // null: all were taken
    bool own = false;                   // made here, so deleted here
};

namespace {

// What a thread remembers of where it has been.
struct ThreadCache {
    static constexpr size_t kInline = 6;

    _PyShared_Switch *innermost = nullptr;  // the switches this thread is in now
    ThreadSlot *slots = nullptr;            // inline_slots or raw memory
    size_t count = 0;
    size_t capacity = 0;
    uint64_t epoch = 0;
    bool purging = false;
    _PyStackChunk *spare_stack = nullptr;   // of the last session's thread state
    ThreadSlot inline_slots[kInline];
};

constinit thread_local ThreadCache cache;

// Bumped when some thread's thread state is deleted by another thread.
constinit std::atomic<uint64_t> foreign_deletions{0};

// The OS calls back at the end of a thread that never tells Python.
constinit pthread_once_t exit_key_once = PTHREAD_ONCE_INIT;
constinit pthread_key_t exit_key = 0;
constinit bool exit_key_made = false;

void at_thread_exit(void *)
{
    _PyShared_ThreadExit();
}

void make_exit_key()
{
    exit_key_made = pthread_key_create(&exit_key, at_thread_exit) == 0;
}

void want_exit_callback()
{
    pthread_once(&exit_key_once, make_exit_key);
    if (exit_key_made) {
        (void)pthread_setspecific(exit_key, &cache);
    }
}

void let_go_of(const ThreadSlot &slot)
{
    if (slot.seat != nullptr) {
        give_up_seat(*slot.seat);
    }
    release(*slot.owner);
}

// Forget a thread state; its slot stays while this thread sits there.
void remove_slot(size_t index)
{
    ThreadSlot slot = cache.slots[index];
    if (slot.seat != nullptr && is_sitting(*slot.seat)) {
        cache.slots[index].tstate = nullptr;
        cache.slots[index].own = false;
        return;
    }
    cache.slots[index] = cache.slots[--cache.count];
    let_go_of(slot);
}

// The OS thread that a thread state is bound to.  Another thread may be binding its own at this moment.
unsigned long thread_of(PyThreadState *tstate)
{
    return std::atomic_ref(tstate->thread_id).load(std::memory_order_relaxed);
}

// Whether nobody has deleted the thread state that was made here; another one may be where it was.
bool is_still_there(const ThreadSlot &slot)
{
    if (!enter_gate(*slot.owner, Visit::kPassing)) {
        return false;
    }
    unsigned long me = PyThread_get_thread_ident();
    bool found = false;
    _Py_FOR_EACH_TSTATE_BEGIN(slot.owner->interp, tstate) {
        found = found || (tstate == slot.tstate && thread_of(tstate) == me
                          && reinterpret_cast<_PyThreadStateImpl *>(tstate)->shared_own);
    }
    _Py_FOR_EACH_TSTATE_END(slot.owner->interp);
    leave_gate(*slot.owner, Visit::kPassing);
    return found;
}

// Forget what may have been deleted behind our back, and interpreters that are gone.
void forget_stale_slots()
{
    for (size_t i = cache.count; i-- > 0;) {
        if (!cache.slots[i].own || !is_still_there(cache.slots[i])) {
            remove_slot(i);
        }
    }
}

ThreadSlot *find_slot(const Owner &owner)
{
    uint64_t epoch = foreign_deletions.load(std::memory_order_acquire);
    if (cache.epoch != epoch) [[unlikely]] {
        forget_stale_slots();
        cache.epoch = epoch;
    }
    for (size_t i = 0; i < cache.count; ++i) {
        if (cache.slots[i].owner == &owner) {
            return &cache.slots[i];
        }
    }
    return nullptr;
}

bool reserve_slot()
{
    if (cache.slots == nullptr) {
        cache.slots = cache.inline_slots;
        cache.capacity = ThreadCache::kInline;
    }
    if (cache.count == cache.capacity) {
        forget_stale_slots();
    }
    if (cache.count < cache.capacity) {
        return true;
    }
    // Not through Python's allocator: with tracemalloc on that would attach a thread state.
    size_t capacity = cache.capacity * 2;
    auto *larger = static_cast<ThreadSlot *>(
        _PyMem_DefaultRawMalloc(capacity * sizeof(ThreadSlot)));
    if (larger == nullptr) {
        return false;
    }
    for (size_t i = 0; i < cache.count; ++i) {
        larger[i] = cache.slots[i];
    }
    if (cache.slots != cache.inline_slots) {
        _PyMem_DefaultRawFree(cache.slots);
    }
    cache.slots = larger;
    cache.capacity = capacity;
    return true;
}

// Its thread state is not known yet; null without memory.
ThreadSlot *add_slot(Owner &owner)
{
    if (!reserve_slot()) {
        return nullptr;
    }
    want_exit_callback();
    retain(owner);
    ThreadSlot *slot = &cache.slots[cache.count++];
    *slot = ThreadSlot{.owner = &owner, .seat = take_seat(owner)};
    return slot;
}

// The thread state in which this thread, further out, already runs in the interpreter.
PyThreadState *find_in_chain(const PyInterpreterState *interp)
{
    for (_PyShared_Switch *link = cache.innermost; link != nullptr; link = link->outer) {
        if (link->from->interp == interp) {
            return link->from;
        }
    }
    return nullptr;
}

// A thread state that someone else made for this thread: an embedder's, or the one that
// Interpreter.exec() was called from.
PyThreadState *find_in_interpreter(Owner &owner)
{
    unsigned long me = PyThread_get_thread_ident();
    PyThreadState *found = nullptr;
    _Py_FOR_EACH_TSTATE_BEGIN(owner.interp, tstate) {
        const auto &status = tstate->_status;
        if (thread_of(tstate) == me && status.bound && !status.unbound && !status.finalizing
            && !status.cleared) {
            found = tstate;
            break;
        }
    }
    _Py_FOR_EACH_TSTATE_END(owner.interp);
    return found;
}

// Tstate: none attached (made while attached, it can deadlock on free-threaded builds).
PyThreadState *make_thread_state(Owner &owner)
{
    PyThreadState *tstate = _PyThreadState_NewBound(owner.interp, _PyThreadState_WHENCE_UNKNOWN);
    if (tstate != nullptr) {
        reinterpret_cast<_PyThreadStateImpl *>(tstate)->shared_own = 1;
    }
    return tstate;
}

// The slot is this thread's of that owner, or null if it has none.
// Tstate: none attached.
PyThreadState *thread_state_for(Owner &owner, ThreadSlot *slot)
{
    if (slot == nullptr) [[unlikely]] {
        slot = add_slot(owner);
    }
    if (PyThreadState *tstate = find_in_chain(owner.interp)) {
        return tstate;
    }
    if (slot == nullptr) [[unlikely]] {
        return nullptr;
    }
    if (slot->tstate == nullptr) [[unlikely]] {
        slot->tstate = find_in_interpreter(owner);
        slot->own = slot->tstate == nullptr;
        if (slot->own) {
            slot->tstate = make_thread_state(owner);
        }
    }
    return slot->tstate;
}

// A thread has one C stack, whatever the interpreter: what guards one thread state guards all.
void copy_stack_limits(const PyThreadState *from, PyThreadState *to)
{
    auto *source = reinterpret_cast<const _PyThreadStateImpl *>(from);
    auto *target = reinterpret_cast<_PyThreadStateImpl *>(to);
    target->c_stack_top = source->c_stack_top;
    target->c_stack_soft_limit = source->c_stack_soft_limit;
    target->c_stack_hard_limit = source->c_stack_hard_limit;
    target->c_stack_init_base = source->c_stack_init_base;
    target->c_stack_init_top = source->c_stack_init_top;
}

void push_link(_PyShared_Switch &link, PyThreadState *from)
{
    link.from = from;
    link.homecomers = nullptr;
    link.outer = std::exchange(cache.innermost, &link);
}

void pop_link(_PyShared_Switch &link)
{
    assert(cache.innermost == &link);
    cache.innermost = link.outer;
}

// A session's thread state lives for one call.  Its stack for Python frames, which would be mapped
// and unmapped each time, goes from one to the next.

void lend_stack(PyThreadState *session)
{
    session->datastack_cached_chunk = std::exchange(cache.spare_stack, nullptr);
}

// The thread state is cleared, so no frame is left in it.
void take_stack_back(PyThreadState *session)
{
    _PyStackChunk *chunk = session->datastack_chunk;
    if (chunk == nullptr || chunk->previous != nullptr || cache.spare_stack != nullptr
        || chunk->size != _PY_DATA_STACK_CHUNK_SIZE) {
        return;
    }
    session->datastack_chunk = nullptr;
    session->datastack_top = session->datastack_limit = nullptr;
    cache.spare_stack = chunk;
    want_exit_callback();
}

// Attach, clear and delete one of our thread states; the caller is inside the owner's gate.
// Tstate: none attached, before and after.
void delete_thread_state(PyThreadState *tstate)
{
    _PyThreadState_Attach(tstate);
    PyThreadState_Clear(tstate);
    _PyThreadState_DeleteCurrent(tstate);
}

// What the base wants to be done there, such as freeing what a message was made of.
bool has_pending_calls(const PyInterpreterState *interp)
{
    return _Py_atomic_load_int32_relaxed(&interp->ceval.pending.npending) != 0;
}

// Tstate: any, inside the owner's gate.
Attention attention_for(const Owner &owner)
{
    // Pairs with take_over_releases(): this thread has just entered the gate.
    fence_after_change();
    bool releases = owner.release_queue.load(std::memory_order_relaxed) != nullptr;
    if (!releases && !has_pending_calls(owner.interp)) {
        return Attention::kNotWanted;
    }
    return is_idle(owner.interp) ? Attention::kWanted : Attention::kIfItStops;
}

// Of debug builds: a thread state that is being cleared runs destructors, which go elsewhere and come
// back; an assertion of the base does not reckon with that.
void attach_even_if_finalizing(PyThreadState *tstate)
{
#ifndef NDEBUG
    unsigned int finalizing = tstate->_status.finalizing;
    tstate->_status.finalizing = 0;
    _PyThreadState_Attach(tstate);
    tstate->_status.finalizing = finalizing & 1;
#else
    _PyThreadState_Attach(tstate);
#endif
}

// Attach; whoever holds the interpreter's GIL is asked to yield at once, not after the switch
// interval.
void attach(PyThreadState *tstate)
{
    if (!is_idle(tstate->interp)) [[unlikely]] {
        wait_or_ask(tstate->interp);
    }
    attach_even_if_finalizing(tstate);
}

// Detach on the way to another GIL.  Whoever asked for this one gets it; waiting to see that it
// was taken, as the base does on a request, would only hold up this thread.
void detach(PyThreadState *tstate)
{
#ifndef Py_GIL_DISABLED
    if (_Py_eval_breaker_bit_is_set(tstate, _PY_GIL_DROP_REQUEST_BIT)) {
        _Py_unset_eval_breaker_bit(tstate, _PY_GIL_DROP_REQUEST_BIT);
    }
#endif
    _PyThreadState_Detach(tstate);
}

// Attach a thread state of an interpreter that this thread enters, and have signals follow it.
void attach_elsewhere(PyThreadState *inside)
{
    bool main_thread = let_signals_interrupt(inside);
    attach(inside);
    if (main_thread) {
        notice_earlier_signal(inside);
    }
}

// The way back.  The thread state of the outermost interpreter is the one that signals reach anyway.
void attach_again(PyThreadState *from)
{
    bool outermost = cache.innermost == nullptr;
    bool main_thread = let_signals_interrupt(outermost ? nullptr : from);
    attach(from);
    if (main_thread && !outermost) {
        notice_earlier_signal(from);
    }
}

}  // namespace

InterpreterEntry::Outcome InterpreterEntry::enter(Owner &owner, Visit visit)
{
    assert(owner_ == nullptr);
    PyThreadState *from = _PyThreadState_GET();
    ThreadSlot *slot = find_slot(owner);
    seat_ = slot == nullptr ? nullptr : slot->seat;
    visit_ = visit;
    if (!step_in(owner, from)) {
        return Outcome::kClosed;
    }
    return attach_inside(owner, from, slot);
}

Attention InterpreterEntry::enter_if_idle(Owner &owner)
{
    assert(owner_ == nullptr);
    PyThreadState *from = _PyThreadState_GET();
    ThreadSlot *slot = find_slot(owner);
    seat_ = slot == nullptr ? nullptr : slot->seat;
    visit_ = Visit::kPassing;
    if (!step_in_attached(owner)) {
        return Attention::kNotWanted;
    }
    Attention attention = attention_for(owner);
    if (attention != Attention::kWanted) {
        step_out(owner);
        return attention;
    }
    detach(from);
    (void)attach_inside(owner, from, slot);
    return attention;
}

// Inside the gate, detached from the caller: attach to the owner, or to the caller again.
[[gnu::always_inline]] inline InterpreterEntry::Outcome
InterpreterEntry::attach_inside(Owner &owner, PyThreadState *from, ThreadSlot *slot)
{
    push_link(link_, from);
    PyThreadState *inside = thread_state_for(owner, slot);
    if (inside == nullptr) [[unlikely]] {
        pop_link(link_);
        attach(from);
        step_out(owner);
        return Outcome::kNoMemory;
    }
    copy_stack_limits(from, inside);
    attach_elsewhere(inside);
    owner_ = &owner;
    inside_ = inside;
    count_switch(owner, seat_);
    stashed_exception_ = std::exchange(inside->current_exception, nullptr);
    drain_if_pending(owner);
    return Outcome::kEntered;
}

// Through the gate, and detached; or neither.
[[gnu::always_inline]] inline bool InterpreterEntry::step_in(Owner &owner, PyThreadState *from)
{
    if (seat_ == nullptr) [[unlikely]] {
        if (!enter_gate(owner, visit_)) {
            return false;
        }
        detach(from);
        return true;
    }
    sit_down(*seat_, visit_);
    detach(from);
    if (!may_remain(owner, visit_)) [[unlikely]] {
        attach(from);
        stand_up(owner, *seat_, visit_);
        return false;
    }
    return true;
}

// The same, but attached still.
inline bool InterpreterEntry::step_in_attached(Owner &owner)
{
    if (seat_ == nullptr) {
        return enter_gate(owner, visit_);
    }
    sit_down_with_fence(*seat_, visit_);
    if (!may_remain(owner, visit_)) {
        stand_up(owner, *seat_, visit_);
        return false;
    }
    return true;
}

// Out of the gate, when attached again.
inline void InterpreterEntry::step_out(Owner &owner)
{
    if (seat_ != nullptr) [[likely]] {
        stand_up(owner, *seat_, visit_);
    }
    else {
        leave_gate(owner, visit_);
    }
}

void InterpreterEntry::leave()
{
    Owner &owner = *std::exchange(owner_, nullptr);
    assert(_PyThreadState_GET() == inside_);
    assert(inside_->current_exception == nullptr);
    inside_->current_exception = stashed_exception_;
    PyThreadState *from = link_.from;
    DropTargets dropped;
    if (!owner.dropped.empty()) [[unlikely]] {
        take_over_drops(owner, dropped);
    }
    pop_link(link_);
    detach(inside_);
    attach_again(from);
    step_out(owner);
    // As take_over_releases() does.
    fence_after_change();
    if (owner.release_queue.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
        dropped.add(owner);
    }
    if (!dropped.empty()) [[unlikely]] {
        add_drops(from, dropped);
    }
}

void InterpreterEntry::close_homecomers()
{
    auto *scope = static_cast<Scope *>(std::exchange(link_.homecomers, nullptr));
    scope->close();
    scope->release();
}

Owner &caller_of_this_thread()
{
    return *owner_of(cache.innermost->from);
}

Scope *homecoming_scope()
{
    const PyInterpreterState *here = _PyThreadState_GET()->interp;
    _PyShared_Switch *outermost = nullptr;
    for (_PyShared_Switch *link = cache.innermost; link != nullptr; link = link->outer) {
        if (link->from->interp == here && !link->is_session) {
            outermost = link;
        }
    }
    if (outermost == nullptr) {
        return nullptr;
    }
    if (outermost->homecomers == nullptr) {
        outermost->homecomers = Scope::create();
    }
    return static_cast<Scope *>(outermost->homecomers);
}

bool this_thread_is_inside(const PyInterpreterState *interp)
{
    return find_in_chain(interp) != nullptr;
}

bool this_thread_is_in_a_call()
{
    return cache.innermost != nullptr;
}

void forget_other_thread_states()
{
    while (cache.count > 0) {
        let_go_of(cache.slots[--cache.count]);
    }
}

void visit_thread_states(bool (*visit)(PyThreadState *, void *), void *context)
{
    bool found = visit(_PyThreadState_GET(), context);
    for (_PyShared_Switch *link = cache.innermost; !found && link != nullptr; link = link->outer) {
        found = visit(link->from, context);
    }
}

bool drain_if_idle(Owner &owner)
{
    InterpreterEntry entry;
    // Entering drains.  If it fails, the owner is closing and drops its objects itself.
    Attention attention = entry.enter_if_idle(owner);
    if (entry.entered() && has_pending_calls(owner.interp)) {
        ErrorStash stash;
        (void)_PyEval_MakePendingCalls(_PyThreadState_GET());
    }
    return attention != Attention::kIfItStops;
}

Seat *seat_of_this_thread(const Owner &owner)
{
    ThreadSlot *slot = find_slot(owner);
    return slot == nullptr ? nullptr : slot->seat;
}

void drain_if_idle_detached(Owner &owner, DropTargets &dropped)
{
    assert(_PyThreadState_GET() == nullptr);
    if (!enter_gate(owner, Visit::kPassing)) {
        return;
    }
    bool wanted = attention_for(owner) == Attention::kWanted;
    PyThreadState *inside = wanted ? thread_state_for(owner, find_slot(owner)) : nullptr;
    if (inside != nullptr) {
        DropTargets more;
        attach(inside);
        drain_if_pending(owner);
        take_over_drops(owner, more);
        detach(inside);
        take_over_releases(owner, more);
        while (Owner *target = more.take()) {
            dropped.add(*target);
            release(*target);
        }
    }
    leave_gate(owner, Visit::kPassing);
}

void request_safe_point(Owner &owner)
{
    if (!is_free(owner.interp)) {
        signal_holder(owner.interp, _PY_CALLS_TO_DO_BIT, Holder::kOfTheInterpreter);
    }
}

namespace {

bool is_closing(const PyInterpreterState &interp)
{
    const Owner *owner = owner_of(&interp);
    return owner == nullptr || (owner->gate.load(std::memory_order_relaxed) & kGateClosing) != 0;
}

// Clear a thread state of the same interpreter that nobody uses.
// Tstate: attached to `current`.
void clear_idle(PyThreadState *idle, PyThreadState *current)
{
    if (!kFreeThreaded || idle->thread_id != current->thread_id) {
        PyThreadState_Clear(idle);
        return;
    }
    // Heaps of this very thread take over what others left as they are given up, and then they must
    // be those in use.
    _PyThreadState_Detach(current);
    _PyThreadState_Attach(idle);
    PyThreadState_Clear(idle);
    _PyThreadState_Detach(idle);
    _PyThreadState_Attach(current);
}

}  // namespace

void delete_own_thread_states(PyThreadState *current, ThreadStates which)
{
    PyInterpreterState *interp = current->interp;
    for (;;) {
        PyThreadState *idle = nullptr;
        _Py_FOR_EACH_TSTATE_BEGIN(interp, tstate) {
            if (tstate != current && reinterpret_cast<_PyThreadStateImpl *>(tstate)->shared_own
                && (which == ThreadStates::kAll || tstate->thread_id == current->thread_id)) {
                idle = tstate;
                break;
            }
        }
        _Py_FOR_EACH_TSTATE_END(interp);
        if (idle == nullptr) {
            return;
        }
        clear_idle(idle, current);
        PyThreadState_Delete(idle);
    }
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

void _PyShared_ThreadStateDeleted(PyThreadState *tstate)
{
    wait_for_signal_handlers();
    if (tstate->thread_id != PyThread_get_thread_ident()) {
        // Ours are deleted at the end of their interpreter, which is not entered any more; or by an
        // embedder.
        bool ours = reinterpret_cast<_PyThreadStateImpl *>(tstate)->shared_own != 0;
        if (!ours || !is_closing(*tstate->interp)) {
            foreign_deletions.fetch_add(1, std::memory_order_release);
        }
        return;
    }
    for (size_t i = cache.count; i-- > 0;) {
        if (cache.slots[i].tstate == tstate) {
            remove_slot(i);
        }
    }
}

void _PyShared_ThreadExit(void)
{
    if (cache.purging || cache.innermost != nullptr) {
        return;
    }
    cache.purging = true;
    while (cache.count > 0) {
        ThreadSlot slot = cache.slots[--cache.count];
        if (slot.own && slot.tstate != nullptr && enter_gate(*slot.owner, Visit::kPassing)) {
            delete_thread_state(slot.tstate);
            leave_gate(*slot.owner, Visit::kPassing);
        }
        let_go_of(slot);
    }
    if (cache.slots != cache.inline_slots) {
        _PyMem_DefaultRawFree(std::exchange(cache.slots, nullptr));
    }
    cache.slots = nullptr;
    cache.capacity = 0;
    if (_PyStackChunk *spare = std::exchange(cache.spare_stack, nullptr)) {
        _PyObject_VirtualFree(spare, spare->size);
    }
    cache.purging = false;
}

PyThreadState *_PyShared_EnterSession(PyInterpreterState *interp, PyThreadState *from,
                                      _PyShared_Switch *link)
{
    Owner *owner = begin_session(interp);
    if (owner == nullptr) {
        PyErr_SetString(PyExc_InterpreterError, "the interpreter is closed or being closed");
        return nullptr;
    }
    _PyThreadState_Detach(from);
    PyThreadState *tstate = _PyThreadState_NewBound(interp, _PyThreadState_WHENCE_EXEC);
    if (tstate == nullptr) {
        attach(from);
        end_session(*owner);
        PyErr_NoMemory();
        return nullptr;
    }
    copy_stack_limits(from, tstate);
    lend_stack(tstate);
    attach_elsewhere(tstate);
    if (kFreeThreaded && has_pending_calls(interp)) {
        // With the GIL, taking it looks for them.
        _Py_set_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
    }
    link->is_session = 1;
    push_link(*link, from);
    return tstate;
}

void _PyShared_ExitSession(_PyShared_Switch *link)
{
    PyThreadState *session = _PyThreadState_GET();
    DropTargets dropped;
    Owner &owner = *owner_of(session);
    take_over_drops(owner, dropped);
    pop_link(*link);
    take_stack_back(session);
    detach(session);
    attach_again(link->from);
    take_over_releases(owner, dropped);
    end_session(owner);
    add_drops(link->from, dropped);
}

void _PyShared_StackLimits(void (*ask)(uintptr_t *, uintptr_t *, uintptr_t), uintptr_t *base,
                           uintptr_t *top, uintptr_t here)
{
    static constinit thread_local uintptr_t known_base = 0;
    static constinit thread_local uintptr_t known_top = 0;
    if (known_top == 0) {
        ask(&known_base, &known_top, here);
    }
    *base = known_base;
    *top = known_top;
}

}  // extern "C"
