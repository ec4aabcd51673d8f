// SPDX-License-Identifier: Apache-2.0
//
// The sessions that the jobs of this gateway use: per peer one for each class, which its jobs share and which stays up for a while
// after the last of them, so that the next one needs no handshake; and one of its own for a job that must keep to a rate or has a
// weight of its own, because what shares lanes shares their rate.
// Thread: control.
#pragma once
#include "job/spec.h"
#include "session/gateway.h"

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tideway::daemon {

class PeerSessions {
 public:
  static constexpr Duration kWarmTime = std::chrono::minutes(10);
  static constexpr Duration kFarewellTime = std::chrono::seconds(1);
  // Older ones take no more jobs, so that new keys come, and what has changed of certificates and grants is looked at; jobs under way stay.
  static constexpr Duration kAgeMax = std::chrono::hours(1);
  // A peer takes eight of one identity; one is left for a copy that somebody makes by hand.
  static constexpr size_t kPerPeerMax = 7;
  static constexpr size_t kOwnMax = kPerPeerMax - 4;  // the others are for the classes
  static constexpr Duration kProbeTime = std::chrono::seconds(30);  // longer than a handshake and a lane may take to open, or not to

  PeerSessions(session::Gateway& gateway, std::vector<session::PeerConfig> peers) : gateway_(gateway), peers_(std::move(peers)) {}
  ~PeerSessions();

  const std::vector<session::PeerConfig>& peers() const { return peers_; }
  const session::PeerConfig* named(std::string_view peer) const;
  void set_peers(std::vector<session::PeerConfig> peers) { peers_ = std::move(peers); }

  enum class Sharing : uint8_t { kShared, kOwn };
  struct Use {
    Sharing sharing = Sharing::kShared;
    job::Class service = job::Class::kBestEffort;
    session::Manners manners = session::Manners::kYields;
  };
  bool has_room(const std::string& peer, Sharing sharing) const;
  // Errors: usage (no such peer any more), overloaded (kOwnMax), peer_unreachable.
  Result<session::Session*> take(const std::string& peer, const Use& use, Time now);
  void give_back(session::Session* session, Time now);
  // A job's session with that peer ended with `why`. True: another carrier is taken for the next one, where the job goes on at once.
  bool changes_carrier(const std::string& peer, const session::Session& session, const Error& why, Time now);
  // Whether TLS carries more than UDP did, of a session that is on trial; if not, it ends and UDP is taken up again.
  void judge(const std::string& peer, session::Session& session);
  bool is_on_trial(const std::string& peer) { return carrier(peer).is_trial(); }
  // Where jobs run over TLS: tries by a session beside theirs, when it is time to, whether UDP comes through again.
  void look_for_udp(Time now);
  // Whether that is so, and this session still goes over TLS.
  bool has_better_carrier(const std::string& peer, const session::Session& session);
  // Whether it takes no more jobs: it is old, or another carrier is better.
  bool is_stale(const session::Session& session, Time now);
  // Closes what is over or has been idle for long; nobody may use what is over after that.
  void tidy(Time now);
  Time next_deadline() const;
  // Whether a session with that peer is up; for people.
  bool is_up(std::string_view peer) const;
  size_t count(std::string_view peer) const;

 private:
  struct Entry {
    std::string peer;
    Use use;
    session::Session* session = nullptr;
    size_t users = 0;
    Time ends_at = kNever;  // of one that nobody uses: when it says goodbye, and then when it is closed
    bool has_parted = false;
    Time begun{};
  };
  struct Probe {
    session::Session* session;
    Use use;  // what it is for once it is up
    Time ends_at;
  };
  using Entries = std::deque<Entry>;
  bool is_stale(const Entry& entry, Time now) { return has_better_carrier(entry.peer, *entry.session) || now >= entry.begun + kAgeMax; }
  Entry* find_shared(const std::string& peer, const Use& use, Time begun_after);
  session::CarrierChoice& carrier(const std::string& peer);
  Entries::const_iterator used_over_tls(std::string_view peer) const;
  void begin_probe(const std::string& peer, session::CarrierChoice& choice, Time now);
  bool end_probe(const std::string& peer, const Probe& probe, Time now);  // false: it goes on
  session::Gateway& gateway_;
  std::vector<session::PeerConfig> peers_;
  std::map<std::string, session::CarrierChoice, std::less<>> carriers_;  // by peer
  Entries entries_;
  std::map<std::string, Probe, std::less<>> probes_;  // by peer
};

}  // namespace tideway::daemon
