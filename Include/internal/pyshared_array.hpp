// SPDX-License-Identifier: PSF-2.0
// An array that grows at its end, with room for a few inside.
//
// For plain values.  Memory is raw, so it may be used under any lock and by any thread; locking is
// the user's.  It shrinks when three quarters are empty.

#pragma once

#include "pyshared_python.hpp"

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace pyshared {

template <class T, size_t kInside> class SmallArray final {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    SmallArray() = default;
    ~SmallArray() { free_outside(); }
    SmallArray(const SmallArray &) = delete;
    SmallArray &operator=(const SmallArray &) = delete;

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T &operator[](size_t i) { return items_[i]; }
    const T *begin() const { return items_; }
    const T *end() const { return items_ + size_; }

    // Returns false if memory is out.
    [[nodiscard]] bool push(T item)
    {
        if (size_ == capacity_ && !resize(2 * capacity_)) {
            return false;
        }
        items_[size_++] = item;
        return true;
    }

    // It is not empty.
    T pop()
    {
        T item = items_[--size_];
        if (items_ != inside_ && size_ <= capacity_ / 4) {
            // Without memory it stays as it is.
            (void)resize(capacity_ / 2);
        }
        return item;
    }

    void clear()
    {
        free_outside();
        abandon();
    }

    // Be empty, whatever is there now; memory is left where it is.
    void abandon()
    {
        items_ = inside_;
        size_ = 0;
        capacity_ = kInside;
    }

private:
    bool resize(size_t capacity)
    {
        T *fresh = inside_;
        if (capacity > kInside) {
            fresh = static_cast<T *>(PyMem_RawMalloc(capacity * sizeof(T)));
            if (fresh == nullptr) {
                return false;
            }
        }
        std::memcpy(fresh, items_, size_ * sizeof(T));
        free_outside();
        items_ = fresh;
        capacity_ = capacity;
        return true;
    }

    void free_outside()
    {
        if (items_ != inside_) {
            PyMem_RawFree(items_);
        }
    }

    T inside_[kInside];
    T *items_ = inside_;
    size_t size_ = 0;
    size_t capacity_ = kInside;
};

}  // namespace pyshared
