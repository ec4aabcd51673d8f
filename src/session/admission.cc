// SPDX-License-Identifier: Apache-2.0
#include "session/admission.h"

#include <algorithm>

namespace tideway::session {

std::optional<Admission> AdmissionTable::admit(const Endpoint& from) {
  Source source = from.address;
  if (!from.is_ipv4()) std::fill(source.begin() + 8, source.end(), std::byte{0});
  const auto known = counts_->per_source.find(source);
  const size_t of_source = known == counts_->per_source.end() ? 0 : known->second;
  if (counts_->total >= limits_.total_max || of_source >= limits_.per_source_max) return std::nullopt;
  ++counts_->total;
  ++counts_->per_source[source];
  return Admission(counts_, source);
}

void AdmissionTable::Admission::release() {
  if (counts_ == nullptr) return;
  --counts_->total;
  const auto known = counts_->per_source.find(source_);
  if (--known->second == 0) counts_->per_source.erase(known);
  counts_.reset();
}

}  // namespace tideway::session
