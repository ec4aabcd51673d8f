// SPDX-License-Identifier: Apache-2.0
#include "messages/session_messages.h"

#include "messages/field_check.h"

#include <control.pb.h>

namespace tideway::messages {
namespace {

// Versions, features, three lists of numbers and the rest. A stranger sends this, so it may cost little memory.
constexpr size_t kHelloFieldsMax = kVersionsMax + kFeaturesMax + 3 * kNumbersMax + 16;

template <typename T>
bool has_duplicate(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) != values.end();
}

// Keeps the numbers this version knows.
template <typename Enum, typename Numbers>
std::vector<Enum> known(const Numbers& numbers, Enum first, Enum last) {
  std::vector<Enum> kept;
  for (const uint32_t number : numbers)
    if (number >= static_cast<uint32_t>(first) && number <= static_cast<uint32_t>(last))
      kept.push_back(static_cast<Enum>(number));
  return kept;
}

void parse_abilities(const proto::Hello& in, FieldCheck& check, Hello& out) {
  const auto fits = [&](const auto& list, std::string_view field) {
    return check.require(static_cast<size_t>(list.size()) <= kNumbersMax, field, "has more than 32 values");
  };
  if (!fits(in.codec(), "codecs") || !fits(in.aead(), "aeads") || !fits(in.verify_level(), "verify_levels")) return;
  out.codecs = known(in.codec(), CodecId::kRaw, CodecId::kZstd);
  out.aeads = known(in.aead(), AeadId::kAes256Gcm, AeadId::kAes256Gcm);
  out.verify_levels = known(in.verify_level(), VerifyLevel::kWire, VerifyLevel::kReadback);
  check.require(!out.codecs.empty(), "codecs", "has none we know");
  check.require(!out.aeads.empty(), "aeads", "has none we know");
  check.require(!out.verify_levels.empty(), "verify_levels", "has none we know");
}

FlowOffer parse_flow(const proto::Flow& in, FieldCheck& check) {
  FlowOffer out;
  out.id = FlowId(check.narrow(in.id(), "flow.id"));
  out.connection = ConnectionId(in.connection_id());
  if (!in.address().empty()) check.copy(in.address(), out.address.address, "flow.address");
  out.address.port = check.narrow(in.port(), "flow.port");
  check.require(out.address.port != 0, "flow.port", "is not set");
  out.initial_payload = in.initial_payload();
  check.require(out.initial_payload >= kPayloadMin && out.initial_payload <= kPayloadMax, "flow.initial_payload",
                "is not within 512 to 16384");
  return out;
}

template <typename Message>
Result<Message> parse_counter(MessageType type, Body body) {
  FieldCheck check(type);
  proto::KeepAlive in;
  if (!check.read(body, in)) return check.take_failure();
  return Message{in.counter()};
}

std::string serialize_counter(MessageType type, uint64_t counter) {
  proto::KeepAlive out;
  out.set_counter(counter);
  return to_body(type, out);
}

}  // namespace

Result<Hello> parse_hello(Body body) {
  FieldCheck check(MessageType::kHello);
  proto::Hello in;
  if (!check.read(body, in, kHelloFieldsMax)) return check.take_failure();
  Hello out;
  check.require(in.version_size() >= 1 && static_cast<size_t>(in.version_size()) <= kVersionsMax, "versions",
                "has not 1 to 16 values");
  for (const uint32_t version : in.version()) out.versions.push_back(check.narrow(version, "versions"));
  check.require(static_cast<size_t>(in.feature_size()) <= kFeaturesMax, "features", "has more than 64 values");
  for (const std::string& feature : in.feature()) out.features.push_back(check.word(feature, "features"));
  check.copy(in.random(), out.random, "random");
  out.instance_id = in.instance_id();
  const auto limit = [&](auto value, std::string_view field) {
    check.require(value != 0, field, "is zero");
    return value;
  };
  out.blocks_max = limit(in.blocks_max(), "blocks_max");
  out.segments_max = limit(in.segments_max(), "segments_max");
  out.flows_max = limit(in.flows_max(), "flows_max");
  out.transfers_max = limit(in.transfers_max(), "transfers_max");
  out.mtu_max = limit(in.mtu_max(), "mtu_max");
  out.credit_unit = limit(in.credit_unit(), "credit_unit");
  out.net_workers = limit(in.net_workers(), "net_workers");
  parse_abilities(in, check, out);
  out.backend = check.word(in.backend(), "backend");
  return check.finish(std::move(out));
}

std::string serialize(const Hello& message) {
  proto::Hello out;
  for (const uint16_t version : message.versions) out.add_version(version);
  for (const std::string& feature : message.features) out.add_feature(feature);
  out.set_random(to_text(message.random));
  out.set_instance_id(message.instance_id);
  out.set_blocks_max(message.blocks_max);
  out.set_segments_max(message.segments_max);
  out.set_flows_max(message.flows_max);
  out.set_transfers_max(message.transfers_max);
  out.set_mtu_max(message.mtu_max);
  out.set_credit_unit(message.credit_unit);
  for (const CodecId codec : message.codecs) out.add_codec(static_cast<uint32_t>(codec));
  for (const AeadId aead : message.aeads) out.add_aead(static_cast<uint32_t>(aead));
  for (const VerifyLevel level : message.verify_levels) out.add_verify_level(static_cast<uint32_t>(level));
  out.set_backend(message.backend);
  out.set_net_workers(message.net_workers);
  return to_body(MessageType::kHello, out);
}

Result<Lanes> parse_lanes(Body body) {
  FieldCheck check(MessageType::kLanes);
  proto::Lanes in;
  if (!check.read(body, in, kLanesMax)) return check.take_failure();
  Lanes out;
  std::vector<LaneId> lanes;
  std::vector<FlowId> flows;
  check.require(in.lane_size() >= 1, "lanes", "has none");
  for (const proto::Lane& lane : in.lane()) {
    LaneOffer& offer = out.lanes.emplace_back();
    offer.id = LaneId(check.narrow(lane.id(), "lane.id"));
    lanes.push_back(offer.id);
    check.require(lane.flow_size() >= 1, "lane.flows", "has none");
    if (!check.require(flows.size() + static_cast<size_t>(lane.flow_size()) <= kFlowsMax, "lane.flows",
                       "has more than 1024 in all"))
      break;
    for (const proto::Flow& flow : lane.flow()) {
      offer.flows.push_back(parse_flow(flow, check));
      flows.push_back(offer.flows.back().id);
    }
  }
  if (check.require(in.delivery() <= static_cast<uint32_t>(Delivery::kStream), "delivery", "is not known"))
    out.delivery = static_cast<Delivery>(in.delivery());
  check.require(!has_duplicate(std::move(lanes)), "lane.id", "is used twice");
  check.require(!has_duplicate(std::move(flows)), "flow.id", "is used twice");
  return check.finish(std::move(out));
}

std::string serialize(const Lanes& message) {
  proto::Lanes out;
  out.set_delivery(static_cast<uint32_t>(message.delivery));
  for (const LaneOffer& lane : message.lanes) {
    proto::Lane& lane_out = *out.add_lane();
    lane_out.set_id(lane.id.value());
    for (const FlowOffer& flow : lane.flows) {
      proto::Flow& flow_out = *lane_out.add_flow();
      flow_out.set_id(flow.id.value());
      flow_out.set_connection_id(flow.connection.value());
      if (flow.address.address != Endpoint{}.address) flow_out.set_address(to_text(flow.address.address));
      flow_out.set_port(flow.address.port);
      flow_out.set_initial_payload(flow.initial_payload);
    }
  }
  return to_body(MessageType::kLanes, out);
}

Result<KeepAlive> parse_keep_alive(Body body) { return parse_counter<KeepAlive>(MessageType::kKeepAlive, body); }
Result<KeepAliveReply> parse_keep_alive_reply(Body body) {
  return parse_counter<KeepAliveReply>(MessageType::kKeepAliveReply, body);
}
std::string serialize(const KeepAlive& message) {
  return serialize_counter(MessageType::kKeepAlive, message.counter);
}
std::string serialize(const KeepAliveReply& message) {
  return serialize_counter(MessageType::kKeepAliveReply, message.counter);
}

Result<Goodbye> parse_goodbye(Body body) {
  FieldCheck check(MessageType::kGoodbye);
  proto::Goodbye in;
  if (!check.read(body, in)) return check.take_failure();
  Goodbye out;
  out.code = check.word(in.code(), "code", FieldCheck::Empty::kAllowed);
  out.detail = check.detail(in.detail(), "detail");
  out.drain_ms = in.drain_ms();
  return check.finish(std::move(out));
}

std::string serialize(const Goodbye& message) {
  proto::Goodbye out;
  out.set_code(message.code);
  out.set_detail(to_detail(message.detail));
  out.set_drain_ms(message.drain_ms);
  return to_body(MessageType::kGoodbye, out);
}

Result<PeerError> parse_error(Body body) {
  FieldCheck check(MessageType::kError);
  proto::Error in;
  if (!check.read(body, in)) return check.take_failure();
  PeerError out;
  out.code = check.word(in.code(), "code");
  out.reaction = check.choice(in.reaction(), Reaction::kSessionEnds, "reaction");
  out.detail = check.detail(in.detail(), "detail");
  if (!in.transfer().empty()) check.copy(in.transfer(), out.transfer.emplace(), "transfer");
  if (in.has_object()) {
    out.object = ObjectId(in.object());
    check.require(out.transfer.has_value(), "object", "comes without a transfer");
  }
  check.require(out.transfer || out.reaction == Reaction::kSessionEnds, "transfer", "is missing");
  out.retry_after_ms = in.retry_after_ms();
  return check.finish(std::move(out));
}

std::string serialize(const PeerError& message) {
  proto::Error out;
  out.set_code(message.code);
  out.set_reaction(static_cast<uint32_t>(message.reaction));
  out.set_detail(to_detail(message.detail));
  if (message.transfer) out.set_transfer(to_text(*message.transfer));
  if (message.object) out.set_object(message.object->value());
  out.set_retry_after_ms(message.retry_after_ms);
  return to_body(MessageType::kError, out);
}

Result<PhaseNotice> parse_phase_notice(Body body) {
  FieldCheck check(MessageType::kPhaseNotice);
  proto::PhaseNotice in;
  if (!check.read(body, in)) return check.take_failure();
  const auto time = [&](uint32_t value, std::string_view field) {
    check.require(value <= kPhaseTimeMax, field, "is above an hour");
    return value;
  };
  PhaseNotice out;
  out.training = in.training();
  check.require(out.training != 0, "training", "is missing");
  out.kind = check.choice(in.kind(), PhaseNotice::Kind::kEnd, "kind");
  out.age_us = time(in.age_us(), "age_us");
  out.duration_us = time(in.duration_us(), "duration_us");
  out.period_us = time(in.period_us(), "period_us");
  out.jitter_us = time(in.jitter_us(), "jitter_us");
  out.ttl_us = time(in.ttl_us(), "ttl_us");
  out.bytes = in.bytes();
  return check.finish(std::move(out));
}

std::string serialize(const PhaseNotice& message) {
  proto::PhaseNotice out;
  out.set_training(message.training);
  out.set_kind(static_cast<uint32_t>(message.kind));
  out.set_age_us(message.age_us);
  out.set_duration_us(message.duration_us);
  out.set_period_us(message.period_us);
  out.set_jitter_us(message.jitter_us);
  out.set_ttl_us(message.ttl_us);
  out.set_bytes(message.bytes);
  return to_body(MessageType::kPhaseNotice, out);
}

}  // namespace tideway::messages
