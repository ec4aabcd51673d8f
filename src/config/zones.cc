// SPDX-License-Identifier: Apache-2.0
#include "config/zones.h"

#include <tideway/object_name.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

namespace tideway::config {
namespace {

constexpr std::string_view kZoneFolder = "/usr/share/zoneinfo/";
constexpr size_t kZoneFileMax = 64 * 1024;  // the largest has 4 KiB

bool is_zone_name(std::string_view text) {
  const auto is_plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '_' || c == '-' || c == '+'; };
  return !text.empty() && text.front() != '/' && std::ranges::all_of(text, is_plain);  // without dots it stays below the folder
}

// The last line of a TZif file (RFC 8536, section 3.3), without its newlines.
std::string footer_of(const std::string& bytes) {
  if (!bytes.starts_with("TZif") || !bytes.ends_with('\n')) return "";
  const size_t begin = bytes.rfind('\n', bytes.size() - 2);
  return begin == bytes.npos ? "" : bytes.substr(begin + 1, bytes.size() - begin - 2);
}

}  // namespace

Result<planner::ZoneRule> read_zone(std::string_view text) {
  if (text == "UTC") return planner::ZoneRule();
  if (!is_zone_name(text) || text.find('/') == text.npos) return planner::ZoneRule::parse(text);
  std::ifstream file(std::string(kZoneFolder) + std::string(text), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const std::string rule = bytes.size() <= kZoneFileMax ? footer_of(bytes) : "";
  if (rule.empty())
    return Error{Fault::kConfigInvalid, '"' + to_display(text) + "\" is no time zone of this machine", "see " + std::string(kZoneFolder) + " (package tzdata), or write its rule, such as CET-1CEST,M3.5.0,M10.5.0/3"};
  return planner::ZoneRule::parse(rule);
}

}  // namespace tideway::config
