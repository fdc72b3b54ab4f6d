"""PyTorch: the stored module, called from Python for each batch."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from jouleforge._core import CallableRunner, Runner
from jouleforge.checkpoint import Checkpoint
from jouleforge.engine import Engine
from jouleforge.modeling import load_model
from jouleforge.runners import Arrays


class _Session:
    def __init__(self, engine: Engine, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = load_model(
            Checkpoint.load(engine.path), attention=engine.manifest.recipe.attention
        )
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

        return CallableRunner(step, len(batches))


def load(engine: Engine, *, threads: int) -> _Session:
    """Return the engine's module in evaluation mode."""
    return _Session(engine, threads)
