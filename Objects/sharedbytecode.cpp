// SPDX-License-Identifier: PSF-2.0
// What bytecode does with a proxy.
//
// In its object's own interpreter the object takes the proxy's place on the stack, so that all goes on
// as if there were no proxy: instructions are specialized for the object, and the frames of calls are
// inlined.  Elsewhere a method is not loaded, but looked up and called in one crossing.
//
// Threads:  as for any object.
// Locks:    what live_object_of() takes.
// Python:   a proxy that goes away runs the callbacks of its weak references.
// See:      LOAD_ATTR, CALL and CALL_KW in Python/bytecodes.c, UPDATE_MISS_STATS in ceval_macros.h.

#include "pyshared_name.hpp"
#include "pyshared_operation.hpp"

#include "pycore_interpframe.h"
#include "pycore_stackref.h"

#include <algorithm>
#include <utility>

namespace pyshared {
namespace {

// Does the stack count as one that refers to the object?  LOAD_FAST_BORROW and constants do not.
bool is_counted(_PyStackRef reference)
{
#ifdef Py_GIL_DISABLED
    return !PyStackRef_IsDeferred(reference);
#else
    return PyStackRef_RefcountOnObject(reference);
#endif
}

// Refs: steals the reference.  Returns 1.
Py_NO_INLINE int close(_PyStackRef reference)
{
    PyStackRef_CLOSE(reference);
    return 1;
}

// Refs: steals the object.  Returns 1.
int put_in_place(_PyStackRef &place, Ref object)
{
    _PyStackRef old = std::exchange(place, PyStackRef_FromPyObjectSteal(object.release()));
    return is_counted(old) ? close(old) : 1;
}

bool is_proxy(_PyStackRef ref)
{
    return !PyStackRef_IsNull(ref) && PySharedObjectProxy_Check(PyStackRef_AsPyObjectBorrow(ref));
}

// Some of these are the proxy's own: proxy_getattro() knows.  All of those are ASCII.
bool is_special(PyObject *text)
{
    if (!PyUnicode_IS_COMPACT_ASCII(text)) {
        return false;
    }
    auto *characters = reinterpret_cast<const char *>(_PyASCIIObject_CAST(text) + 1);
    return characters[0] == '_' && characters[1] == '_';
}

int take_place(PyThreadState *tstate, _PyStackRef &place)
{
    ProxyObject &proxy = *as_proxy(PyStackRef_AsPyObjectBorrow(place));
    Ref object = take_at_home(proxy, *owner_of(tstate));
    return object ? put_in_place(place, std::move(object)) : 0;
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

PyObject *_PyShared_TakeAtHome(PyObject *proxy)
{
    return object_at_home(proxy).release();
}

int _PyShared_TakePlace(PyThreadState *tstate, _PyStackRef *place)
{
    return take_place(tstate, *place);
}

int _PyShared_TakePlaceForName(PyThreadState *tstate, _PyStackRef *place, _PyInterpreterFrame *frame,
                               int oparg)
{
    PyObject *names = _PyFrame_GetCode(frame)->co_names;
    return is_special(PyTuple_GET_ITEM(names, oparg >> 1)) ? 0 : take_place(tstate, *place);
}

int _PyShared_TakePlaceForCall(PyThreadState *tstate, _PyStackRef *place, _PyInterpreterFrame *frame)
{
    return std::any_of(place + 1, frame->stackpointer, is_proxy) ? 0 : take_place(tstate, *place);
}

}  // extern "C"
