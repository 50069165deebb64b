"""Strings that tokenizers get wrong, from a seed: the same list on every run of one Python version."""

import random
import unicodedata

SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\n ", "\v", "\f", "\x1c", "\x1f", "\x85"]
SPACES += ["\xa0", "\u1680", "\u180e", "\u2000", "\u2003", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f"]
SPACES += ["\u3000", "\ufeff", " " * 17, "\t" * 5, "\n" * 6, " \t \n"]
TAGS = ["<think>", "</think>", "<search>", "</search>", "<information>", "</information>", "<answer>", "</answer>"]
TAGS += ["<search> Qwen2.5-7B: who? </search>", "<tool_call>", "</tool_call>", "<b>", "<!-- x -->", "<|think|>"]
CONTRACTIONS = ["'s", "'S", "'t", "'re", "'RE", "'ve", "'Ve", "'m", "'ll", "'LL", "'lL", "'d", "'D", "'x", "''", "'"]
CONTRACTIONS += ["\u2019s", "\u2019ll", "'\u017f", "'\u212a", "I'll", "DON'T", "it's's", "'sx", "'tis", "s'", "'Sx"]
CODE = ["for (int i = 0; i < n; ++i) {\n\treturn a[i] != '\\0';\n}", "def f(x):\n    return x**2  # sq\n", "a&&b||c"]
CODE += ["#include <vector>\n", "<div class=\"x\">&nbsp;</div>", "SELECT * FROM t WHERE a='b';", "x -> y => z := w"]
CODE += ["https://example.org/a?b=c&d=%20#e", "C:\\Users\\x\\y.txt", "\\u00e9\\n\\t", "$\\frac{1}{2}$", "```c++\n```"]
EMOJI = ["\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\U0001f600"]
EMOJI += ["\U0001f1e9\U0001f1ea", "\U0001f3f4\u200d\u2620\ufe0f", "1\ufe0f\u20e3", "\U0001faf1\U0001f3fb\u200d\U0001faf2\U0001f3ff"]
NUMBERS = ["0", "7", "42", "123", "1234", "12345678901234567890", "3.14159", "1,234,567.89", "1e-5", "0x1F", "2024-07-26"]
NUMBERS += ["\u0661\u0662\u0663", "\u0967\u0968\u0969", "\u2460\u2461", "\u00bd\u00b2", "\u2167", "\u4e94", "\U0001d7d8", "1st"]
WORDS = ["the", "The", "THE", "router", "Kathmandu", "na\u00efve", "caf\u00e9", "cafe\u0301", "Stra\u00dfe", "\u0130stanbul"]
WORDS += ["\u65e5\u672c\u8a9e", "\u4e2d\u6587\u6a21\u578b", "\u0440\u043e\u0443\u0442\u0435\u0440", "\u0645\u0631\u062d\u0628\u0627"]
WORDS += ["\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\ud55c\uad6d\uc5b4"]
WORDS += ["\u1112\u1161\u11ab", "\u0391\u03b8\u03ae\u03bd\u03b1", "A\u030a", "\u212b", "\ufb01n", "q\u0323\u0307", "q\u0307\u0323"]
WORDS += ["pneumonoultramicroscopicsilicovolcanoconiosis", "supercalifragilistic", "camelCaseWord", "snake_case", "e\u0301" * 4]
CONTROLS = [chr(c) for c in list(range(32)) + [127, 0x80, 0x9f, 0xad, 0x200d, 0x2060, 0xfffd, 0xfffe, 0xffff, 0x10ffff]]
PUNCTUATION = list("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "!?", "--", "\u2014", "\u201c", "\u00bf", "\u3002", "\u060c"]
# First and last code points of blocks of many scripts; the last ones are newer than Unicode 14.
BLOCKS = [(0x20, 0x7e), (0xa0, 0x24f), (0x250, 0x2ff), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x52f), (0x531, 0x58f)]
BLOCKS += [(0x591, 0x5f4), (0x600, 0x6ff), (0x700, 0x74f), (0x900, 0x97f), (0x980, 0x9ff), (0xb80, 0xbff), (0xd00, 0xd7f)]
BLOCKS += [(0xe01, 0xe5b), (0xf00, 0xfff), (0x10a0, 0x10ff), (0x1100, 0x11ff), (0x1200, 0x137f), (0x1780, 0x17ff)]
BLOCKS += [(0x1e00, 0x1fff), (0x2000, 0x206f), (0x2070, 0x209f), (0x20d0, 0x20ff), (0x2100, 0x218f), (0x2190, 0x22ff)]
BLOCKS += [(0x2460, 0x24ff), (0x2500, 0x25ff), (0x2e80, 0x2fdf), (0x3040, 0x30ff), (0x3400, 0x34ff), (0x4e00, 0x9fff)]
BLOCKS += [(0xa000, 0xa0ff), (0xac00, 0xd7a3), (0xe000, 0xe0ff), (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xfe00, 0xffef)]
BLOCKS += [(0x10000, 0x100ff), (0x10330, 0x1034a), (0x11000, 0x1107f), (0x1d100, 0x1d1ff), (0x1d400, 0x1d7ff)]
BLOCKS += [(0x1f000, 0x1f0ff), (0x1f1e6, 0x1f1ff), (0x1f300, 0x1f6ff), (0x1f900, 0x1f9ff), (0x20000, 0x200ff)]
BLOCKS += [(0xe0000, 0xe01ef), (0x11f00, 0x11f59), (0x1e4d0, 0x1e4f9), (0x31350, 0x31400), (0x13460, 0x13500), (0x1c80, 0x1c8f)]


def any_character(rng):
    while True:
        code = rng.randrange(0x110000)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def script_text(rng):
    first, last = rng.choice(BLOCKS)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 12)))


def marked_text(rng):
    """Letters with many combining marks, in any order."""
    marks = [chr(rng.randint(0x300, 0x36f)) for _ in range(rng.randint(1, 8))]
    return rng.choice("aeiouAnyz\u0915\u05d0\u0bb2") + "".join(marks)


def special_text(rng, specials):
    """A special token, whole, cut short, doubled, spaced, or in another case."""
    token = rng.choice(specials)
    cut = rng.randint(1, len(token))
    forms = [token, token, token, token[:cut], token[cut - 1:], token + token, " " + token + " ", token.upper()]
    forms += [token.replace("|", "| "), "<" + token, token + ">", "\n" + token + "\n", "x" + token + "x"]
    return rng.choice(forms)


def piece(rng, specials):
    tables = [SPACES, SPACES, TAGS, CONTRACTIONS, CODE, EMOJI, NUMBERS, WORDS, WORDS, WORDS, CONTROLS, PUNCTUATION]
    kind = rng.randrange(len(tables) + 6)
    if kind < len(tables):
        return rng.choice(tables[kind])
    if kind == len(tables):
        return script_text(rng)
    if kind == len(tables) + 1:
        return marked_text(rng)
    if kind == len(tables) + 2:
        return special_text(rng, specials) if specials else "<s>"
    if kind == len(tables) + 3:
        return "".join(any_character(rng) for _ in range(rng.randint(1, 4)))
    if kind == len(tables) + 4:
        return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 30)))
    return rng.choice(WORDS + PUNCTUATION + SPACES) * rng.randint(1, 20)


def awkward_strings(count, seed, specials):
    """`count` distinct strings; `specials` are the added tokens whose spelling is mixed in."""
    rng = random.Random(seed)
    fixed = SPACES + TAGS + CONTRACTIONS + CODE + EMOJI + NUMBERS + WORDS + CONTROLS + PUNCTUATION + specials + [""]
    fixed += [token[:i] for token in specials[:20] for i in range(1, len(token))]
    fixed += [chr(first) + chr(last) for first, last in BLOCKS]
    fixed += [unicodedata.normalize("NFD", word) for word in WORDS] + [letter * 300 for letter in " aA1.\n\u00e9\U0001f600"]
    strings = dict.fromkeys(fixed)
    while len(strings) < count:
        words = [piece(rng, specials) for _ in range(rng.randint(1, 12))]
        strings[rng.choice(["", "", " "]).join(words)] = None
    return list(strings)
