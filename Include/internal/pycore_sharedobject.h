/* SPDX-License-Identifier: PSF-2.0 */
/* Every hook through which the patched base calls the sharing machinery.

   The only header of ours that a patched upstream file includes.  Plain C.
   Each hook checks what it needs, calls one C++ function and converts the
   result; which patch calls it is said beside it.

   hook                            called from                        for
   ------------------------------  ---------------------------------  ------------------------
   _PyShared_InterpreterInit       crossinterp.c  _PyXI_Init          make the owner record
   _PyShared_BeginEnd, ...Quietly  _interpretersmodule.c, pystate.c   not during a call
   _PyShared_InterpreterEnding     pylifecycle.c                      refuse and drain entries
   _PyShared_InterpreterRetire     pylifecycle.c                      kill the owned cells
   _PyShared_ShowShared            pylifecycle.c                      -X showshared
   _PyShared_InterpreterFini       crossinterp.c  _PyXI_Fini          forget exception classes
   _PyShared_InterpreterClear      pystate.c  interpreter_clear       drop leaked proxies
   _PyShared_InterpreterDelete     pystate.c                          part with the record
   _PyShared_ThreadStateDeleted    pystate.c  tstate_delete_common    forget a thread state
   _PyShared_ThreadExit            pystate.c                          delete this thread's own
   _PyShared_MaySeeFrames          pystate.c                          sys._current_frames()
   _PyShared_SafePoint             ceval_gil.c  _Py_HandlePending     run releases
   _PyShared_ReleasesPending       ceval_gil.c                        raise the eval breaker
   _PyShared_NoPendingCalls        ceval_gil.c  _Py_HandlePending     a safe point alone
   _PyShared_LookAfter             crossinterp.c                      pending calls
   _PyShared_SignalReceived        ceval_gil.c                        interrupt another one
   _PyShared_HandleSignals         ceval_gil.c, signalmodule.c        run main's handlers
   _PyShared_RefuseFork            posixmodule.c                      not inside a call
   _PyShared_BeforeFork, After...  posixmodule.c                      fork with interpreters
   _PyShared_GIL_Interval          ceval_gil.c  take_gil              ask again for the GIL
   _PyShared_StackLimits           ceval.c                            ask the OS once a thread
   _PyShared_EnterSession, Exit    crossinterp.c                      Interpreter.exec and call
   _PyShared_IsProxy               where only proxies need a hook     is it one
   _PyShared_LookupXIData          crossinterp_data_lookup.h          queues, calls, channels
   _PyShared_LookupStamp, Regi...  crossinterp_data_lookup.h          remembered lookups
   _PyShared_Pickle*               crossinterp.c                      proxies inside pickles
   _PyShared_ReleaseHandle         crossinterp.c                      data is freed anywhere
   _PyShared_RaiseUnshareable      crossinterp.c                      why it does not cross
   _PyShared_LoadMethod            object.c                           proxy.method(...)
   _PyShared_Callee                bytecodes.c                        proxy(...) in the owner
   _PyShared_SPECIALIZE            specialize.c                       bytecode in the owner
   _PyShared_MISS                  ceval_macros.h                     bytecode in the owner
   _PyShared_HasShape              object.c, abstract.c               honest answers
   _PyShared_PatternFlags          bytecodes.c                        match patterns
   _PyShared_GetOptionalAttr       object.c                           hasattr(), getattr()
   _PyShared_Raisable              ceval.c, genobject.c               raise and throw()
   _PyShared_IsExceptionClass      ceval.c, exceptions.c              except and except*
   _PyShared_ExceptionMatches      errors.c                           except and except*
   _PyShared_IsInstance, Subclass  _abc.c, abstract.c                 isinstance(proxy, ABC)
   _PyShared_RefuseBases           typeobject.c, types.py             class C(proxy)
   _PyShared_IsProxyOf, InKind     _datetimemodule.c, cursor.c        zones, parameters
*/

#ifndef Py_INTERNAL_SHAREDOBJECT_H
#define Py_INTERNAL_SHAREDOBJECT_H
#ifdef __cplusplus
extern "C" {
#endif

#ifndef Py_BUILD_CORE
#  error "this header requires Py_BUILD_CORE define"
#endif

#include "cpython/sharedobject.h"
#include "opcode_ids.h"
#include "pycore_ceval.h"         // _Py_unset_eval_breaker_bit()
#include "pycore_crossinterp.h"   // _PyXIData_t
#include "pycore_interp.h"        // PyInterpreterState
#include "pycore_runtime.h"       // _PyRuntime
#include "pycore_stackref.h"      // _PyStackRef
#include "pycore_tstate.h"        // _PyThreadStateImpl

/* What C code may see of an owner record (interp->xi.shared): its first
   field, the head of the release queue. */
struct _PyShared_Owner {
    void *release_queue;
};

/* Life of an interpreter */

/* Make the owner record of a new interpreter.
   Tstate: attached to it.  Errors: -1, no exception. */
extern int _PyShared_InterpreterInit(PyInterpreterState *interp);

/* Begin to end the interpreter: no call begins in it any more, but from there.  Sets `last` to a
   new thread state to end it in, or to NULL if it was never made ready.
   Tstate: attached, to any other interpreter.
   Errors: -1 with InterpreterError if calls are running in it, saying how many, or it is being
   ended already; or with MemoryError.  Then it goes on as before. */
PyAPI_FUNC(int) _PyShared_BeginEnd(PyInterpreterState *interp, PyThreadState **last);

/* The same; NULL, without an exception, if it cannot be ended.
   Tstate: any. */
extern PyThreadState *_PyShared_BeginEndQuietly(PyInterpreterState *interp);

/* Refuse new entries, wait for those in flight, delete our idle thread states.
   Tstate: attached to the ending interpreter; detaches while it waits.
   Python: releases may run. */
extern void _PyShared_InterpreterEnding(PyThreadState *tstate);

/* Write to stderr what is shared still, if that was asked for.
   Tstate: attached to the main interpreter, all interpreters still intact.
   Errors: none. */
extern void _PyShared_ShowShared(void);

/* Kill the cells the interpreter owns and drop their objects.
   Tstate: attached to the ending interpreter, its only thread state.
   Python: destructors run. */
extern void _PyShared_InterpreterRetire(PyThreadState *tstate);

/* Drop the exception classes made for the interpreter.
   Tstate: attached to the ending interpreter, before its last collection. */
extern void _PyShared_InterpreterFini(PyInterpreterState *interp);

/* Give up what leaked proxies of the interpreter still hold.
   Tstate: attached to the ending interpreter, after its last collection. */
extern void _PyShared_InterpreterClear(PyInterpreterState *interp);

/* Forget the interpreter; with the main one, free all of our memory.
   Tstate: none attached.
   Returns 0 if the interpreter's memory must stay, because a thread that was
   left behind at process exit may still look at its locks. */
extern int _PyShared_InterpreterDelete(PyInterpreterState *interp);

/* Threads */

/* Tstate: any; `tstate` is about to be freed. */
extern void _PyShared_ThreadStateDeleted(PyThreadState *tstate);

/* Delete the thread states we made for the calling thread.
   Tstate: none attached. */
extern void _PyShared_ThreadExit(void);

/* May a thread look at the frames of that interpreter's threads, and hold them?
   Not where they run under a GIL of their own.
   Tstate: attached. */
static inline int
_PyShared_MaySeeFrames(PyThreadState *tstate, PyInterpreterState *interp)
{
    return interp->ceval.gil == tstate->interp->ceval.gil;
}

/* Run the releases that wait for this interpreter, and for idle owners of
   what this interpreter dropped.
   Tstate: attached.  Python: destructors run.  Errors: none. */
extern void _PyShared_SafePoint(PyThreadState *tstate);

/* Was the eval breaker raised for a safe point alone?  Then it is lowered, and
   the base need not take its locks to find that there are no pending calls.
   Tstate: attached.  Errors: none. */
static inline int
_PyShared_NoPendingCalls(PyThreadState *tstate)
{
#ifdef Py_GIL_DISABLED
    (void)tstate;
    return 0;
#else
    /* First: a call that is added from here on raises it again. */
    _Py_unset_eval_breaker_bit(tstate, _PY_CALLS_TO_DO_BIT);
    return _Py_atomic_load_int32_relaxed(&tstate->interp->ceval.pending.npending) == 0
           && _Py_atomic_load_int32_relaxed(&_PyRuntime.ceval.pending_mainthread.npending) == 0;
#endif
}

/* An interpreter was given something to do: if it is idle, this thread sees to
   it at its next safe point.
   Tstate: attached to another interpreter; `interp` exists.  Errors: none. */
extern void _PyShared_LookAfter(PyInterpreterState *interp);

static inline int
_PyShared_ReleasesPending(PyInterpreterState *interp)
{
    struct _PyShared_Owner *owner = interp->xi.shared;
    return owner != NULL && _Py_atomic_load_ptr_relaxed(&owner->release_queue) != NULL;
}

/* The limits of the calling thread's C stack; `ask` is called once a thread. */
extern void _PyShared_StackLimits(void (*ask)(uintptr_t *, uintptr_t *, uintptr_t),
                                  uintptr_t *base, uintptr_t *top, uintptr_t here);

/* How long, in microseconds, a thread waits for a GIL before it asks again for
   it.  One that came from another interpreter has asked already, and nothing
   says that its request reached who has the GIL now: it asks again soon, and
   less and less often.  `*waited` starts as 0. */
static inline unsigned long
_PyShared_GIL_Interval(PyThreadState *tstate, unsigned long interval, unsigned long *waited)
{
    unsigned long next = *waited == 0 ? 50 : 2 * *waited;
    if (!((_PyThreadStateImpl *)tstate)->shared_own || next >= interval) {
        return interval;
    }
    *waited = next;
    return next;
}

/* A switch of the calling thread to another interpreter, and the thread state
   it came from: a link of the chain by which a nested entry finds it. */
struct _PyShared_Switch {
    struct _PyShared_Switch *outer;
    PyThreadState *from;
    void *homecomers;       // scope of its exceptions that may come home; or null
    int is_session;         // exceptions do not come home from a session
};

/* Make a thread state for a session in `interp` and attach it.
   Tstate: attached to `from`; on success to the result, else still to `from`.
   Errors: NULL with MemoryError. */
extern PyThreadState *_PyShared_EnterSession(PyInterpreterState *interp, PyThreadState *from,
                                             struct _PyShared_Switch *link);
/* Back to link->from.  Tstate: attached to the session's, which is cleared. */
extern void _PyShared_ExitSession(struct _PyShared_Switch *link);

/* Signals */

/* A signal has arrived: interrupt the main thread also in another interpreter.
   Called by signal handlers, in any thread. */
extern void _PyShared_SignalReceived(void);

/* Run the handlers of the main interpreter, if this is the main thread on its
   way from there.
   Tstate: attached to another interpreter.  Python: in the main interpreter.
   Errors: -1 with what a handler raised. */
PyAPI_FUNC(int) _PyShared_HandleSignals(void);

/* fork() */

/* May this thread fork now?
   Tstate: attached.  Errors: -1 with RuntimeError inside a call from another
   interpreter. */
extern int _PyShared_RefuseFork(void);

/* Around fork(), with the world stopped.  In the child, first of all: what
   belonged to other threads and interpreters is left behind.
   Tstate: attached.  Python: none. */
extern void _PyShared_BeforeFork(void);
extern void _PyShared_AfterForkParent(void);
extern void _PyShared_AfterForkChild(void);

static inline int
_PyShared_IsProxy(PyObject *obj)
{
    return Py_IS_TYPE(obj, &PySharedObjectProxy_Type);
}

/* Calls */

/* _PyObject_GetMethodStackRef() of a proxy.  In the owner the object takes the
   proxy's place; elsewhere what is loaded looks the method up and calls it in
   one entry, the proxy being its first argument.
   Tstate: attached.  Python: what loading the attribute runs.  Refs, Errors: as
   _PyObject_GetMethodStackRef(). */
extern int _PyShared_LoadMethod(PyThreadState *tstate, _PyStackRef *self,
                                PyObject *text, _PyStackRef *method);
extern PyTypeObject _PySharedName_Type;

/* What CALL and CALL_KW call: in place of a proxy, in its object's own
   interpreter, the object.  The callee lies two before its arguments on the
   stack.  Tstate: attached.  Python: callbacks of weak references to the
   proxy.  Refs: the stack's.  Errors: none. */
extern _PyStackRef _PyShared_CalleeOfProxy(_PyStackRef *arguments, int count);

static inline _PyStackRef
_PyShared_Callee(_PyStackRef callee, _PyStackRef *arguments, int count)
{
    return _PyShared_IsProxy(PyStackRef_AsPyObjectBorrow(callee))
               ? _PyShared_CalleeOfProxy(arguments, count)
               : callee;
}

/* Specialized bytecode, in the object's own interpreter */

/* The object of a proxy that is used where the object lives; NULL elsewhere, or
   if the proxy cannot be used.
   Tstate: attached.  Refs: new.  Errors: none, no exception. */
extern PyObject *_PyShared_TakeAtHome(PyObject *proxy);

/* First thing in a function that specializes an instruction: given a proxy that
   is at home, specialize for the object.  Such an instruction misses when it
   meets the proxy; see _PyShared_MISS(). */
#define _PyShared_SPECIALIZE(FUNCTION, OPERAND, ...)                           \
    if (_PyShared_IsProxy(PyStackRef_AsPyObjectBorrow(OPERAND))) {             \
        PyObject *object = _PyShared_TakeAtHome(                               \
            PyStackRef_AsPyObjectBorrow(OPERAND));                             \
        if (object != NULL) {                                                  \
            FUNCTION(PyStackRef_FromPyObjectBorrow(object), __VA_ARGS__);      \
            Py_DECREF(object);                                                 \
            return;                                                            \
        }                                                                      \
    }

/* A specialized instruction looks first at a proxy, which lies at `place` on the
   stack.  If the object lives here, and the instruction would do the same with
   it, it takes the proxy's place.  LOAD_ATTR must not have a name that is the
   proxy's own, and what CALL and CALL_KW have above the callee must not be
   proxies.
   Tstate: attached.  Python: callbacks of weak references to the proxy.
   Refs: the stack's.  Errors: none; false if the proxy stays. */
extern int _PyShared_TakePlace(PyThreadState *tstate, _PyStackRef *place);
extern int _PyShared_TakePlaceForName(PyThreadState *tstate, _PyStackRef *place,
                                      struct _PyInterpreterFrame *frame, int oparg);
extern int _PyShared_TakePlaceForCall(PyThreadState *tstate, _PyStackRef *place,
                                      struct _PyInterpreterFrame *frame);

static inline int
_PyShared_TakePlaceFor(int family, PyThreadState *tstate, _PyStackRef *place,
                       struct _PyInterpreterFrame *frame, int oparg)
{
    switch (family) {
        case LOAD_ATTR:
            return _PyShared_TakePlaceForName(tstate, place, frame, oparg);
        case CALL:
        case CALL_KW:
            return _PyShared_TakePlaceForCall(tstate, place, frame);
        default:
            return _PyShared_TakePlace(tstate, place);
    }
}

/* How far below the top of the stack it lies; 0 for families that have nothing to
   do with proxies' objects. */
#define _PyShared_PLACE_BINARY_OP       (oparg == NB_SUBSCR ? 2 : 0)
#define _PyShared_PLACE_CALL            (oparg + 2)
#define _PyShared_PLACE_CALL_KW         (oparg + 3)
#define _PyShared_PLACE_COMPARE_OP      0
#define _PyShared_PLACE_CONTAINS_OP     1
#define _PyShared_PLACE_FOR_ITER        0
#define _PyShared_PLACE_LOAD_ATTR       1
#define _PyShared_PLACE_LOAD_GLOBAL     0
#define _PyShared_PLACE_LOAD_SUPER_ATTR 0
#define _PyShared_PLACE_RESUME          0
#define _PyShared_PLACE_SEND            0
#define _PyShared_PLACE_STORE_ATTR      1
#define _PyShared_PLACE_STORE_SUBSCR    2
#define _PyShared_PLACE_TO_BOOL         0
#define _PyShared_PLACE_UNPACK_SEQUENCE 0

/* In the evaluation loop, where a specialized instruction misses: if the object
   takes a proxy's place the instruction is carried out again. */
#define _PyShared_MISS(PLACE, FAMILY)                                          \
    do {                                                                       \
        if ((PLACE) != 0                                                       \
            && _PyShared_IsProxy(PyStackRef_AsPyObjectBorrow(                  \
                   stack_pointer[-(PLACE)])))                                  \
        {                                                                      \
            _PyFrame_SetStackPointer(frame, stack_pointer);                    \
            int taken = _PyShared_TakePlaceFor(                                \
                (FAMILY), tstate, &stack_pointer[-(PLACE)], frame, oparg);     \
            stack_pointer = _PyFrame_GetStackPointer(frame);                   \
            if (taken) {                                                       \
                next_instr = frame->instr_ptr;                                 \
                DISPATCH_SAME_OPARG();                                         \
            }                                                                  \
        }                                                                      \
    } while (0)

/* Honest answers of the one type that has every slot */

/* Has the proxy's object that shape?  Does not enter the owner.
   A dead proxy has every shape: it is its use that says so.
   Tstate: attached.  Errors: none. */
enum {
    _PyShared_CALLABLE = 1 << 0,
    _PyShared_ITERATOR = 1 << 1,
    _PyShared_ASYNC_ITERATOR = 1 << 2,
    _PyShared_BUFFER = 1 << 3,
    _PyShared_INDEX = 1 << 4,
    _PyShared_NUMBER = 1 << 5,
    _PyShared_SEQUENCE = 1 << 6,
    _PyShared_MAPPING = 1 << 7,
    _PyShared_MATCH_SEQUENCE = 1 << 8,  // `case [...]:`
    _PyShared_MATCH_MAPPING = 1 << 9,   // `case {...}:`
    _PyShared_EXCEPTION_CLASS = 1 << 10,
};
PyAPI_FUNC(int) _PyShared_HasShape(PyObject *proxy, int shape);

/* The flags that sequence and mapping patterns ask the subject's type for. */
static inline unsigned long
_PyShared_PatternFlags(PyObject *subject)
{
    if (!Py_IS_TYPE(subject, &PySharedObjectProxy_Type)) {
        return Py_TYPE(subject)->tp_flags;
    }
    return (_PyShared_HasShape(subject, _PyShared_MATCH_SEQUENCE) ? Py_TPFLAGS_SEQUENCE : 0)
           | (_PyShared_HasShape(subject, _PyShared_MATCH_MAPPING) ? Py_TPFLAGS_MAPPING : 0);
}

/* PyObject_GetOptionalAttr() of a proxy: what is missing crosses without an
   exception.
   Tstate: attached.  Refs: *result new.  Errors: -1 with an exception set. */
extern int _PyShared_GetOptionalAttr(PyObject *proxy, PyObject *name, PyObject **result);

/* The exception here that a proxy of one stands for; what cannot be had is an
   exception too.  Anything that is no proxy of an exception is returned as it is.
   Tstate: attached.  Refs: steals a reference, result new.  Python: may run. */
extern PyObject *_PyShared_ExceptionOf(PyObject *proxy);

static inline PyObject *
_PyShared_Raisable(PyObject *value)
{
    if (value == NULL || !Py_IS_TYPE(value, &PySharedObjectProxy_Type)) {
        return value;
    }
    return _PyShared_ExceptionOf(value);
}

/* What an `except` clause may name: a proxied class of exceptions. */
static inline int
_PyShared_IsExceptionClass(PyObject *value)
{
    return Py_IS_TYPE(value, &PySharedObjectProxy_Type)
           && _PyShared_HasShape(value, _PyShared_EXCEPTION_CLASS);
}

/* Is the exception, or the class of one, of a proxied class?
   Tstate: attached; an exception that is set stays.  Python: may run.
   Errors: none; a class that cannot be asked has no instances. */
extern int _PyShared_ExceptionMatches(PyObject *exception, PyObject *cls);

/* Is the proxy's object an instance, or a subclass, of the class?  The owner's
   class of the same module and name is asked, in the owner; if it has none,
   what the class itself says of the proxy counts.
   Tstate: attached.  Errors: -1 with an exception set. */
PyAPI_FUNC(int) _PyShared_IsInstance(PyObject *proxy, PyObject *cls);
PyAPI_FUNC(int) _PyShared_IsSubclass(PyObject *proxy, PyObject *cls);

/* Is one of the bases of a new class a proxy?
   Tstate: attached.  Returns 1 with TypeError set if so, or with what its repr() raised. */
extern int _PyShared_RefuseBases(PyObject *bases);

static inline PyObject *
_PyShared_Bool(int answer)
{
    return answer < 0 ? NULL : PyBool_FromLong(answer);
}

/* Crossing through the base's own queues, channels and calls */

/* What the registry of cross-interpreter data lacks: proxies, and types with
   __share__.  Tstate: attached.  Errors: none. */
extern _PyXIData_getdata_t _PyShared_LookupXIData(PyObject *obj);

/* What a lookup found lately, if it would find the same now; then not 0.  The
   stamp is of the type and the registries as they were before the lookup.
   Tstate: attached.  Errors: none. */
extern uint64_t _PyShared_LookupStamp(PyObject *obj);
extern int _PyShared_RecallXIData(PyObject *obj, uint64_t stamp, _PyXIData_getdata_t *getdata);
extern void _PyShared_RememberXIData(PyObject *obj, uint64_t stamp,
                                     _PyXIData_getdata_t getdata);

/* Some registry has changed. */
extern void _PyShared_RegistryChanged(void);

/* Give back the handle that the data of a proxy holds, if it is that.
   Tstate: any. */
extern void _PyShared_ReleaseHandle(_PyXIData_t *xidata);

/* Raise the exception which says that something cannot cross; its cause is why
   the exception that is set says it cannot be pickled either.
   Tstate: attached, with an exception set.  Refs: steals a reference. */
extern void _PyShared_RaiseUnshareable(PyObject *original);

/* Proxies inside a pickle that crosses: `dumps(ctx, obj)` runs in a session
   that keeps the cells of the proxies it meets alive until `*held` is freed.
   Tstate: attached.  Errors: NULL with an exception set, nothing held. */
struct _pickle_context;
typedef PyObject *(*_PyShared_dumps)(struct _pickle_context *ctx, PyObject *obj);
extern PyObject *_PyShared_PickleDumps(_PyShared_dumps dumps,
                                       struct _pickle_context *ctx, PyObject *obj,
                                       void **held);
/* Free what is held, once.  Tstate: any. */
extern void _PyShared_PickleRelease(void **held);

/* Is the object a proxy of an instance of the class?
   Tstate: attached.  Errors: -1 with an exception set. */
static inline int
_PyShared_IsProxyOf(PyObject *obj, PyTypeObject *cls)
{
    return _PyShared_IsProxy(obj) ? _PyShared_IsInstance(obj, (PyObject *)cls) : 0;
}

/* An equal object of this interpreter, for C code that can do nothing with a proxy: of a date,
   say; any other proxy stays.  The reference is the function's.
   Tstate: attached.  Errors: NULL with an exception set. */
PyAPI_FUNC(PyObject *) _PyShared_CopyInKind(PyObject *proxy);

static inline PyObject *
_PyShared_InKind(PyObject *obj)
{
    return obj != NULL && _PyShared_IsProxy(obj) ? _PyShared_CopyInKind(obj) : obj;
}

#ifdef __cplusplus
}
#endif
#endif /* !Py_INTERNAL_SHAREDOBJECT_H */
