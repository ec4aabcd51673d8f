// SPDX-License-Identifier: Apache-2.0
//
// Files that the operator named, such as configurations, keys and logs, opened component by component: a link on the way is
// followed only when root or the user that runs this process owns it, so that nobody else leads us to another file.
// Thread: any.
#pragma once
#include <string>

namespace tideway {

// A descriptor, or a negative errno. `flags` are those of open(); with O_NOFOLLOW no link is followed as the last component, whoever
// owns it. ELOOP: such a link, one of somebody else, or too many of them.
int open_operator_file(const std::string& path, int flags, unsigned mode = 0);

// What to say of such an errno, which is positive here.
std::string text_of_open_error(int error);

}  // namespace tideway
