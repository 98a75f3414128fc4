// SPDX-License-Identifier: PSF-2.0
// Small guards that undo themselves: references (and how an object does without), the error
// indicator, recursion, a leaf lock.

#pragma once

#include "pyshared_python.hpp"

#include <utility>

namespace pyshared {

// Owns one reference to an object of the interpreter that is attached while the guard lives.
class [[nodiscard]] Ref final {
public:
    Ref() = default;
    Ref(Ref &&other) noexcept : object_(other.release()) {}
    Ref &operator=(Ref &&other) noexcept
    {
        PyObject *old = std::exchange(object_, other.release());
        Py_XDECREF(old);
        return *this;
    }
    ~Ref() { Py_XDECREF(object_); }
    Ref(const Ref &) = delete;
    Ref &operator=(const Ref &) = delete;

    static Ref steal(PyObject *object) { return Ref(object); }
    static Ref borrow(PyObject *object) { return Ref(Py_XNewRef(object)); }

    PyObject *get() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }
    PyObject *release() { return std::exchange(object_, nullptr); }

private:
    explicit Ref(PyObject *object) : object_(object) {}

    PyObject *object_ = nullptr;
};

// Make an object immortal that the collector does not know.
// Tstate: attached to its interpreter, the only one to use it.
inline void make_immortal(PyObject *object)
{
#ifdef Py_REF_DEBUG
    // An immortal object's references are not counted, and those it had must not stay counted.
    for (Py_ssize_t count = Py_REFCNT(object); count > 0; --count) {
        _Py_DecRefTotal(_PyThreadState_GET());
    }
#endif
    _Py_SetImmortalUntracked(object);
}

// Puts the exception that is set aside and brings it back; one set meanwhile is reported as
// unraisable.
class [[nodiscard]] ErrorStash final {
public:
    ErrorStash() : saved_(PyErr_GetRaisedException()) {}
    ~ErrorStash()
    {
        if (PyErr_Occurred()) {
            PyErr_FormatUnraisable("Exception ignored while releasing shared objects");
        }
        PyErr_SetRaisedException(saved_);
    }
    ErrorStash(const ErrorStash &) = delete;
    ErrorStash &operator=(const ErrorStash &) = delete;

private:
    PyObject *saved_;
};

// A level of recursion in C.  Errors: RecursionError is set, and nothing entered, if the thread's
// stack is almost used up; `where` ends its message.
class [[nodiscard]] RecursionGuard final {
public:
    explicit RecursionGuard(const char *where)
        : entered_(_Py_EnterRecursiveCall(where) == 0)
    {
    }
    ~RecursionGuard()
    {
        if (entered_) {
            _Py_LeaveRecursiveCall();
        }
    }
    RecursionGuard(const RecursionGuard &) = delete;
    RecursionGuard &operator=(const RecursionGuard &) = delete;
    bool entered() const { return entered_; }

private:
    bool entered_;
};

// Holds a leaf mutex: never while Python can run, never across a switch.
class [[nodiscard]] LeafLock final {
public:
    explicit LeafLock(PyMutex &mutex) : mutex_(mutex)
    {
        PyMutex_LockFlags(&mutex_, _Py_LOCK_DONT_DETACH);
    }
    ~LeafLock() { PyMutex_Unlock(&mutex_); }
    LeafLock(const LeafLock &) = delete;
    LeafLock &operator=(const LeafLock &) = delete;

private:
    PyMutex &mutex_;
};

}  // namespace pyshared
