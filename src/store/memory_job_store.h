// SPDX-License-Identifier: Apache-2.0
//
// A store that dies with its owner: for tests.
// Thread: one owner.
#pragma once
#include "store/job_store.h"

#include <map>

namespace tideway::store {

class MemoryJobStore final : public JobStore {
 public:
  Result<Contents> load(job::WallTime now) override;
  Status write(const Batch& batch, job::WallTime now) override;

 private:
  std::map<job::JobId, job::Job> jobs_;
  std::vector<Event> events_;
};

}  // namespace tideway::store
