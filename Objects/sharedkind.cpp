// SPDX-License-Identifier: PSF-2.0
// Kinds: which there are, and how one of them is made in another interpreter.
//
// Threads:  as for any operation; what is copied may change between the copy and its use, as it
//           may between two items of an ordinary comparison.
// Locks:    none.
// Python:   runs on both sides.
// See:      Lib/test/test_sharing/table_containers.py and table_dates.py.

#include "pyshared_kind.hpp"

#include "pyshared_operation.hpp"

#include <cstring>

namespace pyshared {
namespace {

constexpr Kind builtin_kind(PyTypeObject *type, Copied copied)
{
    return Kind{type, nullptr, nullptr, copied, false};
}

const Kind kKinds[] = {
    builtin_kind(&PyList_Type, Copied::kItems),
    builtin_kind(&PyDict_Type, Copied::kPairs),
    builtin_kind(&PySet_Type, Copied::kItems),
    builtin_kind(&PyTuple_Type, Copied::kItems),
    builtin_kind(&PyFrozenSet_Type, Copied::kItems),
    builtin_kind(&PyODict_Type, Copied::kPairs),
    builtin_kind(&PyDictKeys_Type, Copied::kKeysView),
    builtin_kind(&PyDictItems_Type, Copied::kItemsView),
    {nullptr, "collections", "deque", Copied::kItems, false},
    {nullptr, "array", "array", Copied::kArray, true},
    {nullptr, "datetime", "datetime", Copied::kReduced, true},
    {nullptr, "datetime", "date", Copied::kReduced, true},
    {nullptr, "datetime", "time", Copied::kReduced, true},
    {nullptr, "datetime", "timedelta", Copied::kReduced, true},
    {nullptr, "datetime", "timezone", Copied::kReduced, true},
    {nullptr, "datetime", "tzinfo", Copied::kNever, true},
    {nullptr, "zoneinfo", "ZoneInfo", Copied::kNever, true},
    {nullptr, "decimal", "Decimal", Copied::kReduced, true},
    {nullptr, "decimal", "Context", Copied::kNever, true},
};

// In place of a kind's number: the value itself crossed.
constexpr int kValue = -1;

bool is_made_in_python(PyTypeObject *type)
{
    return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
           && !PyType_HasFeature(type, Py_TPFLAGS_IMMUTABLETYPE);
}

// An extension's type is called "module.name" in C, which no class made in Python can pretend.
bool is_of(const Kind &kind, PyTypeObject *type)
{
    if (kind.builtin != nullptr) {
        return kind.builtin == type;
    }
    size_t length = std::strlen(kind.module);
    return std::strncmp(type->tp_name, kind.module, length) == 0 && type->tp_name[length] == '.'
           && std::strcmp(type->tp_name + length + 1, kind.name) == 0;
}

PyObject *reduced_arguments(PyObject *object)
{
    // Protocol 4: what came later is in the arguments, too.
    Ref parts = Ref::steal(PyObject_CallMethod(object, "__reduce_ex__", "i", 4));
    if (!parts) {
        return nullptr;
    }
    bool fits = PyTuple_Check(parts.get()) && PyTuple_GET_SIZE(parts.get()) >= 2
                && PyTuple_Check(PyTuple_GET_ITEM(parts.get(), 1));
    return fits ? Py_NewRef(PyTuple_GET_ITEM(parts.get(), 1)) : Py_NewRef(Py_None);
}

// In the owner: what the kind's type is called with to make an equal object; or None.
PyObject *arguments_of(const Kind &kind, PyObject *object)
{
    switch (kind.copied) {
    case Copied::kItems:
    case Copied::kPairs:
    case Copied::kKeysView:
    case Copied::kItemsView: {
        Ref pairs = Ref::steal(kind.copied == Copied::kPairs ? PyMapping_Items(object)
                                                             : Py_NewRef(object));
        PyObject *items = pairs ? PySequence_Tuple(pairs.get()) : nullptr;
        return items == nullptr ? nullptr : Py_BuildValue("(N)", items);
    }
    case Copied::kReduced:
        return reduced_arguments(object);
    case Copied::kArray: {
        Ref code = Ref::steal(PyObject_GetAttrString(object, "typecode"));
        PyObject *bytes = code ? PyObject_CallMethod(object, "tobytes", nullptr) : nullptr;
        return bytes == nullptr ? nullptr : Py_BuildValue("(ON)", code.get(), bytes);
    }
    case Copied::kNever:
        Py_RETURN_NONE;
    }
    Py_UNREACHABLE();
}

// In the owner: (number of the kind, arguments), or (kValue, the object), or None.
PyObject *object_recipe(PyObject *object, int which)
{
    PyTypeObject *type = Py_TYPE(object);
    KindOfType found = kind_of(type);
    bool fits = found.base == type
                || (static_cast<WhichTypes>(which) == WhichTypes::kDerived
                    && found.compares(type));
    if (found.kind == nullptr || !fits) {
        return crosses_by_value(type) ? Py_BuildValue("(iO)", kValue, object)
                                      : Py_NewRef(Py_None);
    }
    PyObject *arguments = arguments_of(*found.kind, object);
    if (arguments == nullptr || arguments == Py_None) {
        return arguments;
    }
    return Py_BuildValue("(iN)", static_cast<int>(found.kind - kKinds), arguments);
}

// A date's time zone is looked into as well.
PyObject *parts_in_kind(PyObject *parts)
{
    Py_ssize_t size = PyTuple_GET_SIZE(parts);
    Ref copies = Ref::steal(PyTuple_New(size));
    for (Py_ssize_t i = 0; copies && i < size; ++i) {
        PyObject *part = PyTuple_GET_ITEM(parts, i);
        PyObject *copy = PySharedObjectProxy_Check(part)
                             ? copy_in_kind(part, WhichTypes::kExact)
                             : Py_NewRef(part);
        if (copy == nullptr) {
            return nullptr;
        }
        PyTuple_SET_ITEM(copies.get(), i, copy);
    }
    return copies.release();
}

// A view, of a dict of its own.
PyObject *make_view(bool of_keys, PyObject *arguments)
{
    auto *type = reinterpret_cast<PyObject *>(&PyDict_Type);
    PyObject *contents = PyTuple_GET_ITEM(arguments, 0);
    Ref dict = Ref::steal(of_keys ? PyObject_CallMethod(type, "fromkeys", "(O)", contents)
                                  : PyObject_CallOneArg(type, contents));
    return dict ? PyObject_CallMethod(dict.get(), of_keys ? "keys" : "items", nullptr) : nullptr;
}

PyObject *make(const Kind &kind, PyObject *arguments)
{
    if (kind.copied == Copied::kKeysView || kind.copied == Copied::kItemsView) {
        return make_view(kind.copied == Copied::kKeysView, arguments);
    }
    Ref type = Ref::steal(kind.builtin != nullptr
                              ? Py_NewRef(kind.builtin)
                              : PyImport_ImportModuleAttrString(kind.module, kind.name));
    if (!type) {
        // The rest may run Python, which it must not with an exception set.
        return nullptr;
    }
    Ref parts = Ref::steal(kind.copied == Copied::kReduced ? parts_in_kind(arguments)
                                                           : Py_NewRef(arguments));
    return parts ? PyObject_CallObject(type.get(), parts.get()) : nullptr;
}

}  // namespace

KindOfType kind_of(PyTypeObject *type)
{
    for (PyTypeObject *base = type; base != nullptr; base = base->tp_base) {
        if (is_made_in_python(base)) {
            continue;
        }
        for (const Kind &kind : kKinds) {
            if (is_of(kind, base)) {
                return KindOfType{&kind, base};
            }
        }
    }
    return KindOfType{};
}

PyObject *copy_in_kind(PyObject *proxy, WhichTypes which)
{
    Ref recipe = Ref::steal(on_object<object_recipe>(proxy, static_cast<int>(which)));
    if (!recipe) {
        return nullptr;
    }
    if (recipe.get() == Py_None) {
        return Py_NewRef(proxy);
    }
    int number = PyLong_AsInt(PyTuple_GET_ITEM(recipe.get(), 0));
    PyObject *contents = PyTuple_GET_ITEM(recipe.get(), 1);
    return number == kValue ? Py_NewRef(contents) : make(kKinds[number], contents);
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

PyObject *_PyShared_CopyInKind(PyObject *proxy)
{
    Ref original = Ref::steal(proxy);
    return copy_in_kind(proxy, WhichTypes::kDerived);
}

}  // extern "C"
