// SPDX-License-Identifier: Apache-2.0
//
// Memory that is wiped before it is given back: keys, and the files that hold them.
// Thread: any; one owner.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace tideway::crypto {

// Overwrites `bytes` in a way the compiler does not remove.
void cleanse(std::span<std::byte> bytes);

// Text that is wiped when it dies or is moved away, such as a private key in PEM. Move-only.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  SecretText(SecretText&& other) noexcept { *this = std::move(other); }
  SecretText& operator=(SecretText&& other) noexcept;
  ~SecretText() { wipe(); }

  const std::string& text() const { return text_; }

 private:
  void wipe();
  std::string text_;
};

}  // namespace tideway::crypto
