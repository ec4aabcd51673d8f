// SPDX-License-Identifier: Apache-2.0
#include "messages/transfer_messages.h"

#include "unit/messages/examples.h"

#include <functional>

namespace tideway::messages {
namespace {

template <typename Message>
using Parse = Result<Message> (*)(Body);

template <typename Message>
void expect_back(const Message& message, Parse<Message> parse) {
  const auto parsed = parse(body_of(serialize(message)));
  ASSERT_TRUE(parsed.ok()) << parsed.error().what;
  EXPECT_EQ(parsed.value(), message);
}

template <typename Message>
void expect_refused(Message message, Parse<Message> parse, std::string_view field,
                    const std::function<void(Message&)>& change) {
  change(message);
  const auto parsed = parse(body_of(serialize(message)));
  ASSERT_FALSE(parsed.ok()) << field;
  EXPECT_EQ(parsed.error().fault, Fault::kProtocolError);
  EXPECT_NE(parsed.error().what.find(field), std::string::npos) << parsed.error().what;
}

void expect_push_refused(std::string_view field, const std::function<void(OpenTransfer&)>& change) {
  expect_refused<OpenTransfer>(example_push(), parse_open_transfer, field, change);
}
void expect_pull_refused(std::string_view field, const std::function<void(OpenTransfer&)>& change) {
  expect_refused<OpenTransfer>(example_pull(), parse_open_transfer, field, change);
}

TEST(OpenTransfer, ComesBackAsItWas) {
  expect_back(example_push(), parse_open_transfer);
  expect_back(example_pull(), parse_open_transfer);
  expect_back(example_list(), parse_open_transfer);
}

TEST(OpenTransfer, EveryFieldIsChecked) {
  expect_push_refused("job", [](OpenTransfer& open) { open.job = "a\nb"; });
  expect_push_refused("options.last", [](OpenTransfer& open) { open.options.last = {""}; });
  expect_push_refused("options.last", [](OpenTransfer& open) { open.options.last = std::vector<std::string>(65, "a"); });
  expect_push_refused("job", [](OpenTransfer& open) { open.job = std::string(129, 'a'); });
  expect_push_refused("direction", [](OpenTransfer& open) { open.direction = static_cast<Direction>(4); });
  expect_push_refused("root", [](OpenTransfer& open) { open.root = ""; });
  expect_push_refused("root", [](OpenTransfer& open) { open.root = "a/b"; });
  expect_push_refused("destination", [](OpenTransfer& open) { open.destination = static_cast<DestinationForm>(3); });
  expect_push_refused("options.publish",
                      [](OpenTransfer& open) { open.options.publish = static_cast<PublishForm>(0); });
  expect_push_refused("options.overwrite",
                      [](OpenTransfer& open) { open.options.overwrite = static_cast<Overwrite>(4); });
  expect_push_refused("options.verify", [](OpenTransfer& open) { open.options.verify = static_cast<VerifyLevel>(4); });
  expect_push_refused("options.compress",
                      [](OpenTransfer& open) { open.options.compress = static_cast<CompressMode>(9); });
  expect_push_refused("options.level", [](OpenTransfer& open) { open.options.level = 20; });
  expect_push_refused("options.level", [](OpenTransfer& open) { open.options.compress = CompressMode::kOff; });
  expect_push_refused("transfer_class", [](OpenTransfer& open) { open.transfer_class = ""; });
  expect_push_refused("filter.kind", [](OpenTransfer& open) { open.filters[0].kind = static_cast<FilterKind>(3); });
  expect_push_refused("filter.pattern", [](OpenTransfer& open) { open.filters[1].pattern = ""; });
  expect_push_refused("filter.pattern", [](OpenTransfer& open) { open.filters[1].pattern = std::string("a\0b", 3); });
  expect_push_refused("filters", [](OpenTransfer& open) { open.filters.resize(1025, {FilterKind::kInclude, "x"}); });
  expect_push_refused("first_page", [](OpenTransfer& open) { open.first_page->entries[1].name = ".."; });
  expect_push_refused("first_page", [](OpenTransfer& open) { open.first_page->transfer[0] = std::byte{9}; });
  expect_push_refused("sink", [](OpenTransfer& open) { open.sink = {SlotId(1), 1}; });
  expect_push_refused("everything_needed", [](OpenTransfer& open) { open.everything_needed = true; });
  expect_push_refused("sources", [](OpenTransfer& open) { open.sources = {ObjectName(), ObjectName()}; });
  expect_push_refused("sources", [](OpenTransfer& open) { open.sources = {ObjectName()}; });  // it has no last name
  expect_push_refused("depth", [](OpenTransfer& open) { open.depth = 1; });
  expect_pull_refused("depth", [](OpenTransfer& open) { open.depth = 1; });
  expect_pull_refused("first_page", [](OpenTransfer& open) { open.first_page = example_page(); });
  expect_pull_refused("sources", [](OpenTransfer& open) { open.sources.resize(4097); });
}

TEST(OpenTransfer, NamesThatClimbOrHideASlashAreRefused) {
  for (const std::string component : {"..", "a/b", "."}) {
    const std::string stand_in(component.size(), 'q');
    OpenTransfer open = example_push();
    open.name = ObjectName().child(stand_in).value();
    std::string body = serialize(open);
    const size_t at = body.find(static_cast<char>(component.size()) + stand_in);
    ASSERT_NE(at, body.npos);
    body.replace(at + 1, component.size(), component);
    const auto parsed = parse_open_transfer(body_of(body));
    ASSERT_FALSE(parsed.ok()) << component;
    EXPECT_NE(parsed.error().what.find("OpenTransfer: name"), std::string::npos) << parsed.error().what;
  }
}

TEST(OpenTransfer, ANameCutOffIsRefused) {
  OpenTransfer open = example_push();
  open.name = name_of_path("qqqq");
  std::string body = serialize(open);
  body[body.find("\x04qqqq")] = '\x05';
  EXPECT_FALSE(parse_open_transfer(body_of(body)).ok());
}

TEST(OpenTransfer, ThePathOfTheMostAndLongestComponentsComesBack) {
  OpenTransfer open = example_pull();
  open.name = ObjectName::from_components(std::vector<std::string>(128, std::string(255, 'x'))).value();
  open.sources = {ObjectName::from_components(std::vector<std::string>(256, "\xFF")).value()};
  expect_back(open, parse_open_transfer);
}

TEST(TransferAccepted, ComesBackAsItWasAndIsChecked) {
  const TransferAccepted accepted{kTransfer, SlotId(65'535), 1ULL << 40, true, name_of_path("a/b"),
                                  PublishForm::kMarker};
  expect_back(accepted, parse_transfer_accepted);
  expect_refused<TransferAccepted>(accepted, parse_transfer_accepted, "publish",
                                   [](TransferAccepted& message) { message.publish = PublishForm::kAuto; });
}

TEST(Needs, ComesBackAsItWasAndIsChecked) {
  expect_back(Needs{kTransfer, 7, NeedsKind::kAll, {}}, parse_needs);
  expect_back(Needs{kTransfer, 7, NeedsKind::kNone, {}}, parse_needs);
  const Needs all_but{kTransfer, 7, NeedsKind::kAllBut, {ObjectId(0), ObjectId(5), ObjectId(UINT32_MAX)}};
  expect_back(all_but, parse_needs);
  using Change = std::function<void(Needs&)>;
  const std::pair<const char*, Change> changes[] = {
      {"kind", [](Needs& needs) { needs.kind = static_cast<NeedsKind>(4); }},
      {"kept", [](Needs& needs) { needs.kept.clear(); }},
      {"kept", [](Needs& needs) { needs.kind = NeedsKind::kAll; }},
      {"ascending", [](Needs& needs) { std::swap(needs.kept[0], needs.kept[1]); }},
      {"ascending", [](Needs& needs) { needs.kept[1] = needs.kept[0]; }},
      {"kept", [](Needs& needs) { needs.kept.resize(4097); }}};
  for (const auto& [field, change] : changes) expect_refused<Needs>(all_but, parse_needs, field, change);
}

TEST(Needs, TheLongestListFits) {
  Needs needs{kTransfer, UINT32_MAX, NeedsKind::kAllBut, {}};
  for (uint32_t i = 0; i < kEntriesPerPageMax; ++i) needs.kept.push_back(ObjectId(UINT32_MAX - 4096 + i));
  expect_back(needs, parse_needs);
}

TEST(ManifestEnd, ComesBackAsItWasAndIsChecked) {
  expect_back(ManifestEnd{kTransfer, 1ULL << 32, Bytes::max(), UINT64_MAX}, parse_manifest_end);
  expect_refused<ManifestEnd>({kTransfer, 1, 1_B}, parse_manifest_end, "entries",
                              [](ManifestEnd& end) { end.entries = (1ULL << 32) + 1; });
}

TEST(ObjectEnds, TheLongestListFitsAndEachIsChecked) {
  ObjectEnds ends{kTransfer, {}};
  for (uint32_t i = 0; i < kObjectEndsMax; ++i)
    ends.ends.push_back({ObjectId(UINT32_MAX - i), UINT32_MAX, Bytes(kFileSizeMax), kRoot});
  expect_back(ends, parse_object_ends);
  expect_refused<ObjectEnds>(ends, parse_object_ends, "ends", [](ObjectEnds& message) { message.ends.clear(); });
  expect_refused<ObjectEnds>(ends, parse_object_ends, "end.size",
                             [](ObjectEnds& message) { message.ends[3].size += 1_B; });
  std::string one_too_many = serialize(ObjectEnds{kTransfer, {ends.ends.begin(), ends.ends.begin() + 1}});
  for (int i = 0; i < 1024; ++i) one_too_many += std::string("\x12\0", 2);
  EXPECT_FALSE(parse_object_ends(body_of(one_too_many)).ok());
}

TEST(TransferRoot, ComesBackAsItWasAndIsChecked) {
  expect_back(TransferRoot{kTransfer, kRoot}, parse_transfer_root);
  EXPECT_FALSE(parse_transfer_root(body_of(serialize(PublishedAck{kTransfer}))).ok()) << "no root";
  TransferRoot root{kTransfer, kRoot, RootSignature{std::string(kSigningSiteMax, 'a'), {std::byte{1}}}};
  expect_back(root, parse_transfer_root);
  const std::string no_site = serialize(TransferRoot{kTransfer, kRoot}) + "\x22\x01x";
  EXPECT_FALSE(parse_transfer_root(body_of(no_site)).ok()) << "a signature of nobody, and too short";
  root.signature->site += 'a';
  EXPECT_FALSE(parse_transfer_root(body_of(serialize(root))).ok()) << "the name of its site is too long";
}

TEST(BlocksDelivered, ComesBackAsItWasAndIsChecked) {
  const BlocksDelivered delivered{kTransfer, {{BlockId(0), 1}, {BlockId(1), 5}, {BlockId(UINT32_MAX), 1}}};
  expect_back(delivered, parse_blocks_delivered);
  using Change = std::function<void(BlocksDelivered&)>;
  const std::pair<const char*, Change> changes[] = {
      {"ranges", [](BlocksDelivered& message) { message.ranges.clear(); }},
      {"ranges", [](BlocksDelivered& message) { message.ranges.resize(2049); }},
      {"range.count", [](BlocksDelivered& message) { message.ranges[1].count = 0; }},
      {"range.count", [](BlocksDelivered& message) { message.ranges[2].count = 2; }},
      {"range.first", [](BlocksDelivered& message) { message.ranges[1].first = BlockId(0); }}};
  for (const auto& [field, change] : changes)
    expect_refused<BlocksDelivered>(delivered, parse_blocks_delivered, field, change);
}

TEST(SegmentsRejected, ComesBackAsItWasAndIsChecked) {
  SegmentsRejected rejected{kTransfer, BlockId(8), {{ObjectId(5), 6}}, "hash_mismatch"};
  expect_back(rejected, parse_segments_rejected);
  expect_refused<SegmentsRejected>(rejected, parse_segments_rejected, "code",
                                   [](SegmentsRejected& message) { message.code = ""; });
  expect_refused<SegmentsRejected>(rejected, parse_segments_rejected, "segments",
                                   [](SegmentsRejected& message) { message.segments.resize(4097); });
  rejected.segments.assign(kRejectedMax, {ObjectId(UINT32_MAX), UINT32_MAX});
  expect_back(rejected, parse_segments_rejected);
  rejected.segments.clear();
  expect_back(rejected, parse_segments_rejected);
}

TEST(Durable, ComesBackAsItWas) {
  expect_back(Durable{kTransfer, {{0, 3}, {5, 1}, {UINT64_MAX - 1, 1}}, 10_GiB}, parse_durable);
  Durable longest{kTransfer, {}, Bytes::max()};
  for (size_t i = 0; i < kLeafRangesMax; ++i) longest.ranges.push_back({UINT64_MAX / 2 + 3 * i, 2});
  expect_back(longest, parse_durable);
  EXPECT_LE(serialize(longest).size(), body_max(MessageType::kDurable));
}

TEST(Durable, IsRefusedWhenItContradictsItself) {
  const Durable good{kTransfer, {{0, 3}, {5, 1}}, 10_GiB};
  EXPECT_TRUE(parse_durable(body_of(serialize(good))).ok()) << "else the bad ones are bad for another reason";
  const auto refused = [&](const std::string& field, const std::function<void(Durable&)>& spoil) {
    expect_refused<Durable>(good, parse_durable, field, spoil);
  };
  refused("ranges", [](Durable& durable) { durable.ranges.clear(); });
  refused("ranges", [](Durable& durable) { durable.ranges.assign(kLeafRangesMax + 1, {1, 1}); });
  refused("range.first", [](Durable& durable) { durable.ranges[1].first = 2; });
  refused("range.count", [](Durable& durable) { durable.ranges[0].count = 0; });
  refused("range.count", [](Durable& durable) { durable.ranges[1] = {UINT64_MAX, 1}; });
}

TEST(OpenTransfer, SaysWhatIsHashedAgainOnlyWhenAsked) {
  OpenTransfer open = example_push();
  const std::string before = serialize(open);
  for (const auto verify : {ResumeVerify::kAll, ResumeVerify::kNone}) {
    open.options.resume_verify = verify;
    expect_back(open, parse_open_transfer);
    EXPECT_NE(serialize(open), before);
  }
}

TEST(Published, AndItsAckComeBackAsTheyWere) {
  expect_back(Published{kTransfer, kRoot, 4096, 10_GiB}, parse_published);
  expect_back(PublishedAck{kTransfer}, parse_published_ack);
  EXPECT_FALSE(parse_published_ack({}).ok()) << "no transfer id";
}

TEST(ListRoots, ComesBackAsItWasAndIsPassedOverByNobody) {
  expect_back(ListRoots{kTransfer}, parse_list_roots);
  EXPECT_FALSE(parse_list_roots({}).ok()) << "no transfer id";
  EXPECT_TRUE(is_critical(MessageType::kListRoots)) << "whoever does not know it says so";
}

TEST(TransferClosed, AndCancelTransferComeBackAsTheyWere) {
  expect_back(CancelTransfer{kTransfer, "cancelled", true}, parse_cancel_transfer);
  expect_back(TransferClosed{kTransfer, "", false}, parse_transfer_closed);
  expect_refused<CancelTransfer>({kTransfer, "x", true}, parse_cancel_transfer, "code",
                                 [](CancelTransfer& cancel) { cancel.code = ""; });
}

TEST(Progress, ComesBackAsItWas) {
  expect_back(Progress{kTransfer, 3_GiB, 2_GiB, 1_GiB, "store"}, parse_progress);
  expect_back(Progress{kTransfer, {}, {}, {}, ""}, parse_progress);
}

TEST(ObjectsHeld, ComesBackAsItWas) {
  expect_back(example_held(), parse_objects_held);
  ObjectsHeld longest{kTransfer, 0, {}};
  longest.objects.push_back({ObjectId(1), UINT32_MAX - 4096, std::vector<Hash256>(31, kRoot), {{UINT32_MAX - 4090, std::vector<Hash128>(2048)}}});
  expect_back(longest, parse_objects_held);
}

TEST(ObjectsHeld, IsRefusedWhenItContradictsItself) {
  EXPECT_TRUE(parse_objects_held(body_of(serialize(example_held()))).ok()) << "else the bad ones are bad for another reason";
  const auto refused = [](const std::string& field, const std::function<void(ObjectsHeld&)>& spoil) {
    expect_refused<ObjectsHeld>(example_held(), parse_objects_held, field, spoil);
  };
  refused("objects", [](ObjectsHeld& held) { held.objects.clear(); });
  refused("object.object", [](ObjectsHeld& held) { held.objects[1].object = held.objects[0].object; });
  refused("object.tops", [](ObjectsHeld& held) { held.objects[0].tops.pop_back(); });
  refused("object.tops", [](ObjectsHeld& held) { held.objects[0].leaves = 4; });
  refused("run.hashes", [](ObjectsHeld& held) { held.objects[1].runs[0].hashes.clear(); });
  refused("run.first", [](ObjectsHeld& held) { held.objects[1].runs[1].first = 4; });
  refused("run.first", [](ObjectsHeld& held) { held.objects[1].runs[1].first = UINT32_MAX; });
  refused("object", [](ObjectsHeld& held) { held.objects[0] = {}; });
  refused("object.run", [](ObjectsHeld& held) { held.objects[1].runs[1].hashes.resize(kHeldHashesMax); });
}

TEST(BaseLeaves, ComesBackAsItWas) {
  const BaseLeaves example{kTransfer, 7, {{ObjectId(1), 0, std::vector<Hash128>(3)}, {ObjectId(9), 12, std::vector<Hash128>(1)}}};
  expect_back(example, parse_base_leaves);
  BaseLeaves longest{kTransfer, UINT32_MAX, {}};
  for (uint32_t i = 0; i < kBaseRunsMax; ++i) longest.runs.push_back({ObjectId(UINT32_MAX - i), UINT32_MAX - 4, std::vector<Hash128>(2)});
  expect_back(longest, parse_base_leaves);
  const auto refused = [&](const std::string& field, const std::function<void(BaseLeaves&)>& spoil) {
    expect_refused<BaseLeaves>(example, parse_base_leaves, field, spoil);
  };
  refused("run", [](BaseLeaves& base) { base.runs.clear(); });
  refused("run", [](BaseLeaves& base) { base.runs[0].hashes.resize(kBaseHashesMax); });
  refused("run.hashes", [](BaseLeaves& base) { base.runs[1].hashes.clear(); });
  refused("run.first", [](BaseLeaves& base) { base.runs[0].first = UINT32_MAX - 1; });
}

TEST(SameLeaves, ComesBackAsItWas) {
  const SameLeaves example{kTransfer, BlockId(5), {{ObjectId(1), 2, 4 << 20, {}}, {ObjectId(3), 0, 1, {}}}};
  expect_back(example, parse_same_leaves);
  SameLeaves longest{kTransfer, BlockId(UINT32_MAX), {}};
  for (uint32_t i = 0; i < kSameLeavesMax; ++i) longest.leaves.push_back({ObjectId(UINT32_MAX - i), UINT32_MAX - i, 4 << 20, {}});
  expect_back(longest, parse_same_leaves);
  expect_refused<SameLeaves>(example, parse_same_leaves, "leaf", [](SameLeaves& same) { same.leaves.clear(); });
  expect_refused<SameLeaves>(example, parse_same_leaves, "leaf.length", [](SameLeaves& same) { same.leaves[0].length = 0; });
  expect_refused<SameLeaves>(example, parse_same_leaves, "leaf.length", [](SameLeaves& same) { same.leaves[1].length = (4 << 20) + 1; });
}

TEST(RemoveTree, ComesBackAsItWasAndNamesNoRoot) {
  const RemoveTree example{kTransfer, "ckpt", name_of_path("runs/llm7/step-100"), kRoot};
  expect_back(example, parse_remove_tree);
  expect_refused<RemoveTree>(example, parse_remove_tree, "name", [](RemoveTree& remove) { remove.name = ObjectName(); });
  expect_refused<RemoveTree>(example, parse_remove_tree, "root", [](RemoveTree& remove) { remove.root = "a/b"; });
}

}  // namespace
}  // namespace tideway::messages
