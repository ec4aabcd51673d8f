// SPDX-License-Identifier: Apache-2.0
//
// Weighted max-min sharing with bandwidth functions (as in BwE, SIGCOMM 2015): each class has a rising piecewise linear
// function from a level, 0 to 1, to a share of the link's capacity; a job's weight multiplies it and its bound cuts it off. The
// fill finds the highest level at which all of them fit. Classes thus come nearly one after the other, each with a small
// floor under those above it, and equal jobs share equally whenever they came.
// Thread: any. Pure.
#pragma once
#include <tideway/schedule_policy.h>

#include <span>
#include <vector>

namespace tideway::schedule {

struct Wish {
  JobClass job_class = JobClass::kBestEffort;
  double weight = 1;
  Rate most = Rate::unlimited();
};

// The share of the capacity that a job of weight 1 has at this level.
double share_at(JobClass job_class, double level);

struct Room {
  Rate capacity;   // of the link, of which the functions give shares
  Rate available;  // that is filled
};
// In the order of the wishes; the sum is at most `available`.
std::vector<Rate> fill(std::span<const Wish> wishes, const Room& room);

}  // namespace tideway::schedule
