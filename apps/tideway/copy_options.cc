// SPDX-License-Identifier: Apache-2.0
#include "copy_options.h"

#include "api/time_text.h"
#include "base/amounts.h"
#include "base/clock.h"
#include "session/copy_words.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>

namespace tideway::cli {
namespace {

// Several sources and a destination are one option to the parser, and two things to who reads the help.
class PlacesFormatter final : public CLI::Formatter {
 public:
  std::string make_option_usage(const CLI::Option*) const override { return kPlaces; }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    return is_positional ? kPlaces : CLI::Formatter::make_option_name(option, is_positional);
  }
  std::string make_option_opts(const CLI::Option* option) const override { return option->get_positional() ? "" : CLI::Formatter::make_option_opts(option); }

 private:
  static constexpr const char* kPlaces = "SRC... DST";
};

Result<std::vector<ObjectName>> read_names(const CopyOptions& options) {
  std::ifstream file;
  if (options.files_from != "-") {
    file.open(options.files_from, std::ios::binary);
    if (!file) return Error{Fault::kUsage, "--files-from: cannot read " + to_display(options.files_from), "name a readable file, or - for standard input"};
  }
  std::istream& in = options.files_from == "-" ? std::cin : file;
  std::vector<ObjectName> names;
  for (std::string line; std::getline(in, line, options.null_separated ? '\0' : '\n');) {
    if (line.empty()) continue;
    auto name = ObjectName::from_text(line);
    if (!name.ok()) return Error{Fault::kUsage, "--files-from: " + name.error().what, name.error().next};
    names.push_back(std::move(name).value());
  }
  return names;
}

constexpr uint64_t kCountedUnasked = 10'000;  // entries, a fraction of a second

// What the sources on this machine have, filters aside: planning must not count on less than there is. Nothing: they have more than
// `most` entries.
Bytes bytes_of(const session::CopyRequest& request, uint64_t most) {
  namespace fs = std::filesystem;
  Bytes bytes;
  uint64_t entries = 0;
  const auto add = [&](const fs::directory_entry& entry) {
    std::error_code failure;
    if (entry.is_symlink(failure) || !entry.is_regular_file(failure)) return;
    if (const auto size = entry.file_size(failure); !failure) bytes += Bytes(size);
  };
  for (const session::Address& source : request.sources) {
    const auto* local = std::get_if<session::LocalAddress>(&source);
    if (local == nullptr) continue;
    std::error_code failure;
    add(fs::directory_entry(local->path, failure));
    for (fs::recursive_directory_iterator at(local->path, fs::directory_options::skip_permission_denied, failure), end; !failure && at != end && entries <= most; at.increment(failure), ++entries) add(*at);
  }
  return entries > most ? Bytes() : bytes;
}

}  // namespace

Result<job::WallTime> parse_deadline(const std::string& text) {
  if (const auto time = api::parse_time(text)) return *time;
  const auto after = parse_duration(text);
  if (after.ok() && after.value() > Duration::zero()) return read_wall_clock() + std::chrono::round<std::chrono::milliseconds>(after.value());
  return Error{Fault::kUsage, "--deadline: " + to_display(text) + " is no time", "write one such as 6h from now, or 2026-11-27T06:00:00Z"};
}

Result<session::CopyRequest> request_from(const CopyOptions& options) {
  session::CopyRequest request;
  if (options.places.size() < 2)
    return Error{Fault::kUsage, options.places.empty() ? "no source and no destination is given" : "no destination is given", "write at least one source, and the destination last: SRC... DST"};
  for (const std::string& place : options.places) {
    auto address = session::parse_address(place);
    if (!address.ok()) return std::move(address).error();
    request.sources.push_back(std::move(address).value());
  }
  request.destination = std::move(request.sources.back());
  request.sources.pop_back();
  const auto wire = session::options_from({options.compress, options.verify, options.publish, options.last, options.overwrite, options.resume_verify});
  if (!wire.ok()) return wire.error();
  request.options = wire.value();
  request.options.dry_run = options.dry_run;
  request.filters = options.filters;
  if (options.files_from.empty()) return request;
  auto names = read_names(options);
  if (!names.ok()) return std::move(names).error();
  request.only = std::move(names).value();
  return request;
}

Result<Rate> rate_from(const CopyOptions& options) {
  if (options.bwlimit.empty()) return Rate::unlimited();
  const auto rate = parse_rate(options.bwlimit);
  if (!rate.ok()) return Error{Fault::kUsage, "--bwlimit: " + rate.error().what, rate.error().next};
  return rate;
}

Result<job::Spec> spec_from(const CopyOptions& options, const GatewayClient& gateway) {
  const auto request = request_from(options);  // what is wrong is told in the words of the command line
  if (!request.ok()) return request.error();
  job::Spec spec;
  for (const std::string& text : options.places) {
    auto place = gateway.place(text);
    if (!place.ok()) return std::move(place).error();
    spec.sources.push_back(std::move(place).value());
  }
  spec.destination = std::move(spec.sources.back());
  spec.sources.pop_back();
  spec.compress = options.compress;
  spec.verify = options.verify;
  spec.publish = options.publish;
  spec.last = options.last;
  spec.overwrite = options.overwrite;
  spec.resume_verify = options.resume_verify;
  for (const messages::Filter& filter : options.filters)
    spec.filters.push_back({filter.kind == messages::FilterKind::kInclude ? job::Filter::Kind::kInclude : job::Filter::Kind::kExclude, filter.pattern});
  if (request.value().only) {
    spec.only.emplace();
    for (const ObjectName& name : *request.value().only) spec.only->push_back(to_display(name));
  }
  const auto rate = rate_from(options);
  if (!rate.ok()) return rate.error();
  spec.rate_max = rate.value();
  if (options.weight != 0) spec.weight = options.weight;
  if (!options.deadline.empty()) {
    const auto deadline = parse_deadline(options.deadline);
    if (!deadline.ok()) return deadline.error();
    spec.deadline = deadline.value();
  }
  if (!options.may_hurt.empty()) {
    const auto share = parse_percent(options.may_hurt);
    if (!share.ok()) return Error{Fault::kUsage, "--may-hurt: " + share.error().what, share.error().next};
    spec.hurt_max = share.value();
  }
  const bool is_asked = spec.deadline || options.dry_run;
  spec.bytes = bytes_of(request.value(), is_asked ? std::numeric_limits<uint64_t>::max() : kCountedUnasked);
  if (options.transfer_class.empty()) return spec;
  const auto service = job::class_named(options.transfer_class);
  if (!service) return Error{Fault::kUsage, "--class " + to_display(options.transfer_class) + " is not known", "write restore, checkpoint, staging or best-effort"};
  spec.service = *service;
  return spec;
}

void add_copy_options(CLI::App& verb, const std::shared_ptr<CopyOptions>& options) {
  verb.formatter(std::make_shared<PlacesFormatter>());
  verb.add_option("place", options->places, "PEER:ROOT/PATH, or a path on this machine")->type_name("")->expected(0, -1);
  const auto filter = [options](messages::FilterKind kind) {
    return [options, kind](const std::string& pattern) { options->filters.push_back({kind, pattern}); };
  };
  verb.add_option_function<std::string>("--include", filter(messages::FilterKind::kInclude), "Copy what matches PATTERN; of all filters the first match decides")->type_name("PATTERN")->trigger_on_parse();
  verb.add_option_function<std::string>("--exclude", filter(messages::FilterKind::kExclude), "Leave out what matches PATTERN")->type_name("PATTERN")->trigger_on_parse();
  verb.add_option("--files-from", options->files_from, "Copy only the names listed in FILE, below the source; - is standard input")->type_name("FILE");
  verb.add_flag("-0", options->null_separated, "Names in --files-from end with NUL");
  verb.add_option("--bwlimit", options->bwlimit, "Send at most RATE, such as 2Gbit or 250MB; off is no limit")->type_name("RATE")->envname("TIDEWAY_BWLIMIT");
  verb.add_option("--compress", options->compress, "auto (default), off or zstd:N, with N from 1 to 19")->type_name("MODE");
  verb.add_option("--verify", options->verify, "What the destination compares with the hashes of the source:\nmemory (default), each block before it is written;\nreadback, also what its device gives back;\nwire, nothing: it trusts the seal of each packet")->type_name("LEVEL");
  verb.add_option("--resume-verify", options->resume_verify, "What an earlier run left at the destination is hashed again:\nauto (default), if that host was rebooted since; all, always; none, never")->type_name("WHEN");
  verb.add_option("--publish", options->publish, "How it appears at the destination:\nauto (default), rename where nothing is there, else marker;\nrename, a new tree as a whole; marker, part by part, markers of completion last;\neach, each file as soon as it is whole")->type_name("FORM");
  verb.add_option("--overwrite", options->overwrite, "never (default); if-older, a single file replaces an older one;\nalways, a single file replaces any other, and with --publish rename\na tree takes the place of the one that is there")->type_name("WHEN");
  verb.add_option_function<std::string>("--last", [options](const std::string& pattern) { options->last.push_back(pattern); }, "Publish names that match PATTERN after all else, as markers of known formats are")->type_name("PATTERN")->trigger_on_parse();
  verb.add_option("--class", options->transfer_class, "restore, checkpoint, staging or best-effort (default):\nwhich of the gateway's jobs starts first, and has most of the link")->type_name("CLASS");
  verb.add_option("--deadline", options->deadline, "When it has to be there, such as 6h from now or 2026-11-27T06:00:00Z;\nrefused if that cannot be met")->type_name("TIME");
  verb.add_option("--may-hurt", options->may_hurt, "If its deadline needs that: the share of the link, such as 10%, that it may take\nwhile trainings communicate, as far as the link's owner allows it")->type_name("SHARE");
  verb.add_option("--weight", options->weight, "Shares of the link against the gateway's other jobs of the class")->type_name("N")->check(CLI::Range(1U, job::kWeightMax));
}

}  // namespace tideway::cli
