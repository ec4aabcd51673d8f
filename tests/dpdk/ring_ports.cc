// SPDX-License-Identifier: Apache-2.0
#include "dpdk/ring_ports.h"

#include "packet_io/dpdk_args.h"
#include "packet_io/dpdk_eal.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace tideway {
namespace {

Time clock_now{std::chrono::seconds(1'000)};

}  // namespace

Time TestClock::now() { return clock_now += std::chrono::microseconds(100); }
void TestClock::advance(Duration by) { clock_now += by; }

void start_test_eal() {
  packet_io::DpdkConfig config;
  config.eal_args = packet_io::eal_args_for_memory();
  config.file_prefix = "tideway-selftest";  // whose EAL has to be the same
  Status status = success();
  std::thread([&] { status = packet_io::start_eal(config); }).join();
  ASSERT_TRUE(status.ok()) << status.error().what << '\n' << status.error().next << '\n' << packet_io::eal_log();
}

packet_io::DpdkPortConfig port_config(int host, Bytes mtu) {
  packet_io::DpdkPortConfig config;
  config.addresses = {ip::Prefix::parse("10.0.0." + std::to_string(host) + "/24").value(),
                      ip::Prefix::parse("fd00::" + std::to_string(host) + "/64").value()};
  config.mtu = mtu;
  return config;
}

RingPorts make_ring_ports(const packet_io::DpdkPortConfig& a, const packet_io::DpdkPortConfig& b, uint32_t slots) {
  start_test_eal();
  RingPorts ports;
  ports.pair = packet_io::DpdkRingPair::create({a, b}, {.slots = slots}).value();
  ports.a = packet_io::DpdkPacketIo::create({ports.pair->a(), 0, TestClock::now}).value();
  ports.b = packet_io::DpdkPacketIo::create({ports.pair->b(), 0, TestClock::now}).value();
  return ports;
}

void RingPorts::settle() {
  std::array<Packet, kBurstMax> burst;
  for (int turn = 0; turn < 100; ++turn)
    for (packet_io::DpdkPacketIo* io : {a.get(), b.get()})
      for (Packet& packet : std::span(burst).first(io->receive(burst))) packet.reset();
}

}  // namespace tideway
