"""SmoothQuant: move what makes activations hard to quantise into the weights.

Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language
Models", ICML 2023: a product X W is written as (X / s)(s W) with one factor s per input channel,
s = max|X|^a / max|W|^(1 - a). The migration strength a is searched for each activation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from numpy.typing import NDArray

from jouleforge.converters.graph import add_constant, constant
from jouleforge.converters.naming import encoder_products, region
from jouleforge.converters.precision.weights import quantize_weight

Array = NDArray[np.float32]

_STRENGTHS = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
# The extra multiplication costs time: it must at least halve the squared error.
_WORTHWHILE = 0.5


class Seen(Protocol):
    """What was seen of an activation."""

    channel_max: Array
    """Largest magnitude by channel, shape (channels,)."""

    @property
    def sample(self) -> Array:
        """Some rows as they were, shape (rows, channels)."""
        ...


@dataclass(frozen=True, slots=True)
class Migration:
    """The factors of one activation."""

    strength: float
    factors: Array


def search(
    proto: onnx.ModelProto, seen: Mapping[str, Seen], strength: float | None
) -> dict[str, Migration]:
    """Return the migration of each activation that gains by one.

    Args:
        proto: Plain graph in float32.
        seen: What was seen of the activations that enter products.
        strength: The same for all; `None` searches the one with the least error of the products,
            both factors rounded to 8 bits, on the sampled rows.
    """
    found: dict[str, Migration] = {}
    for name, nodes in _groups(ir.from_proto(proto).graph).items():
        weights = np.concatenate([_weight(node) for node in nodes], axis=1)
        activation = seen[name]
        plain = _error(activation.sample, weights, np.ones(len(weights), np.float32))
        candidates = _STRENGTHS if strength is None else (strength,)
        tried = [Migration(a, _factors(activation.channel_max, weights, a)) for a in candidates]
        errors = [_error(activation.sample, weights, each.factors) for each in tried]
        best = int(np.argmin(errors))
        if strength is not None or errors[best] < _WORTHWHILE * plain:
            found[name] = tried[best]
    return found


def apply(proto: onnx.ModelProto, migrations: Mapping[str, Migration]) -> onnx.ModelProto:
    """Return the graph with activations divided and weights multiplied by the factors.

    In float32 it computes the same: s cancels.
    """
    model = ir.from_proto(proto)
    for name, nodes in _groups(model.graph).items():
        if name not in migrations:
            continue
        factors = migrations[name].factors
        value = nodes[0].inputs[0]
        assert value is not None
        divided = ir.Node(
            "",
            "Mul",
            [value, add_constant(model.graph, f"{name}_smoother", 1 / factors)],
            name=f"{region(nodes[0])}/Mul.smooth",
        )
        smooth = divided.outputs[0]
        smooth.name, smooth.shape, smooth.type = f"{name}_smooth", value.shape, value.type
        model.graph.insert_before(nodes[0], divided)
        for node in nodes:
            weight = node.inputs[1]
            assert weight is not None
            scaled = _weight(node) * factors[:, None]
            node.replace_input_with(0, smooth)
            node.replace_input_with(1, add_constant(model.graph, f"{weight.name}_smooth", scaled))
    common.RemoveUnusedNodesPass()(model)
    return ir.to_proto(model)


def _groups(graph: ir.Graph) -> dict[str, list[ir.Node]]:
    """Return the products by the activation they share."""
    groups: dict[str, list[ir.Node]] = {}
    for node in encoder_products(graph):
        value = node.inputs[0]
        assert value is not None
        groups.setdefault(str(value.name), []).append(node)
    return groups


def _weight(node: ir.Node) -> Array:
    weight = constant(node.inputs[1])
    assert weight is not None, "the weights of products are constants"
    return np.asarray(weight, dtype=np.float32)


def _factors(channel_max: Array, weights: Array, strength: float) -> Array:
    weight_max = np.abs(weights).max(axis=1)
    usable = (channel_max > 0) & (weight_max > 0)
    ratio = np.ones_like(channel_max)
    np.divide(channel_max**strength, weight_max ** (1 - strength), out=ratio, where=usable)
    # Only the ratios between channels matter; centred, they keep the weights' magnitude.
    centred: Array = (ratio / np.exp(np.log(ratio).mean())).astype(np.float32)
    return centred


def _error(sample: Array, weights: Array, factors: Array) -> float:
    """Return the squared error of the product with both factors rounded to 8 bits."""
    scaled = sample / factors
    low, high = min(float(scaled.min()), 0.0), max(float(scaled.max()), 0.0)
    step = (high - low) / 255 or 1.0
    zero = np.rint(-low / step)
    rounded = (np.clip(np.rint(scaled / step) + zero, 0, 255) - zero) * step
    stored, scale = quantize_weight(weights * factors[:, None])
    exact = sample @ weights
    return float(np.mean((rounded @ (stored * scale) - exact) ** 2))
