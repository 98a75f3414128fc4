// SPDX-License-Identifier: PSF-2.0
// Where an exception was raised, told to another interpreter; and the exception itself, in case
// that it comes home.
//
// A report is a tuple that crosses by value:
//
//     an int      what follows was in the interpreter with that ID
//     a tuple     a traceback: (frames left out, file, line, name, file, line, name, ...)
//     a str       text between them, as Python prints it
//
// It becomes a RemoteTraceback, the cause of the exception that arrives; the text is made when it
// is asked for.

#pragma once

#include "pyshared_guards.hpp"
#include "pyshared_owner.hpp"

namespace pyshared {

// What is told of an exception that leaves this interpreter, and of those that led to it; what it
// brought from other interpreters comes first.
// Tstate: attached.  Refs: borrowed, result new.  Python: __str__ of those that led to it may run.
// Errors: null with an exception set; without one, there is nothing to tell.
enum class Telling : uint8_t { kLines, kAtLeastWhere };
[[nodiscard]] PyObject *make_report(PyObject *exception, Telling what);

// The report as text.
// Tstate: attached.  Refs: result new.  Python: linecache runs.
[[nodiscard]] PyObject *format_report(PyObject *report);

// What of a report does not concern this interpreter: null without an exception if nothing does.
[[nodiscard]] PyObject *report_of_others(PyObject *report);

// Make a RemoteTraceback the exception's cause.  Takes over `home`, a handle on a cell of the
// exception that this one stands for, or null.
// Tstate: attached.  Errors: none; an exception without its cause is one all the same.
void attach_report(PyObject *exception, PyObject *report, SharedCell *home);

// The report that came with an exception; borrowed, null if there is none.
[[nodiscard]] PyObject *report_with(PyObject *exception);

// The living cell of the exception that this one stands for, as it arrived; null if there is none.
// The exception keeps it while it has its cause.
[[nodiscard]] SharedCell *home_of(PyObject *exception);

// The class RemoteTraceback of the current interpreter.  Refs: new.
[[nodiscard]] PyObject *make_remote_traceback_class();

}  // namespace pyshared
