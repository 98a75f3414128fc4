// SPDX-License-Identifier: PSF-2.0
// What entering another interpreter costs a C program: the floor of all sharing.
//
// Uses nothing that is not in Python.h, so that it can be linked with the pristine base as
// well; Tools/bench/run does both and shows them side by side.
//
// The process has two interpreters of its own, each with a GIL of its own: main, which is
// this program, and `other`.  Unless a name says otherwise a second thread is alive, idle:
// with a single one glibc leaves out atomic instructions, which no real program gets.

#include <Python.h>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <semaphore>
#include <thread>

namespace {

// The thread states this program runs on; main's is attached between benchmarks.
struct World {
    PyThreadState *here;                // main's
    PyThreadState *there;               // other's, on the same thread
    PyInterpreterState *homes[2];       // where the two threads of swap_pair_contended live
    PyObject *counter_here;             // a Counter of main's
    PyObject *counter_there;            // a Counter of other's
    PyObject *inc_here, *inc_there;     // the string "inc", in both
};

World world;

constexpr const char kCounter[] =
    "class Counter:\n"
    "    def __init__(self): self.n = 0\n"
    "    def inc(self, by): self.n = by; return self.n\n";

// A thread that does nothing but exist.
class IdleThread final {
public:
    ~IdleThread() { stop_.release(); thread_.join(); }
private:
    std::binary_semaphore stop_{0};
    std::thread thread_{[this] { stop_.acquire(); }};
};

std::optional<IdleThread> second_thread;

void start_second_thread(const benchmark::State &)
{
    if (!second_thread) {
        second_thread.emplace();
    }
}

[[noreturn]] void die(const char *what)
{
    std::fprintf(stderr, "capi_bench: %s\n", what);
    if (PyErr_Occurred()) {
        PyErr_Print();
    }
    std::exit(1);
}

// ---- The benchmarks ---------------------------------------------------------------------

// Attach another interpreter's thread state, and come back.
void swap_pair(benchmark::State &state)
{
    for (auto _ : state) {
        PyThreadState_Swap(world.there);
        PyThreadState_Swap(world.here);
    }
}

// Two threads of two interpreters enter a third one.  The time is that of one pair, whoever
// made it: half as much as alone would be perfect scaling, and is impossible.
void swap_pair_contended(benchmark::State &state)
{
    PyThreadState *saved = state.thread_index() == 0 ? PyEval_SaveThread() : nullptr;
    PyThreadState *home = PyThreadState_New(world.homes[state.thread_index()]);
    PyThreadState *there = PyThreadState_New(world.there->interp);
    PyThreadState_Swap(home);
    for (auto _ : state) {
        PyThreadState_Swap(there);
        PyThreadState_Swap(home);
    }
    for (PyThreadState *mine : {there, home}) {
        PyThreadState_Swap(mine);
        PyThreadState_Clear(mine);
        PyThreadState_DeleteCurrent();
    }
    if (saved) {
        PyEval_RestoreThread(saved);
    }
}

void call(PyObject *counter, PyObject *inc, PyObject *one)
{
    PyObject *args[] = {counter, one};
    PyObject *result = PyObject_VectorcallMethod(inc, args, 2, nullptr);
    if (result == nullptr) {
        die("counter.inc(1) failed");
    }
    Py_DECREF(result);
}

// counter.inc(1), here.
void method_call(benchmark::State &state)
{
    PyObject *one = PyLong_FromLong(1);
    for (auto _ : state) {
        call(world.counter_here, world.inc_here, one);
    }
    Py_DECREF(one);
}

// Enter, counter.inc(1), come back: what a proxy's method call cannot beat.
void method_call_across(benchmark::State &state)
{
    PyObject *one = PyLong_FromLong(1);         // immortal, so the other may use it
    for (auto _ : state) {
        PyThreadState_Swap(world.there);
        call(world.counter_there, world.inc_there, one);
        PyThreadState_Swap(world.here);
    }
    Py_DECREF(one);
}

// Make a thread state and destroy it.
void thread_state(benchmark::State &state)
{
    for (auto _ : state) {
        PyThreadState *fresh = PyThreadState_New(world.here->interp);
        PyThreadState_Clear(fresh);
        PyThreadState_Delete(fresh);
    }
}

// Enter through a thread state made for it: what to do if one keeps none.
void swap_pair_fresh(benchmark::State &state)
{
    for (auto _ : state) {
        PyThreadState *fresh = PyThreadState_New(world.there->interp);
        PyThreadState_Swap(fresh);
        PyThreadState_Clear(fresh);
        PyThreadState_Swap(world.here);
        PyThreadState_Delete(fresh);
    }
}

// The names are those of the table.  The first one must run first: it is alone.
BENCHMARK(swap_pair)->Name("swap pair, one thread");
BENCHMARK(swap_pair)->Name("swap pair")->Setup(start_second_thread);
BENCHMARK(swap_pair_contended)->Name("swap pair, contended")
    ->Setup(start_second_thread)->Threads(2)->UseRealTime();
BENCHMARK(swap_pair_fresh)->Name("swap pair, new thread state")->Setup(start_second_thread);
BENCHMARK(thread_state)->Name("new thread state")->Setup(start_second_thread);
BENCHMARK(method_call)->Name("method call from C")->Setup(start_second_thread);
BENCHMARK(method_call_across)->Name("swap, method call, swap")->Setup(start_second_thread);

// ---- The world --------------------------------------------------------------------------

// Make a Counter and the name of its method, in the interpreter that is attached.
void make_counter(PyObject *&counter, PyObject *&inc)
{
    PyObject *globals = PyDict_New();
    if (globals == nullptr
        || PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) < 0) {
        die("cannot make a namespace");
    }
    PyObject *done = PyRun_String(kCounter, Py_file_input, globals, globals);
    PyObject *type = done ? PyDict_GetItemString(globals, "Counter") : nullptr;
    counter = type ? PyObject_CallNoArgs(type) : nullptr;
    inc = PyUnicode_InternFromString("inc");
    if (counter == nullptr || inc == nullptr) {
        die("cannot make a Counter");
    }
    Py_DECREF(done);
    Py_DECREF(globals);
}

void start_python()
{
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, PYSHARED_PYTHON);
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
}

// Make an interpreter with a GIL of its own; return to main.
PyThreadState *new_interpreter()
{
    PyInterpreterConfig config = {};
    config.allow_threads = 1;
    config.check_multi_interp_extensions = 1;
    config.gil = PyInterpreterConfig_OWN_GIL;
    PyThreadState *made = nullptr;
    PyStatus status = Py_NewInterpreterFromConfig(&made, &config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    PyThreadState_Swap(world.here);
    return made;
}

}  // namespace

int main(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    start_python();
    world.here = PyThreadState_Get();
    world.there = new_interpreter();
    PyThreadState *homes[] = {new_interpreter(), new_interpreter()};
    for (int i = 0; i < 2; i++) {
        world.homes[i] = homes[i]->interp;
    }
    make_counter(world.counter_here, world.inc_here);
    PyThreadState_Swap(world.there);
    make_counter(world.counter_there, world.inc_there);
    PyThreadState_Swap(world.here);

    benchmark::RunSpecifiedBenchmarks();

    second_thread.reset();
    Py_DECREF(world.counter_here);
    Py_DECREF(world.inc_here);
    PyThreadState_Swap(world.there);
    Py_DECREF(world.counter_there);
    Py_DECREF(world.inc_there);
    for (PyThreadState *ending : {world.there, homes[0], homes[1]}) {
        PyThreadState_Swap(ending);
        Py_EndInterpreter(ending);
    }
    PyThreadState_Swap(world.here);
    return Py_FinalizeEx() < 0;
}
