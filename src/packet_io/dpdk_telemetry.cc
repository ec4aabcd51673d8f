// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_telemetry.h"

#include "base/log.h"
#include <tideway/check.h>

#include <rte_telemetry.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <memory>

namespace tideway::packet_io {
namespace {

// DPDK gives a handler the command's name and nothing of ours, and keeps it until the process ends. A slot is filled
// before DPDK hears of its command; later only its table is replaced.
struct Slot {
  const char* name = nullptr;
  std::atomic<std::shared_ptr<const std::function<TelemetryTable()>>> table;
};
constexpr size_t kCommandsMax = 4;
std::array<Slot, kCommandsMax> slots;

Slot* slot_of(std::string_view command) {
  for (Slot& slot : slots)
    if (slot.name != nullptr && slot.name == command) return &slot;
  return nullptr;
}

// A row takes what fits: DPDK counts values and their characters.
void write_row(const TelemetryRow& row, rte_tel_data* reply) {
  rte_tel_data_start_dict(reply);
  for (const auto& [name, value] : row) {
    if (const auto* number = std::get_if<uint64_t>(&value)) {
      rte_tel_data_add_dict_u64(reply, name, *number);
    } else {
      const std::string text = std::get<std::string>(value).substr(0, RTE_TEL_MAX_STRING_LEN - 1);
      rte_tel_data_add_dict_string(reply, name, text.c_str());
    }
  }
}

void write_rows(size_t count, rte_tel_data* reply) {
  rte_tel_data_start_array(reply, RTE_TEL_U64_VAL);
  for (size_t row = 0; row < std::min<size_t>(count, RTE_TEL_MAX_ARRAY_ENTRIES); ++row) rte_tel_data_add_array_u64(reply, row);
}

int answer(const char* command, const char* params, rte_tel_data* reply) {
  const Slot* slot = slot_of(command);
  if (slot == nullptr) return -EINVAL;
  const TelemetryTable table = (*slot->table.load())();
  const std::string_view wanted = params == nullptr ? "" : params;
  if (wanted.empty()) {
    write_rows(table.size(), reply);
    return 0;
  }
  size_t row = 0;
  const auto [end, failure] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), row);
  if (failure != std::errc() || end != wanted.data() + wanted.size() || row >= table.size()) return -EINVAL;
  write_row(table[row], reply);
  return 0;
}

}  // namespace

void publish_dpdk_telemetry(TelemetryCommand command) {
  Slot* slot = slot_of(command.name);
  const bool is_new = slot == nullptr;
  if (is_new) slot = std::ranges::find(slots, nullptr, &Slot::name);
  TIDEWAY_CHECK(slot != slots.end());
  slot->table.store(std::make_shared<const std::function<TelemetryTable()>>(std::move(command.table)));
  slot->name = command.name;
  if (is_new && rte_telemetry_register_cmd(command.name, answer, command.help) != 0)
    log::debug("dpdk_telemetry_refused", std::string("command=") + command.name);
}

}  // namespace tideway::packet_io
