// SPDX-License-Identifier: PSF-2.0
// Attribute names that cross again and again, and method calls that cross once.
//
// Threads:  see pyshared_name.hpp.
// Locks:    the local lock, for the table of names.
// Python:   calling runs the method in the owner; looking a name up runs none.

#include "pyshared_name.hpp"

#include "pyshared_arguments.hpp"
#include "pyshared_operand.hpp"

#include "pycore_unicodeobject.h"

#include <new>

namespace pyshared {
namespace {

// Names beyond this many cross as strings: a program that makes names up would fill memory with
// them for ever.
constexpr size_t kMostNames = 4096;

// Those that this thread used last, so that threads of one interpreter do not wait for each other at
// its table.  A serial number is never used twice, and a name keeps its text.
struct KnownName {
    uint64_t serial;        // of the interpreter that it belongs to
    PyObject *text;
    SharedName *name;
};
constexpr size_t kKnownNames = 32;
constinit thread_local KnownName known_names[kKnownNames] = {};

KnownName &place_of(const PyObject *text)
{
    auto bits = reinterpret_cast<uintptr_t>(text) >> 4;
    return known_names[(bits ^ bits >> 5) % kKnownNames];
}

// The owner's string, if it is this owner that is remembered.
PyObject *known_text(const SharedName &name, uint64_t serial)
{
    if (name.known.serial.load(std::memory_order_acquire) != serial) {
        return nullptr;
    }
    PyObject *text = name.known.text.load(std::memory_order_acquire);
    return name.known.serial.load(std::memory_order_relaxed) == serial ? text : nullptr;
}

// Tstate: attached to the owner.
void remember(SharedName &name, uint64_t serial, PyObject *text)
{
    if (name.known.serial.exchange(0, std::memory_order_acq_rel) == 0
        && name.known.text.load(std::memory_order_relaxed) != nullptr) {
        // Another thread is at it.
        return;
    }
    name.known.text.store(text, std::memory_order_release);
    name.known.serial.store(serial, std::memory_order_release);
}

// A name in the code: interned.  The names of a call's keywords in the code: a constant, while those of
// f(**mapping) are a tuple that nobody else has.
bool is_worth_remembering(PyObject *text)
{
    return PyUnicode_Check(text) ? PyUnicode_CHECK_INTERNED(text)
                                 : !PyUnstable_Object_IsUniquelyReferenced(text);
}

// Tstate: attached to the owner.  Errors: null with MemoryError.
Ref kept_names(Owner &here)
{
    Ref fresh;
    for (;;) {
        {
            LocalLock lock(here);
            if (here.keyword_names == nullptr) {
                here.keyword_names = fresh.release();
            }
            if (here.keyword_names != nullptr) {
                return Ref::borrow(here.keyword_names);
            }
        }
        fresh = Ref::steal(PyDict_New());
        if (!fresh) {
            return fresh;
        }
    }
}

// The tuple of these names that lasts as long as the interpreter.
// Tstate: attached to the owner.  Refs: takes over names; result new.
// Errors: null with MemoryError.
PyObject *intern_names(Owner &here, PyObject *names)
{
    Ref received = Ref::steal(names);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
        PyUnicode_InternInPlace(&PyTuple_GET_ITEM(names, i));
    }
    Ref all = kept_names(here);
    PyObject *kept = nullptr;
    if (!all || PyDict_SetDefaultRef(all.get(), names, names, &kept) < 0) {
        return nullptr;
    }
    return kept;
}

// PyObject_VectorcallMethod(), with a memory.
// Tstate: attached to the owner, with no exception set.  Refs: result new.  Python: the method runs.
PyObject *call_method(PyObject *name, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
#ifndef Py_GIL_DISABLED
    MethodCache &methods = owner_of(_PyThreadState_GET())->methods;
    if (PyObject *method = methods.find(arguments[0], name)) {
        Ref kept = Ref::borrow(method);
        return PyObject_Vectorcall(method, arguments, nargsf, keywords);
    }
    methods.learn(arguments[0], name);
#endif
    return PyObject_VectorcallMethod(name, arguments, nargsf, keywords);
}

// In the owner: what was packed is the name, `count` arguments, and the names of keywords.
void call_method_there(Operation &operation, const Name &name, size_t positional, size_t count,
                       const Name &keyword_names)
{
    Parcel &parcel = operation.arguments();
    const bool may_have_proxies = parcel.may_have_cells();
    Argument<Name> method;
    ArgumentArray there(count + 1);
    bool received = method.unpack(parcel, name) && there.fill([&](size_t i, PyObject **value) {
        if (i == 0) {
            *value = Py_NewRef(operation.object());
            return 0;
        }
        return parcel.unpack(value);
    });
    Argument<Name> keywords;
    if (!received
        || (may_have_proxies
            && !arguments_in_kind(operation.object(), method.text, there, 1))
        || !unpack_names(parcel, keyword_names, keywords)) {
        operation.pack_error();
        return;
    }
    operation.pack_result(call_method(method.text, there.begin(),
                                      (positional + 1) | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                      keywords.text));
}

Name name_for(PyObject *proxy, SharedName &shared)
{
    const ProxyObject &target = *as_proxy(proxy);
    PyObject *there = target.uses.released() ? nullptr
                                             : known_text(shared, target.cell->owner->serial);
    return Name{shared.text, &shared, there};
}

// Called as the method itself would be: the proxy first.  It is one of another interpreter's
// object; in the owner itself the attribute was loaded.
PyObject *name_vectorcall(PyObject *self, PyObject *const *arguments, size_t nargsf,
                          PyObject *keywords)
{
    PyObject *proxy = arguments[0];
    assert(PyVectorcall_NARGS(nargsf) > 0 && PySharedObjectProxy_Check(proxy));
    size_t positional = PyVectorcall_NARGS(nargsf) - 1;
    size_t count = positional + (keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords));
    ++arguments;
    KeywordNames keyword_names;
    Operation operation(proxy);
    Name name = name_for(proxy, *reinterpret_cast<SharedName *>(self));
    if (!keyword_names.prepare(proxy, keywords) || !operation.start()
        || !Argument<Name>::pack(operation.arguments(), name)
        || !pack_arguments(operation.arguments(), arguments, count, keyword_names.get())
        || !operation.enter()) {
        return nullptr;
    }
    call_method_there(operation, name, positional, count, keyword_names.get());
    operation.leave();
    return operation.unpack_result();
}

SharedName *find_or_make(Owner &here, PyObject *text)
{
    LocalLock lock(here);
    SharedName *name = here.names.find(NameTableTraits::hash(text), [&](const SharedName &other) {
        return other.text == text;
    });
    if (name != nullptr || here.names.size() >= kMostNames) {
        return name;
    }
    name = PyObject_New(SharedName, &_PySharedName_Type);
    if (name == nullptr) {
        PyErr_Clear();
        return nullptr;
    }
    name->vectorcall = name_vectorcall;
    name->text = Py_NewRef(text);
    name->next_in_bucket = nullptr;
    ::new (&name->known.serial) std::atomic<uint64_t>(0);
    ::new (&name->known.text) std::atomic<PyObject *>(nullptr);
    make_immortal(reinterpret_cast<PyObject *>(name));
    here.names.insert(*name);
    return name;
}

}  // namespace

SharedName *shared_name(Owner &here, PyObject *text)
{
    KnownName &known = place_of(text);
    if (known.text == text && known.serial == here.serial) [[likely]] {
        return known.name;
    }
    SharedName *name = is_worth_remembering(text) ? find_or_make(here, text) : nullptr;
    if (name != nullptr) {
        known = KnownName{here.serial, text, name};
    }
    return name;
}

Name name_for(PyObject *proxy, PyObject *text)
{
    if (_Py_IsStaticImmortal(text)) {
        return Name{text, nullptr, text};
    }
    SharedName *shared = shared_name(*owner_of(_PyThreadState_GET()), text);
    return shared == nullptr ? Name{text} : name_for(proxy, *shared);
}

bool KeywordNames::are_plain(PyObject *names)
{
    if (!PyTuple_CheckExact(names)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, i))) {
            return false;
        }
    }
    return true;
}

// What is no string at all stays what it is, for the callee to refuse.
PyObject *KeywordNames::make_plain(PyObject *names)
{
    Ref plain = Ref::steal(PyTuple_New(PyTuple_GET_SIZE(names)));
    for (Py_ssize_t i = 0; plain && i < PyTuple_GET_SIZE(names); ++i) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        name = PyUnicode_Check(name) ? PyUnicode_FromObject(name) : Py_NewRef(name);
        if (name == nullptr) {
            return nullptr;
        }
        PyTuple_SET_ITEM(plain.get(), i, name);
    }
    return plain.release();
}

void forget_names(Owner &here)
{
    Py_CLEAR(here.keyword_names);
    here.names.clear([](SharedName &name) {
        Py_DECREF(name.text);
        PyObject_Free(&name);
    });
}

bool Argument<Name>::receive(Parcel &parcel, const Name &original)
{
    PyObject *received;
    if (parcel.unpack(&received) < 0) {
        return false;
    }
    if (original.shared != nullptr) {
        PyInterpreterState *interp = _PyInterpreterState_GET();
        Owner &here = *owner_of(interp);
        if (PyTuple_Check(received)) {
            received = intern_names(here, received);
        }
        else {
            _PyUnicode_InternImmortal(interp, &received);
        }
        if (received == nullptr) {
            return false;
        }
        remember(*original.shared, here.serial, received);
    }
    received_ = Ref::steal(received);
    text = received;
    return true;
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

PyTypeObject _PySharedName_Type = {
    PyVarObject_HEAD_INIT(&PyType_Type, 0)
    .tp_name = "shared_method",
    .tp_basicsize = sizeof(SharedName),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL
                | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = PyDoc_STR("A method of a proxy's object, looked up when it is called."),
    .tp_vectorcall_offset = offsetof(SharedName, vectorcall),
};

}  // extern "C"
