// SPDX-License-Identifier: Apache-2.0
//
// Lets `new` fail from the Nth call on, in the test that links scarce_memory.cc.
// Thread: one.
#pragma once

namespace tideway::test {

unsigned long allocations();           // of this process, so far
void let_allocations_fail_after(long more);  // so many more succeed

}  // namespace tideway::test
