// SPDX-License-Identifier: Apache-2.0
//
// Why something waits, in words. A code that is not here is shown as it is.

const kReasons = {
  guard: "a burst of training is expected",
  probe: "feels whether the link is free again",
  reactive: "somebody else uses the link",
  timetable: "the timetable keeps it shut",
  planned_later: "planned for later",
  lower_class: "others go before it",
  budget: "training has been held up too much",
  holdout: "a trial without bulk, to measure training",
  gate_starved: "training leaves no room at the moment",
  unknown_foreground: "somebody uses the link, and no training says that it is it",
  receiver_disk: "the receiver's disk",
  receiver_cpu: "the receiver's processor",
  source_slow: "the source reads or compresses slowly",
  rate_limit: "a rate limit",
  peer_lost: "the peer is lost",
  peer_unreachable: "the peer is not reachable",
  lease_lost: "another gateway has this job",
  plan_expired: "nobody said lately what may be sent",
  policy_denied: "no rule allows it",
  paused_by_operator: "an operator paused it",
  verifying: "hashes are compared",
  every: "its next run is not due yet",
  dest_full: "the destination is full",
  dest_busy: "the destination is in use",
  overloaded: "the peer has too much to do",
};

export function inWords(reason) {
  if (!reason) return "";
  if (reason.startsWith("gate:")) return `training ${reason.slice(5)} is sending`;
  if (reason === "training") return "training is sending";
  return kReasons[reason] ?? reason;
}
