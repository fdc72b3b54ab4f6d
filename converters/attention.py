"""Attention as the exporter writes it: our entries in transformers' attention registry.

transformers 5 routes the attention of its encoders through two registries, one for the attention
function and one for the mask it receives. An attention name without a mask entry gets no mask at
all and would silently attend to padding, so every entry here is registered in both.
"""

from typing import Any

import torch
from torch.onnx import ops as onnx_ops
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

PLAIN = "jouleforge_plain"
FUSED = "jouleforge_fused"

# Large enough to vanish in a softmax, small enough for float16 and for calibration histograms,
# which the usual -3.4e38 breaks.
MASKED_SCORE = -1e4


def _additive_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    attention_mask: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    **_: Any,
) -> torch.Tensor:
    """Return 0 for tokens and `MASKED_SCORE` for padding, shape (batch, 1, 1, keys)."""
    del batch_size, q_length, kv_length
    assert attention_mask is not None, "the exporter always gives a mask"
    return (1.0 - attention_mask[:, None, None, :].to(dtype)) * MASKED_SCORE


def _plain_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Standard operators only; Q is scaled before the product, as TensorRT's fusion expects."""
    del dropout
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(-1, -2)) + attention_mask
    del module
    return torch.matmul(torch.softmax(scores, dim=-1), value).transpose(1, 2), None


def _key_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    attention_mask: torch.Tensor | None = None,
    **_: Any,
) -> torch.Tensor | None:
    """Return the mask as it came, shape (batch, keys).

    The raw mask keeps left padding and holes exact; a mask reduced to lengths, as graph optimizers
    write it, is right for right padding only.
    """
    del batch_size, q_length, kv_length
    return attention_mask


def _fused_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """ONNX Runtime's MultiHeadAttention operator; `fusion.py` packs its projections later."""
    del module, dropout
    batch, heads, length, size = query.shape

    def rows(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.transpose(1, 2).reshape(batch, length, heads * size)

    attended = onnx_ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        (rows(query), rows(key), rows(value), None, attention_mask.to(torch.int32)),
        {
            "num_heads": int(heads),
            "scale": float(size**-0.5 if scaling is None else scaling),
            "mask_filter_value": MASKED_SCORE,
        },
        dtype=query.dtype,
        shape=(batch, length, heads * size),
        version=1,
    )
    return attended, None


def register() -> None:
    """Make both entries known to transformers; doing it again changes nothing."""
    AttentionInterface.register(PLAIN, _plain_attention)
    AttentionMaskInterface.register(PLAIN, _additive_mask)
    AttentionInterface.register(FUSED, _fused_attention)
    AttentionMaskInterface.register(FUSED, _key_mask)
