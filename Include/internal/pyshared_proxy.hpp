// SPDX-License-Identifier: PSF-2.0
// Proxies: what Python code holds of a cell.
//
// A proxy is an ordinary counted object of the interpreter that uses it and holds one handle on
// its cell.  Each interpreter knows at most one proxy of a cell by its table, so that what arrives
// twice is the same proxy; an armed proxy may stand beside it.

#pragma once

#include "pyshared_owner.hpp"

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace pyshared {

// How many operations of a proxy are running, and whether it was released: the last one out then
// gives up the handle.  Counted under the interpreter's lock, atomically on free-threaded builds.
class UseCount final {
public:
    // Returns false, and counts nothing, if the proxy was released.
    [[nodiscard]] bool enter()
    {
        uint32_t bits = bits_.load(std::memory_order_relaxed);
        if constexpr (kFreeThreaded) {
            while ((bits & kReleased) == 0) {
                if (bits_.compare_exchange_weak(bits, bits + kUse, std::memory_order_acquire,
                                                std::memory_order_relaxed)) {
                    return true;
                }
            }
            return false;
        }
        if ((bits & kReleased) != 0) {
            return false;
        }
        bits_.store(bits + kUse, std::memory_order_relaxed);
        return true;
    }
    // Undoes an enter() that succeeded.  Returns true if the handle must be given up now.
    [[nodiscard]] bool leave()
    {
        if constexpr (kFreeThreaded) {
            return bits_.fetch_sub(kUse, std::memory_order_acq_rel) == (kUse | kReleased);
        }
        uint32_t bits = bits_.load(std::memory_order_relaxed) - kUse;
        bits_.store(bits, std::memory_order_relaxed);
        return bits == kReleased;
    }
    // Returns true if the handle must be given up now.
    [[nodiscard]] bool set_released()
    {
        return bits_.fetch_or(kReleased, std::memory_order_acq_rel) == 0;
    }
    bool released() const { return (bits_.load(std::memory_order_relaxed) & kReleased) != 0; }

private:
    static constexpr uint32_t kReleased = 1;
    static constexpr uint32_t kUse = 2;

    std::atomic<uint32_t> bits_{0};
};

// What any thread of the proxy's interpreter may ask and change.  Written only where that changes
// something: every operation disarms its proxy, and threads that use one proxy would otherwise take
// its cache line from each other.
class Flag final {
public:
    bool is_set() const { return value_.load(std::memory_order_relaxed); }
    void set() { value_.store(true, std::memory_order_relaxed); }
    void clear()
    {
        if (is_set()) [[unlikely]] {
            value_.store(false, std::memory_order_relaxed);
        }
    }
    // Clear it; true for one of those who do so at once, if it was set.
    bool take() { return is_set() && value_.exchange(false, std::memory_order_relaxed); }

private:
    std::atomic<bool> value_{false};
};

// What every use writes comes a cache line before what every use of the next proxy in memory reads
// (its type, on free-threaded builds): they often belong to two threads.
struct ProxyObject {
    PyObject_HEAD
    UseCount uses;
    Flag armed;                     // fresh from share(): entering it opens a scope
    bool in_table;                  // local lock
    Flag has_scope;                 // entered while armed: see sharedwith.cpp
    SharedCell *cell;               // one handle, until released and out of use
    vectorcallfunc vectorcall;
    PyObject *weakrefs;
    ProxyObject *next_in_bucket;    // local lock: the table, or the list of immortal proxies
    int64_t owner_id;               // whose object it is, also when the cell is given up
};

inline ProxyObject *as_proxy(PyObject *object)
{
    assert(PySharedObjectProxy_Check(object));
    return reinterpret_cast<ProxyObject *>(object);
}

inline size_t ProxyTableTraits::hash(const ProxyObject &proxy)
{
    return hash(proxy.cell);
}

inline ProxyObject *ProxyTableTraits::next(const ProxyObject &proxy)
{
    return proxy.next_in_bucket;
}

inline void ProxyTableTraits::set_next(ProxyObject &proxy, ProxyObject *next)
{
    proxy.next_in_bucket = next;
}

// The interpreter's proxy of a cell.
// Tstate: attached to `here`.  Refs: result new; takes over the handle, also on error.
// Errors: null with MemoryError.
[[nodiscard]] PyObject *proxy_for(Owner &here, SharedCell &cell);

// A proxy of `object` in `scope`, for its owner: armed and maybe beside the one in the table, or
// not armed.  The same for a cell of any owner, whose handle is taken over.
// Tstate: attached to the owner.  Refs: object borrowed, result new.
enum class Arming : uint8_t { kPlain, kArmed };
[[nodiscard]] PyObject *wrap(PyObject *object, Scope *scope, Arming arming);
[[nodiscard]] PyObject *wrap_cell(Owner &here, SharedCell &cell, Arming arming);

// A proxy of `object`, or of a proxy's object, in `scope`, in whatever interpreter this is.
// Tstate: attached; may enter the object's owner.  Refs: borrowed, result new.
[[nodiscard]] PyObject *wrap_in_scope(PyObject *object, Scope *scope, Arming arming);

// The object itself where a proxy's object belongs to this interpreter; anything else as it is.
// Tstate: attached.  Refs: borrowed, result new.
// Errors: null with DeadProxyError if it is a dead proxy.
[[nodiscard]] PyObject *unwrap_home(PyObject *value);

// What a proxy that was released in this interpreter is called in messages.
// Tstate: attached.  Refs: result new.
[[nodiscard]] PyObject *describe_released(const ProxyObject &proxy);

// Set DeadProxyError for it.
void raise_released(const ProxyObject &proxy);

// Is the proxy usable, as far as can be told without entering the owner?
// Tstate: attached.
bool is_alive(ProxyObject &proxy);

// The owner of a proxy that is usable, as far as can be told without entering it; or null.
// Tstate: attached.  Refs: none: another thread may release the proxy, so only the address counts.
const Owner *owner_if_alive(ProxyObject &proxy);

// Give up the proxy's handle, if it has one still.
void give_up_handle(ProxyObject &proxy);

// Undo uses.enter(); the last use of a released proxy gives its handle up.
inline void end_use(ProxyObject &proxy)
{
    if (proxy.uses.leave()) [[unlikely]] {
        give_up_handle(proxy);
    }
}

// A use of the proxy, unless it was released: then it is false.  The proxy keeps its cell meanwhile,
// also if another thread releases it.
class [[nodiscard]] ProxyUse final {
public:
    explicit ProxyUse(ProxyObject &proxy) : proxy_(proxy), in_use_(proxy.uses.enter()) {}
    ~ProxyUse()
    {
        if (in_use_) {
            end_use(proxy_);
        }
    }
    ProxyUse(const ProxyUse &) = delete;
    ProxyUse &operator=(const ProxyUse &) = delete;

    explicit operator bool() const { return in_use_; }

private:
    ProxyObject &proxy_;
    const bool in_use_;
};

// The same while nothing runs in between and nothing is waited for: with the GIL the proxy cannot be
// released meanwhile, so there is nothing to count.
class [[nodiscard]] MomentaryUse final {
public:
    explicit MomentaryUse(ProxyObject &proxy) : unreleased_(!proxy.uses.released()) {}
    explicit operator bool() const { return unreleased_; }

private:
    const bool unreleased_;
};
using BriefUse = std::conditional_t<kFreeThreaded, ProxyUse, MomentaryUse>;

// Give up the proxy's hold (Doc/api.md, release()).
// Tstate: attached to the proxy's interpreter.
void release_proxy(ProxyObject &proxy);

// Make the proxy immortal, until its interpreter is cleared.
void make_immortal(ProxyObject &proxy);

// Give up what the proxies that still exist hold; free the immortal ones.
// Tstate: attached to the ending interpreter, after its last collection.
void abandon_proxies(Owner &here);

// The scope of what comes out of the proxy; borrowed, null for none.
// Tstate: attached; the proxy is in use.
inline Scope *scope_of(const ProxyObject &proxy)
{
    return proxy.cell->scope;
}

}  // namespace pyshared
