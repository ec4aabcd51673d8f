// SPDX-License-Identifier: Apache-2.0
//
// A byte stream over TLS and TCP. The handshake was made elsewhere, and the peer judged; what is left is to seal and open.
// Thread: net worker, once it was handed over.
#pragma once
#include "base/descriptor.h"
#include "crypto/tls_endpoint.h"
#include "packet_io/byte_stream.h"

#include <array>
#include <memory>

namespace tideway::packet_io {

class TlsStream final : public ByteStream {
 public:
  // Takes the socket, which is non-blocking, and the endpoint of its connection, which is up.
  TlsStream(int socket, std::unique_ptr<crypto::TlsEndpoint> tls);
  ~TlsStream() override;  // says goodbye if the socket takes it, and closes
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  size_t write(std::span<const std::byte> bytes) override;
  void flush() override;
  size_t read(std::span<std::byte> out) override;
  bool has_output() const override { return used_ < filled_ || tls_->output_size() > 0; }
  bool is_broken() const override { return is_socket_broken_ || tls_->state() != crypto::TlsState::kUp; }
  int fd() const override { return socket_.get(); }

 private:
  const Descriptor socket_;
  const std::unique_ptr<crypto::TlsEndpoint> tls_;
  std::array<std::byte, crypto::kTlsOutputMax> sealed_;  // on its way to the socket
  size_t filled_ = 0, used_ = 0;
  bool is_socket_broken_ = false;
};

}  // namespace tideway::packet_io
