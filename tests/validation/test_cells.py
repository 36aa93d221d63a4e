"""Cells of few values and number formats, in the words of other tables."""

from __future__ import annotations

import pytest

from colossus_sim.validation.cells import value_of
from colossus_sim.validation.words import precision, zero_stage


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("recompute", "no recompute", "none"), ("recompute", "No activation checkpointing", "none"),
        ("recompute", "w/o recomputation", "none"), ("recompute", "recompute off", "none"),
        ("recompute", "no selective, no full", "none"), ("recompute", "none (all 32 layers kept)", "none"),
        ("recompute", "full activation checkpointing", "full"), ("recompute", "Full (uniform)", "full"),
        ("recompute", "full, not selective", "full"), ("recompute", "every layer", "full"),
        ("recompute", "gradient checkpointing", "full"), ("recompute", "full_recompute", "full"),
        ("recompute", "selective recompute (core attention)", "selective"),
        ("recompute", "not full, selective", "selective"), ("recompute", "core_attn", "selective"),
        ("mlp_gated", "SwiGLU", "Y"), ("mlp_gated", "GeGLU", "Y"), ("mlp_gated", "gated GELU", "Y"),
        ("mlp_gated", "SwiGLU, not GELU", "Y"), ("mlp_gated", "GELU", "N"), ("mlp_gated", "gelu_new", "N"),
        ("mlp_gated", "ReLU", "N"), ("mlp_gated", "squared ReLU", "N"), ("mlp_gated", "not gated", "N"),
        ("mlp_gated", "non-gated GELU", "N"), ("mlp_gated", "GELU, no GLU", "N"),
        ("model_kind", "mixture-of-experts", "moe"), ("model_kind", "MoE transformer", "moe"),
        ("model_kind", "MoE (first 3 layers dense)", "moe"), ("model_kind", "moe_transformer", "moe"),
        ("model_kind", "dense decoder", "dense"), ("model_kind", "dense, not MoE", "dense"),
        ("model_kind", "non-MoE", "dense"), ("model_kind", "decoder-only transformer", ""),
        ("model_kind", "hybrid Mamba", "hybrid"),
        ("outcome", "CUDA OOM", "oom"), ("outcome", "out-of-memory", "oom"), ("outcome", "OOMed", "oom"),
        ("outcome", "torch.cuda.OutOfMemoryError", "oom"), ("outcome", "ran out of memory", "oom"),
        ("outcome", "does not fit", "oom"), ("outcome", "no OOM", "ok"), ("outcome", "completed", "ok"),
        ("outcome", "ok (OOM at the next size)", "ok"), ("sequence_parallel", "enabled", "y"),
        ("fully_specified", "Nearly", "near"),
    ],
)  # fmt: skip
def test_a_cell_is_read_in_other_words(column: str, text: str, value: str) -> None:
    """What a text affirms is its value; what it denies is not; a word that fits all values is an empty cell."""
    assert value_of(column, text) == (value, "")


@pytest.mark.parametrize(
    ("column", "text", "wrong"),
    [
        ("recompute", "full or selective", "names full and selective"),
        ("recompute", "full (off)", "contradicts itself"),
        ("recompute", "no full recomputation", "is none of none, selective, full"),
        ("recompute", "uniform, no offload", "is none of none, selective, full"),
        ("recompute", "activation checkpointing", "is none of none, selective, full"),
        ("recompute", "selective, every 2nd layer", "only some of the layers"),
        ("recompute", "full (block, 10 layers)", "only some of the layers"),
        ("recompute", "full + offload", "activations outside the GPUs"),
        ("mlp_gated", "GELU or SwiGLU", "names N and Y"),
        ("mlp_gated", "SiLU", "is none of Y, N"),
        ("model_kind", "dense and MoE", "names dense and moe"),
        ("model_kind", "dense encoder-decoder", "not modelled"),
        ("model_kind", "diffusion transformer", "is none of dense, moe"),
        ("outcome", "OOM (host)", "the host's memory, not that of the GPUs"),
        ("outcome", "OOM at 2, ok at 1", "names ok and oom"),
        ("outcome", "did not run", "is none of ok, oom"),
        ("sequence_parallel", "Ulysses", "is none of y, n"),
    ],
)
def test_a_cell_that_is_not_understood_says_why(column: str, text: str, wrong: str) -> None:
    """Two values, another meaning and unknown words are told apart, and none of them gives a value."""
    value, said = value_of(column, text)
    assert value == ""
    assert said.startswith(repr(text))
    assert wrong in said


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fp8_mx", "mxfp8"), ("MX-FP8", "mxfp8"), ("MXFP8", "mxfp8"), ("mx_fp8", "mxfp8"), ("fp8 (MX)", "mxfp8"),
        ("microscaling fp8", "mxfp8"), ("FP8, no MX", "fp8"), ("float8", "fp8"), ("NV-FP4", "nvfp4"),
        ("bf16 (not fp8)", "bf16"), ("bf16, no fp8", "bf16"), ("bf16 without fp8", "bf16"), ("BF-16", "bf16"),
        ("fp8 disabled, bf16", "bf16"), ("torch.bfloat16", "bf16"), ("half precision", "fp16"),
        ("mxfp4", "mxfp4"), ("fp4 and bf16", "fp4 and bf16"), ("not fp8", "not fp8"),
    ],
)  # fmt: skip
def test_number_formats_go_by_many_names(text: str, name: str) -> None:
    """Formats that are denied do not count; unknown ones come back as they are, and their row is refused."""
    assert precision(text, "GB200") == (name, "")


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("FSDP disabled", 0), ("without FSDP", 0), ("not sharded", 0), ("ZeRO-3 off", 0), ("no ZeRO-3, ZeRO-1", 1),
        ("distributed optimizer instead of FSDP", 1), ("ZeRO-1, no FSDP", 1), ("FSDP (not ZeRO-1)", 3),
    ],
)  # fmt: skip
def test_sharding_that_is_denied_anywhere_does_not_count(text: str, stage: int) -> None:
    """What remains is the stage; nothing remaining is none."""
    assert zero_stage(text) == (stage, "")
