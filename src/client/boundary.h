// SPDX-License-Identifier: Apache-2.0
//
// The only place of the library where exceptions end: a standard container may throw for want of memory, a thread may not start, and
// neither may reach a trainer.
// Thread: any.
#pragma once
#include "client/trouble.h"

#include <exception>
#include <new>

namespace tideway::client {

// What `work` returns, an exit code; else that of the exception.
template <typename Work>
int guarded(tideway_error* error, Work work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    // No text is built: there is no memory.
    if (error != nullptr) {
      put_text(error->code, row_of(Fault::kNoMemory).name);
      put_text(error->text, "out of memory");
      error->exit_code = row_of(Fault::kNoMemory).exit_code;
    }
    return row_of(Fault::kNoMemory).exit_code;
  } catch (const std::exception& trouble) {
    if (error != nullptr) {
      put_text(error->code, row_of(Fault::kOverloaded).name);
      put_text(error->text, trouble.what());
      error->exit_code = row_of(Fault::kOverloaded).exit_code;
    }
    return row_of(Fault::kOverloaded).exit_code;
  }
}

}  // namespace tideway::client
