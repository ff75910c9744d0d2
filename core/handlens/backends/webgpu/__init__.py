"""The WebGPU backend: one WGSL file a kernel, a plan lowered to dispatches, replayed in one submit a run."""

from .backend import WebgpuBackend

__all__ = ["WebgpuBackend"]
