// SPDX-License-Identifier: PSF-2.0
// Exceptions that cross.
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
// The parcel's layout, after a form number:
//
//     kBuiltin  class, arguments or just a message, state, origin
//     kGroup    message, state, members, origin
//     kNamed    module, qualified name, (arguments, state) or None or ..., proxy or None, message,
//               notes, members, origin
//     kHome     the exception, notes, report or None
//
// where members are a count and that many exceptions, and the origin is None, or a report and then
// the cell of the exception that comes home, or nothing.
//
// What of this cannot be packed (a part raises, the scope was closed meanwhile) is left out; if
// there is no memory even for the rest, nothing goes, which the receiver reads as a MemoryError.
//
// See:      API.md, "How a proxy behaves", 5; Lib/test/test_sharing/test_errors.py.

#include "pyshared_error.hpp"

#include "pyshared_operation.hpp"
#include "pyshared_traceback.hpp"

#include "pycore_global_strings.h"
#include "pycore_typeobject.h"

namespace pyshared {
namespace {

enum class Form : int { kBuiltin, kGroup, kNamed, kHome };

constexpr const char *kNotes = "__notes__";

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
    Ref flat = Ref::steal(PyTuple_New(2 * PyDict_GET_SIZE(state)));
    if (!flat) {
        return nullptr;
    }
    PyObject *key;
    PyObject *value;
    Py_ssize_t position = 0;
    for (Py_ssize_t i = 0; PyDict_Next(state, &position, &key, &value); i += 2) {
        PyObject *flat_value = flatten_value(key, value);
        if (flat_value == nullptr) {
            return nullptr;
        }
        PyTuple_SET_ITEM(flat.get(), i, Py_NewRef(key));
        PyTuple_SET_ITEM(flat.get(), i + 1, flat_value);
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

bool is_any_group(PyObject *exception)
{
    return PyObject_TypeCheck(exception, reinterpret_cast<PyTypeObject *>(PyExc_BaseExceptionGroup));
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
    if (!state || pack_number(parcel, static_cast<int>(Form::kGroup)) < 0
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
    if (pack_number(parcel, static_cast<int>(Form::kBuiltin)) < 0
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
    if (pack_number(parcel, static_cast<int>(Form::kBuiltin)) < 0
        || parcel.pack(reinterpret_cast<PyObject *>(Py_TYPE(exception))) < 0
        || parcel.pack(has_message ? PyTuple_GET_ITEM(arguments, 0) : nothing.get()) < 0) {
        return -1;
    }
    return parcel.pack(Py_None) < 0 || parcel.pack(Py_None) < 0 ? -1 : 0;
}

// (arguments, state); of a group's arguments the message alone, its members go by themselves.
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
    Ref name = Ref::steal(PyType_GetQualName(Py_TYPE(exception)));
    Ref message = Ref::steal(message_of(exception));
    if (!module || !name || !message) {
        return -1;
    }
    if (pack_number(parcel, static_cast<int>(Form::kNamed)) < 0 || parcel.pack(module.get()) < 0
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
    if (pack_number(parcel, static_cast<int>(Form::kNamed)) < 0) {
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
    Packed packed = pack_number(parcel, static_cast<int>(Form::kHome)) == 0
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
    return is_builtin(exception) ? pack_bare_builtin(parcel, exception)
                                 : pack_named(parcel, exception);
}

// Receiving

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
    Ref exception = Ref::steal(PyTuple_CheckExact(arguments) ? PyObject_CallObject(type, arguments)
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
        raise_dead(*as_proxy(exception.get())->cell);
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
    switch (static_cast<Form>(form)) {
    case Form::kBuiltin:
        return receive_builtin(parcel);
    case Form::kGroup:
        return receive_group(parcel);
    case Form::kNamed:
        return receive_named(parcel);
    case Form::kHome:
        return receive_home(parcel);
    }
    Py_UNREACHABLE();
}

}  // namespace

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
