// SPDX-License-Identifier: Apache-2.0
//
// What a session does when the rules change under it, and when a transfer meets a limit of its grant: certificates, revocations, allowed peers and grants that a reload
// brought. Who is not allowed any more is not waited for: lanes close before the last words are out.
#include "session/session.h"

#include "base/amounts.h"
#include "base/log.h"

namespace tideway::session {

void Session::on_rules_changed(Time now) {
  now_ = now;
  if (is_over()) return;
  if (channel_->state() != ChannelState::kUp) {
    is_judged_by_old_rules_ = true;  // once it is up
    return;
  }
  if (Status status = channel_->judge_peer_again(around_.tls); !status.ok()) return withdraw(status.error());
  if (side_ == Side::kDialling || !their_hello_) return;  // what we asked for ourselves needs no grant of ours
  if (!around_.grants.knows(channel_->peer().identity))
    return withdraw({Fault::kDenied, "the peer has no grant here any more", ""});
  std::vector<engine::TransferHandle> running;
  for (const auto& [handle, id] : by_handle_) running.push_back(handle);
  for (const engine::TransferHandle handle : running) {
    Transfer* transfer = find(handle);
    if (transfer == nullptr || transfer->outcome) continue;  // or the session has ended with one before it
    const auto limits = authorise(transfer->request);
    if (limits.ok()) take_up(*transfer, limits.value());
    else give_up(handle, refusal(transfer->request.root, transfer->request.name));
  }
}

// Who sends to us was told when he began how fast he may, and under which modes his files are staged. Where that is less now, he begins again
// and is told anew; nothing that is here is sent again, but where modes changed, because that is another staging.
void Session::take_up(Transfer& transfer, const GrantLimits& limits) {
  if (transfer.meter)
    if (Status status = transfer.meter->narrow(limits); !status.ok()) return give_up(transfer.handle, status.error());
  if (transfer.role == Role::kSource) {
    transfer.rate_max = std::min(transfer.request.options.rate_max, limits.rate_max);
    if (transfer.slot) set_ceiling();
    return;
  }
  const bool is_tighter = limits.rate_max < transfer.rate_max || (transfer.modes & ~limits.modes) != 0;
  if (is_tighter && transfer.meter) send_back({Fault::kPeerLost, "the grant of " + describe(transfer) + " allows less than when it began", "it goes on in another session"});
}

// A page is counted before anything it names is accepted, or sent.
bool Session::is_within_grant(Transfer& transfer, const engine::TransferMessage& message) {
  const auto* page = std::get_if<messages::ManifestPage>(&message);
  if (page == nullptr || !transfer.meter || transfer.outcome) return true;
  const Status status = transfer.meter->take(page->entries);
  if (!status.ok()) give_up(transfer.handle, status.error());
  return status.ok();
}

static crypto::SignedTree signed_tree(const Transfer& transfer, const messages::TransferRoot& root) {
  return {root.root, transfer.listed.entries, transfer.listed.bytes.count()};
}

// Who signs believes nobody.
engine::StartSource::Held Session::held_of_peers() const {
  return around_.signing.signs() ? engine::StartSource::Held::kProven : engine::StartSource::Held::kTaken;
}

// When it leaves, and only where this site knows each hash in it by itself: of what a peer claims to have, another one could be shown as ours.
void Session::sign_root(Transfer& transfer, engine::ToPeer& said) {
  if (const auto* end = std::get_if<messages::ManifestEnd>(&said.message)) transfer.listed = *end;
  auto* root = std::get_if<messages::TransferRoot>(&said.message);
  if (root == nullptr || !around_.signing.signs()) return;
  if (said.root == engine::ToPeer::Root::kProven) root->signature = around_.signing.sign(around_.tls.own().identity.site, signed_tree(transfer, *root));
  else log::info("root_not_signed", describe(transfer) + " why=\"it has hashes that only the receiving site tells\"");
}

// Before the root gets anywhere. That of a part of a gathered tree is the root of nothing; the transfer that publishes it brings the real one.
bool Session::check_signature(Transfer& transfer, const engine::TransferMessage& message) {
  if (const auto* end = std::get_if<messages::ManifestEnd>(&message)) transfer.listed = *end;
  const auto* root = std::get_if<messages::TransferRoot>(&message);
  if (root == nullptr || transfer.is_gathered) return true;
  const Status status = around_.signing.check(channel_->peer().identity.site, root->signature, signed_tree(transfer, *root));
  if (!status.ok()) give_up(transfer.handle, status.error());
  return status.ok();
}

// The transfers of a session share its lanes, so the rates of their grants count together.
void Session::guard_rate(Time now) {
  if (side_ == Side::kDialling) return;
  Rate allowed;
  uint64_t received = 0;
  for (const auto& [id, transfer] : by_id_) {
    if (transfer->role != Role::kSink) continue;
    allowed = allowed + transfer->rate_max;
    received += transfer->board->bytes_packed.get() - std::exchange(transfer->bytes_guarded, transfer->board->bytes_packed.get());
  }
  if (allowed == Rate()) return;
  const Status status = rate_guard_.take(now, allowed, Bytes(received));
  if (status.ok()) return;
  fail(status.error());
  let_go();
}

// The reason is for our log; the peer learns that it is not accepted any more.
void Session::withdraw(const Error& why) {
  log::warning("session_withdrawn", "peer=" + peer_name() + " why=\"" + why.what + '"');
  fail({Fault::kDenied, "this gateway does not accept this peer any more", "ask the operator of that site"});
  let_go();
}

// Who has a new certificate by then comes back with it; who has none is refused by the handshake, which says why.
void Session::end_with_certificate() {
  end_as_refused(crypto::certificate_error(crypto::CertificateFault::kExpired, "the certificate that " + peer_name() + " showed when this session began has ended"));
}

// What passes with time besides that certificate: those of authorities between, and revocation lists. So no session outlives by more than an
// hour what a new one would need, however long its transfers are.
bool Session::is_to_be_judged(Time now) {
  if (!has_met_peer() || now - std::max(judged_at_, greeted_at_) < kJudgedEvery) return false;
  judged_at_ = now;
  return true;
}

// All its packet keys descend from one handshake, however often they change. Either end sees to it, whatever the other one's version does.
void Session::end_for_age() {
  send_back({Fault::kPeerLost, "the session with " + peer_name() + " has stood for a day", "what runs goes on in another one, with keys of its own"});
}

void Session::end_as_refused(const Error& why) {
  send_back(side_ == Side::kDialling ? Error{Fault::kPeerLost, why.what, why.next} : why);
}

// The peer is told that it lost us, and not that it is unwanted: it dials again, and its jobs and copies go on from where they were.
void Session::send_back(const Error& why) {
  log::warning("session_withdrawn", "peer=" + peer_name() + " why=\"" + why.what + '"');
  send(messages::PeerError{std::string(row_of(Fault::kPeerLost).name), messages::Reaction::kSessionEnds, why.what, {}, {}, 0});
  fail(why);
  let_go();
}

// At once: nothing more of the peer is taken while the last words go out.
void Session::let_go() {
  for (const auto& [id, transfer] : by_id_) around_.engine.post(engine::EndTransfer{transfer->handle});
  by_id_.clear();
  by_handle_.clear();
  waiting_.clear();
  lanes_.close();
}

}  // namespace tideway::session
