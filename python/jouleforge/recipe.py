"""Recipe: how a checkpoint is to be converted."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from jouleforge.caveats import ALLOWABLE, Caveat
from jouleforge.stored import Stored

Flavour = Literal["plain", "fused"]
Attention = Literal["eager", "sdpa"]
Precision = Literal["fp32", "fp16", "bf16", "int8", "int8-dynamic", "fp8"]
FloatPrecision = Literal["fp32", "fp16", "bf16"]
Provider = Literal["cpu", "cuda"]
Quantizer = Literal["own", "nncf"]

_COLLECTOR = re.compile(r"auto|none|minmax|entropy|mse|percentile:(\d+(\.\d+)?)")


class Recipe(Stored):
    """How to convert one checkpoint into one engine.

    `"auto"` leaves a choice to the target; the recipe stored in an engine names what was chosen.
    A choice that a target does not have (the attention of a graph, the flavour of a module) is
    stored as `"none"`.
    """

    target: str
    """Name of a module in `jouleforge.converters.targets`: `ort`, `ov`, `pytorch`, `trt`."""

    precision: Precision = "fp32"
    """Number format of weights and of the multiplications."""

    rest: FloatPrecision | Literal["auto", "none"] = "auto"
    """What an INT8 or FP8 engine computes in where it does not use integers or FP8."""

    flavour: Flavour | Literal["auto", "none"] = "auto"
    """Form of the exported graph. `plain`: standard operators, finite mask. `fused`: ONNX Runtime's
    packed attention, embedding and skip-layer-norm operators."""

    attention: Attention | Literal["auto", "none"] = "auto"
    """Attention implementation of a PyTorch module."""

    compiled: bool = False
    """Compile a PyTorch module with `torch.compile`, weights frozen into the code."""

    provider: Provider | Literal["auto", "none"] = "auto"
    """Where ONNX Runtime executes."""

    max_length: int = Field(default=0, ge=0)
    """Longest sequence in tokens that the engine takes; 0 is the checkpoint's own limit."""

    quantizer: Quantizer | Literal["auto", "none"] = "auto"
    """Who places and scales the Q/DQ nodes of a static INT8 engine: we, or NNCF's defaults."""

    calibrator: str = "auto"
    """How activation ranges follow from what was seen: `minmax`, `percentile:P`, `entropy`, `mse`,
    or `auto`, which builds with each and keeps the best on the selection split."""

    calibration_rows: Annotated[int, Field(ge=1)] = 256
    calibration_seed: int = 0

    smoothquant: Literal["off", "auto"] | Annotated[float, Field(ge=0, le=1)] = "off"
    """Migration strength of SmoothQuant, `auto` to search it per layer, `off` for none."""

    keep_float: Literal["none", "auto"] | tuple[str, ...] = "none"
    """Regions that stay in floating point: names such as `layer.3.ffn_out`, or `auto` to return the
    most harmful ones until the gate passes."""

    max_drop: Annotated[float, Field(ge=0)] = 1.0
    """Points the task's metric may lose on the selection split, under every padding policy."""

    max_changed: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the selection split's decisions that may differ from the checkpoint's."""

    selection_rows: Annotated[int, Field(ge=1)] = 512
    """Rows of the selection split that the gate, and the choice of a calibrator, look at."""

    tf32: bool = False
    """Let TensorRT round the factors of FP32 products to 10 bits of mantissa (TF32)."""

    buckets: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Upper sequence lengths of TensorRT's optimisation profiles; empty: powers of two and their
    halves up to `max_length`."""

    max_batch: Annotated[int, Field(ge=1)] = 64
    """Largest batch of TensorRT's optimisation profiles."""

    version_compatible: bool = False
    """Build a TensorRT plan that later versions of the same major version can run."""

    lean: bool = False
    """Leave the lean runtime out of a version-compatible plan; it is then loaded beside it."""

    allow: tuple[Caveat, ...] = ()
    """Findings of the audit that do not fail the conversion but are recorded as caveats."""

    @field_validator("calibrator")
    @classmethod
    def _known_collector(cls, name: str) -> str:
        match = _COLLECTOR.fullmatch(name)
        if match is None or (match[1] and not 50 < float(match[1]) <= 100):
            raise ValueError(
                "auto, minmax, percentile:P (50 < P <= 100), entropy or mse is expected"
            )
        return name

    @field_validator("smoothquant", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Take a number that is written as text, as a command line gives it."""
        try:
            return float(value) if isinstance(value, str) else value
        except ValueError:
            return value

    @field_validator("keep_float", mode="before")
    @classmethod
    def _one_word(cls, value: object) -> object:
        """Take `auto` and `none` as the only one of several too."""
        words = tuple(value) if isinstance(value, list | tuple) else value
        return words[0] if words in (("auto",), ("none",)) else words or "none"

    @field_validator("allow")
    @classmethod
    def _allowable(cls, allow: tuple[Caveat, ...]) -> tuple[Caveat, ...]:
        if strange := [name for name in allow if name not in ALLOWABLE]:
            known = ", ".join(ALLOWABLE)
            raise ValueError(f"{strange[0]} cannot be allowed; these can: {known}")
        return tuple(sorted(set(allow)))

    @field_validator("buckets")
    @classmethod
    def _increasing(cls, buckets: tuple[int, ...]) -> tuple[int, ...]:
        if list(buckets) != sorted(set(buckets)):
            raise ValueError("lengths that increase are expected")
        return buckets

    @property
    def is_eager(self) -> bool:
        """Whether it is PyTorch with attention written out, which tables take as the baseline."""
        return self.target == "pytorch" and self.attention == "eager"

    @property
    def is_calibrated(self) -> bool:
        """Whether the engine needs activation ranges."""
        return self.precision in ("int8", "fp8")

    @property
    def multiplied_in(self) -> str:
        """Return the number format of the products: `int8` for both kinds of INT8 engines."""
        return "int8" if self.precision == "int8-dynamic" else self.precision

    @property
    def device(self) -> Literal["cpu", "gpu"]:
        """Return what does the work."""
        return "gpu" if self.target == "trt" or self.provider == "cuda" else "cpu"

    @property
    def float_precision(self) -> FloatPrecision:
        """Return what is computed in wherever there are neither integers nor FP8."""
        if self.precision in ("fp32", "fp16", "bf16"):
            return self.precision
        return "fp32" if self.rest == "auto" or self.rest == "none" else self.rest

    @property
    def name(self) -> str:
        """Return a short name for tables, such as `ort fused int8-dynamic`."""
        parts: list[str] = [self.target, self.flavour, self.attention]
        parts += ["compiled"] * self.compiled + ["cuda"] * (self.provider == "cuda")
        parts.append(self.precision)
        if self.is_calibrated:
            parts += [self.quantizer] if self.quantizer == "nncf" else [self.calibrator]
            parts += [f"+ {self.rest}"] if self.rest not in ("auto", "none", "fp32") else []
            parts += [] if self.smoothquant == "off" else [f"smooth {self.smoothquant}"]
            parts += [] if self.keep_float == "none" else ["partly float"]
        parts += ["tf32"] * self.tf32
        return " ".join(part for part in parts if part not in ("auto", "none"))
