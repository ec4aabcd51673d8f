// SPDX-License-Identifier: Apache-2.0
//
// What the API says of links and the trainings on them: GET /v1/links, and the samples of GET /v1/tide.
// Thread: any. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tideway::api {

// What is not known is null in JSON.
struct TrainingOnLink {
  std::string name;
  std::string predictor = "none";          // locked, acquiring, lost, none
  std::optional<Duration> period, jitter;  // jitter: one sigma
  bool is_bursting = false;
  std::string source;                      // who was heard last: api, board, beacon, counters, peer; empty: nobody yet
  std::optional<Duration> source_age;
  std::optional<double> inflation;         // nothing: unmeasured
  double budget = 0;
};

struct LinkGate {
  std::string direction;                   // send, receive
  std::string state;                       // open, guard, closed, probe
  std::string reason;                      // empty: none
  std::optional<Rate> rate;                // that may pass; nothing: as much as congestion control lets
};

struct LinkView {
  std::string peer, kind;
  std::optional<Rate> capacity;
  std::vector<LinkGate> gates;
  std::optional<Rate> bulk_send, bulk_receive, foreground;
  std::optional<Duration> rtt;
  std::optional<double> loss;
  std::vector<TrainingOnLink> trainings;
};

std::string links_json(std::span<const LinkView> links);
// One moment of all links; `since_epoch` by the calendar.
std::string tide_json(std::chrono::milliseconds since_epoch, std::span<const LinkView> links);
// Data of an event of type `alarm`: what is wrong with the signals of whom, and what the gate does about it.
std::string alarm_json(std::string_view alarm, std::string_view subject, std::string_view answer);
// Data of an event of type `budget`: a training went over its interference budget, or came back within it.
struct Interference { double inflation = 0, budget = 0; };
std::string budget_json(std::string_view training, const Interference& measured);

}  // namespace tideway::api
