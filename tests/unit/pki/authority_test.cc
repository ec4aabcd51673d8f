// SPDX-License-Identifier: Apache-2.0
#include "pki/authority.h"

#include "crypto/tls_context.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <string>

namespace tideway::pki {
namespace {

using namespace std::chrono_literals;

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

mode_t mode_of(const std::string& path) {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0 ? facts.st_mode & 07777 : 0;
}

class AuthorityTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(init_authority({folder_.path("ca"), "example.org"}, now_).ok()); }
  Result<crypto::Identity> issue_to(const std::string& name) {
    return issue({folder_.path("ca"), "wisconsin", "gw1", folder_.path(name)}, now_);
  }
  crypto::TlsConfig config(const std::string& name) {
    const std::string folder = folder_.path(name);
    return {folder + "/ca.crt", folder + "/gateway.crt", folder + "/gateway.key", "", {}};
  }

  const UnixTime now_ = test::wall_now();
  test::CertificateFolder folder_;
};

TEST_F(AuthorityTest, IssuesAGatewayThatTlsAcceptsAsItIs) {
  const auto identity = issue_to("gw");
  ASSERT_TRUE(identity.ok()) << identity.error().what;
  EXPECT_EQ(to_string(identity.value()), "spiffe://example.org/site/wisconsin/gw/gw1");
  const auto context = crypto::TlsContext::create(config("gw"), now_);
  ASSERT_TRUE(context.ok()) << context.error().what;
  EXPECT_EQ(context.value().own().identity, identity.value());
  EXPECT_EQ(context.value().own().not_after, now_ + kGatewayLife);
}

TEST_F(AuthorityTest, KeysAreForTheirOwnerAndCertificatesForAll) {
  const mode_t old = ::umask(0177);
  ASSERT_TRUE(issue_to("gw").ok());
  ::umask(old);
  EXPECT_EQ(mode_of(folder_.path("ca/ca.key")), 0600U);
  EXPECT_EQ(mode_of(folder_.path("gw/gateway.key")), 0600U);
  EXPECT_EQ(mode_of(folder_.path("gw/gateway.crt")), 0644U);
  EXPECT_EQ(mode_of(folder_.path("gw/ca.crt")), 0644U);
  EXPECT_EQ(mode_of(folder_.path("gw")), 0700U);
}

TEST_F(AuthorityTest, NothingIsEverOverwritten) {
  const std::string key = text_of(folder_.path("ca/ca.key"));
  const Status again = init_authority({folder_.path("ca"), "example.org"}, now_);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().fault, Fault::kDestExists);
  EXPECT_EQ(text_of(folder_.path("ca/ca.key")), key);
  ASSERT_TRUE(issue_to("gw").ok());
  EXPECT_EQ(issue_to("gw").error().fault, Fault::kDestExists);
}

TEST_F(AuthorityTest, WhenOneFileIsInTheWayNoneIsWritten) {
  std::filesystem::create_directories(folder_.path("gw"));
  folder_.write("gw/ca.crt", "mine");
  EXPECT_EQ(issue_to("gw").error().fault, Fault::kDestExists);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("gw/gateway.key")));
  EXPECT_EQ(text_of(folder_.path("gw/ca.crt")), "mine");
}

TEST_F(AuthorityTest, IssuingIntoTheAuthoritysFolderLeavesItWhole) {
  const std::string certificate = text_of(folder_.path("ca/ca.crt"));
  EXPECT_EQ(issue_to("ca").error().fault, Fault::kDestExists);
  EXPECT_EQ(text_of(folder_.path("ca/ca.crt")), certificate);
}

TEST_F(AuthorityTest, NamesThatNoIdentityCanHaveAreRefused) {
  for (const char* name : {"", "Wisconsin", "../x", "a/b", "a b", "*", "a,URI:spiffe://evil"}) {
    const auto site = issue({folder_.path("ca"), name, "gw1", folder_.path("x")}, now_);
    const auto gateway = issue({folder_.path("ca"), "wisconsin", name, folder_.path("x")}, now_);
    ASSERT_FALSE(site.ok() || gateway.ok()) << name;
    EXPECT_EQ(site.error().fault, Fault::kUsage);
    EXPECT_EQ(gateway.error().fault, Fault::kUsage);
  }
  EXPECT_EQ(init_authority({folder_.path("y"), "Example.org/x"}, now_).error().fault, Fault::kUsage);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("x")));
}

TEST_F(AuthorityTest, LongNamesStillGiveACertificate) {
  const std::string name(63, 'a');
  const auto identity = issue({folder_.path("ca"), name, name, folder_.path("long")}, now_);
  ASSERT_TRUE(identity.ok()) << identity.error().what;
  EXPECT_TRUE(crypto::TlsContext::create(config("long"), now_).ok());
}

TEST_F(AuthorityTest, FolderThatIsNoAuthorityIsNamed) {
  const auto none = issue({folder_.path("absent"), "wisconsin", "gw1", folder_.path("gw")}, now_);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(none.error().what.find("absent/ca.crt"), std::string::npos);
}

TEST_F(AuthorityTest, AuthorityWithAnOpenKeyIssuesNothing) {
  ::chmod(folder_.path("ca/ca.key").c_str(), 0644);
  EXPECT_EQ(issue_to("gw").error().fault, Fault::kConfigInvalid);
}

TEST_F(AuthorityTest, AuthorityThatHasEndedIssuesNothing) {
  const auto late = issue({folder_.path("ca"), "wisconsin", "gw1", folder_.path("gw")}, now_ + kAuthorityLife);
  ASSERT_FALSE(late.ok());
  EXPECT_TRUE(late.error().what.starts_with("cert_expired")) << late.error().what;
}

TEST_F(AuthorityTest, NoGatewayOutlivesItsAuthority) {
  const auto late = issue({folder_.path("ca"), "wisconsin", "gw1", folder_.path("gw")}, now_ + kAuthorityLife - 24h);
  ASSERT_TRUE(late.ok());
  const auto facts = crypto::read_certificate_pem(text_of(folder_.path("gw/gateway.crt")), "gateway.crt");
  EXPECT_EQ(facts.value().not_after, now_ + kAuthorityLife);
}

}  // namespace
}  // namespace tideway::pki
