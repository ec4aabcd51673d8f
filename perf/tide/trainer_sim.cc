// SPDX-License-Identifier: Apache-2.0
//
// tideway-trainer-sim: iterations of compute (a sleep) and a burst over TCP, with a barrier at its end. No model of training:
// a square wave that notices delay, and the first program that announces its phases.
#include "announcer.h"
#include "base/amounts.h"
#include "base/clock.h"
#include "flows.h"

#include <CLI/CLI.hpp>

#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <random>

namespace tideway::trainer {
namespace {

constexpr Duration kLate = std::chrono::milliseconds(1);  // a sleep that overslept by more shows a busy machine

int report(const Error& error) {
  std::fprintf(stderr, "tideway-trainer-sim: %s (%s)\n", error.what.c_str(), std::string(error.name()).c_str());
  if (!error.next.empty()) std::fprintf(stderr, "  next  %s\n", error.next.c_str());
  return error.exit_code();
}

void sleep_until(Time when) {
  const Duration since = when.time_since_epoch();
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since);
  const timespec at{.tv_sec = whole.count(), .tv_nsec = (since - whole).count()};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {}
}

double ms(Duration time) { return static_cast<double>(time.count()) / 1e6; }

struct Sum { double median, p99, most, mean; };
Sum sum_of(std::vector<double> values) {
  std::ranges::sort(values);
  double total = 0;
  for (const double value : values) total += value;
  const auto at = [&](double share) { return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))]; };
  return {at(0.5), at(0.99), values.back(), total / static_cast<double>(values.size())};
}

class Trainer {
 public:
  Trainer(const Settings& settings, Flows& flows, Announcer& announcer)
      : settings_(settings), flows_(flows), announcer_(announcer), random_(settings.seed) {}

  Status run() {
    for (size_t i = 0; i < settings_.iterations + settings_.warmup; ++i)
      if (Status status = iterate(i); !status.ok()) return status;
    return success();
  }
  void write() const;

 private:
  Status iterate(size_t number) {
    Iteration it;
    it.start = read_clock();
    it.drawn = compute_time(number);
    const Time wakes = it.start + it.drawn;
    sleep_until(wakes);
    it.burst_start = read_clock();
    it.compute = it.burst_start - it.start;
    if (it.burst_start - wakes > kLate) ++late_;
    announcer_.begin();
    if (Status status = flows_.burst(settings_.burst); !status.ok()) return status;
    announcer_.end();
    it.end = read_clock();
    if (number >= settings_.warmup) iterations_.push_back(it);
    return success();
  }
  Duration compute_time(size_t number) {
    const double stretch = settings_.step_at > 0 && number >= settings_.step_at + settings_.warmup ? 1 + settings_.step : 1;
    std::normal_distribution<double> spread(0, settings_.jitter);
    const double time = static_cast<double>(settings_.compute.count()) * stretch * (1 + spread(random_));
    return Duration(static_cast<int64_t>(std::max(time, 0.0)));
  }

  const Settings& settings_;
  Flows& flows_;
  Announcer& announcer_;
  std::mt19937_64 random_;
  std::vector<Iteration> iterations_;
  size_t late_ = 0;
};

void Trainer::write() const {
  if (iterations_.empty()) return;
  std::vector<double> bursts, whole;
  std::FILE* csv = settings_.csv.empty() ? nullptr : std::fopen(settings_.csv.c_str(), "we");
  if (csv != nullptr) std::fputs("iteration,start_ns,drawn_ns,compute_ns,burst_start_ns,burst_ns,iteration_ns,bytes_out\n", csv);
  for (size_t i = 0; i < iterations_.size(); ++i) {
    const Iteration& it = iterations_[i];
    const auto ns = [](Duration time) { return static_cast<long long>(time.count()); };
    if (csv != nullptr)
      std::fprintf(csv, "%zu,%lld,%lld,%lld,%lld,%lld,%lld,%llu\n", i, ns(it.start.time_since_epoch()), ns(it.drawn), ns(it.compute), ns(it.burst_start.time_since_epoch()),
                   ns(it.end - it.burst_start), ns(it.end - it.start), static_cast<unsigned long long>(settings_.burst.count()));
    bursts.push_back(ms(it.end - it.burst_start));
    whole.push_back(ms(it.end - it.start));
  }
  if (csv != nullptr) std::fclose(csv);
  const Sum burst = sum_of(bursts), iteration = sum_of(whole);
  char line[512];
  std::snprintf(line, sizeof line,
                "{\"v\":1,\"iterations\":%zu,\"seed\":%llu,\"late_timers\":%zu,\"burst_ms\":{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mean\":%.3f},"
                "\"iteration_ms\":{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mean\":%.3f}}\n",
                iterations_.size(), static_cast<unsigned long long>(settings_.seed), late_, burst.median, burst.p99, burst.most, burst.mean,
                iteration.median, iteration.p99, iteration.most, iteration.mean);
  std::fputs(line, stdout);
  if (settings_.json.empty()) return;
  if (std::FILE* json = std::fopen(settings_.json.c_str(), "we"); json != nullptr) {
    std::fputs(line, json);
    std::fclose(json);
  }
}

int train(const Settings& settings) {
  prctl(PR_SET_TIMERSLACK, 1);
  auto flows = Flows::open(settings);
  if (!flows.ok()) return report(flows.error());
  auto announcer = Announcer::open(settings);
  if (!announcer.ok()) return report(announcer.error());
  Trainer trainer(settings, *flows.value(), *announcer.value());
  if (Status status = trainer.run(); !status.ok()) return report(status.error());
  trainer.write();
  return 0;
}

// Texts with units, before they are values.
struct Texts { std::string peer, compute = "600ms", burst = "40MB", pace = "off", jitter = "0%", step, announce = "none", loss = "0%"; };

template <typename T>
Status put(Result<T> parsed, T& place) {
  if (!parsed.ok()) return std::move(parsed).error();
  place = std::move(parsed).value();
  return success();
}

Status take_step(const std::string& text, Settings& settings) {
  const size_t colon = text.find(":+");
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), settings.step_at);
  if (colon == text.npos || failure != std::errc() || end != text.data() + colon)
    return Error{Fault::kUsage, "\"" + text + "\" is no step of the period", "write ITERATION:+SHARE, such as 100:+20%"};
  return put(parse_percent(text.substr(colon + 2)), settings.step);
}

Status take(const Texts& texts, Settings& settings) {
  for (const auto& [name, announce] : {std::pair("api", Announce::kApi), std::pair("board", Announce::kBoard), std::pair("beacon", Announce::kBeacon)})
    if (texts.announce == name) settings.announce = announce;
  for (Status status : {put(Endpoint::parse(texts.peer), settings.peer), put(parse_duration(texts.compute), settings.compute),
                        put(parse_size(texts.burst), settings.burst), put(parse_rate(texts.pace), settings.pace),
                        put(parse_percent(texts.jitter), settings.jitter), put(parse_percent(texts.loss), settings.announce_loss),
                        texts.step.empty() ? success() : take_step(texts.step, settings)})
    if (!status.ok()) return status;
  return success();
}

void add_run(CLI::App& run, Settings& settings, Texts& texts) {
  run.add_option("--peer", texts.peer, "Where `serve` listens")->required();
  run.add_option("--iterations", settings.iterations, "That are measured")->check(CLI::Range(1, 1'000'000));
  run.add_option("--warmup", settings.warmup, "Before them");
  run.add_option("--compute", texts.compute, "Time between bursts");
  run.add_option("--burst", texts.burst, "Size of a burst, all flows together");
  run.add_option("--flows", settings.flows, "TCP connections")->check(CLI::Range(1, 256));
  run.add_option("--pace", texts.pace, "Rate of a burst, all flows together");
  run.add_option("--congestion", settings.congestion, "Of TCP");
  run.add_option("--jitter", texts.jitter, "Sigma of the compute time");
  run.add_option("--period-step", texts.step, "ITERATION:+SHARE: from there on the compute time is longer");
  run.add_option("--seed", settings.seed, "Of the jitter");
  run.add_option("--csv", settings.csv, "A line per iteration");
  run.add_option("--json", settings.json, "The sums");
  run.add_option("--announce", texts.announce, "none, api, board or beacon")->check(CLI::IsMember({"none", "api", "board", "beacon"}));
  run.add_option("--training", settings.training, "Name of the [[training]]");
  run.add_option("--api", settings.api, "Socket of the gateway on this host");
  run.add_option("--board", settings.board, "Of the gateway on this host");
  run.add_option("--beacon", settings.beacon, "[phase] listen of the gateway");
  run.add_option("--key-file", settings.key_file, "Of the beacons");
  run.add_option("--announce-loss", texts.loss, "Share of words that are not said");
}

}  // namespace
}  // namespace tideway::trainer

int main(int argc, char** argv) {
  using namespace tideway;
  trainer::Settings settings;
  trainer::Texts texts;
  std::string listen;
  CLI::App app("A synthetic trainer: compute, then a burst over TCP, then a barrier.", "tideway-trainer-sim");
  app.require_subcommand(1);
  CLI::App* serve = app.add_subcommand("serve", "The far site: takes bursts");
  serve->add_option("--listen", listen, "Address")->required();
  CLI::App* run = app.add_subcommand("run", "The near site: computes and bursts");
  trainer::add_run(*run, settings, texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Error& error) {
    return app.exit(error);
  }
  if (run->parsed()) {
    if (Status status = trainer::take(texts, settings); !status.ok()) return trainer::report(status.error());
    return trainer::train(settings);
  }
  const auto endpoint = Endpoint::parse(listen);
  if (!endpoint.ok()) return trainer::report(endpoint.error());
  return trainer::report(trainer::serve(endpoint.value()).error());
}
