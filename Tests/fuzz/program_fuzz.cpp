// SPDX-License-Identifier: PSF-2.0
// Random programs over the C API, on the objects of three interpreters.
//
// An input is a program: three bytes a step, an operation and two slots.  Each interpreter has eight
// slots, which hold boxes of its own or proxies.  Every box has a number that is used once, so what
// comes back from an operation tells whether it reached the right object.  A slot is `fragile` if its
// proxy may be dead by what the program did (scopes, release, revoke, an interpreter's end): only
// then is DeadProxyError an answer.  When a program has ended and let go of everything, as many cells
// are in use as before it.

#include "fuzzing.hpp"

#include <array>
#include <map>
#include <thread>
#include <vector>

using namespace fuzzing;

namespace {

constexpr size_t kPlaces = 3;
constexpr size_t kSlots = 8;
constexpr size_t kMostSteps = 100;
constexpr int kSettlingRounds = 20;

constexpr const char *kCode = R"(
import gc, weakref
from _sharedobjects import *
from _sharedobjects import Scope

boxes = weakref.WeakSet()

class Failure(Exception):
    pass

class Box:
    def __init__(self, number):
        self.number, self.kept = number, None
        boxes.add(self)
    def get(self):
        return self.number
    def keep(self, value):
        old, self.kept = self.kept, value
        return old
    def give(self):
        return self.kept
    def call(self, function):
        return function()
    def fail(self, known):
        raise (Failure if known else ValueError)(self.number)

def revoked(proxy):
    try:
        revoke(proxy)
    except Exception as error:
        if not str(error).startswith('only the owner'):
            raise
        return False
    return True

def empty_boxes():
    for box in list(boxes):
        box.kept = None
)";

// What is where: a box or a proxy of one, by the box's number.
struct Value {
    long number = 0;        // 0: None
    bool fragile = false;
    bool doubled = false;   // a proxy of a proxy, which whoever made it owns
    bool emptied = false;   // of what a box keeps: the box may have been emptied since
};

struct Slot {
    PyObject *object = nullptr;
    Value value;
};

struct Place {
    PyThreadState *tstate = nullptr;
    PyInterpreterState *interp = nullptr;
    std::array<Slot, kSlots> slots;
    std::vector<PyObject *> scopes;
};

// Of each box of the running program.
struct Box {
    size_t place;           // kPlaces: its interpreter has ended
    Value kept;
};

std::array<Place, kPlaces> places;
std::map<long, Box> boxes;
long last_number;
long cells_before;

// Set on a thread other than the one that made the interpreters.
thread_local bool is_elsewhere = false;

// Attached to an interpreter, on any thread.
class [[nodiscard]] Inside final {
public:
    explicit Inside(const Place &place)
        : made_(is_elsewhere ? PyThreadState_New(place.interp) : nullptr),
          before_(PyThreadState_Swap(made_ != nullptr ? made_ : place.tstate))
    {
    }
    ~Inside()
    {
        if (made_ != nullptr) {
            PyThreadState_Clear(made_);
        }
        PyThreadState_Swap(before_);
        if (made_ != nullptr) {
            PyThreadState_Delete(made_);
        }
    }
    Inside(const Inside &) = delete;
    Inside &operator=(const Inside &) = delete;

private:
    PyThreadState *made_;
    PyThreadState *before_;
};

void mark_fragile(long number)
{
    for (Place &place : places) {
        for (Slot &slot : place.slots) {
            slot.value.fragile |= slot.value.number == number && number != 0;
        }
    }
    for (auto &[_, box] : boxes) {
        box.kept.fragile |= box.kept.number == number && number != 0;
    }
}

bool is_proxy(const Slot &slot)
{
    return slot.object != nullptr && PySharedObjectProxy_Check(slot.object);
}

// An operation failed: it may only have met a dead proxy, and only if there may be one.
void check_dead(bool fragile)
{
    check(fragile, "an operation on what is alive failed");
    Ref error(PyErr_GetRaisedException());
    Ref dead = defined("DeadProxyError");
    PyErr_SetRaisedException(error.release());
    check(cleared(dead.get()), "a dead proxy raised another exception");
}

void put(Slot &slot, Ref object, Value value)
{
    slot.value = object ? value : Value{};
    Py_XDECREF(std::exchange(slot.object, object.release()));
}

// A step: an operation, and the two slots that it is about.

struct Step {
    size_t from_place, to_place;
    Slot &from;                 // in from_place
    Slot &beside;               // in from_place, too
    Slot &to;                   // in to_place
    bool odd;                   // one bit of choice

    Place &here() const { return places[from_place]; }
    Place &there() const { return places[to_place]; }
};

void make(const Step &step)
{
    Inside here(step.here());
    Ref cls = defined("Box");
    Ref box = made(PyObject_CallFunction(cls.get(), "l", ++last_number));
    boxes[last_number] = Box{step.from_place, {}};
    put(step.from, std::move(box), {last_number});
}

void share(const Step &step)
{
    if (step.from.object == nullptr) {
        return;
    }
    Inside here(step.here());
    Ref proxy(step.odd ? PyShared_Share(step.from.object) : PyShared_Wrap(step.from.object));
    if (!proxy) {
        check_dead(step.from.value.fragile);
        return;
    }
    check(PySharedObjectProxy_Check(proxy.get()), "share() of a box returned no proxy");
    Value value = step.from.value;
    value.doubled |= !step.odd && is_proxy(step.from);
    put(step.beside, std::move(proxy), value);
}

// By token.
void send(const Step &step)
{
    if (!is_proxy(step.from)) {
        return;
    }
    std::array<char, 16> token;
    {
        Inside here(step.here());
        Ref bytes(PyObject_CallOneArg(defined("share_token").get(), step.from.object));
        if (!bytes) {
            check_dead(step.from.value.fragile);
            return;
        }
        check(PyBytes_GET_SIZE(bytes.get()) == Py_ssize_t(token.size()), "a token of another size");
        std::copy_n(PyBytes_AS_STRING(bytes.get()), token.size(), token.begin());
    }
    Inside there(step.there());
    Ref type = defined("SharedObjectProxy");
    Ref proxy(PyObject_CallMethod(type.get(), "from_token", "y#", token.data(),
                                  Py_ssize_t(token.size())));
    if (!proxy) {
        check_dead(step.from.value.fragile);
        return;
    }
    Value value = step.from.value;
    put(step.to, std::move(proxy), value);
}

void get(const Step &step)
{
    if (step.from.object == nullptr) {
        return;
    }
    Inside here(step.here());
    Ref number(step.odd ? PyObject_CallMethod(step.from.object, "get", nullptr)
                        : PyObject_GetAttrString(step.from.object, "number"));
    if (!number) {
        check_dead(step.from.value.fragile);
        return;
    }
    check(PyLong_AsLong(number.get()) == step.from.value.number, "another object answered");
}

// What a box gave arrives where the step is.
void receive(const Step &step, Slot &slot, Ref object, Value value)
{
    if (object.get() == Py_None) {
        check(value.number == 0 || value.emptied, "None arrived instead of an object");
        put(slot, Ref(), {});
        return;
    }
    check(value.number != 0, "an object arrived instead of None");
    value.emptied = false;
    bool home = boxes.at(value.number).place == step.from_place;
    bool came_across = boxes.at(step.from.value.number).place != step.from_place;
    if (home && came_across && !value.fragile) {
        check(!PySharedObjectProxy_Check(object.get()), "an object came home as a proxy");
    }
    put(slot, std::move(object), value);
}

// Of the interpreter that is there, if it has not ended.
void empty_boxes_of(size_t place)
{
    if (place != kPlaces) {
        Inside there(places[place]);
        define("empty_boxes()");
    }
    for (auto &[_, box] : boxes) {
        if (box.place == place) {
            box.kept.fragile = box.kept.emptied = true;
        }
    }
}

void keep(const Step &step)
{
    if (step.from.object == nullptr || step.beside.object == nullptr) {
        return;
    }
    Inside here(step.here());
    bool fragile = step.from.value.fragile || step.beside.value.fragile;
    Value &kept = boxes.at(step.from.value.number).kept;
    Value old = kept, stored = step.beside.value;
    stored.fragile = fragile;
    Ref result(PyObject_CallMethod(step.from.object, "keep", "O", step.beside.object));
    if (!result) {
        check_dead(fragile || old.fragile);
        // It ran or it did not: empty the box for certain.
        mark_fragile(stored.number);
        empty_boxes_of(boxes.at(step.from.value.number).place);
        return;
    }
    kept = stored;
    old.fragile |= fragile;
    receive(step, step.beside, std::move(result), old);
}

void give(const Step &step)
{
    if (step.from.object == nullptr) {
        return;
    }
    Inside here(step.here());
    Value kept = boxes.at(step.from.value.number).kept;
    kept.fragile |= step.from.value.fragile;
    Ref result(PyObject_CallMethod(step.from.object, "give", nullptr));
    if (!result) {
        check_dead(kept.fragile);
        return;
    }
    if (kept.fragile && result.get() == Py_None) {
        return;
    }
    receive(step, step.beside, std::move(result), kept);
}

// From here to the owner and back, or on to a third one.
void call_back(const Step &step)
{
    if (step.from.object == nullptr || step.beside.object == nullptr) {
        return;
    }
    Inside here(step.here());
    bool fragile = step.from.value.fragile || step.beside.value.fragile;
    Ref method(PyObject_GetAttrString(step.beside.object, "get"));
    if (!method) {
        check_dead(fragile);
        return;
    }
    Ref number(PyObject_CallMethod(step.from.object, "call", "O", method.get()));
    if (!number) {
        check_dead(fragile);
        return;
    }
    check(PyLong_AsLong(number.get()) == step.beside.value.number, "another object was called");
}

void raise(const Step &step)
{
    if (step.from.object == nullptr) {
        return;
    }
    Inside here(step.here());
    Ref failure = defined("Failure");
    Ref nothing(PyObject_CallMethod(step.from.object, "fail", "i", int(step.odd)));
    check(!nothing, "a method that raises returned");
    if (!PyErr_ExceptionMatches(step.odd ? failure.get() : PyExc_ValueError)) {
        check_dead(step.from.value.fragile);
        return;
    }
    Ref exception(PyErr_GetRaisedException());
    Ref args = made(PyObject_GetAttrString(exception.get(), "args"));
    check(PyLong_AsLong(PyTuple_GetItem(args.get(), 0)) == step.from.value.number,
          "another object's exception arrived");
}

void open_scope(const Step &step)
{
    if (step.from.object == nullptr) {
        return;
    }
    Inside here(step.here());
    std::vector<PyObject *> &scopes = step.here().scopes;
    if (step.odd || scopes.empty()) {
        scopes.push_back(made(PyObject_CallNoArgs(defined("Scope").get())).release());
    }
    Ref proxy(PyObject_CallMethod(scopes.back(), "wrap", "O", step.from.object));
    if (!proxy) {
        check_dead(true);       // the scope may be closed
        return;
    }
    Value value = step.from.value;
    value.fragile = true;
    value.doubled |= is_proxy(step.from);
    put(step.beside, std::move(proxy), value);
}

void close_scope(const Step &step)
{
    Inside here(step.here());
    std::vector<PyObject *> &scopes = step.here().scopes;
    if (scopes.empty()) {
        return;
    }
    succeed(PyObject_CallMethod(scopes.back(), "close", nullptr));
    if (step.odd) {
        Py_DECREF(scopes.back());
        scopes.pop_back();
    }
}

void release(const Step &step)
{
    if (!is_proxy(step.from)) {
        return;
    }
    Inside here(step.here());
    mark_fragile(step.from.value.number);
    succeed(PyObject_CallOneArg(defined("release").get(), step.from.object));
    check(PyShared_IsAlive(step.from.object) == 0, "a released proxy is alive");
}

void revoke(const Step &step)
{
    if (!is_proxy(step.from) || boxes.at(step.from.value.number).place != step.from_place) {
        return;
    }
    Inside here(step.here());
    Value before = step.from.value;
    mark_fragile(before.number);
    Ref revoked(PyObject_CallOneArg(defined("revoked").get(), step.from.object));
    if (!revoked) {
        check_dead(before.fragile);
        return;
    }
    if (revoked.get() == Py_False) {
        check(before.doubled, "the owner may not revoke");
        return;
    }
    check(PyShared_IsAlive(step.from.object) == 0, "a revoked proxy is alive");
}

void drop(const Step &step)
{
    Inside here(step.here());
    put(step.from, Ref(), {});
}

// A full collection takes as long as a hundred other steps.
void pause_for_a_moment(const Step &step)
{
    Inside here(step.here());
    define(step.odd && step.from.object == nullptr ? "gc.collect()" : "pass");
}

void let_go_of(Place &place)
{
    Inside here(place);
    define("empty_boxes()");
    for (Slot &slot : place.slots) {
        put(slot, Ref(), {});
    }
    for (PyObject *scope : std::exchange(place.scopes, {})) {
        succeed(PyObject_CallMethod(scope, "close", nullptr));
        Py_DECREF(scope);
    }
}

void begin(Place &place)
{
    place.tstate = make_interpreter();
    place.interp = PyThreadState_GetInterpreter(place.tstate);
    Inside here(place);
    define(kCode);
}

// Ends one that is not main; the next step finds another in its place.  Costs as much as a
// thousand other steps, so it takes a rare combination.
void end(const Step &step)
{
    if (step.from_place == 0 || is_elsewhere || !step.odd || &step.from != &step.here().slots[7]) {
        return;
    }
    Place &place = step.here();
    let_go_of(place);
    for (auto &[number, box] : boxes) {
        if (box.place == step.from_place) {
            mark_fragile(number);
            box.place = kPlaces;
        }
    }
    PyThreadState_Swap(place.tstate);
    Py_EndInterpreter(place.tstate);
    PyThreadState_Swap(places[0].tstate);
    begin(place);
}

constexpr void (*kOperations[])(const Step &) = {
    make, share, send, get, keep, give, call_back, raise, open_scope, close_scope, release, revoke,
    drop, pause_for_a_moment, end,
};
constexpr uint8_t kElsewhere = 0x80;        // the step runs on another thread

void run_step(uint8_t operation, uint8_t first, uint8_t second)
{
    Place &from = places[first % kPlaces];
    Place &to = places[second % kPlaces];
    size_t slot = second / kPlaces % kSlots;
    Step step{first % kPlaces, second % kPlaces, from.slots[first / kPlaces % kSlots],
              from.slots[slot], to.slots[slot], (first & 0x80) != 0};
    auto run = kOperations[(operation & ~kElsewhere) % std::size(kOperations)];
    if ((operation & kElsewhere) == 0) {
        run(step);
        return;
    }
    PyThreadState *here = PyEval_SaveThread();
    std::thread([&] {
        is_elsewhere = true;
        run(step);
    }).join();
    PyEval_RestoreThread(here);
}

long cells_live()
{
    Ref stats = made(PyObject_CallNoArgs(defined("share_stats").get()));
    return PyLong_AsLong(PyDict_GetItemString(stats.get(), "cells_live"));
}

// Give what was dropped time to be released.  Of proxies of proxies each takes a safe point.
void settle()
{
    for (int round = 0; cells_live() != cells_before; ++round) {
        check(round < kSettlingRounds, "cells are left when all was let go");
        for (const Place &place : places) {
            Inside here(place);
            define(round < 2 ? "for _ in range(100): pass" : "gc.collect()");
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
    start_python();
    places[0].tstate = PyThreadState_Get();
    places[0].interp = PyInterpreterState_Main();
    define(kCode);
    for (size_t i = 1; i < kPlaces; ++i) {
        begin(places[i]);
    }
    cells_before = cells_live();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    boxes.clear();
    for (size_t step = 0; step < kMostSteps && step * 3 + 3 <= size; ++step) {
        run_step(data[step * 3], data[step * 3 + 1], data[step * 3 + 2]);
    }
    for (Place &place : places) {
        let_go_of(place);
    }
    settle();
    return 0;
}
