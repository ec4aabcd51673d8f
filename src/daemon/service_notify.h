// SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager how far we are (sd_notify(3)): READY=1, RELOADING=1, WATCHDOG=1, STOPPING=1. Without one it says nothing.
// Thread: main.
#pragma once
#include "base/descriptor.h"

#include <string_view>

namespace tideway::daemon {

class ServiceNotify {
 public:
  ServiceNotify();  // where to, NOTIFY_SOCKET says

  // Lines of NAME=VALUE. Nobody's ear is waited for.
  void say(std::string_view state) const;

 private:
  Descriptor socket_;
};

}  // namespace tideway::daemon
