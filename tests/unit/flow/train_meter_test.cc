// SPDX-License-Identifier: Apache-2.0
#include "flow/train_meter.h"

#include <gtest/gtest.h>

namespace tideway::flow::train_meter_test {
namespace {

using namespace std::chrono_literals;

constexpr Bytes kPacket = 1408_B;
constexpr uint64_t kTrainPackets = 46;
constexpr Rate kPath = 1_Gbit;

// A receiver that looks at its port every `turn` and acks what it finds. What the meter says of trains that leave `apart`.
struct Receiver {
  Duration turn;
  Duration apart = 20ms;
  TrainMeter meter = {};
  uint64_t train = 0;
  Time sent_at = Time(1s);

  Rate train_arrives(double lost = 0) {
    Rate told;
    const Duration gap = kPath.time_for(kPacket);
    Bytes waiting;
    Time look = sent_at;
    for (uint64_t i = 0; i < kTrainPackets; ++i) {
      const Time at = sent_at + gap * static_cast<int64_t>(i + 1);
      for (; look < at; look += turn)
        if (waiting > Bytes()) told = std::max(told, ack(std::exchange(waiting, Bytes()), look));
      if (lost == 0 || i % static_cast<uint64_t>(1 / lost) != 0) waiting += kPacket;
    }
    told = std::max(told, ack(waiting, look));
    ++train;
    sent_at += apart;
    return told;
  }
  Rate ack(Bytes acked, Time at) { return meter.on_ack({.train = train, .size = kPacket * kTrainPackets, .acked = acked, .received_at = at}); }
};

double share(Rate told) { return told.bits_per_second() / kPath.bits_per_second(); }

TEST(TrainMeter, TellsTheRateOfThePath) {
  for (const Duration turn : {1us, 20us, 50us, 100us, 150us, 250us}) {
    Receiver receiver{turn};
    EXPECT_NEAR(share(receiver.train_arrives()), 1, 0.08) << turn.count();
  }
}

TEST(TrainMeter, TellsOncePerTrain) {
  Receiver receiver{20us};
  int told = 0;
  for (int train = 0; train < 4; ++train) told += receiver.train_arrives() > Rate();
  EXPECT_EQ(told, 4);
  EXPECT_EQ(receiver.ack(kPacket, receiver.sent_at), Rate()) << "the next train has only begun";
}

TEST(TrainMeter, ATrainThatArrivesAsOnePieceSaysNothing) {
  Receiver receiver{2ms};
  for (int train = 0; train < 4; ++train) EXPECT_EQ(receiver.train_arrives(), Rate());
}

TEST(TrainMeter, ATrainOfWhichMostCameInOneTurnSaysNothing) {
  TrainMeter meter;
  const Bytes size = kPacket * kTrainPackets;
  Time at(1s);
  EXPECT_EQ(meter.on_ack({.train = 1, .size = size, .acked = kPacket, .received_at = at}), Rate());
  EXPECT_EQ(meter.on_ack({.train = 1, .size = size, .acked = kPacket * 40, .received_at = at + 400us}), Rate());
  EXPECT_EQ(meter.on_ack({.train = 1, .size = size, .acked = kPacket * 5, .received_at = at + 450us}), Rate());
}

TEST(TrainMeter, LossOnTheWayThereMakesATrainLookSlowerNeverFaster) {
  Receiver receiver{20us};
  const double told = share(receiver.train_arrives(0.1));
  EXPECT_LT(told, 1);
  EXPECT_GT(told, 0.8);
}

TEST(TrainMeter, ShortBurstsAreNoTrains) {
  TrainMeter meter;
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(meter.on_ack({.train = 1, .size = kPacket * 8, .acked = kPacket, .received_at = Time(1s) + i * 12us}), Rate());
}

TEST(TrainMeter, AReceiversClockThatGoesBackIsNoSample) {
  TrainMeter meter;
  for (int i = 0; i < 46; ++i)
    EXPECT_EQ(meter.on_ack({.train = 1, .size = kPacket * 46, .acked = kPacket, .received_at = Time(1s) - i * 12us}), Rate());
}

}  // namespace
}  // namespace tideway::flow::train_meter_test
