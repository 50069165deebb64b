#!/usr/bin/env python3
"""Training throughput and peak memory beside Hugging Face `transformers`; prints JSON.

  ninja -C build update_steps routewright && .venv/bin/python tests/benchmarks/training_benchmark.py

SmolLM2-135M-Instruct in f32, 8 sequences of 512 tokens, every token a target: forward, backward, clipping and AdamW
step. Each side is a process of its own with the same number of threads; both in turn, `--rounds` times; the first step
of a process warms up and is not counted. `transformers` runs as its users would: padded batches, its own attention and
loss; once whole and once in micro-batches of `--micro-batch` sequences, and the better of the two is compared with.
Memory is the most that was resident in the process.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/policy/parity"))

SEQUENCES, LENGTH, VOCABULARY = 8, 512, 49152
OPTIMIZER = {"learning_rate": 1e-6, "weight_decay": 0.01, "max_gradient_norm": 1.0}


def sequences():
    """Text, so that the weights see what they were made for."""
    return [[(7919 * (i + 1) * (t + 3) + t * t) % VOCABULARY for t in range(LENGTH)] for i in range(SEQUENCES)]


def run_transformers(request):
    """One side, in a process of its own."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(request["threads"])
    model = AutoModelForCausalLM.from_pretrained(request["policy"], dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=OPTIMIZER["learning_rate"], weight_decay=0.01)
    ids = torch.tensor(sequences())
    seconds = []
    for _ in range(request["steps"]):
        start = time.perf_counter()
        optimizer.zero_grad()
        for part in ids.split(request["micro_batch"]):
            (model(part, labels=part).loss * len(part) / len(ids)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER["max_gradient_norm"])
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


def measure_transformers(arguments, folder, micro_batch):
    request = {"policy": folder, "threads": arguments.threads, "steps": arguments.steps, "micro_batch": micro_batch}
    command = [sys.executable, __file__, "--transformers-side", json.dumps(request)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1])


def measure_routewright(arguments, folder):
    trajectory = {"scored": list(range(1, LENGTH)), "sampler_logprobs": [0.0] * (LENGTH - 1), "reward": 0, "group": 0}
    optimizer = ", ".join(f"{key}: {value:.9f}" for key, value in OPTIMIZER.items())
    request = {
        "policy": folder,
        "config": f"algorithm: supervised\nsteps: 1000\nmax_micro_batch_tokens: {arguments.micro_batch_tokens}\n"
        f"recompute_activations: {'true' if arguments.recompute else 'false'}\noptimizer: {{{optimizer}}}\n",
        "threads": arguments.threads,
        "temperature": 1.0,
        "kl_coefficient": 0.0,
        "steps": arguments.steps,
        "trajectories": [trajectory | {"token_ids": ids} for ids in sequences()],
    }
    command = [arguments.update_steps]
    run = subprocess.run(command, input=json.dumps(request), stdout=subprocess.PIPE, check=True, text=True)
    answer = json.loads(run.stdout)
    return {"seconds": [s["seconds"] for s in answer["steps"]], "peak_bytes": answer["peak_bytes"]}


def summary(runs):
    seconds = [s for run in runs for s in run["seconds"][1:]]
    return {
        "tokens_per_s": SEQUENCES * LENGTH / statistics.median(seconds),
        "step_s": statistics.median(seconds),
        "step_s_least": min(seconds),
        "step_s_most": max(seconds),
        "peak_MiB": max(run["peak_bytes"] for run in runs) / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routewright", default=str(ROOT / "build/bin/routewright"))
    parser.add_argument("--update-steps", default=str(ROOT / "build/tests/update_steps"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3, help="of each process, the first not counted")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--micro-batch", type=int, default=1, help="sequences, of the second way of transformers")
    parser.add_argument("--micro-batch-tokens", type=int, default=1024, help="of Routewright")
    parser.add_argument("--recompute", action="store_true", help="Routewright computes activations again")
    parser.add_argument("--transformers-side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.transformers_side:
        return run_transformers(json.loads(arguments.transformers_side))

    import make_tokenizers

    sides = {"routewright": [], "transformers_whole": [], "transformers_split": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(pathlib.Path(scratch) / "smollm2")
        gguf = str(make_tokenizers.smollm2_gguf())
        convert = [arguments.routewright, "convert", "--from", gguf, "--to", folder, "--format", "f32"]
        subprocess.run(convert, check=True, stdout=sys.stderr)
        for _ in range(arguments.rounds):
            sides["routewright"].append(measure_routewright(arguments, folder))
            sides["transformers_whole"].append(measure_transformers(arguments, folder, SEQUENCES))
            sides["transformers_split"].append(measure_transformers(arguments, folder, arguments.micro_batch))
    report = {name: summary(runs) for name, runs in sides.items()}
    ours, theirs = report["routewright"], [report["transformers_whole"], report["transformers_split"]]
    report["speed_over_fastest"] = ours["tokens_per_s"] / max(side["tokens_per_s"] for side in theirs)
    report["memory_over_whole"] = ours["peak_MiB"] / theirs[0]["peak_MiB"]
    report["memory_over_leanest"] = ours["peak_MiB"] / min(side["peak_MiB"] for side in theirs)
    report["threads"] = arguments.threads
    report["routewright"]["micro_batch_tokens"] = arguments.micro_batch_tokens
    report["routewright"]["recompute_activations"] = arguments.recompute
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
