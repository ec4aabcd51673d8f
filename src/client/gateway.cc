// SPDX-License-Identifier: Apache-2.0
#include "client/gateway.h"

namespace tideway::client {
namespace {

constexpr auto kRootsGoodFor = std::chrono::seconds(60);  // they change with a reload of the gateway

Trouble no_answer(const std::string& socket, const std::string& why) {
  return trouble_of(Fault::kDaemonUnreachable, "the gateway at " + socket + " " + why, "is tidewayd running, and TIDEWAY_API right?");
}

}  // namespace

std::string text_of(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Trouble trouble_in(const Json& object) {
  Trouble found{text_of(object, "code"), text_of(object, "detail"), text_of(object, "next")};
  if (found.code.empty()) found.code = row_of(Fault::kDaemonUnreachable).name;
  if (found.detail.empty()) found.detail = text_of(object, "title");
  if (found.detail.empty()) found.detail = "the gateway gave no reason";
  return found;
}

std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json parse(const std::string& text) {
  Json found = Json::parse(text, nullptr, false);
  return found.is_discarded() ? Json() : found;
}

Reply Gateway::ask(const std::string& method, const std::string& target, const Json& body) const {
  const auto answer = client_.ask(method, target, body.is_null() ? std::string() : to_text(body));
  if (!answer.ok()) return {{}, trouble_of(answer.error())};
  Json json = parse(answer.value().body);
  if (answer.value().status >= 300) {
    if (!text_of(json, "code").empty()) return {{}, trouble_in(json)};
    return {{}, no_answer(socket(), "answered with status " + std::to_string(answer.value().status))};
  }
  if (json.is_null() && !answer.value().body.empty())
    return {{}, trouble_of(Fault::kProtocolError, method + ' ' + target + " at " + socket() + " was not answered with JSON")};
  return {std::move(json), std::nullopt};
}

std::vector<Root> Gateway::roots(std::optional<Trouble>& trouble) const {
  Reply reply = ask("GET", "/v1/roots");
  trouble = reply.trouble;
  std::vector<Root> found;
  const auto rows = reply.json.is_object() ? reply.json.find("roots") : reply.json.end();
  if (!reply.ok() || !reply.json.is_object() || rows == reply.json.end() || !rows->is_array()) return found;
  for (const Json& row : *rows)
    if (!text_of(row, "name").empty() && !text_of(row, "path").empty()) found.push_back({text_of(row, "name"), real_path(text_of(row, "path"))});
  return found;
}

Reply Reach::note(Reply reply) {
  if (reply.ok() || reply.trouble->code != row_of(Fault::kDaemonUnreachable).name) {
    pause_ = kPauseMin;
  } else {
    ++unanswered_;
    silent_until_ = (Clock::now() + pause_).time_since_epoch();
    pause_ = std::min(kPauseMax, 2 * pause_);
  }
  return reply;
}

Reply Reach::ask(const std::string& method, const std::string& target, const Json& body) {
  if (Clock::now().time_since_epoch() < silent_until_.load()) return {{}, no_answer(gateway_.socket(), "did not answer lately")};
  return note(gateway_.ask(method, target, body));
}

const std::vector<Root>& Reach::roots(std::optional<Trouble>& trouble) {
  trouble.reset();
  const auto now = Clock::now();
  if (now < roots_until_) return roots_;
  if (now.time_since_epoch() < silent_until_.load()) {
    trouble = no_answer(gateway_.socket(), "did not answer lately");
    return roots_;
  }
  std::vector<Root> found = gateway_.roots(trouble);
  trouble = note({{}, trouble}).trouble;
  if (!trouble) {
    roots_ = std::move(found);
    roots_until_ = now + kRootsGoodFor;
  }
  return roots_;
}

}  // namespace tideway::client
