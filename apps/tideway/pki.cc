// SPDX-License-Identifier: Apache-2.0
//
// tideway pki init, issue, signing-key: a small certificate authority for sites that have none.
#include "base/clock.h"
#include "pki/authority.h"
#include "verbs.h"

namespace tideway::cli {
void add_pki(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("pki", "Make a certificate authority and certificates of gateways");
  group->require_subcommand(1);

  auto authority = std::make_shared<pki::AuthorityOrder>();
  CLI::App* init = group->add_subcommand("init", "Make an authority: ca.crt, and ca.key, which stays secret");
  init->add_option("--out", authority->folder, "Where to write")->required()->type_name("DIR");
  init->add_option("--trust-domain", authority->trust_domain, "Name of the federation, such as example.org")->required()->type_name("D");
  init->callback([&globals, &action, authority] {
    action = [&globals, authority] {
      const Status made = pki::init_authority(*authority, read_calendar());
      if (!made.ok()) return report(made.error(), globals.output);
      std::printf("%s/ca.crt  trust domain %s\n", to_display(authority->folder).c_str(), authority->trust_domain.c_str());
      return 0;
    };
  });

  auto order = std::make_shared<pki::GatewayOrder>();
  CLI::App* issue = group->add_subcommand("issue", "Issue a gateway's certificate: ca.crt, gateway.crt, gateway.key");
  issue->add_option("--ca", order->authority, "Folder of the authority")->required()->type_name("DIR");
  issue->add_option("--site", order->site, "Site, such as atlanta")->required()->type_name("S");
  issue->add_option("--gateway", order->gateway, "Gateway, such as gw1")->required()->type_name("G");
  issue->add_option("--out", order->folder, "Where to write")->required()->type_name("DIR2");
  issue->callback([&globals, &action, order] {
    action = [&globals, order] {
      const auto issued = pki::issue(*order, read_calendar());
      if (!issued.ok()) return report(issued.error(), globals.output);
      std::printf("%s/gateway.crt  %s\n", to_display(order->folder).c_str(), to_string(issued.value()).c_str());
      return 0;
    };
  });

  auto folder = std::make_shared<std::string>();
  CLI::App* signing = group->add_subcommand("signing-key", "Make a pair of keys to sign trees with: signing.key, which stays secret, and signing.pub");
  signing->add_option("--out", *folder, "Where to write")->required()->type_name("DIR");
  signing->callback([&globals, &action, folder] {
    action = [&globals, folder] {
      const Status made = pki::make_signing_key(*folder);
      if (!made.ok()) return report(made.error(), globals.output);
      std::printf("%s/signing.pub\n", to_display(*folder).c_str());
      return 0;
    };
  });
}

}  // namespace tideway::cli
