// SPDX-License-Identifier: Apache-2.0
#include "config/names.h"

#include <gtest/gtest.h>

namespace tideway::config {
namespace {

TEST(Names, ANameNeverLooksLikeAFlagAPathOrAnAddress) {
  for (const auto* good : {"a", "atlanta", "gw-1", "llm_7.B", "9"}) EXPECT_TRUE(is_name(good)) << good;
  for (const auto* bad : {"", "-a", ".", "..", ".hidden", "a/b", "a:b", "a b", "\xC3\xA9", "*"})
    EXPECT_FALSE(is_name(bad)) << bad;
  EXPECT_TRUE(is_name(std::string(kNameMax, 'a')));
  EXPECT_FALSE(is_name(std::string(kNameMax + 1, 'a')));
}

TEST(Names, ATrustDomainIsLowerCase) {
  EXPECT_TRUE(is_trust_domain("example.org"));
  EXPECT_FALSE(is_trust_domain("Example.org"));
  EXPECT_FALSE(is_trust_domain("example.org:8080"));
  EXPECT_FALSE(is_trust_domain(""));
}

TEST(IdentityPattern, TakesAGatewayOrAWholeSite) {
  const auto one = parse_identity_pattern("spiffe://example.org/site/wisconsin/gw/gw1");
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one.value().trust_domain, "example.org");
  EXPECT_EQ(one.value().site, "wisconsin");
  EXPECT_EQ(one.value().gateway, "gw1");
  const auto site = parse_identity_pattern("spiffe://example.org/site/wisconsin/gw/*");
  ASSERT_TRUE(site.ok());
  EXPECT_EQ(site.value().gateway, "*");
}

TEST(IdentityPattern, TakesLocalUsersAndGroups) {
  const auto group = parse_identity_pattern("local:group/ckpt");
  ASSERT_TRUE(group.ok());
  EXPECT_EQ(group.value().kind, IdentityPattern::Kind::kLocalGroup);
  EXPECT_EQ(group.value().local_name, "ckpt");
}

TEST(IdentityPattern, RefusesWhatIsNotExactlyOneIdentity) {
  for (const auto* bad :
       {"", "*", "wisconsin", "spiffe://", "spiffe://example.org", "spiffe://*/site/a/gw/b",
        "spiffe://example.org/site/wis*/gw/gw1", "spiffe://example.org/site/wisconsin/gw/",
        "spiffe://example.org/site/wisconsin/gw/gw1/", "spiffe://example.org/site/wisconsin",
        "spiffe://example.org//site/wisconsin/gw/gw1", "spiffe://example.org/place/wisconsin/gw/gw1",
        "SPIFFE://example.org/site/wisconsin/gw/gw1", "local:group/", "local:group/*", "local:host/a"}) {
    const auto pattern = parse_identity_pattern(bad);
    EXPECT_FALSE(pattern.ok()) << bad;
  }
}

}  // namespace
}  // namespace tideway::config
