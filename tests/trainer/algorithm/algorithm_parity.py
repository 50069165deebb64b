#!/usr/bin/env python3
"""Compares every algorithm's advantages, and every form of the loss with its gradient, with the published formulas.

  algorithm_parity.py --numbers build/tests/algorithm_numbers

The formulas are written down once more, as veRL and TRL have them: padded [episodes, tokens] tensors with a mask, f64,
gradients by autograd. Each must agree within 1e-9 on batches drawn from a fixed seed.
"""
import argparse
import json
import subprocess

import torch

TOLERANCE = 1e-9
GROUPS, MEMBERS, LONGEST = 4, 5, 9
KL_COEFFICIENT = 0.15
torch.set_default_dtype(torch.float64)


class Drawn:
    """A batch: padded tensors, their mask, and the same as trajectories for the program."""

    def __init__(self, seed):
        generator = torch.Generator().manual_seed(seed)
        count = GROUPS * MEMBERS
        lengths = torch.randint(1, LONGEST + 1, (count,), generator=generator)
        lengths[0] = LONGEST

        def normal(scale):
            return scale * torch.randn(count, LONGEST, generator=generator)

        self.mask = (torch.arange(LONGEST)[None, :] < lengths[:, None]).double()
        self.old = -normal(1.0).abs() - 0.05
        self.new = torch.minimum(self.old + normal(0.5), torch.zeros(()))
        self.new[1, 0] = self.old[1, 0] + 1.6  # ratios beyond any clip, on either side
        self.new[2, 0] = self.old[2, 0] - 1.6
        self.reference = torch.minimum(self.old + normal(0.3), torch.zeros(()))
        self.entropy = normal(1.0).abs()
        self.values = normal(0.5)
        self.names = (torch.rand(count, LONGEST, generator=generator) < 0.3).double()
        self.score = torch.randint(0, 2, (count,), generator=generator).double()
        self.score[:MEMBERS] = 1.0  # a group whose members differ by their cost alone
        self.reward = self.score - 0.3 * torch.rand(count, generator=generator) * self.score
        self.reward[-1] = self.score[-1] = -1.0
        self.charged = self.score > 0  # a wrong answer that cost nothing is no cheap one
        self.charged[MEMBERS + 1] = True  # as the budget form charges one
        self.group = torch.arange(count) // MEMBERS
        self.masked = torch.zeros(count)
        self.masked[3] = 1.0

    def trajectories(self):
        def row(tensor, b):
            return tensor[b][self.mask[b] > 0].tolist()

        return [{"sampler_logprobs": row(self.old, b), "logprobs": row(self.new, b), "entropies": row(self.entropy, b),
                 "reference_logprobs": row(self.reference, b), "values": row(self.values, b),
                 "names_model": [int(n) for n in row(self.names, b)], "reward": self.reward[b].item(),
                 "score_reward": self.score[b].item(), "group": self.group[b].item(), "is_masked": int(self.masked[b]),
                 "is_charged": int(self.charged[b])}
                for b in range(len(self.reward))]


# ---- advantages

def whiten(values, mask):
    """veRL's masked_whiten."""
    mean = (values * mask).sum() / mask.sum()
    variance = (((values - mean) ** 2) * mask).sum() / (mask.sum() - 1)
    return (values - mean) * torch.rsqrt(variance + 1e-8)


def by_group(scores, scale):
    """TRL's scale_rewards."""
    rows = scores.view(GROUPS, MEMBERS)
    difference = rows - rows.mean(1, keepdim=True)
    if scale == "none":
        return difference.flatten()
    deviation = rows.std(1, keepdim=True) if scale == "group" else scores.std()
    return (difference / (deviation + 1e-6)).flatten()


def grpo(scale="group"):
    return lambda b: by_group(b.reward, scale)[:, None].expand(b.mask.shape)


def among_charged(b, scale):
    """by_group of the costs, over those that are charged for them."""
    cost, result = b.reward - b.score, torch.zeros_like(b.reward)
    of_all = cost[b.charged].std() if b.charged.sum() > 1 else torch.zeros(())
    for g in range(GROUPS):
        rows = [i for i in range(g * MEMBERS, (g + 1) * MEMBERS) if b.charged[i]]
        if not rows:
            continue
        difference = cost[rows] - cost[rows].mean()
        own = cost[rows].std() if len(rows) > 1 else torch.zeros(())
        result[rows] = difference / {"none": 1.0, "batch": of_all + 1e-6, "group": own + 1e-6}[scale]
    return result


def gdpo(scale, score_weight, cost_weight):
    """TRL's multi_objective_aggregation: normalize_then_sum; the last division is GDPO's, with its scale."""
    def advantages(b):
        summed = score_weight * by_group(b.score, scale) + cost_weight * among_charged(b, scale)
        if scale == "group":
            summed = summed / (summed.std() + 1e-6)
        return summed[:, None].expand(b.mask.shape)
    return advantages


def rloo(b):
    """veRL's compute_rloo_outcome_advantage."""
    rows = b.reward.view(GROUPS, MEMBERS)
    scaled = MEMBERS / (MEMBERS - 1)
    return (rows * scaled - rows.mean(1, keepdim=True) * scaled).flatten()[:, None].expand(b.mask.shape)


def token_rewards(b, penalty=0.0):
    """The outcome at the last token, minus the KL penalty at each."""
    rewards = -penalty * (b.old - b.reference) * b.mask
    last = b.mask.sum(1).long() - 1
    rewards[torch.arange(len(last)), last] += b.reward
    return rewards


def reinforce_plus_plus(gamma, penalty=0.0):
    """veRL's compute_reinforce_plus_plus_outcome_advantage."""
    def advantages(b):
        rewards, returns, running = token_rewards(b, penalty), torch.zeros_like(b.mask), torch.zeros(len(b.reward))
        for t in reversed(range(LONGEST)):
            running = rewards[:, t] + gamma * running
            returns[:, t] = running
            running = running * b.mask[:, t]
        return whiten(returns, b.mask)
    return advantages


def reinforce_plus_plus_baseline(b):
    """veRL's compute_reinforce_plus_plus_baseline_outcome_advantage."""
    return whiten(by_group(b.reward, "none")[:, None] * b.mask, b.mask)


def ppo(gamma, lam):
    """veRL's compute_gae_advantage_return."""
    def advantages(b):
        rewards, result = token_rewards(b), torch.zeros_like(b.mask)
        next_value, last = torch.zeros(len(b.reward)), torch.zeros(len(b.reward))
        for t in reversed(range(LONGEST)):
            delta = rewards[:, t] + gamma * next_value - b.values[:, t]
            step = delta + gamma * lam * last
            next_value = b.values[:, t] * b.mask[:, t] + (1 - b.mask[:, t]) * next_value
            last = step * b.mask[:, t] + (1 - b.mask[:, t]) * last
            result[:, t] = last
        return whiten(result, b.mask)
    return advantages


def demonstrated(b):
    return torch.ones_like(b.mask)


# ---- losses

def mean_over(losses, mask, normalization):
    """veRL's agg_loss."""
    if normalization == "tokens":
        return (losses * mask).sum() / mask.sum()
    per_sequence = (losses * mask).sum(1)
    if normalization == "sequence_token_means":
        per_sequence = per_sequence / mask.sum(1).clamp(min=1)
    return per_sequence.sum() / (mask.sum(1) > 0).sum()


def policy_loss(b, new, advantages, ratio="tokens", surrogate="clip", low=0.2, high=0.28, dual=3.0):
    log_ratio = new - b.old
    if ratio == "sequences":  # TRL's importance_sampling_level: sequence
        log_ratio = ((log_ratio * b.mask).sum(1) / b.mask.sum(1))[:, None]
    rho = log_ratio.clamp(-20, 20).exp()
    if surrogate == "cispo":  # TRL's loss_type: cispo
        return -rho.clamp(max=1 + high).detach() * advantages * new
    losses = torch.maximum(-advantages * rho, -advantages * rho.clamp(1 - low, 1 + high))
    if dual == 0:
        return losses
    return torch.where(advantages < 0, torch.minimum(losses, -advantages * dual), losses)


def objective(b, new, entropy, advantages, normalization="tokens", kl=0.0, bonus=0.0, name_bonus=0.0, kl_weight=1.0,
              other_weight=1.0, **how):
    mask = b.mask * (1 - b.masked)[:, None]
    losses = policy_loss(b, new, advantages, **how) * torch.where(b.names > 0, 1.0, other_weight)
    difference = b.reference - new
    losses = losses + kl * torch.where(b.names > 0, kl_weight, 1.0) * (difference.exp() - difference - 1)
    losses = losses - (bonus + name_bonus * b.names) * entropy
    return mean_over(losses, mask, normalization)


def likelihood(b, new, *_):
    return mean_over(-new, b.mask * (1 - b.masked)[:, None], "tokens")


# ---- what is compared: config, advantages, arguments of objective, KL coefficient in the config

PLAIN = {}
CASES = {
    "grpo": ("algorithm: grpo", grpo(), PLAIN),
    "grpo, scale: batch": ("{algorithm: grpo, advantage: {scale: batch}}", grpo("batch"), PLAIN),
    "grpo, scale: none": ("{algorithm: grpo, advantage: {scale: none}}", grpo("none"), PLAIN),
    "score and cost apart": ("{algorithm: grpo, advantage: {components_apart: true, score_weight: 2, cost_weight: 0.7}}",
                             gdpo("group", 2, 0.7), PLAIN),
    "score and cost apart, scale: batch": (
        "{algorithm: grpo, advantage: {components_apart: true, scale: batch, cost_weight: 0.5}}", gdpo("batch", 1, 0.5), PLAIN),
    "rloo": ("algorithm: rloo", rloo, PLAIN),
    "reinforce_plus_plus": ("{algorithm: reinforce_plus_plus, advantage: {gamma: 0.9}}", reinforce_plus_plus(0.9), PLAIN),
    "reinforce_plus_plus, KL in the reward": (
        "{algorithm: reinforce_plus_plus, loss: {kl_coefficient: 1, kl_placement: reward}}",
        reinforce_plus_plus(1.0, KL_COEFFICIENT), PLAIN),
    "reinforce_plus_plus_baseline": ("algorithm: reinforce_plus_plus_baseline", reinforce_plus_plus_baseline, PLAIN),
    "ppo": ("{algorithm: ppo, critic: {gamma: 0.95, lambda: 0.9}}", ppo(0.95, 0.9), PLAIN),
    "supervised": ("algorithm: supervised", demonstrated, None),
    "sequences": ("{algorithm: grpo, loss: {normalization: sequences}}", grpo(), {"normalization": "sequences"}),
    "sequence_token_means": ("{algorithm: grpo, loss: {normalization: sequence_token_means}}", grpo(),
                             {"normalization": "sequence_token_means"}),
    "KL in the loss": ("{algorithm: grpo, loss: {kl_coefficient: 1}}", grpo(), {"kl": KL_COEFFICIENT}),
    "entropy": ("{algorithm: grpo, loss: {entropy_coefficient: 0.1}, routing: {entropy_coefficient: 0.2}}", grpo(),
                {"bonus": 0.1, "name_bonus": 0.2}),
    "routing": ("{algorithm: grpo, loss: {kl_coefficient: 1}, routing: {kl_weight: 0.05, other_tokens_weight: 0.1}}", grpo(),
                {"kl": KL_COEFFICIENT, "kl_weight": 0.05, "other_weight": 0.1}),
    "clip, no dual clip": ("{algorithm: grpo, loss: {clip_low: 0.1, clip_high: 0.4, dual_clip: 0}}", grpo(),
                           {"low": 0.1, "high": 0.4, "dual": 0}),
    "dual clip": ("{algorithm: rloo, loss: {dual_clip: 1.5}}", rloo, {"dual": 1.5, "high": 0.2}),
    "gspo": ("{algorithm: grpo, loss: {ratio: sequences, normalization: sequence_token_means, clip_low: 0.03, clip_high: 0.04}}",
             grpo(), {"ratio": "sequences", "normalization": "sequence_token_means", "low": 0.03, "high": 0.04}),
    "gspo, wide": ("{algorithm: grpo, loss: {ratio: sequences, clip_low: 0.5, clip_high: 0.5}}", grpo(),
                   {"ratio": "sequences", "low": 0.5, "high": 0.5}),
    "cispo": ("{algorithm: grpo, loss: {surrogate: cispo, clip_high: 0.5}}", grpo(), {"surrogate": "cispo", "high": 0.5}),
}


def flat(tensor, b):
    return tensor[b.mask > 0]


def compare(name, what, ours, theirs):
    ours = torch.tensor(ours)
    if ours.shape != theirs.shape or not torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE):
        gap = (ours - theirs).abs().max().item() if ours.shape == theirs.shape else "of shape"
        return [f"{name}: {what} differ by {gap}"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", required=True)
    options = parser.parse_args()
    names_of_config = {c.strip("{").split("algorithm: ")[1].split(",")[0].strip("}") for c, _, _ in CASES.values()}
    requests, expected = [], []
    for seed in range(3):
        b = Drawn(seed)
        for name, (config, advantages_of, how) in CASES.items():
            requests.append({"config": config, "kl_coefficient": KL_COEFFICIENT if "kl_coefficient" in config else 0.0,
                             "trajectories": b.trajectories()})
            new, entropy = b.new.clone().requires_grad_(), b.entropy.clone().requires_grad_()
            advantages = advantages_of(b)
            if how is None:
                loss = likelihood(b, new)
            else:
                loss = objective(b, new, entropy, advantages, **{"high": 0.2, **how})
            loss.backward()
            by_entropy = entropy.grad if entropy.grad is not None else torch.zeros_like(entropy)
            expected.append((f"{name}, seed {seed}", b, advantages, loss, new.grad, by_entropy))
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    answers = subprocess.run([options.numbers], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    faults = [] if len(answers) == len(requests) else [f"{len(answers)} answers to {len(requests)} requests"]
    for line, (name, b, advantages, loss, by_logprob, by_entropy) in zip(answers, expected):
        answer = json.loads(line)
        if "error" in answer:
            faults.append(f"{name}: {answer['error']}")
            continue
        faults += compare(name, "advantages", answer["advantages"], flat(advantages, b))
        faults += compare(name, "losses", answer["loss"], loss.detach())
        faults += compare(name, "gradients by log-probability", answer["d_logprobs"], flat(by_logprob, b))
        faults += compare(name, "gradients by entropy", answer["d_entropies"], flat(by_entropy, b))
    print("\n".join(faults) or f"{len(CASES)} cases of {', '.join(sorted(names_of_config))} agree within {TOLERANCE}")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
