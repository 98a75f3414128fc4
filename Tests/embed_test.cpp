// SPDX-License-Identifier: PSF-2.0
// Embedding: runtimes that start and end, interpreters made through the C API, our own C API.

#include "embedding.hpp"

using namespace embedding;

namespace {

class EmbedTest : public testing::TestWithParam<Gil> {};

INSTANTIATE_TEST_SUITE_P(Gils, EmbedTest, testing::Values(Gil::kOwn, Gil::kShared),
                         [](const auto &info) {
                             return info.param == Gil::kOwn ? "own_gil" : "shared_gil";
                         });

TEST(RuntimeTest, a_runtime_can_start_again_after_its_end)
{
    for (int round = 0; round < 3; ++round) {
        Python python;
        Interpreter other(Gil::kOwn);
        other.lend("SharedObjectProxy(Box(5))", "box");
        EXPECT_EQ(number("box.get()"), 5);
        EXPECT_EQ(cells_live(), 1);
        EXPECT_EQ(number("share_stats()['cells_peak']"), 1) << "counters start afresh";
        run("del box");
    }
}

TEST(RuntimeTest, a_runtime_ends_with_proxies_of_all_in_all)
{
    for (int round = 0; round < 2; ++round) {
        Python python;
        Interpreter first(Gil::kOwn);
        Interpreter second(Gil::kShared);
        run("mine = SharedObjectProxy(Box())\nforever = share_forever(Box())");
        for (Interpreter *interpreter : {&first, &second}) {
            interpreter->borrow("mine", "mains");
            interpreter->borrow("forever", "forever");
            interpreter->lend("SharedObjectProxy(Box(mains))", "theirs");
            run("mine.value = theirs, theirs.get()");
            interpreter->abandon();
        }
    }
}

TEST(RuntimeTest, a_runtime_ends_after_a_thread_with_proxies_has)
{
    Python python;
    Interpreter other(Gil::kOwn);
    other.lend("SharedObjectProxy(Box(7))", "box");
    run("def use(): results.append(box.get())\n"
        "results = []\n"
        "threads = [threading.Thread(target=use) for _ in range(20)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert results == [7] * 20");
    other.abandon();
}

TEST(CApiTest, share_returns_natives_and_wraps_the_rest)
{
    Python python;
    PyObject *number_ = PyLong_FromLong(1 << 20);
    PyObject *same = PyShared_Share(number_);
    EXPECT_EQ(same, number_);
    Py_XDECREF(same);
    Py_DECREF(number_);

    PyObject *list = PyList_New(0);
    PyObject *proxy = PyShared_Share(list);
    ASSERT_NE(proxy, nullptr);
    EXPECT_TRUE(PySharedObjectProxy_Check(proxy));
    EXPECT_EQ(PyShared_IsAlive(proxy), 1);
    EXPECT_EQ(PyObject_Size(proxy), 0);
    EXPECT_EQ(PyList_Append(list, Py_None), 0);
    EXPECT_EQ(PyObject_Size(proxy), 1);
    Py_DECREF(proxy);
    run("pass");    // a safe point
    EXPECT_EQ(Py_REFCNT(list), 1);
    Py_DECREF(list);
}

TEST(CApiTest, share_honours_the_protocol_and_its_errors)
{
    Python python;
    run("class Good:\n    def __share__(self): return 1, 'two'\n"
        "class Bad:\n    def __share__(self): return []\n"
        "good, bad = Good(), Bad()");
    PyObject *good = evaluate("good");
    PyObject *shared = PyShared_Share(good);
    ASSERT_NE(shared, nullptr);
    EXPECT_TRUE(PyTuple_CheckExact(shared));
    Py_DECREF(shared);
    Py_DECREF(good);
    PyObject *bad = evaluate("bad");
    EXPECT_EQ(PyShared_Share(bad), nullptr);
    EXPECT_TRUE(PyErr_ExceptionMatches(PyExc_TypeError));
    PyErr_Clear();
    Py_DECREF(bad);
}

TEST(CApiTest, wrap_wraps_anything)
{
    Python python;
    for (const char *expression : {"None", "1", "'text'", "(1, 2)", "Box", "SharedObjectProxy([])"}) {
        PyObject *value = evaluate(expression);
        PyObject *proxy = PyShared_Wrap(value);
        ASSERT_NE(proxy, nullptr) << expression;
        EXPECT_TRUE(PySharedObjectProxy_Check(proxy)) << expression;
        EXPECT_EQ(PyShared_IsAlive(proxy), 1) << expression;
        Py_DECREF(proxy);
        Py_DECREF(value);
    }
}

TEST(CApiTest, is_alive_tells_and_refuses_what_is_no_proxy)
{
    Python python;
    PyObject *proxy = evaluate("SharedObjectProxy(Box())");
    EXPECT_EQ(PyShared_IsAlive(proxy), 1);
    PyModule_Add(PyImport_AddModule("__main__"), "proxy", Py_NewRef(proxy));
    run("revoke(proxy)");
    EXPECT_EQ(PyShared_IsAlive(proxy), 0);
    Py_DECREF(proxy);
    EXPECT_EQ(PyShared_IsAlive(Py_None), -1);
    EXPECT_TRUE(PyErr_ExceptionMatches(PyExc_TypeError));
    PyErr_Clear();
}

TEST_P(EmbedTest, objects_are_used_both_ways)
{
    Python python;
    Interpreter other(GetParam());
    run("box = Box(1)\nproxy = SharedObjectProxy(box)");
    other.borrow("proxy", "mains");
    other.lend("SharedObjectProxy(Box(2))", "theirs");
    EXPECT_EQ(other.number("mains.get()"), 1);
    EXPECT_EQ(number("theirs.get()"), 2);
    // main > other > main > other: the same objects all along.
    EXPECT_EQ(number("theirs.call(box.call, theirs.get)"), 2);
    other.run("mains.value = mains.call(Box, 3)");
    EXPECT_EQ(number("box.value.get()"), 3);
}

TEST_P(EmbedTest, an_interpreter_ends_with_proxies_alive_elsewhere)
{
    Python python;
    Interpreter third(GetParam());
    Interpreter other(GetParam());
    run("log = []\nreport = SharedObjectProxy(log.append)");
    other.borrow("report", "report");
    other.run("class Last:\n    def __del__(self): report(len(sys.modules) > 10)");
    other.lend("SharedObjectProxy(Last())", "theirs");
    third.borrow("theirs", "theirs");
    third.run("box = Box(SharedObjectProxy(Box()))");
    EXPECT_EQ(number("len(log)"), 0);
    other.end();
    EXPECT_EQ(number("log == [True]"), 1) << "destroyed once, while the interpreter was usable";
    EXPECT_EQ(number("is_alive(theirs)"), 0);
    EXPECT_EQ(third.number("is_alive(theirs)"), 0);
    run("try: theirs.__del__\n"
        "except DeadProxyError as error: assert 'Last' in str(error), error\n"
        "else: assert False");
}

TEST_P(EmbedTest, an_interpreter_that_ends_releases_what_it_held)
{
    Python python;
    Interpreter other(GetParam());
    run("box = Box()\nwatch = weakref.ref(box)\nproxy = SharedObjectProxy(box)");
    other.borrow("proxy", "mains");
    run("del box, proxy\ngc.collect()");
    EXPECT_EQ(number("watch() is not None"), 1);
    other.end();
    run("gc.collect()");
    EXPECT_EQ(number("watch() is None"), 1);
    EXPECT_EQ(cells_live(), 0);
}

TEST_P(EmbedTest, many_interpreters_come_and_go)
{
    Python python;
    run("proxy = SharedObjectProxy(Box(1))");
    for (int i = 0; i < 20; ++i) {
        Interpreter other(GetParam());
        other.borrow("proxy", "mains");
        other.lend("SharedObjectProxy(Box(mains))", "theirs");
        EXPECT_EQ(number("theirs.get().get()"), 1);
    }
    run("del theirs");
    EXPECT_EQ(cells_live(), 1);
}

}  // namespace
