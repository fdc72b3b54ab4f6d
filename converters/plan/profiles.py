"""Profiles: the ranges of shapes that TensorRT compiles a graph for, one per length bucket."""

from jouleforge.nvinfer.record import Profile
from jouleforge.recipe import Recipe

# Shorter sequences gain nothing from kernels of their own.
_SHORTEST = 16


def lengths(recipe: Recipe) -> tuple[int, ...]:
    """Return the upper lengths of the buckets, in tokens.

    By default powers of two and the numbers halfway between them (16, 24, 32, 48, …), so that at
    most a third of a sequence is beyond what its kernels were chosen for, up to `max_length`.
    """
    if recipe.buckets:
        return recipe.buckets
    steps: list[int] = []
    power = _SHORTEST
    while power < recipe.max_length:
        steps += [power, power * 3 // 2]
        power *= 2
    return (*(step for step in steps if step < recipe.max_length), recipe.max_length)


def make(recipe: Recipe) -> tuple[Profile, ...]:
    """Return one profile per bucket, shortest first; together they take every length from 1.

    Kernels are timed at the full bucket and the largest batch.
    """
    made: list[Profile] = []
    shortest = 1
    for length in lengths(recipe):
        largest = (recipe.max_batch, length)
        made.append(Profile(smallest=(1, shortest), best=largest, largest=largest))
        shortest = length + 1
    return tuple(made)
