// SPDX-License-Identifier: Apache-2.0
//
// The name of a thing below a root: a vector of components, never a path string, so that no component can mean
// something else on the way. A name that exists is valid.
#pragma once
#include <tideway/check.h>
#include <tideway/result.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tideway {

inline constexpr size_t kNameComponentMax = 255;     // NAME_MAX of every file system we know
inline constexpr size_t kNameDepthMax = 256;
inline constexpr size_t kNameBytesMax = 32 * 1024;   // all components together

// Whether these bytes may be one component: 1 to 255 bytes, not "." or "..", no "/" and no NUL.
bool is_component(std::string_view bytes);

class ObjectName {
 public:
  ObjectName() = default;  // the root itself

  // From components as a peer sent them. Errors: protocol_error, naming the component.
  static Result<ObjectName> from_components(std::vector<std::string> components);
  // From text a user typed, split at "/": "a/b", "a//b/" and "./a" are fine, ".." and NUL are not. Errors: usage.
  static Result<ObjectName> from_text(std::string_view text);

  std::span<const std::string> components() const { return components_; }
  bool is_root() const { return components_.empty(); }
  // Shorter by the last component; of the root itself, the root.
  ObjectName parent() const;
  // Not of the root itself, which has none.
  const std::string& last() const {
    TIDEWAY_CHECK(!is_root());
    return components_.back();
  }
  // Errors: protocol_error when `component` is not one, or the result gets too deep or too long.
  Result<ObjectName> child(std::string_view component) const;
  bool starts_with(const ObjectName& prefix) const;
  bool operator==(const ObjectName&) const = default;
  auto operator<=>(const ObjectName&) const = default;

 private:
  std::vector<std::string> components_;
};

// For people: components joined by "/", with control characters, backslashes and bytes that are not UTF-8 escaped as
// \xNN. Never for opening anything.
std::string to_display(const ObjectName& name);
std::string to_display(std::string_view bytes);

}  // namespace tideway
