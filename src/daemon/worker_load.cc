// SPDX-License-Identifier: Apache-2.0
#include "daemon/worker_load.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tideway::daemon {
namespace {

constexpr Duration kMeasureEvery = std::chrono::seconds(1);
constexpr int kFieldsBeforeTimes = 11;  // of /proc/PID/task/TID/stat, behind the name: state and ten numbers

}  // namespace

std::map<std::string, double> WorkerLoad::read_seconds() const {
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::map<std::string, double> seconds;
  std::error_code failed;
  for (std::filesystem::directory_iterator task("/proc/self/task", failed), end; !failed && task != end; task.increment(failed)) {
    std::ifstream file(task->path() / "stat");
    std::string line;
    std::getline(file, line);
    const size_t open = line.find('('), close = line.rfind(')');
    if (open == line.npos || close == line.npos) continue;  // it has just ended
    std::istringstream rest(line.substr(close + 1));
    std::string skipped;
    for (int i = 0; i < kFieldsBeforeTimes; ++i) rest >> skipped;
    double user = 0, system = 0;
    rest >> user >> system;
    seconds[line.substr(open + 1, close - open - 1)] += (user + system) / ticks;
  }
  return seconds;
}

const std::map<std::string, double>& WorkerLoad::look(Time now) {
  if (looked_at_ != Time{} && now < looked_at_ + kMeasureEvery) return ratio_;
  const auto seconds = read_seconds();
  const double passed = std::chrono::duration<double>(now - looked_at_).count();
  if (looked_at_ != Time{}) {
    ratio_.clear();
    for (const auto& [name, total] : seconds) ratio_[name] = std::clamp((total - seconds_[name]) / passed, 0.0, 1.0);
  }
  seconds_ = seconds;
  looked_at_ = now;
  return ratio_;
}

}  // namespace tideway::daemon
