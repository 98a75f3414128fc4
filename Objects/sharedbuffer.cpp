// SPDX-License-Identifier: PSF-2.0
// memoryview(proxy): the owner's memory itself, without a copy.
//
// A capsule in the owner holds the object's Py_buffer; a cell of the capsule stands for the hold
// of whoever uses the memory.  Letting go is dropping the cell's handle, so it may happen inside a
// deallocation: the owner releases its buffer when it drains, as with any object.
//
// Owner:    the capsule and the buffer belong to the owner; `exports` of its record counts them.
// Threads:  a buffer may be let go by any thread of the interpreter that uses it.
// Locks:    none.
// Shutdown: an owner with exports is not closed; at process exit its cells of exports are passed
//           over and its memory stays (see _PyShared_InterpreterRetire, _PyShared_InterpreterDelete).
// See:      Doc/sharing.md, "Buffers"; Lib/test/test_sharing/test_protocols.py.

#include "pyshared_slots.hpp"

#include "pyshared_operation.hpp"

namespace pyshared {
namespace {

// What the caller's Py_buffer points into, so in place until the capsule goes.
struct Export {
    Py_buffer source;
    Owner *owner;       // of this interpreter, which outlives its capsules
};

constexpr const char *kCapsuleName = "concurrent.interpreters exported buffer";

// Tstate: attached to the owner.
void destroy_export(PyObject *capsule)
{
    auto *exported = static_cast<Export *>(PyCapsule_GetPointer(capsule, kCapsuleName));
    PyBuffer_Release(&exported->source);
    exported->owner->exports.fetch_sub(1, std::memory_order_acq_rel);
    PyMem_RawFree(exported);
}

// Tstate: attached to the owner.  Refs: result new.
PyObject *make_export(PyObject *object, int flags, Py_buffer *view)
{
    auto *exported = static_cast<Export *>(PyMem_RawMalloc(sizeof(Export)));
    if (exported == nullptr) {
        return PyErr_NoMemory();
    }
    if (PyObject_GetBuffer(object, &exported->source, flags) < 0) {
        PyMem_RawFree(exported);
        return nullptr;
    }
    exported->owner = owner_of(_PyThreadState_GET());
    PyObject *capsule = PyCapsule_New(exported, kCapsuleName, destroy_export);
    if (capsule == nullptr) {
        PyBuffer_Release(&exported->source);
        PyMem_RawFree(exported);
        return nullptr;
    }
    exported->owner->exports.fetch_add(1, std::memory_order_acq_rel);
    *view = exported->source;
    return capsule;
}

// Tstate: attached to the owner.  Refs: the caller gets one handle.
SharedCell *make_export_cell(PyObject *object, int flags, Py_buffer *view)
{
    Ref capsule = Ref::steal(make_export(object, flags, view));
    return capsule ? cell_for(*owner_of(_PyThreadState_GET()), capsule.get(), nullptr) : nullptr;
}

}  // namespace

bool is_export(PyObject *object)
{
    return PyCapsule_IsValid(object, kCapsuleName);
}

int proxy_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    if (view == nullptr) {
        PyErr_SetString(PyExc_BufferError, "a buffer was asked for without a view of it");
        return -1;
    }
    view->obj = nullptr;
    Ref object;
    Home home = find_at_home(self, object);
    if (home != Home::kElsewhere) {
        return home == Home::kHere ? PyObject_GetBuffer(object.get(), view, flags) : -1;
    }
    Operation operation(self);
    if (!operation.start() || !operation.enter()) {
        return -1;
    }
    SharedCell *cell = make_export_cell(operation.object(), flags, view);
    view->obj = nullptr;
    if (cell == nullptr) {
        operation.pack_error();
    }
    operation.leave();
    if (!operation.check_error()) {
        return -1;
    }
    view->obj = Py_NewRef(self);
    view->internal = cell;
    return 0;
}

void proxy_release_buffer(PyObject *, Py_buffer *view)
{
    drop_handle(*static_cast<SharedCell *>(view->internal));
}

}  // namespace pyshared
