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
#include <new>
#include <utility>

#include <sched.h>

namespace pyshared {

struct CellPool::Slab {
    SharedCell cells[kCellsPerSlab];
};

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

void Magazine::push(SharedCell &cell)
{
    cell.next_queued = head_;
    head_ = &cell;
    ++size_;
}

SharedCell *Magazine::pop()
{
    SharedCell *cell = head_;
    if (cell != nullptr) {
        head_ = std::exchange(cell->next_queued, nullptr);
        --size_;
    }
    return cell;
}

namespace {

constinit CellPool the_pool;

void make_immortal(PyObject &header)
{
    header = {};
#ifdef Py_GIL_DISABLED
    header.ob_ref_local = _Py_IMMORTAL_REFCNT_LOCAL;
#else
    header.ob_refcnt = _Py_IMMORTAL_INITIAL_REFCNT;
#endif
}

}  // namespace

CellPool &cell_pool()
{
    return the_pool;
}

bool CellPool::grow_lock_held()
{
    uint32_t count = slab_count_.load(std::memory_order_relaxed);
    if (count == kMaxSlabs) {
        return false;
    }
    void *memory = std::calloc(1, sizeof(Slab));
    if (memory == nullptr) {
        return false;
    }
    Slab *slab = ::new (memory) Slab{};
    for (uint32_t i = kCellsPerSlab; i-- > 0;) {
        SharedCell &cell = slab->cells[i];
        make_immortal(cell.header);
        cell.index = count * kCellsPerSlab + i;
        cell.next_queued = free_;
        free_ = &cell;
    }
    slabs_[count].store(slab, std::memory_order_release);
    slab_count_.store(count + 1, std::memory_order_release);
    return true;
}

SharedCell *CellPool::take_free_lock_held()
{
    if (free_ == nullptr && !grow_lock_held()) {
        return nullptr;
    }
    SharedCell *cell = free_;
    free_ = std::exchange(cell->next_queued, nullptr);
    return cell;
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
        while (magazine.size() < Magazine::kCapacity / 2) {
            SharedCell *spare = take_free_lock_held();
            if (spare == nullptr) {
                break;
            }
            magazine.push(*spare);
        }
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
    cell.scope_previous = nullptr;
    cell.scope_next = nullptr;
    cell.next_queued = nullptr;
    cell.next_in_bucket = nullptr;
    recycled_.fetch_add(1, std::memory_order_relaxed);
    if (generation >= CellWord::kMaxGeneration) {
        // Out of generations: in another life a token of its first one would match again.
        retired_.fetch_add(1, std::memory_order_relaxed);
        cell.word.store(0, std::memory_order_release);
        return;
    }
    cell.word.store(generation << CellWord::kGenerationShift, std::memory_order_release);
    if (magazine != nullptr && magazine->size() < Magazine::kCapacity) {
        magazine->push(cell);
        return;
    }
    Lock lock(lock_);
    cell.next_queued = free_;
    free_ = &cell;
}

void CellPool::flush(Magazine &magazine)
{
    Lock lock(lock_);
    while (SharedCell *cell = magazine.pop()) {
        cell->next_queued = free_;
        free_ = cell;
    }
}

SharedCell *CellPool::at(uint32_t index) const
{
    uint32_t slab_index = index / kCellsPerSlab;
    if (slab_index >= kMaxSlabs) {
        return nullptr;
    }
    Slab *slab = slabs_[slab_index].load(std::memory_order_acquire);
    return slab == nullptr ? nullptr : &slab->cells[index % kCellsPerSlab];
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
