// SPDX-License-Identifier: Apache-2.0
//
// Serves HTTP on one listening socket from somebody else's loop: wait until wait_fd() is readable or next_deadline() has come,
// then call run(). Everything a caller can make it hold is bounded.
// Thread: one owner.
#pragma once
#include "base/descriptor.h"
#include "http/exchange.h"
#include <tideway/packet_io.h>
#include <tideway/result.h>
#include <tideway/time.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

struct MHD_Daemon;

namespace tideway::http {

inline constexpr size_t kBodyMax = 1 << 20;           // a job with its lists of names
inline constexpr unsigned kConnectionsMax = 512;      // event streams among them
inline constexpr size_t kStreamsMax = 384;            // each is held as long as its reader likes; the rest is for who only asks, as trainers do
inline constexpr unsigned kConnectionSecondsMax = 30; // without a word, while nothing is being answered
inline constexpr size_t kConnectionMemory = 64 << 10; // request line and headers

// A socket that listens, and is gone from the file system with its owner.
class ListenSocket {
 public:
  // 0660, of `group` when there is one of that name. A socket that nobody serves any more is replaced. Errors: config_invalid.
  static Result<ListenSocket> open_unix(const std::string& path, const std::string& group);
  static Result<ListenSocket> open_tcp(const Endpoint& local);  // errors: config_invalid
  ListenSocket(ListenSocket&&) noexcept = default;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();
  int fd() const { return fd_.get(); }

 private:
  ListenSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Descriptor fd_;
  std::string path_;
};

// Of every answer of a server, beside those that belong to the answer.
using Headers = std::vector<std::pair<std::string, std::string>>;

class Server {
 public:
  // Called by run() for each request; answers at once or keeps it.
  using Handler = std::function<void(const std::shared_ptr<Exchange>&)>;
  // Errors: config_invalid.
  static Result<std::unique_ptr<Server>> start(ListenSocket socket, Handler handler, Headers headers = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  int wait_fd() const;
  Time next_deadline(Time now) const;
  void run();

 private:
  struct Connection;
  struct Callbacks;
  Server(ListenSocket socket, Handler handler, Headers headers) : socket_(std::move(socket)), handler_(std::move(handler)), headers_(std::move(headers)) {}

  ListenSocket socket_;
  Handler handler_;
  Headers headers_;
  MHD_Daemon* daemon_ = nullptr;
  std::vector<Connection*> open_;
};

}  // namespace tideway::http
