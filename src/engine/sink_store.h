// SPDX-License-Identifier: Apache-2.0
//
// The store of a sink's transfer and the log of what is durable in it, as everyone opens and asks them who receives: they go
// together, because the log lies in the store's staging.
// Thread: io worker.
#pragma once
#include "engine/block_writes.h"
#include "engine/durable_log.h"
#include "storage/file_sink.h"
#include "storage/io_queue.h"

#include <functional>
#include <memory>

namespace tideway::engine {

struct SinkStore {
  std::unique_ptr<storage::FileSink> store;
  DurableLog log;
};

// `config` says how it is published; root, transfer, modes and lease are those of `start`. `buffers`: what all blocks that are being received
// can hold.
// Errors: those of FileSink::create and DurableLog::open; what lies in staging then stays as it is, since it may be another holder's.
Result<SinkStore> open_sink_store(storage::FileSinkConfig config, const StartSink& start, storage::IoQueue& queue, Bytes buffers);

struct AnswersTaken {
  bool worked = false;
  Status status = success();  // what the first handler that failed said; no other one is called behind it
};

// Hands each answer of the store to `on_answer`, and then each block all of whose segments are answered to `on_written`.
using OnAnswer = std::function<Status(const StoreDone& done)>;
using OnWritten = std::function<Status(Writing& writing)>;
AnswersTaken take_store_answers(ObjectStore& store, BlockWrites& writes, const OnAnswer& on_answer, const OnWritten& on_written);

}  // namespace tideway::engine
