// SPDX-License-Identifier: PSF-2.0
// The census of shared objects.
//
// Threads:  anybody may count and list at any time; what is listed is held by a handle each.
// Locks:    none of its own; no lock is held while an owner is entered.
// Shutdown: shown before the interpreters are ended at exit.
// See:      Doc/internals/lifecycle.md; Lib/test/test_sharing/test_census.py.

#include "pyshared_census.hpp"

#include "pyshared_births.hpp"
#include "pyshared_entry.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_transit.hpp"

#include "pycore_initconfig.h"

#include <cstring>
#include <utility>

namespace pyshared {
namespace {

constinit std::atomic<bool> show_at_exit{false};

// Listing

struct Sighting {
    SharedCell *cell;       // one handle
    char *type_name;        // raw memory, or null
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

    // Add what is dead, before anything else: what dies meanwhile is left out.
    // Tstate: any.  Errors: false if memory is out.
    bool collect_dead()
    {
        bool complete = collect([](const SharedCell &cell) { return cell.load().dead(); });
        for (size_t i = 0; i < count_; ++i) {
            items_[i].type_name = epitaph_of(*items_[i].cell);
        }
        return complete;
    }

    // Add what the owner has, with its types.
    // Tstate: attached to the owner.  Errors: false if memory is out.
    bool collect_of(Owner &owner)
    {
        size_t first = count_;
        bool complete = collect([&](const SharedCell &cell) {
            return peek_owner(cell) == &owner && !cell.load().dead();
        });
        for (size_t i = first; i < count_; ++i) {
            LocalLock lock(owner);
            items_[i].type_name = type_name_of(*items_[i].cell);
        }
        return complete;
    }

    Sighting *begin() const { return items_; }
    Sighting *end() const { return items_ + count_; }

private:
    template <class Wanted> bool collect(Wanted wanted)
    {
        for (uint32_t index = 0; index < cell_pool().limit(); ++index) {
            SharedCell &cell = *cell_pool().at(index);
            uint64_t generation = cell.load().generation();
            if (count_ == capacity_ && !grow()) {
                return false;
            }
            if (wanted(cell) && try_take_handle(cell, generation)) {
                items_[count_++] = Sighting{&cell, nullptr};
            }
        }
        return true;
    }

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

// Errors: false if memory is out.
bool collect_all(Sightings &sightings)
{
    bool complete = sightings.collect_dead();
    uint64_t serial = 0;
    while (Owner *owner = complete ? next_owner(serial) : nullptr) {
        serial = owner->serial;
        InterpreterEntry entry;
        if (owner == owner_of(_PyThreadState_GET())
            || entry.enter(*owner) == InterpreterEntry::Outcome::kEntered) {
            complete = sightings.collect_of(*owner);
        }
        if (entry.entered()) {
            entry.leave();
        }
        release(*owner);
    }
    return complete;
}

PyObject *text_or_none(const char *text)
{
    return text == nullptr ? Py_NewRef(Py_None) : PyUnicode_DecodeUTF8(text, std::strlen(text),
                                                                       "replace");
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
    Ref age = Ref::steal(birth.age());
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

PyObject *list_shared_objects()
{
    Sightings sightings;
    if (!collect_all(sightings)) {
        return PyErr_NoMemory();
    }
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
