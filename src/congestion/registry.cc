// SPDX-License-Identifier: Apache-2.0
#include "congestion/registry.h"

#include "congestion/bbr.h"
#include "congestion/contracted.h"
#include "congestion/scavenger.h"

#include <string>

namespace tideway::congestion {
namespace {

template <typename Controller>
std::unique_ptr<CongestionController> make(const ControllerConfig& config) {
  return std::make_unique<Controller>(config);
}

constexpr ControllerEntry kControllers[] = {
    {"bbr", make<Bbr>, false},
    {"contracted", make<Contracted>, true},
    {"scavenger", make<Scavenger>, false},
};

}  // namespace

std::span<const ControllerEntry> controllers() { return kControllers; }

Result<ControllerEntry> find_controller(std::string_view name, Rate rate_contracted) {
  std::string names;
  for (const ControllerEntry& entry : kControllers) {
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
    if (entry.name != name) continue;
    if (entry.needs_rate && (rate_contracted == Rate() || rate_contracted.is_unlimited()))
      return Error{Fault::kConfigInvalid, "the controller \"" + std::string(name) + "\" has no rate to hold",
                   "set rate to what the path is contracted for, such as \"10Gbit\""};
    return entry;
  }
  return Error{Fault::kConfigInvalid, "there is no congestion controller \"" + std::string(name.substr(0, 64)) + '"',
               "choose one of " + names};
}

}  // namespace tideway::congestion
