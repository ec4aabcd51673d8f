// SPDX-License-Identifier: Apache-2.0
#include "session/hello.h"

#include "crypto/random_bytes.h"
#include "transfer/block_builder.h"

#include <algorithm>

namespace tideway::session {
namespace {

// Random once per process: tells a peer that restarted from one that reconnected.
uint64_t instance_id() {
  static const uint64_t id = [] {
    uint64_t value = 0;
    crypto::random_bytes(std::as_writable_bytes(std::span(&value, 1)));
    return value | 1;
  }();
  return id;
}

std::string listed(const std::vector<uint16_t>& versions) {
  std::string text;
  for (const uint16_t version : versions) text += (text.empty() ? "" : ", ") + std::to_string(version);
  return text;
}

}  // namespace

messages::Hello make_hello(const crypto::HelloRandom& random, const HelloEngine& engine) {
  messages::Hello hello;
  hello.versions = {kProtocolVersion};
  hello.random = random;
  hello.instance_id = instance_id();
  hello.blocks_max = engine.buffers_receiving;
  hello.segments_max = transfer::kSegmentsMax;
  hello.flows_max = kFlowsMax;
  hello.transfers_max = kTransfersMax;
  hello.mtu_max = 9000;
  hello.credit_unit = kCreditUnit;
  hello.codecs = {CodecId::kRaw, CodecId::kZstd};
  hello.aeads = {messages::AeadId::kAes256Gcm};
  hello.verify_levels = {messages::VerifyLevel::kWire, messages::VerifyLevel::kMemory, messages::VerifyLevel::kReadback};
  hello.backend = engine.packet_backend;
  hello.net_workers = engine.net_workers;
  return hello;
}

Status check_compatible(const messages::Hello& ours, const messages::Hello& theirs) {
  const bool version_fits = std::any_of(theirs.versions.begin(), theirs.versions.end(), [&](uint16_t version) {
    return std::find(ours.versions.begin(), ours.versions.end(), version) != ours.versions.end();
  });
  if (!version_fits)
    return Error{Fault::kProtocolVersion,
                 "this gateway speaks protocol version " + listed(ours.versions) + ", the peer " + listed(theirs.versions),
                 "upgrade the older side"};
  const auto has = [](const auto& list, auto value) { return std::find(list.begin(), list.end(), value) != list.end(); };
  if (!has(theirs.codecs, CodecId::kRaw) || !has(theirs.codecs, CodecId::kZstd) ||
      !has(theirs.aeads, messages::AeadId::kAes256Gcm))
    return Error{Fault::kProtocolVersion, "the peer lacks a codec or cipher that protocol version 1 requires", "upgrade the peer"};
  return success();
}

crypto::FlowDirection FlowKeys::direction(Use use) const {
  const bool from_dialling = (side_ == Side::kDialling) == (use == Use::kSend);
  return from_dialling ? crypto::FlowDirection::kFromDialling : crypto::FlowDirection::kFromAccepting;
}

std::unique_ptr<Aead> FlowKeys::next_key(FlowId flow, Use use) {
  const auto found = secrets_.find({flow, use});
  if (found == secrets_.end()) {
    const auto first = secrets_.emplace(std::pair(flow, use), schedule_.first_secret(direction(use), flow)).first;
    return first->second.make_aead();
  }
  found->second = found->second.next();
  return found->second.make_aead();
}

KeyEpoch FlowKeys::next_epoch(FlowId flow, Use use) const {
  const auto found = secrets_.find({flow, use});
  return found == secrets_.end() ? KeyEpoch(0) : KeyEpoch(found->second.epoch().value() + 1);
}

}  // namespace tideway::session
