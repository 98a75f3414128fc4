// SPDX-License-Identifier: PSF-2.0
// One use of a proxy: the parts that do not depend on the operation.
//
// Threads:  an Operation belongs to one thread; the proxy it uses may be released by another
//           meanwhile, which then takes effect when the last use ends.
// Locks:    what live_object_of() takes.
// Python:   runs in between, on both sides; nothing here is held across it but references.

#include "pyshared_operation.hpp"

#include <utility>

namespace pyshared {

Home find_at_home(PyObject *proxy, Owner &here, Ref &object)
{
    object = take_at_home(*as_proxy(proxy), here);
    if (!object) {
        return Home::kElsewhere;
    }
    return _Py_EnterRecursiveCall(" while using a shared object") == 0 ? Home::kHere
                                                                       : Home::kTooDeep;
}

void Operation::refuse()
{
    if (in_use_) {
        raise_dead(*proxy_.cell);
    }
    else {
        raise_released(proxy_);
    }
}

bool Operation::enter()
{
    switch (entry_.enter(*proxy_.cell->owner)) {
    case InterpreterEntry::Outcome::kEntered:
        object_ = live_object_of(*proxy_.cell);
        if (object_) [[likely]] {
            return true;
        }
        entry_.leave();
        raise_dead(*proxy_.cell);
        return false;
    case InterpreterEntry::Outcome::kClosed:
        raise_dead(*proxy_.cell);
        return false;
    case InterpreterEntry::Outcome::kNoMemory:
        PyErr_NoMemory();
        return false;
    }
    Py_UNREACHABLE();
}

void Operation::pack_result(PyObject *result)
{
    if (result == nullptr) {
        if (PyErr_Occurred()) {
            pack_error();
        }
        return;
    }
    int status = result_.pack(result);
    Py_DECREF(result);
    if (status < 0) {
        pack_error();
    }
    else {
        result_kind_ = Result::kValue;
    }
}

void Operation::pack_error()
{
    PyObject *exception = PyErr_GetRaisedException();
    result_.clear();
    pack_exception(result_, exception);
    Py_DECREF(exception);
    result_kind_ = Result::kError;
}

// A large result was read in place; its owner must drop it.
void Operation::return_what_is_kept()
{
    InterpreterEntry again;
    if (again.enter(*proxy_.cell->owner) == InterpreterEntry::Outcome::kEntered) {
        result_.give_back();
    }
    else {
        result_.abandon();
    }
}

SharedCell *cell_in_scope(PyObject *proxy, Scope *scope)
{
    Ref object;
    Home home = find_at_home(proxy, object);
    if (home != Home::kElsewhere) {
        return home == Home::kHere
                   ? cell_for(*owner_of(_PyThreadState_GET()), object.get(), scope)
                   : nullptr;
    }
    Operation operation(proxy);
    if (!operation.start() || !operation.enter()) {
        return nullptr;
    }
    SharedCell *cell = cell_for(*owner_of(_PyThreadState_GET()), operation.object(), scope);
    if (cell == nullptr) {
        operation.pack_error();
    }
    operation.leave();
    (void)operation.check_error();
    return cell;
}

PyObject *unwrap_home(PyObject *value)
{
    if (!PySharedObjectProxy_Check(value)) {
        return Py_NewRef(value);
    }
    ProxyObject &proxy = *as_proxy(value);
    ProxyUse use(proxy);
    if (!use) {
        raise_released(proxy);
        return nullptr;
    }
    SharedCell &cell = *proxy.cell;
    if (cell.load().dead()) {
        raise_dead(cell);
        return nullptr;
    }
    Ref object = cell.owner == owner_of(_PyThreadState_GET()) ? live_object_of(cell) : Ref();
    return object ? object.release() : Py_NewRef(value);
}

}  // namespace pyshared
