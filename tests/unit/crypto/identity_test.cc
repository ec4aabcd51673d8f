// SPDX-License-Identifier: Apache-2.0
#include "crypto/identity.h"

#include <gtest/gtest.h>

namespace tideway::crypto {
namespace {

TEST(Identity, TextFormRoundTrips) {
  const std::string text = "spiffe://example.org/site/wisconsin/gw/gw-1";
  const auto identity = Identity::parse(text);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity.value().trust_domain, "example.org");
  EXPECT_EQ(identity.value().site, "wisconsin");
  EXPECT_EQ(identity.value().gateway, "gw-1");
  EXPECT_EQ(to_string(identity.value()), text);
}

TEST(Identity, EveryOtherFormIsRefused) {
  for (const std::string& text : std::initializer_list<std::string>{
           "", "spiffe://", "spiffe://example.org", "http://example.org/site/a/gw/b", "spiffe:///site/a/gw/b",
           "spiffe://example.org/site/a/gw/", "spiffe://example.org/site//gw/b", "spiffe://example.org/site/a/gw/b/c",
           "spiffe://example.org/site/a/gw/b/", "spiffe://example.org/site/a/b/c", "spiffe://example.org/gw/a/site/b",
           "spiffe://EXAMPLE.org/site/a/gw/b", "spiffe://example.org:8080/site/a/gw/b", "spiffe://u@example.org/site/a/gw/b",
           "spiffe://example.org/site/../gw/b", "spiffe://example.org/site/a/gw/*", "spiffe://example.org/site/a/gw/b?x",
           "spiffe://example.org/site/a/gw/b%2f", std::string("spiffe://example.org/site/a/gw/b\0c", 34),
           "SPIFFE://example.org/site/a/gw/b", "spiffe://example.org/site/a/gw/" + std::string(64, 'x'),
           "spiffe://example.org/site/a b/gw/b"}) {
    const auto identity = Identity::parse(text);
    ASSERT_FALSE(identity.ok()) << text;
    EXPECT_EQ(identity.error().fault, Fault::kAuthFailed);
  }
}

TEST(IdentityPattern, StarStandsForOneWholeSegment) {
  const Identity gw1{"example.org", "wisconsin", "gw1"}, laptop{"example.org", "wisconsin", "ops-laptop"},
      other_site{"example.org", "wisconsin-2", "gw1"}, other_domain{"example.com", "wisconsin", "gw1"};
  const auto all_of_site = IdentityPattern::parse("spiffe://example.org/site/wisconsin/gw/*").value();
  EXPECT_TRUE(all_of_site.matches(gw1));
  EXPECT_TRUE(all_of_site.matches(laptop));
  EXPECT_FALSE(all_of_site.matches(other_site));
  EXPECT_FALSE(all_of_site.matches(other_domain));
  EXPECT_EQ(all_of_site.wildcards(), 1);
  const auto exact = IdentityPattern::exactly(gw1);
  EXPECT_TRUE(exact.matches(gw1));
  EXPECT_FALSE(exact.matches(laptop));
  EXPECT_EQ(exact.wildcards(), 0);
}

TEST(IdentityPattern, PartsOfSegmentsAndOpenTrustDomainsAreRefused) {
  for (const char* text : {"spiffe://example.org/site/wis*/gw/gw1", "spiffe://*/site/a/gw/b", "spiffe://example.org/*",
                           "spiffe://example.org/site/**/gw/b", "*", "", "local:group/ckpt"}) {
    const auto pattern = IdentityPattern::parse(text);
    ASSERT_FALSE(pattern.ok()) << text;
    EXPECT_EQ(pattern.error().fault, Fault::kConfigInvalid);
  }
}

TEST(Names, OnlyLowerCaseDigitsAndHyphenMayBeIssued) {
  for (const char* name : {"wisconsin", "gw-1", "0", "a"}) EXPECT_TRUE(is_issuable_name(name)) << name;
  for (const char* name : {"", "Wisconsin", "gw.1", "a/b", "*", "..", "a b", "\xC3\xA9"})
    EXPECT_FALSE(is_issuable_name(name)) << name;
  EXPECT_FALSE(is_issuable_name(std::string(64, 'a')));
  EXPECT_TRUE(is_trust_domain("example.org"));
  EXPECT_FALSE(is_trust_domain("example.org/x"));
  EXPECT_FALSE(is_trust_domain("Example.org"));
}

}  // namespace
}  // namespace tideway::crypto
