#!/usr/bin/env python3
"""Who notices a damaged checkpoint: ours, PyTorch's DCP, torch.save and safetensors; prints JSON.

usage: checkpoint_damage.py [--ours 10000] [--others 200]      after: ninja -C build trainer_checkpoint_checkpoint_reader_test

Ours: flips, cuts and swaps in every file of a checkpoint of two ranks, each refused by file or the test fails. The
others: one bit flipped in the part of the file that holds tensors, the state loaded again.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import warnings

import safetensors.torch
import torch
import torch.distributed.checkpoint as dcp

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEST = ROOT / "build/tests/trainer_checkpoint_checkpoint_reader_test"


def flip(path, draw):
    """One bit of the middle half of the file, which is tensors in each of these formats."""
    content = bytearray(path.read_bytes())
    bit = draw.randrange(2 * len(content), 6 * len(content))
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)


def load_dcp(folder, state):
    dcp.load({name: torch.zeros_like(tensor) for name, tensor in state.items()}, checkpoint_id=folder)


def measure_others(flips):
    draw = random.Random(1)
    state = {f"tensor.{i}": torch.randn(64, 64) for i in range(20)}
    noticed = {"dcp": 0, "torch.save": 0, "safetensors": 0}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for i in range(flips):
            dcp_folder, torch_file, safetensors_file = folder / f"dcp{i}", folder / "a.pt", folder / "a.safetensors"
            dcp.save(state, checkpoint_id=dcp_folder)
            torch.save(state, torch_file)
            safetensors.torch.save_file(state, safetensors_file)
            for name, path, load in (
                ("dcp", next(dcp_folder.glob("*.distcp")), lambda: load_dcp(dcp_folder, state)),
                ("torch.save", torch_file, lambda: torch.load(torch_file, weights_only=True)),
                ("safetensors", safetensors_file, lambda: safetensors.torch.load_file(safetensors_file)),
            ):
                flip(path, draw)
                try:
                    load()
                except BaseException:  # DCP's own is no Exception
                    noticed[name] += 1
    return {name: f"{count} of {flips} noticed" for name, count in noticed.items()}


def measure_ours(damages):
    output = subprocess.run([TEST, "--gtest_filter=*AnyDamage*"], check=True, capture_output=True, text=True, cwd=ROOT,
                            env=dict(os.environ, ROUTEWRIGHT_TEST_DAMAGES=str(damages))).stdout
    return re.search(r"^\d+ damages refused by file.*$", output, re.M).group(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=int, default=10000)
    parser.add_argument("--others", type=int, default=200)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    print(json.dumps({"routewright": measure_ours(arguments.ours), **measure_others(arguments.others)}, indent=2))


if __name__ == "__main__":
    main()
