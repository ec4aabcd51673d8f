// SPDX-License-Identifier: Apache-2.0
//
// What a copy of 512 MiB gets of a link of 1 Gbit/s, cold, known and warm, in virtual time and with all that takes part: flows, congestion
// control, loss detection, credit, the repair of the tail. The shares are those of perf/wan, of what the link carries beside its losses:
//
// - cold: beyond the four round trips of a cold set-up, three of which are over when the first byte leaves.
// - known: the same over a path whose rate was remembered.
// - warm: beyond nothing. Over the session a copy of 64 MiB went just before, and one round trip is over when the first byte leaves: the
//   peer was asked whether it takes the copy. With the one in which the last byte is acked, 2 RTT are what a warm copy cannot do without.
// - steady: of what a cold copy gets from four round trips behind its first byte until seven eighths have arrived.
//
// Both hosts look at their ports only every so often. More than 1 means that a seed lost less than it should have.
//
//   tideway-cold-start [--start cold,known,warm,steady] [--rtt 1,200] [--loss "0 %,3 %"] [--look 20,1000] [--seeds N] [--first SEED] [--timeline MS]
//
// With several seeds a cell is the median and, in brackets, the least.
#include "sim/sim_pair.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tideway::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t kBlocks = 128, kBlocksBefore = 16, kLength = 4'194'304 - 1536;
constexpr SlotId kSlotBefore{2};
constexpr Duration kStoreDelay = milliseconds(5), kPatience = seconds(60);
constexpr Duration kPause = milliseconds(100);  // between two commands
constexpr uint64_t kPayload = 1408, kFullPacket = kPayload + 48;  // as flows count it: header and tag, too
constexpr double kPayloadShare = 1408.0 / 1522.0;                 // of what a full packet charges the link

struct Loss { const char* name; double share, burst; };
constexpr Loss kLosses[] = {{"0 %", 0, 1}, {"1 %", 0.01, 1}, {"3 %", 0.03, 1}, {"1 % x 10", 0.01, 10}};

constexpr int kRttsMs[] = {1, 10, 50, 100, 200}, kLooksUs[] = {20, 300, 1000};

enum class Start : uint8_t { kCold, kKnown, kWarm, kSteady };
constexpr std::pair<Start, const char*> kStarts[] = {{Start::kCold, "cold"}, {Start::kKnown, "known"}, {Start::kWarm, "warm"}, {Start::kSteady, "steady"}};
constexpr int kStartRoundTrips = 4;                 // after which a start is over
constexpr uint64_t kSteadyUntil = uint64_t{kBlocks} * kLength / 8 * 7;  // at 200 ms the last two round trips are not in it
constexpr Duration kSteadyLook = milliseconds(10);

struct Cell { Start start; int rtt_ms; Loss loss; int look_us; };

void print_timeline(SimPair& sim, Duration at_most, Duration every) {
  uint64_t delivered_before = sim.lane(1).stats().flows.bytes_received, sent_before = sim.lane(0).stats().flows.bytes_sent;
  const Time end = sim.now() + at_most;
  while (sim.now() < end) {
    if (!sim.run_for(every)) return;
    const flow::FlowStats stats = sim.lane(0).stats().flows, there = sim.lane(1).stats().flows;
    std::printf("  %7.1f %7.2f %7.1f %7.1f  win %6.2f infl %6.2f pace %7.1f  lost %6lu spur %5lu srtt %6.2f unsent %6.2f blocks %zu\n",
                static_cast<double>((sim.now() - Time()).count()) / 1e6, static_cast<double>(there.bytes_received) / 1e6,
                static_cast<double>(there.bytes_received - delivered_before) * 8e3 / static_cast<double>(every.count()),
                static_cast<double>(stats.bytes_sent - sent_before) * 8e3 / static_cast<double>(every.count()),
                static_cast<double>(stats.window.count()) / 1e6, static_cast<double>(stats.in_flight.count()) / 1e6,
                static_cast<double>(stats.pacing_rate.bits_per_second()) / 1e6, static_cast<unsigned long>(stats.packets_lost),
                static_cast<unsigned long>(stats.packets_spurious), static_cast<double>(stats.rtt_smoothed.count()) / 1e6,
                static_cast<double>(sim.lane(0).unsent_bytes()) / 1e6, static_cast<size_t>(sim.lane(0).stats().blocks_sending));
    delivered_before = there.bytes_received;
    sent_before = stats.bytes_sent;
    if (sim.lane(0).stats().blocks_sending == 0) return;
  }
}

double failed(const SimPair& sim) {
  std::fprintf(stderr, "%s\n", state_of(sim).c_str());
  return 0;
}

// Of payload, at the sink, each byte once.
Bytes received(SimPair& sim) {
  const flow::FlowStats there = sim.lane(1).stats().flows;
  return Bytes((there.bytes_received - there.packets_duplicate * kFullPacket) * kPayload / kFullPacket);
}

double steady_share_of(SimPair& sim, Duration rtt, Rate ideal) {
  if (!sim.run_for(rtt * kStartRoundTrips)) return failed(sim);
  const Time begin = sim.now();
  const Bytes before = received(sim);
  while (received(sim) < Bytes(kSteadyUntil))
    if (sim.now() - begin > kPatience || !sim.run_for(kSteadyLook)) return failed(sim);
  return static_cast<double>(Rate::of(received(sim) - before, sim.now() - begin).bits_per_second()) / static_cast<double>(ideal.bits_per_second());
}

// 0: it did not end.
double share_of(const Cell& cell, uint64_t seed, Duration timeline) {
  const Duration rtt = milliseconds(cell.rtt_ms), look = microseconds(cell.look_us);
  const Rate remembered = cell.start == Start::kKnown ? (1_Gbit) * kPayloadShare : Rate();
  SimPair sim({.link = {.rate = 1_Gbit, .delay = rtt / 2, .impairments = {.loss = cell.loss.share, .loss_burst = cell.loss.burst}},
               .paths = SimPairConfig::Paths::kShared, .seed = seed, .controller = "bbr", .rate_remembered = remembered, .credit_blocks = 100, .unsent_max = 8 << 20,
               .receive_every = look, .run_every = look});
  if (cell.start == Start::kWarm) {
    sim.open({.slot = kSlotBefore, .blocks = kBlocksBefore, .length = kLength, .store_delay = kStoreDelay});
    if (!sim.run_until_done({kSlotBefore}, kPatience) || !sim.run_for(kPause)) return failed(sim);
    sim.close(kSlotBefore);
  }
  const Time begin = sim.now();
  sim.open({.slot = kSlot, .blocks = kBlocks, .length = kLength, .store_delay = kStoreDelay});
  const Rate carried = (1_Gbit) * (kPayloadShare * (1 - cell.loss.share));
  if (cell.start == Start::kSteady) return steady_share_of(sim, rtt, carried);
  if (timeline > Duration()) print_timeline(sim, kPatience, timeline);
  if (!sim.run_until_done({kSlot}, kPatience)) return failed(sim);
  const Duration ideal = carried.time_for(Bytes(uint64_t{kBlocks} * kLength));
  const auto [left_out, before_data] = cell.start == Start::kWarm ? std::pair(0, 1) : std::pair(4, 3);
  return static_cast<double>((ideal + left_out * rtt).count()) / static_cast<double>((sim.now() - begin + before_data * rtt).count());
}

bool is_wanted(const std::string& list, const std::string& item) { return list.empty() || ("," + list + ",").find("," + item + ",") != std::string::npos; }

struct Options {
  std::string starts, rtts, losses, looks;
  uint64_t seeds = 1, first = 1;
  Duration timeline{};
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  auto& [starts, rtts, losses, looks, seeds, first, timeline] = options;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = i + 1 < argc ? argv[i] : "";
    if (flag == "--start") starts = argv[i + 1];
    else if (flag == "--rtt") rtts = argv[i + 1];
    else if (flag == "--loss") losses = argv[i + 1];
    else if (flag == "--look") looks = argv[i + 1];
    else if (flag == "--seeds") seeds = std::strtoull(argv[i + 1], nullptr, 10);
    else if (flag == "--first") first = std::strtoull(argv[i + 1], nullptr, 10);
    else if (flag == "--timeline") timeline = milliseconds(std::strtol(argv[i + 1], nullptr, 10));
    else {
      std::fprintf(stderr, "usage: tideway-cold-start [--start cold,known,warm,steady] [--rtt MS,...] [--loss \"1 %%,...\"] [--look US,...] [--seeds N] [--first SEED] [--timeline MS]\n");
      return std::nullopt;
    }
  }
  if (seeds > 0) return options;
  std::fprintf(stderr, "tideway-cold-start: --seeds has to be 1 at least\n");
  return std::nullopt;
}

void print_cell(const Cell& cell, const Options& options) {
  std::vector<double> shares;
  for (uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) shares.push_back(share_of(cell, seed, options.timeline));
  std::ranges::sort(shares);
  if (shares[0] == 0) std::printf(" failed |");
  else if (options.seeds > 1) std::printf(" %.3f (%.3f) |", shares[(shares.size() - 1) / 2], shares[0]);
  else std::printf(" %.3f |", shares[0]);
  std::fflush(stdout);
}

void print_row(int rtt_ms, const Loss& loss, const Options& options) {
  for (const auto& [start, name] : kStarts) {
    if (!is_wanted(options.starts, name)) continue;
    std::printf("| %d ms | %s | %s |", rtt_ms, loss.name, name);
    for (const int look : kLooksUs)
      if (is_wanted(options.looks, std::to_string(look))) print_cell({start, rtt_ms, loss, look}, options);
    std::printf("\n");
  }
}

int run(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) return 2;
  std::printf("| RTT | loss | start |");
  for (const int look : kLooksUs)
    if (is_wanted(options->looks, std::to_string(look))) std::printf(" look %d us |", look);
  std::printf("\n");
  for (const int rtt : kRttsMs) {
    if (!is_wanted(options->rtts, std::to_string(rtt))) continue;
    for (const Loss& loss : kLosses)
      if (is_wanted(options->losses, loss.name)) print_row(rtt, loss, *options);
  }
  return 0;
}

}  // namespace
}  // namespace tideway::test

int main(int argc, char** argv) { return tideway::test::run(argc, argv); }
