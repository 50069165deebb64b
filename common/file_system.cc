#include "common/file_system.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// The folder that holds `path`; "." for a bare name.
std::string ParentFolder(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::Status WriteDurably(FileSystem& files, const std::string& path, std::string_view content) {
  RW_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.OpenForWrite(path));
  RW_RETURN_IF_ERROR(file->Append(content));
  RW_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

}  // namespace

absl::Status WriteFileAtomically(FileSystem& files, const std::string& path,
                                 std::string_view content) {
  const std::string aside = absl::StrCat(path, ".tmp");
  absl::Status status = WriteDurably(files, aside, content);
  if (status.ok()) status = files.Rename(aside, path);
  if (!status.ok()) {
    files.RemoveAll(aside).IgnoreError();  // the first failure is the one to report
    return status;
  }
  return files.SyncFolder(ParentFolder(path));
}

}  // namespace routewright
