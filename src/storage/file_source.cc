// SPDX-License-Identifier: Apache-2.0
#include "storage/file_source.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tideway::storage {
namespace {

Error changed(const std::string& shown, std::string_view how) {
  return {Fault::kSourceChanged, "\"" + shown + "\" changed while it was copied: " + std::string(how),
          "copy it again when nobody writes to it"};
}

Error vanished(const std::string& shown) {
  return {Fault::kSourceVanished, "\"" + shown + "\" was removed while it was copied", "copy it again if it comes back"};
}

bool may_be_hole(int fd, Bytes offset, Bytes length) {
  const auto begin = static_cast<off_t>(offset.count());
  const off_t data = ::lseek(fd, begin, SEEK_DATA);
  if (data < 0) return errno == ENXIO;
  return data >= begin + static_cast<off_t>(length.count());
}

}  // namespace

FileSource::FileSource(ScanSpec spec, IoQueue& queue)
    : spec_(std::move(spec)), queue_(queue), owner_id_(queue.add_owner()), is_direct_allowed_(queue.direct() == DirectIo::kAuto) {
  std::sort(spec_.sources.begin(), spec_.sources.end(), [](const ScanSource& a, const ScanSource& b) {
    return name_among_sources(a) < name_among_sources(b);
  });
}

bool FileSource::is_same(ObjectId id, const FileStat& now, const FileStat& before) const {
  if (parts_.contains(id)) return now.inode == before.inode && now.device == before.device;
  return spec_.sources.front().held == ScanSource::Held::kPinned ? now.is_same_content(before) : now.is_same_version(before);
}

FileSource::~FileSource() { queue_.drain(owner_id_); }

std::unique_ptr<ObjectLister> FileSource::list(const ObjectName& under) {
  TIDEWAY_CHECK(under.is_root() || spec_.form == ScanForm::kSingle);
  if (!under.is_root()) {
    auto components = std::vector<std::string>(spec_.sources[0].name.components().begin(),
                                               spec_.sources[0].name.components().end());
    components.insert(components.end(), under.components().begin(), under.components().end());
    auto name = ObjectName::from_components(std::move(components));
    // Too long to exist: the scan of the name itself says source_missing.
    spec_.sources[0].name = name.ok() ? std::move(name).value() : under;
  }
  return std::make_unique<TreeScan>(spec_);
}

Result<FileSource::Place> FileSource::place_of(const BoundObject& object) const {
  std::vector<std::string> path = BoundObjects::path_of(object);
  if (const auto part = parts_.find(object.id); part != parts_.end()) path.assign(part->second.path.components().begin(), part->second.path.components().end());
  const ScanSource* source = &spec_.sources.front();
  if (spec_.form == ScanForm::kTogether) {
    TIDEWAY_CHECK(!path.empty());  // entry 0 is a directory there, and only files are looked up
    const auto by_name = [](const ScanSource& one, const std::string& name) { return name_among_sources(one) < name; };
    const auto found = std::lower_bound(spec_.sources.begin(), spec_.sources.end(), path.front(), by_name);
    if (found == spec_.sources.end() || name_among_sources(*found) != path.front())
      return Error{Fault::kSourceMissing, "\"" + to_display(path.front()) + "\" is not among the sources", ""};
    source = &*found;
    path.erase(path.begin());
  }
  path.insert(path.begin(), source->name.components().begin(), source->name.components().end());
  auto name = ObjectName::from_components(std::move(path));
  if (!name.ok()) return std::move(name).error();
  return Place{source->root.get(), std::move(name).value()};
}

size_t FileSource::submit(std::span<const StoreRequest> requests) {
  owner_.check();
  size_t taken = 0;
  while (taken < requests.size() && begin(requests[taken])) ++taken;
  return taken;
}

bool FileSource::begin(const StoreRequest& request) {
  if (!slots_.has_room()) return false;
  if (request.op == StoreOp::kRead) return begin_read(request);
  TIDEWAY_CHECK(request.op == StoreOp::kClose);  // a source is neither written nor synced
  if (files_.is_busy(request.object)) return false;
  close(request);
  return true;
}

Bytes FileSource::begin_of(ObjectId id) const {
  const auto part = parts_.find(id);
  return part == parts_.end() ? Bytes() : part->second.offset;
}

bool FileSource::begin_read(const StoreRequest& asked) {
  StoreRequest request = asked;
  request.offset += begin_of(asked.object);
  if (queue_.room() == 0) return false;
  const BoundObject* object = objects_.find_file(request.object);
  if (object == nullptr || request.bytes.empty()) {
    slots_.answer(request.token, object != nullptr ? success() : Status(Error{Fault::kProtocolError,
                  "object " + std::to_string(request.object.value()) + " is no file of this transfer", ""}));
    return true;
  }
  auto opened = open(*object);
  if (!opened.ok()) {
    slots_.answer(request.token, std::move(opened).error());
    return true;
  }
  DescriptorCache::Open& file = *opened.value();
  if (is_hole(request.object, request.offset, Bytes(request.bytes.size()))) {
    std::fill(request.bytes.begin(), request.bytes.end(), std::byte{0});
    slots_.answer(request.token, success());
    return true;
  }
  const uint32_t index = slots_.take(request);
  const int fd = descriptor_for(*object, file, request);
  slots_.at(index).is_direct = fd != file.buffered.get();
  ++file.in_flight;
  queue_.submit({IoOp::kRead, fd, request.offset.count(), request.bytes, owner_id_, index});
  return true;
}

Result<DescriptorCache::Open*> FileSource::open(const BoundObject& object) {
  if (DescriptorCache::Open* open = files_.find(object.id)) return open;
  auto place = place_of(object);
  if (!place.ok()) return std::move(place).error();
  const auto& [root, name] = place.value();
  auto file = root->open_file(name, Access::kRead);
  if (!file.ok() && file.error().fault == Fault::kNoMemory && files_.make_do_with_less()) file = root->open_file(name, Access::kRead);
  if (!file.ok()) {
    const Fault fault = file.error().fault;
    if (fault == Fault::kSourceMissing) return vanished(root->shown(name));
    // The scan saw a plain file below plain directories here.
    if (fault == Fault::kDenied || fault == Fault::kSpecialFile) return changed(root->shown(name), file.error().what);
    return std::move(file).error();
  }
  const auto [stat, error] = stat_of(file.value().get());
  if (error != 0) return errno_error(Side::kSource, error, "look at", root->shown(name));
  const auto [seen, is_first] = first_seen_.try_emplace(object.id, stat);
  const bool is_as_listed = parts_.contains(object.id) || (stat.size == object.size && stat.mtime_ns == object.mtime_ns);
  if (is_first ? !is_as_listed : !is_same(object.id, stat, seen->second)) {
    if (is_first) first_seen_.erase(seen);
    return changed(root->shown(name), "size or time differ from before");
  }
  return &files_.add(object.id, std::move(file).value());
}

int FileSource::descriptor_for(const BoundObject& object, DescriptorCache::Open& file, const StoreRequest& request) {
  const int buffered = file.buffered.get();
  // What is being written lies in the page cache, and a direct read would have it written out first.
  if (!is_direct_allowed_ || object.size < kDirectSizeMin || parts_.contains(object.id)) return buffered;
  if (!is_direct_aligned(request.offset.count(), request.bytes)) return buffered;
  if (file.direct.is_open()) return file.direct.get();
  auto place = place_of(object);
  if (!place.ok()) return buffered;
  auto direct = place.value().root->open_file(place.value().name, Access::kRead, Caching::kDirect);
  if (!direct.ok()) {
    is_direct_allowed_ = false;  // this file system has none; buffered reads say what else is wrong, if anything
    return buffered;
  }
  const FileStat same = stat_of(direct.value().get()).stat, first = first_seen_.at(object.id);
  if (same.inode != first.inode || same.device != first.device) return buffered;  // replaced; kClose will say so
  file.direct = std::move(direct).value();
  return file.direct.get();
}

bool FileSource::is_hole(ObjectId id, Bytes offset, Bytes length) {
  const auto seen = first_seen_.find(id);
  if (seen == first_seen_.end() || seen->second.allocated >= seen->second.size) return false;
  if (offset + length > seen->second.size) return false;
  DescriptorCache::Open* file = files_.find(id);
  return file != nullptr && may_be_hole(file->buffered.get(), offset, length);
}

size_t FileSource::poll(std::span<StoreDone> out) {
  owner_.check();
  std::array<IoDone, kInFlightMax> done;
  const size_t count = queue_.poll(owner_id_, done);
  for (size_t i = 0; i < count; ++i) on_done(done[i]);
  return slots_.take_done(out);
}

void FileSource::on_done(const IoDone& done) {
  RequestSlots::Slot& slot = slots_.at(done.user);
  DescriptorCache::Open* file = files_.find(slot.request.object);
  TIDEWAY_CHECK(file != nullptr && file->in_flight > 0);
  const StoreRequest& request = slot.request;
  if (done.error == EINVAL && slot.is_direct) {  // refused only now; its place in the queue has just become free
    is_direct_allowed_ = false;
    slot.is_direct = false;
    queue_.submit({IoOp::kRead, file->buffered.get(), request.offset.count(), request.bytes, owner_id_, done.user});
    return;
  }
  --file->in_flight;
  Status status = success();
  const ObjectId id = request.object;
  if (done.error != 0) {
    status = error_of(id, done.error);
  } else if (done.transferred < request.bytes.size()) {
    status = changed(shown(id), "it became shorter");
  }
  slots_.finish(done.user, std::move(status));
  if (file->is_given_up && file->in_flight == 0) release(id);
}

std::string FileSource::shown(ObjectId id) const {
  const BoundObject* object = objects_.find_file(id);
  if (object == nullptr) return "object " + std::to_string(id.value());
  const auto place = place_of(*object);
  return place.ok() ? place.value().root->shown(place.value().name) : to_display(object->name);
}

Error FileSource::error_of(ObjectId id, int error) const { return errno_error(Side::kSource, error, "read", shown(id)); }

void FileSource::close(const StoreRequest& request) {
  const BoundObject* object = objects_.find_file(request.object);
  Status status = object != nullptr ? check_unchanged(*object) : success();  // not kept: no bytes, nothing to compare
  files_.drop(request.object);  // what was damaged on the way is read again: the rest stays known until its release
  slots_.answer(request.token, std::move(status));
}

// By name and not by descriptor, because a file that was replaced is a changed one too.
Status FileSource::check_unchanged(const BoundObject& object) {
  const auto place = place_of(object);
  if (!place.ok()) return place.error();
  const auto& [root, name] = place.value();
  const auto now = root->stat_if_exists(name);
  if (!now.ok()) return now.error();
  if (!now.value()) return vanished(root->shown(name));
  const auto seen = first_seen_.find(object.id);
  const bool is_unchanged = seen != first_seen_.end()
                           ? is_same(object.id, *now.value(), seen->second)
                           : now.value()->size == object.size && now.value()->mtime_ns == object.mtime_ns;
  if (!is_unchanged) return changed(root->shown(name), "size, times or identity differ from before");
  return success();
}

void FileSource::release(ObjectId id) {
  if (files_.is_busy(id)) {  // the first of several leaves failed, and the others are still being read
    files_.find(id)->is_given_up = true;
    return;
  }
  files_.drop(id);
  first_seen_.erase(id);
  parts_.erase(id);
  objects_.release(id);
}

Status FileSource::publish(const PublishOrder&) {
  return Error{Fault::kUnsupported, "a source publishes nothing", ""};
}

}  // namespace tideway::storage
