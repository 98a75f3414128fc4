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

namespace pyshared {
namespace {

// Those that can be told from their items.
PyTypeObject *const kContainers[] = {
    &PyList_Type, &PyDict_Type, &PySet_Type, &PyTuple_Type, &PyFrozenSet_Type,
};

bool is_container(PyTypeObject *type)
{
    for (PyTypeObject *container : kContainers) {
        if (type == container) {
            return true;
        }
    }
    return type == &PyDictKeys_Type || type == &PyDictItems_Type;
}

bool compares_as_container(PyTypeObject *type)
{
    for (PyTypeObject *container : kContainers) {
        if (type->tp_richcompare == container->tp_richcompare) {
            return true;
        }
    }
    return is_container(type);
}

// In its owner: the type and the items of a container, or None for anything else.
PyObject *object_contents(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (!is_container(type) || type == &PyDictKeys_Type || type == &PyDictItems_Type) {
        Py_RETURN_NONE;
    }
    Ref pairs = Ref::steal(PyDict_CheckExact(object) ? PyDict_Items(object) : Py_NewRef(object));
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
    return PySharedObjectProxy_Check(other) && compares_as_container(Py_TYPE(object))
               ? in_kind(other)
               : Py_NewRef(other);
}

PyObject *operand_in_kind(PyObject *object, PyObject *other)
{
    return PySharedObjectProxy_Check(other) && is_container(Py_TYPE(object))
               ? in_kind(other)
               : Py_NewRef(other);
}

}  // namespace pyshared
