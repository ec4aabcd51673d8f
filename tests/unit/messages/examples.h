// SPDX-License-Identifier: Apache-2.0
//
// One message of each type with every field set, as in docs/vectors/control_messages.txt.
#pragma once
#include "messages/transfer_messages.h"
#include "support/manifest_entries.h"
#include "support/vectors.h"

namespace tideway::messages {

inline Body body_of(const std::string& text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(Body body) { return {reinterpret_cast<const char*>(body.data()), body.size()}; }

template <size_t kSize>
std::array<std::byte, kSize> counted(uint8_t first) {
  std::array<std::byte, kSize> bytes;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(first++);
  return bytes;
}
inline const TransferId kTransfer = counted<16>(0x40);
inline const Hash256 kRoot = counted<32>(0x80);

inline ObjectName name_of_path(const char* path) { return ObjectName::from_text(path).value(); }

inline Hello example_hello() {
  Hello hello;
  hello.versions = {1, 2};
  hello.features = {"alpha", "b_2.c-d"};
  hello.random = counted<16>(0x10);
  hello.instance_id = 0x0102030405060708;
  hello.blocks_max = 256;
  hello.segments_max = 4096;
  hello.flows_max = 64;
  hello.transfers_max = 16;
  hello.mtu_max = 9000;
  hello.credit_unit = 4'325'376;
  hello.codecs = {CodecId::kRaw, CodecId::kZstd};
  hello.aeads = {AeadId::kAes256Gcm};
  hello.verify_levels = {VerifyLevel::kWire, VerifyLevel::kMemory, VerifyLevel::kReadback};
  hello.backend = "udp";
  hello.net_workers = 1;
  return hello;
}

inline Lanes example_lanes() {
  Lanes lanes;
  lanes.lanes = {
      {LaneId(0),
       {{FlowId(1), ConnectionId(0x1122334455667788), Endpoint::parse("10.0.0.1:7401").value(), 1232},
        {FlowId(2), ConnectionId(2), Endpoint{.port = 7402}, 1232}}},
      {LaneId(5), {{FlowId(65'535), ConnectionId(3), Endpoint::parse("[fd00::1]:7403").value(), 8952}}}};
  return lanes;
}

inline PeerError example_error() {
  return {"dest_full", Reaction::kTransferWaits, "3.1 GiB short below root ckpt", kTransfer, ObjectId(0), 5000};
}

using test::entry_of;

// A directory, an 8 MiB + 1 file whose name is not UTF-8, an empty file from before 1970, and a link.
inline ManifestPage example_page() {
  ManifestPage page{.transfer = kTransfer, .page = 0, .entries = {}};
  page.entries = {entry_of(0, 0, ""), entry_of(1, 0, "a\xFF"), entry_of(2, 0, "b"), entry_of(3, 0, "c")};
  page.entries[0].type = EntryType::kDirectory;
  page.entries[0].mode = 0755;
  page.entries[1].size = Bytes((8 << 20) + 1);
  page.entries[1].version = 0x0102030405060708;
  page.entries[2].first_leaf = page.entries[3].first_leaf = 3;
  page.entries[2].mtime_ns = -1;
  page.entries[3].type = EntryType::kSymlink;
  page.entries[3].mode = 0777;
  page.entries[3].link_target = "../x";
  page.skipped = {{"special_file", "\"pipe\" is a FIFO"}};
  return page;
}

inline ObjectsHeld example_held() {
  return {kTransfer, 7, {{ObjectId(1), 3, {kRoot, kRoot}, {}}, {ObjectId(500), 0, {}, {{2, {{}, {}}}, {9, {{}}}}}}};
}

inline OpenTransfer example_push() {
  OpenTransfer open;
  open.transfer = kTransfer;
  open.job = "7b1e";
  open.lease_epoch = 3;
  open.direction = Direction::kPush;
  open.root = "ckpt";
  open.name = name_of_path("runs/llm7");
  open.destination = DestinationForm::kIntoDirectory;
  open.options = {PublishForm::kRename, Overwrite::kIfOlder, VerifyLevel::kReadback, CompressMode::kZstd, 3, true};
  open.options.last = {"DONE", "latest*"};
  open.transfer_class = "best-effort";
  open.filters = {{FilterKind::kExclude, "*.tmp"}, {FilterKind::kInclude, "*"}};
  open.first_page = example_page();
  return open;
}

inline OpenTransfer example_pull() {
  OpenTransfer open;
  open.transfer = kTransfer;
  open.direction = Direction::kPull;
  open.root = "Data-1";
  open.sources = {name_of_path("a"), name_of_path("b/c")};
  open.transfer_class = "restore";
  open.sink = {SlotId(9), 64 << 20};
  open.everything_needed = true;
  return open;
}

inline OpenTransfer example_list() {
  OpenTransfer open;
  open.transfer = kTransfer;
  open.direction = Direction::kList;
  open.root = "ckpt";
  open.name = name_of_path("runs");
  open.transfer_class = "best-effort";
  open.depth = 1;
  return open;
}

}  // namespace tideway::messages
