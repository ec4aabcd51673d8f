// SPDX-License-Identifier: Apache-2.0
//
// Authorities and gateways for tests, right ones and wrong ones, and the folder their files lie in.
#pragma once
#include "crypto/certificate_builder.h"
#include "crypto/tls_context.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace tideway::test {

// A folder that goes away with its object.
class CertificateFolder {
 public:
  CertificateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tideway-certificates-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;
  ~CertificateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path(name), std::ios::binary) << text;
    ::chmod(path(name).c_str(), mode);
    return path(name);
  }

 private:
  std::string path_;
};

inline crypto::UnixTime wall_now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

inline crypto::CertificateSpec authority_spec(const std::string& name) {
  using namespace std::chrono_literals;
  crypto::CertificateSpec spec;
  spec.kind = crypto::CertificateKind::kAuthority;
  spec.common_name = name;
  spec.not_before = wall_now() - 1h;
  spec.not_after = wall_now() + 240h;
  spec.extended_usage.clear();
  return spec;
}

// A right one; tests change what shall be wrong.
inline crypto::CertificateSpec gateway_spec(const std::string& uri) {
  using namespace std::chrono_literals;
  crypto::CertificateSpec spec;
  spec.common_name = "gateway";
  spec.uris = {uri};
  spec.not_before = wall_now() - 1h;
  spec.not_after = wall_now() + 24h;
  return spec;
}

inline const std::string kAtlanta = "spiffe://example.org/site/atlanta/gw/gw1";
inline const std::string kWisconsin = "spiffe://example.org/site/wisconsin/gw/gw1";

// Writes the files of one gateway and names them.
inline crypto::TlsConfig write_files(const CertificateFolder& folder, const std::string& name,
                                     const std::string& authority, const crypto::CertifiedKey& gateway) {
  crypto::TlsConfig config;
  config.ca_file = folder.write(name + ".ca.crt", authority);
  config.certificate_file = folder.write(name + ".crt", gateway.certificate);
  config.key_file = folder.write(name + ".key", gateway.key.text());
  return config;
}

// An authority and two right gateways, ready to talk to each other.
struct TwoSites {
  int files = 0;  // before the contexts, which count it up
  CertificateFolder folder;
  crypto::CertifiedKey authority = crypto::make_self_signed(authority_spec("test authority")).value();
  crypto::TlsContext atlanta = context(kAtlanta), wisconsin = context(kWisconsin);

  crypto::TlsContext context(const std::string& uri) {
    return context(crypto::make_signed(gateway_spec(uri), authority).value());
  }
  crypto::TlsContext context(const crypto::CertifiedKey& gateway) {
    const auto config = write_files(folder, "gateway" + std::to_string(files++), authority.certificate, gateway);
    return crypto::TlsContext::create(config, wall_now()).value();
  }
};

}  // namespace tideway::test
