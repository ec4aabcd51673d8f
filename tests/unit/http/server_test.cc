// SPDX-License-Identifier: Apache-2.0
//
// The server answers through a real unix socket, whose other end is a thread here.
#include "http/client.h"
#include "http/server.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>

namespace tideway::http {
namespace {

using namespace std::chrono_literals;

class ServerTest : public ::testing::Test {
 protected:
  void serve(Server::Handler handler) {
    auto socket = ListenSocket::open_unix(path_, "");
    ASSERT_TRUE(socket.ok()) << socket.error().what;
    auto server = Server::start(std::move(socket).value(), std::move(handler));
    ASSERT_TRUE(server.ok()) << server.error().what;
    server_ = std::move(server).value();
  }

  // Runs the server until the work of the other side is done.
  template <typename Work>
  auto with_client(Work work) {
    auto result = std::async(std::launch::async, work);
    const Time give_up = read_clock() + 20s;
    while (result.wait_for(0s) != std::future_status::ready && read_clock() < give_up) turn();
    return result.get();
  }
  void turn() {
    pollfd fd{server_->wait_fd(), POLLIN, 0};
    ::poll(&fd, 1, 2);
    server_->run();
  }

  const TempRoot folder_;
  const std::string path_ = (folder_ / "api.sock").string();
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersWithWhoAskedAndWhat) {
  serve([](const std::shared_ptr<Exchange>& exchange) {
    const Request& request = exchange->request();
    exchange->answer({201, "application/json", request.method + ' ' + request.path + ' ' + request.query.at("a") + ' ' + request.body + ' ' + std::to_string(request.caller->uid)});
  });
  const auto answer = with_client([&] { return Client(path_).ask("POST", "/v1/jobs?a=b%20c", "body"); });
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer.value().status, 201U);
  EXPECT_EQ(answer.value().body, "POST /v1/jobs b c body " + std::to_string(::getuid()));
}

TEST_F(ServerTest, AnAnswerMayComeLater) {
  std::shared_ptr<Exchange> kept;
  serve([&](const std::shared_ptr<Exchange>& exchange) { kept = exchange; });
  std::atomic<bool> is_answered = false;
  auto answer = std::async(std::launch::async, [&] {
    auto got = Client(path_).ask("GET", "/later");
    is_answered = true;
    return got;
  });
  for (int i = 0; i < 5000 && kept == nullptr; ++i) turn();
  ASSERT_NE(kept, nullptr);
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_FALSE(is_answered);
  kept->answer({200, "text/plain", "late"});
  for (int i = 0; i < 5000 && !is_answered; ++i) turn();
  EXPECT_EQ(answer.get().value().body, "late");
}

TEST_F(ServerTest, ABodyThatIsTooLargeIsRefusedAndNotHandedOn) {
  bool was_called = false;
  serve([&](const std::shared_ptr<Exchange>&) { was_called = true; });
  const auto answer = with_client([&] { return Client(path_).ask("POST", "/v1/jobs", std::string(kBodyMax + 1, 'x')); });
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer.value().status, 413U);
  EXPECT_FALSE(was_called);
}

TEST_F(ServerTest, EventsComeAsTheyAreSaidAndTheLastIdIsHandedOn) {
  std::shared_ptr<Exchange> kept;
  serve([&](const std::shared_ptr<Exchange>& exchange) {
    exchange->begin_stream();
    exchange->say(": hello\n\nid: 8\nevent: state\ndata: " + exchange->request().last_event_id + "\n\n");
    kept = exchange;
  });
  auto events = std::async(std::launch::async, [&] {
    std::string text;
    auto reader = EventReader::open(path_, "/v1/events", "7");
    for (int i = 0; reader.ok() && i < 1000 && !reader.value().has_ended(); ++i)
      if (const auto event = reader.value().next(10ms)) text += event->id + event->type + event->data + '|';
    return text;
  });
  for (int i = 0; i < 5000 && kept == nullptr; ++i) turn();
  ASSERT_NE(kept, nullptr);
  for (int i = 0; i < 5; ++i) turn();
  kept->say("event: progress\ndata: more\n\n");
  for (int i = 0; i < 5; ++i) turn();
  kept->end();
  for (int i = 0; i < 5000 && events.wait_for(0s) != std::future_status::ready; ++i) turn();
  EXPECT_EQ(events.get(), "8state7|progressmore|");
}

// 64 copies that were followed used to take all connections, and no trainer could say that its burst began.
TEST_F(ServerTest, ReadersOfEventsLeaveRoomForWhoOnlyAsks) {
  std::vector<std::shared_ptr<Exchange>> streams;
  serve([&](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().path == "/v1/phase") return exchange->answer({204, "application/json", ""});
    exchange->begin_stream();
    exchange->say(": hello\n\n");
    streams.push_back(exchange);
  });
  std::vector<EventReader> readers;
  const auto follow_all = [&] {
    for (size_t i = 0; i < kStreamsMax; ++i) {
      auto reader = EventReader::open(path_, "/v1/events", "");
      if (!reader.ok()) break;
      readers.push_back(std::move(reader).value());
    }
    return readers.size();
  };
  const auto follow = [&] {
    const auto reader = EventReader::open(path_, "/v1/events", "");
    return reader.ok() ? std::nullopt : std::optional(reader.error().fault);
  };
  ASSERT_EQ(with_client(follow_all), kStreamsMax);
  EXPECT_EQ(with_client(follow), Fault::kOverloaded);
  EXPECT_TRUE(streams.back()->is_gone()) << "what it would be told piles up";
  const auto answer = with_client([&] { return Client(path_, 5s).ask("POST", "/v1/phase", "{}"); });
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer.value().status, 204U);
  streams.front()->end();
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_EQ(with_client(follow), std::nullopt) << "who left made no room";
}

// As many as may be, on which nobody asks anything: one more waits until one of them has gone.
TEST_F(ServerTest, X20ConnectionsAreBounded) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  constexpr rlim_t kNeeded = 2 * kConnectionsMax + 64;  // both ends are ours
  if (files.rlim_max < kNeeded) GTEST_SKIP() << "this user may open " << files.rlim_max << " files";
  files.rlim_cur = std::max(files.rlim_cur, kNeeded);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  serve([](const std::shared_ptr<Exchange>& exchange) { exchange->answer({204, "application/json", ""}); });
  const auto connect = [&] {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    for (int i = 0; i < 2; ++i) turn();  // before the queue of the socket is full
    return socket;
  };
  const auto ask = [](const Descriptor& socket, std::string_view version) {
    const std::string asks = "GET /v1/version HTTP/" + std::string(version) + "\r\nHost: tideway\r\n\r\n";
    EXPECT_EQ(::send(socket.get(), asks.data(), asks.size(), MSG_NOSIGNAL), static_cast<ssize_t>(asks.size()));
  };
  const auto is_answered = [&](const Descriptor& socket) {
    char byte;
    for (int i = 0; i < 50; ++i) {
      if (::recv(socket.get(), &byte, 1, MSG_DONTWAIT) == 1) return true;
      turn();
    }
    return false;
  };
  std::vector<Descriptor> idle;
  for (unsigned i = 0; i < kConnectionsMax; ++i) idle.push_back(connect());
  const Descriptor over = connect();
  ask(over, "1.0");
  EXPECT_FALSE(is_answered(over));
  ask(idle.back(), "1.1");  // and keeps its connection
  EXPECT_TRUE(is_answered(idle.back())) << "who was there before is served";
  EXPECT_FALSE(is_answered(over));
  idle.erase(idle.begin());
  EXPECT_TRUE(is_answered(over)) << "who left made no room";
}

TEST_F(ServerTest, AReaderThatIsTooSlowIsDropped) {
  Exchange exchange({}, [] {});
  exchange.begin_stream();
  for (int i = 0; i < 300; ++i) exchange.say(std::string(1024, 'x'));
  EXPECT_TRUE(exchange.has_ended());
}

TEST_F(ServerTest, EndsWhileSomebodyWaitsForAnAnswer) {
  std::shared_ptr<Exchange> kept;
  serve([&](const std::shared_ptr<Exchange>& exchange) { kept = exchange; });
  auto answer = std::async(std::launch::async, [&] { return Client(path_).ask("GET", "/never"); });
  for (int i = 0; i < 5000 && kept == nullptr; ++i) turn();
  server_.reset();
  const auto got = answer.get();
  EXPECT_TRUE(!got.ok() || got.value().status == 503);
  EXPECT_FALSE(Client(path_).is_there());
  EXPECT_NE(::access(path_.c_str(), F_OK), 0) << "the socket outlived its owner";
}

TEST_F(ServerTest, ASocketThatNobodyServesIsTakenOverAndOneInUseIsNot) {
  {
    auto abandoned = ListenSocket::open_unix(path_, "");
    ASSERT_TRUE(abandoned.ok());
    ASSERT_EQ(::link(path_.c_str(), (path_ + ".kept").c_str()), 0);
  }
  ASSERT_EQ(::rename((path_ + ".kept").c_str(), path_.c_str()), 0);
  const auto first = ListenSocket::open_unix(path_, "");
  ASSERT_TRUE(first.ok()) << first.error().what;
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660U);
  const auto second = ListenSocket::open_unix(path_, "");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().fault, Fault::kConfigInvalid);
}

}  // namespace
}  // namespace tideway::http
