// SPDX-License-Identifier: Apache-2.0
#include "daemon/leftover_file.h"

#include "base/log.h"

#include <charconv>
#include <filesystem>
#include <fstream>

namespace tideway::daemon {
namespace {

constexpr std::string_view kFirstLine = "tideway leftover 1\n", kLink = "link ", kEnd = "end ";

// FNV-1a: against damage, not against somebody.
uint64_t sum_of(std::string_view text) {
  uint64_t sum = 0xcbf29ce484222325;
  for (const char c : text) sum = (sum ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return sum;
}

// Without the line of the sum. Nothing: it is missing or another one.
std::optional<std::string_view> without_sum(std::string_view text) {
  if (!text.starts_with(kFirstLine) || !text.ends_with('\n')) return std::nullopt;
  const size_t line = text.rfind('\n', text.size() - 2) + 1;
  const std::string_view last = text.substr(line, text.size() - 1 - line);
  if (!last.starts_with(kEnd)) return std::nullopt;
  const std::string_view digits = last.substr(kEnd.size());
  uint64_t sum = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), sum);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || sum != sum_of(text.substr(0, line))) return std::nullopt;
  return text.substr(kFirstLine.size(), line - kFirstLine.size());
}

}  // namespace

std::string to_text(const LeftoverHistories& histories) {
  std::string text(kFirstLine);
  for (const auto& [peer, history] : histories) text.append(kLink).append(peer).append("\n").append(history.to_text());
  return text + std::string(kEnd) + std::to_string(sum_of(text)) + '\n';
}

std::optional<LeftoverHistories> parse_histories(std::string_view text) {
  auto left = without_sum(text);
  if (!left) return std::nullopt;
  LeftoverHistories histories;
  while (!left->empty()) {
    const size_t name_end = left->find('\n');
    if (!left->starts_with(kLink) || name_end == left->npos || histories.size() == LeftoverFile::kLinksMax) return std::nullopt;
    const size_t next = std::min(left->find("\nlink ", name_end), left->size() - 1) + 1;
    auto history = planner::LeftoverHistory::from_text(left->substr(name_end + 1, next - name_end - 1));
    if (!history) return std::nullopt;
    histories.insert_or_assign(std::string(left->substr(kLink.size(), name_end - kLink.size())), std::move(*history));
    left->remove_prefix(next);
  }
  return histories;
}

LeftoverHistories LeftoverFile::load() const {
  std::ifstream in(file_, std::ios::binary);
  if (file_.empty() || !in) return {};
  std::string text(kFileMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  auto histories = parse_histories(text);
  if (!histories) log::warning("leftover_forgotten", "file=" + file_ + " why=\"it is damaged or of another version\"; what trainings leave is seen again in three days");
  return histories ? std::move(*histories) : LeftoverHistories();
}

void LeftoverFile::save(const LeftoverHistories& histories) const {
  if (file_.empty()) return;
  const std::string draft = file_ + ".new";
  std::ofstream out(draft, std::ios::trunc | std::ios::binary);
  out << to_text(histories);
  out.close();
  std::error_code failed;
  if (out) std::filesystem::rename(draft, file_, failed);
  else failed = std::make_error_code(std::errc::io_error);
  if (failed) log::warning("leftover_not_kept", "file=" + file_ + " why=\"" + failed.message() + '"');
}

}  // namespace tideway::daemon
