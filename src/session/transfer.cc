// SPDX-License-Identifier: Apache-2.0
#include "session/transfer.h"

namespace tideway::session {

std::string describe(const Transfer& transfer) {
  const messages::OpenTransfer& request = transfer.request;
  const char* verb = request.direction == messages::Direction::kPush   ? "push "
                     : request.direction == messages::Direction::kPull ? "pull "
                                                                       : "list ";
  std::string text = verb + request.root;
  if (!request.name.is_root()) text += '/' + to_display(request.name);
  return text;
}

}  // namespace tideway::session
