#include "common/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace routewright {
namespace {

using ::testing::HasSubstr;

std::string KindOf(std::string_view bytes) { return std::string(ForeignFileKind(bytes)); }

TEST(FileKindTest, WhatPeopleHaveInPlaceOfTheFileIsNamed) {
  EXPECT_THAT(KindOf("version https://git-lfs.github.com/spec/v1\noid sha256:1"),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(KindOf("PAR1\x15"), HasSubstr("Parquet"));
  EXPECT_THAT(KindOf("\x1f\x8b\x08"), HasSubstr("gzip"));
  EXPECT_THAT(KindOf("<!DOCTYPE html>"), HasSubstr("web page"));
  EXPECT_THAT(KindOf(std::string("\xff\xfe{\0", 4)), HasSubstr("UTF-16"));
  EXPECT_THAT(KindOf("PK\x03\x04"), HasSubstr("ZIP"));
  EXPECT_THAT(KindOf("\x28\xb5\x2f\xfd"), HasSubstr("zstd"));
}

TEST(FileKindTest, WhatIsReadHasNoForeignKind) {
  for (const char* bytes : {"", "{", "[", "\xef\xbb\xbf{", "GGUF\x03", "\x80\x01"}) {
    EXPECT_EQ(KindOf(bytes), "") << bytes;
  }
}

}  // namespace
}  // namespace routewright
