// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <microhttpd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace tideway::http {
namespace {

constexpr int kRunsMax = 8;        // of one turn; what is left comes in the next
constexpr size_t kBlock = 16 << 10;
constexpr size_t kGroupsMax = 64;  // of a caller: the first ones

const Response kStopping{503, "application/problem+json", R"({"type":"about:blank","title":"the gateway is stopping","status":503,"code":"overloaded"})"};
const Response kTooManyStreams{503, "application/problem+json",
                               R"({"type":"about:blank","title":"overloaded","status":503,"code":"overloaded","detail":"too many follow events already",)"
                               R"("next":"ask now and then, or come again when others have left"})"};

std::optional<Caller> caller_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (info == nullptr) return std::nullopt;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  int domain = 0;
  socklen_t domain_size = sizeof domain;
  if (getsockopt(info->connect_fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) != 0 || domain != AF_UNIX) return std::nullopt;
  if (getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  Caller caller{credentials.uid, credentials.gid, {}};
  std::array<gid_t, kGroupsMax> groups{};
  size = sizeof groups;
  if (getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0)
    caller.groups.assign(groups.begin(), groups.begin() + static_cast<ptrdiff_t>(size / sizeof(gid_t)));
  return caller;
}

std::string header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? "" : value;
}

MHD_Result take_argument(void* into, MHD_ValueKind, const char* key, const char* value) {
  (*static_cast<std::map<std::string, std::string>*>(into))[key] = value == nullptr ? "" : value;
  return MHD_YES;
}

}  // namespace

// What we keep of a request while microhttpd is at it.
struct Server::Connection {
  MHD_Connection* raw = nullptr;
  std::shared_ptr<Exchange> exchange;  // from the end of the body on
  std::string method, path, body;
  bool is_too_large = false, is_suspended = false;

  void suspend() {
    is_suspended = true;
    MHD_suspend_connection(raw);
  }
  void wake() {
    if (std::exchange(is_suspended, false)) MHD_resume_connection(raw);
  }
};

struct Server::Callbacks {
  static MHD_Result on_request(void* server, MHD_Connection* raw, const char* url, const char* method, const char*, const char* upload, size_t* upload_size, void** state) {
    return serve(*static_cast<Server*>(server), {raw, url, method, upload, upload_size, state});
  }

  struct Call {
    MHD_Connection* raw;
    const char *url, *method, *upload;
    size_t* upload_size;
    void** state;
  };

  // Called first with the headers, then with each part of the body, then without any: and again after each suspension.
  static MHD_Result serve(Server& server, const Call& call) {
    auto* connection = static_cast<Connection*>(*call.state);
    if (connection == nullptr) {
      connection = new Connection{call.raw, nullptr, call.method, call.url, "", false, false};
      server.open_.push_back(connection);
      *call.state = connection;
      return MHD_YES;
    }
    if (*call.upload_size > 0) {
      connection->is_too_large |= connection->body.size() + *call.upload_size > kBodyMax;
      if (!connection->is_too_large) connection->body.append(call.upload, *call.upload_size);
      *call.upload_size = 0;
      return MHD_YES;
    }
    if (connection->exchange == nullptr) hand_over(server, *connection);
    const Exchange& exchange = *connection->exchange;
    if (exchange.response_) return queue(server, *connection, *exchange.response_);
    if (exchange.is_stream_) return begin_stream(server, *connection);
    connection->suspend();
    return MHD_YES;
  }

  static void hand_over(Server& server, Connection& connection) {
    Request request;
    request.method = std::move(connection.method);
    request.path = std::move(connection.path);
    request.body = std::move(connection.body);
    request.last_event_id = header(connection.raw, "Last-Event-ID");
    request.host = header(connection.raw, "Host");
    request.caller = caller_of(connection.raw);
    MHD_get_connection_values(connection.raw, MHD_GET_ARGUMENT_KIND, take_argument, &request.query);
    connection.exchange = std::make_shared<Exchange>(std::move(request), [&connection] { connection.wake(); });
    if (!server.handler_) return connection.exchange->answer(kStopping);
    if (connection.is_too_large)
      connection.exchange->answer({413, "application/problem+json",
                                   R"({"type":"about:blank","title":"the request is too large","status":413,"code":"usage","detail":"a request has at most 1 MiB"})"});
    else
      server.handler_(connection.exchange);
  }

  static MHD_Result queue(const Server& server, const Connection& connection, const Response& response) {
    MHD_Response* raw = MHD_create_response_from_buffer(response.body.size(), const_cast<char*>(response.body.data()), MHD_RESPMEM_MUST_COPY);
    if (raw == nullptr) return MHD_NO;
    return queue_raw(server, connection, {raw, response.type.c_str(), response.status});
  }

  // One that is refused looks to who tells it things like one whose reader has left.
  static MHD_Result begin_stream(const Server& server, Connection& connection) {
    const auto is_stream = [](const Connection* one) { return one->exchange != nullptr && one->exchange->is_stream_; };
    if (std::ranges::count_if(server.open_, is_stream) <= static_cast<ptrdiff_t>(kStreamsMax)) return queue_stream(server, connection);
    connection.exchange->is_stream_ = false;
    connection.exchange->is_gone_ = true;
    return queue(server, connection, kTooManyStreams);
  }

  static MHD_Result queue_stream(const Server& server, Connection& connection) {
    MHD_Response* raw = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kBlock, read_stream, &connection, nullptr);
    if (raw == nullptr) return MHD_NO;
    return queue_raw(server, connection, {raw, "text/event-stream", MHD_HTTP_OK});
  }

  struct RawResponse {
    MHD_Response* raw;
    const char* type;
    unsigned status;
  };
  static MHD_Result queue_raw(const Server& server, const Connection& connection, const RawResponse& response) {
    MHD_add_response_header(response.raw, "Content-Type", response.type);
    MHD_add_response_header(response.raw, "Cache-Control", "no-store");
    for (const auto& [name, value] : server.headers_) MHD_add_response_header(response.raw, name.c_str(), value.c_str());
    const MHD_Result result = MHD_queue_response(connection.raw, response.status, response.raw);
    MHD_destroy_response(response.raw);
    return result;
  }

  // Not called any more once on_completed() was.
  static ssize_t read_stream(void* state, uint64_t, char* into, size_t room) {
    auto& connection = *static_cast<Connection*>(state);
    Exchange& exchange = *connection.exchange;
    const size_t taken = std::min(room, exchange.waiting_.size());
    if (taken > 0) {
      std::memcpy(into, exchange.waiting_.data(), taken);
      exchange.waiting_.erase(0, taken);
      return static_cast<ssize_t>(taken);
    }
    if (exchange.has_ended_) return MHD_CONTENT_READER_END_OF_STREAM;
    connection.suspend();
    return 0;
  }

  static void on_completed(void* server, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    auto* connection = static_cast<Connection*>(*state);
    if (connection == nullptr) return;
    if (connection->exchange != nullptr) {
      connection->exchange->is_gone_ = true;
      connection->exchange->wake_ = [] {};
    }
    std::erase(static_cast<Server*>(server)->open_, connection);
    delete connection;
    *state = nullptr;
  }
};

Result<std::unique_ptr<Server>> Server::start(ListenSocket socket, Handler handler, Headers headers) {
  std::unique_ptr<Server> server(new Server(std::move(socket), std::move(handler), std::move(headers)));
  server->daemon_ = MHD_start_daemon(
      MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, Callbacks::on_request, server.get(), MHD_OPTION_LISTEN_SOCKET,
      server->socket_.fd(), MHD_OPTION_NOTIFY_COMPLETED, Callbacks::on_completed, server.get(), MHD_OPTION_CONNECTION_LIMIT, kConnectionsMax,
      MHD_OPTION_CONNECTION_TIMEOUT, kConnectionSecondsMax, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, MHD_OPTION_END);
  if (server->daemon_ == nullptr) return Error{Fault::kConfigInvalid, "the HTTP server does not start", "raise the limit of open files"};
  return server;
}

Server::~Server() {
  if (daemon_ == nullptr) return;
  for (Connection* connection : open_) {  // one that is suspended may not be stopped
    if (connection->exchange != nullptr && !connection->exchange->is_stream_)
      connection->exchange->answer(kStopping);
    if (connection->exchange != nullptr) connection->exchange->end();
    connection->wake();
  }
  handler_ = {};
  run();
  MHD_quiesce_daemon(daemon_);  // the socket is ours to close
  MHD_stop_daemon(daemon_);
}

int Server::wait_fd() const { return MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd; }

Time Server::next_deadline(Time now) const {
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  if (MHD_get_timeout(daemon_, &milliseconds) != MHD_YES) return kNever;
  return now + std::chrono::milliseconds(milliseconds);
}

void Server::run() {
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  for (int i = 0; i < kRunsMax; ++i) {
    MHD_run(daemon_);
    if (MHD_get_timeout(daemon_, &milliseconds) != MHD_YES || milliseconds > 0) return;
  }
}

}  // namespace tideway::http
