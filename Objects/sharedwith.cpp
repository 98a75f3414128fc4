// SPDX-License-Identifier: PSF-2.0
// `with share(obj) as proxy:` -- the scope that entering an armed proxy opens.
//
// Owner:    a record of the open scope belongs to the interpreter of the armed proxy.
// Threads:  as for any object.
// Locks:    the local lock of the interpreter, for the list of open scopes.
// Python:   closing a scope runs destructors, in their owners; forgetting one runs nothing.
// See:      Doc/sharing.md, "For a block"; Lib/test/test_sharing/test_scopes.py.

#include "pyshared_slots.hpp"

#include "pyshared_scope.hpp"

#include <utility>

namespace pyshared {
namespace {

OpenWith **find_open_with(Owner &here, const ProxyObject &proxy)
{
    OpenWith **link = &here.open_withs;
    while (*link != nullptr && (*link)->proxy != &proxy) {
        link = &(*link)->next;
    }
    return link;
}

PyObject *open_scope(PyObject *self)
{
    ProxyObject &proxy = *as_proxy(self);
    Owner &here = *owner_of(_PyThreadState_GET());
    auto *open = static_cast<OpenWith *>(PyMem_RawMalloc(sizeof(OpenWith)));
    if (open == nullptr) {
        return PyErr_NoMemory();
    }
    Scope *scope = Scope::create();
    if (scope == nullptr) {
        PyMem_RawFree(open);
        return nullptr;
    }
    PyObject *inner = wrap_in_scope(self, scope, Arming::kPlain);
    if (inner == nullptr) {
        scope->release();
        PyMem_RawFree(open);
        return nullptr;
    }
    LocalLock lock(here);
    *open = OpenWith{&proxy, scope, 0, here.open_withs};
    here.open_withs = open;
    proxy.has_scope.set();
    return inner;
}

// Is the matching __exit__ the object's own?  If not, the scope is handed over to be closed.
Scope *take_open_scope(ProxyObject &proxy)
{
    Owner &here = *owner_of(_PyThreadState_GET());
    OpenWith *open;
    {
        LocalLock lock(here);
        OpenWith **link = find_open_with(here, proxy);
        open = *link;
        if (open == nullptr || open->entered_again-- > 0) {
            return nullptr;
        }
        *link = open->next;
        proxy.has_scope.clear();
    }
    Scope *scope = open->scope;
    PyMem_RawFree(open);
    return scope;
}

}  // namespace

void forget_open_with(Owner &here, ProxyObject &proxy)
{
    OpenWith *open;
    {
        LocalLock lock(here);
        OpenWith **link = find_open_with(here, proxy);
        open = *link;
        if (open != nullptr) {
            *link = open->next;
        }
        proxy.has_scope.clear();
    }
    if (open != nullptr) {
        open->scope->release();
        PyMem_RawFree(open);
    }
}

PyObject *proxy_enter(PyObject *self, PyObject *)
{
    ProxyObject &proxy = *as_proxy(self);
    if (proxy.armed.take()) {
        PyObject *inner = open_scope(self);
        if (inner == nullptr) {
            proxy.armed.set();
        }
        return inner;
    }
    if (proxy.has_scope.is_set()) {
        Owner &here = *owner_of(_PyThreadState_GET());
        LocalLock lock(here);
        if (OpenWith *open = *find_open_with(here, proxy)) {
            ++open->entered_again;
        }
    }
    return enter_object(self);
}

PyObject *proxy_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    ProxyObject &proxy = *as_proxy(self);
    if (proxy.has_scope.is_set()) {
        if (Scope *scope = take_open_scope(proxy)) {
            scope->close();
            scope->release();
            Py_RETURN_NONE;
        }
    }
    return exit_object(self, args, count);
}

}  // namespace pyshared
