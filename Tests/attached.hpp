// SPDX-License-Identifier: PSF-2.0
// A thread state that is attached for the time of a block.

#pragma once

#include "Python.h"

namespace embedding {

// Attached to that thread state while it lives; then back to the one before.
class [[nodiscard]] Attached final {
public:
    explicit Attached(PyThreadState *tstate) : before_(PyThreadState_Swap(tstate)) {}
    ~Attached() { PyThreadState_Swap(before_); }
    Attached(const Attached &) = delete;
    Attached &operator=(const Attached &) = delete;

private:
    PyThreadState *before_;
};

}  // namespace embedding
