// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a certificate in DER, and as a file in PEM: of a gateway, and of an authority. An identity that is read out of one reads
// back from its own text, and a certificate that was accepted has a lifetime and a fingerprint.
#include "crypto/certificate.h"
#include "fuzz/pem.h"

#include <tideway/check.h>

#include <string_view>

namespace {

using namespace tideway;

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
  read(test::to_pem("CERTIFICATE", {data, size}));
  return 0;
}
