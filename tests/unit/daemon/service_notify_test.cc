// SPDX-License-Identifier: Apache-2.0
#include "daemon/service_notify.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace tideway::daemon {
namespace {

class ServiceNotifyTest : public testing::Test {
 protected:
  ~ServiceNotifyTest() override {
    ::unsetenv("NOTIFY_SOCKET");
    if (manager_ >= 0) ::close(manager_);
  }
  // A manager that listens at `named`, as in the environment.
  void listen(const std::string& named) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, named.data(), named.size());
    if (named[0] == '@') address.sun_path[0] = '\0';
    manager_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + named.size());
    ASSERT_EQ(::bind(manager_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", named.c_str(), 1);
  }
  std::string heard() const {
    char text[256];
    const ssize_t size = ::recv(manager_, text, sizeof text, 0);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }
  TempRoot root_;
  int manager_ = -1;
};

TEST_F(ServiceNotifyTest, ManagerHearsWhatIsSaid) {
  listen((root_ / "notify").string());
  const ServiceNotify notify;
  notify.say("READY=1\nSTATUS=serving");
  EXPECT_EQ(heard(), "READY=1\nSTATUS=serving");
}

TEST_F(ServiceNotifyTest, ManagerMayHaveAnAbstractAddress) {
  listen("@tideway-test-" + std::to_string(::getpid()));
  const ServiceNotify notify;
  notify.say("STOPPING=1");
  EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(ServiceNotifyTest, WithoutAManagerNothingHappens) {
  for (const std::string& named : {std::string(), std::string("relative"), std::string("/"), std::string(300, '/'), (root_ / "nobody").string()}) {
    ::setenv("NOTIFY_SOCKET", named.c_str(), 1);
    const ServiceNotify notify;
    notify.say("READY=1");
    EXPECT_EQ(heard(), "") << named;
  }
}

}  // namespace
}  // namespace tideway::daemon
