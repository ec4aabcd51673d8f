// SPDX-License-Identifier: Apache-2.0
#include "http/client.h"

#include <tideway/object_name.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace tideway::http {
namespace {

constexpr size_t kAnswerMax = 64 << 20;                                // a list of all jobs
constexpr size_t kPart = 16 << 10;

Error unreachable(const std::string& socket, const char* why) {
  return {Fault::kDaemonUnreachable, "no gateway answers at " + to_display(socket) + ": " + why, "start tidewayd with api in [listen], or name its socket with --api"};
}

// After a call that failed.
Error not_connected(const std::string& socket) {
  if (errno != EACCES && errno != EPERM) return unreachable(socket, std::strerror(errno));
  return {Fault::kDaemonUnreachable, "you may not speak to the gateway at " + to_display(socket) + ": " + std::strerror(errno), "join the group of that socket, usually tideway, or ask its operator"};
}

Result<Descriptor> connect_to(const std::string& socket, Duration patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.empty() || socket.size() >= sizeof address.sun_path) return unreachable(socket, "this is no path of a socket");
  std::memcpy(address.sun_path, socket.data(), socket.size());
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return unreachable(socket, std::strerror(errno));
  const auto microseconds = std::chrono::ceil<std::chrono::microseconds>(patience).count();
  const timeval limit{microseconds / 1'000'000, microseconds % 1'000'000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // of connect(), too
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return not_connected(socket);
  return fd;
}

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// False: nothing more comes.
bool receive_some(int fd, std::string& into) {
  char part[kPart];
  ssize_t got = 0;
  do got = ::recv(fd, part, sizeof part, 0);
  while (got < 0 && errno == EINTR);
  if (got > 0) into.append(part, static_cast<size_t>(got));
  return got > 0;
}

std::string head_of(const std::string& method, const std::string& path, const std::string& rest) {
  return method + ' ' + path + " HTTP/1.0\r\nHost: tideway\r\n" + rest + "\r\n";
}

// The status of an answer whose head is complete; 0: it is none.
unsigned status_of(std::string_view head) {
  unsigned status = 0;
  const size_t space = head.find(' ');
  if (!head.starts_with("HTTP/1.") || space == head.npos || head.size() < space + 4) return 0;
  std::from_chars(head.data() + space + 1, head.data() + space + 4, status);
  return status;
}

}  // namespace

bool Client::is_there() const { return connect_to(socket_, patience_).ok(); }

Result<Answer> Client::ask(const std::string& method, const std::string& path, const std::string& body) const {
  const auto fd = connect_to(socket_, patience_);
  if (!fd.ok()) return fd.error();
  const std::string length = body.empty() && method == "GET" ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  std::string text;
  const bool is_sent = send_all(fd.value().get(), head_of(method, path, length) + body);
  while (is_sent && text.size() < kAnswerMax && receive_some(fd.value().get(), text)) {}
  const size_t end = text.find("\r\n\r\n");
  const unsigned status = end == text.npos ? 0 : status_of(text);
  if (status == 0) return unreachable(socket_, "it closed the connection, or said nothing for too long");
  return Answer{status, text.substr(end + 4)};
}

Result<EventReader> EventReader::open(const std::string& socket, const std::string& path, const std::string& last_id) {
  auto fd = connect_to(socket, kPatience);
  if (!fd.ok()) return fd.error();
  EventReader reader(std::move(fd).value());
  const std::string more = "Accept: text/event-stream\r\n" + (last_id.empty() ? "" : "Last-Event-ID: " + last_id + "\r\n");
  bool goes_on = send_all(reader.fd_.get(), head_of("GET", path, more));
  while (goes_on && reader.buffer_.find("\r\n\r\n") == std::string::npos) goes_on = receive_some(reader.fd_.get(), reader.buffer_);
  if (!goes_on) return unreachable(socket, "it closed the connection");
  const unsigned status = status_of(reader.buffer_);
  reader.buffer_.erase(0, reader.buffer_.find("\r\n\r\n") + 4);
  if (status == 503) return Error{Fault::kOverloaded, "the gateway at " + to_display(socket) + " tells nobody else of events now", "ask now and then, or try again when others have left"};
  if (status != 200) return Error{Fault::kDaemonUnreachable, "the gateway refused events of " + to_display(path) + " with status " + std::to_string(status), "look at tideway jobs list"};
  return reader;
}

std::optional<ServerEvent> EventReader::take() {
  size_t end = 0;
  while ((end = buffer_.find("\n\n")) != buffer_.npos) {
    const std::string block = buffer_.substr(0, end + 1);
    buffer_.erase(0, end + 2);
    ServerEvent event;
    for (size_t at = 0; at < block.size();) {
      const size_t stop = block.find('\n', at);
      const std::string_view line = std::string_view(block).substr(at, stop - at);
      if (line.starts_with("id: ")) event.id = line.substr(4);
      if (line.starts_with("event: ")) event.type = line.substr(7);
      if (line.starts_with("data: ")) event.data += line.substr(6);
      at = stop + 1;
    }
    if (!event.data.empty()) return event;  // else a comment
  }
  return std::nullopt;
}

std::optional<ServerEvent> EventReader::next(Duration at_most, int also_fd) {
  if (auto event = take()) return event;
  if (has_ended_) return std::nullopt;
  pollfd fds[2] = {{fd_.get(), POLLIN, 0}, {also_fd, POLLIN, 0}};
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(at_most).count();
  if (::poll(fds, 2, static_cast<int>(milliseconds)) <= 0 || fds[0].revents == 0) return std::nullopt;
  has_ended_ = !receive_some(fd_.get(), buffer_);
  return take();
}

}  // namespace tideway::http
