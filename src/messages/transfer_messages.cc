// SPDX-License-Identifier: Apache-2.0
#include "messages/transfer_messages.h"

#include "messages/field_check.h"

#include <control.pb.h>

#include <bit>
#include <cstring>

namespace tideway::messages {

bool is_root_name(std::string_view text) {
  return !text.empty() && text.size() <= kRootNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

namespace {

// Reads a body and its transfer id, the one field all of these have.
template <typename Proto, typename Message>
bool begin(FieldCheck& check, Body body, Proto& in, Message& out) {
  if (!check.read(body, in)) return false;
  check.copy(in.transfer(), out.transfer, "transfer");
  return true;
}

TransferOptions parse_options(const proto::Options& in, FieldCheck& check) {
  TransferOptions out;
  out.publish = check.choice(in.publish(), PublishForm::kEach, "options.publish");
  out.overwrite = check.choice(in.overwrite(), Overwrite::kAlways, "options.overwrite");
  out.verify = check.choice(in.verify(), VerifyLevel::kReadback, "options.verify");
  out.compress = check.choice(in.compress(), CompressMode::kZstd, "options.compress");
  out.level = in.level();
  const bool has_level = out.compress == CompressMode::kZstd;
  check.require(has_level ? out.level >= -7 && out.level <= 19 : out.level == 0, "options.level", "is out of range");
  out.dry_run = in.dry_run();
  if (in.rate_max() > 0) out.rate_max = Rate::bytes_per_second(in.rate_max());
  if (in.resume_verify() != 0) out.resume_verify = check.choice(in.resume_verify(), ResumeVerify::kNone, "options.resume_verify");
  if (!check.require(static_cast<size_t>(in.last_size()) <= kLastMax, "options.last", "has more than 64 values")) return out;
  for (const std::string& pattern : in.last()) {
    const bool is_right = !pattern.empty() && pattern.size() <= kNameComponentMax && pattern.find('\0') == pattern.npos;
    check.require(is_right, "options.last", "is empty, too long, or contains NUL");
    out.last.push_back(pattern);
  }
  return out;
}

void parse_lists(const proto::OpenTransfer& in, FieldCheck& check, OpenTransfer& out) {
  if (!check.require(static_cast<size_t>(in.source_size()) <= kSourcesMax, "sources", "has more than 4096 values") ||
      !check.require(static_cast<size_t>(in.filter_size()) <= kFiltersMax, "filters", "has more than 1024 values") ||
      !check.require(static_cast<size_t>(in.only_size()) <= kOnlyMax, "only", "has more than 16384 values"))
    return;
  for (const std::string& name : in.only()) {
    out.only.push_back(check.name(name, "only"));
    check.require(!out.only.back().is_root(), "only", "names the source itself");
  }
  for (const std::string& source : in.source()) out.sources.push_back(check.name(source, "sources"));
  for (const proto::Filter& filter : in.filter()) {
    out.filters.push_back({check.choice(filter.kind(), FilterKind::kExclude, "filter.kind"), filter.pattern()});
    const std::string& pattern = filter.pattern();
    check.require(!pattern.empty() && pattern.size() <= kPatternMax && pattern.find('\0') == pattern.npos,
                  "filter.pattern", "is empty, too long, or contains NUL");
  }
}

// What only one direction may say.
void parse_start(const proto::OpenTransfer& in, FieldCheck& check, OpenTransfer& out) {
  out.everything_needed = in.everything_needed();
  if (in.has_sink()) {
    out.sink = SinkStart{SlotId(check.narrow(in.sink().slot(), "sink.slot")), in.sink().credit()};
  }
  if (!in.first_page().empty()) {
    auto page = parse_manifest_page(std::as_bytes(std::span(in.first_page())));
    if (check.require(page.ok(), "first_page", page.ok() ? "" : "is wrong: " + page.error().what)) {
      check.require(page.value().transfer == out.transfer, "first_page", "is of another transfer");
      out.first_page = std::move(page).value();
    }
  }
  out.depth = in.depth();
  check.require(out.depth == 0 || out.direction == Direction::kList, "depth", "comes with another direction than list");
  const bool is_pull = out.direction == Direction::kPull;
  check.require(is_pull || !out.sink, "sink", "comes with another direction than pull");
  check.require(is_pull || out.only.empty(), "only", "comes with another direction than pull");
  check.require(is_pull || !out.everything_needed, "everything_needed", "comes with another direction than pull");
  check.require(is_pull || out.sources.size() <= 1, "sources", "has several of a push or list");
  // It is what a single file is called inside a directory, and the root has no last name.
  const bool names_root = std::ranges::any_of(out.sources, [](const ObjectName& name) { return name.is_root(); });
  check.require(out.direction != Direction::kPush || !names_root, "sources", "names the root itself for a push");
  check.require(out.direction == Direction::kPush || !out.first_page, "first_page",
                "comes with another direction than push");
}

template <typename Hash>
std::vector<Hash> parse_hashes(const std::string& bytes, FieldCheck& check, std::string_view field) {
  std::vector<Hash> out;
  if (!check.require(bytes.size() % sizeof(Hash) == 0, field, "has the wrong length")) return out;
  out.resize(bytes.size() / sizeof(Hash));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

HeldObject parse_held(const proto::HeldObject& in, FieldCheck& check) {
  HeldObject out{ObjectId(in.object()), in.leaves(), parse_hashes<Hash256>(in.tops(), check, "object.tops"), {}};
  const auto subtrees = static_cast<size_t>(std::popcount(out.leaves));
  check.require(out.tops.size() == subtrees, "object.tops", "are not one for each subtree");
  uint64_t free_from = uint64_t{out.leaves} + 1;  // the lowest leaf a further run may begin with
  for (const proto::HeldRun& run : in.run()) {
    out.runs.push_back({run.first(), parse_hashes<Hash128>(run.hashes(), check, "run.hashes")});
    check.require(!out.runs.back().hashes.empty(), "run.hashes", "are missing");
    check.require(run.first() >= free_from, "run.first", "leaves no gap");
    free_from = uint64_t{run.first()} + out.runs.back().hashes.size() + 1;
  }
  check.require(free_from <= uint64_t{1} << 32, "run.first", "is too high");
  check.require(out.leaves > 0 || !out.runs.empty(), "object", "has nothing");
  return out;
}

template <typename Message>
Result<Message> parse_end(MessageType type, Body body, FieldCheck::Empty empty_code) {
  FieldCheck check(type);
  proto::TransferEnd in;
  Message out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.code = check.word(in.code(), "code", empty_code);
  out.keeps_staging = in.keeps_staging();
  return check.finish(std::move(out));
}

template <typename Message>
std::string serialize_end(MessageType type, const Message& message) {
  proto::TransferEnd out;
  out.set_transfer(to_text(message.transfer));
  out.set_code(message.code);
  out.set_keeps_staging(message.keeps_staging);
  return to_body(type, out);
}

}  // namespace

Result<OpenTransfer> parse_open_transfer(Body body) {
  FieldCheck check(MessageType::kOpenTransfer);
  proto::OpenTransfer in;
  OpenTransfer out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.job = in.job();
  check.require(out.job.size() <= kJobNameMax && is_printable(out.job), "job", "is too long or not printable");
  out.lease_epoch = in.lease_epoch();
  out.direction = check.choice(in.direction(), Direction::kList, "direction");
  out.root = in.root();
  check.require(is_root_name(out.root), "root", "is not 1 to 64 characters of A-Z, a-z, 0-9, _, . and -");
  out.name = check.name(in.name(), "name");
  out.destination = check.choice(in.destination(), DestinationForm::kIntoDirectory, "destination");
  out.options = parse_options(in.options(), check);
  out.transfer_class = check.word(in.transfer_class(), "transfer_class");
  parse_lists(in, check, out);
  parse_start(in, check, out);
  return check.finish(std::move(out));
}

std::string serialize(const OpenTransfer& message) {
  proto::OpenTransfer out;
  out.set_transfer(to_text(message.transfer));
  out.set_job(message.job);
  out.set_lease_epoch(message.lease_epoch);
  out.set_direction(static_cast<uint32_t>(message.direction));
  out.set_root(message.root);
  out.set_name(encode_name(message.name));
  for (const ObjectName& source : message.sources) out.add_source(encode_name(source));
  for (const ObjectName& name : message.only) out.add_only(encode_name(name));
  out.set_destination(static_cast<uint32_t>(message.destination));
  proto::Options& options = *out.mutable_options();
  options.set_publish(static_cast<uint32_t>(message.options.publish));
  options.set_overwrite(static_cast<uint32_t>(message.options.overwrite));
  options.set_verify(static_cast<uint32_t>(message.options.verify));
  options.set_compress(static_cast<uint32_t>(message.options.compress));
  options.set_level(message.options.level);
  options.set_dry_run(message.options.dry_run);
  if (!message.options.rate_max.is_unlimited()) options.set_rate_max(message.options.rate_max.bytes_per_second());
  for (const std::string& pattern : message.options.last) options.add_last(pattern);
  if (message.options.resume_verify != ResumeVerify::kAuto) options.set_resume_verify(static_cast<uint32_t>(message.options.resume_verify));
  out.set_transfer_class(message.transfer_class);
  for (const Filter& filter : message.filters) {
    proto::Filter& filter_out = *out.add_filter();
    filter_out.set_kind(static_cast<uint32_t>(filter.kind));
    filter_out.set_pattern(filter.pattern);
  }
  if (message.sink) {
    out.mutable_sink()->set_slot(message.sink->slot.value());
    out.mutable_sink()->set_credit(message.sink->credit);
  }
  out.set_everything_needed(message.everything_needed);
  if (message.first_page) out.set_first_page(serialize(*message.first_page));
  out.set_depth(message.depth);
  return to_body(MessageType::kOpenTransfer, out);
}

Result<TransferAccepted> parse_transfer_accepted(Body body) {
  FieldCheck check(MessageType::kTransferAccepted);
  proto::TransferAccepted in;
  TransferAccepted out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.slot = SlotId(check.narrow(in.slot(), "slot"));
  out.credit = in.credit();
  out.everything_needed = in.everything_needed();
  out.destination = check.name(in.destination(), "destination");
  out.publish = check.choice(in.publish(), PublishForm::kEach, "publish");
  check.require(out.publish != PublishForm::kAuto, "publish", "is still undecided");
  if (in.rate_max() > 0) out.rate_max = Rate::bytes_per_second(in.rate_max());
  return check.finish(std::move(out));
}

std::string serialize(const TransferAccepted& message) {
  proto::TransferAccepted out;
  out.set_transfer(to_text(message.transfer));
  out.set_slot(message.slot.value());
  out.set_credit(message.credit);
  out.set_everything_needed(message.everything_needed);
  out.set_destination(encode_name(message.destination));
  out.set_publish(static_cast<uint32_t>(message.publish));
  if (!message.rate_max.is_unlimited()) out.set_rate_max(message.rate_max.bytes_per_second());
  return to_body(MessageType::kTransferAccepted, out);
}

Result<Needs> parse_needs(Body body) {
  FieldCheck check(MessageType::kNeeds);
  proto::Needs in;
  Needs out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.page = in.page();
  out.kind = check.choice(in.kind(), NeedsKind::kAllBut, "kind");
  const auto count = static_cast<size_t>(in.kept_size());
  if (!check.require(out.kind == NeedsKind::kAllBut ? count >= 1 && count <= kEntriesPerPageMax : count == 0, "kept",
                     "has the wrong number of values"))
    return check.take_failure();
  out.kept.reserve(count);
  for (const uint32_t number : in.kept()) {
    check.require(out.kept.empty() || out.kept.back().value() < number, "kept", "is not ascending");
    out.kept.push_back(ObjectId(number));
  }
  return check.finish(std::move(out));
}

std::string serialize(const Needs& message) {
  proto::Needs out;
  out.set_transfer(to_text(message.transfer));
  out.set_page(message.page);
  out.set_kind(static_cast<uint32_t>(message.kind));
  for (const ObjectId object : message.kept) out.add_kept(object.value());
  return to_body(MessageType::kNeeds, out);
}

Result<ManifestEnd> parse_manifest_end(Body body) {
  FieldCheck check(MessageType::kManifestEnd);
  proto::ManifestEnd in;
  ManifestEnd out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.entries = in.entries();
  check.require(out.entries <= uint64_t{1} << 32, "entries", "is above 2^32");
  out.bytes = Bytes(in.bytes());
  out.skipped = in.skipped();
  return check.finish(std::move(out));
}

std::string serialize(const ManifestEnd& message) {
  proto::ManifestEnd out;
  out.set_transfer(to_text(message.transfer));
  out.set_entries(message.entries);
  out.set_bytes(message.bytes.count());
  out.set_skipped(message.skipped);
  return to_body(MessageType::kManifestEnd, out);
}

Result<ObjectEnds> parse_object_ends(Body body) {
  FieldCheck check(MessageType::kObjectEnds);
  proto::ObjectEnds in;
  ObjectEnds out;
  if (!begin(check, body, in, out)) return check.take_failure();
  const auto count = static_cast<size_t>(in.end_size());
  if (!check.require(count >= 1 && count <= kObjectEndsMax, "ends", "are not 1 to 1024")) return check.take_failure();
  out.ends.reserve(count);
  for (const proto::ObjectEnd& end : in.end()) {
    ObjectEnd& end_out = out.ends.emplace_back();
    end_out.object = ObjectId(end.object());
    end_out.generation = end.generation();
    end_out.size = Bytes(end.size());
    check.require(end.size() <= kFileSizeMax, "end.size", "is out of range");
    check.copy(end.root(), end_out.root, "end.root");
  }
  return check.finish(std::move(out));
}

std::string serialize(const ObjectEnds& message) {
  proto::ObjectEnds out;
  out.set_transfer(to_text(message.transfer));
  for (const ObjectEnd& end : message.ends) {
    proto::ObjectEnd& end_out = *out.add_end();
    end_out.set_object(end.object.value());
    end_out.set_generation(end.generation);
    end_out.set_size(end.size.count());
    end_out.set_root(to_text(end.root));
  }
  return to_body(MessageType::kObjectEnds, out);
}

Result<TransferRoot> parse_transfer_root(Body body) {
  FieldCheck check(MessageType::kTransferRoot);
  proto::TransferRoot in;
  TransferRoot out;
  if (!begin(check, body, in, out)) return check.take_failure();
  check.copy(in.root(), out.root, "root");
  if (in.signing_site().empty() && in.signature().empty()) return check.finish(std::move(out));
  RootSignature& signature = out.signature.emplace();
  signature.site = check.word(in.signing_site(), "signing_site");
  check.require(signature.site.size() <= kSigningSiteMax, "signing_site", "is too long");
  check.copy(in.signature(), signature.bytes, "signature");
  return check.finish(std::move(out));
}

std::string serialize(const TransferRoot& message) {
  proto::TransferRoot out;
  out.set_transfer(to_text(message.transfer));
  out.set_root(to_text(message.root));
  if (message.signature) {
    out.set_signing_site(message.signature->site);
    out.set_signature(to_text(message.signature->bytes));
  }
  return to_body(MessageType::kTransferRoot, out);
}

Result<BlocksDelivered> parse_blocks_delivered(Body body) {
  FieldCheck check(MessageType::kBlocksDelivered);
  proto::BlocksDelivered in;
  BlocksDelivered out;
  if (!begin(check, body, in, out)) return check.take_failure();
  const auto count = static_cast<size_t>(in.range_size());
  if (!check.require(count >= 1 && count <= kBlockRangesMax, "ranges", "are not 1 to 2048"))
    return check.take_failure();
  out.ranges.reserve(count);
  uint64_t next = 0;  // the lowest block a further range may begin with
  for (const proto::BlockRange& range : in.range()) {
    check.require(range.first() >= next, "range.first", "is not ascending");
    check.require(range.count() >= 1, "range.count", "is zero");
    next = uint64_t{range.first()} + range.count();
    check.require(next <= uint64_t{1} << 32, "range.count", "is too high");
    out.ranges.push_back({BlockId(range.first()), range.count()});
  }
  return check.finish(std::move(out));
}

std::string serialize(const BlocksDelivered& message) {
  proto::BlocksDelivered out;
  out.set_transfer(to_text(message.transfer));
  for (const BlockRange& range : message.ranges) {
    proto::BlockRange& range_out = *out.add_range();
    range_out.set_first(range.first.value());
    range_out.set_count(range.count);
  }
  return to_body(MessageType::kBlocksDelivered, out);
}

Result<SegmentsRejected> parse_segments_rejected(Body body) {
  FieldCheck check(MessageType::kSegmentsRejected);
  proto::SegmentsRejected in;
  SegmentsRejected out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.block = BlockId(in.block());
  if (!check.require(static_cast<size_t>(in.segment_size()) <= kRejectedMax, "segments", "are more than 4096"))
    return check.take_failure();
  out.segments.reserve(static_cast<size_t>(in.segment_size()));
  for (const proto::RejectedSegment& segment : in.segment())
    out.segments.push_back({ObjectId(segment.object()), segment.leaf()});
  out.code = check.word(in.code(), "code");
  return check.finish(std::move(out));
}

std::string serialize(const SegmentsRejected& message) {
  proto::SegmentsRejected out;
  out.set_transfer(to_text(message.transfer));
  out.set_block(message.block.value());
  for (const RejectedSegment& segment : message.segments) {
    proto::RejectedSegment& segment_out = *out.add_segment();
    segment_out.set_object(segment.object.value());
    segment_out.set_leaf(segment.leaf);
  }
  out.set_code(message.code);
  return to_body(MessageType::kSegmentsRejected, out);
}

Result<Durable> parse_durable(Body body) {
  FieldCheck check(MessageType::kDurable);
  proto::Durable in;
  Durable out;
  if (!begin(check, body, in, out)) return check.take_failure();
  const auto count = static_cast<size_t>(in.range_size());
  if (!check.require(count >= 1 && count <= kLeafRangesMax, "ranges", "are not 1 to 2048")) return check.take_failure();
  out.ranges.reserve(count);
  uint64_t next = 0;  // the lowest leaf a further range may begin with
  for (const proto::LeafRange& range : in.range()) {
    check.require(range.first() >= next, "range.first", "is not ascending");
    check.require(range.count() >= 1, "range.count", "is zero");
    check.require(range.count() <= UINT64_MAX - range.first(), "range.count", "is too high");
    next = range.first() + range.count();
    out.ranges.push_back({range.first(), range.count()});
  }
  out.bytes = Bytes(in.bytes());
  return check.finish(std::move(out));
}

std::string serialize(const Durable& message) {
  proto::Durable out;
  out.set_transfer(to_text(message.transfer));
  for (const LeafRange& range : message.ranges) {
    proto::LeafRange& range_out = *out.add_range();
    range_out.set_first(range.first);
    range_out.set_count(range.count);
  }
  out.set_bytes(message.bytes.count());
  return to_body(MessageType::kDurable, out);
}

Result<Published> parse_published(Body body) {
  FieldCheck check(MessageType::kPublished);
  proto::Published in;
  Published out;
  if (!begin(check, body, in, out)) return check.take_failure();
  check.copy(in.root(), out.root, "root");
  out.entries = in.entries();
  check.require(out.entries <= uint64_t{1} << 32, "entries", "is above 2^32");
  out.bytes = Bytes(in.bytes());
  return check.finish(std::move(out));
}

std::string serialize(const Published& message) {
  proto::Published out;
  out.set_transfer(to_text(message.transfer));
  out.set_root(to_text(message.root));
  out.set_entries(message.entries);
  out.set_bytes(message.bytes.count());
  return to_body(MessageType::kPublished, out);
}

Result<PublishedAck> parse_published_ack(Body body) {
  FieldCheck check(MessageType::kPublishedAck);
  proto::PublishedAck in;
  PublishedAck out;
  if (!begin(check, body, in, out)) return check.take_failure();
  return check.finish(std::move(out));
}

std::string serialize(const PublishedAck& message) {
  proto::PublishedAck out;
  out.set_transfer(to_text(message.transfer));
  return to_body(MessageType::kPublishedAck, out);
}

Result<ListRoots> parse_list_roots(Body body) {
  FieldCheck check(MessageType::kListRoots);
  proto::ListRoots in;
  ListRoots out;
  if (!begin(check, body, in, out)) return check.take_failure();
  return check.finish(std::move(out));
}

std::string serialize(const ListRoots& message) {
  proto::ListRoots out;
  out.set_transfer(to_text(message.transfer));
  return to_body(MessageType::kListRoots, out);
}

Result<CancelTransfer> parse_cancel_transfer(Body body) {
  return parse_end<CancelTransfer>(MessageType::kCancelTransfer, body, FieldCheck::Empty::kRefused);
}
Result<TransferClosed> parse_transfer_closed(Body body) {
  return parse_end<TransferClosed>(MessageType::kTransferClosed, body, FieldCheck::Empty::kAllowed);
}
std::string serialize(const CancelTransfer& message) { return serialize_end(MessageType::kCancelTransfer, message); }
std::string serialize(const TransferClosed& message) { return serialize_end(MessageType::kTransferClosed, message); }

Result<Progress> parse_progress(Body body) {
  FieldCheck check(MessageType::kProgress);
  proto::Progress in;
  Progress out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.received = Bytes(in.received());
  out.verified = Bytes(in.verified());
  out.stored = Bytes(in.stored());
  out.stall = check.word(in.stall(), "stall", FieldCheck::Empty::kAllowed);
  return check.finish(std::move(out));
}

std::string serialize(const Progress& message) {
  proto::Progress out;
  out.set_transfer(to_text(message.transfer));
  out.set_received(message.received.count());
  out.set_verified(message.verified.count());
  out.set_stored(message.stored.count());
  out.set_stall(message.stall);
  return to_body(MessageType::kProgress, out);
}

Result<ObjectsHeld> parse_objects_held(Body body) {
  FieldCheck check(MessageType::kObjectsHeld);
  proto::ObjectsHeld in;
  ObjectsHeld out;
  if (!begin(check, body, in, out)) return check.take_failure();
  out.page = in.page();
  const auto count = static_cast<size_t>(in.object_size());
  if (!check.require(count >= 1 && count <= kObjectsHeldMax, "objects", "are not 1 to 1024")) return check.take_failure();
  size_t hashes = 0;
  for (const proto::HeldObject& object : in.object()) {
    const bool follows = out.objects.empty() || out.objects.back().object.value() < object.object();
    check.require(follows, "object.object", "is not ascending");
    out.objects.push_back(parse_held(object, check));
    for (const HeldRun& run : out.objects.back().runs) hashes += run.hashes.size();
  }
  check.require(hashes <= kHeldHashesMax, "object.run", "has more than 2048 hashes in all");
  return check.finish(std::move(out));
}

std::string serialize(const ObjectsHeld& message) {
  proto::ObjectsHeld out;
  out.set_transfer(to_text(message.transfer));
  out.set_page(message.page);
  for (const HeldObject& object : message.objects) {
    proto::HeldObject& object_out = *out.add_object();
    object_out.set_object(object.object.value());
    object_out.set_leaves(object.leaves);
    for (const Hash256& top : object.tops) object_out.mutable_tops()->append(to_text(top));
    for (const HeldRun& run : object.runs) {
      proto::HeldRun& run_out = *object_out.add_run();
      run_out.set_first(run.first);
      for (const Hash128& hash : run.hashes) run_out.mutable_hashes()->append(to_text(hash));
    }
  }
  return to_body(MessageType::kObjectsHeld, out);
}

}  // namespace tideway::messages
