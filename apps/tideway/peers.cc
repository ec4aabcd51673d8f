// SPDX-License-Identifier: Apache-2.0
//
// tideway peers: whom the gateway of this machine knows.
#include "api/time_text.h"
#include "base/amounts.h"
#include "gateway_client.h"
#include "verbs.h"

#include <cmath>

namespace tideway::cli {
namespace {

// How it is reached, and until when.
std::string path_text(const api::PeerState& peer) {
  std::string text = "over " + peer.carrier;
  if (peer.rtt_s) text += ", round trip " + to_string(Duration(std::llround(*peer.rtt_s * 1e9)));
  if (peer.path_mtu) text += ", packets of " + std::to_string(*peer.path_mtu) + " B";
  if (peer.certificate_ends) text += ", its certificate ends " + api::to_text(*peer.certificate_ends);
  return text;
}

int peers(const Globals& globals) {
  const auto body = GatewayClient(globals).ask("GET", "/v1/peers");
  if (!body.ok()) return report(body.error(), globals.output);
  const auto states = api::parse_peers(body.value());
  if (!states.ok()) return report(states.error(), globals.output);
  for (const api::PeerState& peer : states.value()) {
    if (globals.output.json) {
      JsonLine line("peer");
      line.text("peer", peer.name).text("control", peer.control).text("identity", peer.identity).text("session", peer.is_up ? "up" : "none");
      line.number("sessions", peer.sessions).number("bytes_sent", peer.bytes_sent).number("bytes_received", peer.bytes_received);
      if (!peer.carrier.empty()) line.text("carrier", peer.carrier);
      if (peer.rtt_s) line.real("rtt_s", *peer.rtt_s);
      if (peer.path_mtu) line.number("path_mtu", *peer.path_mtu);
      if (peer.certificate_ends) line.text("certificate_ends", api::to_text(*peer.certificate_ends));
      line.print();
      continue;
    }
    std::printf("%-16s  %-9s  %-22s  sent %s, received %s  %s\n", peer.name.c_str(), peer.is_up ? "connected" : "idle", peer.control.c_str(),
                to_string(Bytes(peer.bytes_sent)).c_str(), to_string(Bytes(peer.bytes_received)).c_str(), peer.identity.c_str());
    if (!peer.carrier.empty()) std::printf("%-16s  %s\n", "", path_text(peer).c_str());
  }
  return 0;
}

}  // namespace

void add_peers(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* verb = app.add_subcommand("peers", "The peers of this machine's gateway: bytes sent and received, and of those that are connected how");
  add_globals(*verb, globals);
  verb->callback([&globals, &action] { action = [&globals] { return peers(globals); }; });
}

}  // namespace tideway::cli
