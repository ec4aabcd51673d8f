// SPDX-License-Identifier: Apache-2.0
#include "daemon/phase_board.h"

#include <cerrno>
#include <cstring>

namespace tideway::daemon {
namespace {

constexpr size_t kSize = sizeof(tideway_phase_slot) * TIDEWAY_PHASE_SLOTS;
constexpr mode_t kMode = 0660;  // trainers of its group announce

Error unusable(const std::string& path, const char* what) {
  return {Fault::kConfigInvalid, "the phase board " + path + " cannot be " + what + ": " + std::strerror(errno),
          "write a path in a folder of tidewayd's own, such as /run/tideway/phase.board"};
}

bool lock_slot(int fd, size_t slot, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(slot * sizeof(tideway_phase_slot));
  lock.l_len = sizeof(tideway_phase_slot);
  return fcntl(fd, TIDEWAY_PHASE_SETLK, &lock) == 0;
}

}  // namespace

Result<std::unique_ptr<PhaseBoard>> PhaseBoard::create(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
  const int fd = file.get();
  if (fd < 0) return unusable(path, "opened");
  void* const mapped = ftruncate(fd, kSize) == 0 && fchmod(fd, kMode) == 0 ? mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (mapped == MAP_FAILED) return unusable(path, "mapped");
  std::unique_ptr<PhaseBoard> board(new PhaseBoard(std::move(file), static_cast<tideway_phase_slot*>(mapped)));
  board->reclaim();
  return board;
}

PhaseBoard::~PhaseBoard() { munmap(slots_, kSize); }

void PhaseBoard::reclaim() {
  for (size_t i = 0; i < TIDEWAY_PHASE_SLOTS; ++i) {
    tideway_phase_slot& slot = slots_[i];
    if (__atomic_load_n(&slot.training, __ATOMIC_RELAXED) == 0 || !lock_slot(file_.get(), i, F_WRLCK)) continue;
    __atomic_store_n(&slot.state, TIDEWAY_PHASE_IDLE, __ATOMIC_RELEASE);
    __atomic_store_n(&slot.training, 0, __ATOMIC_RELEASE);
    lock_slot(file_.get(), i, F_UNLCK);
  }
}

}  // namespace tideway::daemon
