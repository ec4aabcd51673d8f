// SPDX-License-Identifier: Apache-2.0
//
// The files below config/ are what people start from, so they have to parse.
#include "config/config_file.h"
#include "packet_io/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace tideway::config {
namespace {

constexpr std::string_view kFolder = TIDEWAY_CONFIG_FOLDER;

std::string shipped(std::string_view name) { return std::string(kFolder).append("/").append(name); }

TEST(ShippedFiles, EachOneParsesAndCanServe) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kFolder)) {
    if (entry.path().extension() != ".toml") continue;
    if (entry.path().parent_path().filename() == "dpdk-pair" && !packet_io::find_backend("dpdk").ok()) continue;
    ++files;
    const auto config = load(entry.path().string());
    ASSERT_TRUE(config.ok()) << config.error().what << "; " << config.error().next;
    EXPECT_TRUE(check_serves(config.value()).ok()) << entry.path();
  }
  EXPECT_GE(files, 5U);
}

TEST(ShippedFiles, TheExampleSaysWhatItSays) {
  const auto loaded = load(shipped("tideway.example.toml"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().what;
  const GatewayConfig& config = loaded.value();
  EXPECT_EQ(config.site.name, "atlanta");
  EXPECT_EQ(config.engine.memory, 1_GiB);
  EXPECT_EQ(to_string(*config.data_plane.address), "10.77.0.1:7401");
  EXPECT_TRUE(config.data_plane.rate.is_unlimited());
  ASSERT_EQ(config.grants.size(), 2U);
  EXPECT_EQ(config.grants[0].limits.bytes_max, Bytes(40ULL << 40));
  EXPECT_TRUE(config.grants[0].ops.has(session::GrantOp::kWrite));
  EXPECT_FALSE(config.grants[0].ops.has(session::GrantOp::kDelete));
  ASSERT_NE(config.peer_named("wisconsin"), nullptr);
  EXPECT_EQ(config.peer_named("wisconsin")->identity.text, "spiffe://example.org/site/wisconsin/gw/*");
}

TEST(ShippedFiles, LaterSectionsOfTheExampleAreNotes) {
  const auto loaded = load(shipped("tideway.example.toml"));
  ASSERT_TRUE(loaded.ok());
  const auto mentions = [&](std::string_view word) {
    return std::ranges::any_of(loaded.value().notes, [&](const std::string& note) { return note.find(word) != note.npos; });
  };
  for (const auto* later : {"verify in [class.checkpoint]", "[jobs]"})
    EXPECT_TRUE(mentions(later)) << later;
  EXPECT_EQ(loaded.value().notes.size(), 10U);
}

TEST(ShippedFiles, TheLocalPairNamesFilesBelowItsOwnFolder) {
  const auto loaded = load(shipped("local-pair/atlanta.toml"));
  ASSERT_TRUE(loaded.ok()) << loaded.error().what;
  EXPECT_EQ(loaded.value().tls.key, shipped("local-pair/../../build/local-pair/atlanta/gateway.key"));
}

TEST(ShippedFiles, ThePairsPointAtEachOther) {
  for (const std::string folder : {"local-pair/", "two-hosts/"}) {
    const auto atlanta = load(shipped(folder + "atlanta.toml"));
    const auto wisconsin = load(shipped(folder + "wisconsin.toml"));
    ASSERT_TRUE(atlanta.ok() && wisconsin.ok());
    EXPECT_EQ(atlanta.value().peer_named("wisconsin")->control, *wisconsin.value().listen.control);
    EXPECT_EQ(wisconsin.value().peer_named("atlanta")->control, *atlanta.value().listen.control);
    EXPECT_EQ(atlanta.value().grants.at(0).peer.site, "wisconsin");
    EXPECT_EQ(wisconsin.value().grants.at(0).peer.site, "atlanta");
  }
}

}  // namespace
}  // namespace tideway::config
