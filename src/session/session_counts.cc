// SPDX-License-Identifier: Apache-2.0
#include "session/session_counts.h"

#include <algorithm>

namespace tideway::session {
namespace {

constexpr std::array<std::string_view, kAccounts> kAccountNames{"other", "restore", "checkpoint", "staging", "best-effort"};

}  // namespace

Account account_of(std::string_view transfer_class) {
  const auto found = std::ranges::find(kAccountNames, transfer_class);
  return found == kAccountNames.end() ? Account::kOther : static_cast<Account>(found - kAccountNames.begin());
}

std::string_view to_string(Account account) { return kAccountNames[static_cast<size_t>(account)]; }

}  // namespace tideway::session
