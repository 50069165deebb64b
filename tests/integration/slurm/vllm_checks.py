"""launch/slurm/vllm_pool.sbatch in the test's Slurm, with fake_vllm.py for vLLM, and the way from it to a submitted job."""
import json
import os
import pathlib
import re
import subprocess

from harness import BINARY, ROOT, wait_until

SCRIPT = ROOT / "launch/slurm/vllm_pool.sbatch"
CONFIG = ROOT / "configs/qwen2.5_3b_h100.yaml"
VLLM = {"ROUTEWRIGHT_VLLM": str(pathlib.Path(__file__).parent / "fake_vllm.py"), "CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7",
        "ROUTEWRIGHT_POOL_KEY": "a-key"}
# The quickstart's policy in place of the real one: this is about the pool and the submission.
SMALL = ["--set", "policy.path=data/quickstart/policy", "--set", "episode.max_sequence_tokens=1024", "--set",
         "episode.max_prompt_tokens=900"]
# As configs/qwen2.5_3b_h100.md has it.
MODELS = {"ROUTEWRIGHT_POOL_SMALL_URL": "Qwen/Qwen2.5-7B-Instruct", "ROUTEWRIGHT_POOL_MEDIUM_URL": "microsoft/phi-4",
          "ROUTEWRIGHT_POOL_LARGE_URL": "Qwen/Qwen2.5-72B-Instruct:4"}


def sourced(file):
    """The variables of the file, as a shell that sources it sees them."""
    names = " ".join(f'"${name}"' for name in MODELS)
    text = subprocess.run(["bash", "-euc", f'source "$0"; printf "%s\\n" {names}', str(file)], capture_output=True, text=True,
                          check=True, env={"PATH": os.environ["PATH"]})
    return dict(zip(MODELS, text.stdout.split()))


def check_vllm_pool(cluster, say):
    pool = cluster.submit(SCRIPT, "--env", "pool.env", *(f"{name}={model}" for name, model in MODELS.items()),
                          "--", "--max-model-len", "8192", **VLLM)
    file = cluster.folder / "pool.env"
    def is_up():
        assert cluster.job(pool).get("JobState") not in ("FAILED", "CANCELLED"), cluster.log(pool)
        return file.exists()
    wait_until(is_up, "pool.env")
    started = [json.loads((cluster.folder / f"routewright-pool-{pool}-{i}.log").read_text().splitlines()[0]) for i in range(3)]
    assert [s["gpus"] for s in started] == ["0", "1", "2,3,4,5"], started
    assert [s["tensor_parallel_size"] for s in started] == [1, 1, 4], started
    assert {s["max_model_len"] for s in started} == {8192}, started
    assert "a-key" not in file.read_text() + cluster.log(pool)
    urls = sourced(file)
    check_doctor(urls)
    say(f"a pool of three models on six GPUs: {', '.join(urls.values())}; doctor has called each")
    check_submission(cluster, urls)
    say("a training against it, submitted: planned, and stopped where it needs a GPU")

    cluster.signal(pool, "TERM")
    assert cluster.wait_for(pool, "COMPLETED")["ExitCode"] == "0:0"
    assert not file.exists(), "pool.env outlived its servers"
    for models, environment, status, message in (
        (["A=broken"], {}, 1, "the server of broken ended: ValueError: the model cannot be loaded"),
        (["A=b:9"], {}, 2, "the models need 9 GPUs, this job has 8"),
        (["b:9"], {}, 2, "is not VARIABLE=MODEL"),
        ([], {}, 2, "no model is named"),
        (["A=b"], {"ROUTEWRIGHT_VLLM": "no-such-vllm"}, 1, "there is no no-such-vllm"),
    ):
        number = cluster.submit(SCRIPT, *models, **{**VLLM, **environment})
        assert cluster.wait_for(number, "FAILED")["ExitCode"] == f"{status}:0", cluster.log(number)
        assert message in cluster.log(number), cluster.log(number)
    say("a pool that ends takes its file along; what cannot be served, or is not said right, is named")


def check_doctor(urls):
    command = [BINARY, "doctor", "--config", str(CONFIG), *SMALL]
    for key, level in (("a-key", "ok"), ("another-key", "failure")):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
                                env={**os.environ, **urls, "ROUTEWRIGHT_POOL_KEY": key})
        for name in ("Qwen2.5-7B", "Phi-4", "Qwen2.5-72B"):
            assert re.search(rf"^{level} +pool {re.escape(name)} ", result.stdout, re.MULTILINE), result.stdout + result.stderr


def check_submission(cluster, urls):
    """As configs/qwen2.5_3b_h100.md submits it, on fewer nodes; no rank sees a GPU."""
    number = cluster.submit(
        "--signal=B:USR1@900", "--nodes=1", "--ntasks-per-node=2", ":", "--nodes=1", "--ntasks-per-node=1",
        ROOT / "launch/slurm/train.sbatch", "--config", CONFIG, *SMALL, "--set", f"run.output_dir={cluster.folder}/runs",
        **{**VLLM, **urls, "CUDA_VISIBLE_DEVICES": ""})
    job = cluster.wait_for(number, "FAILED")
    assert job["ExitCode"] == "1:0", job
    for part in ("1 × 2 ranks", "on 2 ranks", "it fits (H100", "n1: failure  gpu ", "no GPU can be used", "doctor found"):
        assert part in cluster.log(number), cluster.log(number)
