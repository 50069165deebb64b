#!/usr/bin/env python3
"""GRPO steps of a policy with random weights in the shape of Qwen2.5-0.5B: do they fit in memory? Prints JSON.

  .venv/bin/python tests/benchmarks/large_policy.py --ranks 4 --steps 3 --limit-gib 20

Makes the policy (`routewright convert --random`, Qwen2's tokenizer), and runs launch/local.sh with the quickstart's
questions and pool emulator: ranks sharded fully, activations computed again, a reference policy, one worker, a
checkpoint at the end. What is measured is the memory of all processes together (their proportional set sizes, read
five times a second) and of each kind. Over the limit, everything is ended and the status is 1.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/policy/parity"))

# The public config.json of Qwen2.5-0.5B, as far as it is about shape.
SHAPE = {
    "model_type": "qwen2",
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "eos_token_id": 151645,
}
SETTINGS = {
    "policy.chat_template": "plain",
    "episode.max_rounds": 2,
    "episode.max_round_tokens": 24,
    "episode.max_prompt_tokens": 192,
    "episode.max_sequence_tokens": 384,
    "trainer.questions_per_step": 2,
    "trainer.episodes_per_question": 4,
    "trainer.max_micro_batch_tokens": 384,
    "trainer.max_head_chunk_mib": 16,
    "trainer.sharding.stage": "full",
    "trainer.recompute_activations": "true",
    "trainer.loss.entropy_coefficient": 0.01,  # nothing is answered: else there would be no gradient
    "trainer.evaluate_every": 0,
    "trainer.evaluate_questions": "null",
    "trainer.checkpoint.every_steps": 0,
    "trainer.checkpoint.asynchronous": "false",
    "trainer.checkpoint.keep_last": 1,
    "worker.max_episodes": 8,
}


def processes(session):
    """(pid, command) of everything that runs in the session."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                yield int(folder.name), " ".join(word.decode(errors="replace") for word in words[:2])
        except (OSError, IndexError):
            continue


def proportional_bytes(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended
    return 0


def watch(run, limit_bytes):
    """Until the run ends: the most memory of all together, and of each command at that moment."""
    most, parts = 0, {}
    while run.poll() is None:
        now = [(command, proportional_bytes(pid)) for pid, command in processes(run.pid)]
        total = sum(size for _, size in now)
        if total > most:
            most, parts = total, {}
            for command, size in now:
                parts.setdefault(command, []).append(round(size / 2**30, 2))
        if total > limit_bytes:
            for pid, _ in processes(run.pid):
                os.kill(pid, signal.SIGKILL)
            print(f"over the limit: {total / 2**30:.2f} GiB", file=sys.stderr)
        time.sleep(0.2)
    return most, parts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--limit-gib", type=float, default=20)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the config, over this script's")
    arguments = parser.parse_args()

    import make_tokenizers

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        tokenizer = make_tokenizers.policy_folder(scratch / "tokenizers", "qwen2")
        (scratch / "shape.json").write_text(json.dumps(SHAPE))
        convert = ["build/bin/routewright", "convert", "--random", scratch / "shape.json", "--tokenizer", tokenizer]
        convert += ["--to", scratch / "policy", "--format", "bf16"]
        subprocess.run(convert, cwd=ROOT, check=True, stdout=sys.stderr)
        settings = SETTINGS | {"run.name": "large_policy", "run.output_dir": scratch, "policy.path": scratch / "policy"}
        settings["trainer.steps"] = arguments.steps
        sets = [f"{key}={value}" for key, value in settings.items()] + arguments.set
        command = ["launch/local.sh", "--config", "configs/quickstart.yaml", "--emulator", "--workers", "1"]
        command += ["--ranks", str(arguments.ranks), "--"] + [word for s in sets for word in ("--set", s)]
        start = time.time()
        run = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=sys.stderr, start_new_session=True)
        most, parts = watch(run, arguments.limit_gib * 2**30)
        lines = (scratch / "large_policy" / "metrics.jsonl").read_text().splitlines() if run.returncode == 0 else []
    steps = [json.loads(line) for line in lines]
    has_learnt = len(steps) >= arguments.steps and all(step["policy/gradient_norm"] > 0 for step in steps)
    report = {
        "ranks": arguments.ranks,
        "status": run.returncode,
        "steps": steps,
        "seconds": time.time() - start,
        "peak_GiB": most / 2**30,
        "limit_GiB": arguments.limit_gib,
        "peak_GiB_of": parts,
    }
    print(json.dumps(report, indent=2))
    sys.exit(0 if run.returncode == 0 and has_learnt else 1)


if __name__ == "__main__":
    main()
