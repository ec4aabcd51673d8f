// SPDX-License-Identifier: Apache-2.0
#include "engine/path_processes.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "engine/path_run.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>

namespace tideway::engine {
namespace {

using Role = PathEndConfig::Role;

// For each thing the other end says, beyond what is measured: EAL starts, memory is touched, the AEAD works alone.
constexpr Duration kPatience = std::chrono::seconds(60);
constexpr int kEndPatienceMs = 5'000;  // of a child that was told to end
constexpr int kLookPeriodMs = 50;      // at `stop`, while the other end is silent
constexpr size_t kTextMax = 1'024;

// One size for all: the two are one program on one machine, and there are five of these in a run.
struct Message {
  enum class Kind : uint8_t { kGo, kPorts, kNumbers, kFailed } kind = Kind::kGo;
  Time start{};  // kPorts of the source
  uint32_t count = 0;
  std::array<BoundPort, kPathFlowsMax> ports{};
  PathEndNumbers numbers{};
  Fault fault{};
  std::array<char, kTextMax> what{}, next{};
};
static_assert(std::is_trivially_copyable_v<Message>);

void put(std::array<char, kTextMax>& into, const std::string& text) {
  std::memcpy(into.data(), text.data(), std::min(text.size(), kTextMax - 1));
}

Message ports_of(const PathRun& run, Time start) {
  Message message{.kind = Message::Kind::kPorts, .start = start};
  message.count = static_cast<uint32_t>(run.ports().size());
  std::ranges::copy(run.ports(), message.ports.begin());
  return message;
}

Message failed(const Error& error) {
  Message message{.kind = Message::Kind::kFailed, .fault = error.fault};
  put(message.what, error.what);
  put(message.next, error.next);
  return message;
}

// The other end, as one of the two sees it.
class Other {
 public:
  explicit Other(Descriptor fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }
  // One that is gone is noticed by the next receive.
  void send(const Message& message) const { (void)::send(fd(), &message, sizeof message, MSG_NOSIGNAL); }
  // Waits for a message of this kind. Errors: what the other end says of its own; peer_lost; cancelled, once `stop` is
  // set and nothing is there.
  Result<Message> receive(Message::Kind kind, Duration patience, const std::atomic<bool>& stop) const;

 private:
  Descriptor fd_;
};

Result<Message> Other::receive(Message::Kind kind, Duration patience, const std::atomic<bool>& stop) const {
  const Time until = read_clock() + patience;
  for (;;) {
    for (pollfd waited{fd(), POLLIN, 0}; ::poll(&waited, 1, kLookPeriodMs) <= 0;) {
      if (stop) return interrupted();
      if (read_clock() >= until) return Error{Fault::kPeerLost, "the process of the other end says nothing", "run it again with --verbose"};
    }
    Message message;
    const ssize_t size = ::recv(fd(), &message, sizeof message, 0);
    if (size != static_cast<ssize_t>(sizeof message)) return Error{Fault::kPeerLost, "the process of the other end ended", "run it again"};
    if (message.kind == Message::Kind::kFailed) return Error{message.fault, message.what.data(), message.next.data()};
    TIDEWAY_CHECK(message.count <= kPathFlowsMax);
    if (message.kind == kind) return message;
    TIDEWAY_CHECK(stop);  // what an interrupted end did not wait for is still in the way
  }
}

// One end from its first port to its numbers. The other one's ports come in between; the source says when to start.
Result<PathEndNumbers> measure(const PathBenchOrder& order, Role role, PathRun& run, const Other& other) {
  std::atomic<bool> stop{false};
  Status status = success();
  Result<Rate> alone = Rate();
  const auto work = [&]() -> Status {
    if (Status bound = run.bind(read_clock()); !bound.ok()) return bound;
    if (role == Role::kSink) other.send(ports_of(run, Time{}));
    auto theirs = other.receive(Message::Kind::kPorts, kPatience, stop);
    if (!theirs.ok()) return std::move(theirs).error();
    const Time start = role == Role::kSource ? read_clock() : theirs.value().start;
    if (role == Role::kSource) other.send(ports_of(run, start));
    const auto ports = std::span(theirs.value().ports).first(theirs.value().count);
    if (Status opened = run.open(read_clock(), {ports.begin(), ports.end()}); !opened.ok()) return opened;
    PathRun* const runs[] = {&run};
    drive(runs, start, order.measured, stop);
    run.close(read_clock());
    if (!stop) alone = measure_alone(order, role);  // the other one does so now, too
    return success();
  };
  const int other_fd = other.fd();
  const PathThreads threads{1, std::span(&order.stop_fd, 1), std::span(&other_fd, 1)};
  run_threads(threads, stop, [&](size_t) { status = work(); });
  if (!status.ok()) return std::move(status).error();
  auto numbers = run.numbers(PathRun::Thread::kOwn);
  if (!numbers.ok()) return numbers;
  if (stop) return interrupted();
  if (!alone.ok()) return std::move(alone).error();
  numbers.value().alone = alone.value();
  return numbers;
}

// ---- the child ----------------------------------------------------------------------------------

Result<PathEndNumbers> follow(const PathBenchOrder& order, const Other& other) {
  const std::atomic<bool> never{false};
  if (auto go = other.receive(Message::Kind::kGo, kPatience, never); !go.ok()) return std::move(go).error();
  auto run = PathRun::create(order, Role::kSink, packet_io::PacketIoConfig(order.sink.packets));
  if (!run.ok()) return std::move(run).error();
  return measure(order, Role::kSink, *run.value(), other);
}

// After a failure at once, which ends the other one, too; else when the parent has closed its side, so that no packet
// memory goes that the other one still looks at.
[[noreturn]] void be_child(const PathBenchOrder& order, const Other& other) {
  const auto numbers = follow(order, other);
  other.send(numbers.ok() ? Message{.kind = Message::Kind::kNumbers, .numbers = numbers.value()} : failed(numbers.error()));
  for (Message unused; numbers.ok() && ::recv(other.fd(), &unused, sizeof unused, 0) > 0;) {}
  ::_exit(0);
}

// ---- the parent ---------------------------------------------------------------------------------

// The child's process: ended and gone when this is.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() { wait(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Its exit status. It has been told to end, or has ended.
  int wait() {
    if (pid_ < 0) return status_;
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    pollfd ended{process.get(), POLLIN, 0};
    if (::poll(&ended, 1, kEndPatienceMs) <= 0) ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {}
    pid_ = -1;
    return status_;
  }

 private:
  pid_t pid_;
  int status_ = 0;
};

Result<PathBenchNumbers> lead(const PathBenchOrder& order, const Other& other) {
  auto run = PathRun::create(order, Role::kSource, packet_io::PacketIoConfig(order.source.packets));
  if (!run.ok()) return std::move(run).error();
  other.send({.kind = Message::Kind::kGo});
  auto source = measure(order, Role::kSource, *run.value(), other);
  if (!source.ok() && source.error().fault != Fault::kCancelled) return std::move(source).error();
  // Interrupted by the other one's end, perhaps: then it has said why.
  const std::atomic<bool> is_stopped{!source.ok()};
  const auto theirs = other.receive(Message::Kind::kNumbers, kPatience, is_stopped);
  if (!theirs.ok()) return theirs.error();
  if (!source.ok()) return std::move(source).error();
  return sum_up(order, source.value(), theirs.value().numbers);
}

}  // namespace

Result<PathBenchNumbers> run_path_processes(const PathBenchOrder& order) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return Error{Fault::kOverloaded, std::string("no pair of sockets: ") + std::strerror(errno), "raise the limit of open files (ulimit -n)"};
  const pid_t pid = ::fork();
  Other mine{Descriptor(pair[pid == 0 ? 1 : 0])};
  ::close(pair[pid == 0 ? 0 : 1]);
  if (pid == 0) be_child(order, mine);
  if (pid < 0) return Error{Fault::kOverloaded, std::string("no second process: ") + std::strerror(errno), "raise the limit of processes (ulimit -u)"};
  Child child(pid);
  auto numbers = lead(order, mine);
  mine.close();
  const int status = child.wait();
  if (!numbers.ok() && numbers.error().fault == Fault::kPeerLost && WIFSIGNALED(status))
    return Error{Fault::kPeerLost, "the process of the other end was ended by signal " + std::to_string(WTERMSIG(status)), numbers.error().next};
  return numbers;
}

}  // namespace tideway::engine
