// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_endpoint.h"

#include "raw_tls_peer.h"
#include "support/test_certificates.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace tideway::crypto {
namespace {

using namespace std::chrono_literals;
using test::kAtlanta;
using test::kWisconsin;
using test::RawTlsPeer;

// Moves sealed bytes both ways until nothing moves any more.
void talk(TlsEndpoint& a, TlsEndpoint& b) {
  std::array<std::byte, 1000> bytes;
  for (bool moved = true; moved;) {
    moved = false;
    for (TlsEndpoint* from : {&a, &b}) {
      TlsEndpoint& to = from == &a ? b : a;
      if (to.state() != TlsState::kFailed && to.state() != TlsState::kClosed && to.input_room() < bytes.size()) continue;
      const size_t got = from->take_output(bytes);
      if (got == 0) continue;
      moved = true;
      ASSERT_EQ(to.feed(std::span(bytes).first(got)), got);
    }
  }
}

std::string read_text(TlsEndpoint& endpoint) {
  std::array<std::byte, 256> bytes;
  std::string text;
  while (const size_t got = endpoint.read(bytes)) text.append(reinterpret_cast<const char*>(bytes.data()), got);
  return text;
}

std::span<const std::byte> octets_of(std::string_view text) { return std::as_bytes(std::span(text)); }

class TlsEndpointTest : public testing::Test {
 protected:
  CertifiedKey issue(const CertificateSpec& spec) { return make_signed(spec, sites_.authority).value(); }
  test::TwoSites sites_;
};

TEST_F(TlsEndpointTest, GatewaysOfOneAuthorityMeetAndKnowEachOther) {
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling, IdentityPattern::parse(kWisconsin).value());
  TlsEndpoint accepting(sites_.wisconsin, TlsRole::kAccepting);
  talk(dialling, accepting);
  ASSERT_EQ(dialling.state(), TlsState::kUp);
  ASSERT_EQ(accepting.state(), TlsState::kUp);
  EXPECT_EQ(to_string(dialling.peer().identity), kWisconsin);
  EXPECT_EQ(to_string(accepting.peer().identity), kAtlanta);
  EXPECT_EQ(dialling.write(octets_of("ping")), 4U);
  EXPECT_EQ(accepting.write(octets_of("pong")), 4U);
  talk(dialling, accepting);
  EXPECT_EQ(read_text(accepting), "ping");
  EXPECT_EQ(read_text(dialling), "pong");
}

TEST_F(TlsEndpointTest, ConnectionsForDataAreToldApartByTheirProtocol) {
  for (const TlsProtocol protocol : {TlsProtocol::kControl, TlsProtocol::kData}) {
    TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling, IdentityPattern::parse(kWisconsin).value(), protocol);
    TlsEndpoint accepting(sites_.wisconsin, TlsRole::kAccepting);
    talk(dialling, accepting);
    ASSERT_EQ(accepting.state(), TlsState::kUp);
    EXPECT_EQ(dialling.protocol(), protocol);
    EXPECT_EQ(accepting.protocol(), protocol);
    EXPECT_EQ(to_string(accepting.peer().identity), kAtlanta);
  }
}

TEST_F(TlsEndpointTest, BothEndsExportTheSameKeysAndOtherContextsOthers) {
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(sites_.wisconsin, TlsRole::kAccepting);
  talk(dialling, accepting);
  ASSERT_EQ(accepting.state(), TlsState::kUp);
  std::array<std::byte, 48> a{}, b{}, other{};
  dialling.export_key("EXPORTER-tideway-dp-v1", octets_of("context"), a);
  accepting.export_key("EXPORTER-tideway-dp-v1", octets_of("context"), b);
  accepting.export_key("EXPORTER-tideway-dp-v1", octets_of("contexT"), other);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, other);
}

TEST_F(TlsEndpointTest, ASecondConnectionDoesNotResumeTheFirst) {
  std::array<std::byte, 48> first{}, second{};
  for (auto* exported : {&first, &second}) {
    TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(sites_.wisconsin, TlsRole::kAccepting);
    talk(dialling, accepting);
    ASSERT_EQ(accepting.state(), TlsState::kUp);
    EXPECT_EQ(accepting.output_size(), 0U);  // no ticket follows the handshake
    dialling.export_key("label", {}, *exported);
  }
  EXPECT_NE(first, second);
}

TEST_F(TlsEndpointTest, CloseNotifyEndsReadingAfterTheLastByte) {
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(sites_.wisconsin, TlsRole::kAccepting);
  talk(dialling, accepting);
  EXPECT_EQ(dialling.write(octets_of("last")), 4U);
  dialling.shut_down();
  EXPECT_EQ(dialling.write(octets_of("more")), 0U);
  talk(dialling, accepting);
  EXPECT_EQ(read_text(accepting), "last");
  EXPECT_EQ(accepting.state(), TlsState::kClosed);
}

TEST_F(TlsEndpointTest, HoldsBackWhatItCannotKeep) {
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(sites_.wisconsin, TlsRole::kAccepting);
  talk(dialling, accepting);
  const std::vector<std::byte> block(4096);
  size_t written = 0;
  for (size_t got; (got = dialling.write(block)) > 0;) written += got;
  EXPECT_LE(dialling.output_size(), kTlsOutputMax + 2 * 16 * 1024);
  EXPECT_GE(written, kTlsOutputMax - block.size());
  std::vector<std::byte> sealed(dialling.output_size());
  ASSERT_EQ(dialling.take_output(sealed), sealed.size());
  EXPECT_EQ(accepting.feed(sealed), kTlsInputMax);
  EXPECT_EQ(accepting.feed(sealed), 0U);
  EXPECT_GT(read_text(accepting).size(), 0U);
  EXPECT_GT(accepting.input_room(), 0U);
}

TEST_F(TlsEndpointTest, DamagedRecordEndsTheConnection) {
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(sites_.wisconsin, TlsRole::kAccepting);
  talk(dialling, accepting);
  EXPECT_EQ(dialling.write(octets_of("ping")), 4U);
  std::array<std::byte, 256> sealed;
  const size_t size = dialling.take_output(sealed);
  sealed[size - 1] ^= std::byte{1};
  accepting.feed(std::span(sealed).first(size));
  EXPECT_EQ(read_text(accepting), "");
  ASSERT_EQ(accepting.state(), TlsState::kFailed);
  EXPECT_EQ(accepting.error().fault, Fault::kProtocolError);
}

TEST_F(TlsEndpointTest, BytesThatAreNoTlsAreAProtocolError) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\xFF\xFF....."}) {
    TlsEndpoint accepting(sites_.wisconsin, TlsRole::kAccepting);
    accepting.feed(octets_of(text));
    ASSERT_EQ(accepting.state(), TlsState::kFailed) << text;
    EXPECT_EQ(accepting.error().fault, Fault::kProtocolError) << text << accepting.error().what;
    EXPECT_EQ(accepting.feed(octets_of(text)), text.size());  // dropped, so that the socket can be drained
  }
}

TEST_F(TlsEndpointTest, DiallingSideRefusesAnotherGatewayThanItMeantToReach) {
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling,
                       IdentityPattern::parse("spiffe://example.org/site/oregon/gw/*").value());
  TlsEndpoint accepting(sites_.wisconsin, TlsRole::kAccepting);
  talk(dialling, accepting);
  ASSERT_EQ(dialling.state(), TlsState::kFailed);
  EXPECT_EQ(dialling.error().fault, Fault::kAuthFailed);
  EXPECT_TRUE(dialling.error().what.starts_with("cert_identity: we meant to reach ")) << dialling.error().what;
  ASSERT_EQ(accepting.state(), TlsState::kFailed);
  EXPECT_EQ(accepting.error().fault, Fault::kAuthFailed);
}

// The accepting side judges after the dialling side is up: the refusal must still be told as one.
TEST_F(TlsEndpointTest, RefusalAfterTheDiallersHandshakeIsAuthFailedNotALostPeer) {
  TlsConfig narrow = test::write_files(sites_.folder, "narrow", sites_.authority.certificate,
                                       issue(test::gateway_spec(kWisconsin)));
  narrow.allow = {"spiffe://example.org/site/oregon/gw/*"};
  const TlsContext context = TlsContext::create(narrow, test::wall_now()).value();
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(context, TlsRole::kAccepting);
  talk(dialling, accepting);
  ASSERT_EQ(accepting.state(), TlsState::kFailed);
  EXPECT_NE(accepting.error().what.find("is not in [tls] allow"), std::string::npos);
  ASSERT_EQ(dialling.state(), TlsState::kUp);
  EXPECT_EQ(read_text(dialling), "");
  ASSERT_EQ(dialling.state(), TlsState::kFailed);
  EXPECT_EQ(dialling.error().fault, Fault::kAuthFailed);
  EXPECT_NE(dialling.error().what.find("refused our certificate"), std::string::npos) << dialling.error().what;
}

TEST_F(TlsEndpointTest, AllowListTakesIdentitiesAndFingerprints) {
  const Hash256 fingerprint = sites_.atlanta.own().fingerprint;
  std::string hex = "sha256:";
  for (const std::byte b : fingerprint) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[static_cast<size_t>(b) >> 4];
    hex += kDigits[static_cast<size_t>(b) & 15];
  }
  for (const std::string& line : {kAtlanta, hex}) {
    TlsConfig narrow = test::write_files(sites_.folder, "narrow", sites_.authority.certificate,
                                         issue(test::gateway_spec(kWisconsin)));
    narrow.allow = {line};
    const TlsContext context = TlsContext::create(narrow, test::wall_now()).value();
    TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(context, TlsRole::kAccepting);
    talk(dialling, accepting);
    EXPECT_EQ(accepting.state(), TlsState::kUp) << line;
  }
}

// ---- wrong peers, in both directions -------------------------------------------------------------------------------

struct WrongPeer {
  std::string name, reason;
  std::function<void(CertificateSpec&)> change;
};

const WrongPeer kWrongCertificates[] = {
    {"Expired", "cert_expired", [](CertificateSpec& s) { s.not_after = test::wall_now() - 10s; }},
    {"NotYetValid", "cert_not_yet_valid", [](CertificateSpec& s) { s.not_before = test::wall_now() + 1h; }},
    {"NoUriName", "cert_identity", [](CertificateSpec& s) { s.uris.clear(); }},
    {"TwoUriNames", "cert_identity", [](CertificateSpec& s) { s.uris = {kAtlanta, kWisconsin}; }},
    {"DnsNameOnly", "cert_identity", [](CertificateSpec& s) { s.uris.clear(); s.dns_names = {"gw1.example.org"}; }},
    {"OtherTrustDomain", "cert_identity", [](CertificateSpec& s) { s.uris = {"spiffe://example.com/site/a/gw/b"}; }},
    {"OtherUriForm", "cert_identity", [](CertificateSpec& s) { s.uris = {"spiffe://example.org/ns/a/sa/b"}; }},
    {"HttpUri", "cert_identity", [](CertificateSpec& s) { s.uris = {"https://example.org/site/a/gw/b"}; }},
    {"NoExtendedUsage", "cert_usage", [](CertificateSpec& s) { s.extended_usage.clear(); }},
    {"OtherExtendedUsage", "cert_usage", [](CertificateSpec& s) { s.extended_usage = {"codeSigning"}; }},
    {"AnyExtendedUsage", "cert_usage", [](CertificateSpec& s) { s.extended_usage = {"anyExtendedKeyUsage"}; }},
    {"NoSignatures", "cert_usage", [](CertificateSpec& s) { s.key_usage = "keyAgreement"; }},
    {"AuthorityAsGateway", "cert_usage", [](CertificateSpec& s) {
       s.kind = CertificateKind::kAuthority;
       s.key_usage = "digitalSignature,keyCertSign";
     }},
};

class EitherRole : public TlsEndpointTest, public testing::WithParamInterface<TlsRole> {
 protected:
  // Ours has the tested role, the wrong peer the other.
  void expect_refused(const test::RawPeerOptions& options, std::string_view reason) {
    const TlsRole other = GetParam() == TlsRole::kDialling ? TlsRole::kAccepting : TlsRole::kDialling;
    TlsEndpoint ours(sites_.atlanta, GetParam());
    RawTlsPeer peer(other, options);
    peer.talk_to(ours);
    ASSERT_EQ(ours.state(), TlsState::kFailed);
    EXPECT_EQ(ours.error().fault, Fault::kAuthFailed) << ours.error().what;
    EXPECT_NE(ours.error().what.find(reason), std::string::npos) << ours.error().what;
    alert_ = peer.alert_received();
  }
  int alert_ = -1;
};

TEST_P(EitherRole, RefusesEachWrongCertificateForItsOwnReasonAndTellsThePeerNoneOfThem) {
  for (const WrongPeer& wrong : kWrongCertificates) {
    SCOPED_TRACE(wrong.name);
    CertificateSpec spec = test::gateway_spec(kWisconsin);
    wrong.change(spec);
    const CertifiedKey certificate = issue(spec);
    expect_refused({.certificate = &certificate}, wrong.reason);
    EXPECT_EQ(alert_, SSL_AD_BAD_CERTIFICATE);
  }
}

TEST_P(EitherRole, RefusesTheUsageOfTheOtherRoleAlone) {
  CertificateSpec spec = test::gateway_spec(kWisconsin);
  spec.extended_usage = {GetParam() == TlsRole::kDialling ? "clientAuth" : "serverAuth"};
  const CertifiedKey certificate = issue(spec);
  expect_refused({.certificate = &certificate}, "cert_usage");
}

TEST_P(EitherRole, RefusesAnotherAuthoritysCertificate) {
  const CertifiedKey other = make_self_signed(test::authority_spec("test authority")).value();  // same name, other key
  const CertifiedKey certificate = make_signed(test::gateway_spec(kWisconsin), other).value();
  expect_refused({.certificate = &certificate}, "cert_untrusted");
  EXPECT_EQ(alert_, SSL_AD_BAD_CERTIFICATE);
}

TEST_P(EitherRole, RefusesASelfSignedCertificate) {
  const CertifiedKey certificate = make_self_signed(test::gateway_spec(kWisconsin)).value();
  expect_refused({.certificate = &certificate}, "cert_untrusted");
}

TEST_P(EitherRole, RefusesACertificateSignedByAGateway) {
  const CertifiedKey gateway = issue(test::gateway_spec(kWisconsin));
  const CertifiedKey certificate = make_signed(test::gateway_spec(kWisconsin), gateway).value();
  expect_refused({.certificate = &certificate}, "cert_untrusted");
}

TEST_P(EitherRole, X12RefusesAWeakKeyAndAWeakSignature) {
  const CertifiedKey right = issue(test::gateway_spec(kWisconsin));
  EVP_PKEY* const short_key = EVP_RSA_gen(1024);
  const CertifiedKey weak = test::with_key(right, short_key, sites_.authority, EVP_sha256());
  expect_refused({.certificate = &weak}, "cert_untrusted: EE certificate key too weak");
  EVP_PKEY_free(short_key);
  EVP_PKEY* const long_key = EVP_RSA_gen(2048);
  const CertifiedKey sha1 = test::with_key(right, long_key, sites_.authority, EVP_sha1());
  expect_refused({.certificate = &sha1}, "cert_untrusted: CA signature digest algorithm too weak");
  const CertifiedKey strong = test::with_key(right, long_key, sites_.authority, EVP_sha256());
  EVP_PKEY_free(long_key);
  TlsEndpoint ours(sites_.atlanta, GetParam());
  RawTlsPeer peer(GetParam() == TlsRole::kDialling ? TlsRole::kAccepting : TlsRole::kDialling, {.certificate = &strong});
  peer.talk_to(ours);
  EXPECT_EQ(ours.state(), TlsState::kUp) << "for another reason than its key";
}

// Four authorities between a gateway and the root are the most, and an authority says itself how many there may be below it.
TEST_P(EitherRole, X12RefusesAChainThatIsTooLong) {
  CertificateSpec spec = test::authority_spec("deep");
  spec.authorities_below = 9;
  std::vector<CertifiedKey> chain;
  chain.push_back(make_self_signed(spec).value());
  for (int i = 0; i < 5; ++i) {
    spec.common_name = "between " + std::to_string(i);
    chain.push_back(make_signed(spec, chain.back()).value());
  }
  const auto tls = TlsContext::create(test::write_files(sites_.folder, "deep", chain[0].certificate, make_signed(test::gateway_spec(kAtlanta), chain[0]).value()), test::wall_now());
  ASSERT_TRUE(tls.ok()) << tls.error().what;
  const auto outcome = [&](size_t authorities) {
    const CertifiedKey leaf = make_signed(test::gateway_spec(kWisconsin), chain[authorities]).value();
    test::RawPeerOptions options{.certificate = &leaf};
    for (size_t i = authorities; i > 0; --i) options.between.push_back(&chain[i]);
    TlsEndpoint ours(tls.value(), GetParam());
    RawTlsPeer peer(GetParam() == TlsRole::kDialling ? TlsRole::kAccepting : TlsRole::kDialling, options);
    peer.talk_to(ours);
    return ours.state() == TlsState::kUp ? "up" : ours.error().what;
  };
  EXPECT_EQ(outcome(1), "up");
  EXPECT_EQ(outcome(4), "up");
  EXPECT_NE(outcome(5).find("cert_untrusted: certificate chain too long"), std::string::npos) << outcome(5);
  spec.authorities_below = 1;  // says the one at the end, so nothing but a gateway and one more may come below it
  for (size_t i = 2; i <= 4; ++i) {
    spec.common_name = "narrow " + std::to_string(i);  // one that is called as its issuer does not count
    chain[i] = make_signed(spec, chain[i - 1]).value();
  }
  EXPECT_NE(outcome(4).find("cert_untrusted: path length constraint exceeded"), std::string::npos) << outcome(4);
}

TEST_P(EitherRole, RefusesAPeerWithoutOurProtocol) {
  const CertifiedKey certificate = issue(test::gateway_spec(kWisconsin));
  for (const std::string alpn : {"", "h2", "tideway/2"}) {
    SCOPED_TRACE(alpn);
    expect_refused({.certificate = &certificate, .alpn = alpn}, "");
    if (GetParam() == TlsRole::kAccepting) { EXPECT_EQ(alert_, SSL_AD_NO_APPLICATION_PROTOCOL); }
  }
}

TEST_P(EitherRole, RefusesOlderTls) {
  const CertifiedKey certificate = issue(test::gateway_spec(kWisconsin));
  expect_refused({.certificate = &certificate, .version = TLS1_2_VERSION}, "");
}

TEST_P(EitherRole, TakesTheSamePeerWithARightCertificate) {
  const TlsRole other = GetParam() == TlsRole::kDialling ? TlsRole::kAccepting : TlsRole::kDialling;
  const CertifiedKey certificate = issue(test::gateway_spec(kWisconsin));
  TlsEndpoint ours(sites_.atlanta, GetParam());
  RawTlsPeer peer(other, {.certificate = &certificate});
  peer.talk_to(ours);
  EXPECT_EQ(ours.state(), TlsState::kUp);
  EXPECT_STREQ(SSL_get_cipher_name(peer.ssl()), "TLS_AES_256_GCM_SHA384");
}

INSTANTIATE_TEST_SUITE_P(Ours, EitherRole, testing::Values(TlsRole::kDialling, TlsRole::kAccepting),
                         [](const auto& tested) {
                           return tested.param == TlsRole::kDialling ? "Dialling" : "Accepting";
                         });

TEST_F(TlsEndpointTest, AcceptingSideRefusesAClientWithoutCertificate) {
  TlsEndpoint ours(sites_.atlanta, TlsRole::kAccepting);
  RawTlsPeer peer(TlsRole::kDialling, {});
  peer.talk_to(ours);
  ASSERT_EQ(ours.state(), TlsState::kFailed);
  EXPECT_EQ(ours.error().fault, Fault::kAuthFailed);
  EXPECT_NE(ours.error().what.find("sent no certificate"), std::string::npos) << ours.error().what;
  EXPECT_EQ(peer.alert_received(), SSL_AD_CERTIFICATE_REQUIRED);
}

TEST_F(TlsEndpointTest, CertificateOfAnAuthorityBelowOursIsTakenWithItsChain) {
  const CertifiedKey middle = issue(test::authority_spec("authority of one site"));
  CertifiedKey gateway = make_signed(test::gateway_spec(kWisconsin), middle).value();
  gateway.certificate += middle.certificate;
  const TlsContext context = sites_.context(gateway);
  TlsEndpoint dialling(sites_.atlanta, TlsRole::kDialling), accepting(context, TlsRole::kAccepting);
  talk(dialling, accepting);
  EXPECT_EQ(dialling.state(), TlsState::kUp);
  EXPECT_EQ(accepting.state(), TlsState::kUp);
}

// ---- revocation ----------------------------------------------------------------------------------------------------

class RevocationTest : public TlsEndpointTest {
 protected:
  // Atlanta looks at the list; wisconsin's certificate is `gateway_`.
  void expect_verdict(const std::string& list, std::string_view reason) {
    TlsConfig config = test::write_files(sites_.folder, "strict", sites_.authority.certificate, atlanta_);
    config.crl_file = sites_.folder.write("list.crl", list);
    const auto strict = TlsContext::create(config, test::wall_now());
    ASSERT_TRUE(strict.ok()) << strict.error().what;
    TlsEndpoint dialling(strict.value(), TlsRole::kDialling);
    const TlsContext context = sites_.context(gateway_);
    TlsEndpoint accepting(context, TlsRole::kAccepting);
    talk(dialling, accepting);
    if (reason.empty()) {
      EXPECT_EQ(dialling.state(), TlsState::kUp);
      return;
    }
    ASSERT_EQ(dialling.state(), TlsState::kFailed);
    EXPECT_TRUE(dialling.error().what.starts_with(reason)) << dialling.error().what;
  }
  CertifiedKey atlanta_ = issue(test::gateway_spec(kAtlanta)), gateway_ = issue(test::gateway_spec(kWisconsin));
};

TEST_F(RevocationTest, RevokedCertificateIsRefusedAndOthersAreNot) {
  expect_verdict(test::make_revocation_list(sites_.authority, {}, 3600), "");
  expect_verdict(test::make_revocation_list(sites_.authority, {&gateway_}, 3600), "cert_revoked: ");
}

TEST_F(RevocationTest, StaleOrForeignListRefusesEvenOurselves) {
  const CertifiedKey other = make_self_signed(test::authority_spec("another authority")).value();
  for (const std::string& list :
       {test::make_revocation_list(sites_.authority, {}, -60), test::make_revocation_list(other, {}, 3600)}) {
    TlsConfig config = test::write_files(sites_.folder, "strict", sites_.authority.certificate, atlanta_);
    config.crl_file = sites_.folder.write("list.crl", list);
    const auto strict = TlsContext::create(config, test::wall_now());
    ASSERT_FALSE(strict.ok());
    EXPECT_TRUE(strict.error().what.starts_with("cert_untrusted: ")) << strict.error().what;
  }
}

TEST_F(RevocationTest, SessionIsJudgedAgainByNewRules) {
  TlsConfig config = test::write_files(sites_.folder, "accepting", sites_.authority.certificate, gateway_);
  const auto rules = [&] { return TlsContext::create(config, test::wall_now()).value(); };
  const TlsContext before = rules(), context = sites_.context(atlanta_);
  TlsEndpoint dialling(context, TlsRole::kDialling), accepting(before, TlsRole::kAccepting);
  talk(dialling, accepting);
  ASSERT_EQ(accepting.state(), TlsState::kUp);
  EXPECT_TRUE(accepting.judge_peer_again(before).ok());
  EXPECT_TRUE(dialling.judge_peer_again(context).ok());

  config.crl_file = sites_.folder.write("list.crl", test::make_revocation_list(sites_.authority, {}, 3600));
  const TlsContext listed = rules();
  EXPECT_TRUE(accepting.judge_peer_again(listed).ok());
  EXPECT_TRUE(accepting.judge_peer_again(listed, test::wall_now()).ok());
  const Status stale = accepting.judge_peer_again(listed, test::wall_now() + 2h);
  ASSERT_FALSE(stale.ok()) << "the list has ended by then";
  EXPECT_TRUE(stale.error().what.starts_with("cert_untrusted: ")) << stale.error().what;
  sites_.folder.write("list.crl", test::make_revocation_list(sites_.authority, {&atlanta_}, 3600));
  const Status revoked = accepting.judge_peer_again(rules());
  ASSERT_FALSE(revoked.ok());
  EXPECT_TRUE(revoked.error().what.starts_with("cert_revoked: ")) << revoked.error().what;

  config.crl_file.clear();
  config.allow = {"spiffe://example.org/site/oregon/gw/*"};
  EXPECT_TRUE(accepting.judge_peer_again(rules()).error().what.starts_with("cert_identity: "));

  const CertifiedKey other = make_self_signed(test::authority_spec("another authority")).value();
  const TlsContext elsewhere = TlsContext::create(test::write_files(sites_.folder, "elsewhere", other.certificate,
                                                                    make_signed(test::gateway_spec(kWisconsin), other).value()),
                                                  test::wall_now()).value();
  EXPECT_TRUE(accepting.judge_peer_again(elsewhere).error().what.starts_with("cert_untrusted: "));
}

TEST_F(RevocationTest, DatesAreLookedAtOnlyWhenAskedFor) {
  CertificateSpec spec = test::gateway_spec(kAtlanta);
  spec.not_before = test::wall_now() - 48h;
  spec.not_after = test::wall_now() - 24h;
  const auto parse = [](const std::string& pem) {
    BIO* const text = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509* const certificate = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
    BIO_free(text);
    return std::unique_ptr<X509, decltype(&X509_free)>(certificate, X509_free);
  };
  const auto expired = parse(issue(spec).certificate), authority = parse(sites_.authority.certificate);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority.get());
  EXPECT_TRUE(check_chain({context.get(), expired.get(), nullptr, TlsRole::kDialling, {}}, "it").ok());
  const Status judged = check_chain({context.get(), expired.get(), nullptr, TlsRole::kDialling, test::wall_now()}, "it");
  ASSERT_FALSE(judged.ok());
  EXPECT_TRUE(judged.error().what.starts_with("cert_expired: ")) << judged.error().what;
}

// ---- our own files -------------------------------------------------------------------------------------------------

class TlsContextTest : public TlsEndpointTest {
 protected:
  TlsConfig files(const CertifiedKey& gateway) {
    return test::write_files(sites_.folder, "own", sites_.authority.certificate, gateway);
  }
  Error error_of(const TlsConfig& config) {
    auto context = TlsContext::create(config, test::wall_now());
    EXPECT_FALSE(context.ok());
    return context.ok() ? Error{Fault::kUsage, "", ""} : context.error();
  }
};

TEST_F(TlsContextTest, OwnWrongCertificateIsToldAtTheStart) {
  for (const WrongPeer& wrong : kWrongCertificates) {
    if (wrong.name == "OtherTrustDomain") continue;  // ours is the one that counts
    CertificateSpec spec = test::gateway_spec(kWisconsin);
    wrong.change(spec);
    const Error error = error_of(files(issue(spec)));
    EXPECT_EQ(error.fault, Fault::kAuthFailed) << wrong.name;
    EXPECT_TRUE(error.what.starts_with(wrong.reason)) << wrong.name << ": " << error.what;
  }
}

TEST_F(TlsContextTest, FilesThatDoNotFitAreAMistakeInTheConfiguration) {
  const CertifiedKey gateway = issue(test::gateway_spec(kWisconsin)), other = issue(test::gateway_spec(kWisconsin));
  const TlsConfig right = files(gateway);
  ASSERT_TRUE(TlsContext::create(right, test::wall_now()).ok());
  const std::string no_pem = sites_.folder.write("junk", "junk");
  const std::string cut = gateway.certificate.substr(0, gateway.certificate.size() / 2);
  const struct {
    std::string TlsConfig::*file;
    std::string path, what;
  } mistakes[] = {
      {&TlsConfig::key_file, sites_.folder.write("other.key", other.key.text()), "is not the key of"},
      {&TlsConfig::key_file, sites_.folder.write("open.key", gateway.key.text(), 0644), "has mode 0644"},
      {&TlsConfig::key_file, sites_.folder.write("junk.key", "junk"), "is not a private key"},
      {&TlsConfig::key_file, sites_.folder.path("absent"), "No such file"},
      {&TlsConfig::ca_file, sites_.folder.path("absent"), "No such file"},
      {&TlsConfig::ca_file, no_pem, "is not a list of certificates"},
      {&TlsConfig::certificate_file, sites_.folder.write("cut.crt", cut), "is not a list of certificates"},
      {&TlsConfig::crl_file, sites_.folder.write("no.crl", ""), "is not a revocation list"},
  };
  for (const auto& mistake : mistakes) {
    TlsConfig wrong = right;
    wrong.*mistake.file = mistake.path;
    const Error error = error_of(wrong);
    EXPECT_EQ(error.fault, Fault::kConfigInvalid) << mistake.path;
    EXPECT_TRUE(error.what.starts_with(mistake.path)) << error.what;
    EXPECT_NE(error.what.find(mistake.what), std::string::npos) << error.what;
    EXPECT_NE(error.next, "") << error.what;
  }
  TlsConfig wrong = right;
  wrong.allow = {"sha256:12"};
  EXPECT_EQ(error_of(wrong).fault, Fault::kConfigInvalid);
  EXPECT_NE(error_of(wrong).next, "");
}

}  // namespace
}  // namespace tideway::crypto
