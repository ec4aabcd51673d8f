// SPDX-License-Identifier: Apache-2.0
#include "storage/file_sink.h"

#include "base/log.h"
#include "storage/blocking_queue.h"
#include "storage/opened_dirs.h"
#include "storage/published.h"
#include "storage/scan.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tideway::storage {

Result<std::unique_ptr<FileSink>> FileSink::create(FileSinkConfig config, IoQueue& queue) {
  TIDEWAY_CHECK(config.root->side() == Side::kDestination);
  if (auto checked = check_destination(config.destination); !checked.ok()) return std::move(checked).error();
  auto staging = config.leftovers == FileSinkConfig::Leftovers::kKept ? Staging::open(config.root, config.transfer)
                                                                     : Staging::create(config.root, config.transfer);
  if (!staging.ok()) return std::move(staging).error();
  return std::unique_ptr<FileSink>(new FileSink(std::move(config), std::move(staging).value(), queue));
}

FileSink::FileSink(FileSinkConfig config, Staging staging, IoQueue& queue)
    : config_(std::move(config)), staging_(std::move(staging)), queue_(queue), owner_id_(queue.add_owner()),
      is_direct_allowed_(queue.direct() == DirectIo::kAuto) {}

FileSink::~FileSink() { queue_.drain(owner_id_); }

std::unique_ptr<ObjectLister> FileSink::list(const ObjectName& under) {
  return std::make_unique<TreeScan>(ScanSpec{{{config_.root, under, {}}}, ScanForm::kSingle, {}, {}});
}

std::string FileSink::shown(const BoundObject& object) const {
  std::string text = config_.root->shown(config_.destination);
  for (const std::string& component : BoundObjects::path_of(object)) text += "/" + to_display(component);
  return text;
}

// Staging knows numbers only; people know names.
Error FileSink::named(const BoundObject& object, Error error) const {
  error.what = "\"" + shown(object) + "\": " + error.what;
  return error;
}

size_t FileSink::submit(std::span<const StoreRequest> requests) {
  owner_.check();
  size_t taken = 0;
  while (taken < requests.size() && begin(requests[taken])) ++taken;
  return taken;
}

bool FileSink::begin(const StoreRequest& request) {
  if (!slots_.has_room()) return false;
  switch (request.op) {
    case StoreOp::kWrite: return begin_write(request);
    case StoreOp::kReadBack: return begin_read_back(request);
    case StoreOp::kSync: return begin_sync(request);
    case StoreOp::kClose: break;
    case StoreOp::kRead: TIDEWAY_CHECK(request.op != StoreOp::kRead);  // a sink is not read
  }
  if (files_.is_busy(request.object)) return false;
  const BoundObject* object = objects_.find_file(request.object);
  Status status = object != nullptr ? close(*object) : success();  // links and empty files have nothing to set
  release(request.object);
  slots_.answer(request.token, std::move(status));
  return true;
}

Status FileSink::check_place(const StoreRequest& request, const BoundObject* object) const {
  if (lost_) return *lost_;
  if (object == nullptr)
    return Error{Fault::kProtocolError, "object " + std::to_string(request.object.value()) + " is no file of this transfer", ""};
  if (request.offset > object->size || Bytes(request.bytes.size()) > object->size - request.offset)
    return Error{Fault::kProtocolError, "\"" + shown(*object) + "\" got bytes behind its announced end", ""};
  return success();
}

bool FileSink::begin_write(const StoreRequest& request) {
  if (queue_.room() < kRunsMax) return false;
  const BoundObject* object = objects_.find_file(request.object);
  if (auto checked = check_place(request, object); !checked.ok()) {
    slots_.answer(request.token, std::move(checked));
    return true;
  }
  auto opened = open(*object);
  if (!opened.ok()) {
    slots_.answer(request.token, named(*object, std::move(opened).error()));
    return true;
  }
  write_runs(request, *object, *opened.value());
  return true;
}

void FileSink::write_runs(const StoreRequest& request, const BoundObject& object, DescriptorCache::Open& file) {
  SinkObject& state = states_.at(object.id);
  const uint64_t at = request.offset.count(), size = request.bytes.size();
  const int fd = file.buffered.get();
  Runs runs = find_runs(request.bytes);
  uint64_t hole_from = 0;
  bool are_holes_made = true;
  for (size_t i = 0; i <= runs.count && are_holes_made; ++i) {  // the gaps before, between and behind the runs
    const uint64_t hole_end = i < runs.count ? runs.list[i].begin : size;
    if (hole_end > hole_from) are_holes_made = state.make_hole(fd, at + hole_from, at + hole_end);
    if (i < runs.count) hole_from = runs.list[i].end;
  }
  if (!are_holes_made) runs = {{{{0, size}}}, 1};
  note_touched(object.id, {IoOp::kDataSync, {}});
  const uint32_t index = slots_.take(request);
  RequestSlots::Slot& slot = slots_.at(index);
  for (size_t i = 0; i < runs.count && slot.error == 0; ++i) {
    const auto [begin, end] = runs.list[i];
    state.on_write(at + begin, at + end);
    slot.error = state.reserve(fd, at + begin, at + end);
    if (slot.error == 0) write_run(index, file, {begin, end});
  }
  if (slot.parts > 0) return;
  slots_.finish(index, slot.error == 0 ? success()
                                       : Status(errno_error(Side::kDestination, slot.error, "write", shown(object))));
}

void FileSink::write_run(uint32_t index, DescriptorCache::Open& file, Runs::Run run) {
  RequestSlots::Slot& slot = slots_.at(index);
  const auto bytes = slot.request.bytes.subspan(run.begin, run.end - run.begin);
  const uint64_t at = slot.request.offset.count() + run.begin;
  const BoundObject* object = objects_.find_file(slot.request.object);
  const int fd = descriptor_for(*object, file, bytes, at);
  if (fd == file.buffered.get() && bytes.size() <= kInlineMax) {
    slot.error = perform({IoOp::kWrite, fd, at, bytes}).error;
    return;
  }
  slot.is_direct = slot.is_direct || fd != file.buffered.get();
  ++slot.parts;
  ++file.in_flight;
  queue_.submit({IoOp::kWrite, fd, at, bytes, owner_id_, index});
}

bool FileSink::clone(const Range& range, int from) {
  const BoundObject* object = objects_.find_file(range.object);
  if (lost_ || object == nullptr || from < 0) return false;
  auto opened = open(*object);
  if (!opened.ok()) return false;
  const uint64_t at = range.offset.count();
  const file_clone_range order{from, at, range.length.count(), at};
  if (::ioctl(opened.value()->buffered.get(), FICLONERANGE, &order) != 0) return false;
  states_.at(range.object).on_write(at, at + range.length.count());
  note_touched(range.object, {IoOp::kDataSync, {}});
  return true;
}

bool FileSink::begin_read_back(const StoreRequest& request) {
  if (queue_.room() == 0) return false;
  const BoundObject* object = objects_.find_file(request.object);
  if (auto checked = check_place(request, object); !checked.ok()) {
    slots_.answer(request.token, std::move(checked));
    return true;
  }
  auto opened = open(*object);
  auto fd = opened.ok() ? descriptor_past_cache(request, *object, *opened.value()) : Result<int>(opened.error());
  if (!fd.ok()) {
    slots_.answer(request.token, named(*object, std::move(fd).error()));
    return true;
  }
  const uint32_t index = slots_.take(request);
  slots_.at(index).parts = 1;
  ++opened.value()->in_flight;
  const size_t whole = (request.bytes.size() + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
  queue_.submit({IoOp::kRead, fd.value(), request.offset.count(), {request.bytes.data(), whole}, owner_id_, index});
  return true;
}

Result<int> FileSink::descriptor_past_cache(const StoreRequest& request, const BoundObject& object, DescriptorCache::Open& file) {
  if (config_.device_reads == DeviceReads::kAfterDrop) {
    if (drop_cached(file.buffered.get(), request.offset.count(), request.bytes.size())) return file.buffered.get();
    return no_device_reads(config_.root->shown(config_.destination));
  }
  if (!file.direct.is_open()) {
    auto direct = staging_.open_object(object.id, Caching::kDirect);
    if (!direct.ok()) return std::move(direct).error();
    file.direct = std::move(direct).value();
  }
  return file.direct.get();
}

// The file may end before the leaf does: what is behind its end gets its size only when it is closed, and is zeros.
void FileSink::end_read_back(const IoDone& done) {
  RequestSlots::Slot& slot = slots_.at(done.user);
  const auto bytes = slot.request.bytes;
  const std::string place = config_.root->shown(config_.destination);
  if (done.transferred < bytes.size() && done.error == 0) std::ranges::fill(bytes.subspan(done.transferred), std::byte{});
  if (done.error == EINVAL) return slots_.finish(done.user, no_device_reads(place));
  slots_.finish(done.user, done.error == 0 ? success() : Status(errno_error(Side::kDestination, done.error, "read back", place)));
}

Result<DescriptorCache::Open*> FileSink::open(const BoundObject& object) {
  if (DescriptorCache::Open* open = files_.find(object.id)) return open;
  const bool is_new = !states_.contains(object.id);
  const auto try_open = [&] { return is_new ? staging_.create_object(object.id) : staging_.open_object(object.id, Caching::kBuffered); };
  auto file = try_open();
  const auto is_short = [&] { return !file.ok() && file.error().fault == Fault::kNoMemory; };
  if (is_short() && files_.make_do_with_less()) file = try_open();
  if (is_short() && !touched_.empty()) {  // most of our descriptors wait there for the next sync
    touch_many();
    file = try_open();
  }
  Bytes there;
  if (is_new && !file.ok() && file.error().fault == Fault::kDestExists) {  // released and bound again, or of an earlier process
    file = staging_.reopen_object(object.id);
    if (file.ok()) there = stat_of(file.value().get()).stat.size;
  }
  if (!file.ok()) return std::move(file).error();
  states_.try_emplace(object.id, object.size, there);
  return &files_.add(object.id, std::move(file).value());
}

int FileSink::descriptor_for(const BoundObject& object, DescriptorCache::Open& file, std::span<const std::byte> bytes,
                             uint64_t offset) {
  const int buffered = file.buffered.get();
  if (!is_direct_allowed_ || object.size < kDirectSizeMin || !is_direct_aligned(offset, bytes)) return buffered;
  if (!file.direct.is_open()) {
    auto direct = staging_.open_object(object.id, Caching::kDirect);
    if (!direct.ok()) {
      is_direct_allowed_ = false;  // this file system has none
      return buffered;
    }
    file.direct = std::move(direct).value();
  }
  return file.direct.get();
}

size_t FileSink::poll(std::span<StoreDone> out) {
  owner_.check();
  std::array<IoDone, kInFlightMax> done;
  const size_t count = queue_.poll(owner_id_, done);
  for (size_t i = 0; i < count; ++i) on_done(done[i]);
  if (sync_) continue_sync();
  return slots_.take_done(out);
}

void FileSink::on_done(const IoDone& done) {
  if (done.user >= kInFlightMax) {
    ++sync_->ended;
    if (sync_->error == 0) sync_->error = done.error;
    return;
  }
  RequestSlots::Slot& slot = slots_.at(done.user);
  const StoreRequest& request = slot.request;
  DescriptorCache::Open* file = files_.find(request.object);
  TIDEWAY_CHECK(file != nullptr && file->in_flight > 0 && slot.parts > 0);
  --file->in_flight;
  --slot.parts;
  if (request.op == StoreOp::kReadBack) return end_read_back(done);
  if (done.error == EINVAL && slot.is_direct) {
    // Refused only now. All of it once more, buffered: which part this was is not kept, and twice is harmless.
    is_direct_allowed_ = false;
    if (slot.error == 0) slot.error = perform({IoOp::kWrite, file->buffered.get(), request.offset.count(), request.bytes}).error;
  } else if (slot.error == 0) {
    slot.error = done.error;
  }
  if (slot.parts > 0) return;
  const BoundObject* object = objects_.find_file(request.object);
  TIDEWAY_CHECK(object != nullptr);
  slots_.finish(done.user, slot.error == 0 ? success()
                                           : Status(errno_error(Side::kDestination, slot.error, "write", shown(*object))));
}

Status FileSink::close(const BoundObject& object) {
  if (lost_) return *lost_;
  auto opened = open(object);  // all zeros: nothing was written yet
  if (!opened.ok()) return named(object, std::move(opened).error());
  const int fd = opened.value()->buffered.get();
  int error = states_.at(object.id).finish(fd);
  if (error == 0 && ::fchmod(fd, object.mode & config_.modes & 0777U) != 0) error = errno;
  if (error == 0) error = set_times(fd, object.mtime_ns);
  note_touched(object.id, {IoOp::kSync, std::move(opened.value()->buffered)});
  return error == 0 ? success() : Status(errno_error(Side::kDestination, error, "finish", shown(object)));
}

void FileSink::release(ObjectId id) {
  TIDEWAY_CHECK(!files_.is_busy(id));
  files_.drop(id);
  states_.erase(id);
  objects_.release(id);
}

void FileSink::note_touched(ObjectId id, Touched touched) {
  if (is_touched_many_) return;
  touched_[id] = std::move(touched);
  if (touched_.size() > kTouchedMax) touch_many();
}

// The next sync is of the whole file system, which takes no descriptor of each file.
void FileSink::touch_many() {
  touched_.clear();
  is_touched_many_ = true;
}

bool FileSink::begin_sync(const StoreRequest& request) {
  if (sync_ || slots_.used() > 0) return false;
  if (lost_ || is_touched_many_) {
    slots_.answer(request.token, sync_now());
    return true;
  }
  SyncRun run{request.token, {}};
  run.files.reserve(touched_.size());
  for (auto& [id, touched] : touched_) {
    if (auto held = hold(id, touched); !held.ok() && held.error().fault == Fault::kNoMemory) {
      touch_many();
      slots_.answer(request.token, sync_now());
      return true;
    } else if (!held.ok()) {
      slots_.answer(request.token, end_sync(std::move(held)));
      return true;
    }
    run.files.push_back(std::move(touched));
  }
  touched_.clear();  // what is written from now on belongs to the next sync
  sync_.emplace(std::move(run));
  continue_sync();
  return true;
}

// A descriptor of the sync's own, because an object that is open now may get closed meanwhile.
Status FileSink::hold(ObjectId id, Touched& touched) {
  if (touched.held.is_open()) return success();
  if (const DescriptorCache::Open* open = files_.find(id)) {
    touched.held = Descriptor(::fcntl(open->buffered.get(), F_DUPFD_CLOEXEC, 0));
    return touched.held.is_open() ? success() : Status(sync_error(errno));
  }
  auto opened = staging_.open_object(id, Caching::kBuffered);  // not closed yet, so the mode is still ours
  if (!opened.ok()) return std::move(opened).error();
  touched.held = std::move(opened).value();
  return success();
}

// Files go to the queue together, so that the file system can commit them as a group.
void FileSink::continue_sync() {
  SyncRun& run = *sync_;
  while (run.submitted < run.files.size() && run.error == 0 && queue_.room() > 0) {
    const Touched& file = run.files[run.submitted];
    queue_.submit({file.sync, file.held.get(), 0, {}, owner_id_, kInFlightMax});
    ++run.submitted;
  }
  if (run.ended < run.submitted || (run.error == 0 && run.submitted < run.files.size())) return;
  const uint32_t token = run.token;
  Status status = run.error == 0 ? success() : Status(sync_error(run.error));
  sync_.reset();
  slots_.answer(token, end_sync(std::move(status)));
}

Status FileSink::sync_now() {
  if (lost_) return *lost_;
  if (!is_touched_many_ && touched_.empty()) return success();
  // Open since before the first write, so this descriptor learns of all write-back errors.
  Status status = ::syncfs(staging_.dir().fd()) == 0 ? success() : Status(sync_error(errno));
  touched_.clear();
  is_touched_many_ = false;
  return end_sync(std::move(status));
}

Status FileSink::end_sync(Status status) {
  if (status.ok()) status = staging_.sync_new_dirs();
  if (!status.ok()) lost_ = status.error();
  return status;
}

Error FileSink::sync_error(int error) const {
  return errno_error(Side::kDestination, error, "sync", config_.root->shown(config_.destination));
}

Result<Existing> FileSink::probe_existing(const ManifestEntry& entry) const {
  if (replaces_trees(config_.rules) && entry.number != entry.parent) return Existing::kAbsent;
  std::vector<std::string> path;
  if (entry.number != entry.parent) {
    const BoundObject* parent = objects_.find_directory(entry.parent);
    if (parent == nullptr || !is_component(entry.name))
      return Error{Fault::kProtocolError, "entry " + std::to_string(entry.number.value()) + " has no known parent or name", ""};
    path = BoundObjects::path_of(*parent);
    path.push_back(entry.name);
  }
  path.insert(path.begin(), config_.destination.components().begin(), config_.destination.components().end());
  auto name = ObjectName::from_components(std::move(path));
  if (!name.ok()) return std::move(name).error();
  return storage::probe_existing(*config_.root, name.value(), entry, config_.rules);
}

std::optional<EarlyFile> FileSink::early(ObjectId id) const {
  const BoundObject* object = objects_.find_file(id);
  const bool appears = config_.rules.form == PublishRules::Form::kEach && object != nullptr && object->parent != nullptr;
  if (!appears || is_marker(object->name, config_.rules)) return std::nullopt;
  EarlyFile file{id, ObjectName::from_components(BoundObjects::path_of(*object)).value(), {}};
  for (const BoundObject* dir = object->parent; dir != nullptr; dir = dir->parent)
    file.modes.insert(file.modes.begin(), dir->mode & (config_.modes | kBuildMode) & 0777U);
  return file;
}

Status FileSink::publish_early(const EarlyFile& file) {
  note_early();
  return storage::publish_early(staging_, config_.destination, file);
}

Status FileSink::publish(const PublishOrder& order) {
  owner_.check();
  TIDEWAY_CHECK(slots_.used() == 0 && !sync_);
  if (is_published_) return success();
  if (auto synced = sync_now(); !synced.ok()) return synced;
  if (auto done = publish_staged(staging_, order, {config_.read_page, config_.modes, config_.rules, early_}); !done.ok()) return done;
  is_published_ = true;
  // What is visible and synced is published, whatever becomes of the rest; a sweep removes that.
  // The tree whose place ours has taken is left to whoever reads it.
  const bool is_read = replaces_trees(config_.rules) && is_former_read(staging_.dir());
  if (is_read) log::info("former_tree_read", "destination=\"" + config_.root->shown(config_.destination) + "\" why=\"a sweep removes it later\"");
  if (auto removed = is_read ? staging_.leave_former() : staging_.remove(); !removed.ok()) log::warning("staging_left", "why=\"" + removed.error().what + "\"");
  return success();
}

Status FileSink::settle() {
  queue_.drain(owner_id_);
  sync_.reset();
  is_touched_many_ = true;
  return sync_now();
}

Status FileSink::abandon() {
  if (is_published_) return success();
  queue_.drain(owner_id_);
  is_published_ = true;  // nothing is left to publish or to remove
  return staging_.remove();
}

}  // namespace tideway::storage
