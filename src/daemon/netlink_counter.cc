// SPDX-License-Identifier: Apache-2.0
#include "daemon/netlink_counter.h"

#include <endian.h>
#include <linux/gen_stats.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace tideway::daemon {
namespace {

constexpr size_t kAnswerMax = 16 << 10;
constexpr uint32_t kMinorMask = 0xFFFF;

constexpr uint16_t nft_type(uint16_t message) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message); }

template <typename T>
void put(std::vector<std::byte>& out, const T& value) {
  const size_t at = out.size();
  out.resize(at + NLMSG_ALIGN(sizeof value));
  std::memcpy(out.data() + at, &value, sizeof value);
}

void put_attribute(std::vector<std::byte>& out, uint16_t type, std::span<const std::byte> value) {
  put(out, nlattr{static_cast<uint16_t>(NLA_HDRLEN + value.size()), type});
  const size_t at = out.size();
  out.resize(at + NLA_ALIGN(value.size()));
  if (!value.empty()) std::memcpy(out.data() + at, value.data(), value.size());
}

// With the zero behind it.
void put_text(std::vector<std::byte>& out, uint16_t type, const std::string& text) {
  put_attribute(out, type, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

template <typename T>
std::optional<T> take(std::span<const std::byte>& in) {
  if (in.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, in.data(), sizeof value);
  in = in.subspan(std::min(in.size(), static_cast<size_t>(NLMSG_ALIGN(sizeof value))));
  return value;
}

// The value of the first attribute of that type.
std::optional<std::span<const std::byte>> find_attribute(std::span<const std::byte> in, uint16_t type) {
  while (in.size() >= NLA_HDRLEN) {
    nlattr header;
    std::memcpy(&header, in.data(), sizeof header);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > in.size()) return std::nullopt;
    if ((header.nla_type & NLA_TYPE_MASK) == type) return in.subspan(NLA_HDRLEN, header.nla_len - NLA_HDRLEN);
    in = in.subspan(std::min(in.size(), static_cast<size_t>(NLA_ALIGN(header.nla_len))));
  }
  return std::nullopt;
}

std::optional<uint64_t> nft_bytes(std::span<const std::byte> in) {
  if (!take<nfgenmsg>(in)) return std::nullopt;
  const auto data = find_attribute(in, NFTA_OBJ_DATA);
  const auto bytes = data ? find_attribute(*data, NFTA_COUNTER_BYTES) : std::nullopt;
  if (!bytes || bytes->size() != sizeof(uint64_t)) return std::nullopt;
  uint64_t value = 0;
  std::memcpy(&value, bytes->data(), sizeof value);
  return be64toh(value);
}

std::optional<uint64_t> tc_bytes(std::span<const std::byte> in) {
  if (!take<tcmsg>(in)) return std::nullopt;
  const auto stats = find_attribute(in, TCA_STATS2);
  const auto basic = stats ? find_attribute(*stats, TCA_STATS_BASIC) : std::nullopt;
  uint64_t value = 0;  // gnet_stats_basic begins with them
  if (!basic || basic->size() < sizeof value) return std::nullopt;
  std::memcpy(&value, basic->data(), sizeof value);
  return value;
}

bool is_class(const CounterName& name) { return (name.handle & kMinorMask) != 0; }

std::string next_of(const CounterName& name, int cause) {
  if (cause == EPERM || cause == EACCES)
    return "give the gateway CAP_NET_ADMIN (systemctl edit tidewayd: AmbientCapabilities and CapabilityBoundingSet), or count by tc: or iface:";
  return name.kind == CounterName::Kind::kNft ? "see nft list counters" : "see tc -s qdisc and tc -s class";
}

}  // namespace

std::vector<std::byte> counter_request(const CounterName& name, const CounterQuestion& question) {
  std::vector<std::byte> out;
  const bool is_nft = name.kind == CounterName::Kind::kNft;
  nlmsghdr header{};
  header.nlmsg_type = is_nft ? nft_type(NFT_MSG_GETOBJ) : is_class(name) ? uint16_t{RTM_GETTCLASS} : uint16_t{RTM_GETQDISC};
  header.nlmsg_flags = is_nft ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_ECHO;  // tc tells who watches it, and who asks only on request
  header.nlmsg_seq = question.sequence;
  put(out, header);
  if (is_nft) {
    put(out, nfgenmsg{.nfgen_family = name.family, .version = NFNETLINK_V0, .res_id = 0});
    const uint32_t kind = htobe32(NFT_OBJECT_COUNTER);
    put_text(out, NFTA_OBJ_TABLE, name.table);
    put_text(out, NFTA_OBJ_NAME, name.counter);
    put_attribute(out, NFTA_OBJ_TYPE, std::as_bytes(std::span(&kind, 1)));
  } else {
    tcmsg message{};
    message.tcm_family = AF_UNSPEC;
    message.tcm_ifindex = static_cast<int>(question.interface);
    message.tcm_handle = name.handle;
    if (question.place == CounterPlace::kAtRoot) message.tcm_parent = TC_H_ROOT;  // the kernel looks there, and compares the handle
    put(out, message);
  }
  header.nlmsg_len = static_cast<uint32_t>(out.size());
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

CounterAnswer counter_answer(const CounterName& name, std::span<const std::byte> message) {
  constexpr CounterAnswer kUnknown{.error = EBADMSG};
  nlmsghdr header;
  if (message.size() < sizeof header) return kUnknown;
  std::memcpy(&header, message.data(), sizeof header);
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > message.size()) return kUnknown;
  auto body = message.subspan(sizeof header, header.nlmsg_len - sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) {
    const auto error = take<int>(body);
    return error && *error < 0 ? CounterAnswer{.error = -*error} : kUnknown;
  }
  const bool is_nft = name.kind == CounterName::Kind::kNft;
  const uint16_t wanted = is_nft ? nft_type(NFT_MSG_NEWOBJ) : is_class(name) ? uint16_t{RTM_NEWTCLASS} : uint16_t{RTM_NEWQDISC};
  if (header.nlmsg_type != wanted) return kUnknown;
  const auto bytes = is_nft ? nft_bytes(body) : tc_bytes(body);
  return bytes ? CounterAnswer{.error = 0, .bytes = *bytes} : kUnknown;
}

Result<NetlinkCounter> NetlinkCounter::open(CounterName name) {
  const int protocol = name.kind == CounterName::Kind::kNft ? NETLINK_NETFILTER : NETLINK_ROUTE;
  NetlinkCounter counter(std::move(name), Descriptor(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)));
  const CounterAnswer answer = counter.socket_.is_open() ? counter.ask() : CounterAnswer{.error = errno};
  if (answer.error != 0)
    return Error{Fault::kConfigInvalid, "the counter " + counter.name_.text + " cannot be read: " + std::strerror(answer.error), next_of(counter.name_, answer.error)};
  counter.last_ = answer.bytes;
  counter.is_of_root_ = counter.name_.kind == CounterName::Kind::kTc && !is_class(counter.name_) && counter.ask(CounterPlace::kAtRoot).error == 0;
  return counter;
}

// The kernel answers within the call that asks. The index is asked for anew, because an interface may come back with another.
CounterAnswer NetlinkCounter::ask(CounterPlace place) {
  const uint32_t interface = name_.kind == CounterName::Kind::kTc ? if_nametoindex(name_.device.c_str()) : 0;
  if (name_.kind == CounterName::Kind::kTc && interface == 0) return {.error = ENODEV};
  const std::vector<std::byte> request = counter_request(name_, {interface, ++sequence_, place});
  if (send(socket_.get(), request.data(), request.size(), 0) != static_cast<ssize_t>(request.size())) return {.error = errno};
  std::array<std::byte, kAnswerMax> answer;
  for (;;) {
    const ssize_t size = recv(socket_.get(), answer.data(), answer.size(), 0);
    if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return {.error = size < 0 ? errno : EBADMSG};
    nlmsghdr header;
    std::memcpy(&header, answer.data(), sizeof header);
    if (header.nlmsg_seq == sequence_) return counter_answer(name_, std::span(answer).first(static_cast<size_t>(size)));
  }
}

uint64_t NetlinkCounter::read() {
  const CounterAnswer answer = ask();
  if (answer.error == 0) last_ = answer.bytes;
  return last_;
}

}  // namespace tideway::daemon
