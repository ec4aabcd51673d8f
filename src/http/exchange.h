// SPDX-License-Identifier: Apache-2.0
//
// One request and its answer, which may come later, or as a stream of server-sent events that ends when either side has
// enough. Whoever answers later keeps the exchange; when the caller has gone, nothing that is said into it matters.
// Thread: that of the server's run().
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::http {

// Who is at the other end of a unix socket, by the kernel's word.
struct Caller {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
};

struct Request {
  std::string method, path;                  // without the query
  std::map<std::string, std::string> query;
  std::string last_event_id, host, body;
  std::optional<Caller> caller;              // none over TCP
};

struct Response {
  unsigned status = 200;
  std::string type = "application/json";
  std::string body;
};

inline constexpr size_t kStreamWaitingMax = 256 << 10;  // of a reader that is slow; then it is dropped, and may come again

class Exchange {
 public:
  Exchange(Request request, std::function<void()> wake) : request_(std::move(request)), wake_(std::move(wake)) {}
  const Request& request() const { return request_; }

  // Once, and then nothing more.
  void answer(Response response);
  // Instead: what say() is given goes out as it comes.
  void begin_stream();
  void say(std::string_view text);
  void end();  // of a stream
  size_t waiting() const { return waiting_.size(); }  // of what was said, not yet sent
  bool is_gone() const { return is_gone_; }
  bool has_ended() const { return has_ended_; }

 private:
  friend class Server;
  Request request_;
  std::function<void()> wake_;  // the connection, when there is something for it
  std::optional<Response> response_;
  bool is_stream_ = false, has_ended_ = false, is_gone_ = false;
  std::string waiting_;         // of the stream
};

}  // namespace tideway::http
