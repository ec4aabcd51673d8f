// SPDX-License-Identifier: Apache-2.0
#include "gateway_client.h"

#include "api/problem.h"
#include "config/config_file.h"
#include "session/transfer_id.h"

#include <unistd.h>

#include <cerrno>

namespace tideway::cli {
namespace {

constexpr const char* kUsualSocket = "/run/tideway/api.sock";

}  // namespace

std::string GatewayClient::socket_of(const Globals& globals) {
  if (!globals.api.empty()) return globals.api;
  const auto config = config::load(globals.config);
  return config.ok() && !config.value().listen.api.empty() ? config.value().listen.api : kUsualSocket;
}

bool GatewayClient::is_closed_to_us() const { return access(socket().c_str(), W_OK) != 0 && errno == EACCES; }

Result<std::string> GatewayClient::ask(const std::string& method, const std::string& path, const std::string& body) const {
  auto answer = client_.ask(method, path, body);
  if (!answer.ok()) return std::move(answer).error();
  if (answer.value().status / 100 != 2) return api::parse_problem(answer.value().body, answer.value().status);
  return std::move(answer.value().body);
}

Result<api::JobView> GatewayClient::ask_job(const std::string& method, const std::string& path, const std::string& body) const {
  const auto answer = ask(method, path, body);
  if (!answer.ok()) return answer.error();
  return api::parse_view(answer.value());
}

Result<api::JobView> GatewayClient::job(const std::string& id) const { return ask_job("GET", "/v1/jobs/" + id); }
Result<api::JobView> GatewayClient::act(const std::string& id, const std::string& verb) const { return ask_job("POST", "/v1/jobs/" + id + '/' + verb); }

Result<std::string> GatewayClient::place(const std::string& address) const {
  const auto parsed = session::parse_address(address);
  if (!parsed.ok()) return parsed.error();
  if (std::holds_alternative<session::RemoteAddress>(parsed.value())) return address;
  const auto& local = std::get<session::LocalAddress>(parsed.value());
  const auto body = ask("GET", "/v1/roots");
  if (!body.ok()) return body.error();
  const auto roots = api::parse_roots(body.value());
  if (!roots.ok()) return roots.error();
  const std::string path = session::absolute_path(local.path);
  const api::RootState* best = nullptr;  // the innermost
  size_t best_length = 0;
  for (const api::RootState& root : roots.value()) {
    const std::string top = session::absolute_path(root.path);
    const bool is_below = path == top || (path.starts_with(top) && (top == "/" || path[top.size()] == '/'));
    if (is_below && top.size() >= best_length) best = &root, best_length = top.size();
  }
  if (best == nullptr)
    return Error{Fault::kUsage, to_display(local.path) + " lies below no root of the gateway at " + to_display(socket()), "copy from and to its roots, or add --direct to copy without it"};
  std::string below = path.substr(best_length);
  while (below.starts_with('/')) below.erase(0, 1);
  const bool keeps_slash = local.trailing == session::Trailing::kSlash && !below.empty() && below.back() != '/';
  return best->name + ':' + below + (keeps_slash ? "/" : "");
}

}  // namespace tideway::cli
