// SPDX-License-Identifier: Apache-2.0
//
// The files of web/, which the build writes into the program.
#pragma once
#include "daemon/web_page.h"

namespace tideway {

std::span<const daemon::WebFile> web_files();

}  // namespace tideway
