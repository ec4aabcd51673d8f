// SPDX-License-Identifier: Apache-2.0
//
// Divides a rate among those who use it, max-min fair: nobody gets more than he wants while another could use it.
// Thread: any. Pure.
#pragma once
#include <tideway/units.h>

#include <span>
#include <vector>

namespace tideway::engine {

// What each is given, in the order of `wanted`. The shares add up to at most `total`, and to all of it when somebody
// wants an unlimited rate. An unlimited total gives each what it wants.
std::vector<Rate> share_out(Rate total, std::span<const Rate> wanted);

// The same, and what nobody wants is open to all in equal parts: a share is a ceiling, and who begins to send before the next
// deal has it at once.
std::vector<Rate> share_out_all(Rate total, std::span<const Rate> wanted);

// What one of `count` finds at least, a quarter of an equal share: who was idle starts with it, and shows so that he wants
// more.
Rate standby_share(Rate total, size_t count);

// What a worker of `workers` wants whose lanes want that: none of them nothing, and else no less than the standby share.
Rate wish_of_worker(Rate total, std::span<const Rate> wanted, size_t workers);

// As share_out_all, but each finds at least that.
std::vector<Rate> share_out_with_standby(Rate total, std::vector<Rate> wanted);

}  // namespace tideway::engine
