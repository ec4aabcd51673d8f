// SPDX-License-Identifier: Apache-2.0
#include "messages/message_type.h"

#include <gtest/gtest.h>

namespace tideway::messages {
namespace {

TEST(MessageType, EveryRowIsFoundByItsNumberAndTheRestIsUnknown) {
  size_t known = 0;
  for (uint32_t number = 0; number <= 0xFFFF; ++number) {
    const auto type = message_type(static_cast<uint16_t>(number));
    if (!type) continue;
    EXPECT_EQ(static_cast<uint32_t>(*type), number);
    ++known;
  }
  EXPECT_EQ(known, std::size(kMessageTypes));
  EXPECT_EQ(message_type(30), std::nullopt) << "set aside";
}

TEST(MessageType, NoBodyIsAboveTheFramingLimitAndHelloIsSmall) {
  for (const MessageTypeRow& row : kMessageTypes) EXPECT_LE(row.body_max, 1U << 20) << row.name;
  EXPECT_EQ(body_max(MessageType::kHello), 16U << 10);
  EXPECT_EQ(name_of(MessageType::kObjectEnds), "ObjectEnd");
}

}  // namespace
}  // namespace tideway::messages
