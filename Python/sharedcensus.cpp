// SPDX-License-Identifier: PSF-2.0
// The census of shared objects.
//
// Threads:  anybody may count and list at any time; what is listed is held by a handle each.
// Locks:    `births.mutex`, a leaf.  It is free while an owner is entered.
// Shutdown: shown before the interpreters are ended at exit, freed with the pool.
// See:      Doc/internals/lifecycle.md; Lib/test/test_sharing/test_census.py.

#include "pyshared_census.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_fork.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_transit.hpp"

#include "pycore_interpframe.h"
#include "pycore_initconfig.h"
#include "pycore_time.h"

#include <cstdio>
#include <cstring>
#include <utility>

namespace pyshared {

constinit std::atomic<bool> births_are_remembered{false};

namespace {

constinit std::atomic<bool> show_at_exit{false};

// Births

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

// What is known of a cell's birth: a copy.
class KnownBirth final {
public:
    explicit KnownBirth(const SharedCell &cell)
    {
        LeafLock lock(births.mutex);
        if (cell.index >= births.capacity) {
            return;
        }
        const Birth &birth = births.by_index[cell.index];
        if (birth.generation == cell.load(std::memory_order_relaxed).generation()) {
            when_ = birth.when;
            place_ = birth.place == nullptr ? nullptr : _PyMem_RawStrdup(birth.place);
        }
    }
    ~KnownBirth() { PyMem_RawFree(place_); }
    KnownBirth(const KnownBirth &) = delete;
    KnownBirth &operator=(const KnownBirth &) = delete;

    PyTime_t when() const { return when_; }         // 0: not known
    const char *place() const { return place_; }    // null: not known

private:
    PyTime_t when_ = 0;
    char *place_ = nullptr;
};

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

// Listing

struct Sighting {
    SharedCell *cell;       // one handle
    char *type_name;        // raw memory, or null
    bool looked_at;
};

// The cells that somebody holds, each kept by a handle until the list goes.
class Sightings final {
public:
    Sightings() = default;
    ~Sightings()
    {
        for (size_t i = 0; i < count_; ++i) {
            PyMem_RawFree(items_[i].type_name);
            drop_handle(*items_[i].cell);
        }
        PyMem_RawFree(items_);
    }
    Sightings(const Sightings &) = delete;
    Sightings &operator=(const Sightings &) = delete;

    // Errors: false if memory is out.
    bool collect()
    {
        for (uint32_t index = 0; index < cell_pool().limit(); ++index) {
            SharedCell &cell = *cell_pool().at(index);
            if (count_ == capacity_ && !grow()) {
                return false;
            }
            if (try_take_handle(cell, cell.load().generation())) {
                items_[count_++] = Sighting{&cell, nullptr, false};
            }
        }
        return true;
    }

    Sighting *begin() const { return items_; }
    Sighting *end() const { return items_ + count_; }

private:
    bool grow()
    {
        size_t capacity = capacity_ == 0 ? 64 : 2 * capacity_;
        void *larger = PyMem_RawRealloc(items_, capacity * sizeof(Sighting));
        if (larger == nullptr) {
            return false;
        }
        items_ = static_cast<Sighting *>(larger);
        capacity_ = capacity;
        return true;
    }

    Sighting *items_ = nullptr;
    size_t count_ = 0;
    size_t capacity_ = 0;
};

// Note the types of all that this owner has in the list.
// Tstate: attached to the owner.
void name_types(Owner &owner, Sightings &sightings)
{
    for (Sighting &sighting : sightings) {
        if (sighting.cell->owner == &owner) {
            LocalLock lock(owner);
            sighting.type_name = type_name_of(*sighting.cell);
        }
    }
}

void name_all_types(Sightings &sightings)
{
    const Owner *here = owner_of(_PyThreadState_GET());
    for (Sighting &first : sightings) {
        Owner &owner = *first.cell->owner;
        if (first.looked_at) {
            continue;
        }
        for (Sighting &other : sightings) {
            other.looked_at |= other.cell->owner == &owner;
        }
        if (&owner == here) {
            name_types(owner, sightings);
            continue;
        }
        InterpreterEntry entry;
        if (entry.enter(owner) == InterpreterEntry::Outcome::kEntered) {
            name_types(owner, sightings);
        }
    }
}

PyObject *text_or_none(const char *text)
{
    return text == nullptr ? Py_NewRef(Py_None) : PyUnicode_DecodeUTF8(text, std::strlen(text),
                                                                       "replace");
}

PyObject *age_of(const KnownBirth &birth)
{
    return birth.when() == 0 ? Py_NewRef(Py_None)
                             : PyFloat_FromDouble(PyTime_AsSecondsDouble(now() - birth.when()));
}

// A list's row; the handle of the list is not counted.
PyObject *describe(const Sighting &sighting)
{
    const SharedCell &cell = *sighting.cell;
    CellWord word = cell.load();
    bool alive = !word.dead()
                 && (cell.owner->gate.load(std::memory_order_relaxed) & kGateClosing) == 0;
    Ref token = Ref::steal(make_token(cell));
    Ref type = Ref::steal(text_or_none(sighting.type_name));
    Ref scope = cell.scope == nullptr ? Ref::borrow(Py_None)
                                      : Ref::steal(PyLong_FromUnsignedLongLong(cell.scope->number()));
    KnownBirth birth(cell);
    Ref age = Ref::steal(age_of(birth));
    Ref place = Ref::steal(text_or_none(birth.place()));
    if (!token || !type || !scope || !age || !place) {
        return nullptr;
    }
    return Py_BuildValue("LOOKOOOO", static_cast<long long>(cell.owner->interp_id), token.get(),
                         type.get(), static_cast<unsigned long long>(word.handles() - 1),
                         scope.get(), age.get(), place.get(), alive ? Py_True : Py_False);
}

void has_releases(Owner &owner, void *found)
{
    SharedCell *head = owner.release_queue.load(std::memory_order_relaxed);
    if (head != nullptr && head != closed_queue()) {
        *static_cast<bool *>(found) = true;
    }
}

}  // namespace

void configure_census(const PyInterpreterState *main)
{
    const PyConfig *config = _PyInterpreterState_GetConfig(const_cast<PyInterpreterState *>(main));
    bool show = _Py_get_xoption(&config->xoptions, L"showshared") != nullptr
                || _Py_GetEnv(config->use_environment, "PYTHONSHOWSHARED") != nullptr;
    show_at_exit.store(show, std::memory_order_relaxed);
    births_are_remembered.store(show || config->dev_mode, std::memory_order_relaxed);
}

void reset_census_lock()
{
    births.mutex = {};
}

void remember_birth(const SharedCell &cell)
{
    char *place = current_place(cell.owner->interp);
    {
        LeafLock lock(births.mutex);
        if (reserve_births_lock_held(cell.index)) {
            Birth &birth = births.by_index[cell.index];
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

PyObject *list_shared_objects()
{
    Sightings sightings;
    if (!sightings.collect()) {
        return PyErr_NoMemory();
    }
    name_all_types(sightings);
    Ref list = Ref::steal(PyList_New(0));
    for (const Sighting &sighting : sightings) {
        Ref row = Ref::steal(list ? describe(sighting) : nullptr);
        if (!row || PyList_Append(list.get(), row.get()) < 0) {
            return nullptr;
        }
    }
    return list.release();
}

uint64_t count_pending_releases()
{
    bool any = false;
    for_each_owner(has_releases, &any);
    uint64_t count = 0;
    for (uint32_t index = 0; any && index < cell_pool().limit(); ++index) {
        CellWord word = cell_pool().at(index)->load(std::memory_order_relaxed);
        count += word.live() && word.queued();
    }
    return count;
}

void clear_census()
{
    for (uint32_t i = 0; i < births.capacity; ++i) {
        PyMem_RawFree(births.by_index[i].place);
    }
    PyMem_RawFree(std::exchange(births.by_index, nullptr));
    births.capacity = 0;
    births_are_remembered.store(false, std::memory_order_relaxed);
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

void _PyShared_ShowShared(void)
{
    if (!show_at_exit.load(std::memory_order_relaxed) || cell_pool().stats().live == 0) {
        return;
    }
    ErrorStash stash;
    Ref module = Ref::steal(PyImport_ImportModule("concurrent.interpreters._sharing"));
    if (module) {
        Ref done = Ref::steal(PyObject_CallMethod(module.get(), "_show_shared_objects", nullptr));
    }
}

}  // extern "C"
