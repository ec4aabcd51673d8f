// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracker.h"

#include <tideway/object_name.h>

#include <algorithm>
#include <charconv>

namespace tideway::checkpoint {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::optional<uint64_t> number_in(std::string_view digits) {
  uint64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::string_view digits_at(std::string_view text, size_t from) {
  size_t end = from;
  while (end < text.size() && is_digit(text[end])) ++end;
  return text.substr(from, end - from);
}

}  // namespace

std::optional<std::string> tracked_name(std::string_view name, std::string_view text) {
  if (text.size() > kTrackerBytesMax) return std::nullopt;
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  if (!is_component(text)) return std::nullopt;
  if (name != kMegatronTracker || text == "release") return std::string(text);
  if (!std::ranges::all_of(text, is_digit) || !number_in(text)) return std::nullopt;
  constexpr size_t kDigits = 7;
  return "iter_" + std::string(kDigits - std::min(kDigits, text.size()), '0') + std::string(text);
}

std::optional<uint64_t> step_in(std::string_view name) {
  constexpr std::string_view kStep = "step";
  if (const size_t at = name.rfind(kStep); at != name.npos) {
    size_t from = at + kStep.size();
    if (from < name.size() && std::string_view("=_-").find(name[from]) != std::string_view::npos) ++from;
    if (const std::string_view digits = digits_at(name, from); !digits.empty()) return number_in(digits);
  }
  size_t end = name.size();
  while (end > 0 && !is_digit(name[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_digit(name[begin - 1])) --begin;
  return begin == end ? std::nullopt : number_in(name.substr(begin, end - begin));
}

}  // namespace tideway::checkpoint
