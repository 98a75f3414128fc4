// SPDX-License-Identifier: PSF-2.0
// Births: when each cell was made, and by which line of code.
//
// Threads:  anybody may ask at any time, and is given a copy.
// Locks:    `births.mutex`, a leaf.
// Shutdown: freed with the pool.
// See:      Doc/internals/lifecycle.md; Lib/test/test_sharing/test_census.py.

#include "pyshared_births.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_fork.hpp"
#include "pyshared_guards.hpp"

#include "pycore_interpframe.h"
#include "pycore_time.h"

#include <cstdio>
#include <cstring>
#include <utility>

namespace pyshared {

constinit std::atomic<bool> births_are_remembered{false};

namespace {

struct Birth {
    uint64_t generation;    // of the cell, when it was made
    PyTime_t when;
    char *place;            // raw memory, or null
};

struct Births {
    PyMutex mutex{};
    Birth *by_index = nullptr;      // mutex; raw memory
    uint32_t capacity = 0;          // mutex
};

constinit Births births;

PyTime_t now()
{
    PyTime_t time;
    return PyTime_MonotonicRaw(&time) < 0 ? 0 : time;
}

bool reserve_births_lock_held(uint32_t index)
{
    if (index < births.capacity) {
        return true;
    }
    uint32_t capacity = cell_pool().limit();
    auto *larger = static_cast<Birth *>(
        PyMem_RawRealloc(births.by_index, capacity * sizeof(Birth)));
    if (larger == nullptr) {
        return false;
    }
    std::memset(larger + births.capacity, 0, (capacity - births.capacity) * sizeof(Birth));
    births.by_index = larger;
    births.capacity = capacity;
    return true;
}

// Code objects of any interpreter are read here, by the thread that is suspended in them, so
// nothing of them may be counted, cached or freed: their names are copied as they are in memory.
class TextBuilder final {
public:
    void add(const char *text)
    {
        while (*text != '\0') {
            add(*text++);
        }
    }
    void add(PyObject *text)
    {
        for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); ++i) {
            Py_UCS4 character = PyUnicode_READ_CHAR(text, i);
            add(character < 128 ? static_cast<char>(character) : '?');
        }
    }
    // Raw memory, or null.
    char *finish() const
    {
        auto *copy = static_cast<char *>(PyMem_RawMalloc(size_ + 1));
        if (copy != nullptr) {
            std::memcpy(copy, buffer_, size_);
            copy[size_] = '\0';
        }
        return copy;
    }

private:
    void add(char character)
    {
        if (size_ < sizeof(buffer_)) {
            buffer_[size_++] = character;
        }
    }

    char buffer_[600];
    size_t size_ = 0;
};

bool ends_with(PyObject *text, const char *end)
{
    Py_ssize_t length = static_cast<Py_ssize_t>(std::strlen(end));
    Py_ssize_t start = PyUnicode_GET_LENGTH(text) - length;
    for (Py_ssize_t i = 0; start >= 0 && i < length; ++i) {
        if (PyUnicode_READ_CHAR(text, start + i) != static_cast<unsigned char>(end[i])) {
            return false;
        }
    }
    return start >= 0;
}

// The innermost frame of Python code, that of our own module apart; or null.
_PyInterpreterFrame *innermost_frame(const PyThreadState *tstate)
{
    _PyInterpreterFrame *frame = _PyFrame_GetFirstComplete(tstate->current_frame);
    while (frame != nullptr
           && ends_with(_PyFrame_GetCode(frame)->co_filename, "concurrent/interpreters/_sharing.py")) {
        frame = _PyFrame_GetFirstComplete(frame->previous);
    }
    return frame;
}

struct Place {
    _PyInterpreterFrame *frame;
    const PyInterpreterState *interp;
};

bool find_place(PyThreadState *tstate, void *context)
{
    _PyInterpreterFrame *frame = innermost_frame(tstate);
    if (frame != nullptr) {
        *static_cast<Place *>(context) = Place{frame, tstate->interp};
    }
    return frame != nullptr;
}

char *current_place(const PyInterpreterState *owner)
{
    Place place{};
    visit_thread_states(find_place, &place);
    if (place.frame == nullptr) {
        return nullptr;
    }
    PyCodeObject *code = _PyFrame_GetCode(place.frame);
    char number[32];
    TextBuilder text;
    text.add(code->co_filename);
    std::snprintf(number, sizeof(number), ":%d", PyUnstable_InterpreterFrame_GetLine(place.frame));
    text.add(number);
    text.add(" in ");
    text.add(code->co_qualname);
    if (place.interp != owner) {
        std::snprintf(number, sizeof(number), ", interpreter %lld",
                      static_cast<long long>(place.interp->id));
        text.add(number);
    }
    return text.finish();
}

}  // namespace

KnownBirth::KnownBirth(const SharedCell &cell)
{
    uint32_t index = index_of(cell);
    LeafLock lock(births.mutex);
    if (index >= births.capacity) {
        return;
    }
    const Birth &birth = births.by_index[index];
    if (birth.generation == cell.load(std::memory_order_relaxed).generation()) {
        when_ = birth.when;
        place_ = birth.place == nullptr ? nullptr : _PyMem_RawStrdup(birth.place);
    }
}

PyObject *KnownBirth::age() const
{
    return when_ == 0 ? Py_NewRef(Py_None)
                      : PyFloat_FromDouble(PyTime_AsSecondsDouble(now() - when_));
}

void remember_birth(const SharedCell &cell)
{
    char *place = current_place(cell.owner->interp);
    uint32_t index = index_of(cell);
    {
        LeafLock lock(births.mutex);
        if (reserve_births_lock_held(index)) {
            Birth &birth = births.by_index[index];
            birth.generation = cell.load(std::memory_order_relaxed).generation();
            birth.when = now();
            std::swap(birth.place, place);
        }
    }
    PyMem_RawFree(place);
}

PyObject *describe_birth(const SharedCell &cell)
{
    KnownBirth birth(cell);
    return birth.place() == nullptr ? PyUnicode_FromString("")
                                    : PyUnicode_FromFormat(", shared at %s", birth.place());
}

void clear_births()
{
    for (uint32_t i = 0; i < births.capacity; ++i) {
        PyMem_RawFree(births.by_index[i].place);
    }
    PyMem_RawFree(std::exchange(births.by_index, nullptr));
    births.capacity = 0;
    births_are_remembered.store(false, std::memory_order_relaxed);
}

void reset_births_lock()
{
    births.mutex = {};
}

}  // namespace pyshared
