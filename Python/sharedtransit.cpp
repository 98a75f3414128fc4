// SPDX-License-Identifier: PSF-2.0
// Proxies in tokens, in pickles, and in the base's own queues, channels and calls.
//
// Threads:  a pickle session belongs to the thread that pickles; what it holds may be freed by any.
// Locks:    none.
// See:      Doc/internals/crossing.md; Lib/test/test_sharing/test_transit.py.

#include "pyshared_transit.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_parcel.hpp"
#include "pyshared_proxy.hpp"

#include "pycore_crossinterp.h"
#include "pycore_pyhash.h"

#include <atomic>
#include <cstring>
#include <utility>

namespace pyshared {
namespace {

// Tokens

struct Token {
    uint32_t check;
    uint32_t index;
    uint64_t generation;
};
static_assert(sizeof(Token) == kTokenSize);

// What tells a token of this process from other bytes, and a damaged one from a sound one.
uint32_t check_of(uint32_t index, uint64_t generation)
{
    uint64_t bits = generation * 0x9E3779B97F4A7C15u + index;
    bits ^= _Py_HashSecret.siphash.k0;
    bits *= 0xD6E8FEB86659FD93u;
    bits ^= bits >> 32;
    bits *= 0xD6E8FEB86659FD93u;
    return static_cast<uint32_t>(bits >> 32);
}

// Pickles

// The handles a pickle holds.
struct Held {
    SharedCell *cell;
    Held *next;
};

struct PickleSession {
    Held *held;
    PickleSession *outer;
};

constinit thread_local PickleSession *session = nullptr;

// The base's registries

// How often one of them has changed.
constinit std::atomic<uint32_t> registry_version{0};

class [[nodiscard]] SessionScope final {
public:
    SessionScope() : session_{nullptr, session} { session = &session_; }
    ~SessionScope()
    {
        session = session_.outer;
        void *held = take();
        _PyShared_PickleRelease(&held);
    }
    SessionScope(const SessionScope &) = delete;
    SessionScope &operator=(const SessionScope &) = delete;
    Held *take() { return std::exchange(session_.held, nullptr); }

private:
    PickleSession session_;
};

int hold_for_session(SharedCell &cell)
{
    auto *held = static_cast<Held *>(PyMem_RawMalloc(sizeof(Held)));
    if (held == nullptr) {
        PyErr_NoMemory();
        return -1;
    }
    if (!take_handle(cell)) {
        PyMem_RawFree(held);
        PyErr_SetString(PyExc_OverflowError, "too many references to one shared object");
        return -1;
    }
    *held = Held{&cell, session->held};
    session->held = held;
    return 0;
}

// The base's cross-interpreter data

void free_cell_data(void *data)
{
    drop_handle(*static_cast<SharedCell *>(data));
}

PyObject *cell_from_data(_PyXIData_t *xidata)
{
    auto &cell = *static_cast<SharedCell *>(_PyXIData_DATA(xidata));
    if (!take_handle(cell)) {
        PyErr_SetString(PyExc_OverflowError, "too many references to one shared object");
        return nullptr;
    }
    return receive_cell(cell);
}

int proxy_to_data(PyThreadState *tstate, PyObject *object, _PyXIData_t *xidata)
{
    ProxyObject &proxy = *as_proxy(object);
    proxy.armed.clear();
    ProxyUse use(proxy);
    if (!use) {
        raise_released(proxy);
        return -1;
    }
    if (!take_handle(*proxy.cell)) {
        PyErr_SetString(PyExc_OverflowError, "too many references to one shared object");
        return -1;
    }
    _PyXIData_Init(xidata, tstate->interp, proxy.cell, nullptr, cell_from_data);
    _PyXIData_SET_FREE(xidata, free_cell_data);
    return 0;
}

// An object whose type has __share__: what it answered travels in its place.
int share_result_to_data(PyThreadState *tstate, PyObject *object, xidata_fallback_t fallback,
                         _PyXIData_t *xidata)
{
    Ref shared = Ref::steal(call_share_method(object));
    if (!shared) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError, "%T.__share__ is gone", object);
        }
        return -1;
    }
    return _PyObject_GetXIData(tstate, shared.get(), fallback, xidata);
}

// An Interpreter crosses as its ID.

PyObject *interpreter_from_data(_PyXIData_t *xidata)
{
    Ref cls = Ref::steal(PyImport_ImportModuleAttrString("concurrent.interpreters",
                                                         "Interpreter"));
    Ref id = Ref::steal(PyLong_FromVoidPtr(_PyXIData_DATA(xidata)));
    return cls && id ? PyObject_CallOneArg(cls.get(), id.get()) : nullptr;
}

int interpreter_to_data(PyThreadState *tstate, PyObject *object, _PyXIData_t *xidata)
{
    Ref id = Ref::steal(PyObject_GetAttrString(object, "id"));
    void *data = id ? PyLong_AsVoidPtr(id.get()) : nullptr;
    if (PyErr_Occurred()) {
        return -1;
    }
    _PyXIData_Init(xidata, tstate->interp, data, nullptr, interpreter_from_data);
    return 0;
}

// A memoryview arrives as one of the same memory, by way of a proxy that keeps it.

PyObject *memoryview_from_data(_PyXIData_t *xidata)
{
    Ref source = Ref::steal(cell_from_data(xidata));
    return source ? PyMemoryView_FromObject(source.get()) : nullptr;
}

int memoryview_to_data(PyThreadState *tstate, PyObject *object, _PyXIData_t *xidata)
{
    SharedCell *cell = cell_for(*owner_of(tstate), object, nullptr);
    if (cell == nullptr) {
        return -1;
    }
    _PyXIData_Init(xidata, tstate->interp, cell, nullptr, memoryview_from_data);
    _PyXIData_SET_FREE(xidata, free_cell_data);
    return 0;
}

bool has_share_method(PyObject *object)
{
    PyObject *name = share_name(*owner_of(_PyThreadState_GET()));
    if (name == nullptr) {
        PyErr_Clear();
        return false;
    }
    PyObject *method = _PyType_LookupRef(Py_TYPE(object), name);
    Py_XDECREF(method);
    return method != nullptr;
}

// Take a handle where it may be taken.  If the cell has another owner by the time this one is
// entered, it has another generation, too.
bool take_handle_in_owner(SharedCell &cell, uint64_t generation)
{
    Owner *owner = find_owner_of(cell);
    if (owner == nullptr) {
        return false;
    }
    InterpreterEntry entry;
    bool taken = (owner == owner_of(_PyThreadState_GET())
                  || entry.enter(*owner) == InterpreterEntry::Outcome::kEntered)
                 && try_take_handle(cell, generation);
    if (entry.entered()) {
        entry.leave();
    }
    release(*owner);
    return taken;
}

// Make the data of something that crosses, and drop it.
template <class Make> int drop_data(Make make)
{
    _PyXIData_t *data = _PyXIData_New();
    if (data == nullptr) {
        return -1;
    }
    if (make(_PyThreadState_GET(), data) < 0) {
        PyMem_RawFree(data);
        return -1;
    }
    _PyXIData_Free(data);
    return 0;
}

}  // namespace

PyObject *make_token(const SharedCell &cell)
{
    uint64_t generation = cell.load().generation();
    uint32_t index = index_of(cell);
    Token token{check_of(index, generation), index, generation};
    return PyBytes_FromStringAndSize(reinterpret_cast<const char *>(&token), sizeof(token));
}

SharedCell *resolve_token(PyObject *bytes)
{
    if (!PyBytes_Check(bytes)) {
        PyErr_Format(PyExc_TypeError, "a share token is bytes, not '%T'", bytes);
        return nullptr;
    }
    Token token;
    if (PyBytes_GET_SIZE(bytes) != sizeof(token)) {
        PyErr_SetString(PyExc_ValueError, "not a share token: its length is wrong");
        return nullptr;
    }
    std::memcpy(&token, PyBytes_AS_STRING(bytes), sizeof(token));
    if (token.check != check_of(token.index, token.generation)) {
        PyErr_SetString(PyExc_ValueError, "not a share token of this process");
        return nullptr;
    }
    SharedCell *cell = cell_pool().at(token.index);
    if (cell != nullptr && take_handle_in_owner(*cell, token.generation)) {
        return cell;
    }
    PyObject *type = dead_proxy_error(*owner_of(_PyThreadState_GET()));
    if (type != nullptr) {
        PyErr_SetString(type, "stale share token: the object it was made for is no longer shared");
    }
    return nullptr;
}

int register_class(PyObject *cls, xidatafunc to_data)
{
    if (!PyType_Check(cls)) {
        PyErr_Format(PyExc_TypeError, "a class is needed, not '%T'", cls);
        return -1;
    }
    _PyXIData_getdata_t getdata = {};
    getdata.basic = to_data;
    return _PyXIData_RegisterClass(_PyThreadState_GET(), reinterpret_cast<PyTypeObject *>(cls),
                                   getdata);
}

int register_interpreter_class(PyObject *cls)
{
    return register_class(cls, interpreter_to_data);
}

Registration registration_of(PyThreadState *tstate, PyObject *value)
{
    _PyXIData_getdata_t getdata = _PyXIData_Lookup(tstate, value);
    if (getdata.fallback == share_result_to_data) {
        return Registration::kShareMethod;
    }
    return getdata.basic != nullptr || getdata.fallback != nullptr ? Registration::kData
                                                                    : Registration::kNone;
}

int check_crossing(PyObject *object)
{
    return drop_data([&](PyThreadState *tstate, _PyXIData_t *data) {
        return _PyObject_GetXIData(tstate, object, _PyXIDATA_FULL_FALLBACK, data);
    });
}

int check_pickling(PyObject *object)
{
    return drop_data([&](PyThreadState *tstate, _PyXIData_t *data) {
        return _PyPickle_GetXIData(tstate, object, data);
    });
}

bool in_pickle_session()
{
    return session != nullptr;
}

PyObject *reduce_in_pickle_session(PyObject *object)
{
    ProxyObject &proxy = *as_proxy(object);
    proxy.armed.clear();
    ProxyUse use(proxy);
    if (!use) {
        raise_released(proxy);
        return nullptr;
    }
    Ref token = Ref::steal(make_token(*proxy.cell));
    Ref arrive = Ref::steal(token ? PyImport_ImportModuleAttrString("_sharedobjects", "_arrive")
                                  : nullptr);
    if (!arrive || hold_for_session(*proxy.cell) < 0) {
        return nullptr;
    }
    return Py_BuildValue("O(O)", arrive.get(), token.get());
}

}  // namespace pyshared

using namespace pyshared;

extern "C" {

_PyXIData_getdata_t _PyShared_LookupXIData(PyObject *object)
{
    _PyXIData_getdata_t getdata = {};
    if (PySharedObjectProxy_Check(object)) {
        getdata.basic = proxy_to_data;
    }
    else if (PyMemoryView_Check(object)) {
        getdata.basic = memoryview_to_data;
    }
    else if (has_share_method(object)) {
        getdata.fallback = share_result_to_data;
    }
    return getdata;
}

void _PyShared_RegistryChanged(void)
{
    registry_version.fetch_add(1, std::memory_order_acq_rel);
}

uint64_t _PyShared_LookupStamp(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    uint64_t stamp = registry_version.load(std::memory_order_acquire);
    uint32_t version = _Py_atomic_load_uint32_relaxed(&type->tp_version_tag);
    if (version == 0 && PyUnstable_Type_AssignVersionTag(type)) [[unlikely]] {
        version = _Py_atomic_load_uint32_relaxed(&type->tp_version_tag);
    }
    return version == 0 ? 0 : stamp << 32 | version;
}

int _PyShared_RecallXIData(PyObject *object, uint64_t stamp, _PyXIData_getdata_t *getdata)
{
    Owner *here = owner_of(_PyThreadState_GET());
    if (here == nullptr || stamp == 0) {
        return 0;
    }
    LocalLock lock(*here);
    const _PyXIData_getdata_t *known = here->known_types.find(Py_TYPE(object), stamp);
    if (known == nullptr) {
        return 0;
    }
    *getdata = *known;
    return 1;
}

void _PyShared_RememberXIData(PyObject *object, uint64_t stamp, _PyXIData_getdata_t getdata)
{
    Owner *here = owner_of(_PyThreadState_GET());
    if (here == nullptr || stamp == 0) {
        return;
    }
    // Without the name nobody has looked for __share__.
    bool complete = getdata.basic != nullptr || getdata.fallback != nullptr
                    || here->share_name != nullptr;
    if (complete) {
        LocalLock lock(*here);
        here->known_types.remember(Py_TYPE(object), stamp, getdata);
    }
}

void _PyShared_ReleaseHandle(_PyXIData_t *xidata)
{
    if (xidata->free == free_cell_data) {
        free_cell_data(std::exchange(xidata->data, nullptr));
    }
}

void _PyShared_RaiseUnshareable(PyObject *original)
{
    Ref error = Ref::steal(PyErr_GetRaisedException());
    if (original == nullptr) {
        // The base had no memory to say it.
        PyErr_NoMemory();
        return;
    }
    Ref known = Ref::steal(PyException_GetCause(original));
    if (!known && error) {
        Ref why = Ref::steal(PyException_GetCause(error.get()));
        PyException_SetCause(original, why ? why.release() : error.release());
    }
    PyErr_SetRaisedException(original);
}

PyObject *_PyShared_PickleDumps(_PyShared_dumps dumps, _pickle_context *context,
                                PyObject *object, void **held)
{
    SessionScope scope;
    PyObject *bytes = dumps(context, object);
    *held = bytes == nullptr ? nullptr : scope.take();
    return bytes;
}

void _PyShared_PickleRelease(void **data)
{
    auto *held = static_cast<Held *>(std::exchange(*data, nullptr));
    while (held != nullptr) {
        Held *next = held->next;
        drop_handle(*held->cell);
        PyMem_RawFree(held);
        held = next;
    }
}

}  // extern "C"
