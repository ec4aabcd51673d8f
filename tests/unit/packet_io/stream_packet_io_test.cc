// SPDX-License-Identifier: Apache-2.0
//
// Packets over connections that lose nothing, here plain sockets: whole, in order, and never more than a stream takes.
#include "packet_io/stream_packet_io.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace tideway::packet_io {
namespace {

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(int fd) : fd_(fd) {}
  ~PlainStream() override { ::close(fd_); }
  size_t write(std::span<const std::byte> bytes) override {
    if (!unsent_.empty()) return 0;
    unsent_.assign(bytes.begin(), bytes.end());
    return bytes.size();
  }
  void flush() override {
    while (!unsent_.empty() && !is_broken_) {
      const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EAGAIN) return;
      if (sent < 0) is_broken_ = true;
      else unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
    }
  }
  size_t read(std::span<std::byte> out) override {
    const ssize_t got = ::recv(fd_, out.data(), out.size(), MSG_DONTWAIT);
    if (got == 0) is_broken_ = true;
    return got > 0 ? static_cast<size_t>(got) : 0;
  }
  bool has_output() const override { return !unsent_.empty(); }
  bool is_broken() const override { return is_broken_; }
  int fd() const override { return fd_; }

 private:
  const int fd_;
  std::vector<std::byte> unsent_;
  bool is_broken_ = false;
};

class StreamPacketIoTest : public testing::Test {
 protected:
  StreamPacketIoTest() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets_), 0);
    const Endpoint here = Endpoint::parse("10.0.0.1:7400").value(), there = Endpoint::parse("10.0.0.2:7400").value();
    a_path_ = a_.open_path({.local = here, .remote = there}).value().id;
    b_path_ = b_.open_path({.local = there, .remote = here}).value().id;
  }
  void attach() {
    ASSERT_TRUE(a_.attach(a_path_, std::make_unique<PlainStream>(sockets_[0])));
    ASSERT_TRUE(b_.attach(b_path_, std::make_unique<PlainStream>(sockets_[1])));
  }
  // Sends `count` packets of `size` whose first byte counts up; returns how many were taken.
  size_t send(size_t count, size_t size) {
    std::vector<Packet> packets(count);
    packets.resize(a_.allocate(a_path_, Bytes(size), packets));
    for (Packet& packet : packets) {
      std::fill(packet.bytes.begin(), packet.bytes.end(), std::byte{0xA5});
      packet.bytes[0] = std::byte(next_tag_++);
    }
    std::span<Packet> rest(packets);
    while (!rest.empty()) {
      const size_t taken = a_.send(rest);
      if (taken == 0) break;
      rest = rest.subspan(taken);
    }
    next_tag_ -= static_cast<uint8_t>(rest.size());
    return packets.size() - rest.size();
  }
  // Takes what has come to b; checks tags and sizes.
  size_t receive(size_t size) {
    size_t all = 0;
    while (true) {
      std::array<Packet, kBurstMax> burst;
      const size_t count = b_.receive(burst);
      if (count == 0) return all;
      for (const Packet& packet : std::span(burst).first(count)) {
        EXPECT_EQ(packet.bytes.size(), size);
        EXPECT_EQ(packet.bytes[0], std::byte(wanted_tag_++));
        EXPECT_EQ(packet.from, Endpoint::parse("10.0.0.1:7400").value());
      }
      all += count;
    }
  }
  bool is_readable() {
    pollfd watched{.fd = b_.limits().wait_fd, .events = POLLIN, .revents = 0};
    return poll(&watched, 1, 0) == 1;
  }

  StreamPacketIo a_, b_;
  int sockets_[2];
  PathId a_path_, b_path_;
  uint8_t next_tag_ = 0, wanted_tag_ = 0;
};

TEST_F(StreamPacketIoTest, CarriesPacketsWholeAndInOrder) {
  attach();
  EXPECT_EQ(a_.limits().delivery, Delivery::kStream);
  EXPECT_EQ(send(5, 1200), 5U);
  EXPECT_TRUE(is_readable());
  EXPECT_EQ(receive(1200), 5U);
  EXPECT_FALSE(is_readable());
  EXPECT_EQ(send(3, StreamPacketIo::kPayloadMax.count()), 3U);
  EXPECT_EQ(receive(StreamPacketIo::kPayloadMax.count()), 3U);
}

TEST_F(StreamPacketIoTest, KeepsPacketsUntilTheirConnectionIsThere) {
  EXPECT_EQ(send(2, 100), 0U);
  attach();
  EXPECT_EQ(send(2, 100), 2U);
  EXPECT_EQ(receive(100), 2U);
  EXPECT_FALSE(a_.attach(a_path_, std::make_unique<PlainStream>(dup(sockets_[0])))) << "it has one";
}

TEST_F(StreamPacketIoTest, TakesNoMoreThanTheStream) {
  attach();
  size_t sent = 0, received = 0;
  for (size_t taken = 1; taken > 0 && sent < 100'000; sent += taken) taken = send(kBurstMax, 4000);
  ASSERT_LT(sent, 100'000U) << "a socket that nobody reads takes no end";
  EXPECT_EQ(send(1, 4000), 0U);
  // What was taken arrives, and then there is room again.
  for (int turn = 0; turn < 1000 && received < sent; ++turn) {
    received += receive(4000);
    std::array<Packet, 1> none;
    EXPECT_EQ(a_.receive(none), 0U);  // its turn moves what was staged
  }
  EXPECT_EQ(received, sent);
  EXPECT_EQ(send(1, 4000), 1U);
}

// The stream drains between the refusal and the look at what it still holds.
TEST_F(StreamPacketIoTest, WakesWhoeverWasRefusedEvenIfTheStreamIsEmptyByNow) {
  class Hesitant final : public ByteStream {
   public:
    explicit Hesitant(int fd) : fd_(fd) {}
    ~Hesitant() override { ::close(fd_); }
    size_t write(std::span<const std::byte>) override { return 0; }
    void flush() override {}
    size_t read(std::span<std::byte>) override { return 0; }
    bool has_output() const override { return false; }
    bool is_broken() const override { return false; }
    int fd() const override { return fd_; }

   private:
    const int fd_;
  };
  ASSERT_TRUE(b_.attach(b_path_, std::make_unique<Hesitant>(sockets_[1])));
  std::vector<Packet> packets(kBurstMax);
  packets.resize(b_.allocate(b_path_, Bytes(4000), packets));
  ASSERT_LT(b_.send(packets), packets.size());
  EXPECT_TRUE(is_readable());
}

TEST_F(StreamPacketIoTest, EndsAPathThatCarriesNoPackets) {
  attach();
  const std::array<std::byte, 4> zero_length{};
  ASSERT_EQ(::send(sockets_[0], zero_length.data(), zero_length.size(), 0), 4);
  EXPECT_EQ(receive(0), 0U);
  EXPECT_TRUE(b_.is_broken(b_path_));
  EXPECT_FALSE(a_.is_broken(a_path_));
}

TEST_F(StreamPacketIoTest, EndsAPathWhosePeerHasGone) {
  attach();
  a_.close_path(a_path_);
  EXPECT_EQ(receive(0), 0U);
  EXPECT_TRUE(b_.is_broken(b_path_));
  std::array<Packet, 1> packet;
  ASSERT_EQ(b_.allocate(b_path_, 100_B, packet), 1U);
  EXPECT_EQ(b_.send(packet), 1U) << "lost with its path, and its room is free again";
}

}  // namespace
}  // namespace tideway::packet_io
