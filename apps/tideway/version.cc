// SPDX-License-Identifier: Apache-2.0
//
// tideway version
#include "crypto/registry.h"
#include "session/hello.h"
#include "verbs.h"

namespace tideway::cli {

void add_version(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* verb = app.add_subcommand("version", "Versions of program and protocol, and what seals packets");
  add_globals(*verb, globals);
  verb->callback([&globals, &action] {
    action = [&globals] {
      const std::string_view aead = crypto::aead_providers().front().name;
      if (globals.output.json) JsonLine("version").text("tideway", TIDEWAY_VERSION).number("protocol", session::kProtocolVersion).text("aead", aead).print();
      else std::printf("tideway %s\nprotocol %u\naead %s\n", TIDEWAY_VERSION, unsigned{session::kProtocolVersion}, std::string(aead).c_str());
      return 0;
    };
  });
}

}  // namespace tideway::cli
