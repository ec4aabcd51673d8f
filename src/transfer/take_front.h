// SPDX-License-Identifier: Apache-2.0
//
// What a queue has first, out of it; nothing when it is empty.
// Thread: the queue's. Pure.
#pragma once
#include <deque>
#include <optional>
#include <utility>

namespace tideway::transfer {

template <typename T>
std::optional<T> take_front(std::deque<T>& queue) {
  if (queue.empty()) return std::nullopt;
  std::optional<T> front(std::move(queue.front()));
  queue.pop_front();
  return front;
}

}  // namespace tideway::transfer
