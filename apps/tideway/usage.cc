// SPDX-License-Identifier: Apache-2.0
#include "usage.h"

#include "config/known_keys.h"
#include <tideway/object_name.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

namespace tideway::cli {
namespace {

constexpr size_t kSlipsMax = 2;  // characters by which a word may differ from the one that was meant

// What other copy programs have and this one does not need, or does otherwise.
struct Habit {
  std::string_view flag, instead;
};
constexpr Habit kHabits[] = {
    {"-a", "a tree is copied whole, with its modes, times and links: leave it out"},
    {"-r", "a tree is copied whole: leave it out"},
    {"-R", "a tree is copied whole: leave it out"},
    {"--archive", "a tree is copied whole, with its modes, times and links: leave it out"},
    {"--recursive", "a tree is copied whole: leave it out"},
    {"-z", "what compresses is compressed: leave it out, or see --compress"},
    {"--partial", "an interrupted copy resumes when the same command is run again: leave it out"},
    {"--checksum", "every byte is hashed at both ends: leave it out, or see --verify"},
    {"--delete", "nothing is removed: copy to a new directory, or replace the whole tree with --overwrite always --publish rename"},
    {"--transfers", "write --flows N"},
};

std::vector<std::string> names_of_verbs(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(verb->get_name());
  return names;
}

std::vector<std::string> names_of_flags(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

// Empty where none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& words) {
  const auto found = std::ranges::min_element(words, {}, [&](const std::string& one) { return config::edit_distance(one, word); });
  return found != words.end() && config::edit_distance(*found, word) <= kSlipsMax ? *found : std::string();
}

}  // namespace

Error usage_error(const CLI::App& app, const CLI::ParseError& failure) {
  const CLI::App* verb = &app;  // the last one that was understood
  std::string typed = app.get_name();
  for (auto below = app.get_subcommands(); !below.empty(); below = verb->get_subcommands()) {
    verb = below.front();
    typed += ' ' + verb->get_name();
  }
  const std::string help = "see " + typed + " --help";
  const std::vector<std::string> verbs = names_of_verbs(*verb);
  const std::vector<std::string> unknown = app.remaining(true);
  const bool lacks_verb = verb->get_require_subcommand_min() > 0;
  if (lacks_verb && unknown.empty()) return {Fault::kUsage, typed + " needs a verb", "write one of " + CLI::detail::join(verbs, ", ") + "; " + help};
  const bool has_unknown = lacks_verb || dynamic_cast<const CLI::ExtrasError*>(&failure) != nullptr;
  if (!has_unknown || unknown.empty()) return {Fault::kUsage, to_display(std::string_view(failure.what())), help};  // it quotes what was typed
  const std::string& word = unknown.front();
  const bool is_flag = word.starts_with('-');
  const auto habit = std::ranges::find(kHabits, word, &Habit::flag);
  if (is_flag && verb->get_name() == "copy" && habit != std::end(kHabits)) return {Fault::kUsage, typed + " has no flag " + word, std::string(habit->instead)};
  const std::string meant = nearest(word, is_flag ? names_of_flags(*verb) : verbs);
  const std::string kind = is_flag ? " has no flag " : lacks_verb ? " has no verb " : " takes no argument ";
  return {Fault::kUsage, typed + kind + to_display(std::string_view(word)), meant.empty() ? help : "the nearest one is " + meant + "; " + help};
}

}  // namespace tideway::cli
