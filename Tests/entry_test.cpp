// SPDX-License-Identifier: PSF-2.0
// Entering interpreters from threads of every kind, and what becomes of their thread states.

#include "embedding.hpp"

#include <atomic>
#include <vector>

using namespace embedding;

namespace {

// A runtime, another interpreter, and a proxy `box` of its Box(5) here.
class EntryTest : public testing::TestWithParam<Gil> {
protected:
    EntryTest() : other(GetParam()) { other.lend("SharedObjectProxy(Box(5))", "box"); }

    // Run a thread to its end while this one is detached.
    template <class Function> static void in_thread(Function function)
    {
        Detached detached;
        std::thread(function).join();
    }

    PyInterpreterState *main() const { return PyThreadState_GetInterpreter(python.main()); }

    Python python;
    Interpreter other;
};

INSTANTIATE_TEST_SUITE_P(Gils, EntryTest, testing::Values(Gil::kOwn, Gil::kShared),
                         [](const auto &info) {
                             return info.param == Gil::kOwn ? "own_gil" : "shared_gil";
                         });

TEST_P(EntryTest, entering_makes_one_thread_state_and_keeps_it)
{
    size_t before = thread_states(other.interp());
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(number("box.get()"), 5);
    }
    EXPECT_LE(thread_states(other.interp()), before + 1);
}

TEST_P(EntryTest, an_embedders_thread_state_of_this_thread_is_used)
{
    // `other` was made by this thread, so it has a thread state there already.
    size_t before = thread_states(other.interp());
    other.run("import threading\nlocal = threading.local()\nlocal.mark = 9");
    other.lend("SharedObjectProxy(lambda: local.mark)", "mark");
    EXPECT_EQ(number("mark()"), 9);
    EXPECT_EQ(thread_states(other.interp()), before);
}

TEST_P(EntryTest, gilstate_threads_use_proxies_and_leave_nothing)
{
    size_t before = thread_states(other.interp());
    size_t before_main = thread_states(main());
    for (int i = 0; i < 100; ++i) {
        in_thread([] {
            PyGILState_STATE state = PyGILState_Ensure();
            EXPECT_EQ(number("box.get()"), 5);
            EXPECT_EQ(PyGILState_Check(), 1);
            PyGILState_Release(state);
        });
    }
    EXPECT_EQ(thread_states(other.interp()), before);
    EXPECT_EQ(thread_states(main()), before_main);
}

TEST_P(EntryTest, gilstate_ensured_again_and_again_on_one_thread)
{
    in_thread([] {
        for (int i = 0; i < 20; ++i) {
            PyGILState_STATE outer = PyGILState_Ensure();
            EXPECT_EQ(number("box.get()"), 5);
            PyGILState_STATE inner = PyGILState_Ensure();
            EXPECT_EQ(number("box.call(len, [])"), 0);
            PyGILState_Release(inner);
            EXPECT_EQ(number("box.get()"), 5);
            PyGILState_Release(outer);
        }
    });
}

TEST_P(EntryTest, threads_with_states_of_their_own_use_proxies)
{
    size_t before = thread_states(other.interp());
    in_thread([this] {
        PyThreadState *tstate = PyThreadState_New(main());
        PyEval_RestoreThread(tstate);
        EXPECT_EQ(number("box.get()"), 5);
        PyThreadState_Clear(tstate);
        PyThreadState_DeleteCurrent();
    });
    EXPECT_EQ(thread_states(other.interp()), before);
}

TEST_P(EntryTest, a_thread_that_ends_without_telling_leaves_no_thread_state_of_ours)
{
    size_t before = thread_states(other.interp());
    in_thread([this] {
        PyEval_RestoreThread(PyThreadState_New(main()));    // stays until the runtime ends
        EXPECT_EQ(number("box.get()"), 5);
        PyEval_SaveThread();
    });
    EXPECT_EQ(thread_states(other.interp()), before);
    EXPECT_EQ(number("box.get()"), 5);
}

TEST_P(EntryTest, threads_of_the_other_interpreter_use_mains_objects)
{
    run("mine = SharedObjectProxy(Box(6))");
    other.borrow("mine", "mains");
    size_t before = thread_states(main());
    in_thread([this] {
        PyThreadState *tstate = PyThreadState_New(other.interp());
        PyEval_RestoreThread(tstate);
        EXPECT_EQ(number("mains.get()"), 6);
        EXPECT_EQ(number("mains.call(mains.get)"), 6);
        PyThreadState_Clear(tstate);
        PyThreadState_DeleteCurrent();
    });
    EXPECT_EQ(thread_states(main()), before);
}

TEST_P(EntryTest, a_thread_state_deleted_by_its_own_thread_is_forgotten)
{
    in_thread([this] {
        PyThreadState *here = PyThreadState_New(main());
        for (int i = 0; i < 20; ++i) {
            PyThreadState *there = PyThreadState_New(other.interp());
            PyEval_RestoreThread(there);    // bound to this thread now
            PyThreadState_Swap(here);
            EXPECT_EQ(number("box.get()"), 5);
            PyThreadState_Swap(there);
            PyThreadState_Clear(there);
            PyThreadState_DeleteCurrent();
            PyEval_RestoreThread(here);
            EXPECT_EQ(number("box.get()"), 5);
            PyEval_SaveThread();
        }
        PyEval_RestoreThread(here);
        PyThreadState_Clear(here);
        PyThreadState_DeleteCurrent();
    });
}

TEST_P(EntryTest, a_thread_state_deleted_by_another_thread_is_forgotten)
{
    PyThreadState *there = nullptr;
    std::atomic<int> stage{0};
    auto wait_for = [&](int wanted) {
        while (stage.load() != wanted) {
            std::this_thread::yield();
        }
    };
    std::thread thread([&] {
        wait_for(1);
        there = PyThreadState_New(other.interp());
        PyEval_RestoreThread(there);
        PyEval_SaveThread();
        PyThreadState *here = PyThreadState_New(main());
        PyEval_RestoreThread(here);
        EXPECT_EQ(number("box.get()"), 5);     // found `there`
        PyEval_SaveThread();
        stage = 2;
        wait_for(3);
        PyEval_RestoreThread(here);
        EXPECT_EQ(number("box.get()"), 5);     // it is gone
        PyThreadState_Clear(here);
        PyThreadState_DeleteCurrent();
    });
    {
        Detached detached;
        stage = 1;
        wait_for(2);
    }
    {
        Attached in_other(other.tstate());
        PyThreadState_Clear(there);
        PyThreadState_Delete(there);
    }
    {
        Detached detached;
        stage = 3;
        thread.join();
    }
    EXPECT_EQ(number("box.get()"), 5);
}

TEST_P(EntryTest, a_thread_state_of_ours_deleted_by_an_embedder_is_forgotten)
{
    std::atomic<int> stage{0};
    std::thread thread([&] {
        PyGILState_STATE state = PyGILState_Ensure();
        EXPECT_EQ(number("box.get()"), 5);     // made one there
        PyThreadState *here = PyEval_SaveThread();
        stage = 1;
        while (stage != 2) {
            std::this_thread::yield();
        }
        PyEval_RestoreThread(here);
        EXPECT_EQ(number("box.get()"), 5);     // it is gone
        PyGILState_Release(state);
    });
    {
        Detached detached;
        while (stage != 1) {
            std::this_thread::yield();
        }
    }
    {
        Attached in_other(other.tstate());
        PyThreadState *first = PyInterpreterState_ThreadHead(other.interp());
        PyThreadState *ours = first == other.tstate() ? PyThreadState_Next(first) : first;
        ASSERT_NE(ours, nullptr);
        PyThreadState_Clear(ours);
        PyThreadState_Delete(ours);
        EXPECT_EQ(thread_states(other.interp()), 1u);
    }
    Detached detached;
    stage = 2;
    thread.join();
}

TEST_P(EntryTest, threads_race_on_one_proxy_and_leave_nothing)
{
    size_t before = thread_states(other.interp());
    std::atomic<long> total{0};
    {
        Detached detached;
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([&] {
                PyGILState_STATE state = PyGILState_Ensure();
                for (int round = 0; round < 50; ++round) {
                    total += number("box.get()");
                }
                PyGILState_Release(state);
            });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
    }
    EXPECT_EQ(total, 8 * 50 * 5);
    EXPECT_EQ(thread_states(other.interp()), before);
}

TEST_P(EntryTest, an_end_with_idle_thread_states_of_other_threads)
{
    // A thread that has been inside, lives on, and is told that the owner is gone.
    std::atomic<int> stage{0};
    std::thread thread([&] {
        PyGILState_STATE state = PyGILState_Ensure();
        EXPECT_EQ(number("box.get()"), 5);
        PyThreadState *here = PyEval_SaveThread();
        stage = 1;
        while (stage != 2) {
            std::this_thread::yield();
        }
        PyEval_RestoreThread(here);
        EXPECT_EQ(number("is_alive(box)"), 0);
        run("try: box.get()\nexcept DeadProxyError: pass\nelse: assert False");
        PyGILState_Release(state);
    });
    {
        Detached detached;
        while (stage != 1) {
            std::this_thread::yield();
        }
    }
    other.end();
    Detached detached;
    stage = 2;
    thread.join();
}

TEST_P(EntryTest, an_end_waits_for_the_call_of_another_thread)
{
    run("inside, leave = threading.Event(), threading.Event()\n"
        "def stay():\n"
        "    inside.set()\n"
        "    return leave.wait(60)\n"
        "results = []\n"
        "thread = threading.Thread(target=lambda: results.append(box.call(stay)))\n"
        "thread.start()\n"
        "inside.wait()\n"
        "set_leave = SharedObjectProxy(leave.set)");
    other.borrow("set_leave", "set_leave");
    other.run("import atexit; atexit.register(set_leave)");
    other.end();
    EXPECT_EQ(number("thread.join() or results == [True]"), 1);
    EXPECT_EQ(number("is_alive(box)"), 0);
}

// Longer than interpreters wait that end with the process.
TEST_P(EntryTest, an_end_waits_for_a_call_as_long_as_it_takes)
{
    run("inside = threading.Event()\n"
        "def stay():\n"
        "    inside.set()\n"
        "    time.sleep(2.5)\n"
        "    return 'stayed'\n"
        "results = []\n"
        "thread = threading.Thread(target=lambda: results.append(box.call(stay)))\n"
        "thread.start()\n"
        "inside.wait()");
    other.end();
    EXPECT_EQ(number("thread.join() or results == ['stayed']"), 1);
}

TEST_P(EntryTest, new_interpreters_never_get_thread_states_of_old_ones)
{
    for (int i = 0; i < 20; ++i) {
        Interpreter next(GetParam());
        next.lend("SharedObjectProxy(Box(" + std::to_string(i) + "))", "box");
        EXPECT_EQ(number("box.get()"), i);
        in_thread([i] {
            PyGILState_STATE state = PyGILState_Ensure();
            EXPECT_EQ(number("box.get()"), i);
            PyGILState_Release(state);
        });
    }
}

}  // namespace
