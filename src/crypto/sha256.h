// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 (FIPS 180-4), piece by piece.
// Thread: any, one at a time.
#pragma once
#include <tideway/ids.h>

#include <memory>
#include <span>

namespace tideway::crypto {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::span<const std::byte> bytes);
  Hash256 finish();  // at most once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tideway::crypto
