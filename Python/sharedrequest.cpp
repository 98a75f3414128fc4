// SPDX-License-Identifier: PSF-2.0
// Requests to other interpreters: Interpreter.call_soon().
//
// Owner:    a request belongs to the queue it is in, then to the thread that took it.
// Threads:  any thread asks; threads attached to the owner of the queue serve.
// Locks:    Owner::request_mutex, a leaf.
// Shutdown: an ending interpreter refuses what waits, after its gate is closed.
// See:      Doc/internals/requests.md; Lib/test/test_sharing/test_requests.py.

#include "pyshared_request.hpp"

#include "pyshared_entry.hpp"
#include "pyshared_fork.hpp"
#include "pyshared_guards.hpp"
#include "pyshared_parcel.hpp"

#include <utility>

namespace pyshared {

struct Request {
    Request *next;
    SharedCell *reply;      // one handle
    _PyXIData_t *work;      // null once it was given to a runner
    bool orphaned;          // its interpreter did not survive a fork: another one refuses it
};

namespace {

// A safe point inside of what is served does not serve: requests would nest without end.
constinit thread_local bool serving = false;

void drop_work(_PyXIData_t *work)
{
    if (work != nullptr) {
        ErrorStash stash;
        if (_PyXIData_ReleaseAndRawFree(work) < 0) {
            // Its interpreter is gone, and with it the memory.
            PyErr_Clear();
        }
    }
}

constexpr const char *kCapsuleName = "_sharedobjects.request";

void runner_dealloc(PyObject *capsule)
{
    drop_work(static_cast<_PyXIData_t *>(PyCapsule_GetPointer(capsule, kCapsuleName)));
}

// An interpreter that has begun to end does not wait for what was not begun.
// Errors: true with InterpreterError set.
bool is_too_late(const Owner &here)
{
    // This call counts itself in before it looks; whoever ends the interpreter looks who is in.
    if ((settled_gate(here) & (kGateEnding | kGateClosing)) == 0) {
        return false;
    }
    PyErr_Format(PyExc_InterpreterError, "interpreter %lld was closed before it made the call",
                 static_cast<long long>(here.interp_id));
    return true;
}

// Do the work: unpacked here, in the interpreter that serves, so that what goes wrong is told.
PyObject *run_work(PyObject *capsule, PyObject *)
{
    if (is_too_late(*owner_of(_PyThreadState_GET()))) {
        return nullptr;
    }
    auto *work = static_cast<_PyXIData_t *>(PyCapsule_GetPointer(capsule, kCapsuleName));
    Ref call = Ref::steal(work == nullptr ? nullptr : _PyXIData_NewObject(work));
    if (!call) {
        return nullptr;
    }
    PyObject *keywords = PyTuple_GET_ITEM(call.get(), 2);
    return PyObject_Call(PyTuple_GET_ITEM(call.get(), 0), PyTuple_GET_ITEM(call.get(), 1),
                         keywords == Py_None ? nullptr : keywords);
}

constinit PyMethodDef run_definition = {"run", run_work, METH_NOARGS, nullptr};

PyObject *make_runner(Request &request)
{
    Ref capsule = Ref::steal(PyCapsule_New(request.work, kCapsuleName, runner_dealloc));
    if (!capsule) {
        return nullptr;
    }
    request.work = nullptr;
    return PyCFunction_New(&run_definition, capsule.get());
}

enum class Answer : uint8_t { kServed, kRefused };

void answer(Owner &here, Request *request, Answer how)
{
    ErrorStash stash;
    Ref reply = Ref::steal(receive_cell(*request->reply));
    Ref run = how == Answer::kRefused ? Ref::borrow(Py_None)
              : reply                 ? Ref::steal(make_runner(*request))
                                      : Ref();
    Ref done = Ref::steal(reply && run ? PyObject_CallOneArg(reply.get(), run.get()) : nullptr);
    PyObject *dead = dead_proxy_error(here);
    if (!done && dead != nullptr && PyErr_ExceptionMatches(dead)) {
        // Who asked is gone; nobody waits.
        PyErr_Clear();
    }
    drop_work(request->work);
    PyMem_RawFree(request);
}

Request *take_request(Owner &here)
{
    LeafLock lock(here.request_mutex);
    Request *first = here.first_request.load(std::memory_order_relaxed);
    if (first != nullptr) {
        here.first_request.store(first->next, std::memory_order_relaxed);
        here.last_request = first->next == nullptr ? nullptr : here.last_request;
    }
    return first;
}

void append_lock_held(Owner &owner, Request &request)
{
    if (owner.last_request == nullptr) {
        owner.first_request.store(&request, std::memory_order_relaxed);
    }
    else {
        owner.last_request->next = &request;
    }
    owner.last_request = &request;
}

bool add_request(Owner &owner, Request &request)
{
    LeafLock lock(owner.request_mutex);
    if (owner.refuses_requests) {
        return false;
    }
    append_lock_held(owner, request);
    return true;
}

// Queue it and see that somebody looks.
bool send_request(Owner &owner, Request &request)
{
    if (!enter_gate(owner, Visit::kPassing)) {
        return false;
    }
    bool sent = add_request(owner, request);
    if (sent) {
        request_safe_point(owner);
    }
    leave_gate(owner, Visit::kPassing);
    return sent;
}

Request *make_request(PyObject *reply, PyObject *work)
{
    PyThreadState *tstate = _PyThreadState_GET();
    auto *request = static_cast<Request *>(PyMem_RawCalloc(1, sizeof(Request)));
    _PyXIData_t *data = _PyXIData_New();
    if (request == nullptr || data == nullptr) {
        PyMem_RawFree(request);
        PyMem_RawFree(data);
        PyErr_NoMemory();
        return nullptr;
    }
    if (_PyObject_GetXIData(tstate, work, _PyXIDATA_FULL_FALLBACK, data) < 0) {
        PyMem_RawFree(data);
        PyMem_RawFree(request);
        return nullptr;
    }
    request->work = data;
    request->reply = cell_for(*owner_of(tstate), reply, nullptr);
    if (request->reply == nullptr) {
        drop_work(data);
        PyMem_RawFree(request);
        return nullptr;
    }
    return request;
}

}  // namespace

int ask(int64_t interp_id, PyObject *reply, PyObject *work)
{
    Request *request = make_request(reply, work);
    if (request == nullptr) {
        return -1;
    }
    Owner *owner = find_owner(interp_id);
    bool sent = owner != nullptr && send_request(*owner, *request);
    if (owner != nullptr) {
        release(*owner);
    }
    if (sent) {
        return 0;
    }
    drop_handle(*request->reply);
    drop_work(request->work);
    PyMem_RawFree(request);
    PyErr_Format(PyExc_InterpreterNotFoundError, "interpreter %lld is closed or being closed",
                 static_cast<long long>(interp_id));
    return -1;
}

void serve_requests(Owner &here)
{
    if (std::exchange(serving, true)) {
        return;
    }
    while (Request *request = take_request(here)) {
        answer(here, request, request->orphaned ? Answer::kRefused : Answer::kServed);
    }
    serving = false;
}

void serve_there(int64_t interp_id)
{
    Owner *owner = find_owner(interp_id);
    if (owner == nullptr) {
        return;
    }
    if (owner == owner_of(_PyThreadState_GET())) {
        serve_requests(*owner);
    }
    else {
        // What is asked for comes back in as a call, by way of the one that asked.
        InterpreterEntry entry;
        if (entry.enter(*owner, Visit::kPassing) == InterpreterEntry::Outcome::kEntered) {
            serve_requests(*owner);
        }
    }
    release(*owner);
}

void inherit_requests(Owner &gone, Owner &survivor)
{
    Request *request = gone.first_request.exchange(nullptr, std::memory_order_relaxed);
    while (request != nullptr) {
        Request *next = std::exchange(request->next, nullptr);
        request->orphaned = true;
        append_lock_held(survivor, *request);
        request = next;
    }
    gone.last_request = nullptr;
    gone.refuses_requests = true;
}

void refuse_requests(Owner &here)
{
    {
        LeafLock lock(here.request_mutex);
        here.refuses_requests = true;
    }
    while (Request *request = take_request(here)) {
        answer(here, request, Answer::kRefused);
    }
}

}  // namespace pyshared
