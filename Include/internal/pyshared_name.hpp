// SPDX-License-Identifier: PSF-2.0
// Attribute names that cross again and again, and method calls that cross once.
//
// A name in the code of one interpreter becomes an interned string of another one the first time
// it is used there; a SharedName, one per interpreter and name, remembers that string's address,
// so that the next use crosses as a pointer and finds the owner's type caches warm.
//
// The names of a call's keywords, a tuple, cross in the same way.
//
// A SharedName is callable too: what the bytecode for `proxy.method(...)` loads in place of the
// method.  Called with the proxy and the arguments, it looks the method up and calls it in one
// entry.
//
// Invariants
// * A SharedName is immortal until its interpreter is cleared: every thread there uses it.
// * What is remembered of a tuple are plain strings only: others are not interned, and cross as proxies.
// * The remembered string is immortal in its interpreter, and a tuple is kept by `keyword_names` of
//   its record; the record's serial is remembered with it; it is used only inside that
//   interpreter's gate.
// * `known` is written by whoever is inside the owner and read by any thread of the caller's
//   interpreter: a sequence lock of one word, the serial.

#pragma once

#include "pyshared_operation.hpp"

#include <atomic>
#include <cstdint>

namespace pyshared {

struct SharedName {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *text;                 // an interned string, or a tuple of strings; one reference
    SharedName *next_in_bucket;     // the local lock of its interpreter
    struct {
        std::atomic<uint64_t> serial;       // of the owner record; 0 while `text` changes
        std::atomic<PyObject *> text;       // the owner's
    } known;
};

inline size_t NameTableTraits::hash(const SharedName &name)
{
    return hash(name.text);
}

inline SharedName *NameTableTraits::next(const SharedName &name)
{
    return name.next_in_bucket;
}

inline void NameTableTraits::set_next(SharedName &name, SharedName *next)
{
    name.next_in_bucket = next;
}

// A name as an operation's parameter.
struct Name {
    PyObject *text;                 // where the function runs, a string of that interpreter
    SharedName *shared = nullptr;   // the caller's, if there is one
    PyObject *there = nullptr;      // the owner's string, if it is known
};

// The SharedName of an interned string, or of a tuple of names; null if it has none.
// Tstate: attached to `here`.  Refs: text borrowed, result borrowed.  Errors: none.
SharedName *shared_name(Owner &here, PyObject *text);

// The name, ready to cross to the owner of the proxy's object.
// Tstate: attached to the caller; the proxy is in use, or released.  Refs: borrowed.
Name name_for(PyObject *proxy, PyObject *text);

// The names of a call's keywords.  One of a str subclass crosses as the plain string that it equals: the
// callee takes strings only, and the original would arrive as a proxy.
class KeywordNames final {
public:
    // Tstate: as name_for().  Refs: borrowed; null if there are none.
    // Errors: false with MemoryError.
    [[nodiscard]] bool prepare(PyObject *proxy, PyObject *names)
    {
        if (names == nullptr) {
            return true;
        }
        if (!are_plain(names)) [[unlikely]] {
            plain_ = Ref::steal(make_plain(names));
            names = plain_.get();
        }
        if (names != nullptr) {
            name_ = name_for(proxy, names);
        }
        return names != nullptr;
    }

    const Name &get() const { return name_; }

private:
    static bool are_plain(PyObject *names);
    static PyObject *make_plain(PyObject *names);

    Name name_{};
    Ref plain_;
};

// Drop the names of an interpreter that ends.
// Tstate: attached to it.
void forget_names(Owner &here);

template <> struct Argument<Name> {
    static Name prepare(PyObject *proxy, Name name) { return name_for(proxy, name.text); }
    static bool pack(Parcel &parcel, const Name &name)
    {
        return name.there != nullptr || parcel.pack(name.text) == 0;
    }
    bool unwrap(const Name &original)
    {
        text = original.text;
        return true;
    }
    bool unpack(Parcel &parcel, const Name &original)
    {
        text = original.there;
        return text != nullptr || receive(parcel, original);
    }
    Name get() const { return Name{text}; }

    PyObject *text = nullptr;       // of the interpreter that this is in; kept by others, or below

private:
    // Interns what is new, for good, and tells the caller's SharedName.
    bool receive(Parcel &parcel, const Name &original);

    Ref received_;
};

}  // namespace pyshared
