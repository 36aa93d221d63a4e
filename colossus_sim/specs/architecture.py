"""Model architectures, with the field names of published ``config.json`` files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from colossus_sim.specs.base import Provenance, Spec
from colossus_sim.units import Count, Ratio, Tokens


class LatentAttention(Spec):
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434)."""

    q_lora_rank: Count
    """Rank of the query compression; 0 = none."""
    kv_lora_rank: Annotated[Count, Field(ge=1)]
    """Rank of the joint key-value compression."""
    qk_nope_head_dim: Annotated[Count, Field(ge=1)]
    """Per-head query/key width without rotary position."""
    qk_rope_head_dim: Annotated[Count, Field(ge=1)]
    """Per-head query/key width with rotary position."""
    v_head_dim: Annotated[Count, Field(ge=1)]
    """Per-head value width."""


class MixtureOfExperts(Spec):
    """Routed feed-forward layers."""

    num_experts: Annotated[Count, Field(ge=2)]
    """Routed experts per layer."""
    num_experts_per_tok: Annotated[Count, Field(ge=1)]
    """Experts that each token visits (top-k)."""
    moe_intermediate_size: Count
    """Hidden width of one routed expert."""
    shared_expert_intermediate_size: Count = Field(0)
    """Hidden width of all shared experts together; 0 = none."""
    first_k_dense: Count = Field(0)
    """Leading layers that are dense."""
    moe_layer_frequency: Annotated[Count, Field(ge=1)] = Field(1)
    """Every n-th of the other layers is a mixture of experts."""
    n_group: Annotated[Count, Field(ge=1)] = Field(1)
    """Groups of experts, of which a token picks some first (DeepSeek-V3, arXiv:2412.19437, sec. 2.1.2)."""
    topk_group: Annotated[Count, Field(ge=1)] = Field(1)
    """Groups that the experts of one token may come from; all that there are = no limit."""
    imbalance: Annotated[Ratio, Field(ge=1, le=10)] = Field(1.1)
    """Tokens on the busiest expert-parallel rank over the mean; 1 = forced balance. No effect where expert_parallel
    is 1: every rank then holds all experts."""
    capacity_padded: bool = Field(False)
    """Whether every expert gets a fixed number of tokens (more are dropped, fewer are padded), so that the host
    need not learn any counts."""
    clamped_bias: bool = Field(False)
    """Whether experts add biases and clamp their gated activation (gpt-oss, arXiv:2508.10925): more passes over
    memory in stacks that have no kernel for it."""


class VideoLatents(Spec):
    """How a video or image model turns clips into tokens, for diffusion transformers."""

    tokens_per_sample: Annotated[Tokens, Field(ge=1)]
    """Latent tokens of one clip; attention is full (not causal) over them, and over nothing else: a sequence of the
    plan holds one clip or several, `sequence_length` being a multiple."""
    text_tokens: Count = Field(512)
    """Tokens of the conditioning text of one clip, used by cross-attention; not part of `sequence_length`."""
    cross_attention: bool = Field(True)
    """Whether each layer has a cross-attention block."""
    encoder_share: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Extra time for the VAE and text encoders, as a share of the transformer's."""


class Architecture(Spec):
    """A transformer: everything that parameter, FLOP and memory counts need."""

    name: str = ""
    """Catalog name; filled in on loading."""
    title: str = ""
    """Name for people."""
    kind: Literal["transformer", "diffusion_transformer"] = Field("transformer")
    """Causal language model, or diffusion/flow transformer over latent tokens."""
    hidden_size: Annotated[Count, Field(ge=1)]
    """Width of the residual stream."""
    num_hidden_layers: Annotated[Count, Field(ge=1)]
    """Transformer layers."""
    num_attention_heads: Annotated[Count, Field(ge=1)]
    """Query heads."""
    num_key_value_heads: Count = Field(0)
    """Key/value heads (grouped-query attention); 0 = as many as query heads."""
    head_dim: Count = Field(0)
    """Width of one head; 0 = hidden_size / num_attention_heads."""
    intermediate_size: Count = Field(0)
    """Hidden width of the dense feed-forward layers (0 only where every layer is a mixture of experts)."""
    mlp_gated: bool = Field(True)
    """Gated feed-forward (three matrices, e.g. SwiGLU) or plain (two)."""
    vocab_size: Annotated[Count, Field(ge=0)]
    """Rows of the embedding; 0 for a model without a vocabulary."""
    tie_word_embeddings: bool = Field(False)
    """Whether input and output embeddings share their weights."""
    sliding_window: Count = Field(0)
    """Attention window in tokens on the layers that use one; 0 = full attention everywhere. Needs
    `sliding_window_fraction`."""
    sliding_window_fraction: Annotated[Ratio, Field(ge=0, le=1)] = Field(0.0)
    """Share of the layers that use the sliding window."""
    mla: LatentAttention | None = Field(None)
    """Latent attention in place of grouped-query attention."""
    moe: MixtureOfExperts | None = Field(None)
    """Routed experts; left out = dense."""
    num_nextn_predict_layers: Count = Field(0)
    """Modules that predict further tokens while training (DeepSeek-V3, arXiv:2412.19437, sec. 2.2): each one more
    layer, a projection and the logits again, on the last pipeline stage; not part of the declared parameters."""
    video: VideoLatents | None = Field(None)
    """Needed for diffusion transformers."""
    declared_params: Tokens | None = Field(None)
    """Published (or announced) number of parameters; loading checks the count against it (3 %)."""
    declared_active_params: Tokens | None = Field(None)
    """Published number of parameters that one token uses; checked likewise (5 %)."""
    provenance: Provenance
    """Source."""

    def attended_tokens(self, sequence_length: float) -> float:
        """Return the tokens that attend to each other: one sample of a video model, else the whole sequence."""
        return sequence_length if self.video is None else self.video.tokens_per_sample

    @property
    def kv_heads(self) -> int:
        """Key/value heads, with the default resolved."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        """Width of one head, with the default resolved."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def num_moe_layers(self) -> int:
        """Layers with routed experts."""
        if self.moe is None:
            return 0
        return (self.num_hidden_layers - self.moe.first_k_dense) // self.moe.moe_layer_frequency

    @property
    def num_dense_layers(self) -> int:
        """Layers with an ordinary feed-forward block."""
        return self.num_hidden_layers - self.num_moe_layers
