// SPDX-License-Identifier: Apache-2.0
#include "session/copy_words.h"

#include <charconv>

namespace tideway::session {
namespace {

// zstd below level 1 and above 19 is for other uses: negative levels gain nothing here, 20 and up need a window that
// receivers refuse.
constexpr int kZstdLevelMin = 1, kZstdLevelMax = 19;

Result<int> parse_zstd_level(std::string_view text) {
  int level = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (failure != std::errc() || end != text.data() + text.size() || level < kZstdLevelMin || level > kZstdLevelMax)
    return Error{Fault::kUsage, "\"" + to_display(text.substr(0, 32)) + "\" is no zstd level", "write a number from 1 to 19"};
  return level;
}

}  // namespace

Result<messages::TransferOptions> options_from(const CopyWords& options) {
  messages::TransferOptions wire;
  if (options.compress == "off") {
    wire.compress = messages::CompressMode::kOff;
  } else if (options.compress.starts_with("zstd:")) {
    wire.compress = messages::CompressMode::kZstd;
    const auto level = parse_zstd_level(options.compress.substr(5));
    if (!level.ok()) return Error{Fault::kUsage, "--compress " + options.compress + ": " + level.error().what, level.error().next};
    wire.level = level.value();
  } else if (options.compress != "auto") {
    return Error{Fault::kUsage, "--compress " + options.compress + " is not known", "write auto, off, or zstd:N with N from 1 to 19"};
  }
  if (options.verify == "wire") wire.verify = messages::VerifyLevel::kWire;
  else if (options.verify == "readback") wire.verify = messages::VerifyLevel::kReadback;
  else if (options.verify != "memory")
    return Error{Fault::kUsage, "--verify " + options.verify + " is not known", "write wire, memory or readback"};
  if (options.publish == "rename") wire.publish = messages::PublishForm::kRename;
  else if (options.publish == "marker") wire.publish = messages::PublishForm::kMarker;
  else if (options.publish == "each") wire.publish = messages::PublishForm::kEach;
  else if (options.publish != "auto")
    return Error{Fault::kUsage, "--publish " + options.publish + " is not known", "write auto, rename, marker or each"};
  if (options.resume_verify == "all") wire.resume_verify = messages::ResumeVerify::kAll;
  else if (options.resume_verify == "none") wire.resume_verify = messages::ResumeVerify::kNone;
  else if (options.resume_verify != "auto")
    return Error{Fault::kUsage, "--resume-verify " + options.resume_verify + " is not known", "write auto, all or none"};
  if (options.overwrite == "if-older") wire.overwrite = messages::Overwrite::kIfOlder;
  else if (options.overwrite == "always") wire.overwrite = messages::Overwrite::kAlways;
  else if (options.overwrite != "never")
    return Error{Fault::kUsage, "--overwrite " + to_display(options.overwrite) + " is not known", "write never, if-older or always"};
  const bool is_by_parts = wire.publish == messages::PublishForm::kMarker || wire.publish == messages::PublishForm::kEach;
  if (is_by_parts && wire.overwrite == messages::Overwrite::kAlways)
    return Error{Fault::kUnsupported, "--overwrite always does not go with --publish " + options.publish,
                 "a tree is replaced as a whole, with --publish rename"};
  for (const std::string& pattern : options.last)
    if (pattern.empty() || pattern.size() > kNameComponentMax || pattern.find('/') != pattern.npos)
      return Error{Fault::kUsage, "--last \"" + to_display(pattern) + "\" cannot be the last part of a name", "write a name, with * and ?, without /"};
  if (options.last.size() > messages::kLastMax)
    return Error{Fault::kUsage, "--last is given " + std::to_string(options.last.size()) + " times", "join them with * and ?, to at most " + std::to_string(messages::kLastMax)};
  wire.last = options.last;
  return wire;
}

}  // namespace tideway::session
