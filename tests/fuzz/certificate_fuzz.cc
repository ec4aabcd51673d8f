// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a certificate in DER, and as a file in PEM: of a gateway, and of an authority. An identity that is read out of one reads
// back from its own text, and a certificate that was accepted has a lifetime and a fingerprint.
#include "crypto/certificate.h"

#include <tideway/check.h>

#include <span>

namespace {

using namespace tideway;

std::string to_pem(std::span<const uint8_t> der) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = "-----BEGIN CERTIFICATE-----\n";
  for (size_t at = 0, line = 0; at < der.size(); at += 3) {
    uint32_t three = 0;
    for (size_t i = 0; i < 3; ++i) three = three << 8 | (at + i < der.size() ? der[at + i] : 0U);
    for (int digit = 0; digit < 4; ++digit)
      text += at + static_cast<size_t>(digit) > der.size() ? '=' : kDigits[three >> (18 - 6 * digit) & 63];
    if (++line % 16 == 0) text += '\n';
  }
  return text + "\n-----END CERTIFICATE-----\n";
}

void read(std::string_view pem) {
  if (const auto read = crypto::read_certificate_pem(pem, "a file"); read.ok()) {
    const auto again = crypto::Identity::parse(to_string(read.value().identity));
    TIDEWAY_CHECK(again.ok() && again.value() == read.value().identity && read.value().fingerprint != Hash256{});
  }
  if (const auto read = crypto::read_authority_pem(pem, "a file"); !read.ok()) TIDEWAY_CHECK(!read.error().what.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  read({reinterpret_cast<const char*>(data), size});
  read(to_pem({data, size}));
  return 0;
}
