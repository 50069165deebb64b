#!/usr/bin/env python3
"""Compares steps of PolicyUpdate with Hugging Face `transformers`, autograd and torch.optim.AdamW, in f32 on the CPU.

  transformers_update_parity.py --routewright build/bin/routewright --steps build/tests/update_steps

SmolLM2-135M-Instruct learns from the same tokens, log-probabilities and rewards on both sides: two supervised steps,
and two GRPO steps with sampling temperature, clipping, entropy bonus and a KL penalty to the starting policy. Of each
step: loss and gradient norm within 1e-4 of each other; the second step sees what the first one's update made of the
weights. Here sequences run one by one and unpacked, and the objective is written down once more.
"""

import argparse
import copy
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "policy/parity"))

import torch
from transformers import AutoTokenizer

import make_tokenizers
from transformers_parity import Failures, convert, load, texts

TOLERANCE = 1e-4
TEMPERATURE = 0.8
LENGTHS = [96, 41, 77, 120, 64, 53]  # tokens; two groups of three episodes
OPTIMIZER = "optimizer: {learning_rate: 1.0e-5, weight_decay: 0.01, max_gradient_norm: 1.0}"
ALGORITHMS = {
    "supervised": "algorithm: supervised\n" + OPTIMIZER,
    "grpo": "algorithm: grpo\nloss: {clip_low: 0.2, clip_high: 0.28, entropy_coefficient: 0.01, kl_coefficient: 0.5}\n"
    + OPTIMIZER,
}
KL_COEFFICIENT = 0.5


def token_scores(model, trajectory, temperature):
    """Log-probability of the scored tokens and the entropy of what they were drawn from, [n] each."""
    ids = torch.tensor([trajectory["token_ids"]])
    logits = model(ids).logits[0].float() / temperature
    scored = torch.tensor(trajectory["scored"])
    logprobs = logits[scored - 1].log_softmax(-1)
    return logprobs.gather(1, ids[0, scored][:, None])[:, 0], -(logprobs.exp() * logprobs).sum(-1)


@torch.no_grad()
def make_trajectories(model, tokenizer):
    """Text; the policy wrote two stretches of each; it was sampled from something near the model."""
    draw = random.Random(5)
    torch.manual_seed(5)
    ids = [i for text, _ in texts() for i in tokenizer(text).input_ids]
    trajectories = []
    for place, length in enumerate(LENGTHS):
        first = draw.randrange(len(ids) - length)
        scored = list(range(10, length // 2)) + list(range(length // 2 + 7, length))
        trajectory = {"token_ids": ids[first : first + length], "scored": scored, "group": place // 3}
        trajectory["reward"] = draw.random()
        logprobs = token_scores(model, trajectory, TEMPERATURE)[0]
        noise = 0.2 * torch.randn(len(scored))
        trajectory["sampler_logprobs"] = torch.minimum(logprobs + noise, torch.zeros(())).tolist()
        trajectories.append(trajectory)
    return trajectories


def group_advantages(trajectories):
    advantages = []
    for trajectory in trajectories:
        group = [t["reward"] for t in trajectories if t["group"] == trajectory["group"]]
        rewards = torch.tensor(group, dtype=torch.float64)
        advantages.append(((trajectory["reward"] - rewards.mean()) / (rewards.std() + 1e-6)).item())
    return advantages


def grpo_loss(model, reference, trajectory, advantage, temperature):
    """Summed over the trajectory's tokens."""
    logprobs, entropies = token_scores(model, trajectory, temperature)
    ratio = (logprobs - torch.tensor(trajectory["sampler_logprobs"])).exp()
    policy = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage)
    with torch.no_grad():
        reference_logprobs = token_scores(reference, trajectory, temperature)[0]
    away = logprobs - reference_logprobs
    kl = ((-away).exp() + away - 1).clamp(-10, 10)
    return (policy - 0.01 * entropies + KL_COEFFICIENT * kl).sum()


def their_steps(algorithm, initial, trajectories, count, temperature):
    model, reference = copy.deepcopy(initial), initial
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    tokens = sum(len(t["scored"]) for t in trajectories)
    steps = []
    for _ in range(count):
        optimizer.zero_grad()
        total = 0.0
        for trajectory, advantage in zip(trajectories, group_advantages(trajectories)):
            if algorithm == "grpo":
                loss = grpo_loss(model, reference, trajectory, advantage, temperature)
            else:
                loss = -token_scores(model, trajectory, temperature)[0].sum()
            (loss / tokens).backward()
            total += loss.item() / tokens
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()
        steps.append({"loss": total, "gradient_norm": norm})
    return steps


def our_steps(arguments, folder, algorithm, trajectories, count):
    request = {
        "policy": str(folder),
        "config": ALGORITHMS[algorithm] + "\nmax_micro_batch_tokens: 300\nsteps: 100\n",
        "threads": 1,
        "temperature": TEMPERATURE,
        "kl_coefficient": KL_COEFFICIENT if algorithm == "grpo" else 0.0,
        "steps": count,
        "trajectories": trajectories,
    }
    run = subprocess.run([arguments.steps], input=json.dumps(request), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)["steps"]


def apart(ours, theirs, key):
    return abs(ours[key] - theirs[key]) / abs(theirs[key])


def compare(algorithm, folder, initial, trajectories, arguments, failures):
    theirs = their_steps(algorithm, initial, trajectories, 2, TEMPERATURE)
    ours = our_steps(arguments, folder, algorithm, trajectories, 2)
    for step, (our, their) in enumerate(zip(ours, theirs)):
        for key in ("loss", "gradient_norm"):
            what = f"{algorithm}, step {step + 1}: {key} {our[key]:.6f}, transformers {their[key]:.6f}"
            difference = apart(our, their, key)
            failures.expect(difference <= TOLERANCE, f"{what}: apart by {difference:.1e} of it")
    if algorithm == "grpo":
        failures.expect(ours[0]["clipped_tokens"] > 0, f"grpo: {ours[0]['clipped_tokens']:.0f} tokens were clipped")
        failures.expect(ours[1]["kl"] > 1e-6, f"grpo: KL to the starting policy after a step: {ours[1]['kl']:.1e}")
    other = their_steps(algorithm, initial, trajectories, 1, 1.0)[0]
    for key in ("loss", "gradient_norm"):
        difference = apart(other, ours[0], key)
        failures.expect(difference > 10 * TOLERANCE, f"{algorithm}: at temperature 1 {key} differs by {difference:.1e}")
    learnt = apart(ours[1], ours[0], "loss")
    failures.expect(learnt > 10 * TOLERANCE, f"{algorithm}: the first step changed the loss by {learnt:.1e} of it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routewright", required=True)
    parser.add_argument("--steps", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failures = Failures()
    with tempfile.TemporaryDirectory() as scratch:
        folder = convert(arguments, pathlib.Path(scratch) / "smollm2", "--from", make_tokenizers.smollm2_gguf())
        initial = load(folder)
        trajectories = make_trajectories(initial, AutoTokenizer.from_pretrained(folder))
        for algorithm in ALGORITHMS:
            compare(algorithm, folder, initial, trajectories, arguments, failures)
    sys.exit(1 if failures.count else 0)


if __name__ == "__main__":
    main()
