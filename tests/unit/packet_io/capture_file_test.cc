// SPDX-License-Identifier: Apache-2.0
#include "packet_io/capture_file.h"

#include "ip/headers.h"
#include "packet_io/sim_packet_io.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace tideway::packet_io {
namespace {

constexpr Time kNow = Time(Duration(1'000));
constexpr Duration kUtcOffset = Duration(1'700'000'000'000'000'000);
constexpr uint32_t kPacketBlock = 6, kStatisticsBlock = 5;

Time fixed_clock() { return kNow; }
Endpoint endpoint(const char* text) { return Endpoint::parse(text).value(); }

struct Block {
  uint32_t type = 0;
  std::vector<std::byte> body;
};

// The blocks of a file; fails the test unless it is made of whole ones.
std::vector<Block> blocks_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  Reader rest(std::as_bytes(std::span(text)));
  std::vector<Block> blocks;
  while (!rest.is_empty()) {
    const uint32_t type = rest.read_u32().value_or(0), size = rest.read_u32().value_or(0);
    const auto body = rest.read_bytes(std::max(size, 12U) - 12);
    EXPECT_TRUE(body.has_value()) << "a block is cut short";
    EXPECT_EQ(rest.read_u32(), size);
    if (!body) break;
    blocks.push_back({type, {body->begin(), body->end()}});
  }
  return blocks;
}

// A packet as the file has it, its headers checked.
struct Seen {
  Endpoint from, to;
  Ecn ecn;
  std::string payload;
  std::string comment;
  bool operator==(const Seen&) const = default;
};

Seen read_packet(Block& block) {
  Reader in(block.body);
  in.read_u32();
  const uint64_t time = in.read_u64().value_or(0);
  EXPECT_EQ(Duration(static_cast<int64_t>(time)), kNow.time_since_epoch() + kUtcOffset);
  const uint32_t kept = in.read_u32().value_or(0), size = in.read_u32().value_or(0);
  EXPECT_EQ(kept, size);
  const auto bytes = std::span(block.body).subspan(20, kept);
  const auto packet = static_cast<unsigned>(bytes[0]) >> 4 == 4 ? ip::parse_ipv4(bytes) : ip::parse_ipv6(bytes);
  EXPECT_TRUE(packet) << ip::name_of(packet.why());
  const auto udp = ip::parse_udp(*packet, ip::UdpCheck::kVerify);
  EXPECT_TRUE(udp);
  EXPECT_EQ(udp->sum, ip::UdpSum::kGood);
  const auto options = std::span(block.body).subspan(20 + (kept + 3) / 4 * 4);
  return {.from = {packet->from, udp->port_from}, .to = {packet->to, udp->port_to}, .ecn = packet->ecn,
          .payload = {reinterpret_cast<const char*>(udp->payload.data()), udp->payload.size()},
          .comment = {reinterpret_cast<const char*>(options.data()) + 4, 2}};
}

std::vector<Seen> packets_of(const std::string& file) {
  std::vector<Seen> packets;
  for (Block& block : blocks_of(file))
    if (block.type == kPacketBlock) packets.push_back(read_packet(block));
  return packets;
}

// Two simulated ports, of which one is captured.
class CaptureFileTest : public testing::Test {
 protected:
  CaptureConfig config(size_t records = 64) const {
    return {.file = file_, .clock = fixed_clock, .utc_offset = kUtcOffset, .records = records};
  }

  void start(size_t wire, size_t records, const char* ours = "10.0.0.1:0", const char* theirs = "10.0.0.2:0") {
    wire_ = quiet_wire(wire);
    peer_ = std::make_unique<SimPacketIo>(SimConfig{.address = endpoint(theirs)}, *wire_.second);
    capture_ = CaptureFile::create(config(records), 1).value();
    io_ = capture_->capture(0, std::make_unique<SimPacketIo>(SimConfig{.address = endpoint(ours)}, *wire_.first));
    Endpoint here = endpoint(ours), there = endpoint(theirs);
    here.port = 7'401;
    there.port = 7'501;
    path_ = io_->open_path({.local = here, .remote = there}).value().id;
    peer_path_ = peer_->open_path({.local = there, .remote = here}).value().id;
  }

  static std::vector<Packet> write(PacketIo& io, PathId path, const std::vector<std::string>& payloads) {
    std::vector<Packet> packets(payloads.size());
    for (size_t i = 0; i < payloads.size(); ++i) {
      EXPECT_EQ(io.allocate(path, Bytes(payloads[i].size()), std::span(packets).subspan(i, 1)), 1U);
      std::ranges::copy(std::as_bytes(std::span(payloads[i])), packets[i].bytes.begin());
    }
    return packets;
  }

  size_t receive() {
    std::array<Packet, kBurstMax> arrived;
    return io_->receive(arrived);
  }

  void end() {
    io_.reset();
    capture_.reset();
  }

  const TempRoot folder_;
  const std::string file_ = folder_ / "packets.pcapng";
  std::pair<std::unique_ptr<SimWire>, std::unique_ptr<SimWire>> wire_;
  std::unique_ptr<SimPacketIo> peer_;
  std::unique_ptr<CaptureFile> capture_;
  std::unique_ptr<PacketIo> io_;
  PathId path_, peer_path_;
};

TEST_F(CaptureFileTest, HoldsWhatWasSentAndReceivedWithHeadersOfItsPath) {
  start(16, 64);
  auto out = write(*io_, path_, {"one", "two"});
  out[1].ecn = Ecn::kNotEct;
  EXPECT_EQ(io_->send(out), 2U);
  auto in = write(*peer_, peer_path_, {"three!"});
  EXPECT_EQ(peer_->send(in), 1U);
  EXPECT_EQ(receive(), 1U);
  end();
  const Endpoint here = endpoint("10.0.0.1:7401"), there = endpoint("10.0.0.2:7501");
  EXPECT_EQ(packets_of(file_), (std::vector<Seen>{{here, there, Ecn::kEct0, "one", "tx"},
                                                  {here, there, Ecn::kNotEct, "two", "tx"},
                                                  {there, here, Ecn::kEct0, "three!", "rx"}}));
}

TEST_F(CaptureFileTest, WritesIpv6AsWell) {
  start(16, 64, "[fd00::1]:0", "[fd00::2]:0");
  auto out = write(*io_, path_, {"odd"});
  EXPECT_EQ(io_->send(out), 1U);
  end();
  const Endpoint here = endpoint("[fd00::1]:7401"), there = endpoint("[fd00::2]:7501");
  EXPECT_EQ(packets_of(file_), (std::vector<Seen>{{here, there, Ecn::kEct0, "odd", "tx"}}));
}

TEST_F(CaptureFileTest, APacketThatTheBackendLeavesIsInTheFileOnceWhenItHasLeft) {
  start(2, 64);
  auto out = write(*io_, path_, {"1", "2", "3"});
  EXPECT_EQ(io_->send(out), 2U);
  EXPECT_EQ(io_->send(std::span(out).subspan(2)), 0U);
  std::array<Packet, 2> arrived;
  EXPECT_EQ(peer_->receive(arrived), 2U);
  EXPECT_EQ(io_->send(std::span(out).subspan(2)), 1U);
  end();
  std::string order;
  for (const Seen& packet : packets_of(file_)) order += packet.payload;
  EXPECT_EQ(order, "123");
}

TEST_F(CaptureFileTest, APacketOfAClosedPathIsNotInTheFile) {
  start(16, 64);
  auto out = write(*io_, path_, {"1", "2"});
  const PathId other = io_->open_path({.local = endpoint("10.0.0.1:7402"), .remote = endpoint("10.0.0.2:7501")}).value().id;
  out[0].path = other;
  io_->close_path(other);
  EXPECT_EQ(io_->send(out), 2U);
  end();
  const auto packets = packets_of(file_);
  ASSERT_EQ(packets.size(), 1U);
  EXPECT_EQ(packets[0].payload, "2");
}

TEST_F(CaptureFileTest, AFullRingLosesPacketsFromTheFileAndNoneFromTheWire) {
  start(16, 4);
  auto out = write(*io_, path_, {"1", "2", "3", "4", "5", "6"});
  EXPECT_EQ(io_->send(out), 6U);
  std::array<Packet, 8> arrived;
  EXPECT_EQ(peer_->receive(arrived), 6U);
  EXPECT_TRUE(capture_->write_out());
  EXPECT_FALSE(capture_->write_out());
  auto more = write(*io_, path_, {"7"});
  EXPECT_EQ(io_->send(more), 1U);
  end();
  std::string order;
  for (const Seen& packet : packets_of(file_)) order += packet.payload;
  EXPECT_EQ(order, "12347");
  const auto blocks = blocks_of(file_);
  ASSERT_EQ(blocks.back().type, kStatisticsBlock);
  Reader statistics(blocks.back().body);
  statistics.read_bytes(16);  // interface, time, code and length of the first option
  EXPECT_EQ(statistics.read_u64(), 7U);
  statistics.read_u32();
  EXPECT_EQ(statistics.read_u64(), 2U);
}

TEST_F(CaptureFileTest, IsReadableByItsOwnerOnlyAndBeginsAnewEachTime) {
  for (int i = 0; i < 2; ++i) {
    start(16, 64);
    auto out = write(*io_, path_, {"again"});
    EXPECT_EQ(io_->send(out), 1U);
    end();
    struct stat status{};
    ASSERT_EQ(stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    EXPECT_EQ(packets_of(file_).size(), 1U);
    ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  }
}

TEST_F(CaptureFileTest, LeavesAloneWhatIsNoCaptureOfOurs) {
  const auto why = [&] {
    const auto made = CaptureFile::create(config(), 1);
    return made.ok() ? "made" : made.error().what;
  };
  folder_.write("letter", "Dear reader, ");
  std::filesystem::create_symlink(folder_ / "letter", file_);
  EXPECT_NE(why().find("symbolic link"), std::string::npos) << why();
  std::filesystem::rename(folder_ / "letter", file_);
  EXPECT_NE(why().find("no capture"), std::string::npos) << why();
  std::filesystem::remove(file_);
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  EXPECT_NE(why().find("no regular file"), std::string::npos) << why();
  std::filesystem::remove(file_);
  const auto first = CaptureFile::create(config(), 1);
  ASSERT_TRUE(first.ok());
  EXPECT_NE(why().find("another process"), std::string::npos) << why();
  std::filesystem::create_hard_link(file_, folder_ / "second");
  EXPECT_NE(why().find("another name"), std::string::npos) << why();
}

// What strangers may send must not end the gateway that captures it.
TEST_F(CaptureFileTest, TakesTheLargestDatagramAndAPortOfZero) {
  capture_ = CaptureFile::create(config(), 1).value();
  for (const char* address : {"10.0.0.9", "fd00::9"}) {
    const bool is_ipv4 = address[0] == '1';
    const std::string brackets = is_ipv4 ? std::string(address) : '[' + std::string(address) + ']';
    // A wire that gives one packet of 65,507 or 65,527 bytes.
    struct BigWire final : SimWire {
      bool offer(const SimFrame&) override { return false; }
      std::optional<SimFrame> take() override { return std::exchange(frame, std::nullopt); }
      std::optional<SimFrame> frame;
    } wire;
    const std::vector<std::byte> bytes(is_ipv4 ? 65'507 : 65'527);
    const Endpoint here = endpoint((brackets + ":7401").c_str());
    wire.frame = SimFrame{.from = endpoint((brackets + ":0").c_str()), .to = here, .ecn = Ecn::kNotEct, .bytes = bytes};
    auto io = std::make_unique<SimPacketIo>(SimConfig{.address = here, .payload_max = Bytes(bytes.size()), .rooms = 1}, wire);
    ASSERT_TRUE(io->open_path({.local = here, .remote = {}}).ok());
    io_ = capture_->capture(0, std::move(io));
    EXPECT_EQ(receive(), 1U);
  }
  end();
  size_t packets = 0;
  for (const Block& block : blocks_of(file_)) {
    if (block.type != kPacketBlock) continue;
    Reader in(block.body);
    in.read_bytes(12);
    const uint32_t kept = in.read_u32().value_or(0), size = in.read_u32().value_or(0);
    const bool is_ipv4 = packets++ == 0;
    EXPECT_EQ(kept, kCaptureSnap + ip_and_udp_headers(is_ipv4).count());
    EXPECT_EQ(size, is_ipv4 ? 65'535U : 65'575U);
  }
  EXPECT_EQ(packets, 2U);
}

// One thread fills while the other empties: each packet that was not lost arrives once, whole and in order.
TEST(CaptureRing, GivesEachRecordToTheReaderWholeAndInOrder) {
  constexpr uint32_t kPackets = 20'000;
  CaptureRing ring(16);
  std::thread worker([&] {
    for (uint32_t number = 1; number <= kPackets; ++number) {
      CapturedPacket* const record = ring.room(0);
      if (record != nullptr) {
        record->size = number;
        record->from.port = static_cast<uint16_t>(number);
      }
      ring.commit(1, record != nullptr ? 1 : 0);
    }
  });
  uint64_t taken = 0;
  uint32_t last = 0;
  while (taken + ring.lost() < kPackets) {
    const CapturedPacket* const record = ring.front();
    if (record == nullptr) continue;
    ASSERT_GT(record->size, last);
    ASSERT_EQ(record->from.port, static_cast<uint16_t>(record->size));
    last = record->size;
    ring.pop();
    ++taken;
  }
  worker.join();
  EXPECT_EQ(taken + ring.lost(), kPackets);
  EXPECT_EQ(ring.front(), nullptr);
}

}  // namespace
}  // namespace tideway::packet_io
