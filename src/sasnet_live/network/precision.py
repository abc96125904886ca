"""In which arithmetic convolutions are computed: what a device does fast, and a network brought to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sasnet_live.errors import InputError

from .sasnet import SASNet

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by instructions of its own; CPUs without them emulate it very slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def resolved_precision(name: str, device: torch.device) -> str:
    """ "fp32", "bf16" or "fp16"; "auto" is fp16 on CUDA, and bf16 on a CPU that computes it.

    Raises
    ------
    InputError
        For fp16 on a CPU, which has no arithmetic for it.
    """
    if name == "auto":
        if device.type == "cuda":
            return "fp16"
        return "bf16" if computes_bfloat16(device) else "fp32"
    if name == "fp16" and device.type == "cpu":
        raise InputError("precision fp16 was asked for on cpu, which has no arithmetic for it; use auto, bf16 or fp32")
    return name


def with_convolutions_in(network: SASNet, dtype: torch.dtype) -> SASNet:
    """The network, the weights of its image convolutions converted in place, its layout set to channels last.

    All else stays float32: moments, normalization of intensities and appearance codes are small and want the digits.
    So does the scene encoder's first convolution: what is rounded there, all later layers see. On 24 simulated frames
    this halved the change of SSIM by bfloat16, from -9e-5 to -4e-5.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module is not network.scene_encoder.first:
            module.to(dtype)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
