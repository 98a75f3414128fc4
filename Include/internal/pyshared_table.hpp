// SPDX-License-Identifier: PSF-2.0
// A hash table whose nodes link themselves, so that inserting can neither fail nor allocate.
//
// Traits name the node type and say how to hash a node and how to read and set its link.  The table
// starts with one bucket of its own and doubles when there are two nodes to a bucket; if memory for
// that is out, it goes on with longer chains.  Locking is the user's.

#pragma once

#include "pyshared_python.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace pyshared {

inline size_t hash_pointer(const void *pointer)
{
    auto bits = reinterpret_cast<uintptr_t>(pointer);
    bits ^= bits >> 15;
    bits *= 0x9E3779B97F4A7C15u;
    return bits ^ (bits >> 32);
}

template <class Traits> class IntrusiveTable final {
public:
    using Node = typename Traits::Node;

    IntrusiveTable() = default;
    ~IntrusiveTable() { free_buckets(); }
    IntrusiveTable(const IntrusiveTable &) = delete;
    IntrusiveTable &operator=(const IntrusiveTable &) = delete;

    size_t size() const { return size_; }

    template <class Matches> Node *find(size_t hash, Matches matches) const
    {
        Node *node = buckets_[hash & mask_];
        while (node != nullptr && !matches(*node)) {
            node = Traits::next(*node);
        }
        return node;
    }

    void insert(Node &node)
    {
        if (size_ / kNodesPerBucket > mask_) {
            grow();
        }
        link(node);
        ++size_;
    }

    // Returns false if the node is not in the table.
    bool remove(Node &node)
    {
        Node *&head = buckets_[Traits::hash(node) & mask_];
        if (head == &node) {
            head = take_next(node);
            --size_;
            return true;
        }
        for (Node *before = head; before != nullptr; before = Traits::next(*before)) {
            if (Traits::next(*before) == &node) {
                Traits::set_next(*before, take_next(node));
                --size_;
                return true;
            }
        }
        return false;
    }

    // Any node, or null if there is none.
    Node *any() const
    {
        for (size_t i = 0; size_ != 0 && i <= mask_; ++i) {
            if (buckets_[i] != nullptr) {
                return buckets_[i];
            }
        }
        return nullptr;
    }

    // Call visit(node) for each node; it may not change the table.
    template <class Visit> void for_each(Visit visit) const
    {
        for (size_t i = 0; i <= mask_; ++i) {
            for (Node *node = buckets_[i]; node != nullptr;) {
                Node *next = Traits::next(*node);
                visit(*node);
                node = next;
            }
        }
    }

    // Take every node out, calling drop(node) for each.
    template <class Drop> void clear(Drop drop)
    {
        for (size_t i = 0; i <= mask_; ++i) {
            while (Node *node = buckets_[i]) {
                buckets_[i] = take_next(*node);
                --size_;
                drop(*node);
            }
        }
    }

private:
    static constexpr size_t kNodesPerBucket = 2;

    static Node *take_next(Node &node)
    {
        Node *next = Traits::next(node);
        Traits::set_next(node, nullptr);
        return next;
    }

    void link(Node &node)
    {
        Node *&head = buckets_[Traits::hash(node) & mask_];
        Traits::set_next(node, head);
        head = &node;
    }

    void grow()
    {
        size_t count = (mask_ + 1) * 2;
        auto **fresh = static_cast<Node **>(PyMem_RawCalloc(count < 64 ? 64 : count,
                                                            sizeof(Node *)));
        if (fresh == nullptr) {
            return;
        }
        Node **old = std::exchange(buckets_, fresh);
        size_t old_mask = std::exchange(mask_, (count < 64 ? 64 : count) - 1);
        for (size_t i = 0; i <= old_mask; ++i) {
            for (Node *node = old[i]; node != nullptr;) {
                Node *next = Traits::next(*node);
                link(*node);
                node = next;
            }
        }
        if (old != &single_) {
            PyMem_RawFree(old);
        }
    }

    void free_buckets()
    {
        if (buckets_ != &single_) {
            PyMem_RawFree(buckets_);
        }
    }

    Node *single_ = nullptr;
    Node **buckets_ = &single_;
    size_t mask_ = 0;
    size_t size_ = 0;
};

}  // namespace pyshared
