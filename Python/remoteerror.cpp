// SPDX-License-Identifier: PSF-2.0
// Exceptions that cross: what is sent.  remoteraise.cpp receives it.
//
// An exception of a builtin class arrives as itself, rebuilt from what its own __reduce__ says of
// it; a group arrives as a group of what its members arrive as.  One of another class arrives as
// the receiver's class of the same module and qualified name, if the receiver has imported it
// already and the exception can be pickled.  Anything else arrives as RemoteError.  Where it was
// raised travels as a report and becomes the cause.
//
// An exception comes home if it arrives where it was raised, having crossed other interpreters in
// the middle of a call from there.  It is then the very object.  Meanwhile its cell is kept by the
// cause of the exception that stands for it, and by nothing else; the call's end kills it.
//
// What of this cannot be packed (a part raises, the scope was closed meanwhile) is left out; if
// there is no memory even for the rest, nothing goes, which the receiver reads as a MemoryError.
//
// See:      Doc/internals/crossing.md; Lib/test/test_sharing/test_errors.py.

#include "pyshared_error.hpp"

#include "pyshared_operation.hpp"
#include "pyshared_traceback.hpp"

#include "pycore_global_strings.h"
#include "pycore_typeobject.h"

namespace pyshared {
namespace {

int pack_number(Parcel &parcel, long long number)
{
    Ref value = Ref::steal(PyLong_FromLongLong(number));
    return value ? parcel.pack(value.get()) : -1;
}

// An optional object: absent and None are one.
int pack_optional(Parcel &parcel, PyObject *value)
{
    return parcel.pack(value == nullptr ? Py_None : value);
}

// The exceptions by which protocols say that they are done.
bool is_control_flow(PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, PyExc_StopIteration)
           || PyErr_GivenExceptionMatches(exception, PyExc_StopAsyncIteration)
           || PyErr_GivenExceptionMatches(exception, PyExc_GeneratorExit);
}

// The report, and the cell of the exception itself if it may come home.
int pack_origin(Parcel &parcel, PyObject *exception)
{
    if (is_control_flow(exception)) {
        return parcel.pack(Py_None);
    }
    SharedCell *home = home_of(exception);
    Scope *scope = home == nullptr ? homecoming_scope() : nullptr;
    PyErr_Clear();
    Ref report = Ref::steal(make_report(exception, home != nullptr || scope != nullptr
                                                       ? Telling::kAtLeastWhere
                                                       : Telling::kLines));
    PyErr_Clear();
    if (!report) {
        return parcel.pack(Py_None);
    }
    if (parcel.pack(report.get()) < 0) {
        return -1;
    }
    return home != nullptr    ? parcel.pack_cell(*home)
           : scope != nullptr ? parcel.pack_wrapped(exception, scope)
                              : parcel.pack_absent();
}

int pack_notes(Parcel &parcel, PyObject *exception)
{
    Ref notes = Ref::steal(notes_of(exception));
    return notes ? parcel.pack(notes.get()) : -1;
}

// Notes are a list, which would arrive as a proxy.
PyObject *flatten_value(PyObject *key, PyObject *value)
{
    bool is_notes = PyList_CheckExact(value) && PyUnicode_Check(key)
                    && PyUnicode_EqualToUTF8(key, kNotes);
    return is_notes ? PyList_AsTuple(value) : Py_NewRef(value);
}

// The state as a tuple of names and values, which crosses by value; or None.
PyObject *flatten_state(PyObject *state)
{
    if (state == nullptr || !PyDict_CheckExact(state) || PyDict_GET_SIZE(state) == 0) {
        return Py_NewRef(Py_None);
    }
    Ref items = Ref::steal(PyDict_Items(state));
    Ref flat = Ref::steal(items ? PyTuple_New(2 * PyList_GET_SIZE(items.get())) : nullptr);
    for (Py_ssize_t i = 0; flat && i < PyList_GET_SIZE(items.get()); ++i) {
        PyObject *item = PyList_GET_ITEM(items.get(), i);
        PyObject *key = PyTuple_GET_ITEM(item, 0);
        PyObject *value = flatten_value(key, PyTuple_GET_ITEM(item, 1));
        if (value == nullptr) {
            return nullptr;
        }
        PyTuple_SET_ITEM(flat.get(), 2 * i, Py_NewRef(key));
        PyTuple_SET_ITEM(flat.get(), 2 * i + 1, value);
    }
    return flat.release();
}

// What __reduce__ leaves out: what the error was about.
int add_attribute(PyObject *state, PyObject *exception, const char *name)
{
    Ref key = Ref::steal(PyUnicode_FromString(name));
    Ref value = Ref::steal(key ? PyObject_GetAttr(exception, key.get()) : nullptr);
    if (!value) {
        return -1;
    }
    return value.get() == Py_None ? 0 : PyDict_SetItem(state, key.get(), value.get());
}

bool is_builtin(PyObject *exception)
{
    return (Py_TYPE(exception)->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN) != 0;
}

// Does the arguments' tuple, with the dictionary, say all?
bool is_simple(PyObject *exception)
{
    if (!is_builtin(exception)) {
        return false;
    }
    auto *base = reinterpret_cast<PyBaseExceptionObject *>(exception);
    if (Py_IS_TYPE(exception, reinterpret_cast<PyTypeObject *>(PyExc_StopIteration))) {
        PyObject *value = reinterpret_cast<PyStopIterationObject *>(exception)->value;
        return value == (PyTuple_GET_SIZE(base->args) > 0 ? PyTuple_GET_ITEM(base->args, 0)
                                                          : Py_None);
    }
    return Py_TYPE(exception)->tp_basicsize == sizeof(PyBaseExceptionObject);
}

// The arguments and the state that rebuild an exception of its own class, or null.
bool reduce(PyObject *exception, Ref &arguments, Ref &state)
{
    if (is_simple(exception)) {
        auto *base = reinterpret_cast<PyBaseExceptionObject *>(exception);
        arguments = Ref::borrow(base->args);
        state = Ref::steal(flatten_state(base->dict));
        return static_cast<bool>(state);
    }
    Ref parts = Ref::steal(is_builtin(exception)
                               ? PyObject_CallMethodNoArgs(exception, &_Py_ID(__reduce__))
                               : PyObject_CallMethod(exception, "__reduce_ex__", "i", 4));
    if (!parts || !PyTuple_CheckExact(parts.get()) || PyTuple_GET_SIZE(parts.get()) < 2
        || PyTuple_GET_ITEM(parts.get(), 0) != reinterpret_cast<PyObject *>(Py_TYPE(exception))
        || !PyTuple_CheckExact(PyTuple_GET_ITEM(parts.get(), 1))) {
        return false;
    }
    arguments = Ref::borrow(PyTuple_GET_ITEM(parts.get(), 1));
    PyObject *given = PyTuple_GET_SIZE(parts.get()) > 2 ? PyTuple_GET_ITEM(parts.get(), 2)
                                                        : nullptr;
    Ref attributes = Ref::steal(given != nullptr && PyDict_CheckExact(given) ? PyDict_Copy(given)
                                                                             : PyDict_New());
    if (!attributes) {
        return false;
    }
    bool about_name = PyErr_GivenExceptionMatches(exception, PyExc_NameError);
    bool about_attribute = PyErr_GivenExceptionMatches(exception, PyExc_AttributeError);
    if ((about_name || about_attribute)
        && add_attribute(attributes.get(), exception, "name") < 0) {
        return false;
    }
    if (about_attribute && add_attribute(attributes.get(), exception, "obj") < 0) {
        return false;
    }
    state = Ref::steal(flatten_state(attributes.get()));
    return static_cast<bool>(state);
}

bool is_group(PyObject *exception)
{
    auto *type = reinterpret_cast<PyObject *>(Py_TYPE(exception));
    return type == PyExc_BaseExceptionGroup
           || type == _PyInterpreterState_GET()->exc_state.PyExc_ExceptionGroup;
}

int pack_any(Parcel &parcel, PyObject *exception);

// None but for groups.
int pack_members(Parcel &parcel, PyObject *exception)
{
    if (!is_any_group(exception)) {
        return pack_number(parcel, 0);
    }
    RecursionGuard guard(" while an exception group crosses");
    if (!guard.entered()) {
        return -1;
    }
    PyObject *members = reinterpret_cast<PyBaseExceptionGroupObject *>(exception)->excs;
    Py_ssize_t count = PyTuple_GET_SIZE(members);
    if (pack_number(parcel, count) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (pack_any(parcel, PyTuple_GET_ITEM(members, i)) < 0) {
            return -1;
        }
    }
    return 0;
}

int pack_group(Parcel &parcel, PyObject *exception)
{
    auto *group = reinterpret_cast<PyBaseExceptionGroupObject *>(exception);
    Ref state = Ref::steal(flatten_state(group->dict));
    if (!state || pack_number(parcel, static_cast<int>(ErrorForm::kGroup)) < 0
        || parcel.pack(group->msg) < 0 || parcel.pack(state.get()) < 0
        || pack_members(parcel, exception) < 0) {
        return -1;
    }
    return pack_origin(parcel, exception);
}

int pack_builtin(Parcel &parcel, PyObject *exception)
{
    Ref arguments;
    Ref state;
    if (!reduce(exception, arguments, state)) {
        return -1;
    }
    if (pack_number(parcel, static_cast<int>(ErrorForm::kBuiltin)) < 0
        || parcel.pack(reinterpret_cast<PyObject *>(Py_TYPE(exception))) < 0
        || parcel.pack(arguments.get()) < 0 || parcel.pack(state.get()) < 0) {
        return -1;
    }
    return pack_origin(parcel, exception);
}

// The class and its message alone: what is left where memory or the stack ends.
int pack_bare_builtin(Parcel &parcel, PyObject *exception)
{
    PyObject *arguments = reinterpret_cast<PyBaseExceptionObject *>(exception)->args;
    bool has_message = arguments != nullptr && PyTuple_GET_SIZE(arguments) == 1
                       && PyUnicode_CheckExact(PyTuple_GET_ITEM(arguments, 0));
    Ref nothing = Ref::steal(PyTuple_New(0));
    if (pack_number(parcel, static_cast<int>(ErrorForm::kBuiltin)) < 0
        || parcel.pack(reinterpret_cast<PyObject *>(Py_TYPE(exception))) < 0
        || parcel.pack(has_message ? PyTuple_GET_ITEM(arguments, 0) : nothing.get()) < 0) {
        return -1;
    }
    return parcel.pack(Py_None) < 0 || parcel.pack(Py_None) < 0 ? -1 : 0;
}

int pack_reduced(Parcel &parcel, PyObject *exception)
{
    Ref both = Ref::steal(reduced(exception));
    return both ? parcel.pack(both.get()) : -1;
}

int pack_proxy_of(Parcel &parcel, PyObject *exception)
{
    return parcel.pack_wrapped(exception);
}

// Pack a part of the exception, or None if that fails.
int pack_if_possible(Parcel &parcel, PyObject *exception, int (*pack)(Parcel &, PyObject *))
{
    Parcel::Mark mark = parcel.mark();
    if (pack(parcel, exception) == 0) {
        return 0;
    }
    PyErr_Clear();
    parcel.roll_back(mark);
    return parcel.pack(Py_None);
}

int pack_named(Parcel &parcel, PyObject *exception)
{
    Ref module = Ref::steal(PyType_GetModuleName(Py_TYPE(exception)));
    Ref name = Ref::steal(module ? PyType_GetQualName(Py_TYPE(exception)) : nullptr);
    Ref message = Ref::steal(name ? message_of(exception) : nullptr);
    if (!message) {
        return -1;
    }
    if (pack_number(parcel, static_cast<int>(ErrorForm::kNamed)) < 0 || parcel.pack(module.get()) < 0
        || parcel.pack(name.get()) < 0 || pack_if_possible(parcel, exception, pack_reduced) < 0
        || pack_if_possible(parcel, exception, pack_proxy_of) < 0
        || parcel.pack(message.get()) < 0
        || pack_if_possible(parcel, exception, pack_notes) < 0) {
        return -1;
    }
    Parcel::Mark mark = parcel.mark();
    if (pack_members(parcel, exception) < 0) {
        parcel.roll_back(mark);
        PyErr_Clear();
        if (pack_number(parcel, 0) < 0) {
            return -1;
        }
    }
    return pack_origin(parcel, exception);
}

// A RemoteError that goes on is what it stands for; the owner can still be asked for more.
int pack_remote(Parcel &parcel, PyObject *exception)
{
    RemoteParts parts = remote_parts(exception);
    if (pack_number(parcel, static_cast<int>(ErrorForm::kNamed)) < 0) {
        return -1;
    }
    for (int i = 0; i < 2; ++i) {
        if (parcel.pack(PyTuple_GET_ITEM(parts.described, i)) < 0) {
            return -1;
        }
    }
    if (parcel.pack(Py_Ellipsis) < 0 || parcel.pack(parts.proxy) < 0
        || parcel.pack(PyTuple_GET_ITEM(parts.described, 2)) < 0
        || pack_notes(parcel, exception) < 0 || pack_number(parcel, 0) < 0) {
        return -1;
    }
    return pack_origin(parcel, exception);
}

// Pack the exception that this one stands for, if that was raised where the parcel goes.
enum class Packed : uint8_t { kNo, kYes, kFailed };

Packed pack_original(Parcel &parcel, PyObject *exception)
{
    const Owner &receiver = caller_of_this_thread();
    PyObject *proxy = remote_parts(exception).proxy;
    if (proxy != nullptr && PySharedObjectProxy_Check(proxy)) {
        if (owner_if_alive(*as_proxy(proxy)) != &receiver) {
            return Packed::kNo;
        }
        return parcel.pack(proxy) == 0 ? Packed::kYes : Packed::kFailed;
    }
    SharedCell *home = home_of(exception);
    if (home == nullptr || home->owner != &receiver) {
        return Packed::kNo;
    }
    return parcel.pack_cell(*home) == 0 ? Packed::kYes : Packed::kFailed;
}

Packed pack_home(Parcel &parcel, PyObject *exception)
{
    Parcel::Mark mark = parcel.mark();
    Packed packed = pack_number(parcel, static_cast<int>(ErrorForm::kHome)) == 0
                        ? pack_original(parcel, exception)
                        : Packed::kFailed;
    if (packed != Packed::kYes) {
        parcel.roll_back(mark);
        return packed;
    }
    Ref report = Ref::steal(make_report(exception, Telling::kLines));
    PyErr_Clear();
    bool whole = pack_notes(parcel, exception) == 0 && pack_optional(parcel, report.get()) == 0;
    return whole ? Packed::kYes : Packed::kFailed;
}

int pack_as_it_is(Parcel &parcel, PyObject *exception)
{
    Packed home = pack_home(parcel, exception);
    if (home != Packed::kNo) {
        return home == Packed::kYes ? 0 : -1;
    }
    if (is_group(exception)) {
        return pack_group(parcel, exception);
    }
    if (is_builtin(exception)) {
        return pack_builtin(parcel, exception);
    }
    return remote_parts(exception).described != nullptr ? pack_remote(parcel, exception)
                                                        : pack_named(parcel, exception);
}

int pack_any(Parcel &parcel, PyObject *exception)
{
    Parcel::Mark mark = parcel.mark();
    if (pack_as_it_is(parcel, exception) == 0) {
        return 0;
    }
    PyErr_Clear();
    parcel.roll_back(mark);
    return is_builtin(exception) && !is_group(exception) ? pack_bare_builtin(parcel, exception)
                                                         : pack_named(parcel, exception);
}

}  // namespace

PyObject *reduced(PyObject *exception)
{
    Ref arguments;
    Ref state;
    if (!reduce(exception, arguments, state)) {
        return nullptr;
    }
    if (is_any_group(exception)) {
        arguments = Ref::steal(PyTuple_GetSlice(arguments.get(), 0, 1));
    }
    return arguments ? PyTuple_Pack(2, arguments.get(), state.get()) : nullptr;
}

PyObject *message_of(PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);
    if (text == nullptr) {
        PyErr_Clear();
        text = PyUnicode_FromString("<exception str() failed>");
    }
    return text;
}

PyObject *notes_of(PyObject *exception)
{
    PyObject *dict = reinterpret_cast<PyBaseExceptionObject *>(exception)->dict;
    PyObject *notes = nullptr;
    if (dict != nullptr && PyDict_GetItemStringRef(dict, kNotes, &notes) < 0) {
        return nullptr;
    }
    Ref owned = Ref::steal(notes);
    return notes != nullptr && PyList_CheckExact(notes) ? PyList_AsTuple(notes)
                                                        : Py_NewRef(Py_None);
}

void pack_exception(Parcel &parcel, PyObject *exception)
{
    Parcel::Mark mark = parcel.mark();
    if (pack_any(parcel, exception) < 0) {
        PyErr_Clear();
        parcel.roll_back(mark);
    }
}

}  // namespace pyshared
