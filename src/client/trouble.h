// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong, as the library tells it: a code of the public catalogue, or one that only a newer gateway knows.
// Thread: any. Pure.
#pragma once
#include <tideway/client.h>
#include <tideway/result.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace tideway::client {

struct Trouble {
  std::string code, detail, next;

  int exit_code() const {
    const auto fault = fault_named(code);
    return fault ? row_of(*fault).exit_code : 1;
  }
  // The same request may succeed a little later, without anybody doing anything.
  bool passes() const {
    const auto fault = fault_named(code);
    return fault && (*fault == Fault::kDaemonUnreachable || *fault == Fault::kOverloaded || *fault == Fault::kNoMemory || *fault == Fault::kStoreUnavailable);
  }
};

inline Trouble trouble_of(Fault fault, std::string detail, std::string next = {}) { return {std::string(row_of(fault).name), std::move(detail), std::move(next)}; }
inline Trouble trouble_of(const Error& error) { return {std::string(error.name()), error.what, error.next}; }

template <size_t size>
void put_text(char (&into)[size], std::string_view text) {
  const size_t count = std::min(text.size(), size - 1);
  std::memcpy(into, text.data(), count);
  into[count] = 0;
}

// What a call returns; `error` may be null.
inline int tell(tideway_error* error, const Trouble& trouble) {
  if (error != nullptr) {
    error->exit_code = trouble.exit_code();
    put_text(error->code, trouble.code);
    put_text(error->text, trouble.next.empty() ? trouble.detail : trouble.detail + "; " + trouble.next);
  }
  return trouble.exit_code();
}

inline int tell_success(tideway_error* error) {
  if (error != nullptr) *error = tideway_error{};
  return 0;
}

}  // namespace tideway::client
