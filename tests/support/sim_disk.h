// SPDX-License-Identifier: Apache-2.0
//
// A disk below one folder, for the calls of this process: it counts what reaches it, lets the Nth call fail as a test picks, or
// loses power there, and knows what was synced. It stands in front of the C library in the test that links sim_disk.cc; the
// files themselves lie in a real folder. After a loss of power no call changes anything any more, so that the code under test
// may be taken down in order, and lay_out() gives what such a disk has when it is back.
//
// A sync that fails loses what was written before it, as kernels do: the next one succeeds, and covers what is written from then
// on. What a file system may do without being asked (write back, commit a rename) it never does, unless torn writes are asked for.
// A rename is there as a whole or not at all, as on file systems with a journal.
// Thread: one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace tideway::test {

enum class Loss : uint8_t {
  kNothing,   // the process dies, the kernel lives
  kUnsynced,  // of files all that was written and of directories all that was changed since their last sync
  kTorn,      // of files every other page since then; names are all there
};

struct DiskFault {
  enum class Kind : uint8_t {
    kNone,
    kError,     // one call answers with `error` and has no effect
    kSpace,     // from there on each call that takes space answers with ENOSPC
    kShort,     // a read or write moves half of what it should
    kPowerCut,  // before the call
    kNoExchange,  // no two names are exchanged, as on a file system that cannot
    kFoldsCase,   // names that differ in capitals alone are one, below the folder
  };
  Kind kind = Kind::kNone;
  uint64_t at = 0;   // the call of that number, from 1
  int error = 0;     // 0: one that such a call may meet, others for other numbers
  // Which are counted. kDurability: what syncs, renames, cuts and removes; kMoves: reads and writes; kChanges: all but those that only
  // look; kSpace: what takes space.
  enum class Calls : uint8_t { kAll, kDurability, kSyncs, kMoves, kChanges, kSpace } calls = Calls::kAll;
};

class SimDisk {
 public:
  explicit SimDisk(const std::filesystem::path& folder);  // all that is there counts as synced
  ~SimDisk();
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  void plan(const DiskFault& fault);  // counts from here
  void watch(std::function<void()> look);  // called behind each call that changes a name
  uint64_t writes_to(uint64_t inode) const;  // goes up whenever what stands in that file changes, or its number is used again
  uint64_t calls() const;
  bool was_hit() const;               // the fault has happened
  const std::string& hit_at() const;  // there, by its name (crash_points.h), of a kPowerCut
  bool has_power() const;
  void cut_power();
  void restart();                     // of the process alone, that died where the power was cut: the kernel still has what is not synced
  // Leaves at `to`, which does not exist, what the disk has after a crash now in which something is lost.
  void lay_out(const std::filesystem::path& to, Loss loss) const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace tideway::test
