// SPDX-License-Identifier: PSF-2.0
// Owner records: what the runtime knows of each interpreter that shares.
//
// A record outlives its interpreter: it is freed when the interpreter is gone and no cell refers
// to it any more.  Three parts, by who may touch them:
//
// the gate        any thread.  A word counts the threads inside (or about to be) and says whether
//                 the interpreter is ending; threads that come often count themselves in a seat of
//                 their own.  An entrant counts itself and then looks at the flags, who closes
//                 sets a flag and then looks at the counts, each with a full fence in between: so
//                 either the entrant sees `closing` and backs out, or the closer sees the entrant
//                 and waits.  Nobody attaches to a dying interpreter.
//                 Before, while its atexit callbacks run, `ending` refuses all calls but those of
//                 threads that come from there.
// the queue       any thread pushes, the owner drains.  The link is in the cell, so a push can
//                 neither fail nor allocate; it takes no lock and runs no code.
// the local part  the owner's own lock: its GIL, or `local_mutex` on free-threaded builds.

#pragma once

#include "pyshared_cell.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_methods.hpp"
#include "pyshared_strings.hpp"
#include "pyshared_table.hpp"
#include "pyshared_typecache.hpp"

#include <atomic>
#include <cstdint>

namespace pyshared {

struct ProxyObject;
struct Request;
struct SharedName;

struct CellTableTraits {
    using Node = SharedCell;
    static size_t hash(const PyObject *object, const Scope *scope)
    {
        return hash_pointer(object) ^ (hash_pointer(scope) >> 7);
    }
    static size_t hash(const SharedCell &cell) { return hash(cell.object, cell.scope); }
    static SharedCell *next(const SharedCell &cell)
    {
        return cell_pool().follow(cell.listed.next_in_bucket);
    }
    static void set_next(SharedCell &cell, const SharedCell *next)
    {
        cell.listed.next_in_bucket = link_to(next);
    }
};

struct ProxyTableTraits {
    using Node = ProxyObject;
    static size_t hash(const SharedCell *cell) { return hash_pointer(cell); }
    static size_t hash(const ProxyObject &proxy);
    static ProxyObject *next(const ProxyObject &proxy);
    static void set_next(ProxyObject &proxy, ProxyObject *next);
};

struct NameTableTraits {
    using Node = SharedName;
    static size_t hash(const PyObject *text) { return hash_pointer(text); }
    static size_t hash(const SharedName &name);
    static SharedName *next(const SharedName &name);
    static void set_next(SharedName &name, SharedName *next);
};

// Owners whose objects this interpreter dropped last; it looks whether they are idle at its next
// safe point.  Each slot holds a reference to the record.
struct DropTargets {
    static constexpr int kCapacity = 16;
    Owner *owners[kCapacity];
    std::atomic<int> count = 0;     // other threads may look whether it is 0

    bool empty() const { return count.load(std::memory_order_relaxed) == 0; }
    // One that finds no room is left to its own next safe point.
    void add(Owner &owner);
    // The reference goes to the caller; null if there is none left.
    Owner *take();
    // Take all of another one's; there are none here.
    void take_all(DropTargets &from);
};

// The shape (see shape_of()) of the type of the object that was shared last.
struct LastShape {
    const PyTypeObject *type;
    unsigned long flags;    // not all of them change the version
    uint32_t version;
    uint16_t shape;
};

// A scope opened by entering an armed proxy.  Rare and short-lived, so not in every proxy.
struct OpenWith {
    ProxyObject *proxy;
    Scope *scope;           // one reference
    int entered_again;      // the object's own __enter__ calls since
    OpenWith *next;
};

// What different threads write: two cache lines, which processors fetch together.
inline constexpr size_t kApart = 128;

// Where one thread counts itself in and out of the gate with plain stores.  Between counting itself and
// looking at the flags it makes an atomic change that it has to make anyway: it gives up a GIL, or
// pushes a cell.
struct alignas(kApart) Seat {
    std::atomic<bool> taken;            // by a thread, for as long as it remembers the owner
    std::atomic<uint64_t> inside;       // in units of the gate; written by that thread alone
    std::atomic<uint64_t> switches;     // entries ever; by whoever sits here, so it is not set back
};

struct Owner {
    // Read by C code as _PyShared_Owner::release_queue: first.
    std::atomic<SharedCell *> release_queue{nullptr};

    std::atomic<uint64_t> gate{0};
    static constexpr int kSeats = 16;       // threads beyond these use the gate's own count
    Seat seats[kSeats]{};
    alignas(kApart)
    std::atomic<int64_t> references{1};     // the interpreter's, and those of who remembers it
    std::atomic<int64_t> exports{0};        // buffers of its objects that others hold
    std::atomic<int64_t> sessions{0};       // Interpreter.exec() and call() that run in it

    std::atomic<uint64_t> switches{0};      // entries ever of threads without a seat

    std::atomic<Request *> first_request{nullptr};  // written under request_mutex
    Request *last_request = nullptr;                // request_mutex
    bool refuses_requests = false;                  // request_mutex
    PyMutex request_mutex{};                        // leaf, held briefly

    PyInterpreterState *interp = nullptr;   // valid while inside the gate, or attached to it
    int64_t interp_id = -1;                 // constant
    uint64_t serial = 0;                    // constant; never used twice in a process
    Owner *next = nullptr;                  // the registry's lock

    // The local part.
    PyMutex local_mutex{};                  // free-threaded builds only; leaf, held briefly
    bool retired = false;                   // no new cells
    bool cells_refer = false;               // each cell has a reference: the end is near
    int64_t live_cells = 0;                 // until then
    Magazine magazine;
    IntrusiveTable<CellTableTraits> cells;      // every cell it owns that has its object
    IntrusiveTable<ProxyTableTraits> proxies;   // the one proxy of each cell known here
    IntrusiveTable<NameTableTraits> names;      // one reference each
    PyObject *keyword_names = nullptr;          // a dictionary of tuples that others remember
    TypeCache known_types;
#ifndef Py_GIL_DISABLED
    MethodCache methods;
#endif
    StringCache strings;
    DropTargets dropped;
    int looks = 0;                              // how often it looked after those in vain
    OpenWith *open_withs = nullptr;
    ProxyObject *spare_proxies = nullptr;       // freed ones, for the next
    uint32_t spare_proxy_count = 0;
    static constexpr uint32_t kMostSpareProxies = 64;
    LastShape last_shape;
    ProxyObject *immortal_proxies = nullptr;    // freed when the interpreter is cleared
    PyObject *dead_proxy_error = nullptr;       // classes, made when first wanted
    PyObject *remote_error = nullptr;
    PyObject *remote_traceback = nullptr;
    PyObject *share_name = nullptr;             // "__share__", interned
};

// The end of a queue that takes no more: whoever drops a last handle then recycles the cell itself.
inline SharedCell *closed_queue()
{
    return reinterpret_cast<SharedCell *>(uintptr_t{1});
}

inline Owner *owner_of(const PyInterpreterState *interp)
{
    return reinterpret_cast<Owner *>(interp->xi.shared);
}

inline Owner *owner_of(const PyThreadState *tstate)
{
    return owner_of(tstate->interp);
}

// Holds the lock of an owner's local part.
// With the GIL there is nothing to do: attached to the owner is enough.
class [[nodiscard]] LocalLock final {
public:
    explicit LocalLock(Owner &owner) : owner_(owner)
    {
        if constexpr (kFreeThreaded) {
            PyMutex_LockFlags(&owner_.local_mutex, _Py_LOCK_DONT_DETACH);
        }
    }
    ~LocalLock()
    {
        if constexpr (kFreeThreaded) {
            PyMutex_Unlock(&owner_.local_mutex);
        }
    }
    LocalLock(const LocalLock &) = delete;
    LocalLock &operator=(const LocalLock &) = delete;

private:
    Owner &owner_;
};

// The gate: three flags, the number of visits, and of how many of those only pass through.  Seats
// count the same way.

inline constexpr uint64_t kGateClosing = 1;     // nobody enters any more
inline constexpr uint64_t kGateEnding = 2;      // somebody ends it; calls only come from there
inline constexpr uint64_t kGateAsking = 4;      // somebody looks whether it can be ended: wait
inline constexpr uint64_t kGateFlags = kGateClosing | kGateEnding | kGateAsking;
inline constexpr uint64_t kGateEntry = 8;
inline constexpr uint64_t kGatePassing = uint64_t{1} << 32;

// What a thread does inside: a call, which has to come to its end before the interpreter can be
// closed; or releases and the like, which whoever closes it waits for.
enum class Visit : uint64_t { kCall = kGateEntry, kPassing = kGateEntry + kGatePassing };

// Wake whoever waits for the last one to leave.  Only the record's address counts.
void wake_closer(Owner &owner);

// Step out again, waking a closer that waits.
// Tstate: any.  Locks: none.
inline void leave_gate(Owner &owner, Visit visit)
{
    uint64_t old = owner.gate.fetch_sub(static_cast<uint64_t>(visit), std::memory_order_acq_rel);
    if ((old & kGateClosing) != 0) [[unlikely]] {
        // The closer may be gone already.
        wake_closer(owner);
    }
}

// The gate when nobody is asking, which takes no longer than looking at the counts.
// Tstate: any.  Locks: any; who asks takes none meanwhile.
uint64_t settled_gate(const Owner &owner);

// May a thread stay that has counted itself, and then seen a flag?  Waits while somebody is asking.
bool may_stay(const Owner &owner, Visit visit);

// Step inside the owner's gate; false if it is closing or gone.
// Tstate: any.  Locks: none.
[[nodiscard]] inline bool enter_gate(Owner &owner, Visit visit)
{
    uint64_t old = owner.gate.fetch_add(static_cast<uint64_t>(visit), std::memory_order_seq_cst);
    if ((old & kGateFlags) != 0 && !may_stay(owner, visit)) [[unlikely]] {
        leave_gate(owner, visit);
        return false;
    }
    return true;
}

// A full fence where the thread has just made an atomic change, such as giving up an interpreter's
// lock, which is one already on an x86.
inline void fence_after_change()
{
#if defined(__x86_64__) || defined(__i386__)
    std::atomic_signal_fence(std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// The same with a seat: sit_down(), detach or push, then may_remain() tells whether the thread is
// inside; stand_up() in any case.

// A seat for the calling thread; null if all are taken.  Nobody sits in one that is given up.
[[nodiscard]] Seat *take_seat(Owner &owner);
inline void give_up_seat(Seat &seat)
{
    seat.taken.store(false, std::memory_order_release);
}
inline bool is_sitting(const Seat &seat)
{
    return seat.inside.load(std::memory_order_relaxed) != 0;
}

inline void sit_down(Seat &seat, Visit visit)
{
    seat.inside.store(seat.inside.load(std::memory_order_relaxed) + static_cast<uint64_t>(visit),
                      std::memory_order_relaxed);
}

inline void sit_down_with_fence(Seat &seat, Visit visit)
{
    seat.inside.fetch_add(static_cast<uint64_t>(visit), std::memory_order_seq_cst);
}

[[nodiscard]] inline bool may_remain(const Owner &owner, Visit visit)
{
    fence_after_change();
    return (owner.gate.load(std::memory_order_acquire) & kGateFlags) == 0 || may_stay(owner, visit);
}

inline void stand_up(Owner &owner, Seat &seat, Visit visit)
{
    seat.inside.store(seat.inside.load(std::memory_order_relaxed) - static_cast<uint64_t>(visit),
                      std::memory_order_release);
    if ((owner.gate.load(std::memory_order_relaxed) & kGateClosing) != 0) [[unlikely]] {
        wake_closer(owner);
    }
}

// Empty all seats: their threads are gone.
void reset_seats(Owner &owner);

// All visits, at the gate and in seats.  No flags.
uint64_t count_visits(const Owner &owner);

// Count an entry; `seat` is the calling thread's or null.
inline void count_switch(Owner &owner, Seat *seat)
{
    if (seat == nullptr) [[unlikely]] {
        owner.switches.fetch_add(1, std::memory_order_relaxed);
    }
    else {
        seat->switches.store(seat->switches.load(std::memory_order_relaxed) + 1,
                             std::memory_order_relaxed);
    }
}

// How many are inside, and how many of them make calls.
inline uint64_t entries_in_flight(const Owner &owner)
{
    return count_visits(owner) % kGatePassing / kGateEntry;
}
inline uint64_t calls_in_flight(const Owner &owner)
{
    uint64_t visits = count_visits(owner);
    return visits % kGatePassing / kGateEntry - visits / kGatePassing;
}

// Sessions: Interpreter.exec() and call(), which make their own thread states.

// Count one, in an interpreter that may be gone by now; null if it is, or is being ended.
// Tstate: any.  Locks: the registry's, for a moment.
[[nodiscard]] Owner *begin_session(const PyInterpreterState *interp);
void end_session(Owner &owner);

// References to the record

inline void retain(Owner &owner)
{
    owner.references.fetch_add(1, std::memory_order_relaxed);
}
void release(Owner &owner);

// Cells of an owner

// The record is there while its interpreter is.  Before that ends, each cell that is left gets a
// reference to it.
// Tstate: attached to the owner, which makes no more cells; or none of it is left (fork).
void refer_from_cells(Owner &owner);

// The cell of `object` in `scope` (null: none), made if there is none.
// Tstate: attached to the owner.
// Refs:   object borrowed; the caller gets one handle.
// Errors: null with MemoryError, DeadProxyError (the scope is closed) or InterpreterError.
[[nodiscard]] SharedCell *cell_for(Owner &owner, PyObject *object, Scope *scope);

// The cell's object; none if it is dead.
// Tstate: attached to its owner; the caller has a handle, or keeps one from being given up.
// Locks:  on free-threaded builds the local lock, rarely: threads that use different objects of one
//         owner must not wait for each other.  Memory of what goes away meanwhile stays an object's
//         while this thread is attached, as the base's lists and dictionaries rely on.
[[nodiscard]] inline Ref live_object_of(SharedCell &cell)
{
    if (cell.load().dead()) {
        return {};
    }
#ifdef Py_GIL_DISABLED
    if (PyObject *object = _Py_TryXGetRef(&cell.object)) [[likely]] {
        return Ref::steal(object);
    }
#endif
    LocalLock lock(*cell.owner);
    return Ref::borrow(cell.object);
}

// Give back one handle; the last one sends the cell to its owner.
// Tstate: any; with one attached, its next safe point looks after an idle owner.
// Locks:  none but, for a moment, the GIL's own mutex.  Python: none.
void drop_handle(SharedCell &cell);

// A thread that leaves an interpreter takes along what is to be looked after: the owners of what
// was dropped there and, if releases wait, that interpreter itself.  The thread's next safe point
// is in the interpreter that it goes back to.
// Tstate: attached to `from`; attached elsewhere or not at all, inside `left`'s gate or with a
// session counted; attached as `tstate`.
void take_over_drops(Owner &from, DropTargets &targets);
void take_over_releases(Owner &left, DropTargets &targets);
void add_drops(PyThreadState *tstate, DropTargets &targets);

// Push the cell if it is marked queued: for a queue that is made anew.
void requeue(SharedCell &cell);

// Kill a cell that the caller keeps from being recycled.  The object is dropped by a drain.
// Tstate: any.
void kill(SharedCell &cell, Death why);

// Kill every cell of an object of this interpreter, and drop what they hold.
// Tstate: attached to the owner.  Python: destructors run.
void revoke_object(Owner &here, const SharedCell &cell);

// Run the releases that wait: drop objects, recycle cells.
// Tstate: attached to the owner.
// Python: destructors run; an exception that is set is kept.
// Errors: none.
void drain(Owner &owner);

inline void drain_if_pending(Owner &owner)
{
    if (owner.release_queue.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
        drain(owner);
    }
}

// The name of the type of the cell's object, also of one that is gone: a copy in raw memory, or null.
// Locks: the owner's local lock held.
[[nodiscard]] char *type_name_of(const SharedCell &cell);

// The same of a dead cell that the caller holds; null if its object is not dropped yet.  Locks: none.
[[nodiscard]] char *epitaph_of(const SharedCell &cell);

// What a dead cell or proxy is called in messages: a new string, or null with an exception set.
// Tstate: attached, to any interpreter; the caller holds a handle.
[[nodiscard]] PyObject *describe_dead(const SharedCell &cell);

// Set DeadProxyError for the cell.
void raise_dead(const SharedCell &cell);

// The exception classes of the current interpreter, or null with an exception set.
// Refs: borrowed.
[[nodiscard]] PyObject *dead_proxy_error(Owner &here);
[[nodiscard]] PyObject *remote_error(Owner &here);
[[nodiscard]] PyObject *remote_traceback(Owner &here);

// "__share__", interned; null with an exception set.  Refs: borrowed.
[[nodiscard]] PyObject *share_name(Owner &here);

// The record of the interpreter with that ID, or null if there is none.  Refs: one for the caller.
Owner *find_owner(int64_t interp_id);

// The owner of a cell that the caller does not keep, or null if its interpreter is gone.
// Refs: one for the caller.
Owner *find_owner_of(const SharedCell &cell);

// The oldest owner that is younger than the one with this serial number; null if there is none.
// Refs: one for the caller.
Owner *next_owner(uint64_t serial);

// How often threads have entered any interpreter through a proxy.
uint64_t count_switches();

// Run `visit` on every record that there is, the registry locked.
void for_each_owner(void (*visit)(Owner &, void *), void *context);

}  // namespace pyshared
