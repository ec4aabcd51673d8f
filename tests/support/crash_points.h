// SPDX-License-Identifier: Apache-2.0
//
// The names of the points at which a sink may die (docs/durability.md, "Crash points"), told by what is done to which path below a
// root. Code names none of its own calls: so a call that is added has a point at once, and if nothing here knows it, that shows.
// C, for tests/e2e/kill_at.c is loaded in front of the C library.
#ifndef TIDEWAY_TESTS_SUPPORT_CRASH_POINTS_H_
#define TIDEWAY_TESTS_SUPPORT_CRASH_POINTS_H_
#include <stddef.h>
#include <string.h>

// kCrashSyncAll: with size, permission bits and time, as fsync does; kCrashSync: fdatasync, or either.
enum crash_call { kCrashWrite, kCrashSync, kCrashSyncAll, kCrashMake, kCrashMove, kCrashRemove, kCrashResize, kCrashAttribute };

// `path`: of a rename, the old one. Of what lies in no staging only what a publish does has a point.
static inline const char* crash_point(enum crash_call call, const char* path) {
  const char* const state = strstr(path, "/.tideway");
  const char* const own = state != NULL && state[9] == '/' ? strchr(state + 10, '/') : NULL;
  const char* const name = own != NULL ? own + 1 : "";  // in the staging of one transfer
  if (strstr(path, "/.tideway-manifest") != NULL || (state != NULL && strncmp(state, "/.tideway/manifests", 19) == 0)) return "K15 keep the manifest";
  if (state == NULL || (state[9] != '/' && state[9] != '\0')) {
    return call == kCrashMove || call == kCrashMake || call == kCrashAttribute ? "K18 take the final name" : call == kCrashRemove ? "K22 remove staging" : "K19 sync where it appears";
  }
  if (call == kCrashRemove && strncmp(name, "shelf", 5) != 0) return "K22 remove staging";
  if (*name == '\0') return call == kCrashMake || call == kCrashMove || call == kCrashAttribute ? "K00 make staging" : "K01 note whose staging it is";
  if (strncmp(name, "data", 4) == 0) {
    if (call == kCrashMake) return "K03 make an object";
    if (call == kCrashWrite) return "K05 write a leaf";
    const int is_directory = strlen(name) <= strlen("data/00000");
    if (is_directory) return call == kCrashAttribute ? "K22 remove staging" : "K06 sync data";  // what is removed is made usable
    if (call == kCrashResize || call == kCrashAttribute || call == kCrashSyncAll) return "K11 finish an object";
    return call == kCrashMove ? "K14 build the tree" : "K06 sync data";
  }
  if (strcmp(name, "manifest") == 0 && call == kCrashWrite) return "K02 append to the list";
  if (strcmp(name, "manifest") == 0 || strcmp(name, "leaves") == 0) return "K07 write and sync hashes and list";
  if (strncmp(name, "ledger.new", 10) == 0) return "K24 compact the ledger";
  if (strcmp(name, "ledger") == 0) return "K08 append to the ledger";
  if (strncmp(name, "shelf", 5) == 0 || strncmp(name, "manifest.former", 15) == 0) return "K23 keep what has another number now";
  if (strncmp(name, "tree", 4) == 0) {
    if (call == kCrashMove) return "K18 take the final name";
    return call == kCrashSync || call == kCrashSyncAll ? "K16 sync the tree" : "K14 build the tree";
  }
  if (strcmp(name, "account") == 0) return "K01 note whose staging it is";
  return "K14 build the tree";  // empty, early, opened, exchanged
}

// Whether the last record of this end of a ledger says that it is published next: then it is K17.
static inline int crash_is_publishing(const char* records, size_t size) {
  enum { kRecord = 64, kKind = 7, kPublishing = 4 };
  return size >= kRecord && records[size - kRecord + kKind] == kPublishing;
}

#endif
