#!/usr/bin/env python3
"""Writes policy/tokenizer/unicode_additions.cc: the characters that Hugging Face `tokenizers` knows in a class
and that Unicode 14 (PCRE2 10.40 to 10.42, and this Python's unicodedata) does not.

  .venv/bin/python tests/policy/parity/make_unicode_additions.py > policy/tokenizer/unicode_additions.cc

Needs Python 3.11 (Unicode 14) and `tokenizers`, whose Oniguruma is asked class by class.
"""

import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

CATEGORIES = ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No"]
CATEGORIES += ["P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So"]
SCRIPTS = ["Han", "Hiragana", "Katakana"]
CHARACTERS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(CHARACTERS)


def matched_by_tokenizers(pattern):
    """The set of characters that the pattern (one character wide) matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return {piece for piece, _ in split.pre_tokenize_str(TEXT)}


def is_new(character):
    return unicodedata.category(character) == "Cn"


def ranges(characters):
    found = []
    for code in sorted(map(ord, characters)):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def lines_of(name, additions):
    items = ["{%s, %s}" % (hex(a), hex(b)) for a, b in ranges(additions)]
    yield f'constexpr CodePointRange k{name}[] = {{'
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > 100:
            yield line
            line = "   "
        line += f" {item},"
    yield line.rstrip(",") + "};"


def main():
    assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
    tables = {}
    for name in CATEGORIES + SCRIPTS:
        known = matched_by_tokenizers(rf"\p{{{name}}}")
        tables[name] = {c for c in known if is_new(c)}
        if name in CATEGORIES:
            changed = {c for c in CHARACTERS if not is_new(c) and
                       (c in known) != unicodedata.category(c).startswith(name)}
            if changed:
                print(name, "changed:", [hex(ord(c)) for c in changed], file=sys.stderr)
    known = matched_by_tokenizers(r"\w")
    tables["Word"] = {c for c in known if is_new(c)}
    print("// Made by tests/policy/parity/make_unicode_additions.py; do not edit.")
    print('#include "policy/tokenizer/unicode_additions.h"\n\nnamespace routewright {\nnamespace {\n')
    tables = {name: found for name, found in tables.items() if found}
    for name, additions in tables.items():
        print("\n".join(lines_of(name, additions)))
    print("\n}  // namespace\n")
    print("std::span<const CodePointRange> UnicodeAdditions(std::string_view name) {")
    for name in tables:
        print(f'  if (name == "{name}") return k{name};')
    print("  return {};\n}\n\n}  // namespace routewright")


if __name__ == "__main__":
    main()
