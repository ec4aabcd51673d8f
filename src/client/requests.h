// SPDX-License-Identifier: Apache-2.0
//
// What the queue hands to the gateway: by the socket, else by the inbox, else again later. A request carries its submission_id from the
// start, so that sending it twice, or by both ways, is one job.
// Thread: made by any, worked off by the queue's.
#pragma once
#include "client/departures.h"
#include "client/outbox.h"
#include "client/pin.h"
#include "client/places.h"
#include "client/ticket.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace tideway::client {

inline constexpr Duration kLookAgain = std::chrono::milliseconds(50);  // at a checkpoint that is still being written

struct Settings {
  std::string api, inbox;
};

struct Counts {
  std::atomic<uint64_t> accepted = 0, stored = 0, refused = 0, unpinned = 0;
};

// What the items of a client share with it.
struct Line {
  explicit Line(Settings given) : settings(std::move(given)), reach(settings.api) {}
  void note(const Trouble& trouble);
  Trouble latest() const;

  const Settings settings;
  const std::shared_ptr<Notices> notices = std::make_shared<Notices>();
  Reach reach;
  Counts counts;

 private:
  mutable std::mutex mutex_;
  Trouble latest_;
};

// Below which root it lies: as the gateway says, else by the inbox above it.
std::optional<Place> place_of(const std::string& path, Line& line);

class Request : public Item {
 public:
  Request(std::string key, std::shared_ptr<Line> line, std::shared_ptr<Ticket> ticket) : Item(std::move(key)), line_(std::move(line)), ticket_(std::move(ticket)) {}
  std::optional<std::chrono::nanoseconds> step() override { return send(); }
  void spill() override;
  void end(tideway_state state, const Trouble& trouble) override;
  std::optional<std::chrono::nanoseconds> part() override;

 protected:
  virtual const char* target() const = 0;
  virtual Reply body() = 0;               // or what stands in its way
  virtual std::string inbox() const = 0;  // empty: none
  virtual void on_refused() {}            // what was kept for it may go
  std::optional<std::chrono::nanoseconds> send();
  void refuse(const Trouble& trouble);
  Reply address(const std::string& path);  // as a JSON text

  const std::shared_ptr<Line> line_;
  const std::shared_ptr<Ticket> ticket_;

 private:
  bool store();
  Duration pause_ = kPauseMin;
};

struct JobWish {  // NOLINT(bugprone-exception-escape): the move of a Json throws nothing
  std::vector<std::string> sources;
  std::string destination;
  Json rest;  // fields of POST /v1/jobs that are known already
};

class Submission final : public Request {
 public:
  Submission(std::shared_ptr<Line> line, const std::shared_ptr<Ticket>& ticket, JobWish wish) 
      : Request(ticket->id(), std::move(line), ticket), wish_(std::move(wish)) {}

 private:
  const char* target() const override { return "/v1/jobs"; }
  Reply body() override;
  std::string inbox() const override;
  JobWish wish_;
};

struct CheckpointWish {  // NOLINT(bugprone-exception-escape): as above
  std::string path, series;
  bool is_pinned = true;
  Json rest;  // fields of POST /v1/checkpoints that are known already
};

// Holds a checkpoint and hands it over as a whole. What is taken away from it counts from follow() on.
class CheckpointRequest : public Request {
 public:
  CheckpointRequest(std::shared_ptr<Line> line, const std::shared_ptr<Ticket>& ticket, CheckpointWish wish)
      : Request(wish.series.empty() ? parent_of(wish.path) : wish.series, std::move(line), ticket), wish_(std::move(wish)) {}
  std::optional<std::chrono::nanoseconds> step() override;
  void spill() override;
  void follow();  // the thread's, or before the thread has it

 protected:
  const char* target() const override { return "/v1/checkpoints"; }
  Reply body() override;
  Reply growing();  // the body of one that is not held yet
  std::string inbox() const override { return inbox_above(source(), line_->settings.inbox); }
  void on_refused() override;

  enum class Holding { kDone, kRefused, kLater };  // kDone: also where it is read in place
  Holding hold();
  const std::string& path() const { return wish_.path; }
  std::string pin() const { return pin_.empty() ? pin_ : name_of(pin_); }

 private:
  const std::string& source() const { return real_.empty() ? wish_.path : real_; }
  bool is_refused(const Listing& files);
  bool make_pin_of(const Place& place, const Listing& files);  // false: it changed meanwhile

  const CheckpointWish wish_;
  std::string real_;  // what the path led to at follow(), or where it is no link, when it was looked at: `latest` may lead elsewhere soon
  std::optional<Departures> departures_;  // until it is held
  std::string pin_;
  bool is_held_ = false, goes_unheld_ = false;
};

// Iterations of one training; they are lost with the gateway away, since more come.
class Iterations final : public Item {
 public:
  Iterations(std::shared_ptr<Line> line, std::string training, double seconds)
      : Item("iteration " + training), line_(std::move(line)), training_(std::move(training)), seconds_{seconds} {}
  std::optional<std::chrono::nanoseconds> step() override;
  void spill() override {}
  void end(tideway_state, const Trouble& trouble) override { line_->note(trouble); }
  bool absorb(const Item& newer) override;

 private:
  const std::shared_ptr<Line> line_;
  const std::string training_;
  std::vector<double> seconds_;
};

}  // namespace tideway::client
