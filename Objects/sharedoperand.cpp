// SPDX-License-Identifier: PSF-2.0
// Operands in kind: what a builtin container is compared and combined with.
//
// Threads:  as for any operation; the operand may change between the copy and its use, as it may
//           between two items of an ordinary comparison.
// Locks:    none.
// Python:   runs on both sides.
// See:      Lib/test/test_sharing/operations.py, "in kind".

#include "pyshared_operand.hpp"

#include "pyshared_operation.hpp"

#include "pycore_long.h"
#include "pycore_unicodeobject.h"

namespace pyshared {
namespace {

// Those that can be told from their items.
PyTypeObject *const kContainers[] = {
    &PyList_Type, &PyDict_Type, &PySet_Type, &PyTuple_Type, &PyFrozenSet_Type,
};

bool compares_as(PyTypeObject *type, PyTypeObject *builtin)
{
    return type->tp_richcompare == builtin->tp_richcompare && PyType_IsSubtype(type, builtin);
}

// The builtin container that the type is, or is derived from without a comparison of its own.
PyTypeObject *container_of(PyTypeObject *type)
{
    for (PyTypeObject *container : kContainers) {
        if (compares_as(type, container)) {
            return container;
        }
    }
    return nullptr;
}

bool is_view(PyTypeObject *type)
{
    return type == &PyDictKeys_Type || type == &PyDictItems_Type;
}

// In its owner: the type and the items of a container, or None for anything else.
PyObject *object_contents(PyObject *object)
{
    PyTypeObject *type = container_of(Py_TYPE(object));
    if (type == nullptr) {
        Py_RETURN_NONE;
    }
    Ref pairs = Ref::steal(type == &PyDict_Type ? PyDict_Items(object) : Py_NewRef(object));
    Ref items = Ref::steal(pairs ? PySequence_Tuple(pairs.get()) : nullptr);
    return items ? PyTuple_Pack(2, type, items.get()) : nullptr;
}

PyObject *in_kind(PyObject *other)
{
    Ref contents = Ref::steal(on_object<object_contents>(other));
    if (!contents) {
        return nullptr;
    }
    if (contents.get() == Py_None) {
        return Py_NewRef(other);
    }
    return PyObject_CallOneArg(PyTuple_GET_ITEM(contents.get(), 0),
                               PyTuple_GET_ITEM(contents.get(), 1));
}

}  // namespace

PyObject *comparand_in_kind(PyObject *object, PyObject *other)
{
    PyTypeObject *type = Py_TYPE(object);
    bool looks_inside = PySharedObjectProxy_Check(other)
                        && (is_view(type) || container_of(type) != nullptr);
    return looks_inside ? in_kind(other) : Py_NewRef(other);
}

PyObject *operand_in_kind(PyObject *object, PyObject *other)
{
    PyTypeObject *type = Py_TYPE(object);
    bool looks_inside = PySharedObjectProxy_Check(other)
                        && (is_view(type) || container_of(type) == type);
    return looks_inside ? in_kind(other) : Py_NewRef(other);
}

PyObject *comparable_value(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (crosses_by_value(type)) {
        return Py_NewRef(object);
    }
    if (compares_as(type, &PyLong_Type)) {
        return _PyLong_Copy(reinterpret_cast<PyLongObject *>(object));
    }
    if (compares_as(type, &PyUnicode_Type)) {
        return _PyUnicode_Copy(object);
    }
    if (compares_as(type, &PyFloat_Type)) {
        return PyFloat_FromDouble(PyFloat_AS_DOUBLE(object));
    }
    Py_RETURN_NOTIMPLEMENTED;
}

}  // namespace pyshared
