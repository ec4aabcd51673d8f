// SPDX-License-Identifier: Apache-2.0
#include "packet_io/pcapng.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tideway::packet_io {
namespace {

// What `write` put out, as hexadecimal words of four bytes.
template <typename Write>
std::vector<std::string> words_of(const Write& write) {
  std::vector<std::byte> memory(512);
  Writer out(memory);
  write(out);
  EXPECT_EQ(out.used() % 4, 0U) << "blocks are aligned to 32 bits";
  std::vector<std::string> words;
  for (size_t i = 0; i < out.used(); ++i) {
    if (i % 4 == 0) words.emplace_back();
    const auto value = static_cast<unsigned>(out.written()[i]);
    words.back() += "0123456789abcdef"[value >> 4];
    words.back() += "0123456789abcdef"[value & 15];
  }
  return words;
}

using Words = std::vector<std::string>;

TEST(Pcapng, SectionSaysByteOrderVersionAndProgram) {
  const Words section = words_of([](Writer& out) { write_section(out); });
  EXPECT_EQ(section, (Words{"0a0d0d0a", "0000002c", "1a2b3c4d", "00010000", "ffffffff", "ffffffff",
                            "00040007", "74696465", "77617900",    // "tideway"
                            "00000000", "0000002c"}));
}

TEST(Pcapng, InterfaceIsOfRawIpWithNanoseconds) {
  const Words interface = words_of([](Writer& out) { write_interface(out, {.name = "net0", .snap_length = 9264}); });
  EXPECT_EQ(interface, (Words{"00000001", "00000028", "00650000", "00002430",
                              "00020004", "6e657430",  // "net0"
                              "00090001", "09000000", "00000000", "00000028"}));
}

TEST(Pcapng, PacketHasItsTimeItsPaddingAndItsDirectionTwice) {
  const std::array headers = {std::byte{0x45}, std::byte{0x00}};
  const std::array payload = {std::byte{0x91}, std::byte{0x02}, std::byte{0x03}};
  PcapngPacket packet{.interface = 1, .time = Duration(0x0123456789abcdef), .direction = PacketDirection::kReceived,
                      .headers = headers, .payload = payload, .size = 1500};
  const Words received = words_of([&](Writer& out) { write_packet(out, packet); });
  EXPECT_EQ(received, (Words{"00000006", "0000003c", "00000001", "01234567", "89abcdef", "00000005", "000005dc",
                             "45009102", "03000000",
                             "00010002", "72780000",   // "rx"
                             "00020004", "00000001",   // inbound
                             "00000000", "0000003c"}));
  packet.direction = PacketDirection::kSent;
  const Words sent = words_of([&](Writer& out) { write_packet(out, packet); });
  EXPECT_EQ(sent[10], "74780000");  // "tx"
  EXPECT_EQ(sent[12], "00000002");  // outbound
}

TEST(Pcapng, StatisticsSayWhatWasSeenAndWhatWasLost) {
  const Words statistics = words_of([](Writer& out) {
    write_statistics(out, {.interface = 2, .time = Duration(0x0000000100000002), .seen = 0x123456789a, .lost = 7});
  });
  EXPECT_EQ(statistics, (Words{"00000005", "00000034", "00000002", "00000001", "00000002",
                               "00040008", "00000012", "3456789a", "00050008", "00000000", "00000007",
                               "00000000", "00000034"}));
}

TEST(Pcapng, BlocksStayWithinTheSizesThatAreSetAsideForThem) {
  std::vector<std::byte> memory(1024);
  Writer section(memory), interface(memory), packet(memory), statistics(memory);
  write_section(section);
  EXPECT_LE(section.used(), kPcapngHeaderMax);
  write_interface(interface, {.name = std::string(32, 'n'), .snap_length = 1});
  EXPECT_LE(interface.used(), kPcapngHeaderMax);
  const std::vector<std::byte> bytes(101);
  write_packet(packet, {.headers = bytes, .payload = {}, .size = bytes.size()});
  EXPECT_LE(packet.used(), bytes.size() + kPcapngPacketRest);
  write_statistics(statistics, {.seen = UINT64_MAX, .lost = UINT64_MAX});
  EXPECT_LE(statistics.used(), kPcapngStatisticsMax);
}

}  // namespace
}  // namespace tideway::packet_io
