// SPDX-License-Identifier: PSF-2.0
// Proxied classes to compare with: issubclass(), `except` and `except*`.
//
// An interpreter's own class of the same module and qualified name counts as the class: it is what
// instances of the proxied one arrive as.
//
// Threads:  as for any object.
// Locks:    none.
// Python:   asking about classes runs __subclasscheck__ and the like, in the owner.
// See:      Doc/sharing.md, "Errors"; Lib/test/test_sharing/test_errors.py.

#include "pyshared_slots.hpp"

#include "pyshared_operation.hpp"

namespace pyshared {
namespace {

int object_is_superclass(PyObject *object, PyObject *candidate)
{
    return PyObject_IsSubclass(candidate, object);
}

int object_has_instance(PyObject *object, PyObject *candidate)
{
    return PyObject_IsInstance(candidate, object);
}

// Module and qualified name, or None for what is no class.
PyObject *object_names(PyObject *object)
{
    if (!PyType_Check(object)) {
        Py_RETURN_NONE;
    }
    auto *type = reinterpret_cast<PyTypeObject *>(object);
    Ref module = Ref::steal(PyType_GetModuleName(type));
    Ref name = Ref::steal(PyType_GetQualName(type));
    return module && name ? PyTuple_Pack(2, module.get(), name.get()) : nullptr;
}

// This interpreter's own class for a proxied one; null without an exception if it has none.
PyObject *own_class(PyObject *proxy)
{
    Ref home = Ref::steal(unwrap_home(proxy));
    if (!home || !PySharedObjectProxy_Check(home.get())) {
        return home.release();
    }
    Ref names = Ref::steal(on_object<object_names>(proxy));
    if (!names || !PyTuple_CheckExact(names.get())) {
        return nullptr;
    }
    return known_class(PyTuple_GET_ITEM(names.get(), 0), PyTuple_GET_ITEM(names.get(), 1));
}

// -1 with an exception set.
int is_superclass(PyObject *proxy, PyObject *cls)
{
    int answer = on_object<object_is_superclass>(proxy, cls);
    if (answer != 0 || PySharedObjectProxy_Check(cls)) {
        return answer;
    }
    Ref own = Ref::steal(own_class(proxy));
    return own ? PyObject_IsSubclass(cls, own.get()) : (PyErr_Occurred() ? -1 : 0);
}

// -1 with an exception set.
int is_of_class(PyObject *exception, PyObject *proxy)
{
    if (!PyExceptionInstance_Check(exception)) {
        return is_superclass(proxy, exception);
    }
    PyObject *original = remote_parts(exception).proxy;
    if (original != nullptr && PySharedObjectProxy_Check(original)) {
        return on_object<object_has_instance>(proxy, original);
    }
    return is_superclass(proxy, reinterpret_cast<PyObject *>(Py_TYPE(exception)));
}

}  // namespace

PyObject *proxy_subclass_check(PyObject *self, PyObject *cls)
{
    int answer = is_superclass(self, cls);
    return answer < 0 ? nullptr : PyBool_FromLong(answer);
}

}  // namespace pyshared

using namespace pyshared;

extern "C" int _PyShared_ExceptionMatches(PyObject *exception, PyObject *cls)
{
    Ref saved = Ref::steal(PyErr_GetRaisedException());
    int answer = is_of_class(exception, cls);
    PyErr_Clear();
    PyErr_SetRaisedException(saved.release());
    return answer > 0;
}
