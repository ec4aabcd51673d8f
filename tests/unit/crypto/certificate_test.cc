// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.h"

#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <unistd.h>

namespace tideway::crypto {
namespace {

using test::CertificateFolder;
using test::kAtlanta;

CertifiedKey issue(const CertificateSpec& spec) {
  return make_signed(spec, make_self_signed(test::authority_spec("ca")).value()).value();
}

TEST(Certificate, SaysWhoItIsAndHowLong) {
  const CertificateSpec spec = test::gateway_spec(kAtlanta);
  const auto facts = read_certificate_pem(issue(spec).certificate, "gateway.crt");
  ASSERT_TRUE(facts.ok()) << facts.error().what;
  EXPECT_EQ(to_string(facts.value().identity), kAtlanta);
  EXPECT_EQ(facts.value().not_before, spec.not_before);
  EXPECT_EQ(facts.value().not_after, spec.not_after);
}

TEST(Certificate, WithoutExactlyOneUriNameHasNoIdentity) {
  CertificateSpec none = test::gateway_spec(kAtlanta), two = none;
  none.uris.clear();
  none.dns_names = {"gw1.atlanta.example.org"};
  two.uris = {kAtlanta, test::kWisconsin};
  for (const auto& spec : {none, two}) {
    const auto facts = read_certificate_pem(issue(spec).certificate, "gateway.crt");
    ASSERT_FALSE(facts.ok());
    EXPECT_EQ(facts.error().fault, Fault::kAuthFailed);
    EXPECT_TRUE(facts.error().what.starts_with("cert_identity: "));
  }
}

TEST(Certificate, TextThatIsNoneIsAMistakeInTheConfiguration) {
  const auto facts = read_certificate_pem("hello", "gateway.crt");
  ASSERT_FALSE(facts.ok());
  EXPECT_EQ(facts.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(facts.error().what.find("gateway.crt"), std::string::npos);
}

TEST(PrivateFile, OfOurOwnAndForNobodyElseIsRead) {
  const CertificateFolder folder;
  for (const mode_t mode : {0600U, 0400U}) {
    const auto text = read_private_file(folder.write("key" + std::to_string(mode), "secret", mode));
    ASSERT_TRUE(text.ok()) << text.error().what;
    EXPECT_EQ(text.value().text(), "secret");
  }
}

TEST(PrivateFile, OthersCanReachIsRefusedWithFileAndMode) {
  const CertificateFolder folder;
  for (const mode_t mode : {0640U, 0604U, 0620U, 0610U, 0666U}) {
    const std::string path = folder.write("key" + std::to_string(mode), "secret", mode);
    const auto text = read_private_file(path);
    ASSERT_FALSE(text.ok()) << mode;
    EXPECT_EQ(text.error().fault, Fault::kConfigInvalid);
    EXPECT_NE(text.error().what.find(path + ": has mode 06"), std::string::npos) << text.error().what;
  }
}

TEST(PrivateFile, LinkFolderFifoAndMissingFileAreRefused) {
  const CertificateFolder folder;
  folder.write("key", "secret");
  ASSERT_EQ(::symlink(folder.path("key").c_str(), folder.path("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(folder.path("fifo").c_str(), 0600), 0);
  for (const std::string name : {"link", "fifo", "absent", ""}) {
    const auto text = read_private_file(folder.path(name));
    ASSERT_FALSE(text.ok()) << name;
    EXPECT_EQ(text.error().fault, Fault::kConfigInvalid) << name;
  }
}

TEST(PrivateFile, IsNotReachedThroughALinkOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a link away";
  const CertificateFolder folder;
  folder.write("key", "secret");
  ASSERT_EQ(::symlink(".", folder.path("way").c_str()), 0);
  EXPECT_TRUE(read_private_file(folder.path("way/key")).ok());
  ASSERT_EQ(::lchown(folder.path("way").c_str(), 65534, 65534), 0);
  const auto text = read_private_file(folder.path("way/key"));
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().fault, Fault::kConfigInvalid);
  EXPECT_FALSE(read_public_file(folder.path("way/key")).ok());
}

TEST(PrivateFile, OfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const CertificateFolder folder;
  const std::string path = folder.write("key", "secret");
  ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  const auto text = read_private_file(path);
  ASSERT_FALSE(text.ok());
  EXPECT_NE(text.error().what.find("belongs to user 65534"), std::string::npos);
}

TEST(PrivateFile, LargerThanAnyKeyIsRefused) {
  const CertificateFolder folder;
  EXPECT_FALSE(read_private_file(folder.write("key", std::string(kPemFileMax + 1, 'x'))).ok());
}

}  // namespace
}  // namespace tideway::crypto
