"""A small complete scenario, written with inline fields so that it needs no catalog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SCENARIO = """\
version: 1
name: tiny
title: A tiny scenario
start: 2026-01-01
horizon: 90 days
cluster:
  sites:
    lab:
      topology:
        title: One leaf-spine network
        gpu: toy
        gpus: 1024
        fabric:
          kind: clos
          switch_radix: 512
          tiers:
            - {name: leaf, group_gpus: 256, oversubscription: 2}
            - {name: spine, group_gpus: 0}
        provenance: &made_up {kind: assumption, reference: made up for tests, checked: 2026-01}
      partitions:
        main:
          gpu:
            name: toy
            title: Toy GPU
            vendor: Toys
            year: 2024
            peak: {bf16: 1 PFLOP/s, fp8: 2 PFLOP/s}
            hbm_capacity: 80 GB
            hbm_bandwidth: 3 TB/s
            multiprocessors: 132
            scale_up_bandwidth: 450 GB/s
            scale_up_domain: 8
            gpus_per_node: 8
            nic_bandwidth: 400 Gbit/s
            power_max: 700 W
            power_idle: 100 W
            host_power_per_gpu: 300 W
            provenance: *made_up
          capacity:
            - {at: 2026-01-01, gpus: 1024}
      storage:
        write_bandwidth: 100 GB/s
        read_bandwidth: 200 GB/s
        bandwidth_per_gpu: 5 GB/s
        provenance: *made_up
jobs:
  small:
    model:
      hidden_size: 4096
      num_hidden_layers: 32
      num_attention_heads: 32
      num_key_value_heads: 8
      intermediate_size: 14336
      vocab_size: 128256
      provenance: *made_up
    site: lab
    gpus: 512
    submit: 2026-01-02
    parallel:
      tensor_parallel: 4
      pipeline_parallel: 2
      global_batch_size: 512
      sequence_length: 8192
      stack:
        title: Toy stack
        tensor_overlap: 0
        data_overlap: 0.8
        context_overlap: 0.5
        expert_overlap: 0
        pipeline_overlap: 0
        overlap_slowdown: 0.1
        fused_attention: true
        fused_elementwise: 1.2
        kernels_per_layer: 12
        cuda_graphs: false
        compute_jitter: 0.01
        step_overhead: 50 ms
        microbatch_overhead: 1 ms
        gradient_bytes: 4
        master_bytes: 4
        moment_bytes: 8
        memory_overhead: 4 GB
        memory_fragmentation: 5%
        provenance: *made_up
    phases:
      pretrain: {tokens: 1T}
      sft: {gpu_time_share: {low: 0.01, central: 0.02, high: 0.05, source: a guess}, gpus: 256}
    target: {date: 2026-02-15, means: released}
faults:
  classes:
    gpu: {per: gpu, rate: 1e-5 /h, removes: node, repair: {manual_time: 24 h}, provenance: *made_up}
checkpoint:
  tiers:
    - {name: storage, interval: 30 min}
calibration:
  provenance: *made_up
  kernels:
    - gpu: "*"
      precision: "*"
      gemm_peak_fraction: 0.8
      gemm_tile: [256, 128]
      gemm_half_k: 256
      gemm_small_tile_fraction: 0.8
      grouped_gemm_fraction: 0.8
      attention_fraction: 0.6
      attention_backward_fraction: 0.5
      attention_half_sequence: 1024
      attention_half_head_size: 64
      memory_fraction: 0.85
      kernel_launch: 5 us
      provenance: *made_up
"""


@pytest.fixture
def tiny() -> str:
    """The text of a valid scenario."""
    return SCENARIO


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a text to a file of a temporary folder and return its path."""

    def writer(text: str | bytes, name: str = "scenario.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer
