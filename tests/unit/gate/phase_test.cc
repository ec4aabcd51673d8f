// SPDX-License-Identifier: Apache-2.0
#include "gate/phase_board.h"

#include "gate/burst_table.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/wait.h>

namespace tideway::gate {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The file as a gateway makes it.
struct PhaseTest : testing::Test {
  TempRoot root;
  std::string path = (root / "phase.board").string();
  int fd = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  const tideway_phase_slot* slots = nullptr;

  PhaseTest() {
    EXPECT_EQ(ftruncate(fd, sizeof(tideway_phase_slot) * TIDEWAY_PHASE_SLOTS), 0);
    slots = static_cast<const tideway_phase_slot*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
  }
  ~PhaseTest() override { close(fd); }
  bool is_closed(size_t slot) const {
    const Time now = Time(Duration(static_cast<int64_t>(tideway_phase_now())));
    return now < slot_closed_until(slots[slot], now, seconds(2), seconds(60));
  }
};

TEST(PhaseHeader, SlotsHaveTheLayoutOfTheDocument) {
  static_assert(sizeof(tideway_phase_slot) == 64);
  EXPECT_EQ(offsetof(tideway_phase_slot, training), 8u);
  EXPECT_EQ(offsetof(tideway_phase_slot, bytes), 32u);
  EXPECT_EQ(offsetof(tideway_phase_slot, dst), 52u);
  EXPECT_EQ(offsetof(tideway_phase_slot, jitter_us), 60u);
  EXPECT_EQ(tideway_phase_training("llm7"), training_id("llm7"));
  EXPECT_EQ(tideway_phase_site("wisconsin"), site_id("wisconsin"));
}

TEST_F(PhaseTest, BeginHoldsAndEndLetsGo) {
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, path.c_str(), "llm7", "wisconsin"), 0);
  EXPECT_EQ(slots[0].training, training_id("llm7"));
  EXPECT_EQ(slots[0].dst, site_id("wisconsin"));
  EXPECT_FALSE(is_closed(0));
  const tideway_phase_details details{.bytes = 40'000'000, .duration_us = 400'000, .period_us = 1'000'000, .jitter_us = 5'000, .ttl_us = 900'000};
  tideway_phase_begin(&phase, &details);
  EXPECT_TRUE(is_closed(0));
  EXPECT_EQ(slots[0].seq % 2, 0u);
  EXPECT_EQ(slots[0].period_us, 1'000'000u);
  tideway_phase_end(&phase);
  EXPECT_FALSE(is_closed(0));
  tideway_phase_predict(&phase, 1'000'000'000);
  EXPECT_FALSE(is_closed(0));
  EXPECT_GT(slots[0].begin_ns, tideway_phase_now());
  tideway_phase_close(&phase);
  EXPECT_EQ(slots[0].training, 0u);
}

// The begin of the burst was moved ahead of now with it, and the burst held bulk for as long as nobody ended it.
TEST_F(PhaseTest, APredictionInABurstLeavesItsBeginAloneAndIsSaidWithItsEnd) {
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, path.c_str(), "llm7", nullptr), 0);
  tideway_phase_begin(&phase, nullptr);
  const uint64_t begin_ns = slots[0].begin_ns;
  tideway_phase_predict(&phase, 1'000'000'000);
  EXPECT_EQ(slots[0].begin_ns, begin_ns);
  EXPECT_TRUE(is_closed(0));
  const Time over = Time(Duration(static_cast<int64_t>(begin_ns))) + seconds(2);
  EXPECT_LE(slot_closed_until(slots[0], over, seconds(2), seconds(60)), over);
  tideway_phase_end(&phase);
  EXPECT_FALSE(is_closed(0));
  EXPECT_GT(slots[0].begin_ns, tideway_phase_now());
  EXPECT_LE(slots[0].end_ns, tideway_phase_now());
  tideway_phase_begin(&phase, nullptr);
  tideway_phase_predict(&phase, 0);  // over before the burst is: it is no news
  const uint64_t second_ns = slots[0].begin_ns;
  tideway_phase_end(&phase);
  EXPECT_EQ(slots[0].begin_ns, second_ns);
  tideway_phase_close(&phase);
}

// As the plug-in of NCCL begins, and whoever names no details.
TEST_F(PhaseTest, ASlotThatIsTakenAgainKeepsNoTimesOfItsFormerOwner) {
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, path.c_str(), "llm7", nullptr), 0);
  const tideway_phase_details details{.bytes = 1, .duration_us = 5'000'000, .period_us = 1'000'000, .jitter_us = 5'000, .ttl_us = 50'000'000};
  tideway_phase_begin(&phase, &details);
  tideway_phase_close(&phase);
  ASSERT_EQ(tideway_phase_open(&phase, path.c_str(), "rl2", nullptr), 0);
  tideway_phase_begin(&phase, nullptr);
  EXPECT_EQ(slots[0].duration_us, 0u);
  EXPECT_EQ(slots[0].period_us, 0u);
  EXPECT_EQ(slots[0].jitter_us, 0u);
  EXPECT_EQ(slots[0].ttl_us, 0u);
  EXPECT_EQ(slot_ttl(slots[0], seconds(2), seconds(60)), seconds(2));
  tideway_phase_close(&phase);
}

TEST(PhaseBoard, ABurstOnItRunsOutWhenOneThatIsAnnouncedDoes) {
  const BurstTable announced({.ttl_max = seconds(60), .link_sites = {}, .trainings = {}});
  for (const uint32_t ttl_us : {0u, 900'000u, UINT32_MAX})
    for (const uint32_t duration_us : {0u, 5'000'000u, UINT32_MAX})
      for (const uint32_t jitter_us : {0u, 100'000u, UINT32_MAX}) {
        tideway_phase_slot slot{};
        slot.ttl_us = ttl_us, slot.duration_us = duration_us, slot.jitter_us = jitter_us;
        using std::chrono::microseconds;
        const PhaseDetails details{.duration = microseconds(duration_us), .jitter = microseconds(jitter_us), .ttl = microseconds(ttl_us)};
        EXPECT_EQ(slot_ttl(slot, BurstTable::kTtlDefault, seconds(60)), announced.ttl(details)) << ttl_us << ' ' << duration_us << ' ' << jitter_us;
      }
}

TEST(PhaseBoard, ADurationAloneMakesNoBurstRunOutSooner) {
  tideway_phase_slot slot{};
  slot.duration_us = 400'000, slot.jitter_us = 5'000;  // a prediction of an older writer, whose bursts may take longer
  EXPECT_EQ(slot_ttl(slot, seconds(2), seconds(60)), seconds(2));
}

TEST_F(PhaseTest, EachWriterHasASlotOfItsOwnAndTheLastOneFindsNone) {
  std::array<tideway_phase, TIDEWAY_PHASE_SLOTS> phases{};
  for (tideway_phase& phase : phases) ASSERT_EQ(tideway_phase_open(&phase, path.c_str(), "llm7", nullptr), 0);
  tideway_phase_begin(&phases[63], nullptr);
  EXPECT_FALSE(is_closed(0));
  EXPECT_TRUE(is_closed(63));
  tideway_phase late{};
  EXPECT_EQ(tideway_phase_open(&late, path.c_str(), "llm7", nullptr), EUSERS);
  tideway_phase_close(&phases[7]);
  EXPECT_EQ(tideway_phase_open(&late, path.c_str(), "llm7", nullptr), 0);
  EXPECT_EQ(slots[7].training, training_id("llm7"));
  tideway_phase_close(&late);
  for (size_t i = 0; i < phases.size(); ++i)
    if (i != 7) tideway_phase_close(&phases[i]);
}

TEST_F(PhaseTest, AProcessThatDiedInItsBurstGivesTheSlotBack) {
  const pid_t child = fork();
  if (child == 0) {
    tideway_phase phase{};
    if (tideway_phase_open(&phase, path.c_str(), "llm7", nullptr) == 0) tideway_phase_begin(&phase, nullptr);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(is_closed(0));  // until its time to live is over, or the slot is taken
  tideway_phase phase{};
  ASSERT_EQ(tideway_phase_open(&phase, path.c_str(), "rl2", nullptr), 0);
  EXPECT_FALSE(is_closed(0));
  EXPECT_EQ(slots[0].training, training_id("rl2"));
  tideway_phase_close(&phase);
}

TEST_F(PhaseTest, SaysWhyThereIsNoBoard) {
  tideway_phase phase{};
  EXPECT_EQ(tideway_phase_open(&phase, (path + ".not").c_str(), "llm7", nullptr), ENOENT);
  ASSERT_EQ(ftruncate(fd, 100), 0);
  EXPECT_EQ(tideway_phase_open(&phase, path.c_str(), "llm7", nullptr), EPROTO);
}

}  // namespace
}  // namespace tideway::gate
