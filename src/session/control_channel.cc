// SPDX-License-Identifier: Apache-2.0
#include "session/control_channel.h"

#include "base/cursor.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tideway::session {
namespace {

constexpr size_t kPiece = 16 * 1024;  // one TLS record, and what one call moves
constexpr int kPiecesPerTurn = 64;    // 1 MiB; then the loop's other channels have their turn

Error unreachable(const Endpoint& remote, std::string_view why) {
  return {Fault::kPeerUnreachable, "connect to " + to_string(remote) + ": " + std::string(why),
          "see that tidewayd runs there, listens on that address, and that no firewall blocks the TCP port"};
}

// Puts the peer's address in front of what went wrong.
Error at(const Endpoint& remote, Error error) {
  error.what = to_string(remote) + ": " + error.what;
  return error;
}

}  // namespace

Result<std::unique_ptr<ControlChannel>> ControlChannel::dial(Time now, const DialOrder& order,
                                                             const crypto::TlsContext& context,
                                                             std::span<const BodyCap> caps) {
  auto socket = begin_connect(order.remote, order.local);
  if (!socket.ok()) return std::move(socket).error();
  Parts parts{std::move(socket).value(), order.remote, crypto::TlsRole::kDialling,
              order.expected,            std::nullopt, order.connect_deadline, order.data};
  return std::unique_ptr<ControlChannel>(new ControlChannel(now, std::move(parts), context, caps));
}

std::unique_ptr<ControlChannel> ControlChannel::accept(Time now, Accepted accepted, const crypto::TlsContext& context,
                                                       std::span<const BodyCap> caps) {
  Parts parts{std::move(accepted.socket), accepted.remote,  crypto::TlsRole::kAccepting,
              std::nullopt,               std::move(accepted.admission), kNever, std::nullopt};
  return std::unique_ptr<ControlChannel>(new ControlChannel(now, std::move(parts), context, caps));
}

ControlChannel::ControlChannel(Time now, Parts parts, const crypto::TlsContext& context, std::span<const BodyCap> caps)
    : role_(parts.role), caps_(caps), remote_(parts.remote), socket_(std::move(parts.socket)),
      admission_(std::move(parts.admission)),
      tls_(std::make_unique<crypto::TlsEndpoint>(context, parts.role, std::move(parts.expected),
                                                 parts.data ? crypto::TlsProtocol::kData : crypto::TlsProtocol::kControl)),
      state_(parts.role == crypto::TlsRole::kDialling ? ChannelState::kConnecting : ChannelState::kHandshaking),
      now_(now), connect_deadline_(parts.connect_deadline), authorise_deadline_(now + kAuthorisationTime),
      last_received_(now), last_sent_(now) {
  if (!parts.data) return;
  Writer out(preface_);
  out.write_bytes(parts.data->session);
  out.write_u16(parts.data->flow.value());
}

// ---- events --------------------------------------------------------------------------------------------------------

void ControlChannel::on_ready(Time now, short events) {
  owner_.check();
  now_ = now;
  if (state_ == ChannelState::kDone) return;
  if (now >= next_deadline()) return on_deadline(now);
  if (state_ == ChannelState::kConnecting) finish_connect(events);
  if (state_ == ChannelState::kConnecting || state_ == ChannelState::kDone) return;
  if (state_ == ChannelState::kClosing) drain_socket();
  else read_socket();
  if (state_ != ChannelState::kDone) write_socket();
  if (state_ == ChannelState::kOpeningData) open_data();
}

void ControlChannel::on_deadline(Time now) {
  switch (state_) {
    case ChannelState::kConnecting: return abandon(unreachable(remote_, "no answer in time"));
    case ChannelState::kClosing: return finish();
    default: break;
  }
  TIDEWAY_CHECK(is_stranger() && now >= authorise_deadline_);
  const bool is_dialling = role_ == crypto::TlsRole::kDialling;
  abandon({is_dialling ? Fault::kPeerUnreachable : Fault::kPeerLost,
           to_string(remote_) + ": TLS handshake and Hello did not end within 10 s", ""});
}

void ControlChannel::finish_connect(short events) {
  if ((events & (POLLOUT | POLLERR | POLLHUP)) == 0) return;
  if (const int error = take_error(socket_); error != 0) return abandon(unreachable(remote_, std::strerror(error)));
  state_ = ChannelState::kHandshaking;
}

void ControlChannel::close(Time now) {
  owner_.check();
  now_ = now;
  if (state_ == ChannelState::kClosing || state_ == ChannelState::kDone) return;
  if (state_ == ChannelState::kConnecting) return finish();
  state_ = ChannelState::kClosing;
  drain_deadline_ = now + kDrainTime;
  if (is_stranger()) drain_deadline_ = std::min(drain_deadline_, authorise_deadline_);
  write_socket();
}

void ControlChannel::authorise() {
  is_authorised_ = true;
  admission_.reset();
}

// Ends with an error that leaves the socket able to carry our last words.
void ControlChannel::end(Error error) {
  if (!error_) error_ = std::move(error);
  if (state_ == ChannelState::kClosing || state_ == ChannelState::kDone) return;
  small_.clear();
  pages_.clear();
  state_ = ChannelState::kClosing;
  drain_deadline_ = is_stranger() ? authorise_deadline_ : now_ + kDrainTime;
}

void ControlChannel::abandon(Error error) {
  if (!error_) error_ = std::move(error);
  finish();
}

void ControlChannel::finish() {
  state_ = ChannelState::kDone;
  admission_.reset();
  socket_.reset();
}

short ControlChannel::wanted_events() const {
  if (state_ == ChannelState::kDone) return 0;
  if (state_ == ChannelState::kConnecting) return POLLOUT;
  short events = 0;
  const bool has_room = state_ == ChannelState::kClosing || tls_->input_room() > 0;
  if (has_room && !input_ended_) events |= POLLIN;
  const bool can_seal = tls_->state() == crypto::TlsState::kUp;
  const bool has_frames = !leaving_.empty() || !small_.empty() || !pages_.empty();
  const bool must_shut = state_ == ChannelState::kClosing && !output_shut_;
  if (!output_broken_ && (!outbox_.empty() || tls_->output_size() > 0 || (can_seal && has_frames) || must_shut))
    events |= POLLOUT;
  return events;
}

Time ControlChannel::next_deadline() const {
  switch (state_) {
    case ChannelState::kDone: return kNever;
    case ChannelState::kConnecting: return std::min(connect_deadline_, authorise_deadline_);
    case ChannelState::kClosing: return drain_deadline_;
    default: return is_stranger() ? authorise_deadline_ : kNever;
  }
}

// ---- in ------------------------------------------------------------------------------------------------------------

void ControlChannel::read_socket() {
  std::array<std::byte, kPiece> piece;
  for (int turn = 0; turn < kPiecesPerTurn && state_ != ChannelState::kClosing && !input_ended_; ++turn) {
    const size_t room = std::min(tls_->input_room(), piece.size());
    if (room == 0) break;  // a message waits for receive(), or for authorise()
    const ssize_t got = ::recv(socket_.get(), piece.data(), room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      input_ended_ = true;
      input_error_ = got < 0 ? errno : 0;
    } else {
      last_received_ = now_;
      TIDEWAY_CHECK(tls_->feed(std::span(piece).first(static_cast<size_t>(got))) == static_cast<size_t>(got));
    }
    assemble();
  }
}

void ControlChannel::drain_socket() {
  std::array<std::byte, kPiece> piece;
  for (int turn = 0; turn < kPiecesPerTurn && !input_ended_; ++turn) {
    const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) input_ended_ = true;
  }
  if (input_ended_ && (output_shut_ || output_broken_)) finish();
}

void ControlChannel::assemble() {
  if (state_ == ChannelState::kClosing || state_ == ChannelState::kDone || state_ == ChannelState::kData) return;
  if (state_ == ChannelState::kHandshaking && tls_->state() == crypto::TlsState::kUp) on_handshake_done();
  if (state_ == ChannelState::kOpeningData && role_ == crypto::TlsRole::kAccepting)
    preface_used_ += tls_->read(std::span(preface_).subspan(preface_used_));
  while (!is_ready_ && state_ == ChannelState::kUp && tls_->state() == crypto::TlsState::kUp) {
    if (is_stranger() && hello_seen_) return;
    const bool in_header = header_used_ < kFrameHeaderSize;
    const std::span<std::byte> room = in_header ? std::span(header_).subspan(header_used_)
                                                : std::span(arriving_.body).subspan(body_used_);
    const size_t got = tls_->read(room);
    if (got == 0) break;
    (in_header ? header_used_ : body_used_) += got;
    if (in_header && header_used_ == kFrameHeaderSize && !begin_body()) return;
    is_ready_ = header_used_ == kFrameHeaderSize && body_used_ == arriving_.body.size();
    hello_seen_ = hello_seen_ || is_ready_;
  }
  if (!is_ready_) end_of_input();
}

void ControlChannel::on_handshake_done() {
  const bool is_for_data = tls_->protocol() == crypto::TlsProtocol::kData;
  state_ = is_for_data ? ChannelState::kOpeningData : ChannelState::kUp;
  if (is_for_data && role_ == crypto::TlsRole::kDialling) leaving_.assign(preface_.begin(), preface_.end());
}

// Nothing of ours may be left here when the owner takes it; what the peer sent behind its preface waits in the endpoint.
void ControlChannel::open_data() {
  const bool is_all_out = leaving_.empty() && outbox_used_ == outbox_.size() && tls_->output_size() == 0;
  const bool is_told = role_ == crypto::TlsRole::kDialling || preface_used_ == preface_.size();
  if (is_all_out && is_told) state_ = ChannelState::kData;
}

DataPreface ControlChannel::data_preface() const {
  TIDEWAY_CHECK(state_ == ChannelState::kData);
  DataPreface preface;
  std::ranges::copy(std::span(preface_).first(preface.session.size()), preface.session.begin());
  Reader in(std::span<const std::byte>(preface_).subspan(preface.session.size()));
  preface.flow = FlowId(*in.read_u16());
  return preface;
}

DataConnection ControlChannel::release() {
  TIDEWAY_CHECK(state_ == ChannelState::kData);
  state_ = ChannelState::kDone;
  admission_.reset();
  tls_->hand_over();
  return {std::move(socket_), std::move(tls_)};
}

bool ControlChannel::begin_body() {
  Reader in(header_);
  const uint32_t length = *in.read_u32();
  arriving_.type = *in.read_u16();
  arriving_.flags = *in.read_u16();
  body_used_ = 0;
  if (is_stranger() && arriving_.type != kHelloType) {
    end(at(remote_, {Fault::kProtocolError,
                     "its first message has type " + std::to_string(arriving_.type) + " instead of Hello", ""}));
    return false;
  }
  if (const size_t cap = cap_of(arriving_.type); length > cap) {
    end(at(remote_, {Fault::kProtocolError,
                     "a message of type " + std::to_string(arriving_.type) + " announces " + std::to_string(length) +
                         " bytes; " + std::to_string(cap) + " are allowed",
                     ""}));
    return false;
  }
  arriving_.body.resize(length);
  return true;
}

size_t ControlChannel::cap_of(uint16_t type) const {
  size_t cap = is_stranger() ? kHelloBodyMax : kBodyMax;
  for (const BodyCap& known : caps_)
    if (known.type == type) cap = std::min<size_t>(cap, known.bytes);
  return cap;
}

// Looks at why no whole message came; most often the rest of it is still on its way.
void ControlChannel::end_of_input() {
  if (tls_->state() == crypto::TlsState::kFailed) return end(at(remote_, tls_->error()));
  if (tls_->state() == crypto::TlsState::kClosed)
    return end({Fault::kPeerLost, to_string(remote_) + ": the peer closed the session", ""});
  if (!input_ended_) return;
  const std::string why = input_error_ != 0 ? std::strerror(input_error_) : "closed by the peer without a word";
  if (state_ == ChannelState::kHandshaking)
    return abandon({role_ == crypto::TlsRole::kDialling ? Fault::kPeerUnreachable : Fault::kPeerLost,
                    to_string(remote_) + ": the connection ended during the TLS handshake: " + why,
                    "the peer's log says more; it may be overloaded, or no tideway gateway"});
  if (!hello_seen_)
    return abandon({Fault::kPeerLost, to_string(remote_) + ": the connection ended before the peer's Hello: " + why,
                    "the peer's log says whether it refused us"});
  abandon({Fault::kPeerLost, to_string(remote_) + ": the connection ended: " + why, ""});
}

std::optional<Frame> ControlChannel::receive() {
  owner_.check();
  assemble();
  // A socket that takes nothing more calls nobody: what the peer had said by then was the last of it.
  if (output_broken_ && !is_ready_ && state_ != ChannelState::kClosing && state_ != ChannelState::kDone) after_write();
  if (!is_ready_ || state_ == ChannelState::kClosing || state_ == ChannelState::kDone) return std::nullopt;
  is_ready_ = false;
  header_used_ = 0;
  return std::exchange(arriving_, Frame{});
}

// ---- out -----------------------------------------------------------------------------------------------------------

bool ControlChannel::wants_more(uint16_t type) const {
  if (state_ == ChannelState::kClosing || state_ == ChannelState::kDone) return false;
  return keeps_order(type) ? page_bytes_ < kPageQueueMax : small_bytes_ < kSmallQueueMax / 2;
}

bool ControlChannel::send(uint16_t type, uint16_t flags, std::span<const std::byte> body) {
  owner_.check();
  TIDEWAY_CHECK(body.size() <= kBodyMax);
  if (state_ == ChannelState::kClosing || state_ == ChannelState::kDone) return false;
  const bool is_page = keeps_order(type);
  const size_t size = kFrameHeaderSize + body.size();
  size_t& waiting = is_page ? page_bytes_ : small_bytes_;
  // The last page may reach over the limit, so that wants_more() is a promise.
  const bool is_full = type == kManifestPageType ? waiting >= kPageQueueMax : waiting != 0 && waiting + size > kSmallQueueMax;
  if (is_full) return false;
  std::vector<std::byte> frame(size);
  Writer out(frame);
  out.write_u32(static_cast<uint32_t>(body.size()));
  out.write_u16(type);
  out.write_u16(flags);
  out.write_bytes(body);
  waiting += size;
  (is_page ? pages_ : small_).push_back(std::move(frame));
  return true;
}

void ControlChannel::write_socket() {
  while (!output_broken_ && fill_outbox()) {
    const auto rest = std::span(outbox_).subspan(outbox_used_);
    const ssize_t sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) {
      // The peer's reason may still lie in our receive buffer: reading goes on until it ends.
      output_broken_ = true;
      if (input_error_ == 0) input_error_ = errno;
      break;
    }
    last_sent_ = now_;
    outbox_used_ += static_cast<size_t>(sent);
  }
  after_write();
}

// Whether there are sealed bytes to send.
bool ControlChannel::fill_outbox() {
  if (outbox_used_ < outbox_.size()) return true;
  outbox_used_ = 0;
  outbox_.clear();
  if (tls_->output_size() == 0 && !seal_next()) return false;
  outbox_.resize(std::min(tls_->output_size(), 2 * kPiece));
  return tls_->take_output(outbox_) > 0;
}

// Seals the next piece of the frame that goes out. Only as much as the socket takes, so that a small message waits for
// one record at most.
bool ControlChannel::seal_next() {
  if (tls_->state() != crypto::TlsState::kUp || state_ == ChannelState::kHandshaking) return false;
  if (leaving_.empty()) {
    auto& queue = small_.empty() ? pages_ : small_;
    if (queue.empty()) return false;
    (small_.empty() ? page_bytes_ : small_bytes_) -= queue.front().size();
    leaving_ = std::move(queue.front());
    queue.pop_front();
    leaving_used_ = 0;
  }
  const auto rest = std::span(leaving_).subspan(leaving_used_);
  leaving_used_ += tls_->write(rest.first(std::min(rest.size(), kPiece)));
  if (leaving_used_ == leaving_.size()) leaving_.clear();
  return tls_->output_size() > 0;
}

void ControlChannel::after_write() {
  if (output_broken_ && state_ != ChannelState::kClosing) {
    read_socket();
    if (state_ == ChannelState::kDone || state_ == ChannelState::kClosing || is_ready_) return;
    input_ended_ = true;
    return end_of_input();
  }
  if (state_ != ChannelState::kClosing || output_shut_) return;
  const bool is_all_out = outbox_.size() == outbox_used_ && tls_->output_size() == 0;
  if (!output_broken_ && is_all_out) {
    tls_->shut_down();
    if (tls_->output_size() > 0) return write_socket();
    ::shutdown(socket_.get(), SHUT_WR);
    output_shut_ = true;
  }
  if (output_shut_ || output_broken_) drain_socket();
}

}  // namespace tideway::session
