// SPDX-License-Identifier: Apache-2.0
//
// What the listener of [listen] web answers: the files of the page, and what of the API it may read. TCP does not say who asks, so
// nothing here changes anything. Other pages in the same browser are kept out twice: a request must call us by a name of the
// loopback, because a name of theirs may point at us (DNS rebinding), and the browser is told to load nothing from elsewhere.
// Thread: any. Pure.
#pragma once
#include "daemon/api_routes.h"
#include "http/server.h"

#include <span>
#include <string_view>
#include <variant>

namespace tideway::daemon {

struct WebFile {
  std::string_view path, type, body;  // "/page.js"; the page itself is "/"
};

struct WebRefusal {
  unsigned status;
  Error why;
};

// A file, something to ask the API, or neither.
using WebAnswer = std::variant<const WebFile*, Match, WebRefusal>;
WebAnswer judge_web_request(const http::Request& request, std::span<const WebFile> files);

// Of every answer.
http::Headers web_headers();

}  // namespace tideway::daemon
