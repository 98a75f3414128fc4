// SPDX-License-Identifier: PSF-2.0
// Reports of where exceptions were raised, and RemoteTraceback, which shows them.
//
// Owner:    a RemoteTraceback belongs to the interpreter that the exception arrived in; the cell
//           of the exception that it stands for, to the one where that was raised.
// Threads:  as for any exception.
// Locks:    none.
// Python:   as the header says.
// See:      pyshared_traceback.hpp; Doc/internals/crossing.md.

#include "pyshared_traceback.hpp"

#include "pyshared_error.hpp"

#include "pycore_frame.h"

#include <utility>

namespace pyshared {
namespace {

// How much is told: the innermost frames of a traceback, the last exceptions that led to one, and
// the last items of the report that came with it.
constexpr int kFramesTold = 50;
constexpr int kChainTold = 10;
constexpr Py_ssize_t kItemsBrought = 100;

constexpr const char *kByCause =
    "\nThe above exception was the direct cause of the following exception:\n";
constexpr const char *kByContext =
    "\nDuring handling of the above exception, another exception occurred:\n";

struct TracebackObject {
    PyBaseExceptionObject base;
    PyObject *report;               // or null
    SharedCell *home;               // one handle, or null
    const PyObject *stands_for;     // whose cause this was made; only compared,
    PyObject *made_of;              // and what that was made of: it may since be another
};

// Null unless the exception's cause is a RemoteTraceback.
TracebackObject *brought_by(PyObject *exception)
{
    PyObject *cause = reinterpret_cast<PyBaseExceptionObject *>(exception)->cause;
    PyObject *type = owner_of(_PyThreadState_GET())->remote_traceback;
    return cause != nullptr && type != nullptr
                   && Py_IS_TYPE(cause, reinterpret_cast<PyTypeObject *>(type))
               ? reinterpret_cast<TracebackObject *>(cause)
               : nullptr;
}

PyObject *what_it_is_made_of(PyObject *exception)
{
    if (is_any_group(exception)) {
        return reinterpret_cast<PyBaseExceptionGroupObject *>(exception)->excs;
    }
    return reinterpret_cast<PyBaseExceptionObject *>(exception)->args;
}

// Telling

int append(PyObject *list, PyObject *item)
{
    Ref owned = Ref::steal(item);
    return owned ? PyList_Append(list, owned.get()) : -1;
}

int append_text(PyObject *list, const char *text)
{
    return append(list, PyUnicode_FromString(text));
}

bool set_number(PyObject *tuple, Py_ssize_t index, long number)
{
    PyObject *value = PyLong_FromLong(number);
    PyTuple_SET_ITEM(tuple, index, value);
    return value != nullptr;
}

bool set_frame(PyObject *tuple, Py_ssize_t index, PyTracebackObject *entry)
{
    Ref code = Ref::steal(reinterpret_cast<PyObject *>(PyFrame_GetCode(entry->tb_frame)));
    auto *co = reinterpret_cast<PyCodeObject *>(code.get());
    int line = entry->tb_lineno;
    if (line < 0) {
        line = PyCode_Addr2Line(co, entry->tb_lasti);
    }
    PyTuple_SET_ITEM(tuple, index, Py_NewRef(co->co_filename));
    PyTuple_SET_ITEM(tuple, index + 2, Py_NewRef(co->co_qualname));
    return set_number(tuple, index + 1, line);
}

PyObject *frames_of(PyTracebackObject *outermost)
{
    int count = 0;
    for (PyTracebackObject *entry = outermost; entry != nullptr; entry = entry->tb_next) {
        ++count;
    }
    int left_out = count > kFramesTold ? count - kFramesTold : 0;
    for (int i = 0; i < left_out; ++i) {
        outermost = outermost->tb_next;
    }
    Ref frames = Ref::steal(PyTuple_New(1 + 3 * (count - left_out)));
    if (!frames || !set_number(frames.get(), 0, left_out)) {
        return nullptr;
    }
    Py_ssize_t index = 1;
    for (PyTracebackObject *entry = outermost; entry != nullptr; entry = entry->tb_next) {
        if (!set_frame(frames.get(), index, entry)) {
            return nullptr;
        }
        index += 3;
    }
    return frames.release();
}

int tell_frames(PyObject *list, PyObject *exception)
{
    PyObject *traceback = reinterpret_cast<PyBaseExceptionObject *>(exception)->traceback;
    return traceback == nullptr
               ? 0
               : append(list, frames_of(reinterpret_cast<PyTracebackObject *>(traceback)));
}

int tell_message(PyObject *list, PyObject *exception)
{
    auto *type = Py_TYPE(exception);
    Ref module = Ref::steal(PyType_GetModuleName(type));
    Ref name = Ref::steal(module ? PyType_GetQualName(type) : nullptr);
    Ref message = Ref::steal(name ? message_of(exception) : nullptr);
    if (!message) {
        return -1;
    }
    bool plain = PyUnicode_EqualToUTF8(module.get(), "builtins")
                 || PyUnicode_EqualToUTF8(module.get(), "__main__");
    Ref full_name = plain ? std::move(name)
                          : Ref::steal(PyUnicode_FromFormat("%U.%U", module.get(), name.get()));
    if (!full_name) {
        return -1;
    }
    return append(list, PyUnicode_GET_LENGTH(message.get()) == 0
                            ? PyUnicode_FromFormat("%U\n", full_name.get())
                            : PyUnicode_FromFormat("%U: %U\n", full_name.get(), message.get()));
}

// A report's last items, from where an interpreter is named.
int tell_brought(PyObject *list, PyObject *report)
{
    Py_ssize_t size = PyTuple_GET_SIZE(report);
    Py_ssize_t first = size > kItemsBrought ? size - kItemsBrought : 0;
    while (first < size && !PyLong_CheckExact(PyTuple_GET_ITEM(report, first))) {
        ++first;
    }
    for (; first < size; ++first) {
        if (PyList_Append(list, PyTuple_GET_ITEM(report, first)) < 0) {
            return -1;
        }
    }
    return 0;
}

int tell_notes(PyObject *list, PyObject *exception)
{
    Ref notes = Ref::steal(notes_of(exception));
    for (Py_ssize_t i = 0; notes && notes.get() != Py_None && i < PyTuple_GET_SIZE(notes.get());
         ++i) {
        if (append(list, PyUnicode_FromFormat("%S\n", PyTuple_GET_ITEM(notes.get(), i))) < 0) {
            return -1;
        }
    }
    return notes ? 0 : -1;
}

// What led to the exception, the earliest first, after what that one brought from elsewhere.
int tell_chain(PyObject *list, PyObject *exception, int limit)
{
    TracebackObject *brought = brought_by(exception);
    auto *base = reinterpret_cast<PyBaseExceptionObject *>(exception);
    PyObject *former = base->cause != nullptr || base->suppress_context ? base->cause
                                                                        : base->context;
    if (brought != nullptr || former == nullptr || limit == 0) {
        if (brought != nullptr && brought->report != nullptr
            && tell_brought(list, brought->report) < 0) {
            return -1;
        }
        return append(list, PyLong_FromLongLong(
                                PyInterpreterState_GetID(PyInterpreterState_Get())));
    }
    Ref kept = Ref::borrow(former);
    const char *connection = former == base->cause ? kByCause : kByContext;
    if (tell_chain(list, former, limit - 1) < 0 || tell_frames(list, former) < 0
        || tell_message(list, former) < 0 || tell_notes(list, former) < 0) {
        return -1;
    }
    return append_text(list, connection);
}

// Showing

PyObject *heading(PyObject *interp_id, PyObject *left_out)
{
    Ref line = Ref::steal(PyUnicode_FromFormat(
        "\nTraceback in interpreter %S (most recent call last):\n", interp_id));
    if (!line || Py_IsNone(left_out) || PyLong_AsLong(left_out) == 0) {
        return line.release();
    }
    return PyUnicode_FromFormat("%U  [%S frames are left out]\n", line.get(), left_out);
}

// The line of source, indented, or an empty string.
PyObject *source_line(PyObject *get_line, PyObject *file, PyObject *number)
{
    PyObject *arguments[] = {file, number};
    Ref line = Ref::steal(get_line == nullptr
                              ? nullptr
                              : PyObject_Vectorcall(get_line, arguments, 2, nullptr));
    Ref stripped = Ref::steal(line ? PyObject_CallMethod(line.get(), "strip", nullptr) : nullptr);
    if (!stripped || !PyUnicode_Check(stripped.get())
        || PyUnicode_GET_LENGTH(stripped.get()) == 0) {
        PyErr_Clear();
        return PyUnicode_FromString("");
    }
    return PyUnicode_FromFormat("    %U\n", stripped.get());
}

int show_frames(PyObject *lines, PyObject *frames, PyObject *get_line)
{
    for (Py_ssize_t i = 1; i + 2 < PyTuple_GET_SIZE(frames); i += 3) {
        PyObject *file = PyTuple_GET_ITEM(frames, i);
        PyObject *number = PyTuple_GET_ITEM(frames, i + 1);
        PyObject *name = PyTuple_GET_ITEM(frames, i + 2);
        Ref source = Ref::steal(source_line(get_line, file, number));
        if (!source
            || append(lines, PyUnicode_FromFormat("  File \"%S\", line %S, in %S\n%U", file,
                                                  number, name, source.get())) < 0) {
            return -1;
        }
    }
    return 0;
}

int show_item(PyObject *lines, PyObject *item, PyObject *interp_id, PyObject *get_line)
{
    if (!PyTuple_CheckExact(item)) {
        return append(lines, PyObject_Str(item));
    }
    if (append(lines, heading(interp_id, PyTuple_GET_SIZE(item) == 0
                                             ? Py_None
                                             : PyTuple_GET_ITEM(item, 0))) < 0) {
        return -1;
    }
    return show_frames(lines, item, get_line);
}

// The type

PyObject *traceback_str(PyObject *self)
{
    PyObject *report = reinterpret_cast<TracebackObject *>(self)->report;
    if (report != nullptr) {
        return format_report(report);
    }
    return reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_str(self);
}

// A copy is of the text.
PyObject *traceback_reduce(PyObject *self, PyObject *)
{
    Ref text = Ref::steal(PyObject_Str(self));
    return text ? Py_BuildValue("O(O)", Py_TYPE(self), text.get()) : nullptr;
}

int traceback_traverse(PyObject *self, visitproc visit, void *arg)
{
    auto *traceback = reinterpret_cast<TracebackObject *>(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(traceback->report);
    Py_VISIT(traceback->made_of);
    return reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_traverse(self, visit, arg);
}

int traceback_clear(PyObject *self)
{
    auto *traceback = reinterpret_cast<TracebackObject *>(self);
    Py_CLEAR(traceback->report);
    Py_CLEAR(traceback->made_of);
    if (SharedCell *home = std::exchange(traceback->home, nullptr)) {
        drop_handle(*home);
    }
    return reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_clear(self);
}

void traceback_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)traceback_clear(self);
    reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_dealloc(self);
    Py_DECREF(type);
}

PyMethodDef traceback_methods[] = {
    {"__reduce__", traceback_reduce, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

constexpr const char *kTracebackDoc =
    "Where an exception was raised in the interpreters that it came from; its cause.";

PyType_Slot traceback_slots[] = {
    {Py_tp_doc, const_cast<char *>(kTracebackDoc)},
    {Py_tp_str, reinterpret_cast<void *>(traceback_str)},
    {Py_tp_traverse, reinterpret_cast<void *>(traceback_traverse)},
    {Py_tp_clear, reinterpret_cast<void *>(traceback_clear)},
    {Py_tp_dealloc, reinterpret_cast<void *>(traceback_dealloc)},
    {Py_tp_methods, traceback_methods},
    {0, nullptr},
};

PyType_Spec traceback_spec = {
    .name = "concurrent.interpreters.RemoteTraceback",
    .basicsize = sizeof(TracebackObject),
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = traceback_slots,
};

}  // namespace

PyObject *make_report(PyObject *exception, Telling what)
{
    auto *base = reinterpret_cast<PyBaseExceptionObject *>(exception);
    if (what == Telling::kLines && base->traceback == nullptr && base->cause == nullptr
        && (base->context == nullptr || base->suppress_context)) {
        return nullptr;
    }
    Ref list = Ref::steal(PyList_New(0));
    if (!list || tell_chain(list.get(), exception, kChainTold) < 0
        || tell_frames(list.get(), exception) < 0) {
        return nullptr;
    }
    return PyList_AsTuple(list.get());
}

PyObject *format_report(PyObject *report)
{
    Ref lines = Ref::steal(PyList_New(0));
    if (!lines) {
        return nullptr;
    }
    Ref get_line = Ref::steal(PyImport_ImportModuleAttrString("linecache", "getline"));
    PyErr_Clear();
    PyObject *interp_id = Py_None;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(report); ++i) {
        PyObject *item = PyTuple_GET_ITEM(report, i);
        if (PyLong_CheckExact(item)) {
            interp_id = item;
        }
        else if (show_item(lines.get(), item, interp_id, get_line.get()) < 0) {
            return nullptr;
        }
    }
    if (PyList_GET_SIZE(lines.get()) == 0) {
        return PyUnicode_FromFormat("\nRaised in interpreter %S", interp_id);
    }
    Ref empty = Ref::steal(PyUnicode_FromString(""));
    Ref text = Ref::steal(empty ? PyUnicode_Join(empty.get(), lines.get()) : nullptr);
    // All lines end; who shows the text ends the last one.
    return text ? PyUnicode_Substring(text.get(), 0, PyUnicode_GET_LENGTH(text.get()) - 1)
                : nullptr;
}

PyObject *report_of_others(PyObject *report)
{
    int64_t here = PyInterpreterState_GetID(PyInterpreterState_Get());
    Ref others = Ref::steal(PyList_New(0));
    bool told = false;
    bool concerns = false;
    for (Py_ssize_t i = 0; others && i < PyTuple_GET_SIZE(report); ++i) {
        PyObject *item = PyTuple_GET_ITEM(report, i);
        bool is_id = PyLong_CheckExact(item);
        if (is_id) {
            concerns = PyLong_AsLongLong(item) != here;
        }
        told = told || (concerns && !is_id);
        if (concerns && PyList_Append(others.get(), item) < 0) {
            return nullptr;
        }
    }
    return others && told ? PyList_AsTuple(others.get()) : nullptr;
}

void attach_report(PyObject *exception, PyObject *report, SharedCell *home)
{
    PyObject *type = remote_traceback(*owner_of(_PyThreadState_GET()));
    PyObject *cause = type != nullptr ? PyObject_CallNoArgs(type) : nullptr;
    if (cause == nullptr) {
        PyErr_Clear();
        if (home != nullptr) {
            drop_handle(*home);
        }
        return;
    }
    auto *traceback = reinterpret_cast<TracebackObject *>(cause);
    traceback->report = Py_NewRef(report);
    traceback->home = home;
    if (home != nullptr) {
        traceback->stands_for = exception;
        traceback->made_of = Py_XNewRef(what_it_is_made_of(exception));
    }
    PyException_SetCause(exception, cause);
}

PyObject *report_with(PyObject *exception)
{
    TracebackObject *brought = brought_by(exception);
    return brought == nullptr ? nullptr : brought->report;
}

SharedCell *home_of(PyObject *exception)
{
    TracebackObject *brought = brought_by(exception);
    if (brought == nullptr || brought->home == nullptr || brought->stands_for != exception
        || brought->made_of != what_it_is_made_of(exception) || brought->home->load().dead()) {
        return nullptr;
    }
    return brought->home;
}

PyObject *make_remote_traceback_class()
{
    return PyType_FromSpecWithBases(&traceback_spec, PyExc_Exception);
}

}  // namespace pyshared
