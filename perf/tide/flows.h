// SPDX-License-Identifier: Apache-2.0
//
// The synthetic trainer's traffic: TCP connections that all carry their part of a burst, which is over when the far side has
// confirmed the last byte of the last of them.
// Thread: main.
#pragma once
#include "trainer.h"
#include <tideway/result.h>

#include <memory>
#include <vector>

namespace tideway::trainer {

class Flows {
 public:
  // Errors: peer_unreachable, config_invalid (no such congestion control).
  static Result<std::unique_ptr<Flows>> open(const Settings& settings);
  ~Flows();

  // One burst, to its last confirmation. Errors: peer_lost.
  Status burst(Bytes size);

 private:
  struct Flow { int fd; uint64_t left; bool is_confirmed; };
  Flows() = default;
  Status move(Flow& flow, short events);

  std::vector<Flow> flows_;
};

// Takes bursts at the address until it is killed. Errors: config_invalid.
Status serve(const Endpoint& listen);

}  // namespace tideway::trainer
