// SPDX-License-Identifier: Apache-2.0
//
// The calls of tideway/phase.h as functions of the library, for languages that cannot include a header of C.
// Thread: one per struct tideway_phase.
#define TIDEWAY_PHASE_FUNCTION __attribute__((visibility("default")))
#include <tideway/phase.h>
