// SPDX-License-Identifier: PSF-2.0
// The immortal-object recycling allocator: cells, handles, generations, magazines, tokens.
//
// The last test is a model of what interpreters do with cells, on eight threads at random;
// PYSHARED_TEST_STEPS sets how many steps it takes in all.

#include "pyshared_cell.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace pyshared {
namespace {

// A pool of its own for each test: the tables of slabs are too large for a stack.
class CellPoolTest : public testing::Test {
protected:
    ~CellPoolTest() override { pool.release_all(); }

    SharedCell &allocate()
    {
        SharedCell *cell = pool.allocate(magazine);
        if (cell == nullptr) {
            std::abort();   // out of memory
        }
        return *cell;
    }

    std::unique_ptr<CellPool> memory = std::make_unique<CellPool>();
    CellPool &pool = *memory;
    Magazine magazine;
};

PyObject *tagged(uintptr_t tag)
{
    return reinterpret_cast<PyObject *>(tag);
}

uint64_t word_of(uint64_t generation, uint64_t low)
{
    return (generation << CellWord::kGenerationShift) | low;
}

TEST_F(CellPoolTest, a_fresh_cell_is_live_with_one_handle_and_immortal)
{
    SharedCell &cell = allocate();
    EXPECT_EQ(cell.load().bits(), word_of(1, CellWord::kHandle));
    EXPECT_TRUE(cell.load().live());
    EXPECT_TRUE(_Py_IsImmortal(&cell.header));
    EXPECT_EQ(cell.death.load(), Death::kNone);
    EXPECT_FALSE(cell.buried.load());
}

TEST_F(CellPoolTest, at_finds_a_cell_by_its_index_and_nothing_else)
{
    std::vector<SharedCell *> cells;
    for (uint32_t i = 0; i < 2 * CellPool::kCellsPerSlab; ++i) {
        cells.push_back(&allocate());
    }
    for (SharedCell *cell : cells) {
        EXPECT_EQ(pool.at(index_of(*cell)), cell);
        EXPECT_EQ(pool.follow(link_to(cell)), cell);
        EXPECT_LT(index_of(*cell), pool.limit());
    }
    EXPECT_EQ(pool.at(pool.limit()), nullptr);
    EXPECT_EQ(pool.at(UINT32_MAX), nullptr);
    EXPECT_EQ(pool.follow(link_to(nullptr)), nullptr);
    EXPECT_EQ(std::set(cells.begin(), cells.end()).size(), cells.size());
}

TEST_F(CellPoolTest, recycling_makes_the_generation_even_and_forgets_the_rest)
{
    SharedCell &cell = allocate();
    cell.object = tagged(16);
    cell.listed = {link_to(&cell), 3};
    cell.buried = true;
    ASSERT_TRUE(drop_handle_must_queue(cell));
    pool.recycle(cell, &magazine);
    EXPECT_EQ(cell.load().bits(), word_of(2, 0));
    EXPECT_EQ(cell.object, nullptr);
    EXPECT_EQ(cell.listed.next_in_bucket, 0u);
    EXPECT_EQ(cell.listed.place_in_scope, 0u);

    SharedCell &again = allocate();
    ASSERT_EQ(&again, &cell);
    EXPECT_EQ(again.load().bits(), word_of(3, CellWord::kHandle));
    EXPECT_FALSE(again.buried.load());
}

TEST_F(CellPoolTest, recycled_cells_are_used_again_before_the_pool_grows)
{
    for (int round = 0; round < 20; ++round) {
        std::vector<SharedCell *> cells;
        for (uint32_t i = 0; i < CellPool::kCellsPerSlab; ++i) {
            cells.push_back(&allocate());
        }
        for (SharedCell *cell : cells) {
            pool.recycle(*cell, &magazine);
        }
    }
    PoolStats stats = pool.stats();
    EXPECT_EQ(stats.capacity, CellPool::kCellsPerSlab);
    EXPECT_EQ(stats.peak, CellPool::kCellsPerSlab);
    EXPECT_EQ(stats.live, 0u);
    EXPECT_EQ(stats.recycled, 20u * CellPool::kCellsPerSlab);
}

TEST_F(CellPoolTest, a_magazine_is_refilled_by_half_and_spills_when_full)
{
    std::vector<SharedCell *> cells{&allocate()};
    EXPECT_EQ(magazine.size(), Magazine::kCapacity / 2 - 1);
    while (cells.size() < 2 * Magazine::kCapacity) {
        cells.push_back(&allocate());
    }
    for (SharedCell *cell : cells) {
        pool.recycle(*cell, &magazine);
    }
    EXPECT_EQ(magazine.size(), Magazine::kCapacity);
}

TEST_F(CellPoolTest, flushing_a_magazine_lets_others_have_its_cells)
{
    std::vector<SharedCell *> cells;
    for (uint32_t i = 0; i < CellPool::kCellsPerSlab; ++i) {
        cells.push_back(&allocate());
    }
    for (SharedCell *cell : cells) {
        pool.recycle(*cell, &magazine);
    }
    pool.flush(magazine);
    EXPECT_TRUE(magazine.empty());

    Magazine other;
    for (uint32_t i = 0; i < CellPool::kCellsPerSlab; ++i) {
        ASSERT_NE(pool.allocate(other), nullptr);
    }
    EXPECT_EQ(pool.stats().capacity, CellPool::kCellsPerSlab);
}

TEST_F(CellPoolTest, a_cell_recycled_without_a_magazine_goes_to_the_pool)
{
    SharedCell &cell = allocate();
    uint32_t size = magazine.size();
    pool.recycle(cell, nullptr);
    EXPECT_EQ(magazine.size(), size);
    EXPECT_EQ(pool.stats().live, 0u);
    Magazine other;
    EXPECT_EQ(pool.allocate(other)->load().live(), true);
}

TEST_F(CellPoolTest, a_cell_without_generations_left_is_retired)
{
    SharedCell &cell = allocate();
    cell.word = word_of(CellWord::kMaxGeneration - 2, CellWord::kQueued);
    pool.recycle(cell, &magazine);
    EXPECT_EQ(pool.stats().retired, 0u) << "one life is left";
    SharedCell &last = allocate();
    ASSERT_EQ(&last, &cell);
    EXPECT_EQ(last.load().generation(), CellWord::kMaxGeneration);
    pool.recycle(last, &magazine);
    EXPECT_EQ(pool.stats().retired, 1u);
    EXPECT_FALSE(try_take_handle(last, CellWord::kMaxGeneration));
    for (uint32_t i = 0; i < 2 * CellPool::kCellsPerSlab; ++i) {
        ASSERT_NE(&allocate(), &cell);
    }
}

TEST_F(CellPoolTest, release_all_starts_afresh)
{
    allocate();
    pool.release_all();
    magazine = Magazine();
    EXPECT_EQ(pool.stats().capacity, 0u);
    EXPECT_EQ(pool.stats().bytes, 0u);
    EXPECT_EQ(pool.stats().peak, 0u);
    EXPECT_EQ(pool.at(0), nullptr);
    EXPECT_EQ(allocate().load().generation(), 1u);
}

// Handles: what each step makes of each word.

constexpr uint64_t kH = CellWord::kHandle;
constexpr uint64_t kQ = CellWord::kQueued;
constexpr uint64_t kD = CellWord::kDead;
constexpr uint64_t kLimit = CellWord::kHandleLimit;

class CellWordTest : public CellPoolTest {
protected:
    SharedCell &with(uint64_t word)
    {
        cell_ = cell_ == nullptr ? &allocate() : cell_;
        cell_->word = word;
        return *cell_;
    }
    uint64_t now() const { return cell_->load().bits(); }

private:
    SharedCell *cell_ = nullptr;
};

TEST_F(CellWordTest, take_handle_counts_up_to_the_limit)
{
    EXPECT_TRUE(take_handle(with(word_of(3, kH))));
    EXPECT_EQ(now(), word_of(3, 2 * kH));
    EXPECT_TRUE(take_handle(with(word_of(3, kQ)))) << "the owner may, under its lock";
    EXPECT_EQ(now(), word_of(3, kQ | kH));
    EXPECT_FALSE(take_handle(with(word_of(3, kLimit))));
    EXPECT_EQ(now(), word_of(3, kLimit));
}

TEST_F(CellWordTest, try_take_handle_wants_a_held_cell_of_that_generation)
{
    struct Case {
        uint64_t generation, low, wanted;
        bool taken;
    };
    for (const Case &c : {
             Case{5, kH, 5, true},
             Case{5, kH | kQ, 5, true},
             Case{5, kH | kD, 5, true},
             Case{5, kH, 3, false},
             Case{5, kH, 7, false},
             Case{5, 0, 5, false},
             Case{5, kQ, 5, false},
             Case{6, 0, 6, false},
             Case{6, 0, 5, false},
             Case{5, kLimit, 5, false},
         }) {
        uint64_t before = word_of(c.generation, c.low);
        EXPECT_EQ(try_take_handle(with(before), c.wanted), c.taken) << before;
        EXPECT_EQ(now(), before + (c.taken ? kH : 0));
    }
}

TEST_F(CellWordTest, the_last_drop_queues_once)
{
    struct Case {
        uint64_t before, after;
        bool queue;
    };
    for (const Case &c : {
             Case{2 * kH, kH, false},
             Case{kH, kQ, true},
             Case{kH | kQ, kQ, false},
             Case{kH | kD, kD | kQ, true},
             Case{kH | kD | kQ, kD | kQ, false},
         }) {
        EXPECT_EQ(drop_handle_must_queue(with(word_of(9, c.before))), c.queue) << c.before;
        EXPECT_EQ(now(), word_of(9, c.after));
    }
}

TEST_F(CellWordTest, killing_queues_once_and_keeps_the_first_reason)
{
    SharedCell &cell = with(word_of(9, 2 * kH));
    EXPECT_TRUE(kill_must_queue(cell, Death::kRevoked));
    EXPECT_EQ(now(), word_of(9, 2 * kH | kD | kQ));
    EXPECT_FALSE(kill_must_queue(cell, Death::kScopeClosed));
    EXPECT_EQ(cell.death.load(), Death::kRevoked);
    EXPECT_FALSE(kill_must_queue(with(word_of(9, kQ)), Death::kOwnerGone));
    EXPECT_EQ(now(), word_of(9, kQ | kD));
}

TEST_F(CellWordTest, a_drain_learns_what_to_do_with_a_cell)
{
    struct Case {
        uint64_t before, after;
        Drained result;
    };
    for (const Case &c : {
             Case{kQ, kQ, Drained::kUnused},
             Case{kQ | kD, kQ | kD, Drained::kUnused},
             Case{kQ | kH, kH, Drained::kInUse},
             Case{kQ | kD | kH, kD | kH, Drained::kDead},
         }) {
        EXPECT_EQ(take_off_queue(with(word_of(9, c.before))), c.result) << c.before;
        EXPECT_EQ(now(), word_of(9, c.after));
    }
}

// Threads

TEST_F(CellPoolTest, threads_that_drop_one_cell_queue_it_exactly_once)
{
    constexpr int kThreads = 4;
    for (int round = 0; round < 200; ++round) {
        SharedCell &cell = allocate();
        for (int i = 1; i < kThreads; ++i) {
            ASSERT_TRUE(take_handle(cell));
        }
        std::atomic<int> queued{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&] { queued += drop_handle_must_queue(cell); });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        ASSERT_EQ(queued, 1);
        ASSERT_EQ(take_off_queue(cell), Drained::kUnused);
        pool.recycle(cell, &magazine);
    }
}

// The model.  An owner has what an interpreter has: a lock, a magazine, a table of its cells and
// a release queue that anybody pushes to.  Objects are numbers that are never used twice.
struct ModelOwner {
    std::mutex lock;                                        // its GIL
    Magazine magazine;                                      // lock
    std::unordered_map<uintptr_t, SharedCell *> table;      // lock
    std::atomic<SharedCell *> queue{nullptr};
};

// What a token says, and what it must resolve to.
struct ModelToken {
    uint32_t index;
    uint64_t generation;
    uintptr_t object;
    ModelOwner *owner;
};

struct ModelHandle {
    SharedCell *cell;
    uintptr_t object;
    ModelOwner *owner;
};

class Model {
public:
    static constexpr int kOwners = 4;
    static constexpr int kThreads = 8;
    static constexpr size_t kHeld = 64;     // handles a thread holds at most
    static constexpr size_t kTokens = 256;

    explicit Model(CellPool &pool) : pool_(pool) {}

    void run(uint64_t steps, uint32_t seed)
    {
        std::vector<std::thread> threads;
        for (uint32_t i = 0; i < kThreads; ++i) {
            threads.emplace_back([=, this] { Walker(*this, seed + i).run(steps / kThreads); });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        for (ModelHandle handle : mailbox_) {
            drop(handle);
        }
        for (ModelOwner &owner : owners_) {
            std::lock_guard lock(owner.lock);
            drain_lock_held(owner);
            EXPECT_TRUE(owner.table.empty());
            pool_.flush(owner.magazine);
        }
    }

    uint64_t wrong() const { return wrong_; }
    uint64_t resolved() const { return resolved_; }
    uint64_t stale() const { return stale_; }

private:
    // One thread and what it holds.
    class Walker {
    public:
        Walker(Model &model, uint32_t seed) : model_(model), random_(seed) {}

        void run(uint64_t steps)
        {
            for (uint64_t i = 0; i < steps; ++i) {
                step();
            }
            for (ModelHandle handle : held_) {
                model_.drop(handle);
            }
        }

    private:
        void step()
        {
            switch (random_() % 16) {
            case 0: case 1: case 2: case 3:
                hold(model_.share(model_.owners_[random_() % kOwners]));
                break;
            case 4: case 5:
                if (!held_.empty()) {
                    hold(model_.share_again(any()));
                }
                break;
            case 6: case 7: case 8:
                if (!held_.empty()) {
                    model_.drop(take());
                }
                break;
            case 9:
                if (!held_.empty()) {
                    exchange();
                }
                break;
            case 10: case 11:
                if (!held_.empty()) {
                    remember(any());
                }
                break;
            case 12: case 13: case 14:
                if (!tokens_.empty()) {
                    const ModelToken &token = tokens_[random_() % tokens_.size()];
                    if (SharedCell *cell = model_.resolve(token)) {
                        hold({cell, token.object, token.owner});
                    }
                }
                break;
            default:
                if (!held_.empty() && random_() % 4 == 0) {
                    model_.kill(any());
                }
            }
        }

        // Drop one for each one too many: what is live stays bounded.
        void hold(ModelHandle handle)
        {
            held_.push_back(handle);
            if (held_.size() > kHeld) {
                model_.drop(take());
            }
        }

        ModelHandle &any() { return held_[random_() % held_.size()]; }

        ModelHandle take()
        {
            std::swap(any(), held_.back());
            ModelHandle handle = held_.back();
            held_.pop_back();
            return handle;
        }

        // Send one to another thread and take what another one sent.
        void exchange()
        {
            ModelHandle mine = take();
            std::lock_guard lock(model_.mailbox_lock_);
            if (model_.mailbox_.size() >= kHeld) {
                std::swap(mine, model_.mailbox_[random_() % kHeld]);
                held_.push_back(mine);
            }
            else {
                model_.mailbox_.push_back(mine);
            }
        }

        void remember(const ModelHandle &handle)
        {
            ModelToken token{index_of(*handle.cell), handle.cell->load().generation(), handle.object,
                             handle.owner};
            if (tokens_.size() < kTokens) {
                tokens_.push_back(token);
            }
            else {
                tokens_[random_() % kTokens] = token;
            }
        }

        Model &model_;
        std::minstd_rand random_;
        std::vector<ModelHandle> held_;
        std::vector<ModelToken> tokens_;
    };

    ModelHandle share(ModelOwner &owner)
    {
        uintptr_t object = next_object_.fetch_add(1);
        std::lock_guard lock(owner.lock);
        drain_lock_held(owner);
        SharedCell *cell = pool_.allocate(owner.magazine);
        if (cell == nullptr) {
            std::abort();
        }
        cell->object = tagged(object);
        owner.table[object] = cell;
        return {cell, object, &owner};
    }

    // The object comes up again in its owner: the same cell, even if it waits in the queue.
    ModelHandle share_again(const ModelHandle &handle)
    {
        ModelOwner &owner = *handle.owner;
        std::lock_guard lock(owner.lock);
        auto known = owner.table.find(handle.object);
        SharedCell *cell = known == owner.table.end() ? handle.cell : known->second;
        check(cell == handle.cell && take_handle(*cell));
        return handle;
    }

    void drop(const ModelHandle &handle)
    {
        if (drop_handle_must_queue(*handle.cell)) {
            push(*handle.owner, *handle.cell);
        }
    }

    void kill(const ModelHandle &handle)
    {
        if (kill_must_queue(*handle.cell, Death::kRevoked)) {
            push(*handle.owner, *handle.cell);
        }
    }

    SharedCell *resolve(const ModelToken &token)
    {
        SharedCell *cell = pool_.at(token.index);
        if (cell == nullptr || !try_take_handle(*cell, token.generation)) {
            ++stale_;
            return nullptr;
        }
        ++resolved_;
        std::lock_guard lock(token.owner->lock);
        check(cell->object == tagged(token.object)
              || (cell->object == nullptr && cell->load().dead()));
        return cell;
    }

    static void push(ModelOwner &owner, SharedCell &cell)
    {
        SharedCell *head = owner.queue.load(std::memory_order_acquire);
        do {
            cell.next_queued = link_to(head);
        } while (!owner.queue.compare_exchange_weak(head, &cell, std::memory_order_acq_rel,
                                                    std::memory_order_acquire));
    }

    void drain_lock_held(ModelOwner &owner)
    {
        SharedCell *next = owner.queue.exchange(nullptr, std::memory_order_acquire);
        while (SharedCell *cell = next) {
            next = pool_.follow(cell->next_queued);
            Drained drained = take_off_queue(*cell);
            if (drained == Drained::kInUse) {
                continue;
            }
            if (cell->object != nullptr) {
                check(owner.table.erase(reinterpret_cast<uintptr_t>(cell->object)) == 1);
                cell->object = nullptr;
            }
            if (drained == Drained::kUnused) {
                pool_.recycle(*cell, &owner.magazine);
            }
        }
    }

    void check(bool holds)
    {
        wrong_ += !holds;
    }

    CellPool &pool_;
    ModelOwner owners_[kOwners];
    std::mutex mailbox_lock_;
    std::vector<ModelHandle> mailbox_;      // mailbox_lock_
    std::atomic<uintptr_t> next_object_{1};
    std::atomic<uint64_t> wrong_{0};
    std::atomic<uint64_t> resolved_{0};
    std::atomic<uint64_t> stale_{0};
};

// A figure of this process in kB, by its name in /proc/self/status; 0 if it cannot be told.
uint64_t memory_kb(const std::string &name)
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name + ":")) {
            return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10);
        }
    }
    return 0;
}

TEST_F(CellPoolTest, random_steps_on_threads_never_alias_lose_or_leak_a_cell)
{
    const char *wanted = std::getenv("PYSHARED_TEST_STEPS");
    uint64_t steps = wanted == nullptr ? 10'000'000 : std::strtoull(wanted, nullptr, 10);
    ASSERT_GE(steps, 10'000u);
    uint32_t seed = std::random_device()();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    uint64_t memory_at_start = memory_kb("VmRSS");
    Model model(pool);
    model.run(steps, seed);

    EXPECT_EQ(model.wrong(), 0u);
    EXPECT_GT(model.resolved(), 0u);
    EXPECT_GT(model.stale(), 0u);
    PoolStats stats = pool.stats();
    EXPECT_EQ(stats.live, 0u);
    EXPECT_EQ(stats.retired, 0u);
    EXPECT_LE(stats.capacity,
              stats.peak + Model::kOwners * Magazine::kCapacity + CellPool::kCellsPerSlab);
    std::printf("%llu steps: %llu cells at peak, %llu made, %llu recycled; %llu tokens resolved, "
                "%llu stale, %llu wrong\n"
                "RSS %llu kB at start, %llu at peak, %llu at end\n",
                (unsigned long long)steps, (unsigned long long)stats.peak,
                (unsigned long long)stats.capacity, (unsigned long long)stats.recycled,
                (unsigned long long)model.resolved(), (unsigned long long)model.stale(),
                (unsigned long long)model.wrong(), (unsigned long long)memory_at_start,
                (unsigned long long)memory_kb("VmHWM"), (unsigned long long)memory_kb("VmRSS"));
    // No cell is lost: all of them can be had again without a new slab, each one once.
    std::set<SharedCell *> all;
    for (uint64_t i = 0; i < stats.capacity; ++i) {
        all.insert(&allocate());
    }
    EXPECT_EQ(all.size(), stats.capacity);
    EXPECT_EQ(pool.stats().capacity, stats.capacity);
}

}  // namespace
}  // namespace pyshared
