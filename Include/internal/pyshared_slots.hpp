// SPDX-License-Identifier: PSF-2.0
// What the slots of the proxy type do, by the file that does it.
//
// Each function is a slot or a method of SharedObjectProxy: attached to the interpreter of the
// proxy, references as its slot has them, an exception set on failure.

#pragma once

#include "pyshared_proxy.hpp"

namespace pyshared {

// sharedslots.cpp

PyObject *proxy_vectorcall(PyObject *self, PyObject *const *arguments, size_t nargsf,
                           PyObject *names);
PyObject *proxy_repr(PyObject *self);
PyObject *proxy_str(PyObject *self);
PyObject *proxy_compare(PyObject *self, PyObject *other, int op);
PyObject *proxy_next(PyObject *self);
PyObject *proxy_getattro(PyObject *self, PyObject *name);
int proxy_setattro(PyObject *self, PyObject *name, PyObject *value);

// The object's own __enter__ and __exit__.
PyObject *enter_object(PyObject *self);
PyObject *exit_object(PyObject *self, PyObject *const *args, Py_ssize_t count);

extern PyMethodDef proxy_methods[];
extern PyNumberMethods proxy_as_number;
extern PySequenceMethods proxy_as_sequence;
extern PyMappingMethods proxy_as_mapping;
extern PyAsyncMethods proxy_as_async;

// sharedwith.cpp

PyObject *proxy_enter(PyObject *self, PyObject *);
PyObject *proxy_exit(PyObject *self, PyObject *const *args, Py_ssize_t count);

// Forget the scope that entering the proxy opened; it stays open.
void forget_open_with(Owner &here, ProxyObject &proxy);

// sharedbuffer.cpp

int proxy_get_buffer(PyObject *self, Py_buffer *view, int flags);
void proxy_release_buffer(PyObject *self, Py_buffer *view);

// Is the object what stands for a buffer that others hold?
// Tstate: attached to the object's interpreter.
bool is_export(PyObject *object);

// sharedclass.cpp

// What can be told of an object without entering its owner: bits of _PyShared_CALLABLE, ...
// Its type alone decides.
// Tstate: attached to the owner.  Locks: its local lock held.  Python: none runs.
uint16_t shape_of(Owner &here, PyObject *object);

// p.__class__
PyObject *proxy_class(PyObject *self);

// sharedexcept.cpp

// p.__subclasscheck__(cls)
PyObject *proxy_subclass_check(PyObject *self, PyObject *cls);

}  // namespace pyshared
