// SPDX-License-Identifier: Apache-2.0
#include "daemon/netlink_counter.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <linux/netlink.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tideway::daemon {
namespace {

CounterName named(std::string_view text) {
  auto name = parse_counter_name(text);
  EXPECT_TRUE(name.ok()) << text;
  return name.ok() ? std::move(name).value() : CounterName();
}

// A message from 16 and 32 bit numbers of this host, as the kernel writes them.
class Message {
 public:
  Message& u16(uint16_t value) { return put(&value, sizeof value); }
  Message& u32(uint32_t value) { return put(&value, sizeof value); }
  Message& u64(uint64_t value) { return put(&value, sizeof value); }
  // As an answer of that type, with its length in front.
  std::vector<std::byte> answer(uint16_t type) const {
    Message whole;
    whole.u32(static_cast<uint32_t>(16 + bytes_.size())).u16(type).u16(0).u32(1).u32(0);
    whole.bytes_.insert(whole.bytes_.end(), bytes_.begin(), bytes_.end());
    return whole.bytes_;
  }

 private:
  Message& put(const void* value, size_t size) {
    const auto* first = static_cast<const std::byte*>(value);
    bytes_.insert(bytes_.end(), first, first + size);
    return *this;
  }
  std::vector<std::byte> bytes_;
};

constexpr uint8_t kInet = 1, kIpv6 = 10;  // NFPROTO_*
constexpr uint16_t kNftAnswer = 10 << 8 | 18, kQdiscAnswer = 36, kClassAnswer = 40, kErrorAnswer = 2;

// NFTA_OBJ_DATA with NFTA_COUNTER_BYTES, behind an attribute that we do not look at.
std::vector<std::byte> nft_answer(uint64_t bytes) {
  return Message().u32(kInet).u16(8).u16(3).u32(htonl(1)).u16(16).u16(4 | NLA_F_NESTED).u16(12).u16(1).u32(htonl(static_cast<uint32_t>(bytes >> 32))).u32(htonl(static_cast<uint32_t>(bytes))).answer(kNftAnswer);
}

// TCA_STATS2 with TCA_STATS_BASIC: bytes, packets and what fills the struct.
std::vector<std::byte> tc_answer(uint16_t type, uint64_t bytes) {
  return Message().u32(0).u32(3).u32(0x0001'0010).u32(0).u32(0).u16(24).u16(7 | NLA_F_NESTED).u16(20).u16(1).u64(bytes).u32(9).u32(0).answer(type);
}

TEST(CounterNameTest, NamesInterfacesPortsRulesAndQueues) {
  EXPECT_EQ(named("iface:eth1").device, "eth1");
  EXPECT_EQ(named("dpdk:0000:81:00.0").device, "0000:81:00.0");
  const CounterName nft = named("nft:inet/filter/training");
  EXPECT_EQ(nft.family, kInet);
  EXPECT_EQ(nft.table + ' ' + nft.counter, "filter training");
  EXPECT_EQ(named("tc:eth1/1:10").handle, 0x0001'0010u);
  EXPECT_EQ(named("tc:eth1/8001:").handle, 0x8001'0000u);
  for (const char* text : {"eth1", "iface:", "iface:../mem", "nft:inet/filter", "nft:inot/filter/a", "nft:inet//a", "nft:inet/a/b/c", "tc:eth1", "tc:eth1/10", "tc:eth1/:1", "tc:eth1/1:g",
                           "tc:eth1/10000:1", "tc:/1:1", "dpdk:", "xdp:eth1"}) {
    const auto name = parse_counter_name(text);
    ASSERT_FALSE(name.ok()) << text;
    EXPECT_EQ(name.error().fault, Fault::kConfigInvalid);
    EXPECT_FALSE(name.error().next.empty());
  }
}

TEST(NetlinkCounterTest, AsksForOneObjectByItsName) {
  const auto nft = counter_request(named("nft:ip6/t/bulk"), {.interface = 0, .sequence = 7});
  // nlmsghdr, nfgenmsg, and three attributes with their texts, all padded to 4.
  const auto expected = Message().u32(kIpv6).u16(6).u16(1).u32(htonl(0x74'00'00'00)).u16(9).u16(2).u32(htonl(0x62'75'6c'6b)).u32(0).u16(8).u16(3).u32(htonl(1)).answer(10 << 8 | 19);
  ASSERT_EQ(nft.size(), expected.size());
  EXPECT_EQ(std::memcmp(nft.data() + 16, expected.data() + 16, nft.size() - 16), 0);
  EXPECT_EQ(std::memcmp(nft.data(), expected.data(), 6), 0);  // length and type
  const auto tc = counter_request(named("tc:eth1/1:10"), {.interface = 3, .sequence = 8});
  EXPECT_EQ(tc, ([] { auto made = Message().u32(0).u32(3).u32(0x0001'0010).u32(0).u32(0).answer(42); made[6] = std::byte{NLM_F_REQUEST | NLM_F_ECHO}; made[8] = std::byte{8}; return made; }()));
  const auto queue = counter_request(named("tc:eth1/1:"), {.interface = 3, .sequence = 8});
  EXPECT_EQ(queue[4], std::byte{38});  // RTM_GETQDISC
  auto at_root = counter_request(named("tc:eth1/1:"), {.interface = 3, .sequence = 8, .place = CounterPlace::kAtRoot});
  ASSERT_EQ(at_root.size(), queue.size());
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(std::exchange(at_root[28 + i], std::byte{0}), std::byte{0xFF}) << i;  // tcm_parent
  EXPECT_EQ(at_root, queue);
}

TEST(NetlinkCounterTest, ReadsTheBytesOfAnAnswer) {
  EXPECT_EQ(counter_answer(named("nft:inet/t/c"), nft_answer(5'000'000'000)).bytes, 5'000'000'000u);
  EXPECT_EQ(counter_answer(named("tc:eth1/1:10"), tc_answer(kClassAnswer, 6'000'000'000)).bytes, 6'000'000'000u);
  EXPECT_EQ(counter_answer(named("tc:eth1/1:"), tc_answer(kQdiscAnswer, 1)).bytes, 1u);
  EXPECT_EQ(counter_answer(named("tc:eth1/1:"), tc_answer(kClassAnswer, 1)).error, EBADMSG);
  EXPECT_EQ(counter_answer(named("nft:inet/t/c"), Message().u32(static_cast<uint32_t>(-ENOENT)).answer(kErrorAnswer)).error, ENOENT);
}

TEST(NetlinkCounterTest, AnAnswerThatIsCutShortOrLiesAboutLengthsIsNone) {
  for (const auto& [text, whole] : {std::pair("nft:inet/t/c", nft_answer(77)), std::pair("tc:eth1/1:10", tc_answer(kClassAnswer, 77))}) {
    for (size_t size = 0; size < whole.size(); ++size)
      EXPECT_NE(counter_answer(named(text), std::span(whole).first(size)).error, 0) << text << ' ' << size;
    for (size_t at = 0; at < whole.size(); ++at)
      for (const uint8_t value : {uint8_t{0x00}, uint8_t{0x01}, uint8_t{0xFF}}) {
        auto damaged = whole;
        damaged[at] = std::byte{value};
        const CounterAnswer answer = counter_answer(named(text), damaged);  // under the sanitizers: reads nothing outside
        EXPECT_TRUE(answer.error == 0 || answer.bytes == 0);
      }
  }
}

// The kernel of this machine, which anybody may ask for queues.
TEST(NetlinkCounterTest, TheKernelSaysThatACounterIsNotThere) {
  const auto queue = NetlinkCounter::open(named("tc:lo/7fff:")), interface = NetlinkCounter::open(named("tc:nowhere/1:"));
  ASSERT_FALSE(queue.ok());
  EXPECT_EQ(queue.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(queue.error().what.find("tc:lo/7fff:"), std::string::npos);
  EXPECT_FALSE(interface.ok());
}

}  // namespace
}  // namespace tideway::daemon
