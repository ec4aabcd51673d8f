// SPDX-License-Identifier: Apache-2.0
#include "follow.h"

#include "base/clock.h"
#include "signals.h"

#include <poll.h>

#include <algorithm>

namespace tideway::cli {
namespace {

constexpr Duration kTurn = std::chrono::milliseconds(200);
constexpr Duration kAskEvery = std::chrono::seconds(2);        // where the gateway has no stream to spare
constexpr Duration kReturnsWithin = std::chrono::seconds(60);  // a gateway that is started again

session::CopyNumbers to_numbers(const api::JobView& view) {
  using Stage = session::CopyNumbers::Stage;
  session::CopyNumbers numbers;
  if (!view.progress) return numbers;
  const api::Progress& progress = *view.progress;
  numbers.stage = progress.stage == "scan" ? Stage::kScan : progress.stage == "send" ? Stage::kSend : progress.stage == "publish" ? Stage::kPublish : Stage::kConnect;
  numbers.entries = progress.entries;
  numbers.failed = progress.failed;
  numbers.skipped = progress.skipped;
  numbers.kept = progress.kept;
  numbers.bytes_needed = progress.bytes_needed;
  numbers.bytes_verified = progress.bytes_verified;
  numbers.bytes_held = progress.bytes_held;
  numbers.bytes_durable = progress.bytes_durable;
  numbers.bytes_raw = progress.bytes_raw;
  numbers.bytes_packed = progress.bytes_packed;
  numbers.packets_sent = progress.packets_sent;
  numbers.packets_lost = progress.packets_lost;
  numbers.flows = progress.flows;
  numbers.losses = {progress.host_lost_received, progress.host_lost_sent};
  numbers.backend = progress.backend;
  return numbers;
}

// One job as it goes on, also through a gateway that is started again meanwhile.
class Following {
 public:
  Following(const GatewayClient& gateway, api::JobView view) : gateway_(gateway), view_(std::move(view)) {}

  const api::JobView& view() const { return view_; }
  bool is_over() const { return job::is_over(view_.job.state); }
  // Errors: the gateway stayed away, or does not know the job any more.
  Status turn(int signals) {
    if (!reader_) return reconnect(signals);
    if (const auto event = reader_->next(kTurn, signals)) {
      auto view = api::parse_view(event->data);
      if (view.ok()) view_ = std::move(view).value();
    }
    if (reader_->has_ended()) {
      reader_.reset();
      return look();
    }
    return success();
  }

 private:
  Status look() {
    auto view = gateway_.job(view_.job.id);
    if (!view.ok()) return view.error().fault == Fault::kDaemonUnreachable ? success() : Status(view.error());
    view_ = std::move(view).value();
    return success();
  }
  static void pause(Duration at_most, int signals) {
    pollfd fd{signals, POLLIN, 0};
    ::poll(&fd, 1, static_cast<int>(at_most / std::chrono::milliseconds(1)));
  }
  // The stream first, so that nothing falls between it and the look. Without one, the look is all there is.
  Status reconnect(int signals) {
    auto reader = http::EventReader::open(gateway_.socket(), "/v1/jobs/" + view_.job.id + "/events", "");
    if (reader.ok()) {
      reader_.emplace(std::move(reader).value());
      lost_at_ = kNever;
      return look();
    }
    if (reader.error().fault == Fault::kOverloaded) {
      lost_at_ = kNever;
      pause(kAskEvery, signals);
      return look();
    }
    const Time now = read_clock();
    if (lost_at_ == kNever) lost_at_ = now;
    if (now > lost_at_ + kReturnsWithin) return reader.error();
    pause(kTurn, signals);
    return look();
  }

  const GatewayClient& gateway_;
  api::JobView view_;
  std::optional<http::EventReader> reader_;
  Time lost_at_ = kNever;
};

// Whether one of them is a file that stands at the destination and differs.
bool print_problems(const GatewayClient& gateway, const std::string& id, const OutputConfig& output) {
  const auto body = gateway.ask("GET", "/v1/jobs/" + id + "/entries");
  if (!body.ok()) return false;
  const auto problems = api::parse_entries(body.value());
  if (!problems.ok()) return false;
  for (const job::EntryProblem& problem : problems.value()) print_problem(problem, output);
  return std::ranges::count(problems.value(), row_of(Fault::kDestExists).name, &job::EntryProblem::code) > 0;
}

int finish(const GatewayClient& gateway, const job::Job& job, const Globals& globals, const FollowOptions& options) {
  const bool has_existing = print_problems(gateway, job.id, globals.output);
  if (job.error) return report(with_way_on(*job.error, has_existing), globals.output);
  if (!job.outcome) return report({Fault::kCancelled, "job " + job.id + " was cancelled", "submit it again to go on from what is there"}, globals.output);
  const int exit_code = exit_code_of(*job.outcome, options.on_nothing);
  print_summary(*job.outcome, globals.output, std::chrono::milliseconds(job.outcome->milliseconds), exit_code);
  return exit_code;
}

int leave(const GatewayClient& gateway, const job::Job& job, int signal, const FollowOptions& options) {
  if (options.on_interrupt == FollowOptions::OnInterrupt::kLeave) {
    std::fprintf(stderr, "tideway: job %s goes on; tideway jobs watch %s shows it again\n", job.id.c_str(), job.id.c_str());
    return 128 + signal;
  }
  static_cast<void>(gateway.act(job.id, "cancel").ok());
  std::fprintf(stderr, "tideway: interrupted; what has arrived is kept; run the same command again to go on from there\n");
  return 128 + signal;
}

}  // namespace

int follow(const GatewayClient& gateway, api::JobView job, const Globals& globals, const FollowOptions& options) {
  const int signals = open_signal_fd();
  Progress progress(globals.output, options.title, read_clock());
  Following following(gateway, std::move(job));
  while (!following.is_over()) {
    if (const int signal = next_signal(signals); signal != 0) {
      progress.clear();
      return leave(gateway, following.view().job, signal, options);
    }
    if (Status status = following.turn(signals); !status.ok()) {
      progress.clear();
      return report(status.error(), globals.output);
    }
    if (!following.is_over()) progress.show(read_clock(), to_numbers(following.view()));
  }
  progress.clear();
  return finish(gateway, following.view().job, globals, options);
}

}  // namespace tideway::cli
