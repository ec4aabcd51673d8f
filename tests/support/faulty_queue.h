// SPDX-License-Identifier: Apache-2.0
//
// An IoQueue over another one that writes down what it is asked, and answers what a test picks with an error.
#pragma once
#include "storage/io_queue.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <functional>

namespace tideway {

// Whether it goes past the page cache.
inline bool is_direct(const storage::IoRequest& request) { return (::fcntl(request.fd, F_GETFL) & O_DIRECT) != 0; }

class FaultyQueue final : public storage::IoQueue {
 public:
  explicit FaultyQueue(std::unique_ptr<storage::IoQueue> inner) : inner_(std::move(inner)) {}
  std::vector<storage::IoOp> asked;
  int error = EIO;
  std::function<bool(const storage::IoRequest&)> fails = [](const storage::IoRequest&) { return false; };

  std::string_view name() const override { return inner_->name(); }
  size_t room() const override { return inner_->room() - std::min(inner_->room(), failed_.size()); }
  void submit(const storage::IoRequest& request) override {
    asked.push_back(request.op);
    if (fails(request)) failed_.put({request.owner, request.user, error, 0});
    else inner_->submit(request);
  }
  size_t poll(uint32_t owner, std::span<storage::IoDone> out) override {
    const size_t failed = failed_.take(owner, out);
    return failed + inner_->poll(owner, out.subspan(failed));
  }
  void drain(uint32_t owner) override {
    failed_.drop(owner);
    inner_->drain(owner);
  }

 private:
  std::unique_ptr<storage::IoQueue> inner_;
  storage::AnswerShelf failed_;
};

}  // namespace tideway
