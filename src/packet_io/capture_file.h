// SPDX-License-Identifier: Apache-2.0
//
// The data port's packets as a pcapng file, for Wireshark and tshark: one interface per net worker, each packet with its
// direction. Kernel sockets do not show the headers in front of a payload, so all backends get the same ones here, made
// from the addresses: what the kernel or a router changes (hop limit, the DSCP of what arrives) is not in the file.
//
// Workers copy into rings of their own, and one thread, which the engine runs, moves what the rings hold into the file.
// A full ring or disk loses packets from the file; both are counted, in the file's last blocks and in the log.
// Thread: create(), capture() and the destructor: control; write_out(): the writing thread.
#pragma once
#include "base/descriptor.h"
#include "packet_io/capture_ring.h"
#include <tideway/packet_io.h>

#include <memory>
#include <string>
#include <vector>

namespace tideway::packet_io {

struct CaptureConfig {
  std::string file;
  Time (*clock)() = nullptr;
  Duration utc_offset{};  // from that clock to time since 1970
  size_t records = CaptureRing::kRecordsDefault;  // of each worker's ring
};

class CaptureFile {
 public:
  // Makes the file, with mode 0600, or begins a capture of ours anew. Anything else that has the name is left alone: a
  // link, a device, somebody else's file, one that is no capture. Errors: config_invalid.
  static Result<std::unique_ptr<CaptureFile>> create(const CaptureConfig& config, uint32_t workers);
  ~CaptureFile();  // when the workers and the writing thread have ended: moves the rest, and says what was lost
  CaptureFile(const CaptureFile&) = delete;
  CaptureFile& operator=(const CaptureFile&) = delete;

  // From now on what `inner`, of this worker, sends and receives is captured. Once for each worker.
  std::unique_ptr<PacketIo> capture(uint32_t worker, std::unique_ptr<PacketIo> inner);

  // One round over the rings. False: they were empty.
  bool write_out();

 private:
  CaptureFile(const CaptureConfig& config, Descriptor fd, uint32_t workers);
  void write_headers();
  void write(uint32_t interface, const CapturedPacket& packet);
  void make_room(size_t size);
  void flush();

  const CaptureConfig config_;
  Descriptor fd_;
  std::vector<std::shared_ptr<CaptureRing>> rings_;
  std::vector<std::byte> memory_;
  Writer out_;
  std::vector<uint64_t> packets_;  // by interface: taken from its ring
  uint64_t waiting_ = 0;           // of these, in `out_`
  uint64_t unwritten_ = 0;         // of these, not in the file and never will be
  uint64_t file_size_ = 0;         // up to the last whole block
  bool has_failed_ = false;        // the disk: nothing is written any more
};

}  // namespace tideway::packet_io
