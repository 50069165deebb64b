#!/usr/bin/env python3
"""Compares `routewright logprob` and `routewright generate` with Hugging Face `transformers`, in f32 on the CPU.

  transformers_parity.py --routewright build/bin/routewright

Three policies: SmolLM2-135M-Instruct, converted from its GGUF file (Q4_1 and Q8_0) by `routewright convert`, whose
weights must be those that transformers' own reader of that file gives (so the order of query and key rows is checked
on a real file); and two of random weights made by `routewright convert --random`: Qwen2 (biases drawn too, untied
head) and Llama with Llama 3's RoPE scaling. Of each: log-probabilities of texts of some hundred tokens within 1e-3,
and greedy continuations with equal ids.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TQDM_DISABLE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import make_tokenizers
from tokenizer_parity import run_lines

TOLERANCE = 1e-3
ROOT = pathlib.Path(__file__).resolve().parents[3]
QUESTIONS = ["Reply with the one word: yes", "What is the capital of France?", "Count: 1, 2, 3,"]

RANDOM_QWEN2 = {
    "model_type": "qwen2",
    "vocab_size": 49152,
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "initializer_range": 0.08,
}
RANDOM_QWEN3 = RANDOM_QWEN2 | {
    "model_type": "qwen3",
    "head_dim": 64,
    "attention_bias": False,
    "tie_word_embeddings": True,
}
# Heads wider than hidden_size / num_attention_heads, and a scaling that shows within some hundred tokens.
RANDOM_LLAMA3 = RANDOM_QWEN2 | {
    "model_type": "llama",
    "head_dim": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}


def texts():
    """English, markup with code, and text that is mostly not ASCII."""
    licence = (ROOT / "LICENSE").read_text()
    source = pathlib.Path(make_tokenizers.__file__).read_text()
    foreign = "Příliš žluťoučký kůň 北京是中国的首都。 Сколько стоит? 🙂 1234567890 ½ e\u0301 " * 5
    return [(licence[:2400], 500), (source, 300), (foreign, 200), ("Hello there", 2)]


def convert(arguments, folder, *source):
    command = [arguments.routewright, "convert", *map(str, source), "--to", str(folder), "--format", "f32"]
    subprocess.run(command, check=True)
    return folder


def load(folder, **options):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()


@torch.no_grad()
def logprobs(model, ids):
    logits = model(torch.tensor([ids])).logits[0, :-1].double()
    return logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def largest_difference(ours, theirs):
    ours = torch.cat([torch.tensor(line, dtype=torch.float64) for line in ours])
    return (ours - torch.cat(theirs)).abs().max().item()  # NaN if there is one


class Failures:
    def __init__(self):
        self.count = 0

    def expect(self, holds, what):
        print(("ok    " if holds else "WRONG ") + what, flush=True)
        self.count += not holds


def compare_logprobs(name, folder, model, sequences, arguments, failures):
    theirs = [logprobs(model, ids) for ids in sequences]
    command = [arguments.routewright, "logprob", "--policy", str(folder), "--threads", "1"]
    ours = [line["logprobs"] for line in run_lines(command, [{"ids": ids} for ids in sequences])]
    equal = [len(a) for a in ours] == [len(b) for b in theirs]
    failures.expect(equal, f"{name}: a log-probability for each id after the first")
    difference = largest_difference(ours, theirs) if equal else float("nan")
    mean = sum(b.sum().item() for b in theirs) / sum(len(b) for b in theirs)
    what = f"{name}: log-probabilities of {sum(map(len, ours))} tokens (mean {mean:.3f}): largest difference"
    failures.expect(difference <= TOLERANCE, f"{what} {difference:.2e}")
    return theirs


def compare_greedy(name, folder, model, tokenizer, prompts, max_tokens, arguments, failures):
    """Returns the continuations."""
    requests = [{"ids": ids, "max_tokens": max_tokens, "temperature": 0} for ids in prompts]
    command = [arguments.routewright, "generate", "--policy", str(folder), "--threads", "1"]
    ours = [line["ids"] for line in run_lines(command, requests)]
    for ids, continuation in zip(prompts, ours):
        given = torch.tensor([ids])
        whole = model.generate(given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=max_tokens)
        theirs = whole[0, len(ids) :].tolist()
        what = f"{name}: greedy, {len(continuation)} ids: {tokenizer.decode(continuation)[:70]!r}"
        failures.expect(continuation == theirs, what)
        if continuation != theirs:
            print(f"      transformers {theirs}\n      routewright   {continuation}")
    return ours


def check_smollm2(folder, arguments, failures):
    gguf = make_tokenizers.smollm2_gguf()
    convert(arguments, folder, "--from", gguf)
    read_by_transformers = load(gguf.parent, gguf_file=gguf.name).state_dict()
    model = load(folder)
    difference = max((v - read_by_transformers[k]).abs().max().item() for k, v in model.state_dict().items())
    what = f"smollm2: weights as transformers reads the GGUF: largest difference {difference:.1e}"
    failures.expect(difference <= 1e-6, what)
    del read_by_transformers

    tokenizer = AutoTokenizer.from_pretrained(folder)
    sequences = [tokenizer(text).input_ids[:count] for text, count in texts()]
    theirs = compare_logprobs("smollm2", folder, model, sequences, arguments, failures)
    failures.expect(theirs[0].mean() > -4, f"smollm2: it can read the licence: {theirs[0].mean():.2f} a token")
    chats = [[{"role": "user", "content": question}] for question in QUESTIONS]
    prompts = [tokenizer.apply_chat_template(c, add_generation_prompt=True, return_dict=False) for c in chats]
    prompts += [sequences[1][:150], sequences[2][:40]]
    ours = compare_greedy("smollm2", folder, model, tokenizer, prompts, 32, arguments, failures)
    ended = sum(ids[-1] == tokenizer.eos_token_id for ids in ours)
    failures.expect(0 < ended < len(ours), f"smollm2: {ended} of {len(ours)} continuations end with the end token")
    return tokenizer, sequences


def draw_vectors(folder):
    """Biases and norms get random values: `--random` starts them at 0 and 1, where a mistake would not show."""
    path = str(folder / "model.safetensors")
    tensors = load_file(path)
    generator = torch.Generator().manual_seed(1)
    for name in sorted(tensors):
        if tensors[name].dim() == 1:
            noise = torch.randn(tensors[name].shape, generator=generator)
            tensors[name] = noise if name.endswith(".bias") else 1 + 0.3 * noise
    save_file(tensors, path, metadata={"format": "pt"})


def check_random(name, config, folder, smollm2, arguments, failures):
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(config))
    convert(arguments, folder, "--random", path, "--tokenizer", smollm2[0], "--seed", 3)
    draw_vectors(folder)
    model = load(folder)
    tokenizer, sequences = smollm2[1:]
    theirs = compare_logprobs(name, folder, model, sequences, arguments, failures)
    compare_greedy(name, folder, model, tokenizer, [s[:20] for s in sequences], 48, arguments, failures)
    return model, theirs


def check_that_biases_matter(model, theirs, sequences, failures):
    for key, value in model.state_dict().items():
        if key.endswith("_proj.bias"):
            value.zero_()
    without = [logprobs(model, ids).tolist() for ids in sequences]
    difference = largest_difference(without, theirs)
    failures.expect(difference > 100 * TOLERANCE, f"qwen2: without its biases it would differ by {difference:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routewright", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failures = Failures()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        tokenizer, sequences = check_smollm2(scratch / "smollm2", arguments, failures)
        smollm2 = (scratch / "smollm2", tokenizer, sequences)
        model, theirs = check_random("qwen2", RANDOM_QWEN2, scratch / "qwen2", smollm2, arguments, failures)
        check_that_biases_matter(model, theirs, sequences, failures)
        check_random("qwen3", RANDOM_QWEN3, scratch / "qwen3", smollm2, arguments, failures)
        check_random("llama3", RANDOM_LLAMA3, scratch / "llama3", smollm2, arguments, failures)
    sys.exit(1 if failures.count else 0)


if __name__ == "__main__":
    main()
