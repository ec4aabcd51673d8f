// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include "base/amounts.h"
#include <tideway/object_name.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace tideway::cli {
namespace {

constexpr Duration kEverySecond = std::chrono::seconds(1);
constexpr Duration kEveryMinute = std::chrono::minutes(1);
constexpr double kRateMemory = 0.6;  // share of the old estimate each second: the line is calm, and right after 5 s

const char* name_of(session::CopyNumbers::Stage stage) {
  using enum session::CopyNumbers::Stage;
  switch (stage) {
    case kConnect: return "connect";
    case kScan: return "scan";
    case kSend: return "send";
    case kPublish: return "publish";
    case kOver: return "over";
  }
  return "over";
}

double loss_of(const session::CopyNumbers& numbers) {
  return numbers.packets_sent == 0 ? 0 : static_cast<double>(numbers.packets_lost) / static_cast<double>(numbers.packets_sent);
}

double ratio_of(const session::CopyNumbers& numbers) {
  return numbers.bytes_packed == 0_B ? 1
                                     : static_cast<double>(numbers.bytes_raw.count()) / static_cast<double>(numbers.bytes_packed.count());
}

std::string two_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

constexpr size_t kTitleMax = 32;  // leaves the figures on a line of 80 columns or more

// The end of a long path says more than its beginning.
std::string short_title(std::string title) {
  if (title.size() <= kTitleMax) return title;
  size_t from = title.size() - (kTitleMax - 3);
  while (from < title.size() && (static_cast<uint8_t>(title[from]) & 0xC0) == 0x80) ++from;  // not within a character
  return "..." + title.substr(from);
}

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(millis));
  return text;
}

}  // namespace

std::string hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[static_cast<uint8_t>(byte) >> 4];
    text += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

int report(const Error& error, const OutputConfig& config) {
  if (config.json) {
    JsonLine line("error");
    line.text("code", error.name()).text("detail", error.what).text("next", error.next);
    line.number("exit", static_cast<uint64_t>(error.exit_code())).print();
  }
  std::fprintf(stderr, "tideway: %s (%s)\n", error.what.c_str(), std::string(error.name()).c_str());
  if (!error.next.empty()) std::fprintf(stderr, "  next  %s\n", error.next.c_str());
  return error.exit_code();
}

// ---- JSON ----------------------------------------------------------------------------------------------------------

JsonLine::JsonLine(std::string_view type) : line_("{\"v\":1") { text("type", type).text("time", utc_now()); }

void JsonLine::key(std::string_view name) { line_.append(",\"").append(name).append("\":"); }

// Values are escaped for display already, so what is left to do is quotes and backslashes.
JsonLine& JsonLine::text(std::string_view name, std::string_view value) {
  key(name);
  line_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line_ += '\\';
    if (c == '\n') line_ += "\\n";
    else if (static_cast<uint8_t>(c) >= 0x20) line_ += c;
  }
  line_ += '"';
  return *this;
}

JsonLine& JsonLine::number(std::string_view name, uint64_t value) {
  key(name);
  line_ += std::to_string(value);
  return *this;
}

JsonLine& JsonLine::real(std::string_view name, double value) {
  key(name);
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.6g", value);
  line_ += digits;
  return *this;
}

JsonLine& JsonLine::null(std::string_view name) {
  key(name);
  line_ += "null";
  return *this;
}

void JsonLine::print() {
  line_ += "}\n";
  std::fwrite(line_.data(), 1, line_.size(), stdout);
  std::fflush(stdout);
}

// ---- progress ------------------------------------------------------------------------------------------------------

Progress::Progress(const OutputConfig& config, std::string title, Time start)
    : config_(config), title_(short_title(std::move(title))), start_(start), is_terminal_(isatty(STDERR_FILENO) == 1), next_(start + (is_each_second() ? Duration() : kEveryMinute)),
      counted_at_(start) {}

bool Progress::is_each_second() const { return is_terminal_ || config_.progress == ProgressMode::kAlways || config_.json; }

void Progress::show(Time now, const session::CopyNumbers& numbers) {
  if (now < next_) return;
  next_ = now + (is_each_second() ? kEverySecond : kEveryMinute);
  if (now > counted_at_) {
    const Rate latest = Rate::of(saturating_sub(numbers.bytes_verified, counted_), now - counted_at_);
    rate_ = rate_ == Rate() ? latest : Rate::bytes_per_second((rate_ * kRateMemory).bytes_per_second() + (latest * (1 - kRateMemory)).bytes_per_second());
    counted_ = numbers.bytes_verified;
    counted_at_ = now;
  }
  if (config_.json) print_json(numbers);
  if (config_.quiet || config_.progress == ProgressMode::kNever || now == start_) return;
  const std::string text = line(now, numbers);
  if (is_terminal_) {
    winsize size{};
    const size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : text.size();
    std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(std::min(width, text.size())), text.c_str());
    std::fflush(stderr);
    is_shown_ = true;
  } else if (!config_.json || config_.progress == ProgressMode::kAlways) {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
}

void Progress::clear() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
  is_shown_ = false;
}

std::string Progress::line(Time now, const session::CopyNumbers& numbers) const {
  using Stage = session::CopyNumbers::Stage;
  std::string text = title_ + "  ";
  if (numbers.stage == Stage::kConnect) return text + "connecting";
  const Bytes done = numbers.bytes_held + numbers.bytes_verified, total = numbers.bytes_held + numbers.bytes_needed;
  text += to_string(done) + '/' + to_string(total);
  if (numbers.stage == Stage::kScan) text += "+  scanning, " + std::to_string(numbers.entries) + " entries";
  else if (total > 0_B)
    text += "  " + std::to_string(done.count() * 100 / total.count()) + " %";
  if (numbers.stage == Stage::kPublish) text += "  syncing and publishing";
  else text += "  " + to_string(rate_);
  if (numbers.stage == Stage::kSend && rate_ > Rate())
    text += "  ETA " + to_string(rate_.time_for(numbers.bytes_needed - std::min(numbers.bytes_verified, numbers.bytes_needed)));
  text += "  flows " + std::to_string(numbers.flows) + "  loss " + percent_to_string(loss_of(numbers)) + "  zstd " +
          two_digits(ratio_of(numbers)) + "x  " + to_string(now - start_);
  return text;
}

void Progress::print_json(const session::CopyNumbers& numbers) const {
  JsonLine line("progress");
  line.text("stage", name_of(numbers.stage)).number("entries", numbers.entries);
  line.number("bytes_total", numbers.bytes_needed.count()).number("bytes_done", numbers.bytes_verified.count());
  line.number("bytes_held", numbers.bytes_held.count()).number("bytes_durable", numbers.bytes_durable.count());
  line.number("bytes_wire", numbers.bytes_packed.count()).number("rate_bits", static_cast<uint64_t>(rate_.bits_per_second()));
  if (rate_ > Rate() && numbers.bytes_needed >= numbers.bytes_verified)
    line.number("eta_s", static_cast<uint64_t>(rate_.time_for(numbers.bytes_needed - numbers.bytes_verified).count() / 1'000'000'000));
  else
    line.null("eta_s");
  line.number("flows", numbers.flows).text("backend", numbers.backend).real("loss", loss_of(numbers)).real("ratio", ratio_of(numbers));
  line.number("host_lost_received", numbers.losses.received).number("host_lost_sent", numbers.losses.sent);
  line.number("failed", numbers.failed).number("skipped", numbers.skipped).print();
}

}  // namespace tideway::cli
