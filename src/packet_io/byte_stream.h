// SPDX-License-Identifier: Apache-2.0
//
// A connection that carries bytes in order and resends what is lost by itself, as one worker drives it: nothing here waits.
// Thread: net worker, once it was handed over.
#pragma once
#include <cstddef>
#include <span>

namespace tideway::packet_io {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Takes a prefix and returns its length. It leaves with this or a later flush().
  virtual size_t write(std::span<const std::byte> bytes) = 0;
  // Gives the kernel as much of what was written as it takes.
  virtual void flush() = 0;
  // Fills a prefix of `out`. Zero: nothing has come yet, or nothing ever will.
  virtual size_t read(std::span<std::byte> out) = 0;

  virtual bool has_output() const = 0;  // something waits for the socket
  virtual bool is_broken() const = 0;   // for good, in either direction
  virtual int fd() const = 0;           // to wait for
};

}  // namespace tideway::packet_io
