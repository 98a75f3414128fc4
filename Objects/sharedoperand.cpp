// SPDX-License-Identifier: PSF-2.0
// Operands in kind: what an object that looks into its operands is compared and combined with.
//
// Threads:  as for any operation; see sharedkind.cpp.
// Locks:    none.
// Python:   runs on both sides.
// See:      Lib/test/test_sharing/table_containers.py and table_dates.py.

#include "pyshared_operand.hpp"

#include "pyshared_kind.hpp"
#include "pyshared_operation.hpp"
#include "pyshared_slots.hpp"

#include "pycore_long.h"
#include "pycore_typeobject.h"
#include "pycore_unicodeobject.h"

#include <cstring>

namespace pyshared {
namespace {

bool compares_as(PyTypeObject *type, PyTypeObject *builtin)
{
    return type->tp_richcompare == builtin->tp_richcompare && PyType_IsSubtype(type, builtin);
}

bool same_operators(PyTypeObject *type, PyTypeObject *base)
{
    const PyNumberMethods *own = type->tp_as_number;
    const PyNumberMethods *inherited = base->tp_as_number;
    return own == inherited
           || (own != nullptr && inherited != nullptr
               && std::memcmp(own, inherited, sizeof(*own)) == 0);
}

// Exactly of a kind; of values also what is derived from one and has no operators of its own.
bool operates_in_kind(PyTypeObject *type)
{
    KindOfType found = kind_of(type);
    return found.kind != nullptr
           && (found.base == type
               || (found.kind->takes_copies && same_operators(type, found.base)));
}

bool is_kinds_own(PyTypeObject *type)
{
    KindOfType found = kind_of(type);
    return found.base == type && found.kind != nullptr && found.kind->takes_copies;
}

// Is it a method that a kind's type has in C, of this name?
bool is_kinds_method(PyObject *self, PyObject *name)
{
    PyTypeObject *type = PyType_Check(self) ? reinterpret_cast<PyTypeObject *>(self)
                                            : Py_TYPE(self);
    Ref method = Ref::steal(_PyType_LookupRef(type, name));
    bool in_c = method
                && (Py_IS_TYPE(method.get(), &PyMethodDescr_Type)
                    || Py_IS_TYPE(method.get(), &PyClassMethodDescr_Type));
    return in_c && is_kinds_own(PyDescr_TYPE(method.get()));
}

bool takes_copies(PyObject *callee)
{
    if (PyType_Check(callee)) {
        return is_kinds_own(reinterpret_cast<PyTypeObject *>(callee));
    }
    if (!PyCFunction_Check(callee) || PyCFunction_GET_SELF(callee) == nullptr) {
        return false;
    }
    const PyMethodDef &definition = *reinterpret_cast<PyCFunctionObject *>(callee)->m_ml;
    Ref name = Ref::steal(PyUnicode_InternFromString(definition.ml_name));
    if (!name) {
        // Without memory the method is given what there is.
        PyErr_Clear();
        return false;
    }
    return is_kinds_method(PyCFunction_GET_SELF(callee), name.get());
}

// Is it a class of enum members that are equal if they are the same?
// Tstate: attached.  Errors: -1 with an exception set.
int is_enum(PyTypeObject *type)
{
    PyTypeObject *metaclass = Py_TYPE(type);
    if (metaclass == &PyType_Type || type->tp_richcompare != PyBaseObject_Type.tp_richcompare) {
        return 0;
    }
    Ref module = Ref::steal(PyUnicode_FromString("enum"));
    Ref name = Ref::steal(module ? PyUnicode_FromString("EnumType") : nullptr);
    Ref enum_type = Ref::steal(name ? known_class(module.get(), name.get()) : nullptr);
    if (!enum_type) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return PyType_IsSubtype(metaclass, reinterpret_cast<PyTypeObject *>(enum_type.get()));
}

// The member itself if the proxy is of its counterpart in another interpreter: of the class that has
// the same name there, and called the same (or, as some flags are not called anything, as much).
// Tstate: attached; enters the proxy's owner.  Refs: borrowed, result new.
// Python: values are compared.  Errors: null with an exception set.
PyObject *member_for(PyObject *member, PyObject *proxy)
{
    Ref cls = Ref::steal(proxy_class(proxy));
    if (!cls || cls.get() != reinterpret_cast<PyObject *>(Py_TYPE(member))) {
        return cls ? Py_NewRef(proxy) : nullptr;
    }
    for (const char *attribute : {"_name_", "_value_"}) {
        Ref own = Ref::steal(PyObject_GetAttrString(member, attribute));
        Ref others = Ref::steal(own ? PyObject_GetAttrString(proxy, attribute) : nullptr);
        int same = others ? PyObject_RichCompareBool(own.get(), others.get(), Py_EQ) : -1;
        if (same < 0) {
            return nullptr;
        }
        if (same == 0 || own.get() != Py_None) {
            return Py_NewRef(same != 0 ? member : proxy);
        }
    }
    return Py_NewRef(member);
}

}  // namespace

PyObject *comparand_in_kind(PyObject *object, PyObject *other)
{
    PyTypeObject *type = Py_TYPE(object);
    if (!PySharedObjectProxy_Check(other)) {
        return Py_NewRef(other);
    }
    if (int of_enum = is_enum(type); of_enum != 0) {
        return of_enum < 0 ? nullptr : member_for(object, other);
    }
    return kind_of(type).compares(type) ? copy_in_kind(other, WhichTypes::kDerived) : Py_NewRef(other);
}

PyObject *operand_in_kind(PyObject *object, PyObject *other)
{
    bool looks_inside = PySharedObjectProxy_Check(other) && operates_in_kind(Py_TYPE(object));
    return looks_inside ? copy_in_kind(other, WhichTypes::kExact) : Py_NewRef(other);
}

bool is_value_in_kind(PyObject *object)
{
    KindOfType found = kind_of(Py_TYPE(object));
    return found.kind != nullptr && found.kind->copied == Copied::kReduced;
}

PyObject *item_in_kind(PyObject *object, PyObject *item)
{
    return PySharedObjectProxy_Check(item) && is_kinds_own(Py_TYPE(object))
               ? copy_in_kind(item, WhichTypes::kDerived)
               : Py_NewRef(item);
}

bool arguments_in_kind(PyObject *callee, PyObject *method, ArgumentArray &arguments, size_t first)
{
    size_t i = arguments.find_proxy(first);
    if (i == arguments.size()
        || !(method == nullptr ? takes_copies(callee) : is_kinds_method(callee, method))) {
        return true;
    }
    for (; i < arguments.size(); i = arguments.find_proxy(i + 1)) {
        PyObject *copy = copy_in_kind(arguments.begin()[i], WhichTypes::kDerived);
        if (copy == nullptr) {
            return false;
        }
        arguments.replace(i, copy);
    }
    return true;
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
