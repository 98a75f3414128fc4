/* Entering, closing, releasing and scopes: the protocol of the C++, for 3 threads and 3 interpreters.

   Interpreter i owns one object, in cell i.  Interpreter PREVIOUS(i) holds a proxy of it, which is
   the cell's one handle; another can be in flight, when the object came up again in its owner.  The
   cell of interpreter 0 is in a scope.  A cell lives once: using it after it was recycled is an
   error here, whatever it would have become.  Thread t is at home in interpreter t.

   Each inline is named after the function that it is a model of.  What a function does while it
   holds a GIL, the scope's mutex or in one atomic operation, and what no other thread can see in
   between, is one step.

   -DSEED=1  who enters asks whether the owner closes before it counts itself
   -DSEED=2  a queue is closed while cells are marked and not pushed yet, and a push that comes too
             late recycles the cell
   -DSEED=3  a thread that leaves looks at the release queue before it gives up the GIL
*/

#ifndef SEED
#define SEED 0
#endif
#ifndef DEPTH
#define DEPTH 1                 /* how many entries are nested in each other */
#endif

#define N 3                     /* interpreters, and threads */
#define NEXT(i) ((i + 1) % N)
#define PREVIOUS(i) ((i + 2) % N)
#define BIT(i) (1 << (i))

byte gil[N];                    /* 0: free; else the thread's number + 1 */
byte entries[N];                /* Owner::gate and its seats */
bool asking[N];                 /* a flag of the gate: somebody looks whether it can be ended */
bool closing[N];
bool ending[N];                 /* a flag of the gate: somebody ends it; calls only come from there */
bool gone[N];                   /* the interpreter is ended: nobody may attach */
byte threads_at_home[N];        /* the base waits for an interpreter's own threads */

byte handles[N];                /* SharedCell::word */
bool queued[N];
bool dead[N];
bool object[N];                 /* the owner has not dropped it yet */
bool live[N];                   /* not recycled */
bool in_queue[N];               /* Owner::release_queue: the one cell can be in it */
bool queue_closed[N];
bool retired[N];
bool in_table[N];               /* Owner::cells */

bool holds[N];                  /* a proxy of NEXT(i)'s object */
byte dropped[N];                /* Owner::dropped, a set of interpreters */
bool scope_open = true;
byte finished;

/* Thread-local, as macros in inlines: me, at, depth, came_from[] */

inline attach(i)
{
    atomic {
        gil[i] == 0 -> gil[i] = me + 1;
        assert(!gone[i]);       /* an ended interpreter is never attached to */
    }
}

inline detach(i)
{
    atomic { assert(gil[i] == me + 1); gil[i] = 0 }
}

#if DEPTH == 1
#define comes_from(i) (depth > 0 && came_from[0] == i)
#else
#define comes_from(i) ((depth > 0 && came_from[0] == i) || (depth > 1 && came_from[1] == i))
#endif

/* may_stay(), this_thread_is_inside() */
#define may_stay(i, passing) (!closing[i] && (!ending[i] || passing || comes_from(i)))

/* sit_down(), detach(), may_remain(), in two steps, in between attached to nothing.  Leaves `inside` set
   if the caller is inside the gate, and detached; else it is attached again. */
inline step_in(i, passing)
{
#if SEED == 1
    inside = may_stay(i, passing);
    if
    :: inside -> atomic { entries[i]++; detach(at) }
    :: else
    fi
#else
    atomic { entries[i]++; detach(at) };
    atomic { !asking[i] -> inside = may_stay(i, passing) };
    if
    :: atomic { inside -> skip }
    :: else -> atomic { attach(at); entries[i]-- }
    fi
#endif
}

inline recycle(i)
{
    atomic {
        assert(live[i]);
        assert(handles[i] == 0);    /* nobody is left who points at it */
        assert(!object[i]);         /* and its object was released */
        live[i] = false
    }
}

inline take_object(i)
{
    in_table[i] = false;
    object[i] = false
}

/* settle_all(), take_off_queue(): of a cell that is off the list already. */
inline settle(i)
{
    atomic {
        assert(live[i]);
        if
        :: handles[i] == 0 -> take_object(i); recycle(i)
        :: handles[i] != 0 && dead[i] -> queued[i] = false; take_object(i)
        :: handles[i] != 0 && !dead[i] -> queued[i] = false
        fi
    }
}

/* Tstate: attached to i.  Takes the queue, then settles what was in it. */
inline drain(i)
{
    atomic {
        assert(gil[i] == me + 1);
        if
        :: in_queue[i] -> in_queue[i] = false; settle(i)
        :: else
        fi
    }
}

/* The cell is marked queued, and not on the queue yet.  Leaves `inside` set if the owner is to be looked
   after. */
inline send_to_owner(i)
{
    atomic {
        entries[i]++;
        inside = !queue_closed[i];
        if
        :: inside -> assert(live[i]); in_queue[i] = true
        :: else ->
#if SEED == 2
            recycle(i)
#else
            /* settle_after_end() */
            assert(live[i]);
            if
            :: handles[i] == 0 -> recycle(i)
            :: else -> queued[i] = false
            fi
#endif
        fi
    };
    atomic {
        !asking[i] -> inside = inside && may_stay(i, true);
        entries[i]--
    }
}

/* drop_handle(), remember_drop(); `where` is the interpreter the thread is attached to. */
inline drop_handle(i, where)
{
    atomic {
        assert(live[i] && handles[i] > 0);
        handles[i]--;
        must_queue = (handles[i] == 0 && !queued[i]);
        if
        :: must_queue -> queued[i] = true
        :: else
        fi
    };
    if
    :: must_queue ->
        send_to_owner(i);
        if
        :: inside && i != where -> dropped[where] = dropped[where] | BIT(i)
        :: else
        fi
    :: else
    fi
}

/* kill_must_queue(); the cell cannot be recycled meanwhile. */
inline kill(i)
{
    assert(live[i]);
    must_queue = (!dead[i] && !queued[i]);
    if
    :: !dead[i] -> dead[i] = true; queued[i] = true
    :: else
    fi
}

/* InterpreterEntry::enter(); `inside` tells whether it did. */
inline enter(i, passing)
{
    step_in(i, passing);
    if
    :: inside ->
        atomic {
            attach(i);
            came_from[depth] = at;
            at = i;
            depth++;
            drain(at)
        }
    :: atomic { else -> skip }
    fi
}

/* InterpreterEntry::leave(), take_over_drops(), add_drops() */
inline leave()
{
    atomic {
        take = dropped[at];
        dropped[at] = 0;
#if SEED == 3
        if
        :: in_queue[at] -> take = take | BIT(at)
        :: else
        fi
    };
    atomic {
#endif
        detach(at)
    };
    atomic {
        attach(came_from[depth - 1]);
#if SEED != 3
        if
        :: in_queue[at] -> take = take | BIT(at)
        :: else
        fi;
#endif
        entries[at]--;
        depth--;
        at = came_from[depth];
        came_from[depth] = 0;
        dropped[at] = (dropped[at] | take) & ~BIT(at);
        take = 0;
        /* The next safe point: if something is waiting here. */
        drain(at)
    }
}

/* Scope::close(): kills the members under the mutex, then drains their owners. */
inline close_scope()
{
    atomic {
        must_queue = false;
        if
        :: scope_open && in_table[0] -> kill(0)
        :: else
        fi;
        scope_open = false
    };
    if
    :: must_queue -> send_to_owner(0)
    :: else
    fi;
    if
    :: at == 0 -> drain(0)
    :: at != 0 && depth < DEPTH ->
        enter(0, true);
        if
        :: inside -> leave()
        :: else
        fi
    :: else
    fi
}

/* _PyShared_SafePoint(), drain_if_idle(): of the next owner that is to be looked after. */
inline safe_point()
{
    atomic {
        if
        :: dropped[at] & 1 -> target = 0
        :: !(dropped[at] & 1) && (dropped[at] & 2) -> target = 1
        :: !(dropped[at] & 3) -> target = 2
        fi;
        dropped[at] = dropped[at] & ~BIT(target);
        wanted = (!closing[target] && in_queue[target] && gil[target] == 0)
    };
    if
    :: atomic { wanted -> wanted = false };
        enter(target, true);
        if
        :: inside -> leave()
        :: else
        fi
    :: atomic { else -> skip }
    fi
}

inline is_outside(i)
{
    /* this_thread_is_inside() */
    outside = (me != i && at != i && (depth < 1 || came_from[0] != i)
               && (depth < 2 || came_from[1] != i))
}

/* Interpreter.close(), by a thread of another interpreter. */
inline end_interpreter(i)
{
    /* begin_end(): entries that pass through are refused here like calls */
    atomic {
        outside = (outside && !ending[i] && !asking[i]);
        asking[i] = asking[i] || outside
    };
    atomic {
        if
        :: outside ->
            outside = (entries[i] == 0 && threads_at_home[i] == 0);
            ending[i] = outside;
            asking[i] = false
        :: else
        fi
    };
    if
    :: outside ->
        detach(at);
        attach(i);
        /* _PyShared_InterpreterEnding(), wait_for_entries() */
        closing[i] = true;
        detach(i);
        entries[i] == 0 -> skip;
        attach(i);
        drain(i);
        /* _PyShared_InterpreterRetire() */
        atomic {
            retired[i] = true;
            must_queue = false;
            if
            :: in_table[i] -> kill(i)
            :: else
            fi;
            if
            :: must_queue -> in_queue[i] = true
            :: else
            fi
        };
        drain(i);
#if SEED != 2
        /* drop_unqueued() */
        atomic { take_object(i) };
#endif
        atomic {
            queue_closed[i] = true;
            if
            :: in_queue[i] -> in_queue[i] = false; settle(i)
            :: else
            fi
        };
        /* What its modules held goes with them. */
        if
        :: holds[i] -> holds[i] = false; drop_handle(NEXT(i), i)
        :: else
        fi;
        /* _PyShared_InterpreterDelete(), pass_on_drops() */
        atomic { detach(i); gone[i] = true; take = dropped[i]; dropped[i] = 0 };
        attach(at);
        atomic { dropped[at] = (dropped[at] | take) & ~BIT(at); take = 0 }
    :: else
    fi
}

/* A safe point comes before anything else, but for a thread that has no depth left to enter. */
#define looked_after (dropped[at] == 0 || depth == DEPTH)

/* What a thread forgets between two actions. */
#define forget atomic { inside = false; must_queue = false; wanted = false; outside = false; \
                        in_flight = false; target = 0 }

proctype Thread(byte me)
{
    byte at = me, depth = 0, take = 0, target = 0;
    byte came_from[DEPTH];
    bool inside, must_queue, wanted, outside, in_flight;

    attach(me);
    do
    :: dropped[at] != 0 && depth < DEPTH -> safe_point(); forget
    :: looked_after && in_queue[at] -> drain(at)

    :: looked_after && depth < DEPTH && holds[at] && !dead[NEXT(at)] && gil[NEXT(at)] == 0 ->
        target = NEXT(at);
        enter(target, false);
        forget
    :: looked_after && depth > 0 ->
        /* The object comes up again, as the result: cell_for(). */
        in_flight = false;
        atomic {
            if
            :: (came_from[depth - 1] == PREVIOUS(at) && in_table[at] && object[at] && !dead[at]
                && !retired[at] && handles[at] < 2) ->
                handles[at]++;
                target = at;
                in_flight = true
            :: true
            fi
        };
        leave();
        if
        :: in_flight && !holds[at] -> holds[at] = true; in_flight = false
        :: in_flight && holds[at] -> in_flight = false; drop_handle(target, at)
        :: else
        fi;
        forget
    :: atomic { looked_after && holds[at] -> holds[at] = false };
        drop_handle(NEXT(at), at);
        forget
    :: looked_after && scope_open && (at == 0 || depth < DEPTH) -> close_scope(); forget
    :: looked_after && !closing[NEXT(at)] ->
        is_outside(NEXT(at));
        if
        :: outside -> end_interpreter(NEXT(at))
        :: else
        fi;
        forget
    :: looked_after && !in_queue[at] && depth == 0 ->
        atomic {
            if
            :: dropped[at] == 0 && !in_queue[at] ->
                detach(at);
                threads_at_home[me]--;
                finished++;
                break
            :: else
            fi
        }
    od
}

/* When all is done, every object that nobody holds was released, and its cell recycled. */
proctype Witness()
{
    finished == N;
    byte i;
    for (i : 0 .. N - 1) {
        assert(gil[i] == 0 && entries[i] == 0);
        assert(handles[i] == holds[PREVIOUS(i)]);
        assert(handles[i] > 0 || (!object[i] && !live[i]));
        assert(!gone[i] || !object[i])
    }
}

init
{
    atomic {
        byte i;
        for (i : 0 .. N - 1) {
            handles[i] = 1;
            holds[PREVIOUS(i)] = true;
            object[i] = true;
            live[i] = true;
            in_table[i] = true;
            threads_at_home[i] = 1
        }
        for (i : 0 .. N - 1) {
            run Thread(i)
        }
        run Witness()
    }
}
