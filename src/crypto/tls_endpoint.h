// SPDX-License-Identifier: Apache-2.0
//
// One end of a TLS 1.3 connection without a socket: sealed bytes in and out on one side, plain bytes on the other. The
// caller moves the sealed bytes and owns all deadlines.
//
//   kHandshake ──▶ kUp ──▶ kClosed     the peer said it will send no more
//        └────────────┴──▶ kFailed     error() says why; an alert for the peer lies in the output
//
// In TLS 1.3 the dialling side is kUp before the accepting side has judged its certificate. A refusal then comes as an
// alert, seen by read(), and is auth_failed like one during the handshake.
// Thread: control, or the net worker it was handed to; one owner.
#pragma once
#include "base/thread_owner.h"
#include "crypto/peer_judge.h"
#include "crypto/tls_context.h"

#include <tideway/result.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

struct ssl_st;
struct bio_st;

namespace tideway::crypto {

inline constexpr size_t kTlsInputMax = 16 * 1024;    // sealed bytes waiting to be read; the socket keeps the rest
inline constexpr size_t kTlsOutputMax = 64 * 1024;   // sealed bytes waiting to be taken; write() then takes nothing

enum class TlsState : uint8_t { kHandshake, kUp, kClosed, kFailed };
enum class TlsProtocol : uint8_t { kControl, kData };  // ALPN (RFC 7301): tideway/1, tideway-data/1

class TlsEndpoint {
 public:
  // `expected`: who the dialling side means to reach; any gateway of our trust domain when empty. `protocol` is what it asks
  // for; the accepting side takes either.
  TlsEndpoint(const TlsContext& context, TlsRole role, std::optional<IdentityPattern> expected = std::nullopt,
              TlsProtocol protocol = TlsProtocol::kControl);
  TlsEndpoint(const TlsEndpoint&) = delete;
  TlsEndpoint& operator=(const TlsEndpoint&) = delete;
  ~TlsEndpoint();

  // Sealed bytes from the peer. Takes a prefix and returns its length: at most kTlsInputMax lie here unread. After the
  // end it takes everything and drops it.
  size_t feed(std::span<const std::byte> sealed);
  // Sealed bytes for the peer: fills a prefix of `out` and returns its length.
  size_t take_output(std::span<std::byte> out);
  // Plain bytes to the peer, when kUp. Takes a prefix and returns its length; nothing while much output waits.
  size_t write(std::span<const std::byte> plain);
  // Plain bytes from the peer: fills a prefix of `out`. Zero: nothing yet, or the state says that no more comes.
  size_t read(std::span<std::byte> out);
  // Says that we will write no more (close_notify).
  void shut_down();

  // The next call may come from another thread, which owns it from then on.
  void hand_over() { owner_.hand_over(); }

  TlsState state() const { return state_; }
  TlsProtocol protocol() const { return protocol_; }          // agreed on, from kUp on
  const Error& error() const { return *error_; }              // when kFailed
  const Certificate& peer() const { return *judge_.peer(); }  // when it was kUp once
  // Whether the peer would still pass, by the rules of another context: an authority that is trusted no more, a revoked
  // certificate, an identity that is not allowed. `at`: as a handshake at that time, dates of authorities and revocation lists
  // included; else no date counts. Asked when kUp. Errors: auth_failed.
  Status judge_peer_again(const TlsContext& rules, std::optional<UnixTime> at = {}) const;
  size_t output_size() const;
  size_t input_room() const;  // what feed() would take now

  // Keys both ends agree on (RFC 8446, section 7.5), when kUp: the same `label`, `context` and length give the same.
  void export_key(std::string_view label, std::span<const std::byte> context, std::span<std::byte> out) const;

 private:
  struct Free { void operator()(ssl_st* ssl) const; };
  void advance_handshake();
  Status check_established();
  void fail(Error error);
  Error take_error();

  PeerJudge judge_;
  std::unique_ptr<ssl_st, Free> ssl_;
  bio_st* input_;   // both belong to ssl_
  bio_st* output_;
  TlsState state_ = TlsState::kHandshake;
  TlsProtocol protocol_;
  bool is_shut_down_ = false;
  std::optional<Error> error_;
  ThreadOwner owner_;
};

}  // namespace tideway::crypto
