#include "common/file_kind.h"

namespace routewright {
namespace {

using std::string_view_literals::operator""sv;

struct Row {
  std::string_view first_bytes;
  std::string_view what;
};

constexpr Row kKinds[] = {
    {"version https://git-lfs"sv,
     "is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository"},
    {"PAR1"sv,
     "is Parquet: write it as JSON lines, as `python3 -c \"import pandas; "
     "pandas.read_parquet('IN').to_json('OUT.jsonl', orient='records', lines=True)\"` does"},
    {"ARROW1"sv, "is Arrow: write it as JSON lines, as to_json of Hugging Face's datasets does"},
    {"\x1f\x8b"sv, "is gzip: unpack it with gunzip first"},
    {"BZh"sv, "is bzip2: unpack it with bunzip2 first"},
    {"\xfd\x37zXZ"sv, "is xz: unpack it with unxz first"},
    {"\x28\xb5\x2f\xfd"sv, "is zstd: unpack it with unzstd first"},
    {"PK\x03\x04"sv,
     "is a ZIP archive (PyTorch's .bin and .pt are too): unpack it, or convert weights to "
     "safetensors"},
    {"\x80\x02"sv, "is a Python pickle, which is never read: convert it to safetensors or JSON"},
    {"SQLite format 3"sv, "is an SQLite database: write its rows as JSON lines"},
    {"<!DOCTYPE"sv, "is a web page: the download got the site's page in place of the file"},
    {"<!doctype"sv, "is a web page: the download got the site's page in place of the file"},
    {"<html"sv, "is a web page: the download got the site's page in place of the file"},
    {"\xff\xfe"sv, "is UTF-16: write it as UTF-8, as `iconv -f UTF-16 -t UTF-8` does"},
    {"\xfe\xff"sv, "is UTF-16: write it as UTF-8, as `iconv -f UTF-16 -t UTF-8` does"},
};

}  // namespace

std::string_view ForeignFileKind(std::string_view first_bytes) {
  for (const Row& row : kKinds) {
    if (first_bytes.starts_with(row.first_bytes)) return row.what;
  }
  return "";
}

}  // namespace routewright
