// SPDX-License-Identifier: PSF-2.0
// The arguments of a vectorcall, on both sides of a crossing.

#pragma once

#include "pyshared_name.hpp"
#include "pyshared_parcel.hpp"

#include <cstddef>
#include <utility>

namespace pyshared {

// Add to the exception that is set, by a note, which argument it was that could not be packed.
// Tstate: attached to the caller, with an exception set.  Python: what packing runs, once more.
void note_argument(PyObject *const *arguments, size_t count, PyObject *names);

// Pack `count` arguments, the values of keywords among them, and the keywords' names if there are any.
// Tstate: attached to the caller.  Errors: false with an exception set.
[[nodiscard, gnu::always_inline]] inline bool
pack_arguments(Parcel &parcel, PyObject *const *arguments, size_t count, const Name &names)
{
    for (size_t i = 0; i < count; ++i) {
        if (parcel.pack(arguments[i]) < 0) {
            note_argument(arguments, count, names.text);
            return false;
        }
    }
    return names.text == nullptr || Argument<Name>::pack(parcel, names);
}

// The names that arrived, after the arguments.
// Tstate: attached to the receiver.  Errors: false with an exception set.
[[nodiscard]] inline bool unpack_names(Parcel &parcel, const Name &names,
                                       Argument<Name> &received)
{
    return names.text == nullptr || received.unpack(parcel, names);
}

// Arguments that arrived, in one array with a free slot in front (PY_VECTORCALL_ARGUMENTS_OFFSET).
class [[nodiscard]] ArgumentArray final {
public:
    explicit ArgumentArray(size_t count) : count_(count)
    {
        if (count + 1 > kInline) {
            all_ = static_cast<PyObject **>(PyMem_Calloc(count + 1, sizeof(PyObject *)));
        }
    }
    ~ArgumentArray()
    {
        if (all_ == nullptr) {
            return;
        }
        for (size_t i = 1; i <= filled_; ++i) {
            Py_DECREF(all_[i]);
        }
        if (all_ != inline_) {
            PyMem_Free(all_);
        }
    }
    ArgumentArray(const ArgumentArray &) = delete;
    ArgumentArray &operator=(const ArgumentArray &) = delete;

    // Ask receive(index, &value) for each argument, until one fails.
    // Errors: false with an exception set.
    template <class Receive> [[nodiscard]] bool fill(Receive receive)
    {
        if (all_ == nullptr) {
            PyErr_NoMemory();
            return false;
        }
        while (filled_ < count_) {
            if (receive(filled_, &all_[filled_ + 1]) < 0) {
                return false;
            }
            ++filled_;
        }
        return true;
    }

    PyObject *const *begin() const { return all_ + 1; }
    size_t size() const { return filled_; }

    // The index of the first proxy from `start` on; size() if there is none.
    size_t find_proxy(size_t start) const
    {
        size_t i = start;
        while (i < filled_ && !PySharedObjectProxy_Check(all_[i + 1])) {
            ++i;
        }
        return i;
    }

    // Refs: takes over `value`.
    void replace(size_t index, PyObject *value)
    {
        PyObject *old = std::exchange(all_[index + 1], value);
        Py_DECREF(old);
    }

private:
    static constexpr size_t kInline = 8;

    PyObject *inline_[kInline];
    PyObject **all_ = inline_;
    size_t count_;
    size_t filled_ = 0;
};

}  // namespace pyshared
