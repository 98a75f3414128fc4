// SPDX-License-Identifier: PSF-2.0
// One use of a proxy: cross the arguments, enter the owner, do it, cross the result, come back.
//
//     on_object<PyObject_GetItem>(proxy, key)
//
// runs PyObject_GetItem(object, key) in the owner of the proxy's object and returns what it
// returns, here.  Any function that takes the object first and then objects or plain C values
// will do; null objects cross as null.  Results are objects (null with no exception set is an
// answer too: an iterator's end), or C integers with -1 and an exception for an error.
//
// Every slot and special method of the proxy type is one such line.

#pragma once

#include "pyshared_entry.hpp"
#include "pyshared_error.hpp"
#include "pyshared_parcel.hpp"
#include "pyshared_proxy.hpp"

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

namespace pyshared {

// In the owner itself nothing crosses and nothing is entered.

// The object of a proxy that belongs to `here`; null if the proxy was released or the object is dead.
// Tstate: attached to `here`.
// Locks:  what live_object_of() takes.
// Refs:   result new.
// Errors: none; null means the proxy cannot be used, and has no exception set.
[[nodiscard]] inline Ref take_at_home(ProxyObject &self, Owner &here)
{
    BriefUse use(self);
    if (!use || self.cell->owner != &here) {
        return {};
    }
    self.armed.clear();
    return live_object_of(*self.cell);
}

// The object of a proxy that is used where the object lives; null elsewhere, or if it cannot be used.
// Tstate: attached.
// Locks, Refs, Errors: as take_at_home().
[[nodiscard]] inline Ref object_at_home(PyObject *proxy)
{
    ProxyObject &self = *as_proxy(proxy);
    Owner &here = *owner_of(_PyThreadState_GET());
    return self.owner_id == here.interp_id ? take_at_home(self, here) : Ref();
}

// The answer to an operation that goes on from C, and so needs stack for it.
enum class Home : uint8_t {
    kHere,          // the object lives here and can be used
    kElsewhere,     // it does not, or cannot be used: an Operation knows what to say
    kTooDeep,       // RecursionError is set
};
// Take the object of a proxy that belongs to `here`.
// Tstate: attached to `here`.
// Locks:  what live_object_of() takes.
// Refs:   proxy borrowed; with kHere `object` is a new reference, otherwise it means nothing.
// Errors: kTooDeep alone has an exception set.
[[nodiscard]] Home find_at_home(PyObject *proxy, Owner &here, Ref &object);
// The same of any proxy.
// Tstate: attached.
// Locks, Refs, Errors: as above.
[[nodiscard]] inline Home find_at_home(PyObject *proxy, Ref &object)
{
    Owner &here = *owner_of(_PyThreadState_GET());
    return as_proxy(proxy)->owner_id == here.interp_id ? find_at_home(proxy, here, object)
                                                       : Home::kElsewhere;
}

// Elsewhere an operation goes through, in this order: start, pack arguments, enter, unpack them,
// run, pack the result, leave, unpack it.
class [[nodiscard]] Operation final {
public:
    // Tstate: attached to the caller.  Refs: borrowed.
    explicit Operation(PyObject *proxy)
        : proxy_(*as_proxy(proxy)),
          here_(*owner_of(_PyThreadState_GET())),
          in_use_(proxy_.uses.enter()),
          arguments_(here_, scope(), Parcel::Lifetime::kOutlives),
          result_(owner(), scope(), Parcel::Lifetime::kMayEnd)
    {
    }
    ~Operation()
    {
        if (entry_.entered()) [[unlikely]] {
            leave();
        }
        if (result_.keeps_anything()) [[unlikely]] {
            return_what_is_kept();
        }
        if (in_use_) {
            end_use(proxy_);
        }
        arguments_.clear();
        drain_if_pending(here_);
    }
    Operation(const Operation &) = delete;
    Operation &operator=(const Operation &) = delete;

    // Errors: false with DeadProxyError, RecursionError or MemoryError set.
    [[nodiscard]] bool start()
    {
        proxy_.armed.clear();
        if (!in_use_ || proxy_.cell->load().dead()) [[unlikely]] {
            refuse();
            return false;
        }
        return _Py_EnterRecursiveCall(" while using an object of another interpreter") == 0;
    }

    // The object; borrowed.  After enter().
    PyObject *object() const { return object_.get(); }

    // Arguments go here, while attached to the caller, and come from here in the owner.
    Parcel &arguments() { return arguments_; }

    // Errors: false with an exception set in the caller.
    [[nodiscard]] bool enter();

    // While attached to the owner: pack the result, consuming the reference (null: an exception is
    // set, or this is the answer), or whatever exception is set.
    void pack_result(PyObject *result);
    void pack_error();

    // Come back to the caller.
    void leave()
    {
        object_ = {};
        entry_.leave();
    }

    // In the caller, after leave(): the result, or null with an exception set or not.
    PyObject *unpack_result()
    {
        PyObject *value = nullptr;
        if (result_kind_ == Result::kValue) [[likely]] {
            (void)result_.unpack(&value);
        }
        else {
            (void)check_error();
        }
        return value;
    }
    // The same for an operation that returned a C integer: false with the exception set.
    [[nodiscard]] bool check_error()
    {
        if (result_kind_ == Result::kError) [[unlikely]] {
            raise_packed(result_);
            return false;
        }
        return true;
    }

private:
    enum class Result : uint8_t { kNothing, kValue, kError };

    void refuse();
    void return_what_is_kept();
    Owner &owner() const { return in_use_ ? *proxy_.cell->owner : here_; }
    Scope *scope() const { return in_use_ ? scope_of(proxy_) : nullptr; }

    // In this order: what follows may look at the cell only once the proxy is in use.
    ProxyObject &proxy_;
    Owner &here_;
    const bool in_use_;
    Result result_kind_ = Result::kNothing;
    Ref object_;                    // the owner's
    Parcel arguments_;
    Parcel result_;
    InterpreterEntry entry_;
};

// Another cell of the proxy's object, in `scope` (null: none).
// Tstate: attached; enters the owner.  Refs: the caller gets one handle.
// Errors: null with an exception set.
[[nodiscard]] SharedCell *cell_in_scope(PyObject *proxy, Scope *scope);

// How one parameter travels.
template <class T> struct Argument {
    // What is to be known of it before it is packed for the object of a proxy that is in use.
    static T prepare(PyObject *, T original) { return original; }
    // A plain C value is the same everywhere, and so is null.
    static bool pack(Parcel &, T) { return true; }
    T value;
    bool unwrap(T original)
    {
        value = original;
        return true;
    }
    bool unpack(Parcel &, T original) { return unwrap(original); }
    T get() const { return value; }
};

template <> struct Argument<PyObject *> {
    static PyObject *prepare(PyObject *, PyObject *original) { return original; }
    static bool pack(Parcel &parcel, PyObject *original)
    {
        return original == nullptr || parcel.pack(original) == 0;
    }
    Ref value;
    bool unwrap(PyObject *original)
    {
        if (original == nullptr) {
            return true;
        }
        value = PySharedObjectProxy_Check(original) ? Ref::steal(unwrap_home(original))
                                                    : Ref::borrow(original);
        return static_cast<bool>(value);
    }
    bool unpack(Parcel &parcel, PyObject *original)
    {
        PyObject *received = nullptr;
        if (original != nullptr && parcel.unpack(&received) < 0) {
            return false;
        }
        value = Ref::steal(received);
        return true;
    }
    PyObject *get() const { return value.get(); }
};

template <auto Function> struct OnObject;

template <class R, class... A, R (*Function)(PyObject *, A...)> struct OnObject<Function> {
    static constexpr bool kReturnsObject = std::is_same_v<R, PyObject *>;

    static R failure()
    {
        if constexpr (kReturnsObject) {
            return nullptr;
        }
        else {
            return static_cast<R>(-1);
        }
    }

    static R run(PyObject *proxy, A... arguments)
    {
        Ref object;
        switch (find_at_home(proxy, object)) {
        case Home::kHere:
            return run_here(object.get(), arguments...);
        case Home::kElsewhere:
            return run_there(proxy, arguments...);
        case Home::kTooDeep:
            return failure();
        }
        Py_UNREACHABLE();
    }

private:
    static R run_here(PyObject *object, A... arguments)
    {
        std::tuple<Argument<A>...> here;
        return std::apply([&](auto &...argument) {
            return (argument.unwrap(arguments) && ...)
                       ? Function(object, argument.get()...)
                       : failure();
        }, here);
    }

    static R run_there(PyObject *proxy, A... arguments)
    {
        Operation operation(proxy);
        ((arguments = Argument<A>::prepare(proxy, arguments)), ...);
        if (!operation.start() || !(Argument<A>::pack(operation.arguments(), arguments) && ...)
            || !operation.enter()) {
            return failure();
        }
        R result = attached(operation, arguments...);
        operation.leave();
        if constexpr (kReturnsObject) {
            return operation.unpack_result();
        }
        else {
            return operation.check_error() ? result : failure();
        }
    }

    // In the owner.
    static R attached(Operation &operation, A... arguments)
    {
        std::tuple<Argument<A>...> there;
        return std::apply([&](auto &...argument) {
            if (!(argument.unpack(operation.arguments(), arguments) && ...)) {
                operation.pack_error();
                return failure();
            }
            R result = Function(operation.object(), argument.get()...);
            if constexpr (kReturnsObject) {
                operation.pack_result(result);
                return failure();
            }
            else {
                if (result == failure() && PyErr_Occurred()) {
                    operation.pack_error();
                }
                return result;
            }
        }, there);
    }
};

template <auto Function> inline constexpr auto on_object = &OnObject<Function>::run;

}  // namespace pyshared
