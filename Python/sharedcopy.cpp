// SPDX-License-Identifier: PSF-2.0
// What crosses as a copy, or is built anew on arrival: PickleWrapper, Rebuild, materialize().
//
// The classes are Python's (Lib/concurrent/interpreters/_copying.py); here is how their instances
// become the base's cross-interpreter data, by which they cross wherever something crosses.
//
// Threads:  as for any object.
// Locks:    none.
// Python:   pickling, the wrapped callable and importing run code, in the interpreter that is named.
// See:      Doc/sharing.md, "Copies instead of proxies"; Lib/test/test_sharing/test_copies.py.

#include "pyshared_transit.hpp"

#include "pyshared_guards.hpp"
#include "pyshared_operation.hpp"

namespace pyshared {
namespace {

constexpr const char *kModule = "concurrent.interpreters._copying";

// A PickleWrapper arrives as a copy of what it wraps: dumps() of the Python part sees to it.
// Tstate: attached to the sender.
int pickled_to_data(PyThreadState *tstate, PyObject *wrapper, _PyXIData_t *xidata)
{
    return _PyPickle_GetXIData(tstate, wrapper, xidata);
}

// A Rebuild crosses as the tuple of its parts and arrives as what the callable makes of them.

PyObject *rebuilt_from_data(_PyXIData_t *xidata)
{
    Ref parts = Ref::steal(
        _PyXIData_NewObject(static_cast<_PyXIData_t *>(_PyXIData_DATA(xidata))));
    Ref rebuild = Ref::steal(parts ? PyImport_ImportModuleAttrString(kModule, "rebuild")
                                   : nullptr);
    return rebuild ? PyObject_CallObject(rebuild.get(), parts.get()) : nullptr;
}

void free_parts(void *data)
{
    _PyXIData_Free(static_cast<_PyXIData_t *>(data));
}

int rebuild_to_data(PyThreadState *tstate, PyObject *object, _PyXIData_t *xidata)
{
    Ref parts = Ref::steal(PyObject_CallMethod(object, "_parts", nullptr));
    _PyXIData_t *inner = parts ? _PyXIData_New() : nullptr;
    if (inner == nullptr) {
        return -1;
    }
    if (_PyObject_GetXIDataNoFallback(tstate, parts.get(), inner) < 0) {
        PyMem_RawFree(inner);
        return -1;
    }
    _PyXIData_Init(xidata, tstate->interp, inner, nullptr, rebuilt_from_data);
    _PyXIData_SET_FREE(xidata, free_parts);
    return 0;
}

// What a function of the Python part makes of the object.
PyObject *apply_in_owner(PyObject *object, const char *function)
{
    Ref callable = Ref::steal(PyImport_ImportModuleAttrString(kModule, function));
    return callable ? PyObject_CallOneArg(callable.get(), object) : nullptr;
}

}  // namespace

int register_copied_class(PyObject *cls)
{
    return register_class(cls, pickled_to_data);
}

int register_rebuilt_class(PyObject *cls)
{
    return register_class(cls, rebuild_to_data);
}

PyObject *prepare_copy(PyObject *proxy, const char *function)
{
    return on_object<apply_in_owner>(proxy, function);
}

}  // namespace pyshared
