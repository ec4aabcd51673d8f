// SPDX-License-Identifier: Apache-2.0
#include "packet_io/tls_stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace tideway::packet_io {
namespace {

constexpr size_t kRecord = 16 * 1024;  // plain bytes of one TLS record (RFC 8446, section 5.1)

bool is_later(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

TlsStream::TlsStream(int socket, std::unique_ptr<crypto::TlsEndpoint> tls) : socket_(socket), tls_(std::move(tls)) {}

TlsStream::~TlsStream() {
  if (is_broken()) return;
  tls_->shut_down();
  flush();
}

size_t TlsStream::write(std::span<const std::byte> bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && !is_broken()) {
    const size_t piece = tls_->write(bytes.subspan(taken, std::min(bytes.size() - taken, kRecord)));
    if (piece == 0) break;
    taken += piece;
  }
  return taken;
}

void TlsStream::flush() {
  while (!is_socket_broken_) {
    if (used_ == filled_) {
      used_ = 0;
      filled_ = tls_->take_output(sealed_);
      if (filled_ == 0) return;
    }
    const ssize_t sent = ::send(fd(), sealed_.data() + used_, filled_ - used_, MSG_NOSIGNAL);
    if (sent < 0 && is_later(errno)) return;
    if (sent < 0) is_socket_broken_ = true;
    else used_ += static_cast<size_t>(sent);
  }
}

size_t TlsStream::read(std::span<std::byte> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    const size_t got = tls_->read(out.subspan(filled));
    filled += got;
    if (got > 0) continue;
    std::array<std::byte, crypto::kTlsInputMax> sealed;
    const size_t room = std::min(tls_->input_room(), sealed.size());
    if (room == 0 || is_broken()) break;
    const ssize_t came = ::recv(fd(), sealed.data(), room, 0);
    if (came < 0 && is_later(errno)) break;
    if (came <= 0) {
      is_socket_broken_ = true;
      break;
    }
    static_cast<void>(tls_->feed(std::span(sealed).first(static_cast<size_t>(came))));  // takes all that there was room for
  }
  return filled;
}

}  // namespace tideway::packet_io
