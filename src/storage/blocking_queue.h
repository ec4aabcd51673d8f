// SPDX-License-Identifier: Apache-2.0
//
// An IoQueue that does each call inside submit, for hosts where io_uring is missing or forbidden. More io workers make
// up for the waiting.
// Thread: one io worker.
#pragma once
#include "storage/io_queue.h"

namespace tideway::storage {

class BlockingQueue final : public IoQueue {
 public:
  std::string_view name() const override { return "threads"; }
  size_t room() const override { return kIoQueueDepth - shelf_.size(); }
  void submit(const IoRequest& request) override;
  size_t poll(uint32_t owner, std::span<IoDone> out) override { return shelf_.take(owner, out); }
  void drain(uint32_t owner) override { shelf_.drop(owner); }

 private:
  AnswerShelf shelf_;
};

// Does one request now. Also for what is too small to be worth a queue.
IoDone perform(const IoRequest& request);

}  // namespace tideway::storage
