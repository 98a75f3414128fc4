// SPDX-License-Identifier: PSF-2.0
// What a proxy says it is: its class, its shapes, whose instance it is.
//
// One type has every slot, so what C code learns from slots is told from the shape that the cell
// recorded when it was made, and what Python code learns from classes is asked in the owner.
//
// Threads:  as for any object.
// Locks:    none.
// Python:   asking about classes runs __class__, __instancecheck__ and the like.
// See:      Doc/sharing.md, "How a proxy behaves"; Lib/test/test_sharing/test_identity.py.

#include "pyshared_slots.hpp"

#include "pyshared_operation.hpp"

#include "pycore_abstract.h"
#include "pycore_global_strings.h"

namespace pyshared {
namespace {

constexpr int kClassUnknown = 2;

// Ask about a class by its name.  The owner may know it without having imported it by that name,
// or not know it at all.
template <int (*Ask)(PyObject *, PyObject *)>
int ask_for_named(PyObject *object, PyObject *module, PyObject *name)
{
    Ref cls = Ref::steal(known_class(module, name));
    if (!cls && !PyErr_Occurred() && PyUnicode_EqualToUTF8(module, "collections.abc")) {
        Ref implementation = Ref::steal(PyUnicode_FromString("_collections_abc"));
        cls = Ref::steal(implementation ? known_class(implementation.get(), name) : nullptr);
    }
    if (!cls) {
        return PyErr_Occurred() ? -1 : kClassUnknown;
    }
    return Ask(object, cls.get());
}

// Ask in the owner; if it does not know the class, then the Python part here.
template <int (*Ask)(PyObject *, PyObject *)>
int ask_about_class(PyObject *proxy, PyObject *cls, const char *without_owner)
{
    if (!PyType_Check(cls)) {
        PyErr_Format(PyExc_TypeError, "'%T' is not a class", cls);
        return -1;
    }
    if (crosses_by_reference(cls)) {
        return on_object<Ask>(proxy, cls);
    }
    auto *type = reinterpret_cast<PyTypeObject *>(cls);
    Ref module = Ref::steal(PyType_GetModuleName(type));
    Ref name = Ref::steal(PyType_GetQualName(type));
    if (!module || !name) {
        return -1;
    }
    int answer = on_object<ask_for_named<Ask>>(proxy, module.get(), name.get());
    if (answer != kClassUnknown) {
        return answer;
    }
    Ref ask_here = Ref::steal(PyImport_ImportModuleAttrString("concurrent.interpreters._classes",
                                                              without_owner));
    Ref found = Ref::steal(
        ask_here ? PyObject_CallFunctionObjArgs(ask_here.get(), proxy, cls, nullptr) : nullptr);
    return found ? PyObject_IsTrue(found.get()) : -1;
}

// What __class__ needs to know: the class, and where another interpreter would look for its own.
PyObject *object_class(PyObject *object)
{
    Ref type = Ref::steal(PyObject_GetAttr(object, &_Py_ID(__class__)));
    if (!type || !PyType_Check(type.get())) {
        return type.release();
    }
    if (crosses_by_reference(type.get())) {
        return type.release();
    }
    auto *cls = reinterpret_cast<PyTypeObject *>(type.get());
    Ref module = Ref::steal(PyType_GetModuleName(cls));
    Ref name = Ref::steal(PyType_GetQualName(cls));
    if (!module || !name) {
        return nullptr;
    }
    return PyTuple_Pack(3, type.get(), module.get(), name.get());
}

// Raise the object if it can be: the exception then crosses as any other.
PyObject *object_raise(PyObject *object)
{
    if (PyExceptionClass_Check(object)) {
        Ref exception = Ref::steal(PyObject_CallNoArgs(object));
        return exception ? object_raise(exception.get()) : nullptr;
    }
    if (!PyExceptionInstance_Check(object)) {
        Py_RETURN_NONE;
    }
    PyErr_SetRaisedException(Py_NewRef(object));
    return nullptr;
}

}  // namespace

namespace {

uint16_t look_at_shape(PyObject *object)
{
    unsigned long flags = Py_TYPE(object)->tp_flags;
    int shape = (PyCallable_Check(object) ? _PyShared_CALLABLE : 0)
                | (PyIter_Check(object) ? _PyShared_ITERATOR : 0)
                | (PyAIter_Check(object) ? _PyShared_ASYNC_ITERATOR : 0)
                | (PyObject_CheckBuffer(object) ? _PyShared_BUFFER : 0)
                | (PyIndex_Check(object) ? _PyShared_INDEX : 0)
                | (PyNumber_Check(object) ? _PyShared_NUMBER : 0)
                | (PySequence_Check(object) ? _PyShared_SEQUENCE : 0)
                | (PyMapping_Check(object) ? _PyShared_MAPPING : 0)
                | ((flags & Py_TPFLAGS_SEQUENCE) != 0 ? _PyShared_MATCH_SEQUENCE : 0)
                | ((flags & Py_TPFLAGS_MAPPING) != 0 ? _PyShared_MATCH_MAPPING : 0);
    return static_cast<uint16_t>(shape);
}

}  // namespace

uint16_t shape_of(Owner &here, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    uint32_t version = _Py_atomic_load_uint32_relaxed(&type->tp_version_tag);
    unsigned long flags = PyType_GetFlags(type);
    LastShape &last = here.last_shape;
    if (last.type != type || last.flags != flags || last.version != version || version == 0) {
        last = LastShape{type, flags, version, look_at_shape(object)};
    }
    // All but this follow from the type.
    int exceptions = PyExceptionClass_Check(object) ? _PyShared_EXCEPTION_CLASS : 0;
    return static_cast<uint16_t>(last.shape | exceptions);
}

PyObject *proxy_class(PyObject *self)
{
    Ref answer = Ref::steal(on_object<object_class>(self));
    if (!answer || !PyTuple_CheckExact(answer.get())) {
        return answer.release();
    }
    PyObject *cls = PyTuple_GET_ITEM(answer.get(), 0);
    if (PySharedObjectProxy_Check(cls)) {
        PyObject *known = known_class(PyTuple_GET_ITEM(answer.get(), 1),
                                      PyTuple_GET_ITEM(answer.get(), 2));
        if (known != nullptr || PyErr_Occurred()) {
            return known;
        }
    }
    return Py_NewRef(cls);
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

int _PyShared_HasShape(PyObject *proxy, int shape)
{
    ProxyObject &self = *as_proxy(proxy);
    ProxyUse use(self);
    return !use || (self.cell->shape & shape) != 0 || self.cell->load().dead();
}

PyObject *_PyShared_ExceptionOf(PyObject *value)
{
    Ref proxy = Ref::steal(value);
    Ref no_exception = Ref::steal(on_object<object_raise>(proxy.get()));
    return no_exception ? proxy.release() : PyErr_GetRaisedException();
}

int _PyShared_IsInstance(PyObject *proxy, PyObject *cls)
{
    return ask_about_class<PyObject_IsInstance>(proxy, cls, "is_instance");
}

int _PyShared_IsSubclass(PyObject *proxy, PyObject *cls)
{
    return ask_about_class<PyObject_IsSubclass>(proxy, cls, "is_subclass");
}

}  // extern "C"
