// The byte-level alphabet of GPT-2: each byte is written as one printable character, so that a
// tokenizer.json can spell any bytes. Source: bytes_to_unicode in openai/gpt-2,
// src/encoder.py. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace routewright {

// The UTF-8 spelling of one byte's character: one or two bytes; valid for ever.
std::string_view SpellByte(uint8_t byte);

// The bytes that `spelling` (UTF-8) stands for; nullopt if a character is not of the alphabet.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

}  // namespace routewright
