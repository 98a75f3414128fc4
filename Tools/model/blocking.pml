/* Dropping towards an owner that runs, and that may block: who releases, and that somebody does.

   An owner with two threads, which run Python, come to safe points, or go into C code: there they have
   the GIL and come to no safe point any more, then give it up, and come back some time or never.  Two
   threads of another interpreter drop a proxy of the owner's twice each, and run Python themselves.

   Each inline is named after the function that it is a model of; what it does in one atomic operation,
   or while it holds the GIL of its own interpreter, is one step.  How often a thread looks again is
   without a limit here.

   -DSEED=1  a thread looks at an owner once: if that runs, it will come to a safe point
*/

#ifndef SEED
#define SEED 0
#endif

#define OWNERS 2                /* threads 1 and 2; 0 is nobody */
#define DROPPERS 2              /* threads 3 and 4 */
#define DROPS 2

byte owner_gil;                 /* the thread that has it */
byte home_gil;
byte waiting;                   /* cells on Owner::release_queue */
bool breaker[OWNERS + 1];       /* the eval breakers of the owner's threads */
bool dropped;                   /* Owner::dropped of the droppers' interpreter has the owner */
byte finished;

inline attach(gil) { atomic { gil == 0 -> gil = me } }
inline detach(gil) { atomic { assert(gil == me); gil = 0 } }

/* Tstate: attached to the owner. */
inline drain() { atomic { assert(owner_gil == me); waiting = 0 } }

proctype Owner(byte me)
{
    attach(owner_gil);
    do
    :: atomic { breaker[me] -> breaker[me] = false; drain() }
    :: detach(owner_gil);       /* on request, or into what blocks; with a bit set or not */
        if
        :: attach(owner_gil)
        :: break
        fi
    od;
    finished++
}

/* push(), request_safe_point(), remember_drop() */
inline drop_handle()
{
    atomic { first = (waiting == 0); waiting++ };
    if
    :: first ->
        atomic {
            first = false;
            if
            :: owner_gil > 0 && owner_gil <= OWNERS -> breaker[owner_gil] = true
            :: else
            fi
        }
    :: else
    fi;
    dropped = true
}

/* _PyShared_SafePoint(), attention_for(), drain_if_idle(), look_again() */
inline safe_point()
{
    atomic {
        assert(home_gil == me);
        dropped = false;
        wanted = (waiting > 0 && owner_gil == 0);
        running = (waiting > 0 && owner_gil != 0)
    };
    if
    :: wanted ->
        wanted = false;
        detach(home_gil);
        attach(owner_gil);
        drain();
        detach(owner_gil);
        attach(home_gil)
    :: running ->
        running = false;
#if SEED != 1
        dropped = true
#endif
    :: else
    fi
}

proctype Dropper(byte me)
{
    byte drops = DROPS;
    bool first, wanted, running;

    attach(home_gil);
    do
    :: dropped -> safe_point()
    :: !dropped && drops > 0 -> drops--; drop_handle()
    :: detach(home_gil); attach(home_gil)       /* another thread's turn */
    :: atomic { !dropped && drops == 0 -> break }
    od;
    detach(home_gil);
    finished++
}

/* When the owner is blocked and all was dropped and looked after, nothing waits. */
proctype Witness()
{
    finished == OWNERS + DROPPERS;
    assert(waiting == 0)
}

init
{
    atomic {
        run Owner(1);
        run Owner(2);
        run Dropper(3);
        run Dropper(4);
        run Witness()
    }
}
