// SPDX-License-Identifier: Apache-2.0
//
// What the user sees: stdout is data (`--json` lines, listings), stderr is messages and the live progress line. Names
// arrive escaped. Exit codes and JSON fields are a promise: they change only by adding.
// Thread: main.
#pragma once
#include "session/direct.h"
#include <tideway/result.h>
#include <tideway/time.h>

#include <string>
#include <string_view>

namespace tideway::cli {

enum class ProgressMode : uint8_t { kAuto, kAlways, kNever };

struct OutputConfig {
  bool json = false, quiet = false;
  int verbosity = 0;
  ProgressMode progress = ProgressMode::kAuto;
};

// Prints the error as `tideway: what (code)` with its next step below, and returns its exit code.
int report(const Error& error, const OutputConfig& config);

// One JSON object on one line, built field by field.
class JsonLine {
 public:
  explicit JsonLine(std::string_view type);
  JsonLine& text(std::string_view key, std::string_view value);
  JsonLine& number(std::string_view key, uint64_t value);
  JsonLine& real(std::string_view key, double value);
  JsonLine& null(std::string_view key);
  void print();

 private:
  void key(std::string_view name);
  std::string line_;
};

std::string hex(std::span<const std::byte> bytes);

// The live line of a copy: one per second on a terminal, one per minute elsewhere, nothing with -q.
class Progress {
 public:
  Progress(const OutputConfig& config, std::string title, Time start);
  // Prints when it is due.
  void show(Time now, const session::CopyNumbers& numbers);
  void clear();  // before something else is written to the terminal
  Duration elapsed(Time now) const { return now - start_; }
  // Bytes per second over the last few seconds.
  Rate rate() const { return rate_; }

 private:
  bool is_each_second() const;
  std::string line(Time now, const session::CopyNumbers& numbers) const;
  void print_json(const session::CopyNumbers& numbers) const;

  const OutputConfig config_;
  const std::string title_;
  const Time start_;
  const bool is_terminal_;
  Time next_;
  Time counted_at_;
  Bytes counted_;
  Rate rate_;
  bool is_shown_ = false;
};

}  // namespace tideway::cli
