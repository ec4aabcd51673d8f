// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a file of keys that an operator names: the first byte says which one, and what follows is it as it stands, or as DER below
// a right PEM label. Both halves of a signing key: what is taken signs, and checks what it signed. Of the files in [tls], among
// which the others are right: a context is made of them, or an error names the file.
#include "crypto/certificate_builder.h"
#include "crypto/root_signer.h"
#include "crypto/tls_context.h"
#include "fuzz/pem.h"
#include "support/temp_root.h"

#include <tideway/check.h>

#include <sys/stat.h>

#include <span>
#include <string>
#include <string_view>

namespace {

using namespace tideway;

enum class Kind : uint8_t { kSigningKey, kSignerKey, kAuthority, kCertificate, kKey, kRevocations };
constexpr size_t kKinds = 6;
constexpr std::string_view kLabels[kKinds] = {"PRIVATE KEY", "PUBLIC KEY", "CERTIFICATE", "CERTIFICATE", "PRIVATE KEY", "X509 CRL"};
constexpr uint8_t kIsDer = 0x80;  // of the first byte

// A site with all its files, made once. Times are fixed, so that a finding stays one.
class Site {
 public:
  Site() {
    crypto::CertificateSpec spec;
    spec.kind = crypto::CertificateKind::kAuthority;
    spec.common_name = "authority";
    spec.not_before = now - std::chrono::hours(1);
    spec.not_after = now + std::chrono::hours(100);
    spec.extended_usage.clear();
    const auto authority = crypto::make_self_signed(spec).value();
    spec = {};
    spec.common_name = "gateway";
    spec.uris = {"spiffe://example.org/site/atlanta/gw/gw1"};
    spec.not_before = now - std::chrono::hours(1);
    spec.not_after = now + std::chrono::hours(24);
    const auto gateway = crypto::make_signed(spec, authority).value();
    right = {.ca_file = write("ca.crt", authority.certificate), .certificate_file = write("gateway.crt", gateway.certificate),
             .key_file = write("gateway.key", gateway.key.text()), .crl_file = {}, .allow = {}};
  }
  std::string write(std::string_view name, std::string_view text) const {
    folder_.write(name, text);
    const std::string path = (folder_ / name).string();
    TIDEWAY_CHECK(::chmod(path.c_str(), 0600) == 0);
    return path;
  }

  static constexpr crypto::UnixTime now{std::chrono::seconds(1'800'000'000)};
  crypto::TlsConfig right;

 private:
  const TempRoot folder_;
};

void check_error(const Error& error, const std::string& path) {
  TIDEWAY_CHECK(error.fault == Fault::kConfigInvalid || error.fault == Fault::kAuthFailed);
  TIDEWAY_CHECK(error.fault == Fault::kAuthFailed || error.what.find(path) != std::string::npos);
  for (const char byte : error.what) TIDEWAY_CHECK(static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7F);
}

constexpr crypto::SignedTree kTree{.root = {}, .entries = 3, .bytes = 4096};

void check_signing_key(const std::string& path) {
  const auto signer = crypto::RootSigner::open(path);
  if (!signer.ok()) return check_error(signer.error(), path);
  const RootSignature one = signer.value().sign("atlanta", kTree), two = signer.value().sign("atlanta", kTree);
  TIDEWAY_CHECK(one.bytes == two.bytes);  // Ed25519 takes nothing by chance
}

void check_signer_key(const std::string& path) {
  const auto checker = crypto::RootChecker::open(path);
  if (!checker.ok()) return check_error(checker.error(), path);
  TIDEWAY_CHECK(!checker.value().is_good({"atlanta", {}}, kTree));
}

void check_tls(Site& site, Kind kind, const std::string& path) {
  crypto::TlsConfig config = site.right;
  if (kind == Kind::kAuthority) config.ca_file = path;
  if (kind == Kind::kCertificate) config.certificate_file = path;
  if (kind == Kind::kKey) config.key_file = path;
  if (kind == Kind::kRevocations) config.crl_file = path;
  const auto context = crypto::TlsContext::create(config, Site::now);
  if (!context.ok()) return check_error(context.error(), path);
  TIDEWAY_CHECK(context.value().own().not_after > Site::now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Site site;
  if (size == 0) return 0;
  const size_t kind = (data[0] & ~unsigned{kIsDer}) % kKinds;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  const std::string path = (data[0] & kIsDer) != 0 ? site.write("tried", test::to_pem(kLabels[kind], rest))
                                                   : site.write("tried", {reinterpret_cast<const char*>(rest.data()), rest.size()});
  switch (static_cast<Kind>(kind)) {
    case Kind::kSigningKey: check_signing_key(path); break;
    case Kind::kSignerKey: check_signer_key(path); break;
    default: check_tls(site, static_cast<Kind>(kind), path); break;
  }
  return 0;
}
