// SPDX-License-Identifier: Apache-2.0
//
// From the exporter of one TLS 1.3 connection to the keys of every flow, direction and key epoch:
//
//   secret[0]   = HKDF-Expand-Label(exporter, "dp flow", u8 direction || u16 flow id, 48)      (RFC 8446, 7.1; SHA-384)
//   secret[e+1] = HKDF-Expand-Label(secret[e], "dp ku", "", 48)
//   key, iv     = HKDF-Expand-Label(secret[e], "key", "", 32), (secret[e], "iv", "", 12)
//
// Nothing here is ever stored; a restart means a new handshake, so no (key, packet number) can come twice.
// Thread: control.
#pragma once
#include "crypto/registry.h"

#include <tideway/aead.h>
#include <tideway/ids.h>

#include <array>
#include <memory>
#include <span>
#include <string_view>

namespace tideway::crypto {

inline constexpr size_t kSecretSize = 48;  // the output of SHA-384
inline constexpr std::string_view kExporterLabel = "EXPORTER-tideway-dp-v1";

using HelloRandom = std::array<std::byte, 16>;  // each side's, in its Hello
using SessionId = std::array<std::byte, 16>;
using Secret = std::array<std::byte, kSecretSize>;

struct HelloRandoms { HelloRandom dialling, accepting; };

SessionId session_id(const HelloRandoms& randoms);

// The context of the TLS exporter: session id || u16 protocol version.
std::array<std::byte, 18> exporter_context(const SessionId& session, uint16_t protocol_version);

enum class FlowDirection : uint8_t { kFromDialling = 0, kFromAccepting = 1 };  // goes into the derivation

// The secret of one flow, direction and key epoch; wiped when it dies or is moved away.
class FlowSecret {
 public:
  FlowSecret(KeyEpoch epoch, const Secret& secret) : epoch_(epoch), secret_(secret) {}
  FlowSecret(FlowSecret&& other) noexcept { *this = std::move(other); }
  FlowSecret& operator=(FlowSecret&& other) noexcept;
  ~FlowSecret();

  KeyEpoch epoch() const { return epoch_; }
  FlowSecret next() const;  // of the key epoch after this one
  // The expanded key of this key epoch.
  std::unique_ptr<Aead> make_aead() const { return make_aead(aead_providers().front()); }
  std::unique_ptr<Aead> make_aead(const AeadProvider& provider) const;
  const Secret& bytes() const { return secret_; }  // for test vectors

 private:
  KeyEpoch epoch_;
  Secret secret_;
};

class KeySchedule {
 public:
  explicit KeySchedule(std::span<const std::byte, kSecretSize> exporter);
  KeySchedule(const KeySchedule&) = delete;
  KeySchedule& operator=(const KeySchedule&) = delete;
  ~KeySchedule();

  // secret[0] of a flow. Once per flow and direction: flow ids are never used twice within a session.
  FlowSecret first_secret(FlowDirection direction, FlowId flow) const;

 private:
  Secret exporter_;
};

// HKDF-Expand-Label of TLS 1.3 with SHA-384 and the prefix "tls13 ". `out` is at most 255 bytes.
void expand_label(std::span<const std::byte> secret, std::string_view label, std::span<const std::byte> context,
                  std::span<std::byte> out);

}  // namespace tideway::crypto
