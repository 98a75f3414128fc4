// SPDX-License-Identifier: PSF-2.0
// What the bytecode that calls does with a proxy.
//
// In its object's own interpreter the object takes the proxy's place on the stack, so that the call
// goes on as if there were no proxy: specialized, and its frame inlined.  Elsewhere a method is not
// loaded, but looked up and called in one crossing.
//
// Threads:  as for any object.
// Locks:    what live_object_of() takes.
// Python:   a proxy that goes away runs the callbacks of its weak references.
// See:      LOAD_ATTR, CALL and CALL_KW in Python/bytecodes.c.

#include "pyshared_name.hpp"
#include "pyshared_operation.hpp"

#include "pycore_stackref.h"

#include <algorithm>
#include <utility>

namespace pyshared {
namespace {

// Refs: steals the object.
void put_in_place(_PyStackRef &place, Ref object)
{
    _PyStackRef old = std::exchange(place, PyStackRef_FromPyObjectSteal(object.release()));
    PyStackRef_CLOSE(old);
}

bool is_proxy(_PyStackRef ref)
{
    return !PyStackRef_IsNull(ref) && PySharedObjectProxy_Check(PyStackRef_AsPyObjectBorrow(ref));
}

// Some of these are the proxy's own: proxy_getattro() knows.
bool is_special(PyObject *text)
{
    return PyUnicode_GET_LENGTH(text) > 1 && PyUnicode_READ_CHAR(text, 0) == '_'
           && PyUnicode_READ_CHAR(text, 1) == '_';
}

// As of any object that has an attribute loaded before it is called.
// Refs: *self is given up, *method new.  Errors: -1 with an exception set.
int load_attribute(_PyStackRef *self, PyObject *text, _PyStackRef *method)
{
    PyObject *attribute = PyObject_GetAttr(PyStackRef_AsPyObjectBorrow(*self), text);
    PyStackRef_CLEAR(*self);
    if (attribute == nullptr) {
        return -1;
    }
    *method = PyStackRef_FromPyObjectSteal(attribute);
    return 0;
}

}  // namespace
}  // namespace pyshared

using namespace pyshared;

extern "C" {

int _PyShared_LoadMethod(PyThreadState *tstate, _PyStackRef *self, PyObject *text,
                         _PyStackRef *method)
{
    ProxyObject &proxy = *as_proxy(PyStackRef_AsPyObjectBorrow(*self));
    if (is_special(text) || proxy.uses.released()) {
        return load_attribute(self, text, method);
    }
    Owner &here = *owner_of(tstate);
    if (proxy.owner_id == here.interp_id) {
        if (Ref object = take_at_home(proxy, here)) {
            put_in_place(*self, std::move(object));
            return _PyObject_GetMethodStackRef(tstate, self, text, method);
        }
    }
    else if (SharedName *name = shared_name(here, text)) {
        *method = PyStackRef_FromPyObjectNew(reinterpret_cast<PyObject *>(name));
        return 1;
    }
    return load_attribute(self, text, method);
}

int _PyShared_IsAtHome(PyObject *object)
{
    return PySharedObjectProxy_Check(object)
           && as_proxy(object)->owner_id == owner_of(_PyThreadState_GET())->interp_id;
}

// Arguments that are proxies are for proxy_vectorcall(), which gives the object what is at home.
_PyStackRef _PyShared_CalleeOfProxy(_PyStackRef *arguments, int count)
{
    _PyStackRef &callee = arguments[-2];
    if (std::none_of(arguments - 1, arguments + count, is_proxy)) {
        if (Ref object = object_at_home(PyStackRef_AsPyObjectBorrow(callee))) {
            put_in_place(callee, std::move(object));
        }
    }
    return callee;
}

}  // extern "C"
