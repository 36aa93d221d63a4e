"""What a transformer must tell of its shape to be counted.

The names are those of published ``config.json`` files, so any record with these attributes can be counted.
"""

from __future__ import annotations

from typing import Protocol


class LatentLike(Protocol):
    """Sizes of multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, table 1)."""

    @property
    def q_lora_rank(self) -> int:
        """Rank of the query compression; 0 = none."""

    @property
    def kv_lora_rank(self) -> int:
        """Rank of the joint key-value compression."""

    @property
    def qk_nope_head_dim(self) -> int:
        """Per-head query and key width without rotary position."""

    @property
    def qk_rope_head_dim(self) -> int:
        """Per-head query and key width with rotary position."""

    @property
    def v_head_dim(self) -> int:
        """Per-head value width."""


class ExpertsLike(Protocol):
    """Sizes of routed feed-forward layers."""

    @property
    def num_experts(self) -> int:
        """Routed experts of one layer."""

    @property
    def num_experts_per_tok(self) -> int:
        """Experts that each token visits."""

    @property
    def moe_intermediate_size(self) -> int:
        """Hidden width of one routed expert."""

    @property
    def shared_expert_intermediate_size(self) -> int:
        """Hidden width of all shared experts together."""

    @property
    def first_k_dense(self) -> int:
        """Leading layers that are dense."""

    @property
    def moe_layer_frequency(self) -> int:
        """Every n-th of the other layers is routed."""


class VideoLike(Protocol):
    """Conditioning of a diffusion transformer."""

    @property
    def text_tokens(self) -> int:
        """Tokens of the conditioning text."""

    @property
    def cross_attention(self) -> bool:
        """Whether each layer has a cross-attention block."""


class TransformerLike(Protocol):
    """Shape of a transformer."""

    @property
    def kind(self) -> str:
        """``transformer`` (causal) or ``diffusion_transformer``."""

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""

    @property
    def num_hidden_layers(self) -> int:
        """Layers."""

    @property
    def num_attention_heads(self) -> int:
        """Query heads."""

    @property
    def kv_heads(self) -> int:
        """Key and value heads."""

    @property
    def head_size(self) -> int:
        """Width of one head."""

    @property
    def intermediate_size(self) -> int:
        """Hidden width of dense feed-forward layers."""

    @property
    def mlp_gated(self) -> bool:
        """Three feed-forward matrices instead of two."""

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether input and output embedding are one."""

    @property
    def sliding_window(self) -> int:
        """Attention window in tokens; 0 = none."""

    @property
    def sliding_window_fraction(self) -> float:
        """Share of the layers that use it."""

    @property
    def mla(self) -> LatentLike | None:
        """Latent attention, if any."""

    @property
    def moe(self) -> ExpertsLike | None:
        """Routed experts, if any."""

    @property
    def num_nextn_predict_layers(self) -> int:
        """Modules that predict further tokens while training."""

    @property
    def video(self) -> VideoLike | None:
        """Conditioning of a diffusion transformer, if it is one."""
