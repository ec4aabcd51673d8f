// SPDX-License-Identifier: Apache-2.0
#include "crypto/hmac.h"

#include "crypto/sha256.h"

#include <gtest/gtest.h>

namespace tideway::crypto {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Hmac, AgreesWithRfc4231) {
  const std::string key(20, '\x0b');
  EXPECT_EQ(to_hex(hmac_sha256(bytes_of(key), bytes_of("Hi There"))), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(bytes_of("Jefe"), bytes_of("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hmac, TagsAreTheSameOnlyWhole) {
  EXPECT_TRUE(is_same_tag(bytes_of("abcd"), bytes_of("abcd")));
  EXPECT_FALSE(is_same_tag(bytes_of("abcd"), bytes_of("abce")));
  EXPECT_FALSE(is_same_tag(bytes_of("abcd"), bytes_of("abc")));
}

}  // namespace
}  // namespace tideway::crypto
