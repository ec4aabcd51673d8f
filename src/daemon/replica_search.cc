// SPDX-License-Identifier: Apache-2.0
#include "daemon/replica_search.h"

#include "base/clock.h"
#include "crypto/random_bytes.h"

#include <algorithm>

namespace tideway::daemon {

ReplicaSearch::~ReplicaSearch() {
  for (Search& search : searches_)
    for (Question& question : search.questions) question.transfer->on_entry = {};
}

void ReplicaSearch::ask(const session::RemoteAddress& run, Time now, Done done) {
  Search& search = searches_.emplace_back();
  search.ends_at = now + kAnswerMax;
  search.done = std::move(done);
  for (const session::PeerConfig& peer : peers_.peers()) {
    if (run.peer != "any" && run.peer != peer.name) continue;
    session::RemoteAddress there = run;
    there.peer = peer.name;
    ask_peer(search, there, now);
  }
}

void ReplicaSearch::ask_peer(Search& search, const session::RemoteAddress& run, Time now) {
  auto session = peers_.take(run.peer, {PeerSessions::Sharing::kShared, job::Class::kRestore, session::Manners::kInsists}, now);
  if (!session.ok()) {
    search.result.trouble = session.error();
    return;
  }
  Question& question = search.questions.emplace_back(Question{session.value(), nullptr, session::ReplicaList(session::to_display(run)), {}, false});
  messages::OpenTransfer open;
  crypto::random_bytes(open.transfer);
  open.direction = messages::Direction::kList;
  open.transfer_class = "restore";
  open.root = run.root;
  open.name = run.name;
  open.depth = session::kReplicaDepth;
  engine::StartSink start;
  start.content = engine::StartSource::Content::kManifestOnly;
  start.limits.entries_max = session::kReplicaEntriesMax;
  question.transfer = session.value()->pull(std::move(start), std::move(open));
  question.transfer->on_entry = [&question](const ManifestEntry& entry) {
    if (question.cut) return;
    if (Status status = question.list.add(entry); !status.ok()) question.cut = status.error();
  };
}

void ReplicaSearch::end(Search& search, Question& question, Time now) {
  question.is_through = true;
  question.transfer->on_entry = {};
  const auto& outcome = question.transfer->outcome;
  if (question.cut) {
    search.result.trouble = *question.cut;
  } else if (outcome && outcome->ok()) {
    const session::KnownPath path = question.session->expected_path(read_calendar());
    std::vector<session::Replica> found = question.list.replicas();
    for (session::Replica& replica : found) {
      replica.far = session::expected(path.rate, path.rtt);
      search.result.replicas.push_back(std::move(replica));
    }
  } else if (outcome) {
    search.result.trouble = outcome->error();
  } else {
    const Error silent{Fault::kPeerUnreachable, "a peer did not answer within 10 s which checkpoints it has", "look at tideway peers"};
    search.result.trouble = question.session->is_over() ? question.session->error() : silent;
  }
  if (!outcome && !question.session->is_over()) question.session->cancel(*question.transfer, *search.result.trouble);  // it may list without end
  peers_.give_back(question.session, now);
}

void ReplicaSearch::turn(Time now) {
  for (auto search = searches_.begin(); search != searches_.end();) {
    bool is_through = true;
    for (Question& question : search->questions) {
      if (question.is_through) continue;
      if (question.cut || question.transfer->outcome || question.session->is_over() || now >= search->ends_at) end(*search, question, now);
      else is_through = false;
    }
    if (!is_through) {
      ++search;
      continue;
    }
    Search ended = std::move(*search);
    search = searches_.erase(search);
    ended.done(std::move(ended.result));
  }
}

Time ReplicaSearch::next_deadline() const {
  Time next = kNever;
  for (const Search& search : searches_) next = std::min(next, search.questions.empty() ? Time{} : search.ends_at);
  return next;
}

}  // namespace tideway::daemon
