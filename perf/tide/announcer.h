// SPDX-License-Identifier: Apache-2.0
//
// How the synthetic trainer tells a gateway that it communicates: not at all, through its API socket, on the
// phase board, or by beacons.
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
  static Result<std::unique_ptr<Announcer>> open(const Settings& settings);
  ~Announcer();

  void begin();
  void end();

 private:
  explicit Announcer(const Settings& settings) : settings_(settings), random_(settings.seed) {}
  Status open_board();
  Status open_beacon();
  Status open_api();
  bool is_lost();
  void say(gate::PhaseKind kind);
  void ask(gate::PhaseKind kind);

  const Settings settings_;
  Random random_;
  std::optional<tideway_phase> phase_;
  std::optional<http::Client> gateway_;
  int fd_ = -1;
  gate::BeaconKey key_;
  gate::Beacon beacon_;
};

}  // namespace tideway::trainer
