// SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager how far we are (sd_notify(3)): READY=1, RELOADING=1, WATCHDOG=1, STOPPING=1. Without one it says nothing.
// Thread: main.
#pragma once
#include <string_view>

namespace tideway::daemon {

class ServiceNotify {
 public:
  ServiceNotify();  // where to, NOTIFY_SOCKET says
  ServiceNotify(const ServiceNotify&) = delete;
  ServiceNotify& operator=(const ServiceNotify&) = delete;
  ~ServiceNotify();

  // Lines of NAME=VALUE. Nobody's ear is waited for.
  void say(std::string_view state) const;

 private:
  int socket_ = -1;
};

}  // namespace tideway::daemon
