// SPDX-License-Identifier: PSF-2.0
// The immortal-object recycling allocator.
//
// Memory: slabs from the C library, never given back before release_all(), so that any index and
//         any address that was ever a cell stays safe to read.
// Locks:  lock_ guards the common free list and growth.  An interpreter goes through its own
//         magazine, under its own lock, and comes here once in Magazine::kCapacity / 2 cells.
// Python: none is run, and no thread state is needed.
// See:    Tests/cellpool_test.cpp.

#include "pyshared_cell.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <sched.h>

namespace pyshared {

// A spin lock: held for a few list operations or one slab allocation, by nobody who can be
// detached or run Python meanwhile.
class [[nodiscard]] CellPool::Lock final {
public:
    explicit Lock(std::atomic_flag &flag) : flag_(flag) { lock(flag_); }
    ~Lock() { unlock(flag_); }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;

    static void lock(std::atomic_flag &flag)
    {
        while (flag.test_and_set(std::memory_order_acquire)) {
            sched_yield();
        }
    }
    static void unlock(std::atomic_flag &flag) { flag.clear(std::memory_order_release); }

private:
    std::atomic_flag &flag_;
};

constinit CellPool runtime_pool;

namespace {

void make_immortal(PyObject &header)
{
    header = {};
#ifdef Py_GIL_DISABLED
    header.ob_ref_local = _Py_IMMORTAL_REFCNT_LOCAL;
#else
    header.ob_refcnt = _Py_IMMORTAL_INITIAL_REFCNT;
#endif
}

// Zeroed; null if memory is out.
Slab *new_slab(uint32_t number)
{
    void *memory = nullptr;
    if (posix_memalign(&memory, kSlabAlignment, sizeof(Slab)) != 0) {
        return nullptr;
    }
    std::memset(memory, 0, sizeof(Slab));
    Slab *slab = ::new (memory) Slab{};
    slab->number = number;
    return slab;
}

}  // namespace

bool CellPool::grow_lock_held()
{
    uint32_t count = slab_count_.load(std::memory_order_relaxed);
    if (count == kMaxSlabs) {
        return false;
    }
    Slab *slab = new_slab(count);
    if (slab == nullptr) {
        return false;
    }
    for (uint32_t i = kCellsPerSlab; i-- > 0;) {
        make_immortal(slab->cells[i].header);
        put_free_lock_held(slab->cells[i]);
    }
    slabs_[count].store(slab, std::memory_order_release);
    slab_count_.store(count + 1, std::memory_order_release);
    return true;
}

void CellPool::put_free_lock_held(SharedCell &cell)
{
    cell.next_queued = link_to(free_);
    free_ = &cell;
}

void CellPool::refill_lock_held(Magazine &magazine)
{
    if (free_ == nullptr && !grow_lock_held()) {
        return;
    }
    while (free_ != nullptr && magazine.size() < Magazine::kCapacity / 2) {
        SharedCell &cell = *free_;
        free_ = follow(std::exchange(cell.next_queued, 0));
        magazine.push(cell);
    }
}

void CellPool::count_taken()
{
    uint64_t taken = taken_.fetch_add(1, std::memory_order_relaxed) + 1;
    uint64_t live = taken - recycled_.load(std::memory_order_relaxed);
    uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (live > peak && !peak_.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
    }
}

SharedCell *CellPool::allocate(Magazine &magazine)
{
    if (magazine.empty()) {
        Lock lock(lock_);
        refill_lock_held(magazine);
    }
    SharedCell *cell = magazine.pop();
    if (cell == nullptr) {
        return nullptr;
    }
    count_taken();
    uint64_t generation = cell->load(std::memory_order_relaxed).generation() + 1;
    cell->death.store(Death::kNone, std::memory_order_relaxed);
    cell->buried.store(false, std::memory_order_relaxed);
    cell->word.store((generation << CellWord::kGenerationShift) | CellWord::kHandle,
                     std::memory_order_release);
    return cell;
}

void CellPool::recycle(SharedCell &cell, Magazine *magazine)
{
    uint64_t generation = cell.load(std::memory_order_relaxed).generation() + 1;
    set_owner(cell, nullptr);
    cell.object = nullptr;
    cell.scope = nullptr;
    cell.listed = {};
    cell.next_queued = 0;
    recycled_.fetch_add(1, std::memory_order_relaxed);
    if (generation >= CellWord::kMaxGeneration) {
        // Out of generations: in another life a token of its first one would match again.
        retired_.fetch_add(1, std::memory_order_relaxed);
        cell.word.store(0, std::memory_order_release);
        return;
    }
    cell.word.store(generation << CellWord::kGenerationShift, std::memory_order_release);
    if (magazine != nullptr && !magazine->full()) {
        magazine->push(cell);
        return;
    }
    Lock lock(lock_);
    put_free_lock_held(cell);
}

void CellPool::flush(Magazine &magazine)
{
    Lock lock(lock_);
    while (SharedCell *cell = magazine.pop()) {
        put_free_lock_held(*cell);
    }
}

uint32_t CellPool::limit() const
{
    return slab_count_.load(std::memory_order_acquire) * kCellsPerSlab;
}

PoolStats CellPool::stats() const
{
    uint64_t slabs = slab_count_.load(std::memory_order_acquire);
    // In this order: no cell comes back before it was taken.
    uint64_t recycled = recycled_.load(std::memory_order_acquire);
    uint64_t taken = taken_.load(std::memory_order_relaxed);
    return PoolStats{
        .capacity = slabs * kCellsPerSlab,
        .live = taken - recycled,
        .peak = peak_.load(std::memory_order_relaxed),
        .recycled = recycled,
        .retired = retired_.load(std::memory_order_relaxed),
        .bytes = slabs * sizeof(Slab),
    };
}

void CellPool::hold()
{
    Lock::lock(lock_);
}

void CellPool::let_go()
{
    Lock::unlock(lock_);
}

void CellPool::release_all()
{
    uint32_t count = slab_count_.exchange(0, std::memory_order_acq_rel);
    for (uint32_t i = 0; i < count; ++i) {
        std::free(slabs_[i].exchange(nullptr, std::memory_order_acq_rel));
    }
    free_ = nullptr;
    for (auto *counter : {&taken_, &peak_, &recycled_, &retired_}) {
        counter->store(0, std::memory_order_relaxed);
    }
}

}  // namespace pyshared
