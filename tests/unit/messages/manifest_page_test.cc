// SPDX-License-Identifier: Apache-2.0
#include "messages/manifest_page.h"

#include "unit/messages/examples.h"

namespace tideway::messages {
namespace {

void expect_page_refused(std::string_view field, void (*change)(ManifestPage&)) {
  ManifestPage page = example_page();
  change(page);
  const auto parsed = parse_manifest_page(body_of(serialize(page)));
  ASSERT_FALSE(parsed.ok()) << field;
  EXPECT_EQ(parsed.error().fault, Fault::kProtocolError);
  EXPECT_NE(parsed.error().what.find(field), std::string::npos) << parsed.error().what;
}

TEST(ManifestPage, ComesBackAsItWas) {
  EXPECT_EQ(parse_manifest_page(body_of(serialize(example_page()))).value(), example_page());
}

TEST(ManifestPage, ALaterPageCountsOnFromItsFirstNumberAndLeaf) {
  ManifestPage page{.transfer = kTransfer, .page = 12, .entries = {entry_of(5000, 7, "x"), entry_of(5001, 7, "y")}};
  page.entries[0].first_leaf = 900;
  page.entries[0].size = 5_MiB;
  page.entries[1].first_leaf = 902;
  EXPECT_EQ(parse_manifest_page(body_of(serialize(page))).value(), page);
}

TEST(ManifestPage, EveryFieldIsChecked) {
  expect_page_refused("entry.parent", [](ManifestPage& page) { page.entries[0].parent = ObjectId(1); });
  expect_page_refused("entry.parent", [](ManifestPage& page) { page.entries[2].parent = ObjectId(2); });
  expect_page_refused("entry.name", [](ManifestPage& page) { page.entries[0].name = "x"; });
  for (const char* const name : {"", ".", "..", "a/b"}) {
    ManifestPage page = example_page();
    page.entries[1].name = name;
    EXPECT_FALSE(parse_manifest_page(body_of(serialize(page))).ok()) << name;
  }
  expect_page_refused("entry.name", [](ManifestPage& page) { page.entries[1].name = std::string(256, 'a'); });
  expect_page_refused("entry.name", [](ManifestPage& page) { page.entries[1].name = std::string("a\0", 2); });
  expect_page_refused("entry.type", [](ManifestPage& page) { page.entries[1].type = static_cast<EntryType>(3); });
  expect_page_refused("entry.size", [](ManifestPage& page) { page.entries[0].size = 1_B; });
  expect_page_refused("entry.size", [](ManifestPage& page) { page.entries[1].size = Bytes(kFileSizeMax + 1); });
  expect_page_refused("entry.mode", [](ManifestPage& page) { page.entries[1].mode = 04755; });
  expect_page_refused("entry.link_target", [](ManifestPage& page) { page.entries[1].link_target = "x"; });
  expect_page_refused("entry.link_target", [](ManifestPage& page) { page.entries[3].link_target = ""; });
  expect_page_refused("entry.link_target",
                      [](ManifestPage& page) { page.entries[3].link_target = std::string(4096, 'x'); });
  expect_page_refused("entry.link_target",
                      [](ManifestPage& page) { page.entries[3].link_target = std::string("a\0", 2); });
  expect_page_refused("skipped.code", [](ManifestPage& page) { page.skipped[0].code = ""; });
  expect_page_refused("skipped", [](ManifestPage& page) { page.skipped.resize(1001, page.skipped[0]); });
}

TEST(ManifestPage, NumbersThatWouldRunOverAreRefused) {
  ManifestPage page{.transfer = kTransfer, .page = 1, .entries = {entry_of(UINT32_MAX, 0, "a")}};
  EXPECT_TRUE(parse_manifest_page(body_of(serialize(page))).ok());
  page.entries.push_back(entry_of(0, 0, "b"));
  EXPECT_FALSE(parse_manifest_page(body_of(serialize(page))).ok());
  page.entries.pop_back();
  page.entries[0].first_leaf = UINT64_MAX;
  EXPECT_FALSE(parse_manifest_page(body_of(serialize(page))).ok());
}

TEST(ManifestPage, ABodyWithoutEntriesOrWithTooManyIsRefused) {
  std::string body = std::string("\x0A\x10", 2) + text_of(kTransfer);
  EXPECT_FALSE(parse_manifest_page(body_of(body)).ok());
  for (size_t i = 0; i < 4097; ++i) body += std::string("\x2A\0", 2);
  EXPECT_FALSE(parse_manifest_page(body_of(body)).ok());
}

TEST(PageBuilder, CutsAListIntoPagesThatCountOn) {
  PageBuilder builder(kTransfer);
  std::vector<ManifestEntry> listed, read;
  uint32_t pages = 0;
  const auto send = [&] {
    const std::string body = serialize(builder.take());
    EXPECT_LE(body.size(), kPageBytes + 8192) << "a page ends soon after 64 KiB";
    auto page = parse_manifest_page(body_of(body));
    ASSERT_TRUE(page.ok()) << page.error().what;
    EXPECT_EQ(page.value().page, pages++);
    EXPECT_EQ(page.value().transfer, kTransfer);
    for (ManifestEntry& entry : page.value().entries) read.push_back(std::move(entry));
  };
  for (uint32_t i = 0; i < 5000; ++i) {
    ManifestEntry entry = entry_of(i, 0, i == 0 ? "" : "name-" + std::string(i % 200, 'x') + std::to_string(i));
    if (i == 0) entry.type = EntryType::kDirectory;
    else entry.size = Bytes(i * 10'000);
    listed.push_back(entry);
    builder.add(std::move(entry));
    if (builder.is_full()) send();
  }
  if (!builder.is_empty()) send();
  EXPECT_TRUE(builder.is_empty());
  EXPECT_GT(pages, 5U);
  EXPECT_EQ(builder.entries(), 5000U);
  ASSERT_EQ(read.size(), listed.size());
  uint64_t leaves = 0;
  Bytes bytes;
  for (size_t i = 0; i < listed.size(); ++i) {
    listed[i].first_leaf = leaves;
    EXPECT_EQ(read[i], listed[i]);
    leaves += leaf_count(listed[i].size);
    bytes += listed[i].size;
  }
  EXPECT_EQ(builder.leaves(), leaves);
  EXPECT_EQ(builder.bytes(), bytes);
}

TEST(PageBuilder, APageOfTheShortestEntriesEndsAtItsMostEntries) {
  PageBuilder builder(kTransfer);
  uint32_t count = 0;
  for (; !builder.is_full(); ++count) builder.add(entry_of(count, 0, count == 0 ? "" : "a"));
  EXPECT_LE(count, kEntriesPerPageMax);
  EXPECT_GT(count, 1000U);
}

TEST(PageBuilder, APageOfTheLongestEntriesStaysWithinItsCap) {
  PageBuilder builder(kTransfer);
  for (uint32_t i = 0; !builder.is_full(); ++i) {
    ManifestEntry entry = entry_of(i, 0, i == 0 ? "" : std::string(255, 'n'));
    entry.type = EntryType::kSymlink;
    entry.link_target = std::string(kLinkTargetMax, 't');
    entry.mtime_ns = INT64_MIN;
    builder.add(std::move(entry));
  }
  EXPECT_LE(serialize(builder.take()).size(), kPageBytes + 8192);
}

}  // namespace
}  // namespace tideway::messages
