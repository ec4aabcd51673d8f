// SPDX-License-Identifier: Apache-2.0
#include "storage/errno_fault.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tideway::storage {
namespace {

Fault source_fault(int error) {
  switch (error) {
    case ENOENT: case ENOTDIR: return Fault::kSourceMissing;
    case ELOOP: return Fault::kDenied;
    case ENOMEM: case EMFILE: case ENFILE: return Fault::kNoMemory;
    default: return Fault::kSourceIo;
  }
}

Fault destination_fault(int error) {
  switch (error) {
    case ENOSPC: return Fault::kDestFull;
    case EDQUOT: return Fault::kDestQuota;
    case EROFS: return Fault::kDestReadonly;
    case EACCES: case EPERM: return Fault::kDestDenied;
    case EEXIST: case ENOTEMPTY: return Fault::kDestExists;
    case ENOTDIR: case EISDIR: return Fault::kTypeConflict;
    case ELOOP: return Fault::kDenied;
    case EXDEV: return Fault::kDestCrossDevice;
    case EFBIG: return Fault::kDestTooBig;
    case ESTALE: return Fault::kDestStalled;
    case ENOMEM: case EMFILE: case ENFILE: return Fault::kNoMemory;
    default: return Fault::kDestIo;
  }
}

std::string advice(Fault fault) {
  switch (fault) {
    case Fault::kDestFull: return "free space below this root, then run the same command again";
    case Fault::kDestInodes: return "remove files below this root (it has space, but no inodes left), then try again";
    case Fault::kDestQuota: return "raise the quota of uid " + std::to_string(geteuid()) + " or free space";
    case Fault::kDestReadonly: return "make the file system writable, or choose another root";
    case Fault::kDestDenied:
    case Fault::kSourceIo: return "check the device, and the permissions for uid " + std::to_string(geteuid());
    case Fault::kDestExists: return "choose a name that does not exist yet, or remove what is there";
    case Fault::kTypeConflict: return "move away what stands there; it is of another type";
    case Fault::kDenied: return "name the place itself; symbolic links are not followed below a root";
    case Fault::kDestCrossDevice: return "choose a root on that file system; one root is one file system";
    case Fault::kDestTooBig: return "leave it out, or choose a root on a file system that takes files of its size; look at ulimit -f, too";
    case Fault::kDestStalled: return "mount that file system again, or start the server that has it";
    case Fault::kNoMemory: return "raise the limits of memory and open files, or run fewer transfers";
    case Fault::kSourceMissing: return "check the name";
    default: return "look at the kernel log and the device";
  }
}

}  // namespace

Fault fault_of(Side side, int error) {
  return side == Side::kSource ? source_fault(error) : destination_fault(error);
}

Error errno_error(Side side, int error, std::string_view action, std::string_view shown) {
  const Fault fault = fault_of(side, error);
  std::string what = "cannot " + std::string(action) + " \"" + std::string(shown) + "\": ";
  switch (error) {
    case ELOOP: what += "it is a symbolic link or lies behind one"; break;
    case EXDEV: what += "it lies on another file system than its root"; break;
    default: what += strerrordesc_np(error) != nullptr ? strerrordesc_np(error) : "unknown error";
  }
  const bool lacks_directory = side == Side::kDestination && error == ENOENT;
  return {fault, std::move(what), lacks_directory ? "make the directory first; if it was there, find out who removed it" : advice(fault)};
}

}  // namespace tideway::storage
