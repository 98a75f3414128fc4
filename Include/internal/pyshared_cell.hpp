// SPDX-License-Identifier: PSF-2.0
// Shared cells and the pool they come from.
//
// A SharedCell is the runtime-wide record behind every proxy of one shared object.  It is a real
// object header with an immortal reference count, so any interpreter may hold its address without
// counting it; it is carved from slabs that are never unmapped while the runtime lives, and
// recycled when nothing refers to it any more.
//
// One atomic word says everything another interpreter may ask of a cell:
//
//     63                24  23    22      21          0
//     [ generation (40)  ][dead][queued][ handles (22) ]
//
// handles     what keeps the cell from being recycled: proxies, messages in flight.
// queued      the cell is on its owner's release queue (at most once, by this bit).
// dead        no new use: its scope was closed, it was revoked, or its owner is ending.
// generation  odd while the cell is live, even while it is free; a token carries it.
//
// Invariants
// * The step from one handle to none also sets `queued`, in one atomic operation, and only the
//   thread that made it pushes the cell.  So a cell is never touched after its last handle is
//   gone, except by its owner's drain.
// * handles == 0 and queued: nobody can take a new handle except the owner itself, under its own
//   lock (the object came up again before the drain), so the drain that sees handles == 0 there
//   has the cell to itself.
// * A cell whose generation would wrap is retired: it stays unused for good.
// * A cell takes one cache line (release build with the GIL): lists of cells link them by number.
//
// The pool knows nothing of what Python does with a cell.

#pragma once

#include "Python.h"

#include <atomic>
#include <cstdint>

namespace pyshared {

struct Owner;
class Scope;
struct SharedCell;

// Why a cell, or a proxy, can no longer be used.
enum class Death : uint8_t { kNone, kScopeClosed, kReleased, kRevoked, kOwnerGone, kForked };

// A cell of the same pool in four bytes: its index plus one, or 0 for none.
using CellLink = uint32_t;

// The packed word of a cell, taken apart.
class CellWord final {
public:
    static constexpr int kGenerationShift = 24;
    static constexpr uint64_t kHandle = 1;
    static constexpr uint64_t kHandleMask = (uint64_t{1} << 22) - 1;
    static constexpr uint64_t kQueued = uint64_t{1} << 22;
    static constexpr uint64_t kDead = uint64_t{1} << 23;
    static constexpr uint64_t kMaxGeneration = (uint64_t{1} << 40) - 1;
    // Handles are refused from here on, so that threads which race can never reach the flags.
    static constexpr uint64_t kHandleLimit = uint64_t{1} << 21;

    constexpr explicit CellWord(uint64_t bits) : bits_(bits) {}

    constexpr uint64_t bits() const { return bits_; }
    constexpr uint64_t handles() const { return bits_ & kHandleMask; }
    constexpr bool queued() const { return (bits_ & kQueued) != 0; }
    constexpr bool dead() const { return (bits_ & kDead) != 0; }
    constexpr uint64_t generation() const { return bits_ >> kGenerationShift; }
    constexpr bool live() const { return (generation() & 1) != 0; }

private:
    uint64_t bits_;
};

struct SharedCell {
    PyObject header;                // immortal; on free-threaded builds its mutex is `object`'s
    std::atomic<uint64_t> word;     // see above
    Owner *owner;                   // constant while the cell is live; see peek_owner()
    PyObject *object;               // owner's lock; one reference; null once dead and drained
    Scope *scope;                   // constant while the cell is live; one reference; or null
    union {
        struct {
            CellLink next_in_bucket;    // owner's lock: table of its cells
            uint32_t place_in_scope;    // the scope's mutex
        } listed;                   // while `object` is set
        char *epitaph;              // once `buried`: its type's name; raw memory, or null
    };
    CellLink next_queued;           // whoever has the cell: release queue or free list
    std::atomic<Death> death;       // set before `dead`
    std::atomic<bool> buried;       // dead and drained: `object` is gone, `epitaph` may be read
    uint16_t shape;                 // constant while the cell is live: _PyShared_CALLABLE, ...

    CellWord load(std::memory_order order = std::memory_order_acquire) const
    {
        return CellWord(word.load(order));
    }
};

#ifndef Py_GIL_DISABLED
static_assert(sizeof(SharedCell) == 64);
#endif

// Where the pool keeps a cell.  Any thread, at any time.
uint32_t index_of(const SharedCell &cell);

inline CellLink link_to(const SharedCell *cell)
{
    return cell == nullptr ? 0 : index_of(*cell) + 1;
}

// Taking and giving back handles.

// Take one more handle on a cell that the caller knows to be held, or whose owner's lock it holds.
// Returns false if there are absurdly many already.
[[nodiscard]] inline bool take_handle(SharedCell &cell)
{
    CellWord old(cell.word.fetch_add(CellWord::kHandle, std::memory_order_relaxed));
    if (old.handles() >= CellWord::kHandleLimit) [[unlikely]] {
        cell.word.fetch_sub(CellWord::kHandle, std::memory_order_relaxed);
        return false;
    }
    return true;
}

// The owner of any cell of the pool, which is only known to be right while the cell is kept.
inline Owner *peek_owner(const SharedCell &cell)
{
    return __atomic_load_n(&cell.owner, __ATOMIC_RELAXED);
}
inline void set_owner(SharedCell &cell, Owner *owner)
{
    __atomic_store_n(&cell.owner, owner, __ATOMIC_RELAXED);
}

// Take a handle if the cell is live with that generation and held by someone.
// Safe with any cell of the pool, from any thread, at any time; but unless the cell is dead, the
// caller is attached to its owner, whose collector goes by whether a proxy's handle is the only one.
[[nodiscard]] inline bool try_take_handle(SharedCell &cell, uint64_t generation)
{
    CellWord old = cell.load();
    for (;;) {
        if (old.generation() != generation || !old.live() || old.handles() == 0
            || old.handles() >= CellWord::kHandleLimit) {
            return false;
        }
        uint64_t bits = old.bits();
        if (cell.word.compare_exchange_weak(bits, bits + CellWord::kHandle,
                                            std::memory_order_acquire)) {
            return true;
        }
        old = CellWord(bits);
    }
}

// Give a handle back.  True: it was the last, the cell is now marked queued, and the caller must
// push it on its owner's release queue.
[[nodiscard]] inline bool drop_handle_must_queue(SharedCell &cell)
{
    uint64_t bits = cell.word.load(std::memory_order_relaxed);
    for (;;) {
        CellWord old(bits);
        bool queue = old.handles() == 1 && !old.queued();
        uint64_t next = bits - CellWord::kHandle + (queue ? CellWord::kQueued : 0);
        if (cell.word.compare_exchange_weak(bits, next, std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
            return queue;
        }
    }
}

// Mark the cell dead.  True: it is now marked queued too, and the caller must push it.
// The caller knows the cell to be live and that it cannot be recycled meanwhile.
[[nodiscard]] inline bool kill_must_queue(SharedCell &cell, Death why)
{
    uint64_t bits = cell.word.load(std::memory_order_relaxed);
    for (;;) {
        CellWord old(bits);
        if (old.dead()) {
            return false;
        }
        cell.death.store(why, std::memory_order_relaxed);
        if (cell.word.compare_exchange_weak(bits, bits | CellWord::kDead | CellWord::kQueued,
                                            std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
            return !old.queued();
        }
    }
}

// What a drain finds when it takes a cell off the release queue.
enum class Drained : uint8_t {
    kUnused,    // no handle is left: the cell is the drain's alone, still marked queued
    kDead,      // dead with handles left; off the queue
    kInUse,     // a handle was taken again meanwhile; off the queue
};

[[nodiscard]] inline Drained take_off_queue(SharedCell &cell)
{
    uint64_t bits = cell.word.load(std::memory_order_acquire);
    for (;;) {
        CellWord old(bits);
        if (old.handles() == 0) {
            return Drained::kUnused;
        }
        if (cell.word.compare_exchange_weak(bits, bits & ~CellWord::kQueued,
                                            std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
            return old.dead() ? Drained::kDead : Drained::kInUse;
        }
    }
}

// A few free cells that one interpreter keeps for itself; its lock protects it.
class Magazine final {
public:
    static constexpr uint32_t kCapacity = 64;

    bool empty() const { return size_ == 0; }
    bool full() const { return size_ == kCapacity; }
    uint32_t size() const { return size_; }
    // There is room.
    void push(SharedCell &cell) { cells_[size_++] = &cell; }
    // Null if there is none.
    SharedCell *pop() { return size_ == 0 ? nullptr : cells_[--size_]; }

private:
    SharedCell *cells_[kCapacity];
    uint32_t size_ = 0;
};

struct PoolStats {
    uint64_t capacity;      // cells in all slabs
    uint64_t live;          // cells in use now
    uint64_t peak;          // the most there ever were
    uint64_t recycled;      // how often a cell went back
    uint64_t retired;       // cells whose generation ran out
    uint64_t bytes;         // memory of all slabs
};

// A slab lies where its size, rounded up, divides the address: so a cell's address tells its slab.
// It is smaller than that by what the C library puts between two blocks, so slabs lie close.
inline constexpr size_t kSlabAlignment = 32 * 1024;
inline constexpr size_t kCacheLine = 64;

struct Slab {
    static constexpr size_t kCells = (kSlabAlignment - 16 - kCacheLine) / sizeof(SharedCell);

    uint32_t number;                // constant
    alignas(kCacheLine) SharedCell cells[kCells];
};
static_assert(sizeof(Slab) <= kSlabAlignment - 16);

inline uint32_t index_of(const SharedCell &cell)
{
    auto address = reinterpret_cast<uintptr_t>(&cell);
    auto *slab = reinterpret_cast<const Slab *>(address & ~(kSlabAlignment - 1));
    return static_cast<uint32_t>(slab->number * Slab::kCells + (&cell - slab->cells));
}

// The pool: slabs of cells for the whole runtime.
class CellPool final {
public:
    static constexpr uint32_t kCellsPerSlab = Slab::kCells;
    static constexpr uint32_t kMaxSlabs = 16384;

    // Take a free cell; it comes with one handle, an odd generation and nothing else set.
    // Magazine: the caller's own, its lock held; refilled in batches from the pool.
    // Errors: null if memory is out.
    [[nodiscard]] SharedCell *allocate(Magazine &magazine);

    // Give back a cell that nobody holds.  Magazine: the caller's own, or null for the pool's list.
    void recycle(SharedCell &cell, Magazine *magazine);

    // Give back all that the magazine keeps.
    void flush(Magazine &magazine);

    // The cell with that index, or null if there is none.  Any thread, at any time.
    SharedCell *at(uint32_t index) const
    {
        uint32_t slab_index = index / kCellsPerSlab;
        if (slab_index >= kMaxSlabs) {
            return nullptr;
        }
        Slab *slab = slabs_[slab_index].load(std::memory_order_acquire);
        return slab == nullptr ? nullptr : &slab->cells[index % kCellsPerSlab];
    }

    // The cell that a link of one of its cells leads to, or null.
    SharedCell *follow(CellLink link) const { return link == 0 ? nullptr : at(link - 1); }

    // The most cells that at() may answer for.
    uint32_t limit() const;

    PoolStats stats() const;

    // Keep the pool as it is while the process is copied by fork().
    void hold();
    void let_go();

    // Free every slab.  Nobody may hold a cell or call anything of the pool meanwhile.
    void release_all();

private:
    class Lock;

    void put_free_lock_held(SharedCell &cell);
    void refill_lock_held(Magazine &magazine);
    bool grow_lock_held();
    void count_taken();

    std::atomic<Slab *> slabs_[kMaxSlabs]{};   // written once each, under lock_
    std::atomic<uint32_t> slab_count_{0};      // written under lock_
    std::atomic_flag lock_{};                  // guards free_ and growth; never held for long
    SharedCell *free_ = nullptr;               // lock_
    std::atomic<uint64_t> taken_{0};           // relaxed; statistics
    std::atomic<uint64_t> peak_{0};
    std::atomic<uint64_t> recycled_{0};
    std::atomic<uint64_t> retired_{0};
};

// The runtime's one pool.
extern CellPool runtime_pool;

inline CellPool &cell_pool()
{
    return runtime_pool;
}

}  // namespace pyshared
