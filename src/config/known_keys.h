// SPDX-License-Identifier: Apache-2.0
//
// Every key a configuration may have, with its type: one table, so that a misspelt key is an error with the nearest
// real one, and a key that is documented but not used yet is accepted with a note.
// Thread: any. Pure.
#pragma once
#include "config/document.h"

#include <string>
#include <vector>

namespace tideway::config {

// Checks names, types and required keys of the whole tree. Adds to `notes` one line per section or key that is
// accepted and takes effect in a later version only. Errors: config_invalid with file, line, column and the key.
Status check_keys(const Table& document, std::string_view file, std::vector<std::string>& notes);

// The number of single-character changes (insert, delete, replace) from one word to the other.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace tideway::config
