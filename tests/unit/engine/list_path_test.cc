// SPDX-License-Identifier: Apache-2.0
//
// A transfer that only lists: what a peer names passes through, and a peer that names much is held up instead of kept.
#include "engine/receive_path.h"
#include "storage/blocking_queue.h"

#include <gtest/gtest.h>

namespace tideway::engine {
namespace {

constexpr TransferId kListId{std::byte{5}};

class ListPathTest : public testing::Test {
 protected:
  ReceivePath& begin(uint64_t entries_max) {
    rings_.io_bell = rings_.control_bell = bell_.get();
    rings_.net_bells = rings_.cpu_bells = {bell_.get()};
    StartSink start;
    start.transfer = TransferHandle(1);
    start.id = start.staging = kListId;
    start.board = std::make_shared<TransferBoard>();
    start.content = StartSource::Content::kManifestOnly;
    start.limits.entries_max = entries_max;
    path_ = std::make_unique<ReceivePath>(std::move(start), ReceivePath::Around{queue_, rings_, leaf_buffers_, staging_book_, io_board_, 32_MiB});
    return *path_;
  }
  ReceivePath::Digested say_page(uint32_t number) {
    messages::ManifestPage page;
    page.transfer = kListId;
    page.page = number;
    page.entries.resize(messages::kEntriesPerPageMax);
    return path_->on_peer_message(TransferMessage(std::move(page)), events_);
  }
  // A turn of the control thread.
  void listen() {
    path_->poll(now_ += std::chrono::seconds(1), events_);
    while (auto event = rings_.io_control.events.pop()) {
      entries_ += std::holds_alternative<EntryListed>(*event) ? 1 : 0;
      digested_ += std::holds_alternative<PeerMessageTaken>(*event) ? 1 : 0;
      EXPECT_LE(digested_ * messages::kEntriesPerPageMax, entries_);
      if (auto* done = std::get_if<TransferDone>(&*event)) outcome_ = std::move(done->outcome);
    }
  }

  std::unique_ptr<Doorbell> bell_ = Doorbell::create().value();
  Rings rings_{1, 1, 8};
  EventOutlet events_{rings_};
  storage::BlockingQueue queue_;
  LeafBuffers leaf_buffers_;
  StagingBook staging_book_;
  IoBoard io_board_;
  std::unique_ptr<ReceivePath> path_;
  Time now_{};
  size_t entries_ = 0, digested_ = 0;
  std::optional<Result<TransferDone::Outcome>> outcome_;
};

TEST_F(ListPathTest, APageIsDigestedOnceAllOfItWasTold) {
  constexpr uint32_t kPages = 2 * kEventsMax / messages::kEntriesPerPageMax;
  begin(transfer::kEntriesMaxDefault);
  for (uint32_t page = 0; page < kPages; ++page) EXPECT_EQ(say_page(page), ReceivePath::Digested::kOnceTold);
  listen();
  EXPECT_LT(digested_, kPages) << "there is no room to tell all of them at once";
  for (int turns = 0; turns < 5; ++turns) listen();
  EXPECT_EQ(entries_, kPages * messages::kEntriesPerPageMax);
  EXPECT_EQ(digested_, kPages);
  EXPECT_FALSE(outcome_) << "it goes on";
}

TEST_F(ListPathTest, X08MoreThanMayBeListedEndsIt) {
  begin(messages::kEntriesPerPageMax + 1);
  EXPECT_EQ(say_page(0), ReceivePath::Digested::kOnceTold);
  EXPECT_EQ(say_page(1), ReceivePath::Digested::kNow);
  listen();
  ASSERT_TRUE(outcome_ && !outcome_->ok());
  EXPECT_EQ(outcome_->error().fault, Fault::kLimitExceeded);
  EXPECT_EQ(entries_, messages::kEntriesPerPageMax) << "of the page that goes beyond nothing is told";
}

}  // namespace
}  // namespace tideway::engine
