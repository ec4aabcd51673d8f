// SPDX-License-Identifier: Apache-2.0
//
// An IoQueue on io_uring. One ring per io worker; the first submit ties it to that thread. Nothing is registered with
// the kernel: pages are pinned per request, which costs little at 4 MiB, and RLIMIT_MEMLOCK does not matter.
// Thread: one io worker, which may be another one than the maker's.
#pragma once
#include "storage/io_queue.h"
#include <tideway/result.h>

namespace tideway::storage {

class UringQueue final : public IoQueue {
 public:
  // Errors: unsupported, with the reason, when this kernel or sandbox has no io_uring for us.
  static Result<std::unique_ptr<IoQueue>> create();
  ~UringQueue() override;  // waits for what is at work: the kernel still writes into its memory
  std::string_view name() const override { return "io_uring"; }
  size_t room() const override;
  void submit(const IoRequest& request) override;
  size_t poll(uint32_t owner, std::span<IoDone> out) override;
  void drain(uint32_t owner) override;
  int wait_fd() const override;

 private:
  struct Ring;  // keeps liburing's header out of ours
  struct Slot {
    IoRequest request;
    size_t transferred = 0;
    bool is_used = false;
  };
  explicit UringQueue(std::unique_ptr<Ring> ring);
  void prepare(uint32_t index);
  void hand_over();
  void reap();
  void on_result(uint32_t index, int result);
  bool has_work_of(uint32_t owner) const;

  std::unique_ptr<Ring> ring_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  AnswerShelf shelf_;
};

}  // namespace tideway::storage
