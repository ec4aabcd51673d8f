// SPDX-License-Identifier: Apache-2.0
#include "packet_io/capture_file.h"

#include "base/log.h"
#include "ip/headers.h"
#include "packet_io/capture_packet_io.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tideway::packet_io {
namespace {

constexpr size_t kHeadersMax = ip::kIpv6Size + ip::kUdpSize;
constexpr size_t kBufferSize = 256 << 10;  // of one write

Error cannot_capture(const std::string& file, const std::string& why) {
  return {Fault::kConfigInvalid, "cannot capture packets to " + file + ": " + why,
          "name a new file in a directory that this process may write to, with --capture or capture in [data_plane]"};
}

// It begins as write_section() does, which names the program.
bool is_capture_of_ours(int fd) {
  std::array<std::byte, 64> expected, start;
  Writer out(expected);
  write_section(out);
  const size_t size = out.used();
  return pread(fd, start.data(), size, 0) == static_cast<ssize_t>(size) && std::ranges::equal(std::span(start).first(size), out.written());
}

// Why a file that is there is not ours to write over; empty: it is.
std::string objection(int fd) {
  struct stat status{};
  if (fstat(fd, &status) != 0) return std::strerror(errno);
  if (!S_ISREG(status.st_mode)) return "it is no regular file";
  if (status.st_uid != geteuid()) return "it belongs to somebody else";
  if (status.st_nlink > 1) return "it has another name";
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return "another process is writing to it";
  if (status.st_size != 0 && !is_capture_of_ours(fd)) return "it is there and is no capture of Tideway's";
  if (fchmod(fd, 0600) != 0 || ftruncate(fd, 0) != 0) return std::strerror(errno);
  return "";
}

// Never waits, whatever has the name.
Result<Descriptor> open_file(const std::string& file) {
  Descriptor fd(open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!fd.is_open()) return cannot_capture(file, errno == ELOOP ? "it is a symbolic link" : std::strerror(errno));
  if (std::string why = objection(fd.get()); !why.empty()) return cannot_capture(file, why);
  return fd;
}

// The headers in front of a packet's payload. One that was cut short has no checksum, because nobody knows its end.
size_t write_ip_and_udp(const CapturedPacket& packet, std::span<std::byte> room) {
  const size_t udp_size = ip::kUdpSize + packet.size;
  const auto traffic_class = static_cast<uint8_t>(static_cast<unsigned>(packet.dscp) << 2 | static_cast<unsigned>(packet.ecn));
  const size_t ip_size = ip::write_ip({.from = packet.from.address, .to = packet.to.address, .protocol = ip::Protocol::kUdp,
                                       .traffic_class = traffic_class, .payload_size = udp_size}, room);
  Writer udp(room.subspan(ip_size, ip::kUdpSize));
  udp.write_u16(packet.from.port);
  udp.write_u16(packet.to.port);
  udp.write_u16(static_cast<uint16_t>(udp_size));
  uint16_t checksum = 0;
  if (packet.size <= kCaptureSnap) {
    constexpr auto kProtocol = static_cast<uint8_t>(ip::Protocol::kUdp);
    ip::Checksum sum = ip::checksum_of({packet.from.address, packet.to.address, kProtocol, udp_size});
    checksum = sum.add(udp.written()).add(packet.kept()).value();
    if (checksum == 0) checksum = 0xFFFF;  // zero would say that there is none (RFC 768)
  }
  udp.write_u16(checksum);
  return ip_size + udp.used();
}

}  // namespace

Result<std::unique_ptr<CaptureFile>> CaptureFile::create(const CaptureConfig& config, uint32_t workers) {
  TIDEWAY_CHECK(config.clock != nullptr);
  auto fd = open_file(config.file);
  if (!fd.ok()) return fd.error();
  std::unique_ptr<CaptureFile> capture(new CaptureFile(config, std::move(fd).value(), workers));
  capture->write_headers();
  if (capture->has_failed_) return cannot_capture(config.file, "it takes no bytes");
  return capture;
}

CaptureFile::CaptureFile(const CaptureConfig& config, Descriptor fd, uint32_t workers)
    : config_(config), fd_(std::move(fd)), memory_(kBufferSize), out_(memory_), packets_(workers) {
  for (uint32_t worker = 0; worker < workers; ++worker) rings_.push_back(std::make_shared<CaptureRing>(config.records));
}

CaptureFile::~CaptureFile() {
  while (write_out()) {}
  const Duration now = config_.clock().time_since_epoch() + config_.utc_offset;
  uint64_t kept = 0, lost = 0;
  for (uint32_t i = 0; i < rings_.size(); ++i) {
    make_room(kPcapngStatisticsMax);
    write_statistics(out_, {.interface = i, .time = now, .seen = packets_[i] + rings_[i]->lost(), .lost = rings_[i]->lost()});
    kept += packets_[i];
    lost += rings_[i]->lost();
  }
  flush();
  fd_.reset();
  kept -= unwritten_;
  lost += unwritten_;
  const std::string counted = "file=\"" + config_.file + "\" packets=" + std::to_string(kept) + " lost=" + std::to_string(lost);
  if (lost > 0) log::warning("capture_closed", counted);
  else log::info("capture_closed", counted);
}

std::unique_ptr<PacketIo> CaptureFile::capture(uint32_t worker, std::unique_ptr<PacketIo> inner) {
  return std::make_unique<CapturePacketIo>(std::move(inner), rings_.at(worker), config_.clock);
}

bool CaptureFile::write_out() {
  bool worked = false;
  for (uint32_t i = 0; i < rings_.size(); ++i) {
    // As many as may have waited, so that one busy worker does not keep the others' packets from the file.
    for (size_t left = config_.records; left > 0; --left) {
      const CapturedPacket* const packet = rings_[i]->front();
      if (packet == nullptr) break;
      write(i, *packet);
      rings_[i]->pop();
      worked = true;
    }
  }
  flush();
  return worked;
}

void CaptureFile::write_headers() {
  write_section(out_);
  for (uint32_t i = 0; i < rings_.size(); ++i) {
    make_room(kPcapngHeaderMax);
    write_interface(out_, {.name = "net" + std::to_string(i), .snap_length = kHeadersMax + kCaptureSnap});
  }
  flush();
}

void CaptureFile::write(uint32_t interface, const CapturedPacket& packet) {
  ++packets_[interface];
  if (packet.from.is_ipv4() != packet.to.is_ipv4()) {  // a mapped address on an IPv6 wire, for which there is no header
    ++unwritten_;
    return;
  }
  std::array<std::byte, kHeadersMax> headers;
  const size_t size = write_ip_and_udp(packet, headers);
  make_room(kPcapngPacketRest + kHeadersMax + kCaptureSnap);
  write_packet(out_, {.interface = interface, .time = packet.time.time_since_epoch() + config_.utc_offset,
                      .direction = packet.direction, .headers = std::span(headers).first(size), .payload = packet.kept(),
                      .size = size + packet.size});
  ++waiting_;
}

void CaptureFile::make_room(size_t size) {
  if (out_.left() < size) flush();
}

// What a full disk does not take is cut off again, so that the file ends with a whole block.
void CaptureFile::flush() {
  const auto bytes = out_.written();
  size_t done = 0;
  while (!has_failed_ && done < bytes.size()) {
    const ssize_t written = ::write(fd_.get(), bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written > 0) {
      done += static_cast<size_t>(written);
      continue;
    }
    has_failed_ = true;
    log::warning("capture_stopped", "file=\"" + config_.file + "\" why=\"" + std::strerror(errno) +
                                        "\" next=\"free space and start again\"");
    if (ftruncate(fd_.get(), static_cast<off_t>(file_size_)) != 0)
      log::warning("capture_cut_short", "the file ends inside a packet");
  }
  if (has_failed_) unwritten_ += waiting_;
  else file_size_ += bytes.size();
  waiting_ = 0;
  out_ = Writer(memory_);
}

}  // namespace tideway::packet_io
