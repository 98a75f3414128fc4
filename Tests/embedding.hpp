// SPDX-License-Identifier: PSF-2.0
// What tests that embed Python have in common.

#pragma once

#include "attached.hpp"

#include "Python.h"
#include "cpython/sharedobject.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace embedding {

// Run statements, or evaluate an expression to a number, in __main__ of the attached interpreter.

inline void run(const std::string &code)
{
    EXPECT_EQ(PyRun_SimpleString(code.c_str()), 0) << code;
}

inline PyObject *evaluate(const std::string &expression)
{
    PyObject *names = PyModule_GetDict(PyImport_AddModule("__main__"));
    PyObject *value = PyRun_String(expression.c_str(), Py_eval_input, names, names);
    if (value == nullptr) {
        PyErr_Print();
        ADD_FAILURE() << expression;
    }
    return value;
}

inline long number(const std::string &expression)
{
    PyObject *value = evaluate(expression);
    long result = value == nullptr ? -1 : PyLong_AsLong(value);
    Py_XDECREF(value);
    return result;
}

inline long cells_live()
{
    return number("__import__('_sharedobjects').share_stats()['cells_live']");
}

// Bring a proxy from one interpreter to another: its token, and the proxy of a token.

inline std::string token_of(const std::string &expression)
{
    PyObject *token = evaluate("__import__('_sharedobjects').share_token(" + expression + ")");
    std::string bytes;
    if (token != nullptr) {
        bytes.assign(PyBytes_AS_STRING(token), static_cast<size_t>(PyBytes_GET_SIZE(token)));
        Py_DECREF(token);
    }
    return bytes;
}

inline void bind_token(const char *name, const std::string &token)
{
    PyObject *bytes = PyBytes_FromStringAndSize(token.data(), static_cast<Py_ssize_t>(token.size()));
    PyObject *proxy = PyObject_CallMethod(reinterpret_cast<PyObject *>(&PySharedObjectProxy_Type),
                                          "from_token", "N", bytes);
    if (proxy == nullptr) {
        PyErr_Print();
        ADD_FAILURE() << "no proxy for " << name;
        return;
    }
    PyModule_Add(PyImport_AddModule("__main__"), name, proxy);
}

inline size_t thread_states(PyInterpreterState *interp)
{
    size_t count = 0;
    for (PyThreadState *tstate = PyInterpreterState_ThreadHead(interp); tstate != nullptr;
         tstate = PyThreadState_Next(tstate)) {
        ++count;
    }
    return count;
}

// A runtime from Py_Initialize to Py_Finalize; the constructor's thread is attached to main.
class Python final {
public:
    Python()
    {
        PyConfig config;
        PyConfig_InitPythonConfig(&config);
        PyConfig_SetBytesString(&config, &config.program_name, PYSHARED_PYTHON);
        PyStatus status = Py_InitializeFromConfig(&config);
        PyConfig_Clear(&config);
        if (PyStatus_Exception(status)) {
            Py_ExitStatusException(status);
        }
        main_ = PyThreadState_Get();
        run("from _sharedobjects import *\nimport gc, sys, threading, time, weakref\n" + kBox);
    }
    ~Python()
    {
        if (Py_IsInitialized()) {
            finalize();
        }
    }
    Python(const Python &) = delete;
    Python &operator=(const Python &) = delete;

    void finalize() { EXPECT_EQ(Py_FinalizeEx(), 0); }

    PyThreadState *main() const { return main_; }

    static inline const std::string kBox = R"(
class Box:
    def __init__(self, value=None): self.value = value
    def get(self): return self.value
    def call(self, function, *args): return function(*args)
)";

private:
    PyThreadState *main_;
};

// Detached, so that other threads can run.
class [[nodiscard]] Detached final {
public:
    Detached() : tstate_(PyEval_SaveThread()) {}
    ~Detached() { PyEval_RestoreThread(tstate_); }
    Detached(const Detached &) = delete;
    Detached &operator=(const Detached &) = delete;

private:
    PyThreadState *tstate_;
};

enum class Gil { kOwn, kShared };

// Another interpreter, with the thread state that made it.
class Interpreter final {
public:
    explicit Interpreter(Gil gil)
    {
        PyInterpreterConfig config{};
        config.allow_threads = 1;
        config.check_multi_interp_extensions = 1;
        config.gil = gil == Gil::kOwn ? PyInterpreterConfig_OWN_GIL
                                      : PyInterpreterConfig_SHARED_GIL;
        config.use_main_obmalloc = gil == Gil::kShared;
        PyThreadState *before = PyThreadState_Get();
        PyStatus status = Py_NewInterpreterFromConfig(&tstate_, &config);
        if (PyStatus_Exception(status)) {
            Py_ExitStatusException(status);
        }
        embedding::run("from _sharedobjects import *\nimport gc, sys\n" + Python::kBox);
        PyThreadState_Swap(before);
    }
    ~Interpreter()
    {
        if (tstate_ != nullptr) {
            end();
        }
    }
    Interpreter(const Interpreter &) = delete;
    Interpreter &operator=(const Interpreter &) = delete;

    void end()
    {
        PyThreadState *before = PyThreadState_Swap(tstate_);
        Py_EndInterpreter(tstate_);
        PyThreadState_Swap(before);
        tstate_ = nullptr;
    }

    // Leave it to Py_Finalize.
    void abandon() { tstate_ = nullptr; }

    PyThreadState *tstate() const { return tstate_; }
    PyInterpreterState *interp() const { return PyThreadState_GetInterpreter(tstate_); }

    void run(const std::string &code) const
    {
        Attached here(tstate_);
        embedding::run(code);
    }
    long number(const std::string &expression) const
    {
        Attached here(tstate_);
        return embedding::number(expression);
    }
    // Evaluate to a proxy here, and give the interpreter attached now one of the same object.
    void lend(const std::string &expression, const char *name) const
    {
        std::string token;
        {
            Attached here(tstate_);
            embedding::run("lent = " + expression);
            token = token_of("lent");
        }
        bind_token(name, token);
        run("del lent");
    }
    // The other way round.
    void borrow(const std::string &expression, const char *name) const
    {
        std::string token = token_of(expression);
        Attached here(tstate_);
        bind_token(name, token);
    }

private:
    PyThreadState *tstate_ = nullptr;
};

}  // namespace embedding
