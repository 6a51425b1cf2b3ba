"""The flags of `llama-server` and where each of them lives in xllamacpp's `CommonParams`.

Standard library only: the server program (`llama_cpp_server.py`) starts with nothing else loaded, and the adapter
checks a model's `args:` against the same table before any process exists.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from glowplug.engines import llama_cpp_values as values
from glowplug.engines.llama_cpp_values import Member, Parse

Assignments = Mapping[str, object]  # dotted path in CommonParams -> value


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Attributes:
        assign: what the flag's text sets in CommonParams; raises ValueError.
        switch: takes no value: `--flag` means true, `--no-flag` false.
        sampling: name in `common_params_sampling_config` that marks a sampling default as chosen by the user, so that
            llama.cpp does not replace it by one out of the GGUF file.
    """

    assign: Callable[[str], Assignments]
    switch: bool = False
    sampling: str = ""


def _sets(attribute: str, parse: Parse, sampling: str = "") -> Flag:
    return Flag(lambda text: {attribute: parse(text)}, sampling=sampling)


def _switch(attribute: str, parse: Parse = values.true) -> Flag:
    return Flag(lambda text: {attribute: parse(text)}, switch=True)


def _timeout(text: str) -> Assignments:
    seconds = values.integer(text)
    return {"timeout_read": seconds, "timeout_write": seconds}


def _reranking(text: str) -> Assignments:
    if not values.true(text):
        return {"embedding": False}
    return {"embedding": True, "pooling_type": Member("llama_pooling_type", "LLAMA_POOLING_TYPE_RANK")}


def _reasoning(text: str) -> Assignments:
    if text == "auto":
        return {"enable_reasoning": -1}
    on = values.on_off(text)
    return {"enable_reasoning": int(on), "default_template_kwargs": {"enable_thinking": "true" if on else "false"}}


def _draft_model(text: str) -> Assignments:
    kind = Member("common_speculative_type", "COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE")
    return {"speculative.draft.mparams.path": values.file(text), "speculative.types": [kind]}


_CACHE_TYPE = values.words(
    "ggml_type", "GGML_TYPE_", "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"
)
_FLASH_ATTENTION = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}
_PRIORITY = {"-1": "LOW", "0": "NORMAL", "1": "MEDIUM", "2": "HIGH", "3": "REALTIME"}
_LOAD_MODE = {
    "auto": "AUTO",
    "none": "NONE",
    "mmap": "MMAP",
    "mlock": "MLOCK",
    "mmap+mlock": "MMAP_MLOCK",
    "dio": "DIRECT_IO",
}
_REASONING_FORMAT = {
    "none": "NONE",
    "auto": "AUTO",
    "deepseek": "DEEPSEEK",
    "deepseek-legacy": "DEEPSEEK_LEGACY",
}


def _prefixed(enum: str, prefix: str, members: Mapping[str, str]) -> Parse:
    return values.choice(enum, {word: prefix + name for word, name in members.items()})


_SERVER: Mapping[str, Flag] = {
    "model": _sets("model.path", values.file),
    "host": _sets("hostnames", values.comma_list),
    "port": _sets("port", values.integer),
    "alias": _sets("model_alias", values.comma_set),
    "timeout": Flag(_timeout),
    "sse-ping-interval": _sets("sse_ping_interval", values.integer),
    "threads-http": _sets("n_threads_http", values.integer),
    "metrics": _switch("endpoint_metrics"),
    "props": _switch("endpoint_props"),
    "slots": _switch("endpoint_slots"),
    "slot-save-path": _sets("slot_save_path", values.directory),
    "media-path": _sets("media_path", values.directory),
    "slot-prompt-similarity": _sets("slot_prompt_similarity", values.number),
    "verbosity": _sets("verbosity", values.integer),
}

_CONTEXT: Mapping[str, Flag] = {
    "ctx-size": _sets("n_ctx", values.integer),
    "parallel": _sets("n_parallel", values.integer),
    "batch-size": _sets("n_batch", values.integer),
    "ubatch-size": _sets("n_ubatch", values.integer),
    "cont-batching": _switch("cont_batching"),
    "predict": _sets("n_predict", values.integer),
    "keep": _sets("n_keep", values.integer),
    "context-shift": _switch("ctx_shift"),
    "kv-unified": _switch("kv_unified"),
    "kv-offload": _switch("no_kv_offload", values.false),
    "swa-full": _switch("swa_full"),
    "cache-type-k": _sets("cache_type_k", _CACHE_TYPE),
    "cache-type-v": _sets("cache_type_v", _CACHE_TYPE),
    "cache-prompt": _switch("cache_prompt"),
    "cache-idle-slots": _switch("cache_idle_slots"),
    "cache-ram": _sets("cache_ram_mib", values.integer),
    "cache-reuse": _sets("n_cache_reuse", values.integer),
    "ctx-checkpoints": _sets("n_ctx_checkpoints", values.integer),
    "checkpoint-min-step": _sets("checkpoint_min_step", values.integer),
    "flash-attn": _sets(
        "flash_attn_type", _prefixed("llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE_", _FLASH_ATTENTION)
    ),
    "rope-scaling": _sets(
        "rope_scaling_type",
        values.words("llama_rope_scaling_type", "LLAMA_ROPE_SCALING_TYPE_", "none", "linear", "yarn"),
    ),
    "rope-scale": _sets("rope_freq_scale", values.inverse),
    "rope-freq-base": _sets("rope_freq_base", values.number),
    "rope-freq-scale": _sets("rope_freq_scale", values.number),
    "yarn-orig-ctx": _sets("yarn_orig_ctx", values.integer),
    "yarn-ext-factor": _sets("yarn_ext_factor", values.number),
    "yarn-attn-factor": _sets("yarn_attn_factor", values.number),
    "yarn-beta-slow": _sets("yarn_beta_slow", values.number),
    "yarn-beta-fast": _sets("yarn_beta_fast", values.number),
}

_MACHINE: Mapping[str, Flag] = {
    "threads": _sets("cpuparams.n_threads", values.integer),
    "threads-batch": _sets("cpuparams_batch.n_threads", values.integer),
    "poll": _sets("cpuparams.poll", values.integer),
    "prio": _sets("cpuparams.priority", _prefixed("ggml_sched_priority", "GGML_SCHED_PRIO_", _PRIORITY)),
    "numa": _sets(
        "numa", values.words("ggml_numa_strategy", "GGML_NUMA_STRATEGY_", "distribute", "isolate", "numactl")
    ),
    "warmup": _switch("warmup"),
    "perf": _switch("no_perf", values.false),
    "load-mode": _sets("load_mode", _prefixed("llama_load_mode", "LLAMA_LOAD_MODE_", _LOAD_MODE)),
    "lazy-mode": _sets("lazy_mode", values.words("llama_lazy_mode", "LLAMA_LAZY_MODE_", "on", "off", "auto")),
    "check-tensors": _switch("check_tensors"),
    "repack": _switch("no_extra_bufts", values.false),
    "no-host": _switch("no_host"),
    "op-offload": _switch("no_op_offload", values.false),
    "gpu-layers": _sets("n_gpu_layers", values.gpu_layers),
    "main-gpu": _sets("main_gpu", values.integer),
    "split-mode": _sets(
        "split_mode", values.words("llama_split_mode", "LLAMA_SPLIT_MODE_", "none", "layer", "row", "tensor")
    ),
    "tensor-split": _sets("tensor_split", values.fractions),
    "override-tensor": _sets("tensor_buft_overrides", str),
    "fit": _sets("fit_params", values.on_off),
    "fit-target": _sets("fit_params_target", values.margins),
    "fit-ctx": _sets("fit_params_min_ctx", values.integer),
}

_MODEL: Mapping[str, Flag] = {
    "lora": _sets("lora_adapters", values.loras),
    "lora-scaled": _sets("lora_adapters", values.scaled_loras),
    "lora-init-without-apply": _switch("lora_init_without_apply"),
    "mmproj": _sets("mmproj.path", values.file),
    "mmproj-offload": _switch("mmproj_use_gpu"),
    "image-min-tokens": _sets("image_min_tokens", values.integer),
    "image-max-tokens": _sets("image_max_tokens", values.integer),
    "spec-draft-model": Flag(_draft_model),
    "spec-draft-n-max": _sets("speculative.draft.n_max", values.integer),
    "spec-draft-n-min": _sets("speculative.draft.n_min", values.integer),
    "spec-draft-p-min": _sets("speculative.draft.p_min", values.number),
    "spec-draft-ngl": _sets("speculative.draft.n_gpu_layers", values.gpu_layers),
    "embeddings": _switch("embedding"),
    "reranking": Flag(_reranking, switch=True),
    "pooling": _sets(
        "pooling_type",
        values.words("llama_pooling_type", "LLAMA_POOLING_TYPE_", "none", "mean", "cls", "last", "rank"),
    ),
    "embd-normalize": _sets("embd_normalize", values.integer),
    "jinja": _switch("use_jinja"),
    "chat-template": _sets("chat_template", str),
    "chat-template-file": _sets("chat_template", values.content),
    "chat-template-kwargs": _sets("default_template_kwargs", values.template_values),
    "prefill-assistant": _switch("prefill_assistant"),
    "skip-chat-parsing": _switch("force_pure_content_parser"),
    "reasoning": Flag(_reasoning),
    "reasoning-format": _sets(
        "reasoning_format",
        _prefixed("common_reasoning_format", "COMMON_REASONING_FORMAT_", _REASONING_FORMAT),
    ),
    "reasoning-budget": _sets("sampling.reasoning_budget_tokens", values.integer),
    "reasoning-budget-message": _sets("sampling.reasoning_budget_message", str),
    "special": _switch("special"),
}

_SAMPLING: Mapping[str, Flag] = {
    "samplers": _sets("sampling.samplers", str, "SAMPLERS"),
    "seed": _sets("sampling.seed", values.seed),
    "ignore-eos": _switch("sampling.ignore_eos"),
    "temp": _sets("sampling.temp", values.number, "TEMP"),
    "top-k": _sets("sampling.top_k", values.integer, "TOP_K"),
    "top-p": _sets("sampling.top_p", values.number, "TOP_P"),
    "min-p": _sets("sampling.min_p", values.number, "MIN_P"),
    "typical": _sets("sampling.typ_p", values.number),
    "xtc-probability": _sets("sampling.xtc_probability", values.number, "XTC_PROBABILITY"),
    "xtc-threshold": _sets("sampling.xtc_threshold", values.number, "XTC_THRESHOLD"),
    "repeat-last-n": _sets("sampling.penalty_last_n", values.integer, "PENALTY_LAST_N"),
    "repeat-penalty": _sets("sampling.penalty_repeat", values.number, "PENALTY_REPEAT"),
    "presence-penalty": _sets("sampling.penalty_present", values.number),
    "frequency-penalty": _sets("sampling.penalty_freq", values.number),
    "dry-multiplier": _sets("sampling.dry_multiplier", values.number),
    "dry-base": _sets("sampling.dry_base", values.number),
    "dry-allowed-length": _sets("sampling.dry_allowed_length", values.integer),
    "dry-penalty-last-n": _sets("sampling.dry_penalty_last_n", values.integer),
    "mirostat": _sets("sampling.mirostat", values.integer, "MIROSTAT"),
    "mirostat-lr": _sets("sampling.mirostat_eta", values.number, "MIROSTAT_ETA"),
    "mirostat-ent": _sets("sampling.mirostat_tau", values.number, "MIROSTAT_TAU"),
}

DEFAULT_PARALLEL = 4
"""Slots, and one KV cache that they share, when nothing is asked for: what llama-server chooses by itself."""

FLAGS: Mapping[str, Flag] = {**_SERVER, **_CONTEXT, **_MACHINE, **_MODEL, **_SAMPLING}

SHORT_NAMES: Mapping[str, str] = {
    "m": "model", "a": "alias", "to": "timeout", "sps": "slot-prompt-similarity", "lv": "verbosity", "c": "ctx-size",
    "np": "parallel", "b": "batch-size", "ub": "ubatch-size", "cb": "cont-batching", "n": "predict", "t": "threads",
    "tb": "threads-batch", "kvu": "kv-unified", "kvo": "kv-offload", "ctk": "cache-type-k", "ctv": "cache-type-v",
    "cram": "cache-ram", "ctxcp": "ctx-checkpoints", "cms": "checkpoint-min-step", "lm": "load-mode",
    "lzm": "lazy-mode", "ngl": "n-gpu-layers", "mg": "main-gpu", "sm": "split-mode", "ts": "tensor-split",
    "ot": "override-tensor", "fitt": "fit-target", "fitc": "fit-ctx", "mm": "mmproj", "fa": "flash-attn",
    "sp": "special", "s": "seed", "rea": "reasoning", "md": "model-draft",
}  # fmt: skip
"""What llama-server takes with one dash, and the long name with two."""

OTHER_NAMES: Mapping[str, str] = {
    "log-verbosity": "verbosity", "n-predict": "predict", "swa-checkpoints": "ctx-checkpoints",
    "n-gpu-layers": "gpu-layers", "embedding": "embeddings", "rerank": "reranking", "temperature": "temp",
    "typical-p": "typical", "model-draft": "spec-draft-model",
}  # fmt: skip
"""Further long names that llama-server takes."""

ADVICE: Mapping[str, str] = {
    "mlock": "llama.cpp has replaced it: write load-mode: mlock",
    "mmap": "llama.cpp has replaced it: write load-mode: mmap, or none",
    "no-mmap": "llama.cpp has replaced it: write load-mode: none",
    "direct-io": "llama.cpp has replaced it: write load-mode: dio",
    "api-key": "Glowplug checks API keys itself: see server.api_keys_file",
    "hf-repo": "the embedded server does not download: give the file in model:, or use options: {server: llama-server}",
}
"""What to do instead of flags that a user may well try and that the embedded server does not have."""
