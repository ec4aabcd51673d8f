// SPDX-License-Identifier: Apache-2.0
//
// Speaks to a gateway through its unix socket: one request, one connection (HTTP/1.0, so that the end of an answer is the end of
// the connection). For programs that have nothing else to do meanwhile.
// Thread: one owner; waits.
#pragma once
#include "base/descriptor.h"
#include <tideway/result.h>
#include <tideway/time.h>

#include <optional>
#include <string>
#include <utility>

namespace tideway::http {

struct Answer {
  unsigned status = 0;
  std::string body;
};

struct ServerEvent {
  std::string id, type, data;
};

inline constexpr Duration kPatience = std::chrono::seconds(60);  // a disk may be slow to take a job

class Client {
 public:
  // `patience`: for each wait of a request.
  explicit Client(std::string socket, Duration patience = kPatience) : socket_(std::move(socket)), patience_(patience) {}
  // Somebody answers there.
  bool is_there() const;
  // Errors: daemon_unreachable.
  Result<Answer> ask(const std::string& method, const std::string& path, const std::string& body = {}) const;

  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
  Duration patience_;
};

// Server-sent events, as they come.
class EventReader {
 public:
  // `last_id`: goes on behind that event; empty: from now on. Errors: daemon_unreachable; overloaded: it has too many readers to tell them more
  // than answers.
  static Result<EventReader> open(const std::string& socket, const std::string& path, const std::string& last_id);

  // Waits at most so long; `also_fd` (-1: none) ends the wait when it is readable.
  std::optional<ServerEvent> next(Duration at_most, int also_fd = -1);
  bool has_ended() const { return has_ended_ && buffer_.find("\n\n") == buffer_.npos; }  // the gateway closed it

 private:
  explicit EventReader(Descriptor fd) : fd_(std::move(fd)) {}
  std::optional<ServerEvent> take();
  Descriptor fd_;
  std::string buffer_;
  bool has_ended_ = false;
};

}  // namespace tideway::http
