// SPDX-License-Identifier: PSF-2.0
// The exception classes of the machinery, made for an interpreter when it first needs them.
//
// Owner:    each interpreter has its own.
// Threads:  as for any object.
// Locks:    none.

#include "pyshared_error.hpp"

#include "pyshared_traceback.hpp"

#include "pycore_namespace.h"

namespace pyshared {
namespace {

struct RemoteErrorObject {
    PyBaseExceptionObject base;
    PyObject *exception;    // a proxy of what it stands for, or null
    PyObject *described;    // (module, qualified name, message, report or None), or null
};

RemoteErrorObject &as_remote_error(PyObject *self)
{
    return *reinterpret_cast<RemoteErrorObject *>(self);
}

PyObject *value_or_none(PyObject *value)
{
    return Py_NewRef(value == nullptr ? Py_None : value);
}

PyObject *get_exception(PyObject *self, void *)
{
    return value_or_none(as_remote_error(self).exception);
}

PyObject *namespace_of(PyObject *values)
{
    Ref owned = Ref::steal(values);
    return owned ? _PyNamespace_New(owned.get()) : nullptr;
}

// What can be asked of the type.
PyObject *describe_type(PyObject *module, PyObject *name)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(name);
    Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, size, -1);
    Ref last = Ref::steal(PyUnicode_Substring(name, dot + 1, size));
    return last ? namespace_of(Py_BuildValue("{sOsOsO}", "__name__", last.get(), "__qualname__",
                                             name, "__module__", module))
                : nullptr;
}

PyObject *get_excinfo(PyObject *self, void *)
{
    PyObject *described = as_remote_error(self).described;
    PyObject *module, *name, *message, *report;
    if (described == nullptr) {
        Py_RETURN_NONE;
    }
    if (!PyArg_ParseTuple(described, "UUUO", &module, &name, &message, &report)) {
        return nullptr;
    }
    Ref type = Ref::steal(describe_type(module, name));
    Ref last_line = Ref::steal(type ? PyUnicode_FromFormat("%U: %U", name, message) : nullptr);
    if (!last_line) {
        return nullptr;
    }
    Ref traceback = Ref::steal(report == Py_None ? Py_NewRef(Py_None) : format_report(report));
    if (!traceback) {
        return nullptr;
    }
    Ref formatted = traceback.get() == Py_None
                        ? std::move(last_line)
                        : Ref::steal(PyUnicode_FromFormat("%U\n%U", traceback.get(),
                                                          last_line.get()));
    if (!formatted) {
        return nullptr;
    }
    return namespace_of(Py_BuildValue("{sOsOsO}", "type", type.get(), "msg", message, "formatted",
                                      formatted.get()));
}

int remote_error_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(as_remote_error(self).exception);
    Py_VISIT(as_remote_error(self).described);
    return reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_traverse(self, visit, arg);
}

int remote_error_clear(PyObject *self)
{
    Py_CLEAR(as_remote_error(self).exception);
    Py_CLEAR(as_remote_error(self).described);
    return reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_clear(self);
}

void remote_error_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)remote_error_clear(self);
    reinterpret_cast<PyTypeObject *>(PyExc_Exception)->tp_dealloc(self);
    Py_DECREF(type);
}

constexpr const char *kRemoteErrorDoc =
    "An exception of another interpreter whose class this one cannot have.\n\n"
    "exception -- a proxy of the exception itself\n"
    "excinfo   -- its type, message and formatted traceback";

PyGetSetDef remote_error_getset[] = {
    {"exception", get_exception, nullptr, "A proxy of the exception itself.", nullptr},
    {"excinfo", get_excinfo, nullptr, "Its type, message and formatted traceback.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot remote_error_slots[] = {
    {Py_tp_doc, const_cast<char *>(kRemoteErrorDoc)},
    {Py_tp_traverse, reinterpret_cast<void *>(remote_error_traverse)},
    {Py_tp_clear, reinterpret_cast<void *>(remote_error_clear)},
    {Py_tp_dealloc, reinterpret_cast<void *>(remote_error_dealloc)},
    {Py_tp_getset, remote_error_getset},
    {0, nullptr},
};

PyType_Spec remote_error_spec = {
    .name = "concurrent.interpreters.RemoteError",
    .basicsize = sizeof(RemoteErrorObject),
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = remote_error_slots,
};

PyObject *make_dead_proxy_error()
{
    Ref bases = Ref::steal(PyTuple_Pack(2, PyExc_RuntimeError, PyExc_ReferenceError));
    return bases ? PyErr_NewExceptionWithDoc(
                       "concurrent.interpreters.DeadProxyError",
                       "A proxy was used whose object is gone.\n\n"
                       "The message says what was wrapped, by which interpreter, and why it is "
                       "dead: its\n"
                       "scope was closed, it was released or revoked, or its owner was closed.",
                       bases.get(), nullptr)
                 : nullptr;
}

}  // namespace

PyObject *dead_proxy_error(Owner &here)
{
    if (here.dead_proxy_error == nullptr) {
        here.dead_proxy_error = make_dead_proxy_error();
    }
    return here.dead_proxy_error;
}

PyObject *remote_error(Owner &here)
{
    if (here.remote_error == nullptr) {
        here.remote_error = PyType_FromSpecWithBases(&remote_error_spec, PyExc_InterpreterError);
    }
    return here.remote_error;
}

PyObject *remote_traceback(Owner &here)
{
    if (here.remote_traceback == nullptr) {
        here.remote_traceback = make_remote_traceback_class();
    }
    return here.remote_traceback;
}

PyObject *make_remote_error(PyObject *described, PyObject *proxy)
{
    PyObject *type = remote_error(*owner_of(_PyThreadState_GET()));
    PyObject *module = PyTuple_GET_ITEM(described, 0);
    PyObject *name = PyTuple_GET_ITEM(described, 1);
    PyObject *message = PyTuple_GET_ITEM(described, 2);
    Ref text = Ref::steal(PyUnicode_FromFormat("%U.%U: %U", module, name, message));
    if (type == nullptr || !text) {
        return nullptr;
    }
    PyObject *error = PyObject_CallOneArg(type, text.get());
    if (error != nullptr) {
        as_remote_error(error).exception = Py_NewRef(proxy);
        as_remote_error(error).described = Py_NewRef(described);
    }
    return error;
}

RemoteParts remote_parts(PyObject *exception)
{
    PyObject *type = owner_of(_PyThreadState_GET())->remote_error;
    if (type == nullptr || !Py_IS_TYPE(exception, reinterpret_cast<PyTypeObject *>(type))) {
        return {};
    }
    RemoteErrorObject &error = as_remote_error(exception);
    return {error.described, error.exception};
}

}  // namespace pyshared
