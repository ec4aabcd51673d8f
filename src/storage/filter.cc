// SPDX-License-Identifier: Apache-2.0
#include "storage/filter.h"

#include <algorithm>
#include <optional>

namespace tideway::storage {
namespace {

// What the pattern's front is and how much of it: one byte, an escaped byte, a set, "?".
struct Unit {
  size_t length;
  bool matches;
};

// The set that begins at `pattern[0] == '['`; nothing when it never closes.
std::optional<Unit> match_set(std::string_view pattern, char byte) {
  size_t i = 1;
  const bool is_negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (is_negated) ++i;
  bool found = false;
  const auto value = static_cast<unsigned char>(byte);
  for (const size_t first = i; i < pattern.size(); ++i) {
    if (pattern[i] == ']' && i > first) return Unit{i + 1, found != is_negated && byte != '/'};
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const auto low = static_cast<unsigned char>(pattern[i]);
    unsigned char high = low;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      high = static_cast<unsigned char>(pattern[i + 2]);
      i += 2;
    }
    if (low <= value && value <= high) found = true;
  }
  return std::nullopt;
}

Unit match_unit(std::string_view pattern, char byte) {
  if (pattern[0] == '?') return {1, byte != '/'};
  if (pattern[0] == '[')
    if (const auto set = match_set(pattern, byte)) return *set;
  if (pattern[0] == '\\' && pattern.size() > 1) return {2, pattern[1] == byte};
  return {1, pattern[0] == byte};
}

Unit match_front(std::string_view pattern, std::string_view text) {
  if (pattern.empty() || text.empty()) return {0, false};
  return match_unit(pattern, text.front());
}

bool has_open_set(std::string_view pattern) {
  for (size_t i = 0; i < pattern.size();) {
    if (pattern[i] == '[') {
      const auto set = match_set(pattern.substr(i), 'x');
      if (!set) return true;
      i += set->length;
    } else {
      i += pattern[i] == '\\' ? 2 : 1;
    }
  }
  return false;
}

std::string joined(const ObjectName& name) {
  std::string text;
  for (const std::string& component : name.components()) {
    if (!text.empty()) text += '/';
    text += component;
  }
  return text;
}

Error bad_pattern(std::string_view pattern, std::string_view why) {
  return {Fault::kUsage, "the pattern \"" + to_display(pattern.substr(0, 128)) + "\" " + std::string(why),
          "see `tideway copy --help` for the form of patterns"};
}

}  // namespace

// Two places to go back to: the last "*", which may not grow over a "/", and the last "**". An earlier star need not be
// tried again, because whatever it could take the later one of its kind can take as well. "**/" at the front of a
// component is a token of its own: nothing, or anything that ends in a slash.
bool glob_matches(std::string_view pattern, std::string_view text) {
  struct Retry {
    size_t pattern, text;
    bool is_whole = false;  // takes whole components
  };
  std::optional<Retry> star, double_star;
  size_t p = 0, t = 0;
  while (true) {
    const std::string_view rest = pattern.substr(p);
    if (rest.starts_with("**")) {
      const bool is_whole = rest.starts_with("**/") && (p == 0 || pattern[p - 1] == '/');
      p += is_whole ? 3 : 2;
      double_star = Retry{p, t, is_whole};
      star.reset();
    } else if (rest.starts_with('*')) {
      star = Retry{++p, t};
    } else if (t == text.size() && rest.empty()) {
      return true;
    } else if (const Unit unit = match_front(rest, text.substr(t)); unit.matches) {
      p += unit.length;
      ++t;
    } else if (star && star->text < text.size() && text[star->text] != '/') {
      p = star->pattern;
      t = ++star->text;
    } else if (double_star && double_star->text < text.size()) {
      size_t& at = double_star->text;
      at = double_star->is_whole ? std::min(text.find('/', at), text.size() - 1) + 1 : at + 1;
      if (double_star->is_whole && text[at - 1] != '/') return false;
      p = double_star->pattern;
      t = at;
      star.reset();
    } else {
      return false;
    }
  }
}

Status Filter::add(Verdict verdict, std::string_view pattern) {
  if (pattern.size() > kPatternBytesMax) return bad_pattern(pattern, "is longer than 1,024 bytes");
  if (rules_.size() == kPatternsMax) return bad_pattern(pattern, "is one too many: at most 1,024 patterns are allowed");
  const std::string_view whole = pattern;
  Rule rule{verdict, {}, false, false};
  rule.is_anchored = pattern.starts_with('/');
  if (rule.is_anchored) pattern.remove_prefix(1);
  rule.directories_only = pattern.ends_with('/');
  if (rule.directories_only) pattern.remove_suffix(1);
  if (pattern.empty()) return bad_pattern(whole, "is empty");
  if (has_open_set(pattern)) return bad_pattern(whole, "has a \"[\" without its \"]\"");
  rule.pattern = pattern;
  rules_.push_back(std::move(rule));
  return success();
}

bool Filter::admits(const ObjectName& below_top, EntryType type) const {
  if (rules_.empty()) return true;
  const std::string text = joined(below_top);
  for (const Rule& rule : rules_) {
    if (rule.directories_only && type != EntryType::kDirectory) continue;
    bool is_match = glob_matches(rule.pattern, text);
    for (size_t slash = text.find('/'); !is_match && !rule.is_anchored && slash != text.npos;
         slash = text.find('/', slash + 1))
      is_match = glob_matches(rule.pattern, std::string_view(text).substr(slash + 1));
    if (is_match) return rule.verdict == Verdict::kInclude;
  }
  return true;
}

void NameList::add(ObjectName name) {
  is_sorted_ = false;
  lines_.push_back({std::move(name)});
}

void NameList::sort() {
  const auto by_name = [](const Line& a, const Line& b) { return a.name < b.name; };
  std::sort(lines_.begin(), lines_.end(), by_name);
  const auto same = [](const Line& a, const Line& b) { return a.name == b.name; };
  lines_.erase(std::unique(lines_.begin(), lines_.end(), same), lines_.end());
  is_sorted_ = true;
}

NameList::Relation NameList::relation(const ObjectName& below_top) {
  if (!is_sorted_) sort();
  const auto before = [](const Line& line, const ObjectName& name) { return line.name < name; };
  // A name above this one is listed if this one is.
  bool is_listed = false;
  for (ObjectName above = below_top;; above = above.parent()) {
    const auto found = std::lower_bound(lines_.begin(), lines_.end(), above, before);
    if (found != lines_.end() && found->name == above) {
      found->is_met = true;
      is_listed = true;
    }
    if (above.is_root()) break;
  }
  const auto next = std::lower_bound(lines_.begin(), lines_.end(), below_top, before);
  if (is_listed) return Relation::kListed;
  return next != lines_.end() && next->name.starts_with(below_top) ? Relation::kAbove : Relation::kOutside;
}

std::vector<ObjectName> NameList::never_met() const {
  std::vector<ObjectName> missing;
  for (const Line& line : lines_)
    if (!line.is_met && !line.name.is_root()) missing.push_back(line.name);
  return missing;
}

}  // namespace tideway::storage
