// SPDX-License-Identifier: Apache-2.0
//
// tideway peers: whom the gateway of this machine knows.
#include "base/amounts.h"
#include "gateway_client.h"
#include "verbs.h"

namespace tideway::cli {
namespace {

int peers(const Globals& globals) {
  const auto body = GatewayClient(globals).ask("GET", "/v1/peers");
  if (!body.ok()) return report(body.error(), globals.output);
  const auto states = api::parse_peers(body.value());
  if (!states.ok()) return report(states.error(), globals.output);
  for (const api::PeerState& peer : states.value()) {
    if (globals.output.json) {
      JsonLine line("peer");
      line.text("peer", peer.name).text("control", peer.control).text("identity", peer.identity).text("session", peer.is_up ? "up" : "none");
      line.number("sessions", peer.sessions).number("bytes_sent", peer.bytes_sent).number("bytes_received", peer.bytes_received).print();
      continue;
    }
    std::printf("%-16s  %-9s  %-22s  sent %s, received %s  %s\n", peer.name.c_str(), peer.is_up ? "connected" : "idle", peer.control.c_str(),
                to_string(Bytes(peer.bytes_sent)).c_str(), to_string(Bytes(peer.bytes_received)).c_str(), peer.identity.c_str());
  }
  return 0;
}

}  // namespace

void add_peers(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* verb = app.add_subcommand("peers", "The peers of this machine's gateway: connected or not, and bytes sent and received");
  add_globals(*verb, globals);
  verb->callback([&globals, &action] { action = [&globals] { return peers(globals); }; });
}

}  // namespace tideway::cli
