// SPDX-License-Identifier: Apache-2.0
//
// How the sections of a configuration are read: key by key into a struct, with what the values of several sections have in
// common.
// Thread: any. Pure.
#pragma once
#include "base/amounts.h"
#include "config/sections.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace tideway::config {

// Reads the keys of one section. The first failure is kept and later reads do nothing, so that a section is read in
// straight lines.
class Reader {
 public:
  Reader(std::string header, const Table* table) : header_(std::move(header)), table_(table) {}

  const Status& status() const { return status_; }

  // Puts what `parse` makes of the string under `key` into `target`; leaves it alone when the key is absent.
  template <typename T, typename Parse>
  void read(std::string_view key, T& target, const Parse& parse) {
    const Entry* entry = present(key);
    if (entry == nullptr) return;
    auto parsed = parse(std::get<std::string>(entry->value.held));
    if (!parsed.ok()) return fail(*entry, parsed.error());
    target = std::move(parsed).value();
  }

  template <typename T>
  void read_count(std::string_view key, T& target, uint64_t most, uint64_t least = 0) {
    const Entry* entry = present(key);
    if (entry == nullptr) return;
    const int64_t number = std::get<int64_t>(entry->value.held);
    if (number < static_cast<int64_t>(least) || static_cast<uint64_t>(number) > most)
      return fail(*entry, {Fault::kConfigInvalid, std::to_string(number) + " is out of range",
                           "write a number from " + std::to_string(least) + " to " + std::to_string(most)});
    target = static_cast<T>(number);
  }

  void read_flag(std::string_view key, bool& target) {
    if (const Entry* entry = present(key)) target = std::get<bool>(entry->value.held);
  }

  template <typename Parse>
  void read_each(std::string_view key, const Parse& parse) {
    const Entry* entry = present(key);
    if (entry == nullptr) return;
    if (const auto* one = std::get_if<std::string>(&entry->value.held)) {  // of a key that may be either
      if (auto status = one->empty() ? success() : parse(*one); !status.ok()) fail(*entry, status.error());
      return;
    }
    for (const Value& item : std::get<Array>(entry->value.held))
      if (auto status = parse(std::get<std::string>(item.held)); !status.ok()) return fail(*entry, status.error());
  }

  // A path; a relative one is below the directory of its file, so that a folder of configurations can be moved.
  enum class Empty : uint8_t { kRefused, kMeansNone };
  void read_path(std::string_view key, std::string& target, Empty empty = Empty::kRefused) {
    const Entry* entry = present(key);
    if (entry == nullptr) return;
    const auto& path = std::get<std::string>(entry->value.held);
    if (path.empty() && empty == Empty::kMeansNone) return;
    if (path.empty() || path.find('\0') != path.npos)
      return fail(*entry, {Fault::kConfigInvalid, "the path is empty or has a NUL", "write the path of a file"});
    const std::string file = entry->at.substr(0, entry->at.rfind(':', entry->at.rfind(':') - 1));
    const size_t slash = file.rfind('/');
    target = path.front() == '/' || slash == file.npos ? path : file.substr(0, slash + 1) + path;
  }

 private:
  const Entry* present(std::string_view key) const {
    return table_ == nullptr || !status_.ok() ? nullptr : find(*table_, key);
  }
  void fail(const Entry& entry, const Error& error) {
    status_ = Error{Fault::kConfigInvalid, entry.value.at + ": " + entry.key + " in " + header_ + ": " + error.what,
                    error.next};
  }

  std::string header_;
  const Table* table_;
  Status status_ = success();
};

inline std::string quoted(std::string_view text) { return '"' + to_display(text.substr(0, 128)) + '"'; }

inline Result<std::string> parse_name(std::string_view text) {
  if (is_name(text)) return std::string(text);
  return invalid(quoted(text) + " is not a name",
                 "write 1 to 63 letters, digits, dashes, dots or underscores, with a letter or digit in front");
}

inline Result<Endpoint> parse_endpoint(std::string_view text) {
  auto endpoint = Endpoint::parse(text);
  if (endpoint.ok() && !endpoint.value().is_set())
    return invalid(quoted(text) + " has port 0", "write the port that the peers know");
  return endpoint;
}

// One of the words of a closed list.
template <typename T>
auto one_of(std::initializer_list<std::pair<std::string_view, T>> words) {
  return [words = std::vector(words)](std::string_view text) -> Result<T> {
    std::string all;
    for (const auto& [word, value] : words) {
      if (word == text) return value;
      all += (all.empty() ? "" : ", ") + std::string(word);
    }
    return invalid(quoted(text) + " is not one of the words this key may have", "write one of: " + all);
  };
}

inline const Table* section(const Table& document, std::string_view name) {
  const Entry* entry = find(document, name);
  return entry == nullptr ? nullptr : &std::get<Table>(entry->value.held);
}

inline std::span<const Value> sections(const Table& document, std::string_view name) {
  const Entry* entry = find(document, name);
  if (entry == nullptr) return {};
  return std::get<Array>(entry->value.held);
}

// Each [[name]] of the document, in order, up to the first that is wrong.
template <typename Row, typename Read>
Status read_each(const Table& document, const char* name, std::vector<Row>& into, Read read) {
  for (const Value& value : sections(document, name)) {
    auto row = read(value);
    if (!row.ok()) return row.error();
    into.push_back(std::move(row).value());
  }
  return success();
}

// A name of a registry.
inline auto registered(std::initializer_list<std::string_view> names) {
  return [names = std::vector(names)](std::string_view text) -> Result<std::string> {
    if (std::ranges::count(names, text) > 0) return std::string(text);
    std::string all;
    for (const std::string_view name : names) all += (all.empty() ? "" : ", ") + std::string(name);
    return invalid(quoted(text) + " is not known", "write one of: " + all);
  };
}

}  // namespace tideway::config
