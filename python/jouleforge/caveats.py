"""Caveats: what a reader must know before trusting a measurement.

A caveat is recorded in the measurement and printed under every table that uses it; nothing is
warned about and then forgotten.
"""

from enum import StrEnum


class Caveat(StrEnum):
    """One reason to read a number with care; the value is stored, `text` is printed."""

    SYNTHETIC_TEXT = "synthetic-text"
    ENERGY_UNAVAILABLE = "energy-unavailable"
    ENERGY_ESTIMATED = "energy-estimated"
    ENERGY_INTEGRATED = "energy-integrated"
    METER_UNCHECKED = "meter-unchecked"
    DITHERED = "dithered"
    SENSOR_GAIN = "sensor-gain"
    POWER_CAPPED = "power-capped"
    METER_ELSEWHERE = "meter-elsewhere"
    TRUNCATED = "truncated"
    LABELS_BY_POSITION = "labels-by-position"
    LABEL_ORDER = "label-order"
    CONSTANT_PREDICTION = "constant-prediction"
    OTHER_DEVICE = "other-device"
    FEW_PASSES = "few-passes"
    QUICK = "quick"
    NOT_STEADY = "not-steady"
    ROWS_LIMITED = "rows-limited"
    CLOCK = "clock"
    INT8_SATURATES = "int8-saturates"
    PRECISION_NOT_HONOURED = "precision-not-honoured"
    ATTENTION_NOT_FUSED = "attention-not-fused"
    NODE_ELSEWHERE = "node-elsewhere"
    TF32 = "tf32"
    SLOW_PRECISION = "slow-precision"
    DUPLICATE_ROWS = "duplicate-rows"
    UNGATED = "ungated"
    ADOPTED = "adopted"
    PARITY_UNCHECKED = "parity-unchecked"
    RIGHT_PADDING_ONLY = "right-padding-only"

    @property
    def text(self) -> str:
        """Return the sentence that is printed under a table."""
        return _TEXTS[self]


_TEXTS = {
    Caveat.SYNTHETIC_TEXT: "The text is synthetic, made by jouleforge: speed ratios and accuracy "
    "say nothing about your data.",
    Caveat.ENERGY_UNAVAILABLE: "No energy counter could be read: joules are missing, not zero. "
    "`jouleforge doctor` says why.",
    Caveat.ENERGY_ESTIMATED: "Joules marked 'estimated' come from a power model, not from a meter.",
    Caveat.ENERGY_INTEGRATED: "Joules marked 'integrated' are sampled power, added up; a sensor "
    "that looks a part of the time may be wrong by tens of percent for loads that beat with it.",
    Caveat.METER_UNCHECKED: "The GPU's meter was not examined on this board with this driver "
    "(`jouleforge doctor --meter`): whether its sensor looks all of the time is not known.",
    Caveat.DITHERED: "Batches kept pace with a sensor that looks part of the time, and were "
    "interrupted once a second. The energy of the pauses is taken out where idle power was read; "
    "it is uncertain by half.",
    Caveat.SENSOR_GAIN: "The GPU's sensor was not compared with a meter at the wall: boards are "
    "published to be wrong by -8 to +13 %, which ratios on one board do not feel.",
    Caveat.POWER_CAPPED: "The GPU was held down by its power cap: its joules are as much the cap's "
    "as the engine's.",
    Caveat.METER_ELSEWHERE: "The joules are those of a GPU, while the engine ran on the processor.",
    Caveat.TRUNCATED: "Some texts were longer than the engine or the padding policy takes, "
    "and were cut.",
    Caveat.LABELS_BY_POSITION: "The checkpoint's labels have other names than the task's; they "
    "were matched by their position.",
    Caveat.LABEL_ORDER: "The checkpoint's label order contradicts the task's: accuracy is below "
    "the majority class, while another order of the labels is far above it.",
    Caveat.CONSTANT_PREDICTION: "The engine gave the same answer to every example.",
    Caveat.OTHER_DEVICE: "The engine was built on another processor than it was measured on.",
    Caveat.FEW_PASSES: "Fewer than three passes over the data were timed in at least one window.",
    Caveat.NOT_STEADY: "Batch times still had a trend when at least one window began, or that was "
    "not looked at: its first batches may have taken longer, or shorter, than the later ones.",
    Caveat.QUICK: "A quick run (five blocks at most, short windows): good for a look, and not for "
    "a number to publish.",
    Caveat.ROWS_LIMITED: "Only a sample of the split was used (a row limit was given).",
    Caveat.INT8_SATURATES: "This processor has no VNNI or AMX: INT8 products may saturate, "
    "so the INT8 answers can differ from, and be worse than, those on a newer processor.",
    Caveat.PRECISION_NOT_HONOURED: "The runtime executes matrix products in another precision than "
    "the engine was asked for; its audit says which.",
    Caveat.ATTENTION_NOT_FUSED: "The runtime computes attention in separate steps where a fused "
    "kernel was expected.",
    Caveat.NODE_ELSEWHERE: "Some nodes ran on another device than the engine was asked for.",
    Caveat.TF32: "FP32 products may be computed with TF32 factors (10 bits of mantissa).",
    Caveat.SLOW_PRECISION: "This processor has no instructions for the engine's precision; it is "
    "emulated, and slow.",
    Caveat.DUPLICATE_ROWS: "Many of the calibration rows were the same text.",
    Caveat.UNGATED: "The engine was converted without a task: its accuracy was not checked against "
    "the checkpoint's before it was measured.",
    Caveat.ADOPTED: "The engine was not converted by jouleforge: it runs a graph that somebody "
    "else made, in the precision that was found in it.",
    Caveat.PARITY_UNCHECKED: "The engine was adopted without its checkpoint: whether it answers as "
    "the checkpoint does was not checked.",
    Caveat.RIGHT_PADDING_ONLY: "The graph reduces its mask to lengths: it is right for padding on "
    "the right, as here, and wrong for padding on the left or a mask with holes.",
    Caveat.CLOCK: "The kernel's clock source is slow or unstable; short latencies are unreliable.",
}

ALLOWABLE = (
    Caveat.PRECISION_NOT_HONOURED,
    Caveat.ATTENTION_NOT_FUSED,
    Caveat.NODE_ELSEWHERE,
    Caveat.TF32,
    Caveat.DUPLICATE_ROWS,
)
"""What fails a conversion unless it is allowed; once allowed, it stays with every measurement."""
