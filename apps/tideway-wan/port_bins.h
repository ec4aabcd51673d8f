// SPDX-License-Identifier: Apache-2.0
//
// Who used the link when: the bytes delivered per direction and port number in bins of 10 ms, so that two kinds of traffic on
// one link can be told apart and drawn. A line per bin, direction and port with traffic: begin of the bin on the monotonic clock in ms,
// direction, port (0: none of those that are counted), bytes as the link is charged for them.
// Thread: main.
#pragma once
#include <tideway/result.h>
#include <tideway/time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tideway::wan {

class PortBins {
 public:
  static constexpr Duration kBin = std::chrono::milliseconds(10);

  // Errors: config_invalid.
  static Result<std::unique_ptr<PortBins>> open(const std::string& file, std::vector<uint16_t> ports);

  enum class Way : uint8_t { kAb, kBa };
  void count(Time now, Way way, std::span<const std::byte> frame);
  // What is complete; all of it at the end.
  void write_out();

 private:
  struct Close { void operator()(std::FILE* file) const { std::fclose(file); } };
  PortBins(std::FILE* file, std::vector<uint16_t> ports);

  std::unique_ptr<std::FILE, Close> file_;
  const std::vector<uint16_t> ports_;
  int64_t bin_ = 0;
  std::array<std::vector<uint64_t>, 2> bytes_;  // by direction: one per port, and one for the rest
};

}  // namespace tideway::wan
