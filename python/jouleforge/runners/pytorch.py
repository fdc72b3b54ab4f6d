"""PyTorch: the stored module, called from Python for each batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch._dynamo.utils import counters

from jouleforge._core import CallableRunner, Runner
from jouleforge.checkpoint import Checkpoint
from jouleforge.engine import Engine
from jouleforge.errors import GateError
from jouleforge.modeling import compile_module, load_engine
from jouleforge.runners import Arrays


class _Session:
    def __init__(self, engine: Engine, threads: int) -> None:
        torch.set_num_threads(threads)
        recipe = engine.manifest.recipe
        model = load_engine(Checkpoint.load(engine.path), recipe)
        self._compiled = recipe.compiled
        self._model = compile_module(model) if recipe.compiled else model
        self.runtime = f"torch {torch.__version__}"

    def prepare(self, inputs: Sequence[Arrays], outputs: Sequence[NDArray[np.float32]]) -> Runner:
        model = self._model
        batches = [
            {name: torch.from_numpy(array) for name, array in arrays.items()} for arrays in inputs
        ]
        buffers = [torch.from_numpy(out) for out in outputs]

        @torch.inference_mode()
        def step(index: int) -> None:
            buffers[index].copy_(model(**batches[index]).logits)

        if not self._compiled:
            return CallableRunner(step, len(batches))
        _see_every_shape(step, batches)
        graphs = counters["stats"]["unique_graphs"]

        def checked(index: int) -> None:
            step(index)
            if counters["stats"]["unique_graphs"] != graphs:
                raise GateError(
                    f"torch.compile compiled again for batch {index} of shapes it had seen; the "
                    "times would be those of the compiler"
                )

        return CallableRunner(checked, len(batches))


def _see_every_shape(step: Any, batches: Sequence[dict[str, torch.Tensor]]) -> None:
    """Run one batch of each shape, so that all compilation is over before anything is timed."""
    first: dict[tuple[torch.Size, ...], int] = {}
    for index, batch in enumerate(batches):
        first.setdefault(tuple(tensor.shape for tensor in batch.values()), index)
    for index in first.values():
        step(index)


def load(engine: Engine, *, threads: int) -> _Session:
    """Return the engine's module in evaluation mode."""
    return _Session(engine, threads)
