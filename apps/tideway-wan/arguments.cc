// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include "base/amounts.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <map>
#include <span>
#include <vector>

namespace tideway::wan {
namespace {

constexpr double kBurstMax = 100'000;  // frames; longer is a blackout

// One flag that shapes a direction: its name, its help, and how its text changes a LinkConfig.
struct LinkFlag {
  std::string name, value, help;
  std::function<Status(LinkConfig&, std::string_view)> apply;
};

template <typename T>
Status put(Result<T> parsed, T& place) {
  if (!parsed.ok()) return parsed.error();
  place = parsed.value();
  return success();
}

// A queue is given as bytes, or as the time it takes to drain. The rate may come later on the command line, so flags are
// applied in the order of the table below, rate first.
Result<Bytes> parse_queue(const LinkConfig& config, std::string_view text) {
  if (auto size = parse_size(text); size.ok()) return size;
  const auto time = parse_duration(text);
  if (!time.ok())
    return Error{Fault::kUsage, '"' + std::string(text) + "\" is neither a size nor a time",
                 "write bytes (1MB, 64KiB) or the time they take (5ms)"};
  if (config.rate.is_unlimited())
    return Error{Fault::kUsage, "a queue of " + std::string(text) + " has no size without a rate",
                 "give --rate, or the queue in bytes"};
  return config.rate.over(time.value());
}

Status apply_queue(LinkConfig& config, std::string_view text) {
  auto size = parse_queue(config, text);
  if (!size.ok()) return size.error();
  config.queue = size.value();
  return success();
}

// SHARE or SHARE,TIME.
Status apply_reorder(LinkConfig& config, std::string_view text) {
  constexpr Duration kExtraMin = std::chrono::milliseconds(1);
  Reorder& reorder = config.impairments.reorder;
  reorder.extra_max = std::max(config.delay / 4, kExtraMin);
  const size_t comma = text.find(',');
  if (comma != text.npos)
    if (auto status = put(parse_duration(text.substr(comma + 1)), reorder.extra_max); !status.ok()) return status;
  return put(parse_percent(text.substr(0, comma)), reorder.share);
}

// FROM+LENGTH or FROM+LENGTH/EVERY.
Status parse_windows(std::string_view text, Windows& windows) {
  const size_t plus = text.find('+'), slash = text.find('/');
  if (plus == text.npos || (slash != text.npos && slash < plus))
    return Error{Fault::kUsage, '"' + std::string(text) + "\" names no times", "write FROM+LENGTH/EVERY, such as 5s+200ms/30s"};
  if (auto from = put(parse_duration(text.substr(0, plus)), windows.from); !from.ok()) return from;
  const size_t length_end = slash == text.npos ? text.size() : slash;
  if (auto length = put(parse_duration(text.substr(plus + 1, length_end - plus - 1)), windows.length); !length.ok())
    return length;
  if (slash == text.npos) return success();
  return put(parse_duration(text.substr(slash + 1)), windows.every);
}

// WINDOWS=RATE.
Status apply_slowdown(LinkConfig& config, std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == text.npos || config.rate.is_unlimited())
    return Error{Fault::kUsage, '"' + std::string(text) + "\" needs a rate, and --rate for all other times", "write FROM+LENGTH/EVERY=RATE, such as 2s+2s/4s=500Mbit"};
  if (auto status = put(parse_rate(text.substr(equals + 1)), config.slowdown.rate); !status.ok()) return status;
  return parse_windows(text.substr(0, equals), config.slowdown.when);
}

Status apply_burst(LinkConfig& config, std::string_view text) {
  char* end = nullptr;
  const std::string number(text);
  const double burst = std::strtod(number.c_str(), &end);
  if (end == number.c_str() || *end != '\0' || !(burst >= 1 && burst <= kBurstMax))
    return Error{Fault::kUsage, '"' + number + "\" is not a mean length of loss bursts", "write 1 to 100000 frames"};
  config.impairments.loss_burst = burst;
  return success();
}

// In the order in which they are applied: rate and delay before what depends on them.
std::vector<LinkFlag> link_flags() {
  return {
      {"rate", "RATE", "bottleneck, such as 1Gbit; off: none (default)",
       [](LinkConfig& c, std::string_view t) { return put(parse_rate(t), c.rate); }},
      {"slowdown", "WINDOWS=RATE", "the bottleneck has this rate in these windows, written as for --blackout", apply_slowdown},
      {"delay", "TIME", "one way, behind the bottleneck",
       [](LinkConfig& c, std::string_view t) { return put(parse_duration(t), c.delay); }},
      {"jitter", "TIME", "delay wanders up to this much above --delay; order is kept",
       [](LinkConfig& c, std::string_view t) { return put(parse_duration(t), c.impairments.jitter); }},
      {"queue", "SIZE|TIME", "drop-tail queue before the bottleneck (default: rate x 2 x delay, at least 5ms)", apply_queue},
      {"loss", "SHARE", "random loss before the bottleneck, such as 0.1%",
       [](LinkConfig& c, std::string_view t) { return put(parse_percent(t), c.impairments.loss); }},
      {"loss-burst", "N", "mean length of a run of losses, in frames (default 1: independent)", apply_burst},
      {"reorder", "SHARE[,TIME]", "this share is up to TIME later than the rest (default a quarter of --delay, at least 1ms)",
       apply_reorder},
      {"duplicate", "SHARE", "delivered twice",
       [](LinkConfig& c, std::string_view t) { return put(parse_percent(t), c.impairments.duplicate); }},
      {"corrupt", "SHARE", "delivered with 1 to 4 flipped bits behind the Ethernet header",
       [](LinkConfig& c, std::string_view t) { return put(parse_percent(t), c.impairments.corrupt); }},
      {"blackout", "FROM+LENGTH/EVERY", "the link is dead in these windows; without /EVERY once",
       [](LinkConfig& c, std::string_view t) { return parse_windows(t, c.impairments.blackout); }},
      {"mtu", "SIZE", "IP packets larger than this vanish, such as 1400B",
       [](LinkConfig& c, std::string_view t) { return put(parse_size(t), c.mtu); }},
      {"ce-mark", "SIZE|TIME", "packets that find this much queued are marked, if they understand ECN",
       [](LinkConfig& c, std::string_view t) { return put(parse_queue(c, t), c.ce_mark); }},
  };
}

// `--ab --loss 1%` becomes `--ab-loss 1%`, which the parser below knows.
Result<std::vector<std::string>> join_directions(std::span<char*> words) {
  std::vector<std::string> joined;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    if (word != "--ab" && word != "--ba") {
      joined.push_back(std::move(word));
      continue;
    }
    const std::string_view next = i + 1 < words.size() ? std::string_view(words[i + 1]) : std::string_view();
    if (!next.starts_with("--") || next == "--ab" || next == "--ba")
      return Error{Fault::kUsage, word + " stands before no flag", "write it right before the flag it restricts: " + word + " --loss 1%"};
    joined.push_back(word + std::string(next.substr(1)));
    ++i;
  }
  return joined;
}

using Texts = std::map<std::string, std::string>;  // flag as typed, without dashes -> value

Status apply(const Texts& texts, const std::string& direction, LinkConfig& config) {
  for (const LinkFlag& flag : link_flags()) {
    auto text = texts.find(direction + '-' + flag.name);
    if (text == texts.end()) text = texts.find(flag.name);
    if (text == texts.end()) continue;
    if (auto status = flag.apply(config, text->second); !status.ok())
      return Error{status.error().fault, "--" + text->first + ": " + status.error().what, status.error().next};
  }
  return success();
}

}  // namespace

ParsedArguments parse_arguments(int argc, char** argv) {
  ParsedArguments parsed;
  Arguments& out = parsed.arguments;
  CLI::App app("Joins two network interfaces by an emulated wide-area link. Needs CAP_NET_RAW. Offloads of the interfaces'\n"
               "peers must be off, so that every frame is one packet. Each flag acts on both directions; --ab or --ba\n"
               "right before it restricts it to frames from the first to the second interface, or back.",
               "tideway-wan");
  app.add_option("IF_A", out.interface_a, "first interface")->required();
  app.add_option("IF_B", out.interface_b, "second interface")->required();
  Texts texts;
  for (const std::string prefix : {"", "ab-", "ba-"}) {
    for (const LinkFlag& flag : link_flags()) {
      const std::string name = prefix + flag.name;
      auto* option = app.add_option_function<std::string>("--" + name, [&texts, name](const std::string& text) { texts[name] = text; },
                                                          flag.help);
      option->type_name(flag.value);
      if (!prefix.empty()) option->group("");  // not in the help
    }
  }
  app.add_option("--seed", out.seed, "of all random choices (default 1)");
  app.add_option("--stats", out.stats_file, "appends a JSON line each second and one at the end")->type_name("FILE");
  app.add_option("--count-port", out.count_ports, "counts the bytes of this TCP or UDP port apart; may be given again")->type_name("PORT");
  app.add_option("--counts", out.count_file, "writes bytes per port in bins of 10 ms as CSV")->type_name("FILE");

  auto words = join_directions(std::span(argv, static_cast<size_t>(argc)).subspan(1));
  if (!words.ok()) {
    parsed.exit_code = complain(words.error());
    return parsed;
  }
  try {
    std::vector<std::string> reversed(words.value().rbegin(), words.value().rend());  // the form CLI11 takes
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    parsed.exit_code = code == 0 ? 0 : row_of(Fault::kUsage).exit_code;
    return parsed;
  }
  for (auto [direction, config] : {std::pair("ab", &out.ab), std::pair("ba", &out.ba)})
    if (auto status = apply(texts, direction, *config); !status.ok()) {
      parsed.exit_code = complain(status.error());
      return parsed;
    }
  return parsed;
}

int complain(const Error& error) {
  std::fprintf(stderr, "tideway-wan: %s (%s)\n", error.what.c_str(), std::string(error.name()).c_str());
  if (!error.next.empty()) std::fprintf(stderr, "  next  %s\n", error.next.c_str());
  return error.exit_code();
}

}  // namespace tideway::wan
