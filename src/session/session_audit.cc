// SPDX-License-Identifier: Apache-2.0
//
// What a session leaves in the audit log: who came, what was decided and by which rule, how it ended. Of sessions that
// this side dialled nothing: they are its user's own doing, whose jobs the daemon tells of.
#include "session/session.h"

#include "crypto/sha256.h"

namespace tideway::session {

void Session::audit_session(std::string_view event, const Error* why) const {
  if (side_ == Side::kDialling || !around_.audit) return;
  AuditEvent line(event);
  line.with("peer", peer_name()).with("from", to_string(channel_->remote_endpoint()));
  if (why == nullptr) line.with("certificate", crypto::to_sha256_text(channel_->peer().fingerprint));
  else line.with("code", why->name()).with("why", why->what);
  around_.audit(std::move(line));
}

void Session::audit_decision(const Decision& decision, const messages::OpenTransfer& request, const ObjectName& name, GrantOp op) const {
  if (!around_.audit) return;
  const bool may_change = decision.is_allowed() && op != GrantOp::kRead && op != GrantOp::kList;  // before the change itself is told of
  AuditEvent line(decision.is_allowed() ? "grant_allowed" : "grant_denied", may_change ? AuditEvent::Care::kSynced : AuditEvent::Care::kWritten);
  line.with("peer", peer_name()).with("op", to_string(op)).with("root", request.root).with("path", name);
  line.with("rule", decision.rule()).with("transfer", crypto::to_hex(request.transfer));
  around_.audit(std::move(line));
}

void Session::audit_roots(const TransferId& id, size_t roots) const {
  if (!around_.audit) return;
  AuditEvent line("roots_told");
  around_.audit(std::move(line.with("peer", peer_name()).with("roots", roots).with("transfer", crypto::to_hex(id))));
}

void Session::audit_transfer(std::string_view event, const Transfer& transfer) const {
  if (side_ == Side::kDialling || !around_.audit || !transfer.outcome) return;
  around_.audit(about(event, transfer, AuditEvent::Care::kWritten));
}

// What cannot be undone. Gives what is gone as soon as it may be spoken of.
std::weak_ptr<const void> Session::audit_change(std::string_view event, const Transfer& transfer) const {
  if (side_ == Side::kDialling || !around_.audit) return {};
  const auto until_told = std::make_shared<const char>();
  AuditEvent line = about(event, transfer, AuditEvent::Care::kSynced);
  around_.audit(std::move(line.keeping(until_told)));
  return until_told;
}

AuditEvent Session::about(std::string_view event, const Transfer& transfer, AuditEvent::Care care) const {
  AuditEvent line(event, care);
  const GrantOp op = may_replace(transfer.request) ? GrantOp::kOverwrite : op_of(transfer.request);
  line.with("peer", peer_name()).with("op", to_string(op)).with("root", transfer.request.root);
  line.with("path", transfer.request.name).with("transfer", crypto::to_hex(transfer.id));
  if (transfer.outcome->ok()) {
    const engine::TransferDone::Outcome& outcome = transfer.outcome->value();
    line.with("entries", outcome.entries).with("bytes", outcome.bytes.count()).with("hash", "sha256:" + crypto::to_hex(outcome.root));
  } else {
    line.with("code", transfer.outcome->error().name()).with("why", transfer.outcome->error().what);
  }
  return line;
}

}  // namespace tideway::session
