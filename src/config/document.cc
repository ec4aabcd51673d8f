// SPDX-License-Identifier: Apache-2.0
#include "config/document.h"

#include <algorithm>
#include <utility>

// Header-only and without exceptions: a parse failure is a value, and nothing of the shared library is needed.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// Its assertions are about the text ("[$" fails one), and become undefined behaviour under NDEBUG. Without either, the
// branches behind them refuse the text as they should.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_MAX_NESTED_VALUES 16  // = kNestingMax; bounds the recursion of the parser
#include <toml++/toml.h>

namespace tideway::config {
namespace {

std::string place(std::string_view file, const toml::source_position& position) {
  return std::string(file) + ':' + std::to_string(position.line) + ':' + std::to_string(position.column);
}

Table table_of(const toml::table& source, std::string_view file, size_t depth);

// `depth` is that of the node; below kNestingMax nothing is looked at, which the caller refuses as a wrong type.
Value value_of(const toml::node& node, std::string_view file, size_t depth) {
  Value value{place(file, node.source().begin), OtherValue{}};
  if (depth > kNestingMax) return value;
  if (const auto* text = node.as_string()) {
    value.held = text->get();
  } else if (const auto* integer = node.as_integer()) {
    value.held = integer->get();
  } else if (const auto* boolean = node.as_boolean()) {
    value.held = boolean->get();
  } else if (const auto* table = node.as_table()) {
    value.held = table_of(*table, file, depth + 1);
  } else if (const auto* array = node.as_array()) {
    Array items;
    for (const toml::node& item : *array) items.push_back(value_of(item, file, depth + 1));
    value.held = std::move(items);
  }
  return value;
}

Table table_of(const toml::table& source, std::string_view file, size_t depth) {
  std::vector<std::pair<const toml::key*, const toml::node*>> pairs;  // the library sorts by name, people read by line
  for (const auto& [key, node] : source) pairs.emplace_back(&key, &node);
  std::ranges::sort(pairs, {}, [](const auto& pair) {
    const toml::source_position at = pair.first->source().begin;
    return std::pair(at.line, at.column);
  });
  Table table;
  for (const auto& [key, node] : pairs)
    table.push_back({std::string(key->str()), place(file, key->source().begin), value_of(*node, file, depth)});
  return table;
}

// Follows a text as far as quotes and comments go.
class QuoteScanner {
 public:
  explicit QuoteScanner(std::string_view text) : text_(text) {}

  bool is_at_end() const { return at_ >= text_.size(); }
  bool is_in_comment() const { return in_comment_; }
  bool is_in_string() const { return !closing_.empty(); }
  char here() const { return text_[at_]; }
  size_t offset() const { return at_; }
  toml::source_position position() const { return {line_, column_}; }

  void step() {
    const char c = here();
    if (c == '\n') {
      in_comment_ = false;
      if (closing_.size() == 1) closing_ = {};  // a short string ends with its line; the parser refuses it
    } else if (is_in_string()) {
      if (text_.substr(at_).starts_with(closing_)) return close();
      if (c == '\\' && closing_.front() == '"' && at_ + 1 < text_.size() && is_ascii(text_[at_ + 1])) pass(1);
    } else if (c == '#') {
      in_comment_ = true;
    } else if (!in_comment_ && (c == '"' || c == '\'')) {
      const bool is_long = text_.substr(at_, 3) == std::string(3, c);
      closing_ = text_.substr(at_, is_long ? 3 : 1);
      return pass(closing_.size());
    }
    pass(1);
  }

  static bool is_ascii(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x7F && (byte >= 0x20 || c == '\t' || c == '\r' || c == '\n');
  }

 private:
  void close() {
    const char quote = closing_.front();
    const bool is_long = closing_.size() == 3;
    pass(closing_.size());
    closing_ = {};
    // Up to two more quotes belong to the content of a long string.
    for (int more = 0; is_long && more < 2 && !is_at_end() && here() == quote; ++more) pass(1);
  }
  void pass(size_t bytes) {
    for (; bytes > 0 && !is_at_end(); --bytes, ++at_) {
      if (here() == '\n') {
        ++line_;
        column_ = 1;
      } else if ((static_cast<unsigned char>(here()) & 0xC0) != 0x80) {
        ++column_;
      }
    }
  }

  std::string_view text_, closing_;  // closing_: the quotes that end the string we are in; empty outside
  size_t at_ = 0;
  toml::source_index line_ = 1, column_ = 1;
  bool in_comment_ = false;
};

// The text in plain ASCII: other characters in comments are replaced, and refused elsewhere. The parser's table of
// non-ASCII blanks has undefined gaps, which it reaches even while it looks ahead into a string. The rare string that
// needs such a character has an escape for it, and a curly quote from a text editor gets a clear answer.
Result<std::string> ascii_text(std::string_view text, std::string_view file) {
  std::string plain(text);
  for (QuoteScanner scanner(text); !scanner.is_at_end(); scanner.step()) {
    if (QuoteScanner::is_ascii(scanner.here())) continue;
    if (!scanner.is_in_comment())
      return Error{Fault::kConfigInvalid, place(file, scanner.position()) + ": a character is not plain ASCII",
                   scanner.is_in_string()
                       ? "write it as an escape in double quotes, such as \\u00E9 for e with an acute accent"
                       : "write strings in straight double quotes, and look for odd blanks from a text editor"};
    plain[scanner.offset()] = '?';
  }
  return plain;
}

Error syntax_error(const toml::parse_error& failure, std::string_view file) {
  std::string what(failure.description());
  if (what.starts_with('E')) what.front() = 'e';
  const bool is_twice = what.find("redefine") != what.npos;
  return {Fault::kConfigInvalid, place(file, failure.source().begin) + ": " + what,
          is_twice ? "it is given twice; keep one of the two"
                   : "see config/tideway.example.toml for the form; strings stand in double quotes"};
}

bool is_table_list(const Value& value) {
  const auto* items = std::get_if<Array>(&value.held);
  return items != nullptr && !items->empty() &&
         std::ranges::all_of(*items, [](const Value& item) { return std::holds_alternative<Table>(item.held); });
}

bool has_long_line(std::string_view text) {
  size_t length = 0;
  for (const char c : text) {
    length = c == '\n' ? 0 : length + 1;
    if (length > kLineMax) return true;
  }
  return false;
}

}  // namespace

const Entry* find(const Table& table, std::string_view key) {
  const auto found = std::ranges::find(table, key, &Entry::key);
  return found == table.end() ? nullptr : &*found;
}

Result<Table> parse_document(std::string_view text, std::string_view file) {
  if (text.size() > kFileSizeMax)
    return Error{Fault::kConfigInvalid, std::string(file) + ": " + std::to_string(text.size()) +
                                            " bytes are more than a configuration may have (256 KiB)",
                 "check that this is the right file"};
  if (has_long_line(text))
    return Error{Fault::kConfigInvalid, std::string(file) + ": a line is longer than 1,024 bytes",
                 "check that this is the right file; a list may go over several lines"};
  const auto plain = ascii_text(text, file);
  if (!plain.ok()) return plain.error();
  const toml::parse_result parsed = toml::parse(plain.value(), file);
  if (!parsed) return syntax_error(parsed.error(), file);
  return table_of(parsed.table(), file, 0);
}

Status merge(Table& into, Table&& more) {
  for (Entry& entry : more) {
    const auto known = std::ranges::find(into, entry.key, &Entry::key);
    if (known == into.end()) {
      into.push_back(std::move(entry));
      continue;
    }
    auto* old_table = std::get_if<Table>(&known->value.held);
    auto* new_table = std::get_if<Table>(&entry.value.held);
    if (old_table != nullptr && new_table != nullptr) {
      if (auto status = merge(*old_table, std::move(*new_table)); !status.ok()) return status;
    } else if (is_table_list(known->value) && is_table_list(entry.value)) {
      auto& items = std::get<Array>(known->value.held);
      for (Value& item : std::get<Array>(entry.value.held)) items.push_back(std::move(item));
    } else {
      return Error{Fault::kConfigInvalid, entry.at + ": " + entry.key + " is given twice, first at " + known->at,
                   "keep one of the two"};
    }
  }
  return success();
}

}  // namespace tideway::config
