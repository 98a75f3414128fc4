// SPDX-License-Identifier: PSF-2.0
// Values on their way from one interpreter to another.
//
// A parcel is packed while attached to the sender and unpacked while attached to the receiver.  It
// is the one place that knows the chain by which values cross (Doc/sharing.md, "What crosses, and how").
//
// What a packed value refers to, and who keeps that alive:
//
// * immortal objects of the runtime      nobody need
// * numbers                              in the parcel itself
// * str, bytes and large ints            read in place in the sender's object and copied once, by
//                                        the receiver.  With Lifetime::kOutlives the sender's
//                                        caller keeps the objects (arguments of a call); with
//                                        Lifetime::kMayEnd small ones are copied into the parcel
//                                        and large ones are kept by it, until give_back().
// * cells                                one handle each, the parcel's until it is unpacked
// * registered types                     their _PyXIData_t, kept until give_back()

#pragma once

#include "pyshared_guards.hpp"
#include "pyshared_owner.hpp"

#include "pycore_long.h"

#include <cstddef>
#include <cstdint>

namespace pyshared {

class Parcel final {
public:
    enum class Lifetime : uint8_t {
        kOutlives,      // what is packed stays alive until the parcel is unpacked
        kMayEnd,        // it may be gone as soon as it is packed
    };

    // New cells are made for `sender`, in `scope` (null: none); both outlive the parcel.
    Parcel(Owner &sender, Scope *scope, Lifetime lifetime)
        : sender_(sender), scope_(scope), lifetime_(lifetime)
    {
    }
    // What was not unpacked is dropped.
    // Tstate: any, if keeps_anything() is false; else attached to the sender.
    ~Parcel()
    {
        if ((owned_ | kept_count_ | grown_) != 0) [[unlikely]] {
            destroy();
        }
    }
    Parcel(const Parcel &) = delete;
    Parcel &operator=(const Parcel &) = delete;

    // Append a value.
    // Tstate: attached to the sender.  Refs: borrowed; with kOutlives the caller keeps it.
    // Python: a __share__ method or a registered type's code may run.
    // Errors: -1 with an exception set.
    [[nodiscard]] int pack(PyObject *value)
    {
        if (PyLong_CheckExact(value) && count_ < capacity_) {
            auto *integer = reinterpret_cast<PyLongObject *>(value);
            if (_PyLong_IsCompact(integer)) [[likely]] {
                Node &node = nodes_[count_++];
                node.kind = Kind::kInteger;
                node.owns_bytes = false;
                node.integer = _PyLong_CompactValue(integer);
                return 0;
            }
        }
        return pack_any(value);
    }

    // Append a proxy of the value, whatever it is; its cell is in the parcel's scope, or that one.
    [[nodiscard]] int pack_wrapped(PyObject *value) { return pack_wrapped(value, scope_); }
    [[nodiscard]] int pack_wrapped(PyObject *value, Scope *scope);

    // Append a cell; the parcel takes a handle on it.
    // Tstate: any; the caller keeps it from being recycled.
    [[nodiscard]] int pack_cell(SharedCell &cell);

    // Append an object that is immortal in the receiver, or everywhere.
    [[nodiscard]] int pack_immortal(PyObject *value);

    // Append "no value": the other side gets null.
    [[nodiscard]] int pack_absent();

    // Take the next value off.
    // Tstate: attached to the receiver.  Refs: new.
    // Python: a registered type's code may run.
    // Errors: -1 with an exception set; *value is null.
    [[nodiscard]] int unpack(PyObject **value)
    {
        assert(next_ < count_);
        const Node &node = nodes_[next_];
        if (node.kind > kMostCommon) {
            return unpack_any(value);
        }
        ++next_;
        *value = node.kind == Kind::kReference ? Py_NewRef(node.pointer)
                                               : PyLong_FromLongLong(node.integer);
        return *value == nullptr ? -1 : 0;
    }

    // Take a cell off, or "no value", which is null.  The handle goes to the caller.
    // Tstate: any.
    [[nodiscard]] SharedCell *unpack_cell();

    bool at_end() const { return next_ == count_; }

    // May there be cells among what was not unpacked yet?
    bool may_have_cells() const { return owned_ != 0; }

    // Does it keep anything that only the sender can release?
    bool keeps_anything() const { return kept_count_ != 0; }

    // Release what is kept.
    // Tstate: attached to the sender.  Python: destructors may run.
    void give_back();

    // Leave what is kept to a sender that is ending.
    void abandon() { kept_count_ = 0; }

    // Start again, empty.
    // Tstate: attached to the sender.
    void clear()
    {
        if (owned_ != 0 || kept_count_ != 0) [[unlikely]] {
            drop_all();
        }
        count_ = next_ = bytes_used_ = 0;
    }

    // A point to go back to when something could not be packed as a whole.
    enum class Mark : uint32_t {};
    Mark mark() const { return Mark{count_}; }
    // Tstate: attached to the sender.
    void roll_back(Mark mark);

private:
    void drop_all();
    void destroy();

    enum class Kind : uint8_t {
        kReference,     // pointer
        kInteger,       // integer
        kTaken,         // unpacked already: nothing to drop
        kAbsent,
        kBigInteger,    // digits; detail: negative
        kFloat,         // number
        kComplex,       // number, number2
        kString,        // bytes; detail: the kind of its characters, or 0 for ASCII
        kBytes,         // bytes
        kTuple,         // size, then its items
        kFrozenSet,     // size, then its items
        kSlice,         // then three items
        kRange,         // then three items
        kCell,          // cell
        kRegistered,    // xidata
    };

    static constexpr Kind kMostCommon = Kind::kInteger;     // this one and those before

    struct Node {
        Kind kind;
        uint8_t detail;
        bool owns_bytes;        // `bytes` is raw memory of the parcel's
        union {
            Py_ssize_t size;
            double number2;
        };
        union {
            PyObject *pointer;
            int64_t integer;
            double number;
            const void *bytes;
            SharedCell *cell;
            _PyXIData_t *xidata;
        };
    };

    // Something of the sender's that the parcel keeps: one of the two.
    struct Kept {
        PyObject *object;
        _PyXIData_t *xidata;
    };

    static constexpr uint32_t kInlineNodes = 6;
    static constexpr uint32_t kInlineKept = 2;
    static constexpr size_t kInlineBytes = 64;
    static constexpr Py_ssize_t kKeepFrom = 32 * 1024;

    Node *append(Kind kind);
    [[nodiscard]] bool grow();
    int pack_any(PyObject *value);
    int unpack_any(PyObject **value);
    int pack_integer(PyObject *value);
    int pack_string(PyObject *value);
    int pack_bytes(PyObject *value, Kind kind, uint8_t detail, const void *bytes, Py_ssize_t size,
                   Py_ssize_t byte_size);
    int keep_bytes(Node &node, PyObject *value, Py_ssize_t size);
    int pack_items(Kind kind, PyObject *const *items, Py_ssize_t size);
    int pack_frozenset(PyObject *value);
    int pack_attributes(Kind kind, PyObject *value);
    int pack_proxy(PyObject *value);
    int pack_other(PyObject *value);
    int pack_registered(PyObject *value);
    int keep(PyObject *object, _PyXIData_t *xidata);

    PyObject *unpack_sequence(Node &node);
    PyObject *unpack_three(Node &node);
    PyObject *unpack_node(Node &node);

    Owner &sender_;
    Scope *scope_;
    Lifetime lifetime_;
    uint32_t count_ = 0;
    uint32_t next_ = 0;
    uint32_t capacity_ = kInlineNodes;
    uint32_t kept_count_ = 0;
    uint32_t kept_capacity_ = kInlineKept;
    uint32_t bytes_used_ = 0;
    uint32_t owned_ = 0;            // nodes that have a handle or raw memory to drop
    uint32_t grown_ = 0;            // arrays that are not inline
    Node *nodes_ = inline_nodes_;
    Kept *kept_ = inline_kept_;
    Kept inline_kept_[kInlineKept];
    Node inline_nodes_[kInlineNodes];
    alignas(8) char inline_bytes_[kInlineBytes];
};

// Can the value be packed?
// Tstate: attached.  Python: what packing runs.  Errors: -1 with an exception set: it cannot.
[[nodiscard]] int check_packing(PyObject *value);

// Is it a class that every interpreter has at the same address?  A builtin static type is; one of
// an extension need not be there in another interpreter.
// Tstate: attached.
bool crosses_by_reference(PyObject *value);

// Do instances of exactly this type cross by value, item by item?
bool crosses_by_value(PyTypeObject *type);

// Does a value of this type cross by itself: by value, by reference or as registered?
// Tstate: attached.  Errors: -1 with an exception set.
[[nodiscard]] int is_native(PyObject *value);

// The result of the object's __share__, checked to be natively shareable; null without an
// exception if its type has none.
// Tstate: attached.  Python: runs the method.
[[nodiscard]] PyObject *call_share_method(PyObject *value);

// The class of that module and qualified name which this interpreter has imported already.
// Tstate: attached.  Refs: new.
// Errors: null without an exception if there is none; null with one if looking raised it.
[[nodiscard]] PyObject *known_class(PyObject *module_name, PyObject *qualified_name);

// What arrives when a handle on a cell does: the object itself in its owner, a proxy elsewhere.
// Tstate: attached to the receiver.  Refs: result new; takes over the handle, also on error.
[[nodiscard]] PyObject *receive_cell(SharedCell &cell);

}  // namespace pyshared
