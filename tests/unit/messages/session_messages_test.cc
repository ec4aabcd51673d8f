// SPDX-License-Identifier: Apache-2.0
#include "messages/session_messages.h"

#include "unit/messages/examples.h"

namespace tideway::messages {
namespace {

template <typename Message>
void expect_refused(const Result<Message>& result, std::string_view field) {
  ASSERT_FALSE(result.ok()) << field;
  EXPECT_EQ(result.error().fault, Fault::kProtocolError);
  EXPECT_NE(result.error().what.find(field), std::string::npos) << result.error().what;
}

// Serializes what a change made of a good message, and expects parse to name the field.
void expect_hello_refused(std::string_view field, void (*change)(Hello&)) {
  Hello hello = example_hello();
  change(hello);
  expect_refused(parse_hello(body_of(serialize(hello))), field);
}
void expect_lanes_refused(std::string_view field, void (*change)(Lanes&)) {
  Lanes lanes = example_lanes();
  change(lanes);
  expect_refused(parse_lanes(body_of(serialize(lanes))), field);
}
void expect_error_refused(std::string_view field, void (*change)(PeerError&)) {
  PeerError error = example_error();
  change(error);
  expect_refused(parse_error(body_of(serialize(error))), field);
}

TEST(Hello, ComesBackAsItWas) {
  EXPECT_EQ(parse_hello(body_of(serialize(example_hello()))).value(), example_hello());
}

TEST(Hello, NumbersOfANewerVersionAreLeftOut) {
  Hello hello = example_hello();
  hello.codecs.push_back(static_cast<CodecId>(77));
  hello.aeads.push_back(static_cast<AeadId>(9));
  hello.verify_levels.push_back(static_cast<VerifyLevel>(40));
  EXPECT_EQ(parse_hello(body_of(serialize(hello))).value(), example_hello());
}

TEST(Hello, TheLongestListsFit) {
  Hello hello = example_hello();
  hello.versions.resize(kVersionsMax, 65'535);
  hello.features.assign(kFeaturesMax, std::string(kWordMax, 'z'));
  hello.codecs.resize(kNumbersMax, CodecId::kZstd);
  EXPECT_EQ(parse_hello(body_of(serialize(hello))).value(), hello);
}

TEST(Hello, EveryFieldIsChecked) {
  expect_hello_refused("versions", [](Hello& hello) { hello.versions.clear(); });
  expect_hello_refused("versions", [](Hello& hello) { hello.versions.resize(17, 1); });
  expect_hello_refused("features", [](Hello& hello) { hello.features.resize(65, "x"); });
  expect_hello_refused("features", [](Hello& hello) { hello.features = {"Upper"}; });
  expect_hello_refused("features", [](Hello& hello) { hello.features = {""}; });
  expect_hello_refused("features", [](Hello& hello) { hello.features = {std::string(65, 'a')}; });
  expect_hello_refused("blocks_max", [](Hello& hello) { hello.blocks_max = 0; });
  expect_hello_refused("segments_max", [](Hello& hello) { hello.segments_max = 0; });
  expect_hello_refused("flows_max", [](Hello& hello) { hello.flows_max = 0; });
  expect_hello_refused("transfers_max", [](Hello& hello) { hello.transfers_max = 0; });
  expect_hello_refused("mtu_max", [](Hello& hello) { hello.mtu_max = 0; });
  expect_hello_refused("credit_unit", [](Hello& hello) { hello.credit_unit = 0; });
  expect_hello_refused("net_workers", [](Hello& hello) { hello.net_workers = 0; });
  expect_hello_refused("codecs", [](Hello& hello) { hello.codecs.clear(); });
  expect_hello_refused("codecs", [](Hello& hello) { hello.codecs.resize(33, CodecId::kRaw); });
  expect_hello_refused("aeads", [](Hello& hello) { hello.aeads.clear(); });
  expect_hello_refused("verify_levels", [](Hello& hello) { hello.verify_levels = {static_cast<VerifyLevel>(9)}; });
  expect_hello_refused("backend", [](Hello& hello) { hello.backend = "u d p"; });
}

TEST(Hello, AnythingElseIsRefused) {
  expect_refused(parse_hello({}), "versions");
  expect_refused(parse_hello(body_of("not a protobuf")), "body");
  expect_refused(parse_hello(body_of(std::string((16 << 10) + 1, 'a'))), "too long");
  std::string no_random = serialize(example_hello());
  no_random.replace(no_random.find("\x1A\x10"), 2, "\x22\x10");  // field 3 becomes 4
  EXPECT_FALSE(parse_hello(body_of(no_random)).ok());
}

TEST(Hello, ABodyOfManySmallFieldsIsRefusedBeforeItGrowsInMemory) {
  std::string body;
  while (body.size() + 2 <= (16 << 10)) body += std::string("\x12\0", 2);  // empty features
  expect_refused(parse_hello(body_of(body)), "too many fields");
  std::string page;
  while (page.size() + 2 <= (1 << 20)) page += std::string("\x3A\0", 2);  // empty sources of OpenTransfer
  expect_refused(parse_open_transfer(body_of(page)), "too many fields");
}

TEST(Lanes, ComeBackAsTheyWere) {
  EXPECT_EQ(parse_lanes(body_of(serialize(example_lanes()))).value(), example_lanes());
}

TEST(Lanes, EveryFieldIsChecked) {
  expect_lanes_refused("lanes", [](Lanes& lanes) { lanes.lanes.clear(); });
  expect_lanes_refused("lane.flows", [](Lanes& lanes) { lanes.lanes[1].flows.clear(); });
  expect_lanes_refused("lane.id", [](Lanes& lanes) { lanes.lanes[1].id = LaneId(0); });
  expect_lanes_refused("flow.id", [](Lanes& lanes) { lanes.lanes[1].flows[0].id = FlowId(2); });
  expect_lanes_refused("flow.port", [](Lanes& lanes) { lanes.lanes[0].flows[1].address.port = 0; });
  expect_lanes_refused("initial_payload", [](Lanes& lanes) { lanes.lanes[0].flows[1].initial_payload = 511; });
  expect_lanes_refused("initial_payload", [](Lanes& lanes) { lanes.lanes[0].flows[1].initial_payload = 16'385; });
  expect_lanes_refused("fields", [](Lanes& lanes) { lanes.lanes.resize(65, lanes.lanes[0]); });
}

TEST(Lanes, TheMostFlowsFitAndOneMoreIsRefused) {
  Lanes lanes;
  lanes.lanes.resize(kLanesMax);
  uint16_t flow = 0;
  for (uint16_t i = 0; i < kLanesMax; ++i) {
    lanes.lanes[i].id = LaneId(i);
    for (size_t j = 0; j < kFlowsMax / kLanesMax; ++j)
      lanes.lanes[i].flows.push_back({FlowId(static_cast<uint16_t>(~flow++)), ConnectionId(UINT64_MAX),
                                      Endpoint::parse("[ffff::1]:65535").value(), kPayloadMax});
  }
  EXPECT_EQ(parse_lanes(body_of(serialize(lanes))).value(), lanes);
  lanes.lanes[0].flows.push_back({FlowId(1), {}, Endpoint{.port = 1}, kPayloadMin});
  expect_refused(parse_lanes(body_of(serialize(lanes))), "lane.flows");
}

TEST(KeepAlive, AndItsReplyComeBackAsTheyWere) {
  EXPECT_EQ(parse_keep_alive(body_of(serialize(KeepAlive{UINT64_MAX}))).value(), KeepAlive{UINT64_MAX});
  EXPECT_EQ(parse_keep_alive_reply(body_of(serialize(KeepAliveReply{0}))).value(), KeepAliveReply{0});
  expect_refused(parse_keep_alive(body_of("\x08")), "KeepAlive: body");
  expect_refused(parse_keep_alive_reply(body_of("\x08")), "KeepAliveReply: body");
}

TEST(Goodbye, ComesBackAsItWasWithOrWithoutAReason) {
  for (const Goodbye& goodbye : {Goodbye{"overloaded", "restart", 10'000}, Goodbye{}})
    EXPECT_EQ(parse_goodbye(body_of(serialize(goodbye))).value(), goodbye);
  expect_refused(parse_goodbye(body_of(serialize(Goodbye{"Two Words", "", 0}))), "code");
}

TEST(PeerError, ComesBackAsItWas) {
  const PeerError of_session{"protocol_error", Reaction::kSessionEnds, "", {}, {}, 0};
  EXPECT_EQ(parse_error(body_of(serialize(example_error()))).value(), example_error());
  EXPECT_EQ(parse_error(body_of(serialize(of_session))).value(), of_session);
}

TEST(PeerError, DetailIsEscapedAndCutWhereItIsMade) {
  PeerError error = example_error();
  error.detail = "bad \x1B[31m name \xC3\xA9";
  EXPECT_EQ(parse_error(body_of(serialize(error))).value().detail, "bad \\x1b[31m name \xC3\xA9");
  error.detail = std::string(511, 'a') + "\xC3\xA9";
  EXPECT_EQ(parse_error(body_of(serialize(error))).value().detail, std::string(511, 'a')) << "not half a character";
}

TEST(PeerError, DetailThatWasNotEscapedIsRefused) {
  std::string body = serialize(example_error());
  body[body.find("GiB")] = '\x1B';
  expect_refused(parse_error(body_of(body)), "detail");
}

TEST(PeerError, EveryFieldIsChecked) {
  expect_error_refused("code", [](PeerError& error) { error.code.clear(); });
  expect_error_refused("reaction", [](PeerError& error) { error.reaction = static_cast<Reaction>(0); });
  expect_error_refused("reaction", [](PeerError& error) { error.reaction = static_cast<Reaction>(5); });
  expect_error_refused("transfer", [](PeerError& error) { error.transfer.reset(); error.object.reset(); });
  expect_error_refused("object", [](PeerError& error) { error.transfer.reset(); });
}

TEST(PhaseNotice, EveryFieldIsChecked) {
  const PhaseNotice good{.training = 7, .kind = PhaseNotice::Kind::kEnd, .age_us = kPhaseTimeMax, .duration_us = 1, .period_us = 2, .jitter_us = 3, .ttl_us = 4, .bytes = 5};
  EXPECT_EQ(parse_phase_notice(body_of(serialize(good))).value(), good);
  const auto refused = [&](std::string_view field, void (*change)(PhaseNotice&)) {
    PhaseNotice notice = good;
    change(notice);
    expect_refused(parse_phase_notice(body_of(serialize(notice))), field);
  };
  refused("training", [](PhaseNotice& notice) { notice.training = 0; });
  refused("kind", [](PhaseNotice& notice) { notice.kind = static_cast<PhaseNotice::Kind>(3); });
  refused("age_us", [](PhaseNotice& notice) { notice.age_us = kPhaseTimeMax + 1; });
  refused("duration_us", [](PhaseNotice& notice) { notice.duration_us = kPhaseTimeMax + 1; });
  refused("period_us", [](PhaseNotice& notice) { notice.period_us = kPhaseTimeMax + 1; });
  refused("jitter_us", [](PhaseNotice& notice) { notice.jitter_us = kPhaseTimeMax + 1; });
  refused("ttl_us", [](PhaseNotice& notice) { notice.ttl_us = kPhaseTimeMax + 1; });
}

}  // namespace
}  // namespace tideway::messages
