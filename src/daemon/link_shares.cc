// SPDX-License-Identifier: Apache-2.0
#include "daemon/link_shares.h"

#include "schedule/registry.h"

#include <tideway/check.h>

#include <algorithm>
#include <set>

namespace tideway::daemon {
namespace {

constexpr double kUsesIt = 1.0 / 3;   // of what it had while its gate was open; less, because that is known as an average of some seconds
constexpr double kOpenLeast = 0.02;   // a gate that is open for less says nothing of those behind it
constexpr double kUsesLimit = 0.8;    // a limit counts headers, and what was sent does not
constexpr double kGrowth = 4;
constexpr double kNeedMin = 0.05;     // of the capacity, so that who was idle can show that he wants more
constexpr double kBesideMin = 0.02;   // of the capacity, for what is beside a restore that takes all of it
constexpr double kShareMin = 0.002;   // of what is dealt out, for each whoever else is there: what passes a closed gate, too
constexpr double kScant = 0.02;       // of the capacity: who has less, and could use more, is told why

std::unique_ptr<SchedulePolicy> make_policy(const std::string& name) {
  auto entry = schedule::find_policy(name);
  TIDEWAY_CHECK(entry.ok());
  return entry.value().make();
}

Rate need_of(const Sender& sender, Rate capacity) {
  const Rate sent = sender.sent * (1 / std::max(sender.open_share, kOpenLeast));
  if (sender.given.is_unlimited() || sent >= std::min(sender.given, capacity) * kUsesIt) return Rate::unlimited();
  return std::max(sent * kGrowth, capacity * kNeedMin);
}

Rate less(Rate from, Rate what) { return from > what ? Rate::bytes_per_second(from.bytes_per_second() - what.bytes_per_second()) : Rate(); }

}  // namespace

LinkShares::LinkShares(ShareRules rules) : rules_(std::move(rules)), policy_(make_policy(rules_.policy)) {}

void LinkShares::take_up(ShareRules rules) {
  rules_ = std::move(rules);
  policy_ = make_policy(rules_.policy);
  for (auto& [peer, said] : said_) said.for_good.reset();
}

const LinkRule* LinkShares::link_to(std::string_view peer) const {
  const auto found = std::ranges::find(rules_.links, peer, &LinkRule::peer);
  return found == rules_.links.end() ? nullptr : &*found;
}

void LinkShares::set_ceiling(std::string peer, const Ceiling& ceiling) {
  Said& said = said_[std::move(peer)];
  if (ceiling.until == job::WallTime::max()) said = {ceiling.rate, std::nullopt};
  else said.for_a_time = ceiling;
}

LinkShares::Ceiling LinkShares::ceiling_of(std::string_view peer, job::WallTime wall) const {
  if (const auto said = said_.find(peer); said != said_.end()) {
    if (said->second.for_a_time && wall < said->second.for_a_time->until) return *said->second.for_a_time;
    if (said->second.for_good) return {*said->second.for_good};
  }
  const LinkRule* link = link_to(peer);
  return {link == nullptr ? Rate::unlimited() : link->ceiling};
}

Rate LinkShares::cap_of(std::string_view peer, job::WallTime wall) const {
  const Rate ceiling = ceiling_of(peer, wall).rate;
  const LinkRule* link = link_to(peer);
  return link == nullptr ? ceiling : std::min(ceiling, link->timetable.at(std::chrono::floor<std::chrono::seconds>(wall), link->zone).up);
}

Rate LinkShares::class_limit(const Sender& sender, std::span<const Sender> senders) const {
  const Rate limit = rules_.class_rates[static_cast<size_t>(sender.service)];
  if (limit.is_unlimited()) return limit;
  return limit * (1.0 / static_cast<double>(std::ranges::count(senders, sender.service, &Sender::service)));
}

HoldReason LinkShares::held_to(const Sender& sender, std::span<const Sender> senders, Rate gateway, job::WallTime wall) const {
  Rate all, here;
  for (const Sender& one : senders) {
    all = all + one.sent;
    if (one.peer == sender.peer) here = here + one.sent;
  }
  const auto is_used = [](Rate limit, Rate sent) { return !limit.is_unlimited() && sent >= limit * kUsesLimit; };
  if (is_used(std::min(sender.most, class_limit(sender, senders)), sender.sent) || is_used(gateway, all)) return HoldReason::kRateLimit;
  return is_used(cap_of(sender.peer, wall), here) ? HoldReason::kTimetable : HoldReason::kNone;
}

std::vector<Share> LinkShares::deal(std::span<const Sender> senders, Time now, job::WallTime wall) const {
  std::vector<Share> shares;
  for (const Sender& sender : senders) shares.push_back({std::min(sender.most, class_limit(sender, senders))});
  std::set<std::string_view> peers;
  for (const Sender& sender : senders) peers.insert(sender.peer);
  for (const std::string_view peer : peers) {
    const LinkRule* rule = link_to(peer);
    const Rate cap = cap_of(peer, wall), capacity = std::min(rule == nullptr ? cap : rule->capacity, cap);
    if (!capacity.is_unlimited()) deal_link({peer, capacity, cap}, senders, now, shares);
  }
  return shares;
}

// As the policy has it, but that nobody has less than kShareMin; the others make room for that.
Plan LinkShares::plan_with_least(LinkView link, std::span<const JobView> jobs, Time now) const {
  const Rate least = link.leftover * kShareMin;
  Plan plan = policy_->plan({now, jobs, std::span(&link, 1)});
  const auto is_short = [least](const Allowance& one) { return one.mode != Mode::kFair && one.rate < least * 2; };
  const auto count = std::ranges::count_if(plan.allowances, is_short);
  if (count == 0) return plan;
  link.leftover = less(link.leftover, least * static_cast<double>(count));
  plan = policy_->plan({now, jobs, std::span(&link, 1)});
  for (size_t i = 0; i < jobs.size(); ++i)
    if (jobs[i].mode != Mode::kFair) plan.allowances[i].rate = std::max(plan.allowances[i].rate, std::min(least, jobs[i].rate_max));
  return plan;
}

void LinkShares::deal_link(const Link& link, std::span<const Sender> senders, Time now, std::span<Share> shares) const {
  std::vector<size_t> here;
  std::vector<JobView> jobs;
  Rate beside;  // taken by those who stand outside the fill
  for (size_t i = 0; i < senders.size(); ++i) {
    const Sender& sender = senders[i];
    if (sender.peer != link.peer) continue;
    JobView job{.id = PlannedJobId(sender.number), .link = LinkId(0), .job_class = class_of(sender.service)};
    job.mode = is_gated(sender.service) ? sender.mode : Mode::kFair;
    job.deadline = sender.due;
    job.left = sender.left;
    job.weight = static_cast<double>(sender.weight * rules_.class_weights[static_cast<size_t>(sender.service)]);
    job.rate_max = std::min(shares[i].rate, need_of(sender, link.capacity));
    if (job.mode == Mode::kFair) beside = beside + sender.sent;
    here.push_back(i);
    jobs.push_back(job);
  }
  if (here.empty()) return;
  const auto fair = static_cast<double>(std::ranges::count(jobs, Mode::kFair, &JobView::mode)), others = static_cast<double>(jobs.size()) - fair;
  const Rate left = std::max(less(link.capacity, beside), link.capacity * kBesideMin);
  const Plan plan = plan_with_least({.id = LinkId(0), .capacity = link.capacity, .leftover = left, .cap = link.capacity}, jobs, now);
  Rate planned;
  for (size_t i = 0; i < jobs.size(); ++i)
    if (jobs[i].mode != Mode::kFair) planned = planned + plan.allowances[i].rate;
  const bool is_limit = link.capacity == link.cap;
  const Rate whole = is_limit && fair > 0 ? link.capacity * (1 / fair) : link.capacity;
  const Rate spare = less(left, planned) * (is_limit && others > 0 ? 1 / others : 1);
  for (size_t i = 0; i < here.size(); ++i) {
    Share& share = shares[here[i]];
    const Rate given = jobs[i].mode == Mode::kFair ? whole : plan.allowances[i].rate + spare;
    if (given < std::min(jobs[i].rate_max, link.capacity * kScant))
      share.reason = plan.allowances[i].reason == HoldReason::kNone ? HoldReason::kLowerClass : plan.allowances[i].reason;
    share.rate = std::min(share.rate, given);
  }
}

}  // namespace tideway::daemon
