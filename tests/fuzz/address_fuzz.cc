// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what a person or a configuration writes for a place: peer:root/path, a local path, and an address with a port. What
// is taken for a peer's place names one, and is shown as a text that means the same.
#include "session/address.h"

#include <tideway/check.h>
#include <tideway/packet_io.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto address = session::parse_address(text);
  if (!address.ok()) {
    TIDEWAY_CHECK(address.error().exit_code() == 2 && !address.error().what.empty());
  } else if (const auto* remote = std::get_if<session::RemoteAddress>(&address.value())) {
    TIDEWAY_CHECK(!remote->peer.empty() && !remote->root.empty());
    TIDEWAY_CHECK(remote->root.find('/') == std::string::npos && remote->peer.find('/') == std::string::npos);
    const auto again = session::parse_address(remote->peer + ':' + remote->root + '/' + std::string(text.substr(std::min(text.size(), remote->peer.size() + remote->root.size() + 2))));
    TIDEWAY_CHECK(again.ok() && std::get<session::RemoteAddress>(again.value()).name == remote->name);
    TIDEWAY_CHECK(session::to_display(*remote).starts_with(remote->peer + ':' + remote->root));
  } else {
    TIDEWAY_CHECK(std::get<session::LocalAddress>(address.value()).path == text);
  }
  if (const auto endpoint = Endpoint::parse(text); endpoint.ok()) {
    const auto again = Endpoint::parse(to_string(endpoint.value()));
    TIDEWAY_CHECK(again.ok() && again.value() == endpoint.value());
  }
  return 0;
}
