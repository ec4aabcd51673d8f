// SPDX-License-Identifier: Apache-2.0
//
// A trainer's word about its communication as JSON: the body of POST /v1/phase.
// Thread: any. Pure.
#pragma once
#include "gate/phase_event.h"
#include <tideway/result.h>

#include <string>
#include <string_view>

namespace tideway::api {

struct PhaseWord {
  std::string training, site;  // names; the event has their hashes. No site: every link of the training
  gate::PhaseEvent event;
  std::string source;          // who says it, and its number from 1 on, so that a repeat is known as one; empty: not told
  uint64_t number = 0;
};
// Errors: usage, naming the field.
Result<PhaseWord> parse_phase_word(std::string_view body);
std::string to_json(const PhaseWord& word);

}  // namespace tideway::api
