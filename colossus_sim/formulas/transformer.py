"""Parameters and FLOPs of transformers, counted from the shape alone; a multiply-add counts as two FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from colossus_sim.formulas.shapes import LatentLike, TransformerLike


class ParameterCount(NamedTuple):
    """Parameters by part; the per-layer figures are for one layer of that kind.

    Attributes
    ----------
    embedding, output : int
        Input embedding and output matrix (0 where tied or absent).
    attention : int
        Self-attention of one layer (projections, latent norms).
    cross_attention, modulation : int
        Cross-attention and adaLN modulation of one diffusion-transformer layer.
    norms : int
        Norm weights of one layer.
    mlp : int
        Dense feed-forward block.
    router, expert, shared_expert : int
        Gate of one routed layer, one of its experts, its shared experts together.
    dense_layers, moe_layers, num_experts, experts_per_token : int
        How many of each there are.
    final_norm : int
        Norm after the last layer.
    prediction_modules : int
        Modules that predict further tokens; `total` and `active` are without them.
    prediction_projection : int
        What one of them has besides a layer: the projection of a state and an embedding to one state, and three
        norms.
    """

    embedding: int
    output: int
    attention: int
    cross_attention: int
    modulation: int
    norms: int
    mlp: int
    router: int
    expert: int
    shared_expert: int
    dense_layers: int
    moe_layers: int
    num_experts: int
    experts_per_token: int
    final_norm: int
    prediction_modules: int
    prediction_projection: int

    @property
    def block(self) -> int:
        """Everything of one layer but its feed-forward part."""
        return self.attention + self.cross_attention + self.modulation + self.norms

    @property
    def dense_layer(self) -> int:
        """One dense layer."""
        return self.block + self.mlp

    @property
    def moe_layer(self) -> int:
        """One routed layer with all its experts."""
        return self.block + self.router + self.shared_expert + self.num_experts * self.expert

    @property
    def total(self) -> int:
        """All parameters of the model."""
        layers = self.dense_layers * self.dense_layer + self.moe_layers * self.moe_layer
        return self.embedding + self.output + self.final_norm + layers

    @property
    def trained(self) -> int:
        """All parameters that training holds and checkpoints save."""
        dense, routed = self.predicting_layers
        layers = dense * self.dense_layer + routed * self.moe_layer
        return self.total + layers + self.prediction_modules * self.prediction_projection

    @property
    def predicting_layers(self) -> tuple[int, int]:
        """Dense and routed layers of the modules that predict further tokens: of the kind of the last layer."""
        return (0, self.prediction_modules) if self.moe_layers else (self.prediction_modules, 0)

    @property
    def embedding_at_both_ends(self) -> bool:
        """Whether the last layers need the input embedding too: tied, or the start of further predictions."""
        return self.output == 0 or self.prediction_modules > 0

    @property
    def active(self) -> int:
        """Parameters that one token meets, embeddings included (as published counts do)."""
        idle = (self.num_experts - self.experts_per_token) * self.expert
        return self.total - self.moe_layers * idle


def attention_parameters(hidden: int, heads: int, kv_heads: int, head_size: int) -> int:
    """Weights of grouped-query attention: queries, keys, values and output, no biases.

    Source: Ainslie et al. 2023 (arXiv:2305.13245); with ``kv_heads = heads`` Vaswani et al. 2017.
    """
    return hidden * head_size * (2 * heads + 2 * kv_heads)


def latent_attention_parameters(hidden: int, heads: int, latent: LatentLike) -> int:
    """Weights of multi-head latent attention, with its two inner norms.

    Source: DeepSeek-V2 (arXiv:2405.04434), eq. 9-19 and appendix C.
    """
    query_width = heads * (latent.qk_nope_head_dim + latent.qk_rope_head_dim)
    rank = latent.q_lora_rank
    query = hidden * rank + rank * query_width + rank if rank else hidden * query_width
    key_value = hidden * (latent.kv_lora_rank + latent.qk_rope_head_dim) + latent.kv_lora_rank
    expand = latent.kv_lora_rank * heads * (latent.qk_nope_head_dim + latent.v_head_dim)
    return query + key_value + expand + heads * latent.v_head_dim * hidden


def mlp_parameters(hidden: int, intermediate: int, gated: bool) -> int:
    """Weights of a feed-forward block: three matrices if gated (arXiv:2002.05202), else two."""
    return (3 if gated else 2) * hidden * intermediate


def moe_layers_before(layer: int, first_dense: int, frequency: int) -> int:
    """How many of the first `layer` layers are routed: every `frequency`-th after the first dense ones."""
    return max(0, layer - first_dense) // frequency


def count_parameters(model: TransformerLike) -> ParameterCount:
    """Return the parameters of a transformer by part.

    Notes
    -----
    RMS norms, no biases: for models with biases (GPT-3) the difference is below 0.1 %. A diffusion layer has
    a cross-attention block (Wan 2.1, arXiv:2503.20314: same width, all heads) and one learned six-part adaLN
    modulation vector per layer, its projection being shared by all layers (PixArt-alpha, arXiv:2310.00426).
    """
    hidden, heads = model.hidden_size, model.num_attention_heads
    attention = attention_parameters(hidden, heads, model.kv_heads, model.head_size)
    if model.mla is not None:
        attention = latent_attention_parameters(hidden, heads, model.mla)
    moe, layers, gated = model.moe, model.num_hidden_layers, model.mlp_gated
    routed = 0 if moe is None else moe_layers_before(layers, moe.first_k_dense, moe.moe_layer_frequency)
    video = model.video
    crossed = video is not None and video.cross_attention
    embedding = model.vocab_size * hidden
    return ParameterCount(
        embedding=embedding,
        output=0 if model.tie_word_embeddings else embedding,
        attention=attention,
        cross_attention=attention_parameters(hidden, heads, heads, model.head_size) if crossed else 0,
        modulation=6 * hidden if video is not None else 0,
        norms=(3 if crossed else 2) * hidden,
        mlp=mlp_parameters(hidden, model.intermediate_size, gated),
        router=0 if moe is None else hidden * moe.num_experts,
        expert=0 if moe is None else mlp_parameters(hidden, moe.moe_intermediate_size, gated),
        shared_expert=0
        if moe is None
        else mlp_parameters(hidden, moe.shared_expert_intermediate_size, gated),
        dense_layers=layers - routed,
        moe_layers=routed,
        num_experts=0 if moe is None else moe.num_experts,
        experts_per_token=0 if moe is None else moe.num_experts_per_tok,
        final_norm=hidden,
        prediction_modules=model.num_nextn_predict_layers,
        prediction_projection=2 * hidden * hidden + 3 * hidden,
    )


def attended_keys(sequence: float, *, causal: bool, window: float = 0.0) -> float:
    """Mean number of keys that one query attends to.

    Notes
    -----
    Full: ``s``. Causal: ``(s + 1) / 2``. Causal with a window ``w < s``: ``w - w (w - 1) / 2 s``, since the
    first ``w - 1`` queries see fewer keys.
    """
    if 0.0 < window < sequence:
        if causal:
            return window - window * (window - 1.0) / (2.0 * sequence)
        return window
    return (sequence + 1.0) / 2.0 if causal else sequence


def attention_core_flops(heads: int, score_width: int, value_width: int, keys: float) -> float:
    """Forward FLOPs of ``softmax(Q K^T) V`` for one query token that attends to `keys` keys.

    Source: two multiply-adds per head, key and width; softmax itself not counted (arXiv:2204.02311, app. B).
    """
    return 2.0 * heads * (score_width + value_width) * keys


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFlops:
    """Forward FLOPs of one token through the whole model, by operation."""

    projections: float
    attention_core: float
    mlp: float
    router: float
    experts: float
    logits: float

    @property
    def forward(self) -> float:
        """Sum of the operations. [FLOP]"""
        return self.projections + self.attention_core + self.mlp + self.router + self.experts + self.logits

    @property
    def training(self) -> float:
        """Forward and backward, without recomputation: three times forward (arXiv:2001.08361, sec. 2.1)."""
        return 3.0 * self.forward


def mean_attended_keys(model: TransformerLike, sequence: float, *, causal: bool | None = None) -> float:
    """Keys per query, as the mean over full and sliding-window layers; diffusion models attend to all."""
    masked = model.kind == "transformer" if causal is None else causal
    full = attended_keys(sequence, causal=masked)
    share = model.sliding_window_fraction if model.sliding_window else 0.0
    return (1.0 - share) * full + share * attended_keys(sequence, causal=masked, window=model.sliding_window)


def token_flops(model: TransformerLike, sequence: float, *, causal: bool | None = None) -> TokenFlops:
    """Return the forward FLOPs of one token in a sequence of `sequence` tokens.

    Parameters
    ----------
    model : TransformerLike
        The shape.
    sequence : float
        Tokens per sequence (per sample for a diffusion transformer).
    causal : bool, optional
        Whether half of the score matrix is left out; default by the kind of model. Papers before 2024
        mostly count the full matrix.

    Notes
    -----
    Two FLOPs per weight and token for every matrix; the input embedding is a look-up and costs none. A module that
    predicts a further token is one more layer of the last kind, a projection, and the logits again.
    """
    count = count_parameters(model)
    modules, moe = count.prediction_modules, model.moe
    layers = model.num_hidden_layers + modules
    more_dense, more_routed = count.predicting_layers
    dense, routed = count.dense_layers + more_dense, count.moe_layers + more_routed
    score, value = head_widths(model)
    keys = mean_attended_keys(model, sequence, causal=causal)
    core = layers * attention_core_flops(model.num_attention_heads, score, value, keys)
    projections = 2.0 * (layers * count.attention + modules * 2 * model.hidden_size**2)
    if model.video is not None and model.video.cross_attention:
        text = model.video.text_tokens
        size = model.num_attention_heads * model.head_size
        core += layers * attention_core_flops(model.num_attention_heads, score, value, text)
        # Queries and output per latent token; keys and values only per text token.
        projections += 2.0 * layers * model.hidden_size * size * (2.0 + 2.0 * text / sequence)
    active = 0 if moe is None else moe.num_experts_per_tok * count.expert + count.shared_expert
    return TokenFlops(
        projections=projections,
        attention_core=core,
        mlp=2.0 * dense * count.mlp,
        router=2.0 * routed * count.router,
        experts=2.0 * routed * active,
        logits=2.0 * (1 + modules) * model.vocab_size * model.hidden_size,
    )


def head_widths(model: TransformerLike) -> tuple[int, int]:
    """Width of one head in the scores and in the values."""
    if model.mla is None:
        return model.head_size, model.head_size
    return model.mla.qk_nope_head_dim + model.mla.qk_rope_head_dim, model.mla.v_head_dim


def sc21_step_flops(*, batch: float, sequence: float, layers: float, hidden: float, vocab: float) -> float:
    """Hardware FLOPs of one GPT step with full recomputation.

    Source: Narayanan et al. SC21 (arXiv:2104.04473), eq. 3: ``96 B s l h^2 (1 + s/6h + V/16lh)``.
    """
    core = 96.0 * batch * sequence * layers * hidden**2
    return core * (1.0 + sequence / (6.0 * hidden) + vocab / (16.0 * layers * hidden))


def korthikanti_step_flops(
    *, batch: float, sequence: float, layers: float, hidden: float, vocab: float
) -> float:
    """Model FLOPs of one GPT step, full (not causal) attention.

    Source: Korthikanti et al. 2022 (arXiv:2205.05198), eq. 7: ``72 B s L h^2 (1 + s/6h + v/12hL)``.
    """
    core = 72.0 * batch * sequence * layers * hidden**2
    return core * (1.0 + sequence / (6.0 * hidden) + vocab / (12.0 * layers * hidden))
