// SPDX-License-Identifier: Apache-2.0
//
// tideway-trainer-sim: iterations of compute (a sleep) and a burst over TCP, with a barrier at its end, of one host or of several that burst
// into the link at once. No model of training: a square wave that notices delay, and the first program that announces its phases.
#include "base/amounts.h"
#include "base/clock.h"
#include "host.h"

#include <CLI/CLI.hpp>

#include <sys/prctl.h>

#include <algorithm>
#include <barrier>
#include <charconv>
#include <cstdio>
#include <thread>

namespace tideway::trainer {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "tideway-trainer-sim: %s (%s)\n", error.what.c_str(), std::string(error.name()).c_str());
  if (!error.next.empty()) std::fprintf(stderr, "  next  %s\n", error.next.c_str());
  return error.exit_code();
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

// Its hosts, each in a thread; all of them wait for the last one's burst before the next iteration.
class Trainer {
 public:
  Trainer(const Settings& settings, std::vector<std::unique_ptr<Host>> hosts)
      : settings_(settings), hosts_(std::move(hosts)), statuses_(hosts_.size(), success()), barrier_(static_cast<std::ptrdiff_t>(hosts_.size()), Completion{this}) {}

  Status run() {
    start_ = read_clock();
    std::vector<std::thread> others;
    for (size_t i = 1; i < hosts_.size(); ++i) others.emplace_back([this, i] { run_host(i); });
    run_host(0);
    for (std::thread& other : others) other.join();
    for (const Status& status : statuses_)
      if (!status.ok()) return status;
    return success();
  }
  void write() const;

 private:
  struct Completion {
    Trainer* trainer;
    void operator()() noexcept { trainer->end_iteration(); }
  };
  void run_host(size_t index) {
    for (size_t number = 0; number < settings_.iterations + settings_.warmup && !has_failed_; ++number) {
      statuses_[index] = hosts_[index]->iterate(start_, number);
      barrier_.arrive_and_wait();
    }
  }
  // In one thread, while the others wait. The host that was to compute longest says how long that was.
  void end_iteration() noexcept {
    has_failed_ = !std::ranges::all_of(statuses_, &Status::ok);
    Iteration all = hosts_.front()->last();
    for (const auto& host : hosts_) {
      const Iteration& it = host->last();
      if (it.drawn > all.drawn) all.drawn = it.drawn, all.compute = it.compute;
      all.burst_start = std::min(all.burst_start, it.burst_start);
      all.end = std::max(all.end, it.end);
    }
    if (++ended_ > settings_.warmup && !has_failed_) iterations_.push_back(all);
    start_ = read_clock();
  }

  const Settings& settings_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<Status> statuses_;       // of the iteration, one of each host
  Time start_{};                       // these are written by end_iteration() alone
  bool has_failed_ = false;
  size_t ended_ = 0;
  std::vector<Iteration> iterations_;
  std::barrier<Completion> barrier_;
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
  size_t late = 0;
  for (const auto& host : hosts_) late += host->late_timers();
  char line[512];
  std::snprintf(line, sizeof line,
                "{\"v\":1,\"iterations\":%zu,\"hosts\":%zu,\"seed\":%llu,\"late_timers\":%zu,\"burst_ms\":{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mean\":%.3f},"
                "\"iteration_ms\":{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mean\":%.3f}}\n",
                iterations_.size(), hosts_.size(), static_cast<unsigned long long>(settings_.seed), late, burst.median, burst.p99, burst.most, burst.mean,
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
  std::vector<std::unique_ptr<Host>> hosts;
  for (size_t i = 0; i < settings.fan_in; ++i) {
    auto host = Host::open(settings, i);
    if (!host.ok()) return report(host.error());
    hosts.push_back(std::move(host).value());
  }
  Trainer trainer(settings, std::move(hosts));
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
  run.add_option("--fan-in", settings.fan_in, "Hosts that burst into the link at once, each with flows and jitter of its own")->check(CLI::Range(1, 64));
  run.add_option("--burst", texts.burst, "Size of a burst, all hosts together");
  run.add_option("--flows", settings.flows, "TCP connections of each host")->check(CLI::Range(1, 256));
  run.add_option("--pace", texts.pace, "Rate of a burst, all flows of a host together");
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
