// SPDX-License-Identifier: Apache-2.0
#include "http/exchange.h"

#include <utility>

namespace tideway::http {

void Exchange::answer(Response response) {
  if (response_ || is_stream_ || is_gone_) return;
  response_ = std::move(response);
  wake_();
}

void Exchange::begin_stream() {
  if (response_ || is_gone_) return;
  is_stream_ = true;
  wake_();
}

void Exchange::say(std::string_view text) {
  if (!is_stream_ || has_ended_ || is_gone_) return;
  if (waiting_.size() + text.size() > kStreamWaitingMax) return end();
  waiting_ += text;
  wake_();
}

void Exchange::end() {
  has_ended_ = true;
  if (!is_gone_) wake_();
}

}  // namespace tideway::http
