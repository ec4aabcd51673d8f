// SPDX-License-Identifier: Apache-2.0
//
// tideway ls ADDRESS
#include "base/amounts.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "verbs.h"

#include <ctime>

namespace tideway::cli {
namespace {

std::string local_time(int64_t mtime_ns) {
  const std::time_t seconds = static_cast<std::time_t>(mtime_ns / 1'000'000'000);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

std::string mode_text(const ManifestEntry& entry) {
  std::string text = entry.type == EntryType::kDirectory ? "d" : entry.type == EntryType::kSymlink ? "l" : "-";
  for (int bit = 8; bit >= 0; --bit) text += (entry.mode >> bit & 1) != 0 ? "rwx"[(8 - bit) % 3] : '-';
  return text;
}

const char* type_name(EntryType type) {
  return type == EntryType::kDirectory ? "directory" : type == EntryType::kSymlink ? "symlink" : "file";
}

void print(const ManifestEntry& entry, const OutputConfig& output) {
  const std::string name = entry.name.empty() ? "." : to_display(entry.name);
  if (output.json) {
    JsonLine line("entry");
    line.text("path", name).text("kind", type_name(entry.type)).number("bytes", entry.size.count());
    line.number("mode", entry.mode).number("mtime_ns", static_cast<uint64_t>(entry.mtime_ns));
    if (entry.type == EntryType::kSymlink) line.text("target", to_display(entry.link_target));
    line.print();
    return;
  }
  const std::string link = entry.type == EntryType::kSymlink ? " -> " + to_display(entry.link_target) : "";
  const std::string slash = entry.type == EntryType::kDirectory ? "/" : "";
  std::printf("%s %10s  %s  %s%s%s\n", mode_text(entry).c_str(), to_string(entry.size).c_str(), local_time(entry.mtime_ns).c_str(),
              name.c_str(), slash.c_str(), link.c_str());
}

// Of a directory what lies directly in it; of a file the file itself.
void print_all(session::Direct& direct, const OutputConfig& output) {
  for (; !direct.entries().empty(); direct.entries().pop_front()) {
    const ManifestEntry& entry = direct.entries().front();
    const bool is_top = entry.number == ObjectId(0);
    if (is_top ? entry.type == EntryType::kFile : entry.parent == ObjectId(0)) print(entry, output);
  }
}

int list(const std::string& place, const Globals& globals) {
  const auto address = session::parse_address(place);
  if (!address.ok()) return report(address.error(), globals.output);
  const auto* remote = std::get_if<session::RemoteAddress>(&address.value());
  if (remote == nullptr)
    return report({Fault::kUsage, to_display(place) + " names no peer", "write peer:root/path"}, globals.output);
  const auto config = config::load(globals.config);
  if (!config.ok()) return report(config.error(), globals.output);
  const auto peer = config::peer_for(config.value(), remote->peer);
  if (!peer.ok()) return report(peer.error(), globals.output);
  const auto gateway = config::dialling_gateway(config.value());
  if (!gateway.ok()) return report(gateway.error(), globals.output);
  auto direct = session::Direct::list(gateway.value(), peer.value(), *remote);
  if (!direct.ok()) return report(direct.error(), globals.output);
  while (direct.value()->turn(std::chrono::milliseconds(200))) print_all(*direct.value(), globals.output);
  print_all(*direct.value(), globals.output);
  return direct.value()->outcome().ok() ? 0 : report(direct.value()->outcome().error(), globals.output);
}

}  // namespace

void add_list(CLI::App& app, Globals& globals, Action& action) {
  auto place = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("ls", "List a directory of a peer");
  verb->footer("  tideway ls wisconsin:ckpt/llm7");
  verb->add_option("ADDRESS", *place, "PEER:ROOT/PATH")->required()->type_name("");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, place] { action = [&globals, place] { return list(*place, globals); }; });
}

}  // namespace tideway::cli
