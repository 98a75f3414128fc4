// SPDX-License-Identifier: PSF-2.0
// SharedObjectProxy: the life of a proxy, and its type.
//
// Owner:    a proxy belongs to the interpreter that uses it; its object to the cell's owner.
// Threads:  as for any object; what a proxy shares with other interpreters is in its cell.
// Locks:    the local lock of the interpreter, for the table of proxies.
// Python:   deallocation runs none: it gives a handle back, and the owner does the rest.
// See:      pyshared_proxy.hpp; pyshared_slots.hpp for what the slots do.

#include "pyshared_slots.hpp"

#include "pyshared_operation.hpp"
#include "pyshared_scope.hpp"

#include <cstddef>
#include <new>
#include <utility>

namespace pyshared {
namespace {

// Proxies come and go: an interpreter keeps a few freed ones.  Free-threaded builds have none, where
// a lock would cost what is saved.

ProxyObject *take_spare(Owner &here)
{
    ProxyObject *proxy = here.spare_proxies;
    if (proxy != nullptr) {
        here.spare_proxies = proxy->next_in_bucket;
        --here.spare_proxy_count;
        _Py_NewReference(reinterpret_cast<PyObject *>(proxy));
    }
    return proxy;
}

void free_proxy(Owner &here, ProxyObject &proxy)
{
    if (kFreeThreaded || here.spare_proxy_count >= Owner::kMostSpareProxies) {
        PyObject_GC_Del(&proxy);
        return;
    }
    proxy.next_in_bucket = std::exchange(here.spare_proxies, &proxy);
    ++here.spare_proxy_count;
}

// From here on none is kept.
void free_spares(Owner &here)
{
    while (ProxyObject *proxy = here.spare_proxies) {
        here.spare_proxies = proxy->next_in_bucket;
        PyObject_GC_Del(proxy);
    }
    here.spare_proxy_count = Owner::kMostSpareProxies;
}

// Whichever thread drops a proxy last destroys it.  On free-threaded builds no thread therefore owns its
// count: one that the maker owned would be left to the maker, which may sleep, or be inside another
// interpreter.  It can be looked up without further ado as well (_Py_TryIncref).
void disown_count([[maybe_unused]] PyObject *fresh)
{
#ifdef Py_GIL_DISABLED
    _Py_atomic_store_uintptr_relaxed(&fresh->ob_tid, _Py_UNOWNED_TID);
    _Py_atomic_store_uint32_relaxed(&fresh->ob_ref_local, 0);
    _Py_atomic_store_ssize_relaxed(&fresh->ob_ref_shared, _Py_REF_SHARED(1, _Py_REF_MERGED));
#endif
}

// The collector does not know it yet: what it knows, other threads may find and release.
ProxyObject *new_proxy(Owner &here, SharedCell &cell)
{
    ProxyObject *proxy = take_spare(here);
    if (proxy == nullptr) {
        proxy = PyObject_GC_New(ProxyObject, &PySharedObjectProxy_Type);
    }
    if (proxy == nullptr) {
        drop_handle(cell);
        return nullptr;
    }
    disown_count(reinterpret_cast<PyObject *>(proxy));
    proxy->cell = &cell;
    proxy->vectorcall = proxy_vectorcall;
    proxy->weakrefs = nullptr;
    proxy->next_in_bucket = nullptr;
    ::new (&proxy->uses) UseCount;
    ::new (&proxy->armed) Flag;
    proxy->in_table = false;
    ::new (&proxy->has_scope) Flag;
    proxy->owner_id = cell.owner->interp_id;
    return proxy;
}

ProxyObject *find_lock_held(Owner &here, const SharedCell &cell)
{
    return here.proxies.find(ProxyTableTraits::hash(&cell), [&](const ProxyObject &proxy) {
        return proxy.cell == &cell;
    });
}

// Null if there is none, or it is on its way out.
ProxyObject *find(Owner &here, const SharedCell &cell)
{
    LocalLock lock(here);
    ProxyObject *proxy = find_lock_held(here, cell);
    if (proxy == nullptr || proxy->uses.released()) {
        return nullptr;
    }
    return _Py_TryIncref(reinterpret_cast<PyObject *>(proxy)) ? proxy : nullptr;
}

// Two threads may make a proxy of the same cell at once: the first one in the table is it.
PyObject *enter_in_table(Owner &here, ProxyObject *proxy)
{
    ProxyObject *first;
    {
        LocalLock lock(here);
        first = find_lock_held(here, *proxy->cell);
        if (first != nullptr && !_Py_TryIncref(reinterpret_cast<PyObject *>(first))) {
            // Dying: it waits for the lock, or for more stack to be destroyed on.
            here.proxies.remove(*first);
            first->in_table = false;
            first = nullptr;
        }
        if (first == nullptr) {
            PyObject_GC_Track(proxy);
            proxy->in_table = true;
            here.proxies.insert(*proxy);
            return reinterpret_cast<PyObject *>(proxy);
        }
    }
    Py_DECREF(proxy);
    return reinterpret_cast<PyObject *>(first);
}

void remove_lock_held(Owner &here, ProxyObject &proxy)
{
    if (std::exchange(proxy.in_table, false)) {
        here.proxies.remove(proxy);
    }
}

void remove_from_table(Owner &here, ProxyObject &proxy)
{
    LocalLock lock(here);
    remove_lock_held(here, proxy);
}

void proxy_dealloc(PyObject *self)
{
    ProxyObject &proxy = *as_proxy(self);
    PyObject_GC_UnTrack(self);
    Owner &here = *owner_of(_PyThreadState_GET());
    // First of all, so that what a weak reference's callback receives is not this proxy.
    remove_from_table(here, proxy);
    if (proxy.weakrefs != nullptr) {
        PyObject_ClearWeakRefs(self);
    }
    if (proxy.has_scope.is_set()) {
        forget_open_with(here, proxy);
    }
    give_up_handle(proxy);
    free_proxy(here, proxy);
}

// The object is ours to visit if it belongs to this interpreter and the proxy's handle is all that
// keeps it; otherwise others do, and it is a root.
bool is_ours_to_visit(const SharedCell &cell)
{
    CellWord word = cell.load();
    return cell.owner == owner_of(_PyInterpreterState_GET()) && word.handles() == 1 && !word.dead()
           && !word.queued();
}

int proxy_traverse(PyObject *self, visitproc visit, void *arg)
{
    SharedCell *cell = as_proxy(self)->cell;
    if (cell != nullptr && is_ours_to_visit(*cell)) {
        Py_VISIT(cell->object);
    }
    return 0;
}

// Any other proxy closes no cycle, and what is garbage may still be found in the table: another
// thread would be left with a released proxy.
int proxy_clear(PyObject *self)
{
    ProxyObject &proxy = *as_proxy(self);
    ProxyUse use(proxy);
    if (use && is_ours_to_visit(*proxy.cell)) {
        release_proxy(proxy);
    }
    return 0;
}

// A class statement, or type(), whose first base is a proxied class makes a call of this type.
bool refuse_class_statement(PyObject *args)
{
    return PyTuple_GET_SIZE(args) == 3 && PyTuple_Check(PyTuple_GET_ITEM(args, 1))
           && _PyShared_RefuseBases(PyTuple_GET_ITEM(args, 1)) != 0;
}

PyObject *proxy_new(PyTypeObject *, PyObject *args, PyObject *kwargs)
{
    PyObject *object;
    if (refuse_class_statement(args)) {
        return nullptr;
    }
    if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "SharedObjectProxy() takes no keyword arguments");
        return nullptr;
    }
    if (!PyArg_UnpackTuple(args, "SharedObjectProxy", 1, 1, &object)) {
        return nullptr;
    }
    return wrap(object, nullptr, Arming::kPlain);
}

constinit PyBufferProcs proxy_as_buffer = {
    .bf_getbuffer = proxy_get_buffer,
    .bf_releasebuffer = proxy_release_buffer,
};

constexpr const char *kProxyDoc = PyDoc_STR(
    "SharedObjectProxy(object, /)\n--\n\n"
    "A stand-in for an object, usable in any interpreter.\n\n"
    "Every operation runs in the interpreter that owns the object, on the calling thread.\n"
    "Arguments and results cross by value where they can and as proxies otherwise; a proxy\n"
    "that comes home is the object itself.  The object lives while any interpreter holds a\n"
    "proxy of it.  share() wraps only what needs it; this always does.");

}  // namespace

PyObject *proxy_for(Owner &here, SharedCell &cell)
{
    if (ProxyObject *known = find(here, cell)) {
        drop_handle(cell);
        return reinterpret_cast<PyObject *>(known);
    }
    ProxyObject *proxy = new_proxy(here, cell);
    return proxy == nullptr ? nullptr : enter_in_table(here, proxy);
}

PyObject *wrap_cell(Owner &here, SharedCell &cell, Arming arming)
{
    bool want_armed = arming == Arming::kArmed;
    ProxyObject *known = find(here, cell);
    if (known != nullptr && known->armed.is_set() == want_armed) {
        drop_handle(cell);
        return reinterpret_cast<PyObject *>(known);
    }
    ProxyObject *proxy = new_proxy(here, cell);
    if (proxy != nullptr && want_armed) {
        proxy->armed.set();
    }
    if (known != nullptr) {
        Py_DECREF(known);
        if (proxy != nullptr) {
            PyObject_GC_Track(proxy);
        }
        return reinterpret_cast<PyObject *>(proxy);
    }
    return proxy == nullptr ? nullptr : enter_in_table(here, proxy);
}

PyObject *wrap(PyObject *object, Scope *scope, Arming arming)
{
    Owner &here = *owner_of(_PyThreadState_GET());
    SharedCell *cell = cell_for(here, object, scope);
    return cell == nullptr ? nullptr : wrap_cell(here, *cell, arming);
}

PyObject *wrap_in_scope(PyObject *object, Scope *scope, Arming arming)
{
    if (!PySharedObjectProxy_Check(object)) {
        return wrap(object, scope, arming);
    }
    SharedCell *cell = cell_in_scope(object, scope);
    return cell == nullptr ? nullptr
                           : wrap_cell(*owner_of(_PyThreadState_GET()), *cell, arming);
}

PyObject *describe_released(const ProxyObject &proxy)
{
    return PyUnicode_FromFormat(
        "dead proxy of an object of interpreter %lld: it was released in this interpreter",
        static_cast<long long>(proxy.owner_id));
}

void raise_released(const ProxyObject &proxy)
{
    PyObject *type = dead_proxy_error(*owner_of(_PyThreadState_GET()));
    Ref message = Ref::steal(describe_released(proxy));
    if (message && type != nullptr) {
        PyErr_SetObject(type, message.get());
    }
}

bool is_alive(ProxyObject &proxy)
{
    ProxyUse use(proxy);
    if (!use) {
        return false;
    }
    const SharedCell &cell = *proxy.cell;
    return !cell.load().dead()
           && (cell.owner->gate.load(std::memory_order_acquire) & kGateClosing) == 0;
}

const Owner *owner_if_alive(ProxyObject &proxy)
{
    ProxyUse use(proxy);
    return use && !proxy.cell->load().dead() ? proxy.cell->owner : nullptr;
}

void give_up_handle(ProxyObject &proxy)
{
    if (SharedCell *cell = std::exchange(proxy.cell, nullptr)) {
        drop_handle(*cell);
    }
}

void release_proxy(ProxyObject &proxy)
{
    Owner &here = *owner_of(_PyThreadState_GET());
    remove_from_table(here, proxy);
    if (proxy.uses.set_released()) {
        give_up_handle(proxy);
    }
}

void make_immortal(ProxyObject &proxy)
{
    auto *object = reinterpret_cast<PyObject *>(&proxy);
    Owner &here = *owner_of(_PyThreadState_GET());
    LocalLock lock(here);
    if (_Py_IsImmortal(object)) {
        return;
    }
    remove_lock_held(here, proxy);
    PyObject_GC_UnTrack(object);
    make_immortal(object);
    proxy.next_in_bucket = std::exchange(here.immortal_proxies, &proxy);
}

void abandon_proxies(Owner &here)
{
    here.proxies.for_each([](ProxyObject &proxy) {
        proxy.in_table = false;
        proxy.next_in_bucket = nullptr;
        (void)proxy.uses.set_released();
        give_up_handle(proxy);
    });
    free_spares(here);
    while (ProxyObject *proxy = here.immortal_proxies) {
        here.immortal_proxies = proxy->next_in_bucket;
        give_up_handle(*proxy);
        PyObject_GC_Del(proxy);
    }
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

PyTypeObject PySharedObjectProxy_Type = {
    PyVarObject_HEAD_INIT(&PyType_Type, 0)
    .tp_name = "concurrent.interpreters.SharedObjectProxy",
    .tp_basicsize = sizeof(ProxyObject),
    .tp_itemsize = 0,
    .tp_dealloc = proxy_dealloc,
    .tp_repr = proxy_repr,
    .tp_as_async = &proxy_as_async,
    .tp_as_number = &proxy_as_number,
    .tp_as_sequence = &proxy_as_sequence,
    .tp_as_mapping = &proxy_as_mapping,
    .tp_hash = on_object<PyObject_Hash>,
    .tp_call = PyVectorcall_Call,
    .tp_str = proxy_str,
    .tp_getattro = proxy_getattro,
    .tp_setattro = proxy_setattro,
    .tp_as_buffer = &proxy_as_buffer,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_doc = kProxyDoc,
    .tp_traverse = proxy_traverse,
    .tp_clear = proxy_clear,
    .tp_richcompare = proxy_compare,
    .tp_weaklistoffset = offsetof(ProxyObject, weakrefs),
    .tp_iter = on_object<PyObject_GetIter>,
    .tp_iternext = proxy_next,
    .tp_methods = proxy_methods,
    .tp_new = proxy_new,
    .tp_vectorcall_offset = offsetof(ProxyObject, vectorcall),
};

int _PyShared_RefuseBases(PyObject *bases)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); i++) {
        PyObject *base = PyTuple_GET_ITEM(bases, i);
        if (Py_IS_TYPE(base, &PySharedObjectProxy_Type)) {
            PyErr_Format(PyExc_TypeError,
                         "cannot derive a class from %R, which belongs to another interpreter; "
                         "import the base class, or derive from it there",
                         base);
            return 1;
        }
    }
    return 0;
}

}  // extern "C"
