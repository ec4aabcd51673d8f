// SPDX-License-Identifier: Apache-2.0
#include "config/known_keys.h"

#include <tideway/object_name.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

namespace tideway::config {
namespace {

enum class Form : uint8_t { kOnce, kMany };  // [section] or [[section]]
enum class Kind : uint8_t { kString, kInteger, kBool, kStrings, kStringOrStrings };
enum class Use : uint8_t { kRequired, kOptional, kLater };

struct SectionRow {
  std::string_view name;  // with dots, as written between the brackets; "*" stands for one of kClasses
  Form form;
  Use use;
};

struct KeyRow {
  std::string_view section, name;
  Kind kind;
  Use use;
};

constexpr std::string_view kClasses[] = {"restore", "checkpoint", "staging", "best-effort"};

constexpr SectionRow kSections[] = {
    {"site", Form::kOnce, Use::kRequired},
    {"tls", Form::kOnce, Use::kRequired},
    {"listen", Form::kOnce, Use::kOptional},
    {"engine", Form::kOnce, Use::kOptional},
    {"data_plane", Form::kOnce, Use::kOptional},
    {"data_plane.dpdk", Form::kOnce, Use::kOptional},
    {"data_plane.dpdk.ports", Form::kMany, Use::kOptional},
    {"storage", Form::kOnce, Use::kOptional},
    {"compression", Form::kOnce, Use::kOptional},
    {"root", Form::kMany, Use::kOptional},
    {"grant", Form::kMany, Use::kOptional},
    {"peer", Form::kMany, Use::kOptional},
    {"link", Form::kMany, Use::kOptional},
    {"schedule", Form::kOnce, Use::kOptional},
    {"class", Form::kOnce, Use::kOptional},
    {"class.*", Form::kOnce, Use::kOptional},
    {"phase", Form::kOnce, Use::kOptional},
    {"training", Form::kMany, Use::kOptional},
    {"watch", Form::kMany, Use::kOptional},
    {"jobs", Form::kOnce, Use::kLater},
    {"signing", Form::kOnce, Use::kOptional},
    {"signer", Form::kMany, Use::kOptional},
    {"metrics", Form::kOnce, Use::kLater},
};

using enum Kind;
using enum Use;
constexpr KeyRow kKeys[] = {
    {"site", "name", kString, kRequired},
    {"site", "gateway", kString, kRequired},
    {"site", "trust_domain", kString, kRequired},
    {"site", "state_dir", kString, kOptional},
    {"tls", "ca", kString, kRequired},
    {"tls", "cert", kString, kRequired},
    {"tls", "key", kString, kRequired},
    {"tls", "crl", kString, kOptional},
    {"tls", "allow", kStrings, kOptional},
    {"listen", "control", kString, kOptional},
    {"listen", "api", kString, kOptional},
    {"listen", "metrics", kString, kOptional},
    {"listen", "web", kString, kOptional},
    {"engine", "memory", kString, kOptional},
    {"data_plane", "backend", kString, kOptional},
    {"data_plane", "address", kString, kOptional},
    {"data_plane", "flows", kInteger, kOptional},
    {"data_plane", "rate", kString, kOptional},
    {"data_plane", "congestion", kString, kOptional},
    {"data_plane", "fallback", kString, kOptional},
    {"data_plane", "ask_udp_after", kString, kOptional},
    {"data_plane", "capture", kString, kOptional},
    {"data_plane", "udp_checksum", kString, kOptional},
    {"data_plane.dpdk", "eal_args", kStrings, kOptional},
    {"data_plane.dpdk", "address", kStringOrStrings, kOptional},
    {"data_plane.dpdk", "next_hop", kStringOrStrings, kOptional},
    {"data_plane.dpdk", "mtu", kInteger, kOptional},
    {"data_plane.dpdk", "fallback", kString, kOptional},
    {"data_plane.dpdk", "poll", kString, kOptional},
    {"data_plane.dpdk", "insecure_dma", kBool, kOptional},
    {"data_plane.dpdk", "device", kString, kOptional},
    {"data_plane.dpdk", "udp_port", kInteger, kOptional},
    {"data_plane.dpdk", "vlan", kInteger, kOptional},
    {"data_plane.dpdk", "queues", kInteger, kOptional},
    {"data_plane.dpdk", "icmp_echo", kBool, kOptional},
    {"data_plane.dpdk.ports", "device", kString, kOptional},
    {"data_plane.dpdk.ports", "udp_port", kInteger, kOptional},
    {"data_plane.dpdk.ports", "vlan", kInteger, kOptional},
    {"data_plane.dpdk.ports", "icmp_echo", kBool, kOptional},
    {"data_plane.dpdk.ports", "address", kStringOrStrings, kOptional},
    {"data_plane.dpdk.ports", "next_hop", kStringOrStrings, kOptional},
    {"data_plane.dpdk.ports", "mtu", kInteger, kOptional},
    {"storage", "io", kString, kOptional},
    {"storage", "direct_io", kString, kOptional},
    {"storage", "staging_ttl", kString, kOptional},
    {"compression", "mode", kString, kOptional},
    {"root", "name", kString, kRequired},
    {"root", "path", kString, kRequired},
    {"grant", "peer", kString, kRequired},
    {"grant", "root", kString, kRequired},
    {"grant", "prefix", kString, kOptional},
    {"grant", "ops", kStrings, kRequired},
    {"grant", "max_bytes", kString, kOptional},
    {"grant", "max_files", kInteger, kOptional},
    {"grant", "max_flows", kInteger, kOptional},
    {"grant", "max_rate", kString, kOptional},
    {"grant", "modes", kString, kOptional},
    {"grant", "special_bits", kBool, kLater},
    {"peer", "name", kString, kRequired},
    {"peer", "control", kString, kRequired},
    {"peer", "identity", kString, kOptional},
    {"peer", "rate", kString, kOptional},
    {"link", "peer", kString, kRequired},
    {"link", "capacity", kString, kOptional},
    {"link", "kind", kString, kOptional},
    {"link", "le_queue", kBool, kOptional},
    {"link", "dscp", kString, kOptional},
    {"link", "timetable", kString, kOptional},
    {"link", "timetable_zone", kString, kOptional},
    {"link", "may_hurt_training", kString, kOptional},
    {"link", "congestion", kString, kOptional},
    {"link", "leftover_floor", kString, kOptional},
    {"schedule", "policy", kString, kOptional},
    {"schedule", "interference_budget", kString, kOptional},
    {"schedule", "queue_target", kString, kOptional},
    {"schedule", "trickle", kString, kOptional},
    {"schedule", "slack", kString, kOptional},
    {"class.*", "mode", kString, kOptional},
    {"class.*", "weight", kInteger, kOptional},
    {"class.*", "verify", kString, kLater},
    {"class.*", "publish", kString, kLater},
    {"class.*", "overwrite", kString, kLater},
    {"class.*", "supersede", kString, kLater},
    {"class.*", "last", kStrings, kLater},
    {"class.*", "rate", kString, kOptional},
    {"phase", "listen", kString, kOptional},
    {"phase", "key_file", kString, kOptional},
    {"phase", "board", kString, kOptional},
    {"phase", "ttl_max", kString, kOptional},
    {"training", "name", kString, kRequired},
    {"training", "peers", kStrings, kRequired},
    {"training", "sources", kStrings, kOptional},
    {"training", "counters", kStrings, kOptional},
    {"training", "period_hint", kString, kOptional},
    {"watch", "dir", kString, kRequired},
    {"watch", "format", kString, kOptional},
    {"watch", "series", kString, kOptional},
    {"watch", "to", kStrings, kRequired},
    {"watch", "rpo", kString, kOptional},
    {"watch", "deadline", kString, kOptional},
    {"watch", "keep", kInteger, kOptional},
    {"watch", "class", kString, kOptional},
    {"watch", "settle", kString, kOptional},
    {"watch", "poll", kString, kOptional},
    {"watch", "existing", kString, kOptional},
    {"watch", "world", kInteger, kOptional},
    {"watch", "pins_max", kInteger, kOptional},
    {"watch", "pin_bytes_max", kString, kOptional},
    {"jobs", "store", kString, kLater},
    {"signing", "key", kString, kRequired},
    {"signer", "site", kString, kRequired},
    {"signer", "key", kString, kRequired},
    {"metrics", "per_job", kBool, kLater},
};

// The name under which a section stands in the tables: "class.restore" is "class.*".
std::string table_name(std::string_view section) {
  if (section.starts_with("class.") && std::ranges::count(kClasses, section.substr(6)) > 0) return "class.*";
  return std::string(section);
}

const SectionRow* section_named(std::string_view section) {
  const auto found = std::ranges::find(kSections, table_name(section), &SectionRow::name);
  return section == "class.*" || found == std::end(kSections) ? nullptr : found;
}

// As written in a file: [tls], [[root]].
std::string bracketed(std::string_view section) {
  const SectionRow* row = section_named(section);
  const bool many = row != nullptr && row->form == Form::kMany;
  return (many ? "[[" : "[") + std::string(section) + (many ? "]]" : "]");
}

const KeyRow* key_named(std::string_view section, std::string_view key) {
  const std::string name = table_name(section);
  const auto found =
      std::ranges::find_if(kKeys, [&](const KeyRow& row) { return row.section == name && row.name == key; });
  return found == std::end(kKeys) ? nullptr : found;
}

bool fits(const Value& value, Kind kind) {
  switch (kind) {
    case kString: return std::holds_alternative<std::string>(value.held);
    case kInteger: return std::holds_alternative<int64_t>(value.held);
    case kBool: return std::holds_alternative<bool>(value.held);
    case kStringOrStrings:
      if (std::holds_alternative<std::string>(value.held)) return true;
      break;
    case kStrings: break;
  }
  const auto* items = std::get_if<Array>(&value.held);
  return items != nullptr && std::ranges::all_of(*items, [](const Value& item) {
    return std::holds_alternative<std::string>(item.held);
  });
}

std::string_view words_of(Kind kind) {
  switch (kind) {
    case kString: return "a string in double quotes";
    case kInteger: return "a whole number without quotes";
    case kBool: return "true or false";
    case kStringOrStrings: return "a string in double quotes, or a list of them";
    case kStrings: break;
  }
  return "a list of strings, such as [\"a\", \"b\"]";
}

// What may stand directly in `section` ("" is the top of the file): its keys and the last words of its subsections.
std::vector<std::string> words_in(std::string_view section) {
  std::vector<std::string> words;
  const std::string name = table_name(section);
  for (const KeyRow& row : kKeys)
    if (row.section == name) words.emplace_back(row.name);
  const std::string front = section.empty() ? "" : std::string(section) + '.';
  for (const SectionRow& row : kSections)
    if (row.name.starts_with(front) && row.name.find('.', front.size()) == row.name.npos)
      words.emplace_back(row.name.substr(front.size()));
  if (section == "class") words.assign(std::begin(kClasses), std::end(kClasses));
  return words;
}

Error unknown_key(std::string_view section, const Entry& entry) {
  const std::string shown = to_display(std::string_view(entry.key).substr(0, 64));
  const std::string where = section.empty() ? "" : " in " + bracketed(section);
  const std::string what = entry.at + ": " + shown + " is not a known " + (section.empty() ? "section" : "key") + where;
  const auto elsewhere = std::ranges::find(kKeys, entry.key, &KeyRow::name);
  const std::vector<std::string> words = words_in(section);
  const auto nearest = std::ranges::min_element(
      words, {}, [&](const std::string& word) { return edit_distance(word, entry.key); });
  const size_t typo_max = section.empty() ? 0 : 1;  // a key of another section is likelier than two slips
  const bool is_near = nearest != words.end() && edit_distance(*nearest, entry.key) <= typo_max;
  if (!is_near && elsewhere != std::end(kKeys))
    return invalid(what, shown + " belongs to " + bracketed(elsewhere->section) + ", which must stand above it");
  if (nearest == words.end()) return invalid(what, "remove it");
  return invalid(what, "the nearest valid one is " + *nearest);
}

// One section being checked, and where the notes go.
struct Walk {
  std::string_view file;
  std::vector<std::string>& notes;

  Status check(const std::string& section, const Table& table, std::string_view at);
  Status check_entry(const std::string& section, const Entry& entry);
  Status check_subsection(const SectionRow& row, const std::string& section, const Entry& entry);
  Status check_required(const std::string& section, const Table& table, std::string_view at);
};

Status Walk::check_subsection(const SectionRow& row, const std::string& section, const Entry& entry) {
  const bool many = row.form == Form::kMany;
  const std::string header = bracketed(section);
  const Error wrong_form =
      invalid(entry.at + ": " + section + " must be written as " + header, "put its keys below a line " + header);
  const SectionRow* parent = section_named(section.substr(0, section.rfind('.')));
  if (row.use == kLater && (parent == &row || parent == nullptr || parent->use != kLater))
    notes.push_back(entry.at + ": " + header + " is accepted and takes effect in a later version");
  if (const auto* table = std::get_if<Table>(&entry.value.held); table != nullptr && !many)
    return check(section, *table, entry.at);
  const auto* items = std::get_if<Array>(&entry.value.held);
  if (items == nullptr || !many) return wrong_form;
  for (const Value& item : *items) {
    const auto* table = std::get_if<Table>(&item.held);
    if (table == nullptr) return wrong_form;
    if (auto status = check(section, *table, item.at); !status.ok()) return status;
  }
  return success();
}

Status Walk::check_entry(const std::string& section, const Entry& entry) {
  const std::string below = section.empty() ? entry.key : section + '.' + entry.key;
  if (const SectionRow* row = section_named(below)) return check_subsection(*row, below, entry);
  const KeyRow* row = key_named(section, entry.key);
  if (row == nullptr) return unknown_key(section, entry);
  if (!fits(entry.value, row->kind))
    return invalid(entry.value.at + ": " + entry.key + " in " + bracketed(section) + " has the wrong type",
                   "write " + std::string(words_of(row->kind)));
  const auto* text = std::get_if<std::string>(&entry.value.held);
  const bool is_off = text != nullptr && text->empty();
  if (row->use == kLater && section_named(section)->use != kLater && !is_off)
    notes.push_back(entry.at + ": " + entry.key + " in " + bracketed(section) +
                    " is accepted and takes effect in a later version");
  return success();
}

Status Walk::check_required(const std::string& section, const Table& table, std::string_view at) {
  const std::string name = table_name(section);
  for (const KeyRow& row : kKeys)
    if (row.section == name && row.use == kRequired && find(table, row.name) == nullptr)
      return invalid(std::string(at) + ": " + bracketed(section) + " lacks the required key " + std::string(row.name),
                     "add a line: " + std::string(row.name) + (row.kind == kStrings ? " = [\"...\"]" : " = \"...\""));
  return success();
}

Status Walk::check(const std::string& section, const Table& table, std::string_view at) {
  for (const Entry& entry : table)
    if (auto status = check_entry(section, entry); !status.ok()) return status;
  return check_required(section, table, at);
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, 64);
  b = b.substr(0, 64);
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

Status check_keys(const Table& document, std::string_view file, std::vector<std::string>& notes) {
  Walk walk{file, notes};
  if (auto status = walk.check("", document, file); !status.ok()) return status;
  for (const SectionRow& row : kSections)
    if (row.use == kRequired && find(document, row.name) == nullptr)
      return walk.check_required(std::string(row.name), {}, file);
  return success();
}

}  // namespace tideway::config
