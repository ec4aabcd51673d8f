// SPDX-License-Identifier: Apache-2.0
#include "engine/sink_store.h"

#include "engine/event_outlet.h"

#include <vector>

namespace tideway::engine {

Result<SinkStore> open_sink_store(storage::FileSinkConfig config, const StartSink& start, storage::IoQueue& queue, Bytes buffers) {
  config.root = start.root;
  config.transfer = start.staging;
  config.modes = start.modes;
  config.read_page = read_page;
  auto store = storage::FileSink::create(std::move(config), queue);
  if (!store.ok()) return std::move(store).error();
  auto log = DurableLog::open(store.value()->staging(), start.staging, {start.lease_epoch, start.boot});
  if (!log.ok()) return std::move(log).error();
  log.value().pace().set_buffers(buffers);
  return SinkStore{std::move(store).value(), std::move(log).value()};
}

AnswersTaken take_store_answers(ObjectStore& store, BlockWrites& writes, const OnAnswer& on_answer, const OnWritten& on_written) {
  AnswersTaken taken;
  std::vector<StoreDone> done(kAnswersBatch, StoreDone{0, success()});
  size_t count = kAnswersBatch;
  while (count == kAnswersBatch && taken.status.ok()) {
    count = store.poll(done);
    for (size_t i = 0; i < count && taken.status.ok(); ++i) taken.status = on_answer(done[i]);
    taken.worked |= count > 0;
  }
  while (taken.status.ok()) {
    const auto writing = writes.next_written();
    if (writing == nullptr) break;
    taken.status = on_written(*writing);
    taken.worked = true;
  }
  return taken;
}

}  // namespace tideway::engine
