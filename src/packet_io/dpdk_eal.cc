// SPDX-License-Identifier: Apache-2.0
#include "packet_io/dpdk_eal.h"

#include "base/descriptor.h"
#include "base/log.h"
#include "packet_io/dpdk_args.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace tideway::packet_io {
namespace {

constexpr size_t kLogKept = 16 << 10;  // about two hundred lines

// stdio's lock on the stream guards the text: write_log runs inside it, and readers take it.
FILE* log_stream = nullptr;
std::string* log_text = nullptr;  // lives as long as DPDK, which may log until the process has ended

ssize_t write_log(void*, const char* bytes, size_t count) {
  std::string_view message(bytes, count);
  while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
  if (message.empty()) return static_cast<ssize_t>(count);
  log_text->append(message).append("\n");
  if (log_text->size() > kLogKept) log_text->erase(0, log_text->find('\n', log_text->size() - kLogKept) + 1);
  log::debug("dpdk", message);
  return static_cast<ssize_t>(count);
}

bool take_over_log() {
  if (log_stream != nullptr) return true;
  log_text = new std::string;
  log_stream = fopencookie(nullptr, "w", {.read = nullptr, .write = write_log, .seek = nullptr, .close = nullptr});
  if (log_stream == nullptr) return false;
  setvbuf(log_stream, nullptr, _IOLBF, 4096);
  return rte_openlog_stream(log_stream) == 0;
}

// EAL answers wrong arguments with its manual on stdout, where programs read our lines.
class StdoutSilence {
 public:
  StdoutSilence() : saved_(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    std::fflush(stdout);
    const Descriptor null(open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (saved_.is_open() && null.is_open()) dup2(null.get(), STDOUT_FILENO);
  }
  ~StdoutSilence() {
    std::fflush(stdout);
    if (saved_.is_open()) dup2(saved_.get(), STDOUT_FILENO);
  }
  StdoutSilence(const StdoutSilence&) = delete;
  StdoutSilence& operator=(const StdoutSilence&) = delete;

 private:
  const Descriptor saved_;
};

std::vector<int> usable_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

int init(std::span<const std::string> words) {
  std::vector<std::string> copies = {"tideway"};
  copies.insert(copies.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const StdoutSilence silence;
  const int opterr_before = std::exchange(opterr, 0);
  const int taken = rte_eal_init(static_cast<int>(arguments.size()) - 1, arguments.data());
  opterr = opterr_before;
  return taken;
}

enum class State : uint8_t { kNew, kRunning, kFailed };
std::atomic<State> state{State::kNew};
std::vector<std::string>* words_started = nullptr;  // by whoever moved `state` on

}  // namespace

std::string eal_log() {
  if (log_stream == nullptr) return {};
  flockfile(log_stream);
  std::string copy = *log_text;
  funlockfile(log_stream);
  return copy;
}

Status start_eal(const DpdkConfig& config) {
  const bool has_own_dir = geteuid() == 0 || std::getenv("XDG_RUNTIME_DIR") != nullptr;
  auto words = eal_arguments(config, {usable_cpus(), has_own_dir ? RuntimeDir::kOwn : RuntimeDir::kShared});
  if (!words.ok()) return std::move(words).error();
  if (state.load() != State::kNew) {
    if (state.load() == State::kRunning && *words_started == words.value()) return success();
    return Error{Fault::kConfigInvalid, "DPDK was started in this process already, with other arguments or without success",
                 "start the program again: DPDK starts once per process"};
  }
  words_started = new std::vector<std::string>(words.value());
  state = State::kFailed;
  if (!take_over_log())
    return Error{Fault::kOverloaded, "DPDK's log cannot be redirected", "raise the limit of open files (LimitNOFILE, ulimit -n)"};
  if (init(words.value()) < 0) return eal_failure(rte_strerror(rte_errno), eal_log());
  if (rte_eal_iova_mode() != RTE_IOVA_VA && config.dma == DpdkDma::kConfined)
    return Error{Fault::kConfigInvalid, "DPDK runs with physical addresses, which let a device reach all of this host's memory",
                 "turn the IOMMU on (intel_iommu=on or amd_iommu=on on the kernel's command line), or set insecure_dma = true in [data_plane.dpdk]"};
  if (config.dma == DpdkDma::kInsecure)
    log::warning("dpdk_insecure_dma", "insecure_dma = true: no IOMMU keeps the port's device from this host's memory");
  state = State::kRunning;
  std::string shown;
  for (const std::string& word : words.value()) shown += (shown.empty() ? "" : " ") + word;
  log::debug("dpdk_started", "args=\"" + shown + '"');
  return success();
}

void register_thread() {
  struct Registration {
    Registration() { rte_thread_register(); }
    ~Registration() { rte_thread_unregister(); }
  };
  if (rte_lcore_id() != LCORE_ID_ANY) return;
  thread_local const Registration registration;
}

}  // namespace tideway::packet_io
