// SPDX-License-Identifier: Apache-2.0
//
// One control connection: a TCP socket, TLS, and messages in frames of
//
//   0..3 length of body   4..5 type   6..7 flags   8.. body          (big-endian)
//
// Driven by poll(): ask wanted_events() and next_deadline(), call on_ready() when either is due, then receive() until
// nothing comes, then look at error(). Nothing here reads a clock or waits.
//
//   kConnecting ─▶ kHandshaking ─▶ kUp ─▶ kClosing ─▶ kDone          any state may go to kClosing or kDone with error()
//                        └──▶ kOpeningData ─▶ kData ─▶ kDone
//
// A connection for data, which ALPN tells, carries no messages: behind the handshake its dialling side says what it is for, and
// in kData the owner takes it with release().
//
// Until authorise() the peer is a stranger: one deadline of 10 s covers TCP, TLS and its Hello; Hello is the only
// message read, and what follows it stays in the socket. Closing means: what is queued goes out, then an alert or
// close_notify, then our half of the connection is shut and the other drained, because closing a socket with unread
// data sends a reset, which can destroy the alert on its way.
// Thread: control; one owner.
#pragma once
#include "base/thread_owner.h"
#include "crypto/key_schedule.h"
#include "crypto/tls_endpoint.h"
#include "session/listener.h"
#include "session/tcp_socket.h"

#include <tideway/result.h>
#include <tideway/time.h>

#include <poll.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace tideway::session {

inline constexpr size_t kFrameHeaderSize = 8;
inline constexpr size_t kBodyMax = 1 << 20;            // of any type
inline constexpr size_t kHelloBodyMax = 16 * 1024;     // of a stranger's first message
inline constexpr uint16_t kHelloType = 1;
inline constexpr uint16_t kManifestPageType = 18;
// What must not overtake pages: their end, ends of objects, the root, errors, and the transfer's own end. These keep their
// order among each other; every other message overtakes them.
constexpr bool keeps_order(uint16_t type) {
  return type == 6 || type == 18 || type == 20 || type == 21 || type == 22 || type == 29;
}
inline constexpr uint16_t kCriticalFlag = 1;           // an unknown type with it ends the session
inline constexpr size_t kSmallQueueMax = 2 << 20;      // waiting bytes of all types but pages: two of the largest
inline constexpr size_t kPageQueueMax = 256 * 1024;    // of pages: a few of 64 KiB keep the line busy
inline constexpr Duration kAuthorisationTime = std::chrono::seconds(10);
inline constexpr Duration kDrainTime = std::chrono::seconds(5);  // for the peer to read our last words and close

struct Frame {
  uint16_t type = 0;
  uint16_t flags = 0;
  std::vector<std::byte> body;
};

// Bodies of `type` are at most `bytes` long; types without a cap may use kBodyMax.
struct BodyCap {
  uint16_t type;
  uint32_t bytes;
};

// What a connection for data is for; its first bytes (docs/protocol.md).
struct DataPreface {
  crypto::SessionId session{};
  FlowId flow;
};
inline constexpr size_t kDataPrefaceSize = 18;

// A connection that carries packets from now on.
struct DataConnection {
  Socket socket;
  std::unique_ptr<crypto::TlsEndpoint> tls;
};

struct DialOrder {
  Endpoint remote;
  Endpoint local;  // all zeros: the kernel chooses
  crypto::IdentityPattern expected;
  Time connect_deadline;  // for TCP alone; TLS and Hello have kAuthorisationTime
  std::optional<DataPreface> data{};  // of a connection for data
};

enum class ChannelState : uint8_t { kConnecting, kHandshaking, kUp, kOpeningData, kData, kClosing, kDone };

class ControlChannel {
 public:
  // `context` is read only here; `caps` must outlive the channel (a table of constants). Errors: peer_unreachable,
  // config_invalid.
  static Result<std::unique_ptr<ControlChannel>> dial(Time now, const DialOrder& order,
                                                      const crypto::TlsContext& context, std::span<const BodyCap> caps);
  static std::unique_ptr<ControlChannel> accept(Time now, Accepted accepted, const crypto::TlsContext& context,
                                                std::span<const BodyCap> caps);
  ControlChannel(const ControlChannel&) = delete;
  ControlChannel& operator=(const ControlChannel&) = delete;

  // Moves bytes. `events` as poll() returned them; zero when only a deadline is due.
  void on_ready(Time now, short events);
  // Queues a message, also before the handshake is done, so that it travels with its end. The body is at most kBodyMax.
  // False: the queue is full, and the caller keeps the message until wants_more() says otherwise; or the channel ends.
  bool send(uint16_t type, uint16_t flags, std::span<const std::byte> body);
  // The next message. After Hello nothing more comes until authorise().
  std::optional<Frame> receive();
  // The peer's Hello was checked and it has a grant: lifts the limits for strangers.
  void authorise();
  // What the connection is for, and the connection itself, in kData; then this is done.
  DataPreface data_preface() const;
  DataConnection release();
  // Ends in order, with what is queued. Twice is as good as once.
  void close(Time now);

  ChannelState state() const { return state_; }
  const std::optional<Error>& error() const { return error_; }  // set once, when the channel ends by itself
  int fd() const { return socket_.get(); }
  short wanted_events() const;
  Time next_deadline() const;
  bool has_output() const { return wanted_events() & POLLOUT; }  // something waits for the socket
  bool wants_more(uint16_t type) const;                       // send() of a small message of that type would work
  const crypto::Certificate& peer() const { return tls_->peer(); }  // from kUp on
  Status judge_peer_again(const crypto::TlsContext& rules, std::optional<crypto::UnixTime> at = {}) const { return tls_->judge_peer_again(rules, at); }  // from kUp on
  void export_key(std::string_view label, std::span<const std::byte> context, std::span<std::byte> out) const {
    tls_->export_key(label, context, out);
  }
  Endpoint local_endpoint() const { return local_endpoint_of(socket_); }
  Endpoint remote_endpoint() const { return remote_; }
  std::optional<Duration> tcp_rtt() const { return tcp_rtt_of(socket_); }
  Time last_received() const { return last_received_; }  // of any bytes, for keep-alive
  Time last_sent() const { return last_sent_; }

 private:
  struct Parts {  // what dial() and accept() choose
    Socket socket;
    Endpoint remote;
    crypto::TlsRole role;
    std::optional<crypto::IdentityPattern> expected;
    std::optional<Admission> admission;
    Time connect_deadline;
    std::optional<DataPreface> data;
  };
  ControlChannel(Time now, Parts parts, const crypto::TlsContext& context, std::span<const BodyCap> caps);

  void on_deadline(Time now);
  void finish_connect(short events);
  void read_socket();
  void drain_socket();
  void write_socket();
  bool fill_outbox();
  bool seal_next();
  void after_write();
  void assemble();
  void on_handshake_done();
  void open_data();
  bool begin_body();
  void end_of_input();
  void end(Error error);
  void abandon(Error error);
  void finish();
  size_t cap_of(uint16_t type) const;
  bool is_stranger() const { return !is_authorised_; }

  const crypto::TlsRole role_;
  const std::span<const BodyCap> caps_;
  const Endpoint remote_;
  Socket socket_;
  std::optional<Admission> admission_;
  std::unique_ptr<crypto::TlsEndpoint> tls_;  // until release()
  ChannelState state_;
  std::optional<Error> error_;
  bool is_authorised_ = false;

  std::array<std::byte, kFrameHeaderSize> header_{};  // of the frame that arrives
  size_t header_used_ = 0, body_used_ = 0;
  Frame arriving_;
  std::array<std::byte, kDataPrefaceSize> preface_{};
  size_t preface_used_ = 0;     // read, or to be sent when we dial
  bool is_ready_ = false;       // arriving_ is whole and waits for receive()
  bool hello_seen_ = false;
  bool input_ended_ = false;    // the socket gives no more
  int input_error_ = 0;         // why, or zero when the peer closed it

  std::deque<std::vector<std::byte>> small_, pages_;  // whole frames that wait
  size_t small_bytes_ = 0, page_bytes_ = 0;
  std::vector<std::byte> leaving_;  // the frame that goes out now; a frame is never interrupted
  size_t leaving_used_ = 0;
  std::vector<std::byte> outbox_;   // sealed bytes the socket did not take yet
  size_t outbox_used_ = 0;
  bool output_broken_ = false, output_shut_ = false;

  Time now_;  // of the last turn
  Time connect_deadline_, authorise_deadline_, drain_deadline_ = kNever;
  Time last_received_, last_sent_;
  ThreadOwner owner_;
};

}  // namespace tideway::session
