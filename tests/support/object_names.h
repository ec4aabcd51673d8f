// SPDX-License-Identifier: Apache-2.0
//
// Names of objects, for tests that know that they are fit.
#pragma once
#include <tideway/object_name.h>

#include <string_view>

namespace tideway::test {

inline ObjectName name(std::string_view text) { return ObjectName::from_text(text).value(); }

}  // namespace tideway::test
