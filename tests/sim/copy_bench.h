// SPDX-License-Identifier: Apache-2.0
//
// A tree, a disk that it is copied to run after run, and what has to hold after each of them.
#pragma once
#include "sim/sim_copy.h"
#include "support/sim_disk.h"
#include "support/temp_root.h"

#include <sys/types.h>

#include <map>
#include <string>
#include <utility>

namespace tideway::test {

// The first call of 1 up to `end` of which it is not true any more, by halves: it holds up to some call and for none behind it.
template <typename Holds>
uint64_t first_call_without(uint64_t end, Holds holds) {
  uint64_t first = 1;
  while (first < end) {
    const uint64_t middle = first + (end - first) / 2;
    if (holds(middle)) first = middle + 1;
    else end = middle;
  }
  return first;
}

// All of a file.
std::string read_file(const std::filesystem::path& path);

class CopyBench {
 public:
  // In memory a copy cannot be read back from a device, and no range of a file is shared; what the simulated disk does is the same.
  explicit CopyBench(TempRoot::In where = TempRoot::In::kMemory);
  // Bytes that compress a little, of their own for each seed; modified long ago.
  void put(const std::string& name, size_t size, uint64_t seed) const;
  void put_small() const;  // a few files with all there is to a tree: empty, hidden and deep ones, a link, directories that are shut
  void put_link(const std::string& name, const std::string& target) const;
  void shut(const std::string& name) const;  // a directory of the source: its owner may not write in it
  static void flip_a_bit(const std::filesystem::path& rotten);  // behind its first 10^6 bytes, and its time says nothing of it
  void clear() const;  // all of it
  void put_aside() const;  // the source's tree is what was there before, and another one may be put
  void clear_disk() const;

  struct Run {
    DiskFault fault;
    Loss loss = Loss::kNothing;  // where the power goes
    SimCopyConfig copy = {};     // its folders are ours
    uint64_t vanishes_at = 0;    // the turn at which the source's process is gone; 0: it stays
    bool loses_power_after = false;  // at the latest behind the end
    std::function<void()> look = {};  // behind each call that changes a name
  };
  struct Came {
    SimCopy::Outcome outcome;
    bool was_hit = false;
    std::string hit_at;     // by its name, of a kill or a loss of power
    Bytes held, read;
    uint64_t rejected = 0;  // leaves, by the sink
    uint64_t publishes_lost = 0;
    std::vector<Error> reported;
    bool is_published() const { return outcome && outcome->ok(); }
    std::string text() const;
  };
  Came run(const Run& planned) const;
  // Where the sink's process dies at the fault, and the same copy is run again; then the power goes. The second run's end.
  Came run_twice_and_lose_power(const Run& planned) const;

  // Empty, or what is wrong: something visible that is not as at the source, or not all of it where all has to be there.
  std::string check_visible() const;
  std::string check_whole() const;
  // The same, and directories have their modes, too, which some get only behind their names.
  std::string check_published() const;
  std::string check_former() const;  // what is visible is whole, as what was put aside

  std::filesystem::path former() const { return dir_ / "former"; }
  std::filesystem::path source() const { return dir_ / "source"; }
  std::filesystem::path disk() const { return dir_ / "disk"; }
  std::filesystem::path out() const { return disk() / "out"; }

 private:
  struct File;
  std::string check_entry(const std::filesystem::path& relative, const std::filesystem::path& tree) const;
  std::string check_visible(const std::filesystem::path& expected) const;
  std::string check_whole(const std::filesystem::path& expected) const;
  bool have_same_bytes(const File& here, const File& there) const;
  void take_what_is_left() const;  // by the disk, in its place

  TempRoot dir_;
  // While a run is watched: what was compared, and how often it had been written then, for looks come behind each name.
  mutable const SimDisk* watched_ = nullptr;
  mutable std::map<std::pair<ino_t, ino_t>, uint64_t> same_;
};

}  // namespace tideway::test
