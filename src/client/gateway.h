// SPDX-License-Identifier: Apache-2.0
//
// The gateway's API as JSON in and JSON out. `Reach` is what the queue's thread uses: it asks with little patience, and leaves a
// gateway that did not answer alone for a while.
// Thread: a Gateway any; a Reach the queue's, but for retry().
#pragma once
#include "client/places.h"
#include "client/trouble.h"
#include "http/client.h"

#include <nlohmann/json.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace tideway::client {

using Json = nlohmann::json;

struct Reply {
  Json json;                       // an object; empty without a body
  std::optional<Trouble> trouble;  // then nothing else counts
  bool ok() const { return !trouble; }
};

// A text field of an object, empty when there is none.
std::string text_of(const Json& object, const char* name);
// From an object with code, detail and next: a problem (RFC 9457), or the error of a job.
Trouble trouble_in(const Json& object);
std::string to_text(const Json& json);
// Empty: it is no JSON.
Json parse(const std::string& text);

class Gateway {
 public:
  Gateway(std::string socket, Duration patience) : client_(std::move(socket), patience) {}
  Reply ask(const std::string& method, const std::string& target, const Json& body = {}) const;
  // Empty where it tells none.
  std::vector<Root> roots(std::optional<Trouble>& trouble) const;
  const std::string& socket() const { return client_.socket(); }

 private:
  http::Client client_;
};

inline constexpr Duration kCallPatience = std::chrono::seconds(30);     // of calls that may block
inline constexpr Duration kThreadPatience = std::chrono::milliseconds(200);  // a gateway that is well answers in milliseconds
inline constexpr Duration kPauseMin = std::chrono::seconds(1), kPauseMax = std::chrono::seconds(60);

class Reach {
 public:
  explicit Reach(const std::string& socket) : gateway_(socket, kThreadPatience) {}
  // At once with daemon_unreachable while the gateway is left alone.
  Reply ask(const std::string& method, const std::string& target, const Json& body = {});
  // As last heard, asked for again each minute; `trouble` when the gateway told none.
  const std::vector<Root>& roots(std::optional<Trouble>& trouble);
  void retry() { silent_until_ = Clock::time_point().time_since_epoch(); }
  uint64_t unanswered() const { return unanswered_; }

 private:
  using Clock = std::chrono::steady_clock;
  Reply note(Reply reply);

  Gateway gateway_;
  std::vector<Root> roots_;
  Clock::time_point roots_until_{};
  std::atomic<Clock::duration> silent_until_{};
  Duration pause_ = kPauseMin;
  std::atomic<uint64_t> unanswered_ = 0;
};

}  // namespace tideway::client
