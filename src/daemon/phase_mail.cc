// SPDX-License-Identifier: Apache-2.0
#include "daemon/phase_mail.h"

#include <algorithm>
#include <utility>

namespace tideway::daemon {

std::string_view name_of(PhaseTrouble trouble) {
  static constexpr std::string_view kNames[kPhaseTroubles] = {"stale", "lost", "late", "wrong", "forged", "held"};
  return kNames[static_cast<size_t>(trouble)];
}

std::string_view answer_to(PhaseTrouble trouble) {
  static constexpr std::string_view kAnswers[kPhaseTroubles] = {
      "the gate opened by the burst's time to live", "the gate goes by announcements and back-offs alone", "the word was taken for what it still says",
      "the gate opened after the guard", "nothing was taken from it", "it stays closed until their bursts are ended or run out"};
  return kAnswers[static_cast<size_t>(trouble)];
}

void PhaseMail::hear(const Heard& heard) {
  const std::lock_guard lock(mutex_);
  if (heard_.size() < kWaitingMax) heard_.push_back(heard);
}

std::vector<PhaseMail::Heard> PhaseMail::take_heard() {
  const std::lock_guard lock(mutex_);
  return std::exchange(heard_, {});
}

void PhaseMail::tell(ToTell notice) {
  const std::lock_guard lock(mutex_);
  if (to_tell_.size() == kWaitingMax) return;
  to_tell_.push_back(std::move(notice));
  bell_.ring();
}

std::vector<PhaseMail::ToTell> PhaseMail::take_to_tell(Time now) {
  std::vector<ToTell> taken;
  {
    const std::lock_guard lock(mutex_);
    bell_.clear();
    taken.swap(to_tell_);
  }
  std::erase_if(taken, [now](const ToTell& one) { return now - one.at > kNoticeAgeMax; });
  for (ToTell& one : taken) one.notice.age_us = static_cast<uint32_t>(std::max(now - one.at, Duration::zero()) / std::chrono::microseconds(1));
  return taken;
}

bool PhaseMail::raise(Time now, const PhaseAlarm& alarm) {
  const std::lock_guard lock(mutex_);
  ++counts_[static_cast<size_t>(alarm.trouble)];
  std::erase_if(raised_, [now](const auto& one) { return now - one.second >= kAgain; });
  if (raised_.size() >= kWaitingMax || !raised_.try_emplace({alarm.trouble, alarm.subject}, now).second) return false;
  if (alarms_.size() < kWaitingMax) alarms_.push_back(alarm);
  bell_.ring();
  return true;
}

std::vector<PhaseAlarm> PhaseMail::take_alarms() {
  const std::lock_guard lock(mutex_);
  return std::exchange(alarms_, {});
}

void PhaseMail::tell_budget(BudgetNews news) {
  const std::lock_guard lock(mutex_);
  if (budget_news_.size() < kWaitingMax) budget_news_.push_back(std::move(news));
  bell_.ring();
}

std::vector<BudgetNews> PhaseMail::take_budget_news() {
  const std::lock_guard lock(mutex_);
  return std::exchange(budget_news_, {});
}

uint64_t PhaseMail::count(PhaseTrouble trouble) const {
  const std::lock_guard lock(mutex_);
  return counts_[static_cast<size_t>(trouble)];
}

}  // namespace tideway::daemon
