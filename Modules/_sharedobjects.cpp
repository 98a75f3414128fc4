// SPDX-License-Identifier: PSF-2.0
// The _sharedobjects module: what concurrent.interpreters builds its sharing API on.
//
// Module definition and argument checks only; the logic is in Objects/ and Python/.

#include "pyshared_census.hpp"
#include "pyshared_parcel.hpp"
#include "pyshared_proxy.hpp"
#include "pyshared_request.hpp"
#include "pyshared_scope.hpp"
#include "pyshared_transit.hpp"

#include <new>
#include <utility>

using namespace pyshared;

namespace {

constexpr const char *kModuleName = "_sharedobjects";

ProxyObject *check_proxy(PyObject *object, const char *function)
{
    if (!PySharedObjectProxy_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s() needs a SharedObjectProxy, not '%T'", function, object);
        return nullptr;
    }
    return as_proxy(object);
}

// What a function makes of a proxy's cell.
// Errors: null with TypeError if it is no proxy, DeadProxyError if it was released, or the function's.
template <class MakeOf>
PyObject *ask_cell(PyObject *object, const char *function, MakeOf make_of)
{
    ProxyObject *proxy = check_proxy(object, function);
    if (proxy == nullptr) {
        return nullptr;
    }
    ProxyUse use(*proxy);
    if (!use) {
        raise_released(*proxy);
        return nullptr;
    }
    return make_of(*proxy->cell);
}

// What share() does with a proxy: one that is in a scope gets a companion outside it.
PyObject *share_proxy(PyObject *object)
{
    ProxyObject &proxy = *as_proxy(object);
    ProxyUse use(proxy);
    if (!use || !is_alive(proxy) || scope_of(proxy) == nullptr) {
        return Py_NewRef(object);
    }
    return wrap_in_scope(object, nullptr, Arming::kArmed);
}

PyObject *share_object(PyObject *object)
{
    if (PySharedObjectProxy_Check(object)) {
        return share_proxy(object);
    }
    int native = is_native(object);
    if (native != 0) {
        return native < 0 ? nullptr : Py_NewRef(object);
    }
    PyObject *shared = call_share_method(object);
    if (shared != nullptr || PyErr_Occurred()) {
        return shared;
    }
    return wrap(object, nullptr, Arming::kArmed);
}

PyDoc_STRVAR(share_doc,
"share($module, obj, /)\n--\n\n"
"Return obj in a form that any interpreter can use.\n\n"
"Natively shareable objects are returned as they are, and so is what a type's\n"
"__share__ method answers; anything else is wrapped in a proxy whose operations\n"
"run in this interpreter.  The object lives while any interpreter holds the\n"
"proxy or one that was sent on.\n\n"
"    with share(obj) as proxy:\n"
"        ...\n\n"
"limits that to the block: when it ends, the proxy and everything that came out\n"
"of it are dead, in every interpreter.");

PyObject *share(PyObject *, PyObject *object)
{
    return share_object(object);
}

PyDoc_STRVAR(share_forever_doc,
"share_forever($module, obj, /)\n--\n\n"
"Like share(), but the proxy is immortal and lives until this interpreter ends.\n\n"
"For objects that every interpreter uses all the time: a logger, a registry.");

PyObject *share_forever(PyObject *, PyObject *object)
{
    Ref shared = Ref::steal(share_object(object));
    if (shared && PySharedObjectProxy_Check(shared.get())) {
        as_proxy(shared.get())->armed.clear();
        make_immortal(*as_proxy(shared.get()));
    }
    return shared.release();
}

PyDoc_STRVAR(is_alive_doc,
"is_alive($module, proxy, /)\n--\n\n"
"Return whether the proxy can still be used, without entering its owner.");

PyObject *is_alive(PyObject *, PyObject *object)
{
    int alive = PyShared_IsAlive(object);
    return alive < 0 ? nullptr : PyBool_FromLong(alive);
}

PyDoc_STRVAR(owner_id_doc,
"owner_id($module, proxy, /)\n--\n\n"
"Return the ID of the interpreter that owns the object.");

PyObject *owner_id(PyObject *, PyObject *object)
{
    return ask_cell(object, "owner", [](SharedCell &cell) {
        return PyLong_FromLongLong(cell.owner->interp_id);
    });
}

PyDoc_STRVAR(release_doc,
"release($module, proxy, /)\n--\n\n"
"Give up this interpreter's hold on the object now.\n\n"
"The proxy is dead here; proxies of the same object elsewhere live on.\n"
"Idempotent, and never waits.");

PyObject *release(PyObject *, PyObject *object)
{
    ProxyObject *proxy = check_proxy(object, "release");
    if (proxy == nullptr) {
        return nullptr;
    }
    release_proxy(*proxy);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(revoke_doc,
"revoke($module, proxy, /)\n--\n\n"
"Kill every proxy of the object, everywhere, now.\n\n"
"The owner's right: InterpreterError in any other interpreter.");

PyObject *revoke(PyObject *, PyObject *object)
{
    return ask_cell(object, "revoke", [](SharedCell &cell) {
        Owner &here = *owner_of(_PyThreadState_GET());
        if (cell.owner != &here) {
            return PyErr_Format(PyExc_InterpreterError,
                                "only the owner, interpreter %lld, may revoke its proxies",
                                static_cast<long long>(cell.owner->interp_id));
        }
        revoke_object(here, cell);
        return Py_NewRef(Py_None);
    });
}

PyDoc_STRVAR(share_token_doc,
"share_token($module, proxy, /)\n--\n\n"
"Return bytes by which SharedObjectProxy.from_token() finds the object again.\n\n"
"A token holds no reference.  It never resolves to another object.");

PyObject *share_token(PyObject *, PyObject *object)
{
    return ask_cell(object, "share_token", [object](SharedCell &cell) {
        as_proxy(object)->armed.clear();
        return make_token(cell);
    });
}

PyDoc_STRVAR(arrive_doc,
"_arrive($module, token, /)\n--\n\n"
"What a proxy that was pickled to cross arrives as.");

PyObject *arrive(PyObject *, PyObject *bytes)
{
    SharedCell *cell = resolve_token(bytes);
    return cell == nullptr ? nullptr : receive_cell(*cell);
}

PyDoc_STRVAR(is_shareable_doc,
"is_shareable($module, obj, /)\n--\n\n"
"Return whether obj crosses to another interpreter without being pickled.\n\n"
"True for values that cross natively, for proxies, and for objects whose type\n"
"has a __share__ method.  Only the type is looked at: a tuple is shareable\n"
"whatever is in it.  The constants and classes that all interpreters have in\n"
"common (Ellipsis, int, ...) are not called shareable, as upstream has it.");

PyObject *is_shareable(PyObject *, PyObject *object)
{
    if (PySharedObjectProxy_Check(object) || crosses_by_value(Py_TYPE(object))) {
        Py_RETURN_TRUE;
    }
    _PyXIData_getdata_t getdata = _PyXIData_Lookup(_PyThreadState_GET(), object);
    if (PyErr_Occurred()) {
        return nullptr;
    }
    return PyBool_FromLong(getdata.basic != nullptr || getdata.fallback != nullptr);
}

PyDoc_STRVAR(register_interpreter_doc,
"register_interpreter($module, cls, /)\n--\n\n"
"Let instances of the class cross as the interpreter's ID.");

PyDoc_STRVAR(register_copied_doc,
"register_copied($module, cls, /)\n--\n\n"
"Let instances of the class cross as a pickled copy of their attribute `object`.");

PyDoc_STRVAR(register_rebuilt_doc,
"register_rebuilt($module, cls, /)\n--\n\n"
"Let instances of the class cross as their _parts(), to be rebuilt on arrival.");

template <int (*Function)(PyObject *)> PyObject *call_with(PyObject *, PyObject *object)
{
    if (Function(object) < 0) {
        return nullptr;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(check_crossing_doc,
"check_crossing($module, obj, /)\n--\n\n"
"Raise an exception if the object cannot go through a queue or a call.");

PyDoc_STRVAR(check_pickling_doc,
"check_pickling($module, obj, /)\n--\n\n"
"Raise an exception if the object cannot cross inside of what is pickled.");

PyDoc_STRVAR(check_packing_doc,
"check_packing($module, obj, /)\n--\n\n"
"Raise an exception if the object cannot be an argument of a proxy's method.");

PyDoc_STRVAR(refuse_bases_doc,
"refuse_bases($module, bases, /)\n--\n\n"
"Raise TypeError if one of a tuple of bases is a proxy.");

int refuse_bases(PyObject *bases)
{
    Ref all = Ref::steal(PySequence_Tuple(bases));
    return all && _PyShared_RefuseBases(all.get()) == 0 ? 0 : -1;
}

PyDoc_STRVAR(unwrap_doc,
"unwrap($module, obj, /)\n--\n\n"
"Return the object behind a proxy, in its owner; anything else as it is.");

PyObject *unwrap(PyObject *, PyObject *object)
{
    return unwrap_home(object);
}

PyDoc_STRVAR(prepare_copy_doc,
"prepare_copy($module, proxy, function, /)\n--\n\n"
"Call a function of the module _copying with the proxy's object, in its owner.");

PyObject *prepare_copy_of(PyObject *, PyObject *args)
{
    PyObject *proxy;
    const char *function;
    if (!PyArg_ParseTuple(args, "Os", &proxy, &function)
        || check_proxy(proxy, "prepare_copy") == nullptr) {
        return nullptr;
    }
    return prepare_copy(proxy, function);
}

PyDoc_STRVAR(share_stats_doc,
"share_stats($module, /)\n--\n\n"
"Return counters of the sharing machinery, for the whole process, as a dict.\n\n"
"cells_live, cells_peak, cells_capacity, cells_recycled, cells_retired, bytes,\n"
"releases_pending, switches");

PyObject *share_stats(PyObject *, PyObject *)
{
    PoolStats stats = cell_pool().stats();
    using Counter = unsigned long long;
    return Py_BuildValue("{sKsKsKsKsKsKsKsK}", "cells_live", Counter{stats.live}, "cells_peak",
                         Counter{stats.peak}, "cells_capacity", Counter{stats.capacity},
                         "cells_recycled", Counter{stats.recycled}, "cells_retired",
                         Counter{stats.retired}, "bytes", Counter{stats.bytes},
                         "releases_pending", Counter{count_pending_releases()}, "switches",
                         Counter{count_switches()});
}

PyDoc_STRVAR(shared_objects_doc,
"_shared_objects($module, /)\n--\n\n"
"Return a tuple for each object that is shared now; see SharedObject.");

PyObject *shared_objects(PyObject *, PyObject *)
{
    return list_shared_objects();
}

PyDoc_STRVAR(ask_doc,
"_ask($module, interp_id, reply, work, /)\n--\n\n"
"Ask an interpreter to do work, a tuple (callable, args, kwargs or None).\n\n"
"reply is called once: with a function that does it, or with None if the\n"
"interpreter ends first.");

PyObject *ask_interpreter(PyObject *, PyObject *args)
{
    long long interp_id;
    PyObject *reply;
    PyObject *work;
    if (!PyArg_ParseTuple(args, "LOO!:_ask", &interp_id, &reply, &PyTuple_Type, &work)
        || ask(interp_id, reply, work) < 0) {
        return nullptr;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(serve_doc,
"_serve($module, interp_id, /)\n--\n\n"
"Do, in that interpreter, what it was asked to and has not come to yet.");

PyObject *serve(PyObject *, PyObject *id)
{
    long long interp_id = PyLong_AsLongLong(id);
    if (interp_id == -1 && PyErr_Occurred()) {
        return nullptr;
    }
    serve_there(interp_id);
    Py_RETURN_NONE;
}

// Scopes, as the Python part of the API holds them

struct ScopeObject {
    PyObject_HEAD
    Scope *scope;
};

PyObject *scope_new(PyTypeObject *type, PyObject *, PyObject *)
{
    auto *self = reinterpret_cast<ScopeObject *>(type->tp_alloc(type, 0));
    if (self == nullptr) {
        return nullptr;
    }
    self->scope = Scope::create();
    if (self->scope == nullptr) {
        Py_DECREF(self);
        return nullptr;
    }
    return reinterpret_cast<PyObject *>(self);
}

void scope_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (Scope *scope = reinterpret_cast<ScopeObject *>(self)->scope) {
        scope->release();
    }
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *scope_wrap(PyObject *self, PyObject *object)
{
    return wrap_in_scope(object, reinterpret_cast<ScopeObject *>(self)->scope, Arming::kPlain);
}

PyObject *scope_close(PyObject *self, PyObject *)
{
    reinterpret_cast<ScopeObject *>(self)->scope->close();
    Py_RETURN_NONE;
}

PyObject *scope_is_open(PyObject *self, void *)
{
    return PyBool_FromLong(reinterpret_cast<ScopeObject *>(self)->scope->is_open());
}

PyMethodDef scope_methods[] = {
    {"wrap", scope_wrap, METH_O,
     PyDoc_STR("wrap($self, obj, /)\n--\n\nReturn a proxy of obj in the scope.")},
    {"close", scope_close, METH_NOARGS,
     PyDoc_STR("close($self, /)\n--\n\nKill every proxy of the scope.  Idempotent.")},
    {},
};

PyObject *scope_number(PyObject *self, void *)
{
    return PyLong_FromUnsignedLongLong(reinterpret_cast<ScopeObject *>(self)->scope->number());
}

PyGetSetDef scope_getset[] = {
    {"number", scope_number, nullptr, PyDoc_STR("What tells it from other scopes."), nullptr},
    {"is_open", scope_is_open, nullptr, PyDoc_STR("False once the scope was closed."), nullptr},
    {},
};

PyType_Slot scope_slots[] = {
    {Py_tp_doc, const_cast<char *>("Scope()\n--\n\nProxies that die together.")},
    {Py_tp_new, reinterpret_cast<void *>(scope_new)},
    {Py_tp_dealloc, reinterpret_cast<void *>(scope_dealloc)},
    {Py_tp_methods, scope_methods},
    {Py_tp_getset, scope_getset},
    {},
};

PyType_Spec scope_spec = {
    .name = "_sharedobjects.Scope",
    .basicsize = sizeof(ScopeObject),
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = scope_slots,
};

int module_exec(PyObject *module)
{
    Owner &here = *owner_of(_PyThreadState_GET());
    Ref scope = Ref::steal(PyType_FromModuleAndSpec(module, &scope_spec, nullptr));
    PyObject *dead = dead_proxy_error(here);
    PyObject *remote = remote_error(here);
    PyObject *traceback = remote_traceback(here);
    if (!scope || dead == nullptr || remote == nullptr || traceback == nullptr
        || PyModule_AddObjectRef(module, "Scope", scope.get()) < 0
        || PyModule_AddObjectRef(module, "DeadProxyError", dead) < 0
        || PyModule_AddObjectRef(module, "RemoteError", remote) < 0
        || PyModule_AddObjectRef(module, "RemoteTraceback", traceback) < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "SharedObjectProxy",
                                 reinterpret_cast<PyObject *>(&PySharedObjectProxy_Type));
}

PyMethodDef module_methods[] = {
    {"share", share, METH_O, share_doc},
    {"share_forever", share_forever, METH_O, share_forever_doc},
    {"is_alive", is_alive, METH_O, is_alive_doc},
    {"owner_id", owner_id, METH_O, owner_id_doc},
    {"release", release, METH_O, release_doc},
    {"revoke", revoke, METH_O, revoke_doc},
    {"share_token", share_token, METH_O, share_token_doc},
    {"share_stats", share_stats, METH_NOARGS, share_stats_doc},
    {"_shared_objects", shared_objects, METH_NOARGS, shared_objects_doc},
    {"_ask", ask_interpreter, METH_VARARGS, ask_doc},
    {"_serve", serve, METH_O, serve_doc},
    {"is_shareable", is_shareable, METH_O, is_shareable_doc},
    {"register_interpreter", call_with<register_interpreter_class>, METH_O,
     register_interpreter_doc},
    {"register_copied", call_with<register_copied_class>, METH_O, register_copied_doc},
    {"register_rebuilt", call_with<register_rebuilt_class>, METH_O, register_rebuilt_doc},
    {"check_crossing", call_with<check_crossing>, METH_O, check_crossing_doc},
    {"check_pickling", call_with<check_pickling>, METH_O, check_pickling_doc},
    {"check_packing", call_with<check_packing>, METH_O, check_packing_doc},
    {"refuse_bases", call_with<refuse_bases>, METH_O, refuse_bases_doc},
    {"unwrap", unwrap, METH_O, unwrap_doc},
    {"prepare_copy", prepare_copy_of, METH_VARARGS, prepare_copy_doc},
    {"_arrive", arrive, METH_O, arrive_doc},
    {},
};

PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(module_exec)},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {},
};

PyModuleDef module_definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = kModuleName,
    .m_doc = PyDoc_STR("Use objects of one interpreter in another.  See concurrent.interpreters."),
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = nullptr,
    .m_clear = nullptr,
    .m_free = nullptr,
};

}  // namespace

extern "C" {

PyMODINIT_FUNC PyInit__sharedobjects(void)
{
    return PyModuleDef_Init(&module_definition);
}

PyObject *PyShared_Share(PyObject *object)
{
    return share_object(object);
}

PyObject *PyShared_Wrap(PyObject *object)
{
    return wrap(object, nullptr, Arming::kPlain);
}

int PyShared_IsAlive(PyObject *object)
{
    ProxyObject *proxy = check_proxy(object, "is_alive");
    return proxy == nullptr ? -1 : pyshared::is_alive(*proxy);
}

}  // extern "C"
