"""Calibration rows: a seeded sample of the task's calibration split, in real lengths."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from jouleforge.converters.parity import Inputs
from jouleforge.measurement import WorkloadSpec
from jouleforge.proof import CalibrationRecord, Candidate
from jouleforge.task import Examples
from jouleforge.workload import build_workload

# Small batches keep the activations of one run small, whatever the length.
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """Token batches without any padding, and where they come from."""

    batches: list[Inputs]
    task: str
    source: str
    count: int
    tokens: int
    duplicates: int
    """Rows whose text another row before it has."""
    digest: str
    """SHA-256 over the texts and labels."""

    def record(
        self, smoothed: dict[str, float], candidates: tuple[Candidate, ...]
    ) -> CalibrationRecord:
        """Return the manifest's entry of a calibration on these rows.

        Args:
            smoothed: Migration strength of SmoothQuant by activation, where it was used.
            candidates: What was built and scored.
        """
        return CalibrationRecord(
            task=self.task,
            source=self.source,
            rows=self.count,
            tokens=self.tokens,
            duplicates=self.duplicates,
            digest=self.digest,
            smoothed=smoothed,
            candidates=candidates,
        )


def draw(
    task: str,
    *,
    count: int,
    seed: int,
    tokenizer: Tokenizer,
    inputs: tuple[str, ...],
    max_length: int,
    pad_id: int,
) -> Rows:
    """Return rows of the calibration split, those of equal length together in batches.

    Nothing is padded, and so no range is widened by what a padded position happens to hold. The
    split shares no text with the selection and test splits (`Task.examples`).

    Raises:
        InputError: The task has no calibration split, or it is empty.
        MissingError: Its data are not on this machine.
    """
    spec = WorkloadSpec(
        task=task,
        split="calibration",
        batch_size=_BATCH,
        padding="exact",
        limit=count,
        sample_seed=seed,
    )
    drawn = build_workload(
        spec, tokenizer=tokenizer, inputs=inputs, max_length=max_length, pad_id=pad_id
    )
    return Rows(
        batches=[batch.inputs for batch in drawn.batches],
        task=drawn.task.name,
        source=drawn.facts.source,
        count=drawn.facts.examples,
        tokens=drawn.facts.real_tokens,
        duplicates=_duplicates(drawn.examples),
        digest=drawn.facts.digest,
    )


def _duplicates(examples: Examples) -> int:
    return len(examples.texts) - len(set(examples.texts))
