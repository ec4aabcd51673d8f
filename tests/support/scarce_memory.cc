// SPDX-License-Identifier: Apache-2.0
#include "support/scarce_memory.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace tideway::test {
namespace {

unsigned long made = 0;
long left = -1;  // negative: no limit

// Nothing: there is no more.
void* try_to_allocate(size_t size, size_t alignment) {
  made += 1;
  if (left == 0) return nullptr;
  if (left > 0) left -= 1;
  size = std::max<size_t>(size, 1);
  return alignment <= alignof(std::max_align_t) ? std::malloc(size) : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate(size_t size, size_t alignment) {
  void* const bytes = try_to_allocate(size, alignment);
  if (bytes == nullptr) std::__throw_bad_alloc();
  return bytes;
}

}  // namespace

unsigned long allocations() { return made; }
void let_allocations_fail_after(long more) { left = more; }

}  // namespace tideway::test

// For all of the binary, in every form: the sanitizers' own are not mixed with these.
using std::align_val_t, std::nothrow_t;
using tideway::test::allocate, tideway::test::try_to_allocate;
void* operator new(size_t size) { return allocate(size, 1); }
void* operator new[](size_t size) { return allocate(size, 1); }
void* operator new(size_t size, const nothrow_t&) noexcept { return try_to_allocate(size, 1); }
void* operator new[](size_t size, const nothrow_t&) noexcept { return try_to_allocate(size, 1); }
void* operator new(size_t size, align_val_t alignment) { return allocate(size, static_cast<size_t>(alignment)); }
void* operator new[](size_t size, align_val_t alignment) { return allocate(size, static_cast<size_t>(alignment)); }
void operator delete(void* bytes) noexcept { std::free(bytes); }
void operator delete[](void* bytes) noexcept { std::free(bytes); }
void operator delete(void* bytes, size_t) noexcept { std::free(bytes); }
void operator delete[](void* bytes, size_t) noexcept { std::free(bytes); }
void operator delete(void* bytes, const nothrow_t&) noexcept { std::free(bytes); }
void operator delete[](void* bytes, const nothrow_t&) noexcept { std::free(bytes); }
void operator delete(void* bytes, align_val_t) noexcept { std::free(bytes); }
void operator delete[](void* bytes, align_val_t) noexcept { std::free(bytes); }
void operator delete(void* bytes, size_t, align_val_t) noexcept { std::free(bytes); }
void operator delete[](void* bytes, size_t, align_val_t) noexcept { std::free(bytes); }
