// SPDX-License-Identifier: Apache-2.0
//
// How many connections may be open before their peers are authorised: a bound on what strangers cost us. A connection
// holds its Admission until it is authorised or closed.
// Thread: control, the Admissions too. Pure.
#pragma once
#include <tideway/packet_io.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace tideway::session {

struct AdmissionLimits {
  size_t total_max = 512;      // times 64 KiB of memory each is 32 MiB
  size_t per_source_max = 16;  // per IPv4 address or IPv6 /64, so that one host cannot use up the total
};

class AdmissionTable {
 private:
  using Source = std::array<std::byte, 16>;
  struct Counts {  // a tree, because its keys are chosen by strangers; bounded by total_max
    std::map<Source, size_t> per_source;
    size_t total = 0;
  };

 public:
  // The right to be one of the connections counted. Gives itself back.
  class Admission {
   public:
    Admission(Admission&& other) noexcept = default;
    Admission& operator=(Admission&& other) noexcept {
      if (this != &other) {
        release();
        counts_ = std::move(other.counts_);
        source_ = other.source_;
      }
      return *this;
    }
    ~Admission() { release(); }

   private:
    friend class AdmissionTable;
    Admission(std::shared_ptr<Counts> counts, const Source& source) : counts_(std::move(counts)), source_(source) {}
    void release();
    std::shared_ptr<Counts> counts_;  // shared, because a connection may outlive its listener
    Source source_;
  };

  explicit AdmissionTable(const AdmissionLimits& limits = {}) : limits_(limits), counts_(std::make_shared<Counts>()) {}

  // Nothing when a limit is reached.
  std::optional<Admission> admit(const Endpoint& from);
  size_t count() const { return counts_->total; }

 private:
  AdmissionLimits limits_;
  std::shared_ptr<Counts> counts_;
};

using Admission = AdmissionTable::Admission;

}  // namespace tideway::session
