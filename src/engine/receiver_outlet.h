// SPDX-License-Identifier: Apache-2.0
//
// What a transfer's Receiver has to say goes to its peer: a bounded number of messages at a time, and what was delivered not before
// some of it has come together.
// Thread: io worker.
#pragma once
#include "engine/event_outlet.h"
#include "transfer/receiver.h"
#include <tideway/time.h>

namespace tideway::engine {

class ReceiverOutlet {
 public:
  static constexpr Duration kDeliveredPeriod = std::chrono::milliseconds(10);

  // False: there was nothing to say, or no room.
  bool say(Time now, TransferHandle transfer, transfer::Receiver& receiver, EventOutlet& events) {
    if (now - delivered_told_ >= kDeliveredPeriod) {
      receiver.flush_delivered();
      delivered_told_ = now;
    }
    bool worked = false;
    for (; has_room(events); worked = true) {
      auto message = receiver.next_message();
      if (!message) break;
      std::visit([&](auto&& m) { emit(events, {transfer, TransferMessage(std::move(m))}); }, std::move(*message));
    }
    return worked;
  }
  bool has_room(EventOutlet& events) const { return messages_out_ < kMessagesOutMax && events.has_room(); }
  void emit(EventOutlet& events, ToPeer&& message) {  // needs room
    messages_out_ += 1;
    events.emit(std::move(message));
  }
  void on_taken() { messages_out_ -= 1; }

 private:
  uint32_t messages_out_ = 0;
  Time delivered_told_{};
};

}  // namespace tideway::engine
