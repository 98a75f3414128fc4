/* SPDX-License-Identifier: PSF-2.0 */
/* Taking and dropping the GIL with one instruction while nobody waits for it.

   Optional: the patch 0030-ceval-gil-fast-path adds the fields and the calls;
   without it the base's own way is the only one.  Plain C, included by the
   patched pycore_gil.h after struct _gil_runtime_state.

   gil->shared_word says who may decide about the GIL:

     FREE       it is free; who puts its thread state in place of FREE has it
     a tstate   that one has it; by putting FREE in its place it drops it
     BY_MUTEX   the base's own way: gil->mutex guards `locked`, `last_holder`
                and `switch_number`, and gil->cond is signalled

   Invariants
   * FREE and a thread state take each other's place without the mutex.
     BY_MUTEX is put and replaced only with gil->mutex held.  So a thread that
     has the mutex and has put BY_MUTEX finds the truth in `locked` and
     `last_holder`, the holder cannot drop before the mutex is unlocked, and
     its thread state can be looked at.
   * Who waits, signals or asks for the GIL puts BY_MUTEX first.  So while the
     word is FREE or a thread state nobody waits in gil->cond, no drop request
     is outstanding, and nobody waits in gil->switch_cond (who does has dropped
     the GIL under BY_MUTEX, and only a thread that takes it ends BY_MUTEX).
   * Only a thread that has just taken the GIL ends BY_MUTEX, if nobody waits
     (gil->shared_waiting).  It then holds both the GIL and the mutex, so the
     GIL's memory stays; dropping without the mutex touches it no more after
     FREE is put.
   * Outside BY_MUTEX, `last_holder` is who has or had the GIL, and `locked` is
     not looked at; `switch_number` counts only what waiters could see.

   Debuggers cannot know all that: gil->shared_locked is 1 while the GIL is
   held, written by its holder. */

#ifndef Py_INTERNAL_SHAREDGIL_H
#define Py_INTERNAL_SHAREDGIL_H
#ifdef __cplusplus
extern "C" {
#endif

#ifndef Py_BUILD_CORE
#  error "this header requires Py_BUILD_CORE define"
#endif

#define _PyShared_GIL_FREE ((uintptr_t)0)
#define _PyShared_GIL_BY_MUTEX ((uintptr_t)1)

/* A free-threaded build can switch its GIL off while threads wait for it, and
   rarely has it on: there BY_MUTEX is for ever. */
#ifdef Py_GIL_DISABLED
#  define _PyShared_GIL_FAST 0
#else
#  define _PyShared_GIL_FAST 1
#endif

/* Of a new GIL, or of one after fork: nobody has it, nobody waits. */
static inline void
_PyShared_GIL_Init(struct _gil_runtime_state *gil)
{
    _Py_atomic_store_uintptr_relaxed(
        &gil->shared_word,
        _PyShared_GIL_FAST ? _PyShared_GIL_FREE : _PyShared_GIL_BY_MUTEX);
    _Py_atomic_store_int_relaxed(&gil->shared_locked, 0);
    gil->shared_waiting = 0;
}

/* Can it be taken by whoever comes first? */
static inline int
_PyShared_GIL_IsFree(const struct _gil_runtime_state *gil)
{
    return _Py_atomic_load_uintptr_relaxed(&gil->shared_word) == _PyShared_GIL_FREE;
}

/* How often a thread may see the GIL free and then lose the race for it. */
#define _PyShared_GIL_MOST_RACES 8

/* Wait for a thread that may be out again at once.  Returns whether the GIL was
   seen free: not if that was in vain, nor in a thread that is in no call from
   another interpreter, which waits as the base does.
   Tstate: none attached.  The GIL's interpreter stays meanwhile. */
extern int _PyShared_GIL_WaitBriefly(const struct _gil_runtime_state *gil);

/* Take the GIL if it is there to be taken; `stale` are bits of the eval breaker
   that asked something of an earlier turn. */
static inline int
_PyShared_GIL_TryTake(struct _gil_runtime_state *gil, PyThreadState *tstate, uintptr_t stale)
{
    if (!_PyShared_GIL_IsFree(gil)) {
        return 0;
    }
    // Before: once it is the holder, others may set them anew.
    if (_Py_atomic_load_uintptr_relaxed(&tstate->eval_breaker) & stale) {
        _Py_atomic_and_uintptr(&tstate->eval_breaker, ~stale);
    }
    uintptr_t expected = _PyShared_GIL_FREE;
    if (!_Py_atomic_compare_exchange_uintptr(&gil->shared_word, &expected, (uintptr_t)tstate)) {
        return 0;
    }
    // Who puts BY_MUTEX meanwhile writes the same.
    _Py_atomic_store_ptr_relaxed(&gil->last_holder, tstate);
    _Py_atomic_store_int_relaxed(&gil->locked, 1);
    _Py_atomic_store_int_relaxed(&gil->shared_locked, 1);
    return 1;
}

/* The same if it is there, or will be in a moment. */
static inline int
_PyShared_GIL_Take(struct _gil_runtime_state *gil, PyThreadState *tstate, uintptr_t stale)
{
    for (int races = 0; races < _PyShared_GIL_MOST_RACES; races++) {
        if (_PyShared_GIL_TryTake(gil, tstate, stale)) {
            return 1;
        }
        if (_Py_atomic_load_uintptr_relaxed(&gil->shared_word) == _PyShared_GIL_BY_MUTEX
            || !_PyShared_GIL_WaitBriefly(gil)) {
            return 0;
        }
    }
    return 0;
}

/* Drop the GIL if that concerns nobody. */
static inline int
_PyShared_GIL_Drop(struct _gil_runtime_state *gil, PyThreadState *tstate)
{
    uintptr_t expected = (uintptr_t)tstate;
    if (tstate == NULL || _Py_atomic_load_uintptr_relaxed(&gil->shared_word) != expected) {
        return 0;
    }
    tstate->holds_gil = 0;
    _Py_atomic_store_int_relaxed(&gil->shared_locked, 0);
    return _Py_atomic_compare_exchange_uintptr(&gil->shared_word, &expected,
                                               _PyShared_GIL_FREE);
}

/* From here on the base's own way; `locked` and `last_holder` are the truth.
   Locks: gil->mutex. */
static inline void
_PyShared_GIL_ByMutex(struct _gil_runtime_state *gil)
{
    if (_Py_atomic_load_uintptr_relaxed(&gil->shared_word) == _PyShared_GIL_BY_MUTEX) {
        return;
    }
    uintptr_t word = _Py_atomic_exchange_uintptr(&gil->shared_word, _PyShared_GIL_BY_MUTEX);
    if (word != _PyShared_GIL_FREE) {
        _Py_atomic_store_ptr_relaxed(&gil->last_holder, (PyThreadState *)word);
    }
    _Py_atomic_store_int_relaxed(&gil->locked, word != _PyShared_GIL_FREE);
}

/* The holder is about to drop it in the base's own way.  Locks: gil->mutex. */
static inline void
_PyShared_GIL_Dropping(struct _gil_runtime_state *gil)
{
    _PyShared_GIL_ByMutex(gil);
    _Py_atomic_store_int_relaxed(&gil->shared_locked, 0);
}

/* The GIL was taken in the base's own way, which ends here if nobody waits.
   Locks: gil->mutex. */
static inline void
_PyShared_GIL_Taken(struct _gil_runtime_state *gil, PyThreadState *tstate)
{
    _Py_atomic_store_int_relaxed(&gil->shared_locked, 1);
    if (_PyShared_GIL_FAST && gil->shared_waiting == 0) {
        _Py_atomic_store_uintptr_release(&gil->shared_word, (uintptr_t)tstate);
    }
}

#ifdef __cplusplus
}
#endif
#endif /* !Py_INTERNAL_SHAREDGIL_H */
