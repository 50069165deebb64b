// One record of a TensorBoard event file, as bytes, and the values that go
// into it. Pure; any thread.
//
//   a record: u64 length, u32 masked CRC of these 8 bytes, the event, u32 masked CRC of the event
//   all little-endian; masked(c) = rotate right(c, 15) + 0xA282EAD8 of a CRC-32C
// Example, an empty event: 00 00 00 00 00 00 00 00 | 29 03 98 07 | | d8 ea 82 a2
// Source: tensorflow/core/lib/io/record_writer.cc and lib/hash/crc32c.h. A reader drops, silently,
// whatever follows a wrong CRC.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proto/tensorboard.pb.h"

namespace routewright {

// The record's bytes.
std::string EventToRecord(const tensorboard::Event& event);

// Those of a file's records that are not summaries of `step` or later ones, up to the
// first torn or damaged record.
std::string RecordsBefore(int64_t step, std::string_view records);

// These set a value's tag, tensor and metadata, for TensorBoard's plugin of that name. Scalars are
// f32: TensorBoard drops f64 ones.
void SetScalar(const std::string& tag, double scalar, tensorboard::Summary::Value* value);
// Up to 30 buckets of equal width over `samples`' range, as rows (left edge, right edge, count) of
// a [k, 3] tensor; one of width 1 if all samples are equal, none without samples.
void SetHistogram(const std::string& tag, std::span<const double> samples,
                  tensorboard::Summary::Value* value);
// Shows `text` to the letter: TensorBoard reads text as Markdown, so it is made a code block, whose
// content is neither Markdown nor HTML. Control characters must have been escaped.
void SetText(const std::string& tag, const std::string& text, tensorboard::Summary::Value* value);

}  // namespace routewright
