// SPDX-License-Identifier: PSF-2.0
// Exceptions that cross.
//
// An exception of a builtin class arrives as itself, rebuilt from what its own __reduce__ says of
// it; a group arrives as a group of what its members arrive as.  One of another class arrives as
// the receiver's class of the same module and qualified name, if the receiver has imported it
// already and the exception can be pickled.  Anything else arrives as RemoteError.  The traceback
// travels as text and becomes the cause.
//
// The parcel's layout, after a form number:
//
//     kBuiltin  class, arguments or just a message, state, traceback
//     kGroup    message, count, that many exceptions, state, traceback
//     kNamed    module, qualified name, (arguments, state) or None, proxy or None, message,
//               traceback
//
// What of this cannot be packed (a part raises, the scope was closed meanwhile) is left out; if
// there is no memory even for the rest, nothing goes, which the receiver reads as a MemoryError.
//
// See:      API.md, "How a proxy behaves", 5; Lib/test/test_sharing/test_errors.py.

#include "pyshared_error.hpp"

#include "pycore_frame.h"
#include "pycore_namespace.h"
#include "pycore_typeobject.h"

namespace pyshared {
namespace {

enum class Form : int { kBuiltin, kGroup, kNamed };

// How many frames of a traceback are told, from the innermost out.
constexpr int kTracebackFrames = 50;

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

PyObject *frame_line(PyTracebackObject *entry)
{
    Ref code = Ref::steal(reinterpret_cast<PyObject *>(PyFrame_GetCode(entry->tb_frame)));
    auto *co = reinterpret_cast<PyCodeObject *>(code.get());
    int line = entry->tb_lineno;
    if (line < 0) {
        line = PyCode_Addr2Line(co, entry->tb_lasti);
    }
    return PyUnicode_FromFormat("  File \"%U\", line %d, in %U\n", co->co_filename, line,
                                co->co_qualname);
}

// The traceback as text, or null without an exception if there is nothing to tell.
PyObject *traceback_text(PyObject *exception)
{
    Ref traceback = Ref::steal(PyException_GetTraceback(exception));
    if (!traceback || is_control_flow(exception)) {
        return nullptr;
    }
    // What it brought from other interpreters comes first.
    Ref lines = Ref::steal(PyList_New(0));
    Ref cause = Ref::steal(PyException_GetCause(exception));
    PyObject *remote = remote_traceback(*owner_of(_PyThreadState_GET()));
    if (cause && lines && remote != nullptr && Py_IS_TYPE(cause.get(), (PyTypeObject *)remote)) {
        Ref brought = Ref::steal(PyObject_Str(cause.get()));
        if (!brought || PyList_Append(lines.get(), brought.get()) < 0) {
            return nullptr;
        }
    }
    Ref heading = Ref::steal(PyUnicode_FromFormat(
        "\nTraceback in interpreter %lld (most recent call last):\n",
        static_cast<long long>(PyInterpreterState_GetID(PyInterpreterState_Get()))));
    if (!lines || !heading || PyList_Append(lines.get(), heading.get()) < 0) {
        return nullptr;
    }
    int skipped = -kTracebackFrames;
    for (auto *entry = reinterpret_cast<PyTracebackObject *>(traceback.get()); entry != nullptr;
         entry = entry->tb_next) {
        ++skipped;
    }
    for (auto *entry = reinterpret_cast<PyTracebackObject *>(traceback.get()); entry != nullptr;
         entry = entry->tb_next) {
        if (skipped-- > 0) {
            continue;
        }
        Ref line = Ref::steal(frame_line(entry));
        if (!line || PyList_Append(lines.get(), line.get()) < 0) {
            return nullptr;
        }
    }
    Ref empty = Ref::steal(PyUnicode_FromString(""));
    return empty ? PyUnicode_Join(empty.get(), lines.get()) : nullptr;
}

int pack_traceback(Parcel &parcel, PyObject *exception)
{
    Ref text = Ref::steal(traceback_text(exception));
    PyErr_Clear();
    return pack_optional(parcel, text.get());
}

// The state as a tuple of names and values, which crosses by value; or None.
PyObject *flatten_state(PyObject *state)
{
    if (state == nullptr || !PyDict_CheckExact(state)) {
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
        PyTuple_SET_ITEM(flat.get(), i, Py_NewRef(key));
        PyTuple_SET_ITEM(flat.get(), i + 1, Py_NewRef(value));
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

// The arguments and the state that rebuild an exception of its own class, or null.
bool reduce(PyObject *exception, Ref &arguments, Ref &state)
{
    Ref parts = Ref::steal(PyObject_CallMethod(exception, "__reduce_ex__", "i", 4));
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
    state = Ref::steal(PyDict_GET_SIZE(attributes.get()) == 0 ? Py_NewRef(Py_None)
                                                              : flatten_state(attributes.get()));
    return static_cast<bool>(state);
}

bool is_builtin(PyObject *exception)
{
    return (Py_TYPE(exception)->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN) != 0;
}

bool is_group(PyObject *exception)
{
    auto *type = reinterpret_cast<PyObject *>(Py_TYPE(exception));
    return type == PyExc_BaseExceptionGroup
           || type == _PyInterpreterState_GET()->exc_state.PyExc_ExceptionGroup;
}

int pack_any(Parcel &parcel, PyObject *exception);

int pack_group(Parcel &parcel, PyObject *exception)
{
    auto *group = reinterpret_cast<PyBaseExceptionGroupObject *>(exception);
    Py_ssize_t count = PyTuple_GET_SIZE(group->excs);
    if (pack_number(parcel, static_cast<int>(Form::kGroup)) < 0 || parcel.pack(group->msg) < 0
        || pack_number(parcel, count) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (pack_any(parcel, PyTuple_GET_ITEM(group->excs, i)) < 0) {
            return -1;
        }
    }
    Ref state = Ref::steal(flatten_state(group->dict));
    return state && parcel.pack(state.get()) == 0 ? pack_traceback(parcel, exception) : -1;
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
    return pack_traceback(parcel, exception);
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

int pack_reduced(Parcel &parcel, PyObject *exception)
{
    Ref arguments;
    Ref state;
    if (!reduce(exception, arguments, state)) {
        return -1;
    }
    Ref both = Ref::steal(PyTuple_Pack(2, arguments.get(), state.get()));
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

PyObject *message_of(PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);
    if (text == nullptr) {
        PyErr_Clear();
        text = PyUnicode_FromString("<exception str() failed>");
    }
    return text;
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
        || parcel.pack(message.get()) < 0) {
        return -1;
    }
    return pack_traceback(parcel, exception);
}

int pack_as_it_is(Parcel &parcel, PyObject *exception)
{
    if (is_group(exception)) {
        return pack_group(parcel, exception);
    }
    return is_builtin(exception) ? pack_builtin(parcel, exception)
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

int restore_state(PyObject *exception, PyObject *state)
{
    if (state == Py_None) {
        return 0;
    }
    for (Py_ssize_t i = 0; i + 1 < PyTuple_GET_SIZE(state); i += 2) {
        if (PyObject_SetAttr(exception, PyTuple_GET_ITEM(state, i),
                             PyTuple_GET_ITEM(state, i + 1)) < 0) {
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

// Make the traceback's text the cause.  An exception without one crosses all the same.
void attach_traceback(PyObject *exception, PyObject *text)
{
    if (text == Py_None) {
        return;
    }
    PyObject *type = remote_traceback(*owner_of(_PyThreadState_GET()));
    PyObject *cause = type != nullptr ? PyObject_CallOneArg(type, text) : nullptr;
    if (cause == nullptr) {
        PyErr_Clear();
        return;
    }
    PyException_SetCause(exception, cause);
}

PyObject *receive(Parcel &parcel);

PyObject *receive_builtin(Parcel &parcel)
{
    Ref type = next(parcel);
    Ref arguments = type ? next(parcel) : Ref();
    Ref state = arguments ? next(parcel) : Ref();
    Ref traceback = state ? next(parcel) : Ref();
    if (!traceback) {
        return nullptr;
    }
    PyObject *exception = rebuild(type.get(), arguments.get(), state.get());
    if (exception != nullptr) {
        attach_traceback(exception, traceback.get());
    }
    return exception;
}

PyObject *receive_group(Parcel &parcel)
{
    long long count;
    Ref message = next(parcel);
    if (!message || !next_number(parcel, count)) {
        return nullptr;
    }
    Ref members = Ref::steal(PyList_New(0));
    for (long long i = 0; members && i < count; ++i) {
        Ref member = Ref::steal(receive(parcel));
        if (!member || PyList_Append(members.get(), member.get()) < 0) {
            return nullptr;
        }
    }
    Ref state = next(parcel);
    Ref traceback = state ? next(parcel) : Ref();
    if (!members || !traceback) {
        return nullptr;
    }
    Ref arguments = Ref::steal(PyTuple_Pack(2, message.get(), members.get()));
    PyObject *exception = arguments ? rebuild(PyExc_BaseExceptionGroup, arguments.get(),
                                              state.get())
                                    : nullptr;
    if (exception != nullptr) {
        attach_traceback(exception, traceback.get());
    }
    return exception;
}

PyObject *namespace_of(const char *first, PyObject *first_value, const char *second,
                       PyObject *second_value, const char *third, PyObject *third_value)
{
    Ref values = Ref::steal(Py_BuildValue("{sOsOsO}", first, first_value, second, second_value,
                                          third, third_value));
    return values ? _PyNamespace_New(values.get()) : nullptr;
}

PyObject *make_remote_error(PyObject *module, PyObject *name, PyObject *proxy, PyObject *message,
                            PyObject *traceback)
{
    PyObject *type = remote_error(*owner_of(_PyThreadState_GET()));
    Ref formatted = Ref::steal(
        traceback == Py_None
            ? PyUnicode_FromFormat("%U: %U", name, message)
            : PyUnicode_FromFormat("%U%U: %U", traceback, name, message));
    Ref summary = Ref::steal(PyUnicode_FromFormat("%U.%U: %U", module, name, message));
    if (type == nullptr || !formatted || !summary) {
        return nullptr;
    }
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, PyUnicode_GET_LENGTH(name), -1);
    Ref plain_name = Ref::steal(PyUnicode_Substring(name, dot + 1, PyUnicode_GET_LENGTH(name)));
    Ref described = Ref::steal(plain_name ? namespace_of("__name__", plain_name.get(),
                                                         "__qualname__", name, "__module__",
                                                         module)
                                          : nullptr);
    Ref information = Ref::steal(described ? namespace_of("type", described.get(), "msg", message,
                                                          "formatted", formatted.get())
                                           : nullptr);
    Ref error = Ref::steal(information ? PyObject_CallOneArg(type, summary.get()) : nullptr);
    if (!error || PyObject_SetAttrString(error.get(), "exception", proxy) < 0
        || PyObject_SetAttrString(error.get(), "excinfo", information.get()) < 0) {
        return nullptr;
    }
    return error.release();
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

PyObject *receive_named(Parcel &parcel)
{
    Ref module = next(parcel);
    Ref name = module ? next(parcel) : Ref();
    Ref reduced = name ? next(parcel) : Ref();
    Ref proxy = reduced ? next(parcel) : Ref();
    Ref message = proxy ? next(parcel) : Ref();
    Ref traceback = message ? next(parcel) : Ref();
    if (!traceback) {
        return nullptr;
    }
    PyObject *exception = nullptr;
    if (reduced.get() != Py_None) {
        Ref type = Ref::steal(class_here(module.get(), name.get()));
        if (type && PyExceptionClass_Check(type.get())) {
            exception = rebuild(type.get(), PyTuple_GET_ITEM(reduced.get(), 0),
                                PyTuple_GET_ITEM(reduced.get(), 1));
        }
        PyErr_Clear();
    }
    if (exception == nullptr) {
        exception = make_remote_error(module.get(), name.get(), proxy.get(), message.get(),
                                      traceback.get());
    }
    if (exception != nullptr) {
        attach_traceback(exception, traceback.get());
    }
    return exception;
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
    }
    Py_UNREACHABLE();
}

}  // namespace

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
    if (exception) {
        PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(exception.get())), exception.get());
    }
}

}  // namespace pyshared
