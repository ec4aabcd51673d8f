// SPDX-License-Identifier: Apache-2.0
//
// Whether a symbolic link may be copied: only if following it cannot leave the tree. Both ends ask: the source before
// it lists the link, the sink again before it makes it, because the list came from a peer.
// Pure.
#pragma once
#include <cstddef>
#include <string_view>

namespace tideway::storage {

inline constexpr size_t kLinkTargetMax = 4095;  // PATH_MAX without its terminator

// `depth` counts the directories between the top of the tree and the link: 0 for a link directly in the top. ".." may
// only stand in front: behind a component it would climb from wherever that one leads, which may be another link.
bool stays_inside(size_t depth, std::string_view target);

}  // namespace tideway::storage
