// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a name: as a user's text, and as a peer's components, each behind its length in one byte. A name that
// exists stays below its root, within its limits, and is shown without a byte that a terminal could act on.
#include <tideway/check.h>
#include <tideway/object_name.h>

#include <algorithm>

namespace {

using namespace tideway;

void check_shown(std::string_view shown) {
  for (const char c : shown) TIDEWAY_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
}

void check_name(const ObjectName& name) {
  size_t bytes = 0;
  for (const std::string& component : name.components()) {
    TIDEWAY_CHECK(is_component(component) && component.find('/') == component.npos && component != ".." && component != ".");
    bytes += component.size();
  }
  TIDEWAY_CHECK(bytes <= kNameBytesMax && name.components().size() <= kNameDepthMax);
  TIDEWAY_CHECK(name.starts_with(name.parent()));
  TIDEWAY_CHECK(name.is_root() || name.parent().child(name.last()).value() == name);
  std::vector<std::string> components(name.components().begin(), name.components().end());
  TIDEWAY_CHECK(ObjectName::from_components(std::move(components)).value() == name);
  check_shown(to_display(name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_shown(to_display(text));
  if (const auto name = ObjectName::from_text(text); name.ok()) check_name(name.value());
  else check_shown(name.error().what);

  std::vector<std::string> components;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t length = std::min<size_t>(static_cast<uint8_t>(rest[0]), rest.size() - 1);
    components.emplace_back(rest.substr(1, length));
    rest.remove_prefix(1 + length);
  }
  const bool are_good = std::ranges::all_of(components, [](const std::string& c) { return is_component(c); });
  const auto name = ObjectName::from_components(components);
  TIDEWAY_CHECK(are_good || !name.ok());
  if (name.ok()) check_name(name.value());
  else check_shown(name.error().what);
  return 0;
}
