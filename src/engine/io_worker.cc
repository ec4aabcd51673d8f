// SPDX-License-Identifier: Apache-2.0
#include "engine/io_worker.h"

#include "base/log.h"
#include "checkpoint/tracker.h"
#include "engine/durable_log.h"
#include "storage/file_source.h"
#include "storage/published.h"

#include <algorithm>

namespace tideway::engine {
namespace {

constexpr Duration kNapAtWork = std::chrono::microseconds(100);  // an answer of the disk takes about as long
constexpr Duration kNapIdle = std::chrono::milliseconds(10);     // tells delivered blocks at least this often
constexpr Duration kNapAsleep = std::chrono::seconds(1);
constexpr size_t kBuffersPerTransferMin = 2;

template <typename Paths>
auto* find_in(Paths& paths, TransferHandle transfer) {
  const auto found = paths.find(transfer);
  return found == paths.end() ? nullptr : found->second.get();
}

}  // namespace

IoWorker::IoWorker(const Layout& layout, std::unique_ptr<storage::IoQueue> queue, Rings& rings, BufferPool& pool)
    : layout_(layout), queue_(std::move(queue)), rings_(rings), pool_(pool), events_(rings) {}

bool IoWorker::poll(Time now) {
  now_ = now;
  bool worked = obey();
  worked |= take_blocks();
  const size_t share = std::max<size_t>(kBuffersPerTransferMin, layout_.buffers_sending / std::max<size_t>(1, sending_.size()));
  size_t out = 0;
  for (const auto& [handle, path] : sending_) out += path->buffers_out();
  for (auto& [handle, path] : sending_) {
    // Many transfers at two buffers each may be more than all: then they wait for each other.
    const size_t own = path->buffers_out(), left = layout_.buffers_sending - std::min<size_t>(layout_.buffers_sending, out);
    worked |= path->poll(std::min(share, own + left), events_);
    out += path->buffers_out() - std::min(own, path->buffers_out());
  }
  Bytes undurable, unverified;
  for (auto& [handle, path] : receiving_) {
    worked |= path->poll(now, events_);
    undurable += path->undurable();
    unverified += path->unverified();
  }
  for (auto& [handle, path] : gathering_) {
    worked |= path->poll(now, events_);
    undurable += path->undurable();
  }
  board_.bytes_undurable.set(undurable.count());
  board_.bytes_unverified.set(unverified.count());
  return worked;
}

Duration IoWorker::nap() const {
  const auto is_reading = [](const auto& entry) { return entry.second->has_reads(); };
  const auto is_writing = [](const auto& entry) { return entry.second->has_writes(); };
  if (std::any_of(sending_.begin(), sending_.end(), is_reading) || std::any_of(receiving_.begin(), receiving_.end(), is_writing) ||
      std::any_of(gathering_.begin(), gathering_.end(), is_writing))
    return kNapAtWork;
  return sending_.empty() && receiving_.empty() && gathering_.empty() ? kNapAsleep : kNapIdle;
}

bool IoWorker::has_commands() const {
  if (!rings_.io_control.commands.is_empty()) return true;
  const auto has_blocks = [](const auto& cpu) { return !cpu->packed.is_empty() || !cpu->unpacked.is_empty(); };
  const auto has_notices = [](const auto& net) { return !net->notices.is_empty(); };
  return std::any_of(rings_.io_cpu.begin(), rings_.io_cpu.end(), has_blocks) ||
         std::any_of(rings_.io_net.begin(), rings_.io_net.end(), has_notices);
}

// ---- commands ------------------------------------------------------------------------------------------------------

bool IoWorker::obey() {
  bool worked = false;
  while (events_.has_room_for_command()) {
    auto command = rings_.io_control.commands.pop();
    if (!command) break;
    std::visit([&](auto&& c) { obey(std::move(c)); }, std::move(*command));
    worked = true;
  }
  return worked;
}

void IoWorker::obey(StartSource&& start) {
  const TransferHandle handle = start.transfer;
  std::vector<Descriptor> holds;
  for (storage::ScanSource& source : start.scan.sources) {
    storage::stay_in_tree(source);
    if (start.content == StartSource::Content::kManifestOnly) break;
    auto hold = storage::hold_published(*source.root, source.name);
    if (!hold.ok()) return events_.emit(TransferDone{handle, std::move(hold).error()});
    if (hold.value().is_open()) holds.push_back(std::move(hold).value());
  }
  std::optional<PublishedEntries> published;
  if (start.scan.sources.size() == 1 && holds.size() == 1) published = PublishedEntries::of(*start.scan.sources.front().root, start.scan.sources.front().name);
  auto store = std::make_unique<storage::FileSource>(std::move(start.scan), *queue_);
  sending_[handle] = std::make_unique<SendPath>(std::move(start), SendPath::Reads{std::move(store), std::move(holds), std::move(published)}, rings_, pool_);
}

GatherPath* IoWorker::gather_of(TransferHandle transfer) {
  const auto found = std::ranges::find_if(gathering_, [&](const auto& one) { return one.second->has(transfer); });
  return found == gathering_.end() ? nullptr : found->second.get();
}

void IoWorker::obey(EndGather&& end) {
  const auto ended = gathering_.extract(end.gather);
  if (!ended.empty()) ended.mapped()->end(now_);
}

void IoWorker::obey(StartSink&& start) {
  const TransferHandle handle = start.transfer;
  if (start.gather) {
    auto& path = gathering_[start.gather->gather];
    if (path == nullptr) path = std::make_unique<GatherPath>(GatherPath::Around{*queue_, rings_, board_, Bytes(kBufferSize) * layout_.buffers_receiving});
    return path->join(std::move(start), events_);
  }
  const ReceivePath::Around around{*queue_, rings_, leaf_buffers_, staging_book_, board_, Bytes(kBufferSize) * layout_.buffers_receiving};
  receiving_[handle] = std::make_unique<ReceivePath>(std::move(start), around);
}

void IoWorker::obey(SourceAccepted&& accepted) {
  if (SendPath* path = find_in(sending_, accepted.transfer)) path->on_accepted(accepted);
}

// Each transfer bounds what its source names ahead of its data; a peer may have many, whoever asked for them. It is told before the page is taken, so
// that what the page brings never counts.
Status IoWorker::check_room_for(const ReceivePath& path, const TransferMessage& message) const {
  const auto* page = std::get_if<messages::ManifestPage>(&message);
  if (page == nullptr || path.peer().empty()) return success();
  size_t open = page->entries.size();
  for (const auto& [handle, other] : receiving_)
    if (other->peer() == path.peer()) open += other->open_entries();
  if (open <= layout_.peer_entries_max) return success();
  return Error{Fault::kOverloaded,
               "the sending site's transfers name more than " + std::to_string(layout_.peer_entries_max) + " entries ahead of their data, all together",
               "copy fewer large trees at once, and this one again when another has ended"};
}

void IoWorker::obey(FromPeer&& from) {
  if (SendPath* path = find_in(sending_, from.transfer)) path->on_peer_message(std::move(from.message), events_);
  if (ReceivePath* path = find_in(receiving_, from.transfer)) {
    if (Status status = check_room_for(*path, from.message); !status.ok()) path->fail(status.error());
    if (path->on_peer_message(std::move(from.message), events_) == ReceivePath::Digested::kOnceTold) return;
  } else if (GatherPath* gather = gather_of(from.transfer)) {
    gather->on_peer_message(from.transfer, std::move(from.message));
  }
  events_.emit(PeerMessageTaken{from.transfer});
}

void IoWorker::obey(MessageTaken&& taken) {
  if (SendPath* path = find_in(sending_, taken.transfer)) path->on_message_taken();
  if (ReceivePath* path = find_in(receiving_, taken.transfer)) path->on_message_taken();
  else if (GatherPath* gather = gather_of(taken.transfer)) gather->on_message_taken(taken.transfer);
}

void IoWorker::obey(EndTransfer&& end) {
  sending_.erase(end.transfer);
  if (ReceivePath* path = find_in(receiving_, end.transfer)) path->leave(now_, end.leftovers);
  receiving_.erase(end.transfer);
  if (GatherPath* gather = gather_of(end.transfer)) gather->leave(end.transfer);
}

void IoWorker::obey(Grown&& grown) {
  if (SendPath* path = find_in(sending_, grown.transfer)) path->on_grown(std::move(grown.parts));
}

// What the trainer's own tracker beside it names stays.
static Status check_untracked(const RemoveTree& remove) {
  for (const std::string_view tracker : {checkpoint::kMegatronTracker, checkpoint::kDeepspeedTracker}) {
    const auto name = remove.name.parent().child(tracker);
    if (!name.ok()) continue;
    auto file = remove.root->open_file(name.value(), storage::Access::kRead);
    if (!file.ok()) continue;  // there is none, or it is no file
    std::string text(checkpoint::kTrackerBytesMax, '\0');
    const uint64_t size = storage::stat_of(file.value().get()).stat.size.count();
    text.resize(std::min<uint64_t>(text.size(), size));
    if (!storage::read_exactly(file.value().get(), 0, std::as_writable_bytes(std::span(text)))) continue;
    if (checkpoint::tracked_name(tracker, text) == remove.name.last())
      return Error{Fault::kDestBusy, "\"" + remove.root->shown(name.value()) + "\" still names it", "it goes when that names a later one"};
  }
  return success();
}

// It blocks, as the end of staging does: a checkpoint is a few thousand files.
void IoWorker::obey(RemoveTree&& remove) {
  Status status = check_untracked(remove);
  if (status.ok()) status = storage::remove_published(*remove.root, {remove.name, remove.tree_root, remove.id, read_page});
  if (status.ok()) log::info("removed", "name=\"" + remove.root->shown(remove.name) + '"');
  events_.emit(TransferDone{remove.transfer, status.ok() ? Result<TransferDone::Outcome>(TransferDone::Outcome{}) : std::move(status).error()});
}

// ---- blocks --------------------------------------------------------------------------------------------------------

bool IoWorker::take_blocks() {
  bool worked = false;
  for (auto& cpu : rings_.io_cpu) {
    while (const auto packed = cpu->packed.pop()) {
      if (SendPath* path = find_in(sending_, packed->transfer)) path->on_packed(*packed);
      worked = true;
    }
    while (auto unpacked = cpu->unpacked.pop()) {
      if (ReceivePath* path = find_in(receiving_, unpacked->transfer)) path->on_block(std::move(*unpacked), events_);
      else if (GatherPath* gather = gather_of(unpacked->transfer)) gather->on_block(std::move(*unpacked));
      else give_home(rings_, std::move(*unpacked));
      worked = true;
    }
  }
  for (auto& net : rings_.io_net) {
    while (const auto notice = net->notices.pop()) {
      if (SendPath* path = find_in(sending_, notice->transfer)) path->on_notice(*notice);
      worked = true;
    }
  }
  return worked;
}

}  // namespace tideway::engine
