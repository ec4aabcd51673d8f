// SPDX-License-Identifier: Apache-2.0
#include "storage/staging.h"

#include "base/cursor.h"
#include "storage/blocking_queue.h"
#include "storage/opened_dirs.h"
#include "storage/scan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

namespace tideway::storage {
namespace {

constexpr uint32_t kObjectsPerDirBits = 12;
constexpr int kRacedCreates = 16;  // another transfer may remove .tideway while it is empty
constexpr const char* kManifestName = "manifest";
constexpr const char* kFormerName = "manifest.former";
constexpr const char* kLeavesName = "leaves";
constexpr const char* kLedgerName = "ledger";
constexpr const char* kLedgerNewName = "ledger.new";
constexpr const char* kSignatureName = "signature";
constexpr const char* kAccountName = "account";
constexpr const char* kProbeName = "probe";
constexpr uint32_t kWritableByOthers = 0022;
constexpr size_t kAccountHead = 8;

std::string dir_of(uint32_t high) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%05x", high);
  return text.data();
}

ObjectName file_of(ObjectId id) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%03x", id.value() & ((1U << kObjectsPerDirBits) - 1));
  return single_name(text.data());
}

uint32_t high_of(ObjectId id) { return id.value() >> kObjectsPerDirBits; }

ObjectName state_dir() { return single_name(std::string(kStateDirName)); }

// The umask takes bits from mkdir; these modes are meant.
Status make_dir_exactly(const RootedDir& at, const ObjectName& name, uint32_t mode) {
  auto made = at.make_dir(name, mode);
  if (!made.ok() && made.error().fault != Fault::kDestExists) return made;
  if (!made.ok()) return success();
  auto dir = at.open_dir(name);
  if (!dir.ok()) return std::move(dir).error();
  if (::fchmod(dir.value().fd(), mode) != 0) return errno_error(at.side(), errno, "set the mode of", at.shown(name));
  return success();
}

Error not_ours(const std::string& shown) {
  return {Fault::kDenied, "\"" + shown + "\" belongs to another user, or others can write to it: what is staged there cannot be trusted",
          "remove it, or run this as the user it belongs to"};
}

// Whether modes mean something here: a file of ours follows when it is opened to others, and when it is closed again.
bool has_real_modes(int file) {
  const auto is_writable_with = [file](mode_t mode) { return ::fchmod(file, mode) == 0 && (stat_of(file).stat.mode & kWritableByOthers) != 0; };
  return is_writable_with(0622) && !is_writable_with(0600);
}

// Whether only we can have put there what is in it. It may have been made for us to go on from: in a folder like /tmp by anybody, for ids can be guessed.
//
// Owner and mode tell, with two exceptions: a file system may show others than there are (NFS that maps users, FUSE), or have no modes (FAT). So
// where others seem to be able to write, or it seems to be somebody else's, a file that we make in it shows what such signs are worth there. The directory
// itself is left as it is: were it closed for a look by a process that then dies, the next one would take it for ours. What looks like ours need
// not be: one that is not ours lets us write in it by the rights of its group or of others only, and that shows; or we are root, and are shown the owner.
//
// .tideway itself may belong to anybody, and be open to a group that pins or submits. Who may rename in it, or in a folder above, can hide what we staged,
// so that it is sent anew, or show us staging of ours under another id, whose ledger then has no valid record. Neither gets a byte in.
Result<bool> is_ours_alone(const RootedDir& dir, const FileStat& shown) {
  const bool is_open = (shown.mode & kWritableByOthers) != 0, has_our_name = shown.uid == ::geteuid();
  if (!is_open && has_our_name) return true;
  const ObjectName name = single_name(kProbeName);
  static_cast<void>(dir.remove_file(name).ok());  // of a process that died here
  const auto probe = dir.create_file(name, 0600);
  if (!probe.ok() && probe.error().fault != Fault::kDestDenied && probe.error().fault != Fault::kDestExists) return probe.error();
  if (!probe.ok()) return false;
  const int file = probe.value().get();  // by its descriptor: its name is whoever's the directory is
  const StatOutcome made = stat_of(file);
  const bool is_really_open = is_open && has_real_modes(file);
  static_cast<void>(dir.remove_file(name).ok());
  if (made.error != 0) return errno_error(dir.side(), made.error, "look at", dir.shown(name));
  return !is_really_open && (has_our_name || made.stat.uid == shown.uid);
}

// The staging directory, locked and still under its name; nothing when somebody removed it in between.
Result<std::optional<RootedDir>> try_lock(const RootedDir& root, const std::string& id) {
  if (auto status = make_dir_exactly(root, state_dir(), 0711); !status.ok()) return std::move(status).error();
  const ObjectName name = state_dir().child(id).value();
  auto made = root.make_dir(name, 0700);
  if (!made.ok() && made.error().fault != Fault::kDestExists) {
    if (made.error().fault == Fault::kDestIo) return std::optional<RootedDir>();  // .tideway itself is gone again
    return std::move(made).error();
  }
  auto dir = root.open_dir(name);
  if (!dir.ok()) {
    if (dir.error().fault == Fault::kDestIo) return std::optional<RootedDir>();
    return std::move(dir).error();
  }
  if (!dir.value().lock_exclusively())
    return Error{Fault::kDestBusy, "another process is filling the same transfer (" + id + ") below this root",
                 "wait for it, or stop it, then try again"};
  auto held = dir.value().stat({});
  auto named = root.stat_if_exists(name);
  if (!held.ok() || !named.ok() || !named.value() || named.value()->inode != held.value().inode)
    return std::optional<RootedDir>();
  auto is_ours = is_ours_alone(dir.value(), held.value());
  if (!is_ours.ok()) return std::move(is_ours).error();
  if (!is_ours.value()) return not_ours(root.shown(name));
  return std::optional<RootedDir>(std::move(dir).value());
}

}  // namespace

std::string to_hex(const TransferId& id) {
  std::string text;
  for (const std::byte byte : id) {
    std::array<char, 4> two{};
    std::snprintf(two.data(), two.size(), "%02x", static_cast<unsigned>(byte));
    text += two.data();
  }
  return text;
}

bool read_exactly(int fd, uint64_t offset, std::span<std::byte> bytes) {
  const IoDone done = perform({IoOp::kRead, fd, offset, bytes});
  return done.error == 0 && done.transferred == bytes.size();
}

int write_all(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  // A write only reads from its span; requests carry one type of span for both directions.
  return perform({IoOp::kWrite, fd, offset, {const_cast<std::byte*>(bytes.data()), bytes.size()}}).error;
}

Staging::Staging(std::shared_ptr<const RootedDir> root, RootedDir dir, const TransferId& id)
    : root_(std::move(root)), dir_(std::move(dir)), id_(id) {
  is_data_dir_new_ = true;  // what a process that died has made in data/ may not be synced
}

// Locked, with whatever is in it.
Result<Staging> Staging::take(std::shared_ptr<const RootedDir> root, const TransferId& id) {
  for (int attempt = 0; attempt < kRacedCreates; ++attempt) {
    auto locked = try_lock(*root, to_hex(id));
    if (!locked.ok()) return std::move(locked).error();
    if (locked.value()) return Staging(std::move(root), std::move(*locked.value()), id);
  }
  return Error{Fault::kDestBusy, "the staging directory below this root is removed as fast as it is made", "try again"};
}

Result<Staging> Staging::create(std::shared_ptr<const RootedDir> root, const TransferId& id) {
  auto staging = take(std::move(root), id);
  if (!staging.ok()) return staging;
  if (auto empty = staging.value().start_over(Keep::kNothing); !empty.ok()) return std::move(empty).error();
  return staging;
}

Result<Staging> Staging::open(std::shared_ptr<const RootedDir> root, const TransferId& id) {
  auto staging = take(std::move(root), id);
  if (!staging.ok()) return staging;
  auto found = staging.value().find_content();
  if (!found.ok()) return std::move(found).error();
  staging.value().was_there_ = found.value();
  if (found.value()) return staging;
  if (auto empty = staging.value().start_over(Keep::kOpenedDirs); !empty.ok()) return std::move(empty).error();
  return staging;
}

bool Staging::exists(const RootedDir& root, const TransferId& id) {
  const auto there = root.stat_if_exists(ObjectName::from_components({std::string(kStateDirName), to_hex(id), kLedgerName}).value());
  return there.ok() && there.value();
}

Status Staging::start_over(Keep keep) {
  data_dirs_.clear();
  new_dirs_.clear();
  leaves_held_.clear();
  manifest_size_ = next_sequence_ = 0;
  was_there_ = are_dirs_synced_ = false;
  Status status = keep == Keep::kNothing ? dir_.remove_content() : remove_all_but(kOpenedName);
  if (status.ok()) status = make_content();
  if (!status.ok() && keep == Keep::kNothing) static_cast<void>(remove().ok());
  return status;
}

// The ledger comes last: where it is, all is.
Status Staging::make_content() {
  if (auto made = dir_.make_dir(single_name("data"), 0700); !made.ok()) return made;
  for (const auto& [name, file] : {std::pair{kManifestName, &manifest_}, std::pair{kLeavesName, &leaves_}}) {
    auto made = dir_.create_file(single_name(name), 0600);
    if (!made.ok()) return std::move(made).error();
    *file = std::move(made).value();
  }
  auto ledger = dir_.create_file(single_name(kLedgerName), 0600);
  if (!ledger.ok()) return std::move(ledger).error();
  ledger_ = AppendLog(std::move(ledger).value(), 0);
  return success();
}

// False: not all of it is there, as of a process that died while it made it.
Result<bool> Staging::find_content() {
  const auto own = dir_.stat({});
  if (!own.ok()) return own.error();
  for (const char* name : {"data", kLeavesName, kLedgerName}) {
    auto there = dir_.stat_if_exists(single_name(name));
    if (!there.ok()) return std::move(there).error();
    if (!there.value()) return false;
    if (there.value()->uid != own.value().uid) return not_ours(dir_.shown(single_name(name)));  // from a time when others could write here
  }
  auto leaves = dir_.open_file(single_name(kLeavesName), Access::kWrite);
  if (!leaves.ok()) return std::move(leaves).error();
  leaves_ = std::move(leaves).value();
  auto ledger = dir_.open_file(single_name(kLedgerName), Access::kWrite);
  if (!ledger.ok()) return std::move(ledger).error();
  const StatOutcome stat = stat_of(ledger.value().get());
  if (stat.error != 0) return errno_error(Side::kDestination, stat.error, "look at", dir_.shown(single_name(kLedgerName)));
  ledger_ = AppendLog(std::move(ledger).value(), stat.stat.size.count());
  return true;
}

// The one that lists more is compared with: both begin alike, or the other one would have been dropped.
Status Staging::begin_manifest() {
  const ObjectName name = single_name(kManifestName), former_name = single_name(kFormerName);
  auto last = dir_.stat_if_exists(name);
  if (!last.ok()) return std::move(last).error();
  auto former = dir_.stat_if_exists(former_name);
  if (!former.ok()) return std::move(former).error();
  if (last.value()) {
    const bool lists_more = !former.value() || last.value()->size >= former.value()->size;
    auto moved = lists_more ? dir_.rename(name, dir_, former_name, IfTaken::kReplace) : dir_.remove_file(name);
    if (!moved.ok()) return moved;
  }
  auto made = dir_.create_file(name, 0600);
  if (!made.ok()) return std::move(made).error();
  manifest_ = std::move(made).value();
  manifest_size_ = next_sequence_ = 0;
  are_dirs_synced_ = false;
  return success();
}

Result<Descriptor> Staging::open_former() const { return dir_.open_file(single_name(kFormerName), Access::kRead); }

Status Staging::drop_former() {
  if (auto removed = dir_.remove_tree(single_name(kFormerName)); !removed.ok()) return removed;
  return dir_.sync();
}

Status Staging::drop_made_ready() const {
  for (const char* name : {kExchangedName, kPiecesName})
    if (auto removed = dir_.remove_tree(single_name(name)); !removed.ok()) return removed;
  return success();
}

// What a staging directory is made of has to be found again, too.
Status Staging::sync_dirs() {
  if (are_dirs_synced_) return success();
  if (auto synced = dir_.sync(); !synced.ok()) return synced;
  for (const ObjectName& name : {state_dir(), ObjectName()}) {
    auto dir = root_->open_dir(name);
    if (!dir.ok()) return std::move(dir).error();
    if (auto synced = dir.value().sync(); !synced.ok()) return synced;
  }
  are_dirs_synced_ = true;
  return success();
}

Status Staging::record(std::span<const std::byte> records) {
  if (auto flushed = flush(); !flushed.ok()) return flushed;
  for (const Descriptor* file : {&leaves_, &manifest_})
    if (::fdatasync(file->get()) != 0) return errno_error(Side::kDestination, errno, "sync the list of", "the transfer");
  if (auto synced = sync_dirs(); !synced.ok()) return synced;
  return ledger_.append(records);
}

Status Staging::replace_ledger(const std::function<std::vector<std::byte>()>& next_piece) {
  const ObjectName name = single_name(kLedgerNewName);
  if (auto removed = dir_.remove_tree(name); !removed.ok()) return removed;  // of a process that died here
  auto file = dir_.create_file(name, 0600);
  if (!file.ok()) return std::move(file).error();
  AppendLog fresh(std::move(file).value(), 0);
  for (auto piece = next_piece(); !piece.empty(); piece = next_piece())
    if (auto written = fresh.write(piece); !written.ok()) return written;
  if (auto synced = fresh.sync(); !synced.ok()) return synced;
  if (auto renamed = dir_.rename(name, dir_, single_name(kLedgerName), IfTaken::kReplace); !renamed.ok()) return renamed;
  ledger_ = std::move(fresh);
  return dir_.sync();
}

bool Staging::read_leaf_hashes(uint64_t first, std::span<Hash128> out) const {
  return read_exactly(leaves_.get(), first * sizeof(Hash128), std::as_writable_bytes(out));
}

Status Staging::append_manifest(std::span<const std::byte> page) {
  TIDEWAY_CHECK(page.size() <= kPageBytesMax);
  frame_.resize(kFrameHeadSize + page.size());
  Writer out(frame_);
  out.write_u32(static_cast<uint32_t>(page.size()));
  out.write_u32(next_sequence_);
  out.write_bytes(page);
  if (const int error = write_all(manifest_.get(), manifest_size_, frame_); error != 0)
    return errno_error(Side::kDestination, error, "write the manifest of", "the transfer");
  manifest_size_ += frame_.size();
  ++next_sequence_;
  return success();
}

Status Staging::keep_signature(const std::optional<RootSignature>& signature) {
  const ObjectName name = single_name(kSignatureName);
  if (auto removed = dir_.remove_tree(name); !removed.ok() || !signature) return removed;
  auto file = dir_.create_file(name, 0600);
  if (!file.ok()) return std::move(file).error();
  std::vector<std::byte> bytes(signature->bytes.begin(), signature->bytes.end());
  const auto site = std::as_bytes(std::span(signature->site));
  bytes.insert(bytes.end(), site.begin(), site.end());
  int error = write_all(file.value().get(), 0, bytes);
  if (error == 0 && ::fsync(file.value().get()) != 0) error = errno;
  if (error != 0) return errno_error(Side::kDestination, error, "write the signature of", "the transfer");
  return dir_.sync();
}

Result<std::optional<RootSignature>> Staging::read_signature() const {
  const ObjectName name = single_name(kSignatureName);
  auto there = dir_.stat_if_exists(name);
  if (!there.ok()) return std::move(there).error();
  if (!there.value()) return std::optional<RootSignature>();
  auto file = dir_.open_file(name, Access::kRead);
  if (!file.ok()) return std::move(file).error();
  const uint64_t size = there.value()->size.count();
  std::vector<std::byte> bytes(std::min<uint64_t>(size, kSignatureSize + kSigningSiteMax));
  if (size != bytes.size() || size <= kSignatureSize || !read_exactly(file.value().get(), 0, bytes))
    return Error{Fault::kManifestMismatch, "the signature that came with the transfer is damaged", "copy the data again"};
  RootSignature signature{std::string(reinterpret_cast<const char*>(bytes.data()) + kSignatureSize, size - kSignatureSize), {}};
  std::copy_n(bytes.begin(), kSignatureSize, signature.bytes.begin());
  return std::optional(std::move(signature));
}

Status Staging::keep_owner(std::string_view owner) {
  TIDEWAY_CHECK(owner.size() <= kOwnerMax);
  const ObjectName name = single_name(kAccountName);
  auto file = dir_.create_file(name, 0600);
  if (!file.ok() && file.error().fault == Fault::kDestExists) {  // of an earlier process; its bytes stay
    auto opened = dir_.open_file(name, Access::kWrite);
    if (!opened.ok()) return std::move(opened).error();
    account_ = std::move(opened).value();
    return success();
  }
  if (!file.ok()) return std::move(file).error();
  account_ = std::move(file).value();
  note_durable({});
  if (const int error = write_all(account_.get(), kAccountHead, std::as_bytes(std::span(owner))); error != 0)
    return errno_error(Side::kDestination, error, "write the account of", "the transfer");
  return success();
}

// What cannot be written counts for less than it is, until the next time.
void Staging::note_durable(Bytes bytes) const {
  std::array<std::byte, kAccountHead> head{};
  Writer(head).write_u64(bytes.count());
  if (account_.is_open()) static_cast<void>(write_all(account_.get(), 0, head));
}

StagingAccount read_account(const RootedDir& staging) {
  const auto file = staging.open_file(single_name(kAccountName), Access::kRead);
  if (!file.ok()) return {};
  std::array<std::byte, kAccountHead + kOwnerMax> bytes{};
  const IoDone done = perform({IoOp::kRead, file.value().get(), 0, bytes});
  if (done.error != 0 || done.transferred < kAccountHead) return {};
  const auto* owner = reinterpret_cast<const char*>(bytes.data()) + kAccountHead;
  return {std::string(owner, done.transferred - kAccountHead), Bytes(*Reader(bytes).read_u64())};
}

Status Staging::write_leaf_hash(uint64_t leaf, const Hash128& hash) {
  leaves_held_.push_back({leaf, hash});
  return leaves_held_.size() < kLeavesHeldMax ? success() : flush();
}

Status Staging::flush() {
  std::stable_sort(leaves_held_.begin(), leaves_held_.end(), [](const Leaf& a, const Leaf& b) { return a.number < b.number; });
  std::vector<std::byte> run;
  for (size_t i = 0; i < leaves_held_.size();) {
    const uint64_t first = leaves_held_[i].number;
    run.clear();
    do {
      run.insert(run.end(), leaves_held_[i].hash.begin(), leaves_held_[i].hash.end());
      ++i;
    } while (i < leaves_held_.size() && leaves_held_[i].number == first + run.size() / sizeof(Hash128));
    if (const int error = write_all(leaves_.get(), first * sizeof(Hash128), run); error != 0)
      return errno_error(Side::kDestination, error, "write the leaf hashes of", "the transfer");
  }
  leaves_held_.clear();
  return success();
}

Result<const RootedDir*> Staging::data_dir(uint32_t high, IfMissing if_missing) {
  const auto found = std::find_if(data_dirs_.begin(), data_dirs_.end(), [&](const DataDir& one) { return one.high == high; });
  if (found != data_dirs_.end()) {
    std::rotate(found, found + 1, data_dirs_.end());
    return &data_dirs_.back().dir;
  }
  const ObjectName name = single_name("data").child(dir_of(high)).value();
  if (if_missing == IfMissing::kMake) {
    auto made = dir_.make_dir(name, 0700);
    if (!made.ok() && made.error().fault != Fault::kDestExists) return std::move(made).error();
    is_data_dir_new_ |= made.ok();
  } else {
    auto there = dir_.stat_if_exists(name);
    if (!there.ok()) return std::move(there).error();
    if (!there.value()) return nullptr;
  }
  auto dir = dir_.open_dir(name);
  if (!dir.ok()) return std::move(dir).error();
  if (data_dirs_.size() == kDataDirsOpen) data_dirs_.erase(data_dirs_.begin());
  data_dirs_.push_back({high, std::move(dir).value()});
  return &data_dirs_.back().dir;
}

Result<Bytes> Staging::allocated() const {
  const auto data = dir_.open_dir(single_name("data"));
  if (!data.ok()) return data.error();
  Bytes sum;
  Status status = success();
  const auto add_dir = [&](std::string_view name) {
    const auto dir = data.value().open_dir(single_name(std::string(name)));
    if (!dir.ok()) return void(status = dir.error());
    const Status listed = dir.value().for_each_name([&](std::string_view object) {
      const auto stat = dir.value().stat_if_exists(single_name(std::string(object)));
      if (stat.ok() && stat.value()) sum += stat.value()->allocated;
    });
    if (!listed.ok()) status = listed;
  };
  if (auto listed = data.value().for_each_name(add_dir); !listed.ok()) return std::move(listed).error();
  return status.ok() ? Result<Bytes>(sum) : status.error();
}

Result<Descriptor> Staging::create_object(ObjectId id) {
  auto dir = data_dir(high_of(id), IfMissing::kMake);
  if (!dir.ok()) return std::move(dir).error();
  new_dirs_.insert(high_of(id));
  return dir.value()->create_file(file_of(id), 0600);
}

Result<Descriptor> Staging::open_object(ObjectId id, Caching caching) {
  auto dir = data_dir(high_of(id), IfMissing::kMake);
  if (!dir.ok()) return std::move(dir).error();
  return dir.value()->open_file(file_of(id), Access::kWrite, caching);
}

Result<Descriptor> Staging::read_object(ObjectId id) {
  auto dir = data_dir(high_of(id), IfMissing::kMake);
  if (!dir.ok()) return std::move(dir).error();
  return dir.value()->open_file(file_of(id), Access::kRead);
}

Result<bool> Staging::holds_object(ObjectId id) {
  auto there = stat_object(id);
  if (!there.ok()) return std::move(there).error();
  return there.value().has_value();
}

Result<std::optional<FileStat>> Staging::stat_object(ObjectId id) {
  auto data = data_dir(high_of(id), IfMissing::kFail);
  if (!data.ok()) return std::move(data).error();
  if (data.value() == nullptr) return std::optional<FileStat>();
  return data.value()->stat_if_exists(file_of(id));
}

// One that was closed has the mode it is published with, which may shut us out.
Result<Descriptor> Staging::reopen_object(ObjectId id) {
  auto data = data_dir(high_of(id), IfMissing::kMake);
  if (!data.ok()) return std::move(data).error();
  data.value()->make_usable(file_of(id));
  return data.value()->open_file(file_of(id), Access::kWrite);
}

Status Staging::drop_object(ObjectId id) {
  auto data = data_dir(high_of(id), IfMissing::kFail);
  if (!data.ok()) return std::move(data).error();
  return data.value() == nullptr ? success() : data.value()->remove_tree(file_of(id));
}

Result<bool> Staging::place_object(ObjectId id, const RootedDir& dir, const ObjectName& name) {
  auto data = data_dir(high_of(id), IfMissing::kFail);
  if (!data.ok()) return std::move(data).error();
  if (data.value() == nullptr) return false;
  auto renamed = data.value()->rename(file_of(id), dir, name);
  if (renamed.ok()) return true;
  auto there = data.value()->stat_if_exists(file_of(id));
  if (there.ok() && !there.value()) return false;
  return std::move(renamed).error();
}

Status Staging::replace_by_object(ObjectId id, const RootedDir& dir, const ObjectName& name) {
  auto data = data_dir(high_of(id), IfMissing::kMake);
  return data.ok() ? data.value()->rename(file_of(id), dir, name, IfTaken::kReplace) : Status(data.error());
}

Status Staging::link_object(const RootedDir& dir, const ObjectName& name, ObjectId id) {
  if (Status status = drop_object(id); !status.ok()) return status;
  auto data = data_dir(high_of(id), IfMissing::kMake);
  if (!data.ok()) return std::move(data).error();
  new_dirs_.insert(high_of(id));
  const Status linked = dir.link_file(name, *data.value(), file_of(id));
  if (linked.ok() || linked.error().fault != Fault::kUnsupported) return linked;
  return dir.rename(name, *data.value(), file_of(id));
}

Status Staging::sync_new_dirs() {
  for (const uint32_t high : new_dirs_) {
    auto dir = data_dir(high, IfMissing::kMake);
    if (!dir.ok()) return std::move(dir).error();
    if (auto synced = dir.value()->sync(); !synced.ok()) return synced;
  }
  new_dirs_.clear();
  if (!is_data_dir_new_) return success();
  is_data_dir_new_ = false;
  auto data = dir_.open_dir(single_name("data"));
  return data.ok() ? data.value().sync() : Status(data.error());
}

Result<Descriptor> Staging::open_manifest() const { return dir_.open_file(single_name(kManifestName), Access::kRead); }
Result<Descriptor> Staging::open_leaves() const { return dir_.open_file(single_name(kLeavesName), Access::kRead); }

Status Staging::remove() {
  data_dirs_.clear();
  static_cast<void>(dir_.remove_file(single_name(kLedgerName)).ok());  // first: without it nobody takes the rest for a transfer
  static_cast<void>(dir_.remove_file(single_name(kOpenedName)).ok());  // nor a directory of another one for one of this
  if (auto emptied = dir_.remove_content(); !emptied.ok()) return emptied;
  const ObjectName name = state_dir().child(to_hex(id_)).value();
  if (auto removed = root_->remove_empty_dir(name); !removed.ok()) return removed;
  static_cast<void>(root_->remove_empty_dir(state_dir()).ok());  // other transfers and old manifests keep it
  return success();
}

Status Staging::remove_all_but(std::string_view kept) {
  std::vector<ObjectName> names;
  if (auto listed = dir_.for_each_name([&](std::string_view name) {
        if (name != kept) names.push_back(single_name(std::string(name)));
      });
      !listed.ok())
    return listed;
  for (const ObjectName& name : names)
    if (auto removed = dir_.remove_tree(name); !removed.ok()) return removed;
  return success();
}

Status Staging::leave_former() {
  data_dirs_.clear();
  static_cast<void>(dir_.remove_file(single_name(kLedgerName)).ok());  // first, as above
  if (auto removed = remove_all_but(kPiecesName); !removed.ok()) return removed;
  const auto own = dir_.stat({});
  if (!own.ok()) return own.error();
  TransferId aside = id_;  // no other directory has its inode meanwhile
  for (size_t i = 0; i < sizeof own.value().inode; ++i) aside[i] ^= static_cast<std::byte>(own.value().inode >> (8 * i));
  return root_->rename(state_dir().child(to_hex(id_)).value(), *root_, state_dir().child(to_hex(aside)).value());
}

Result<std::span<const std::byte>> PageStream::next() {
  const auto damaged = [](std::string why) {
    return Error{Fault::kManifestMismatch, "the stored manifest is damaged: " + std::move(why), "copy the data again"};
  };
  if (at_ == end_) return std::span<const std::byte>();
  std::array<std::byte, kFrameHeadSize> head{};
  if (end_ - at_ < head.size() || !read_exactly(fd_, at_, head)) return damaged("it ends inside a frame");
  Reader in(head);
  const uint32_t length = *in.read_u32(), sequence = *in.read_u32();
  at_ += head.size();
  if (sequence != next_sequence_) return damaged("page " + std::to_string(next_sequence_) + " is missing");
  if (length == 0 || length > kPageBytesMax || length > end_ - at_) return damaged("a page has an impossible length");
  page_.resize(length);
  if (!read_exactly(fd_, at_, page_)) return damaged("it ends inside a page");
  at_ += length;
  ++next_sequence_;
  return std::span<const std::byte>(page_);
}

}  // namespace tideway::storage
