// SPDX-License-Identifier: Apache-2.0
//
// Opcodes as in Python's pickletools, of the protocols from 2 on, which are binary. What torch writes for each tensor or object in a file is a
// dictionary {"relative_path": text, "offset": number, "length": number}, in this order.
#include "checkpoint/dcp_metadata.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace tideway::checkpoint {
namespace {

// How an opcode goes on: with so many bytes; with a length of so many bytes, and as many bytes as that says; with two lines of text.
enum class Form : uint8_t { kUnknown, kFixed, kCounted, kLines };
enum class Means : uint8_t { kOther, kNothing, kText, kNumber, kSignedNumber, kRecall, kKeep, kKeepNext, kEnd };
struct Opcode {
  Form form = Form::kUnknown;
  uint8_t size = 0;
  Means means = Means::kOther;
};

Opcode opcode_of(uint8_t code) {
  using enum Form;
  using enum Means;
  switch (code) {
    case 'X': return {kCounted, 4, kText};
    case 0x8c: return {kCounted, 1, kText};
    case 0x8d: return {kCounted, 8, kText};
    case 'J': return {kFixed, 4, kSignedNumber};
    case 'K': return {kFixed, 1, kNumber};
    case 'M': return {kFixed, 2, kNumber};
    case 0x8a: return {kCounted, 1, kSignedNumber};
    case 0x8b: return {kCounted, 4, kSignedNumber};
    case 'h': return {kFixed, 1, kRecall};
    case 'j': return {kFixed, 4, kRecall};
    case 'q': return {kFixed, 1, kKeep};
    case 'r': return {kFixed, 4, kKeep};
    case 0x94: return {kFixed, 0, kKeepNext};
    case '.': return {kFixed, 0, kEnd};
    case 'G': return {kFixed, 8};
    case 0x95: return {kFixed, 8, kNothing};  // a frame begins, anywhere
    case 0x80: case 0x82: return {kFixed, 1};
    case 0x83: return {kFixed, 2};
    case 0x84: return {kFixed, 4};
    case 'C': case 'U': return {kCounted, 1};
    case 'B': case 'T': return {kCounted, 4};
    case 0x8e: case 0x96: return {kCounted, 8};
    case 'c': return {kLines};
    case '(': case ')': case ']': case '}': case '0': case '1': case '2': case 'N': case 'a': case 'b': case 'e': case 'o': case 's': case 't': case 'u': case 'R': case 'Q':
    case 0x81: case 0x85: case 0x86: case 0x87: case 0x88: case 0x89: case 0x8f: case 0x90: case 0x91: case 0x92: case 0x93: return {kFixed, 0};
    default: return {};
  }
}

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return value;
}

class Scan {
 public:
  explicit Scan(std::string_view rest) : rest_(rest) {}

  std::optional<FileEnds> files() && {
    while (!has_ended_)
      if (!step()) return std::nullopt;
    return files_.empty() ? std::nullopt : std::optional(std::move(files_));
  }

 private:
  bool step() {
    const auto code = take(1);
    const Opcode opcode = code ? opcode_of(static_cast<uint8_t>(code->front())) : Opcode{};
    const auto argument = argument_of(opcode);
    if (!argument) return false;
    switch (opcode.means) {
      case Means::kText: return on_text(*argument);
      case Means::kNumber: return on_number(little_endian(*argument));
      case Means::kSignedNumber: return on_signed(*argument);
      case Means::kRecall: return on_recall(little_endian(*argument));
      case Means::kKeep: return keep(little_endian(*argument));
      case Means::kKeepNext: return keep(kept_);
      case Means::kNothing: return true;
      case Means::kEnd: has_ended_ = true; break;
      case Means::kOther: break;
    }
    last_.reset();
    awaited_ = Awaited::kNothing;
    return true;
  }

  std::optional<std::string_view> take(uint64_t size) {
    if (size > rest_.size()) return std::nullopt;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::optional<std::string_view> argument_of(const Opcode& opcode) {
    if (opcode.form == Form::kFixed) return take(opcode.size);
    if (opcode.form == Form::kCounted) {
      const auto size = take(opcode.size);
      return size ? take(little_endian(*size)) : std::nullopt;
    }
    if (opcode.form == Form::kUnknown) return std::nullopt;
    const size_t first = rest_.find('\n'), second = first == rest_.npos ? first : rest_.find('\n', first + 1);
    return second == rest_.npos ? std::nullopt : take(second + 1);
  }

  bool on_text(std::string_view text) {
    last_ = text;
    if (awaited_ == Awaited::kPath) {
      path_ = text;
      awaited_ = Awaited::kNothing;
      return true;
    }
    awaited_ = text == "relative_path" ? Awaited::kPath : text == "offset" ? Awaited::kOffset : text == "length" ? Awaited::kLength : Awaited::kNothing;
    if (awaited_ == Awaited::kPath) path_.reset(), offset_.reset();
    return true;
  }
  bool on_number(uint64_t number) {
    last_.reset();
    const Awaited awaited = std::exchange(awaited_, Awaited::kNothing);
    if (awaited == Awaited::kOffset) offset_ = number;
    if (awaited != Awaited::kLength || !path_ || !offset_) return true;
    if (number > UINT64_MAX - *offset_ || files_.size() == kDcpFilesMax) return false;
    uint64_t& end = files_[*path_];
    end = std::max(end, *offset_ + number);
    path_.reset(), offset_.reset();
    return true;
  }
  bool on_signed(std::string_view bytes) {
    const bool is_negative = !bytes.empty() && static_cast<uint8_t>(bytes.back()) >= 0x80;
    const bool is_large = bytes.size() > sizeof(uint64_t) && bytes.find_first_not_of('\0', sizeof(uint64_t)) != bytes.npos;
    if (!is_negative && !is_large) return on_number(little_endian(bytes));
    last_.reset();
    awaited_ = Awaited::kNothing;
    return true;
  }
  bool on_recall(uint64_t number) {
    const auto found = texts_.find(number);
    if (found != texts_.end()) return on_text(found->second);
    last_.reset();
    awaited_ = Awaited::kNothing;
    return true;
  }
  // Of whatever came last; only text is wanted again.
  bool keep(uint64_t number) {
    if (last_) texts_[number] = *last_;
    else texts_.erase(number);
    ++kept_;
    return texts_.size() <= kDcpTextsMax;
  }

  std::string_view rest_;
  bool has_ended_ = false;
  std::optional<std::string_view> last_;  // the text that came last, if nothing came behind it
  std::unordered_map<uint64_t, std::string_view> texts_;
  uint64_t kept_ = 0;
  enum class Awaited : uint8_t { kNothing, kPath, kOffset, kLength } awaited_ = Awaited::kNothing;
  std::optional<std::string_view> path_;
  std::optional<uint64_t> offset_;
  FileEnds files_;
};

}  // namespace

std::optional<FileEnds> files_of_dcp(std::string_view pickle) { return Scan(pickle).files(); }

}  // namespace tideway::checkpoint
