"""Memory of one GPU during training, counted tensor by tensor.

All figures are bytes. `t`, `sequence_parallel` and the like have the meaning of Korthikanti et al. 2022
(arXiv:2205.05198), whose equations 1 to 6 are the special cases the tests check.
"""

from __future__ import annotations


def attention_activation_bytes(
    *,
    hidden: float,
    query_width: float,
    key_value_width: float,
    value_width: float,
    heads: float,
    keys: float,
    tensor_parallel: int,
    sequence_parallel: bool,
    keep_scores: bool,
    dropout: bool,
    input_bytes: float = 2.0,
    rotated_copies: bool = False,
) -> float:
    """Bytes that one token of one layer's attention block keeps for the backward pass, its norm included.

    Parameters
    ----------
    hidden, query_width, key_value_width, value_width : float
        Widths of the residual stream, of all queries, of all keys and values together, of all head outputs.
    heads, keys : float
        Query heads, and keys per query (the sequence length), for the score matrix.
    tensor_parallel, sequence_parallel
        Sharding; without sequence parallelism norms, their outputs and masks are kept on every rank.
    keep_scores : bool
        Unfused attention without recomputation: softmax output, its dropout mask and result, ``5 a s``.
    dropout : bool
        Whether a one-byte mask of the output is kept.
    input_bytes : float
        Bytes per element of the saved inputs of matrix products (1 for fp8).
    rotated_copies : bool
        Rotary embedding writes queries and keys anew, and the projection they came from stays with its values.

    Notes
    -----
    Korthikanti et al., sec. 4.1: ``11 s b h + 5 a s^2 b`` for the block and ``2 s b h`` for its norm.
    """
    t = tensor_parallel
    shared = t if sequence_parallel else 1
    replicated = 2.0 * hidden + input_bytes * hidden + (hidden if dropout else 0.0)
    split = 2.0 * (query_width + key_value_width) + input_bytes * value_width
    if rotated_copies:
        split += 2.0 * (query_width + 0.5 * key_value_width)
    # Fused attention keeps one fp32 log-sum-exp per head instead of the scores.
    scores = 5.0 * heads * keys if keep_scores else 4.0 * heads
    return replicated / shared + (split + scores) / t


def mlp_activation_bytes(
    *,
    hidden: float,
    intermediate: float,
    gated: bool,
    tensor_parallel: int,
    sequence_parallel: bool,
    dropout: bool,
    input_bytes: float = 2.0,
    activated_copy: bool = False,
) -> float:
    """Bytes that one token of one layer's feed-forward block keeps, its norm included.

    An `activated_copy` is the output of a gated block's activation function, where the product with the other
    half is a kernel of its own.

    Notes
    -----
    Korthikanti et al., sec. 4.1: ``19 s b h`` for the block of width ``4 h`` and ``2 s b h`` for its norm.
    """
    shared = tensor_parallel if sequence_parallel else 1
    replicated = 2.0 * hidden + input_bytes * hidden + (hidden if dropout else 0.0)
    inner = 4.0 if gated else 2.0
    if gated and activated_copy:
        inner += 2.0
    split = inner * intermediate + input_bytes * intermediate
    return replicated / shared + split / tensor_parallel


def expert_activation_bytes(
    *, hidden: float, intermediate: float, gated: bool, input_bytes: float = 2.0
) -> float:
    """Bytes that one token keeps in one routed expert: its input, both inner tensors, and its output.

    The output is kept because the router's weights multiply it afterwards.
    """
    inner = (4.0 if gated else 2.0) * intermediate + input_bytes * intermediate
    return input_bytes * hidden + inner + 2.0 * hidden


def full_recomputation_bytes(*, hidden: float, tensor_parallel: int, sequence_parallel: bool) -> float:
    """Bytes that one token keeps per layer under full recomputation: the layer's input only.

    Source: Korthikanti et al., sec. 5: ``2 s b h`` per layer (kept in shards with sequence parallelism).
    """
    return 2.0 * hidden / (tensor_parallel if sequence_parallel else 1)


def logits_bytes(*, vocab: float, tensor_parallel: int, logit_bytes: float = 4.0) -> float:
    """Bytes of one token's logits on one rank, as kept for the cross entropy.

    Source: Korthikanti et al., sec. 4.3: ``4 s b v / t`` in fp32, beside ``4 s b h / t`` of the last norm and
    its output.
    """
    return logit_bytes * vocab / tensor_parallel


def model_state_bytes(
    *,
    weight_bytes: float,
    gradient_bytes: float,
    optimizer_bytes: float,
    zero_stage: int,
    shards: float,
) -> tuple[float, float, float]:
    """Bytes per parameter of weights, gradients and optimizer state on one GPU.

    Parameters
    ----------
    weight_bytes, gradient_bytes, optimizer_bytes : float
        Unsharded bytes per parameter; mixed-precision Adam has 2, 2 and 12.
    zero_stage : int
        1 shards the optimizer state, 2 the gradients too, 3 the weights too.
    shards : float
        Ranks over which they are sharded.

    Source: Rajbhandari et al. 2019 (arXiv:1910.02054), fig. 1 and table 1: ``2 + 2 + 12 = 16`` bytes.
    """
    weights = weight_bytes / (shards if zero_stage >= 3 else 1.0)
    gradients = gradient_bytes / (shards if zero_stage >= 2 else 1.0)
    optimizer = optimizer_bytes / (shards if zero_stage >= 1 else 1.0)
    return weights, gradients, optimizer
