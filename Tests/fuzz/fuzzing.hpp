// SPDX-License-Identifier: PSF-2.0
// What the fuzz targets have in common: a runtime that lives as long as the process, and a check
// that ends it with the Python error that is set.

#pragma once

#include "../attached.hpp"

#include "Python.h"
#include "cpython/sharedobject.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace fuzzing {

using embedding::Attached;

[[noreturn]] inline void fail(const char *what)
{
    std::fprintf(stderr, "fuzz: %s\n", what);
    if (PyErr_Occurred()) {
        PyErr_Print();
    }
    std::abort();
}

inline void check(bool condition, const char *what)
{
    if (!condition) [[unlikely]] {
        fail(what);
    }
}

// Owns a reference of the interpreter that is attached.
class [[nodiscard]] Ref final {
public:
    Ref() = default;
    explicit Ref(PyObject *object) : object_(object) {}
    Ref(Ref &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref &operator=(Ref &&other) noexcept
    {
        Py_XDECREF(std::exchange(object_, std::exchange(other.object_, nullptr)));
        return *this;
    }
    ~Ref() { Py_XDECREF(object_); }
    Ref(const Ref &) = delete;
    Ref &operator=(const Ref &) = delete;

    PyObject *get() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }
    PyObject *release() { return std::exchange(object_, nullptr); }

private:
    PyObject *object_ = nullptr;
};

// The same, and there is one.
inline Ref made(PyObject *object)
{
    check(object != nullptr, "a call that must not fail failed");
    return Ref(object);
}

inline void succeed(PyObject *result)
{
    Ref nothing = made(result);
}

// Initialize Python for the rest of the process.
inline void start_python()
{
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    PyConfig_SetBytesString(&config, &config.program_name, PYSHARED_PYTHON);
    config.install_signal_handlers = 0;     // libFuzzer has its own
    PyStatus status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
}

// Make an interpreter with a GIL of its own; leaves this thread attached to what it was.
inline PyThreadState *make_interpreter()
{
    PyInterpreterConfig config{};
    config.allow_threads = 1;
    config.check_multi_interp_extensions = 1;
    config.gil = PyInterpreterConfig_OWN_GIL;
    PyThreadState *before = PyThreadState_Get();
    PyThreadState *made = nullptr;
    PyStatus status = Py_NewInterpreterFromConfig(&made, &config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
    PyThreadState_Swap(before);
    return made;
}

inline Ref module_attribute(const char *module, const char *name)
{
    Ref found = made(PyImport_ImportModule(module));
    return made(PyObject_GetAttrString(found.get(), name));
}

// Define what the code defines in __main__ of the attached interpreter.
inline void define(const char *code)
{
    check(PyRun_SimpleString(code) == 0, "the target's own code failed");
}

inline Ref defined(const char *name) { return module_attribute("__main__", name); }

// Is the exception that is set of that class?  Clears it if so.
inline bool cleared(PyObject *cls)
{
    if (!PyErr_ExceptionMatches(cls)) {
        return false;
    }
    PyErr_Clear();
    return true;
}

}  // namespace fuzzing
