// SPDX-License-Identifier: Apache-2.0
//
// tideway version
#include "crypto/registry.h"
#include "session/hello.h"
#include "verbs.h"

namespace tideway::cli {

void add_version(CLI::App& app, Globals&, Action& action) {
  CLI::App* verb = app.add_subcommand("version", "Versions of the program, the protocol and what seals packets");
  verb->callback([&action] {
    action = [] {
      std::printf("tideway %s\nprotocol %u\naead %s\n", TIDEWAY_VERSION, unsigned{session::kProtocolVersion},
                  std::string(crypto::aead_providers().front().name).c_str());
      return 0;
    };
  });
}

}  // namespace tideway::cli
