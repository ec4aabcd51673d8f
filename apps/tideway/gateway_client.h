// SPDX-License-Identifier: Apache-2.0
//
// The gateway of this machine, as the verbs that speak to it see it: through its API socket.
// Thread: main.
#pragma once
#include "api/job_view.h"
#include "api/service_json.h"
#include "http/client.h"
#include "verbs.h"

#include <optional>
#include <string>

namespace tideway::cli {

class GatewayClient {
 public:
  // The socket of --api or TIDEWAY_API, else of the configuration, else the usual one.
  static std::string socket_of(const Globals& globals);
  // `patience`: for each answer.
  explicit GatewayClient(const Globals& globals, Duration patience = http::kPatience) : client_(socket_of(globals), patience) {}

  bool is_there() const { return client_.is_there(); }
  bool is_closed_to_us() const;  // its socket is there, and this user may not use it
  const std::string& socket() const { return client_.socket(); }
  // The body of what it answers. Errors: daemon_unreachable, and whatever the gateway says.
  Result<std::string> ask(const std::string& method, const std::string& path, const std::string& body = {}) const;
  Result<api::JobView> job(const std::string& id) const;
  Result<api::JobView> act(const std::string& id, const std::string& verb) const;  // pause, resume, cancel

  // The job that it answers with.
  Result<api::JobView> ask_job(const std::string& method, const std::string& path, const std::string& body = {}) const;

  // As the gateway calls it: a path here must lie below one of its roots. Errors: usage.
  Result<std::string> place(const std::string& address) const;

 private:
  http::Client client_;
};

}  // namespace tideway::cli
