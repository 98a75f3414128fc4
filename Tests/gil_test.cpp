// SPDX-License-Identifier: PSF-2.0
// The GIL under fire: whatever way it is taken and dropped, one thread has it, and nobody is lost.

#include "embedding.hpp"

#include <atomic>
#include <vector>

using namespace embedding;

namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 20'000;

// Two interpreters with a GIL each, or with one in common.
class GilTest : public testing::TestWithParam<Gil> {
protected:
    // Run function(number) in several threads while this one is detached.
    template <class Function> static void in_threads(Function function)
    {
        Detached detached;
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back(function, i);
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
    }

    PyInterpreterState *main() const { return PyThreadState_GetInterpreter(python.main()); }

    Python python;
    Interpreter other{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Gils, GilTest, testing::Values(Gil::kOwn, Gil::kShared),
                         [](const auto &info) {
                             return info.param == Gil::kOwn ? "own_gil" : "shared_gil";
                         });

void discard(PyThreadState *tstate)
{
    PyEval_RestoreThread(tstate);
    PyThreadState_Clear(tstate);
    PyThreadState_DeleteCurrent();
}

// Counted by whoever has the GIL of that interpreter; not atomic on purpose.
struct Counters {
    long here = 0;
    long there = 0;
};

// A free-threaded build lets all of them in at once.
#ifndef Py_GIL_DISABLED
TEST_P(GilTest, one_thread_at_a_time_has_it)
{
    Counters counters;
    in_threads([&](int) {
        PyThreadState *here = PyThreadState_New(main());
        PyThreadState *there = PyThreadState_New(other.interp());
        PyEval_RestoreThread(here);
        for (int i = 0; i < kRounds; ++i) {
            counters.here++;
            PyThreadState_Swap(there);
            counters.there++;
            PyThreadState_Swap(here);
        }
        PyEval_SaveThread();
        discard(there);
        discard(here);
    });
    EXPECT_EQ(counters.here, kThreads * kRounds);
    EXPECT_EQ(counters.there, kThreads * kRounds);
}
#endif

TEST_P(GilTest, a_thread_that_computes_gives_way_to_those_that_come_and_go)
{
    std::atomic<int> left{kThreads};
    run("stop = []\nturns = 0");
    std::thread computing([&] {
        PyGILState_STATE state = PyGILState_Ensure();
        run("while not stop: turns += 1");
        PyGILState_Release(state);
    });
    in_threads([&](int) {
        PyThreadState *here = PyThreadState_New(main());
        for (int i = 0; i < 50; ++i) {
            PyEval_RestoreThread(here);
            PyEval_SaveThread();
        }
        PyEval_RestoreThread(here);
        if (--left == 0) {
            run("stop.append(1)");
        }
        PyEval_SaveThread();
        discard(here);
    });
    {
        Detached detached;
        computing.join();
    }
    EXPECT_EQ(left, 0);
}

int count_call(void *counter)
{
    static_cast<std::atomic<long> *>(counter)->fetch_add(1);
    return 0;
}

TEST_P(GilTest, every_pending_call_is_made_while_the_gil_changes_hands)
{
    std::atomic<long> made{0};
    std::atomic<long> added{0};
    std::atomic<bool> stop{false};
    std::thread asking([&] {
        while (!stop) {
            if (Py_AddPendingCall(count_call, &made) == 0) {
                ++added;
            }
        }
    });
    std::thread taking([&] {
        PyThreadState *here = PyThreadState_New(main());
        while (!stop) {
            PyEval_RestoreThread(here);
            PyEval_SaveThread();
        }
        discard(here);
    });
    while (added < 2000) {
        run("for _ in range(100): pass");
        Detached detached;
    }
    stop = true;
    {
        Detached detached;
        asking.join();
        taking.join();
    }
    while (made < added) {
        ASSERT_EQ(Py_MakePendingCalls(), 0);
    }
    EXPECT_EQ(made, added);
}

TEST_P(GilTest, proxies_are_used_by_threads_of_one_side)
{
    other.lend("SharedObjectProxy(Box(5))", "box");
    run("def use():\n"
        "    for _ in range(3000): results.append(box.get())\n"
        "results = []\n"
        "threads = [threading.Thread(target=use) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert results == [5] * 12000");
}

TEST(GilReleaseTest, what_was_dropped_is_released_although_its_owner_blocks_without_a_safe_point)
{
    Python python;
    Interpreter other(Gil::kOwn);
    other.run("import weakref; box = Box(); watch = weakref.ref(box)");
    other.lend("SharedObjectProxy(box)", "doomed");
    other.run("del box");
    long before = cells_live();
    std::atomic<bool> running{false};
    std::atomic<bool> block{false};
    std::atomic<bool> end{false};
    std::thread owner([&] {
        PyThreadState *there = PyThreadState_New(other.interp());
        PyEval_RestoreThread(there);
        EXPECT_EQ(number("watch() is not None"), 1);
        running = true;
        while (!block) {    // as C code does that takes its time
        }
        PyEval_SaveThread();
        running = false;
        while (!end) {
            std::this_thread::yield();
        }
        PyEval_RestoreThread(there);
        EXPECT_EQ(number("watch() is None"), 1);
        PyThreadState_Clear(there);
        PyThreadState_DeleteCurrent();
    });
    while (!running) {
        Detached detached;
    }
    run("del doomed\n"
        "for _ in range(100): pass");     // looks: the owner is running
    block = true;
    while (running) {
        Detached detached;
    }
    run("for _ in range(100): pass");
    EXPECT_EQ(cells_live(), before - 1);
    end = true;
    Detached detached;
    owner.join();
}

TEST_P(GilTest, a_runtime_ends_while_threads_want_the_gil)
{
    run("import time\n"
        "def forever():\n"
        "    while True: time.sleep(0)\n"
        "for _ in range(4): threading.Thread(target=forever, daemon=True).start()\n");
    other.end();
    python.finalize();
}

#ifndef Py_GIL_DISABLED
TEST(GilForkTest, a_child_goes_on_although_others_waited)
{
    Python python;
    run("import os, time\n"
        "stop = []\n"
        "def busy():\n"
        "    while not stop: pass\n"
        "threads = [threading.Thread(target=busy) for _ in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "statuses = []\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "for _ in range(10):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        thread = threading.Thread(target=time.sleep, args=(0.001,))\n"
        "        thread.start(); thread.join()\n"
        "        os._exit(7)\n"
        "    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "stop.append(1)\n"
        "for thread in threads: thread.join()\n"
        "assert statuses == [7] * 10, statuses");
}
#endif

}  // namespace
