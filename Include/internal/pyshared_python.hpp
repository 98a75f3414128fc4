// SPDX-License-Identifier: PSF-2.0
// The base's headers, as our C++ sees them.
//
// Included first by every file of ours: it selects the pycore headers that parse as C++20.

#pragma once

#include "Python.h"

#include "pycore_ceval.h"
#include "pycore_interp.h"
#include "pycore_object.h"
#include "pycore_pyerrors.h"
#include "pycore_pystate.h"
#include "pycore_runtime.h"
#include "pycore_tstate.h"

#include "pycore_sharedobject.h"

namespace pyshared {

#ifdef Py_GIL_DISABLED
inline constexpr bool kFreeThreaded = true;
#else
inline constexpr bool kFreeThreaded = false;
#endif

}  // namespace pyshared
