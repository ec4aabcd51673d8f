// SPDX-License-Identifier: Apache-2.0
//
// How a host of the synthetic trainer tells a gateway that it communicates: not at all, through its API socket, on the
// phase board, or by beacons. Each is a member of the training, which communicates while one of them does.
// Thread: main.
#pragma once
#include "base/random.h"
#include "gate/beacon.h"
#include "http/client.h"
#include "trainer.h"
#include <tideway/phase.h>

#include <memory>
#include <optional>

namespace tideway::trainer {

class Announcer {
 public:
  // Errors: config_invalid.
  static Result<std::unique_ptr<Announcer>> open(const Settings& settings, size_t host);
  ~Announcer();

  void begin();
  void end();

 private:
  Announcer(const Settings& settings, size_t host) : settings_(settings), host_(static_cast<uint16_t>(host)), random_(settings.seed + host) {}
  Status open_board();
  Status open_beacon();
  Status open_api();
  bool is_lost();
  void say(gate::PhaseKind kind);
  void ask(gate::PhaseKind kind);

  const Settings settings_;
  const uint16_t host_;
  Random random_;
  std::optional<tideway_phase> phase_;
  std::optional<http::Client> gateway_;
  int fd_ = -1;
  gate::BeaconKey key_;
  gate::Beacon beacon_;
};

}  // namespace tideway::trainer
