// SPDX-License-Identifier: Apache-2.0
//
// tideway completion bash: prints what bash needs to complete verbs and flags, made from the same parser that reads them.
#include "verbs.h"

#include <cstdio>

namespace tideway::cli {
namespace {

// All verbs, as they are typed, for a pattern of `case`.
std::string verbs_below(const CLI::App& app, const std::string& typed) {
  std::string all;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string name = typed + ' ' + verb->get_name(), below = verbs_below(*verb, name);
    all += (all.empty() ? "" : " | ") + ('"' + name + '"') + (below.empty() ? "" : " | " + below);
  }
  return all;
}

// A line for `app` and one for each verb below it: its words, as they are typed before, and what may follow.
void print_words(const CLI::App& app, const std::string& typed) {
  std::string words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += " --" + name;
    for (const std::string& name : option->get_snames()) words += " -" + name;
  }
  const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* verb : verbs) words += ' ' + verb->get_name();
  std::printf("    \"%s\") words=\"%s\" ;;\n", typed.c_str(), words.empty() ? "" : words.substr(1).c_str());
  for (const CLI::App* verb : verbs) print_words(*verb, typed + ' ' + verb->get_name());
}

int print_bash(const CLI::App& app) {
  std::printf("# bash completion for tideway; load it with: source <(tideway completion bash)\n"
              "_tideway() {\n"
              "  local typed=tideway word words=\n"
              "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do  # what is no verb is a flag, an id or a place\n"
              "    case \"$typed $word\" in %s) typed+=\" $word\" ;; esac\n"
              "  done\n"
              "  case $typed in\n",
              verbs_below(app, "tideway").c_str());
  print_words(app, "tideway");
  std::printf("  esac\n"
              "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
              "}\n"
              "complete -o default -F _tideway tideway\n");
  return 0;
}

}  // namespace

void add_completion(CLI::App& app, Globals&, Action& action) {
  CLI::App* verb = app.add_subcommand("completion", "Print what a shell needs to complete verbs and flags");
  CLI::App* bash = verb->add_subcommand("bash", "For bash: source <(tideway completion bash)");
  verb->require_subcommand(1);
  bash->callback([&app, &action] { action = [&app] { return print_bash(app); }; });
}

}  // namespace tideway::cli
