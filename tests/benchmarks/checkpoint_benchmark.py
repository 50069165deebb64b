"""Saving and loading 1 GiB of training state, beside PyTorch's distributed checkpoint (DCP); prints JSON.

usage: checkpoint_benchmark.py [--rounds N] [--folder DIR]      after: ninja -C build checkpoint_benchmark

Both sides write to the same folder in turn, N rounds each, and load once with the files dropped from the page cache
(cold) and once with them in it; medians. Ours checks every byte while it loads. What is compared: see checkpoint_benchmark.cc.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings

import torch
import torch.distributed.checkpoint as dcp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "build/bin/checkpoint_benchmark"


def make_state(num_bytes):
    """Weights and two moments in 150 tensors, as many bytes as ours."""
    generator = torch.Generator().manual_seed(1)
    each = num_bytes // 4 // 150
    return {f"tensor.{i}": torch.randn(each, generator=generator) for i in range(150)}


def drop_from_cache(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_dcp(folder, state):
    folder = pathlib.Path(folder) / "dcp"
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    dcp.save(state, checkpoint_id=folder)
    save_s = time.perf_counter() - start
    target = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    loads = []
    for is_cold in (True, False):
        if is_cold:
            drop_from_cache(folder)
        start = time.perf_counter()
        dcp.load(target, checkpoint_id=folder)
        loads.append(time.perf_counter() - start)
        assert all(torch.equal(target[name], state[name]) for name in state)
    shutil.rmtree(folder)
    future_start = time.perf_counter()
    future = dcp.async_save(state, checkpoint_id=folder)
    stall_s = time.perf_counter() - future_start
    future.result()
    return {"save_s": save_s, "cold_load_s": loads[0], "load_s": loads[1], "stall_s": stall_s}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None, help="on the disk to be measured; default: a temporary one")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(2)
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        ours, theirs, state = {}, {}, None
        for _ in range(arguments.rounds):
            # Two rounds a process: the first pays for the copy's memory, the second is what every later save costs.
            shutil.rmtree(f"{folder}/ours", ignore_errors=True)
            output = subprocess.run([BINARY, f"{folder}/ours", "2"], check=True, capture_output=True, text=True).stdout
            measured = json.loads(output)
            for name, values in measured.items():
                if name.endswith("_s"):
                    ours.setdefault(name, []).append(values[1])
            ours.setdefault("first_stall_s", []).append(measured["stall_s"][0])
            state = state or make_state(measured["bytes"])
            for name, value in measure_dcp(folder, state).items():
                theirs.setdefault(name, []).append(value)

    def summary(values):
        return {"median": statistics.median(values), "least": min(values), "most": max(values)}

    def ratio(a, b):
        return statistics.median(x / y for x, y in zip(a, b))

    print(json.dumps({
        "bytes": measured["bytes"],
        "routewright": {name: summary(values) for name, values in ours.items()},
        "dcp": {name: summary(values) for name, values in theirs.items()},
        "stall_over_memcpy": ratio(ours["stall_s"], ours["memcpy_s"]),
        "save_over_raw_speed": ratio(ours["raw_s"], ours["save_s"]),
        "load_over_dcp_speed": ratio(theirs["load_s"], ours["load_s"]),
        "cold_load_over_dcp_speed": ratio(theirs["cold_load_s"], ours["cold_load_s"]),
        "cold_load_over_raw_speed": ratio(ours["cold_raw_s"], ours["cold_load_s"]),
        "save_over_dcp_speed": ratio(theirs["save_s"], ours["save_s"]),
        "stall_of_dcp_over_ours": ratio(theirs["stall_s"], ours["stall_s"]),
    }, indent=2))


if __name__ == "__main__":
    main()
