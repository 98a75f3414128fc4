/* SPDX-License-Identifier: PSF-2.0 */
/* Shared objects: use any Python object from any interpreter.

   This is the part of the sharing machinery that extensions and embedders
   may rely on; the rest is private. */

#ifndef Py_CPYTHON_SHAREDOBJECT_H
#define Py_CPYTHON_SHAREDOBJECT_H
#ifndef Py_LIMITED_API
#ifdef __cplusplus
extern "C" {
#endif

/* The type of every proxy: one static type, the same address in every
   interpreter, final.  A proxy is an ordinary counted object of the
   interpreter that uses it. */
PyAPI_DATA(PyTypeObject) PySharedObjectProxy_Type;

#define PySharedObjectProxy_Check(op) Py_IS_TYPE((op), &PySharedObjectProxy_Type)

/* Return obj in a form that any interpreter can use: obj itself if it is
   natively shareable, the result of its type's __share__ if there is one, a
   proxy otherwise.
   Tstate: attached.  Refs: obj borrowed, result new.
   Errors: NULL with an exception set. */
PyAPI_FUNC(PyObject *) PyShared_Share(PyObject *obj);

/* Return a proxy of obj, whatever obj is.
   Tstate: attached.  Refs: obj borrowed, result new.
   Errors: NULL with an exception set. */
PyAPI_FUNC(PyObject *) PyShared_Wrap(PyObject *obj);

/* Return 1 if the proxy can still be used, 0 if it is dead, without entering
   the owner.
   Tstate: attached.  Refs: borrowed.
   Errors: -1 with TypeError if op is not a proxy. */
PyAPI_FUNC(int) PyShared_IsAlive(PyObject *op);

#ifdef __cplusplus
}
#endif
#endif /* !Py_LIMITED_API */
#endif /* !Py_CPYTHON_SHAREDOBJECT_H */
