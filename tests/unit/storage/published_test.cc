// SPDX-License-Identifier: Apache-2.0
#include "storage/published.h"

#include "unit/storage/staged_tree.h"

namespace tideway::storage {
namespace {

class RemovePublishedTest : public PublishTest {
 protected:
  Status remove(std::string_view name) const {
    const auto root = RootedDir::open_host_path(root_.path().string(), Side::kDestination).value();
    return remove_published(root, {ObjectName::from_text(name).value(), order_.root, TransferId{std::byte{9}}, decode_page});
  }
};

TEST_F(RemovePublishedTest, AFileThatSomebodyHasPutInItsPlaceStays) {
  for (const bool is_theirs : {true, false}) {
    restart();
    file(0, "", "content");
    ASSERT_TRUE(publish("model.pt").ok());
    if (is_theirs) root_.write("model.pt", "theirs!");  // as long
    const Status removed = remove("model.pt");
    EXPECT_EQ(removed.ok(), !is_theirs);
    EXPECT_EQ(root_.exists("model.pt"), is_theirs);
    EXPECT_TRUE(removed.ok() || removed.error().fault == Fault::kManifestMismatch) << removed.error().what;
    std::filesystem::remove(root_ / "model.pt");
  }
}

}  // namespace
}  // namespace tideway::storage
