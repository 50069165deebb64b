"""A policy folder like Qwen2.5-3B-Instruct's, without weights: config.json as published, and the real vocabulary."""
import json
import pathlib
import shutil

import make_tokenizers

CACHE = pathlib.Path(__file__).resolve().parents[3] / "build/tokenizers"

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu",
    "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 32768,
    "model_type": "qwen2", "num_attention_heads": 16, "num_hidden_layers": 36, "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "use_sliding_window": False, "vocab_size": 151936,
}


def make_qwen_policy(folder):
    shutil.copytree(make_tokenizers.policy_folder(CACHE, "qwen2"), folder)
    pathlib.Path(folder, "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
