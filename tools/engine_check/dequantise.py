"""The number formats in torch, as simply as they can be said. Weights [..., N, K]."""

import torch

_E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def _by_blocks(values, scales):
    """Multiplies each block of equally many columns by its scale [..., N, blocks]."""
    blocks = values.unflatten(-1, (scales.shape[-1], -1))
    return (blocks * scales.unsqueeze(-1)).flatten(-2)


def e2m1(packed):
    """Two values a byte, the even column in the low nibble."""
    packed = packed.view(torch.uint8)
    return _E2M1[torch.stack((packed & 15, packed >> 4), -1).long()].flatten(-2)


def e8m0(scales):
    return torch.exp2(scales.view(torch.uint8).float() - 127)


def nvfp4(packed, scales, global_scale):
    """`global_scale` multiplies: one number per matrix."""
    factor = global_scale.float().reshape(*packed.shape[:-2], 1, 1)
    return _by_blocks(e2m1(packed), scales.float() * factor)


def mxfp4(packed, scales):
    return _by_blocks(e2m1(packed), e8m0(scales))


def mxfp8(values, scales):
    return _by_blocks(values.float(), e8m0(scales))


def int4(words, scales):
    """Eight offset-binary values a 32-bit word, the first column in the lowest bits."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32)
    values = ((words.unsqueeze(-1) >> shifts) & 15).flatten(-2) - 8
    return _by_blocks(values.float(), scales.float())


def fp8(values, scales):
    """E4M3 with a scale per matrix, per row or per 128 x 128 block."""
    values, scales = values.float(), scales.float()
    stack, (rows, columns) = values.shape[:-2], values.shape[-2:]
    if scales.numel() == stack.numel():
        return values * scales.reshape(*stack, 1, 1)
    if scales.numel() == stack.numel() * rows:
        return values * scales.reshape(*stack, rows, 1)
    wide = scales.repeat_interleave(128, -2)[..., :rows, :]
    return values * wide.repeat_interleave(128, -1)[..., :columns]
