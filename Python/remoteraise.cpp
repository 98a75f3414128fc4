// SPDX-License-Identifier: PSF-2.0
// Exceptions that cross: what is made of them where they arrive.  remoteerror.cpp sends them.
//
// Owner:    what is raised belongs to the receiver; an exception that came home always did.
// Threads:  as for any exception.
// Locks:    none.
// Python:   constructors of exceptions run.
// See:      Doc/internals/crossing.md; Lib/test/test_sharing/test_errors.py.

#include "pyshared_error.hpp"

#include "pyshared_operation.hpp"
#include "pyshared_traceback.hpp"

namespace pyshared {
namespace {

// The next value, or null with an exception set; "absent" is not expected.
Ref next(Parcel &parcel)
{
    PyObject *value = nullptr;
    (void)parcel.unpack(&value);
    return Ref::steal(value);
}

bool next_number(Parcel &parcel, long long &number)
{
    Ref value = next(parcel);
    if (!value) {
        return false;
    }
    number = PyLong_AsLongLong(value.get());
    return true;
}

PyObject *unflatten_value(PyObject *name, PyObject *value)
{
    bool is_notes = PyTuple_CheckExact(value) && PyUnicode_Check(name)
                    && PyUnicode_EqualToUTF8(name, kNotes);
    return is_notes ? PySequence_List(value) : Py_NewRef(value);
}

int restore_state(PyObject *exception, PyObject *state)
{
    if (state == Py_None) {
        return 0;
    }
    for (Py_ssize_t i = 0; i + 1 < PyTuple_GET_SIZE(state); i += 2) {
        PyObject *name = PyTuple_GET_ITEM(state, i);
        Ref value = Ref::steal(unflatten_value(name, PyTuple_GET_ITEM(state, i + 1)));
        if (!value || PyObject_SetAttr(exception, name, value.get()) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *rebuild(PyObject *type, PyObject *arguments, PyObject *state)
{
    Ref exception = Ref::steal(PyTuple_CheckExact(arguments)
                                   ? PyObject_CallObject(type, arguments)
                                   : PyObject_CallOneArg(type, arguments));
    if (!exception || !PyExceptionInstance_Check(exception.get())
        || restore_state(exception.get(), state) < 0) {
        return nullptr;
    }
    return exception.release();
}

// Take the origin off and make it the exception's cause.
// Refs: steals the exception, also on error.
PyObject *with_origin(Parcel &parcel, PyObject *exception)
{
    Ref owned = Ref::steal(exception);
    Ref report = owned ? next(parcel) : Ref();
    if (!report) {
        return nullptr;
    }
    if (report.get() != Py_None) {
        attach_report(exception, report.get(), parcel.unpack_cell());
    }
    return owned.release();
}

PyObject *receive(Parcel &parcel);

PyObject *receive_builtin(Parcel &parcel)
{
    Ref type = next(parcel);
    Ref arguments = type ? next(parcel) : Ref();
    Ref state = arguments ? next(parcel) : Ref();
    return state ? with_origin(parcel, rebuild(type.get(), arguments.get(), state.get()))
                 : nullptr;
}

// A list, empty for what is no group.
Ref receive_members(Parcel &parcel)
{
    RecursionGuard guard(" while an exception group crosses");
    if (!guard.entered()) {
        return {};
    }
    long long count;
    Ref members = Ref::steal(next_number(parcel, count) ? PyList_New(0) : nullptr);
    for (long long i = 0; members && i < count; ++i) {
        Ref member = Ref::steal(receive(parcel));
        if (!member || PyList_Append(members.get(), member.get()) < 0) {
            return {};
        }
    }
    return members;
}

PyObject *receive_group(Parcel &parcel)
{
    Ref message = next(parcel);
    Ref state = message ? next(parcel) : Ref();
    Ref members = state ? receive_members(parcel) : Ref();
    Ref arguments = Ref::steal(members ? PyTuple_Pack(2, message.get(), members.get()) : nullptr);
    return arguments ? with_origin(parcel, rebuild(PyExc_BaseExceptionGroup, arguments.get(),
                                                   state.get()))
                     : nullptr;
}

// This interpreter's class of that name; the machinery's own need not have been imported.
PyObject *class_here(PyObject *module, PyObject *name)
{
    if (PyUnicode_EqualToUTF8(module, "concurrent.interpreters")
        && PyUnicode_EqualToUTF8(name, "DeadProxyError")) {
        return Py_XNewRef(dead_proxy_error(*owner_of(_PyThreadState_GET())));
    }
    return known_class(module, name);
}

// What a RemoteError stands for, where the class is known: the owner says how to make it.
PyObject *reduce_there(PyObject *exception)
{
    return PyExceptionInstance_Check(exception) ? reduced(exception) : Py_NewRef(Py_None);
}

struct Named {
    Ref module, name, reduced, proxy, message, notes, members;
};

bool receive_parts(Parcel &parcel, Named &named)
{
    for (Ref *part : {&named.module, &named.name, &named.reduced, &named.proxy, &named.message,
                      &named.notes}) {
        *part = next(parcel);
        if (!*part) {
            return false;
        }
    }
    named.members = receive_members(parcel);
    return static_cast<bool>(named.members);
}

// The exception as this interpreter's class of that name makes it; null, with an exception set or
// not, if there is no such class or it will not have it.
PyObject *rebuild_named(Named &named)
{
    Ref type = Ref::steal(class_here(named.module.get(), named.name.get()));
    if (!type || !PyExceptionClass_Check(type.get())) {
        return nullptr;
    }
    if (named.reduced.get() == Py_Ellipsis) {
        named.reduced = Ref::steal(on_object<reduce_there>(named.proxy.get()));
    }
    if (!named.reduced || !PyTuple_CheckExact(named.reduced.get())) {
        return nullptr;
    }
    Ref arguments = Ref::borrow(PyTuple_GET_ITEM(named.reduced.get(), 0));
    if (PyList_GET_SIZE(named.members.get()) != 0) {
        Ref members = Ref::steal(PyTuple_Pack(1, named.members.get()));
        arguments = Ref::steal(members ? PySequence_Concat(arguments.get(), members.get())
                                       : nullptr);
    }
    return arguments ? rebuild(type.get(), arguments.get(),
                               PyTuple_GET_ITEM(named.reduced.get(), 1))
                     : nullptr;
}

int add_notes(PyObject *exception, PyObject *notes)
{
    Ref known = Ref::steal(notes_of(exception));
    for (Py_ssize_t i = 0; known && notes != Py_None && i < PyTuple_GET_SIZE(notes); ++i) {
        PyObject *note = PyTuple_GET_ITEM(notes, i);
        int has = known.get() == Py_None ? 0 : PySequence_Contains(known.get(), note);
        if (has < 0 || (has == 0 && _PyException_AddNote(exception, note) < 0)) {
            return -1;
        }
    }
    return known ? 0 : -1;
}

PyObject *remote_error_of(const Named &named, PyObject *report)
{
    Ref described = Ref::steal(PyTuple_Pack(4, named.module.get(), named.name.get(),
                                            named.message.get(), report));
    Ref error = Ref::steal(described ? make_remote_error(described.get(), named.proxy.get())
                                     : nullptr);
    return error && add_notes(error.get(), named.notes.get()) == 0 ? error.release() : nullptr;
}

PyObject *receive_named(Parcel &parcel)
{
    Named named;
    if (!receive_parts(parcel, named)) {
        return nullptr;
    }
    Ref exception = Ref::steal(rebuild_named(named));
    PyErr_Clear();
    Ref report = next(parcel);
    if (!report) {
        return nullptr;
    }
    SharedCell *home = report.get() == Py_None ? nullptr : parcel.unpack_cell();
    if (!exception) {
        exception = Ref::steal(remote_error_of(named, report.get()));
    }
    if (exception && report.get() != Py_None) {
        attach_report(exception.get(), report.get(), home);
    }
    else if (home != nullptr) {
        drop_handle(*home);
    }
    return exception.release();
}

// An exception that comes home keeps what led to it; what it went through meanwhile becomes its
// cause, if it has no other.
void attach_way_home(PyObject *exception, PyObject *report)
{
    auto *base = reinterpret_cast<PyBaseExceptionObject *>(exception);
    bool has_cause = base->cause != nullptr && report_with(exception) == nullptr;
    Ref way = Ref::steal(has_cause || report == Py_None ? nullptr : report_of_others(report));
    if (!way) {
        PyErr_Clear();
        return;
    }
    bool shows_context = base->cause == nullptr && !base->suppress_context;
    attach_report(exception, way.get(), nullptr);
    if (shows_context && base->cause != nullptr) {
        PyException_SetContext(base->cause, Py_XNewRef(base->context));
    }
}

PyObject *receive_home(Parcel &parcel)
{
    Ref exception = next(parcel);
    Ref notes = exception ? next(parcel) : Ref();
    Ref report = notes ? next(parcel) : Ref();
    if (!report) {
        return nullptr;
    }
    if (!PyExceptionInstance_Check(exception.get())) {
        ProxyObject &proxy = *as_proxy(exception.get());
        ProxyUse use(proxy);
        if (use) {
            raise_dead(*proxy.cell);
        }
        else {
            raise_released(proxy);
        }
        return nullptr;
    }
    if (add_notes(exception.get(), notes.get()) < 0) {
        PyErr_Clear();
    }
    attach_way_home(exception.get(), report.get());
    return exception.release();
}

// Refs: new.  Errors: null with an exception set, which then stands for the one that was sent.
PyObject *receive(Parcel &parcel)
{
    long long form;
    if (parcel.at_end()) {
        return PyErr_NoMemory();
    }
    if (!next_number(parcel, form)) {
        return nullptr;
    }
    switch (static_cast<ErrorForm>(form)) {
    case ErrorForm::kBuiltin:
        return receive_builtin(parcel);
    case ErrorForm::kGroup:
        return receive_group(parcel);
    case ErrorForm::kNamed:
        return receive_named(parcel);
    case ErrorForm::kHome:
        return receive_home(parcel);
    }
    Py_UNREACHABLE();
}

}  // namespace

void raise_packed(Parcel &parcel)
{
    Ref exception = Ref::steal(receive(parcel));
    if (!exception) {
        return;
    }
    if (reinterpret_cast<PyBaseExceptionObject *>(exception.get())->context != nullptr) {
        // It came home, and knows what was being handled when it was raised.
        PyErr_SetRaisedException(exception.release());
        return;
    }
    PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(exception.get())), exception.get());
}

}  // namespace pyshared
