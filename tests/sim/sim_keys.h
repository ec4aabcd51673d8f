// SPDX-License-Identifier: Apache-2.0
//
// The packet keys of a simulated pair, and who watches them: under one key no packet number may be sealed twice, and
// over all key epochs of one flow and direction numbers rise. Everything sealed and everything authentic passes here, so
// this is also where a run learns the truth about challenges, responses and what was accepted.
#pragma once
#include <tideway/aead.h>
#include <tideway/ids.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::test {

// One direction of one flow.
struct SimWay {
  size_t from = 0, flow = 0;
  auto operator<=>(const SimWay&) const = default;
};

class SimKeys {
 public:
  // `provider`: one of crypto/registry, or empty for the keyed hash of test_aead.h.
  SimKeys(uint64_t seed, std::string_view provider) : seed_(seed), provider_(provider) {}

  std::unique_ptr<Aead> sealing(SimWay way, KeyEpoch epoch);
  std::unique_ptr<Aead> opening(SimWay way, KeyEpoch epoch);

  // Whether a packet of this number was opened and authentic.
  bool was_opened(SimWay way, uint64_t number) const;
  uint64_t opened() const { return opened_; }      // different packets
  uint64_t epochs_used(SimWay way) const;           // key epochs something was sealed under
  const std::string& problem() const { return problem_; }

  // Called for frames that were sealed, and for those that came out of authentic packets.
  using Frames = std::function<void(SimWay, std::span<const std::byte> plain)>;
  Frames on_sealed, on_opened;

 private:
  friend class WatchedAead;
  std::unique_ptr<Aead> make(SimWay way, KeyEpoch epoch) const;
  void note_sealed(SimWay way, KeyEpoch epoch, const SealJob& job);
  void note_opened(SimWay way, const OpenJob& job);

  struct Sealed {
    uint64_t end = 0;                          // the highest number plus one, over all key epochs
    std::map<uint64_t, uint64_t> end_of_epoch;
  };
  struct Opened {
    uint64_t first = 0;
    std::vector<bool> numbers;
  };
  const uint64_t seed_;
  const std::string provider_;
  std::map<SimWay, Sealed> sealed_;
  std::map<SimWay, Opened> opened_of_;
  uint64_t opened_ = 0;
  std::string problem_;
};

}  // namespace tideway::test
