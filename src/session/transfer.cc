// SPDX-License-Identifier: Apache-2.0
#include "session/transfer.h"

namespace tideway::session {

GrantOp op_of(const messages::OpenTransfer& request) {
  switch (request.direction) {
    case messages::Direction::kPush: return GrantOp::kWrite;
    case messages::Direction::kPull: return GrantOp::kRead;
    case messages::Direction::kRemove: return GrantOp::kDelete;
    case messages::Direction::kList: break;
  }
  return GrantOp::kList;
}

messages::OpenTransfer request_of(const messages::ListRoots& question) {
  messages::OpenTransfer request;
  request.transfer = question.transfer;
  request.direction = messages::Direction::kList;
  return request;
}

std::string describe(const Transfer& transfer) {
  const messages::OpenTransfer& request = transfer.request;
  const char* verb = request.direction == messages::Direction::kPush   ? "push "
                     : request.direction == messages::Direction::kPull ? "pull "
                     : request.direction == messages::Direction::kRemove ? "remove "
                                                                         : "list ";
  std::string text = verb + request.root;
  if (!request.name.is_root()) text += '/' + to_display(request.name);
  return text;
}

}  // namespace tideway::session
