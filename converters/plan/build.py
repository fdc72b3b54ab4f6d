"""Build: a typed graph becomes a plan. Every precision is the graph's own; TensorRT adds none."""

import logging
from dataclasses import dataclass

import onnx

from jouleforge import cuda, nvinfer
from jouleforge.converters.plan import inspection, products, profiles, timing
from jouleforge.cuda import Gpu
from jouleforge.errors import GateError
from jouleforge.nvinfer import Library, Log
from jouleforge.nvinfer.api import Builder, IBuilderConfig, INetworkDefinition
from jouleforge.nvinfer.record import BuildRecord, Profile
from jouleforge.recipe import Recipe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialised plan, and what is known of it."""

    data: bytes
    record: BuildRecord


def build(graph: onnx.ModelProto, recipe: Recipe, library: Library | None = None) -> Plan:
    """Return the graph as a plan.

    With TensorRT-RTX no GPU is needed, and the plan proves no more than that the graph can be
    parsed and compiled: nothing has run.

    Args:
        graph: Inputs int64 of shape (batch, sequence), output `logits` float32; typed as it is to
            be computed, INT8 and FP8 as Q/DQ nodes with zero points of 0.
        recipe: Its buckets, max_batch, max_length, tf32, version_compatible and lean are used.
        library: What builds; by default TensorRT, else TensorRT-RTX.

    Raises:
        MissingError: There is neither library; or there is TensorRT, but no GPU.
        GateError: The graph cannot be parsed or compiled; the message is TensorRT's own.
    """
    library = library or nvinfer.load()
    # TensorRT crashes without a driver, so it is asked for before anything is created.
    gpu = cuda.gpu() if library.name == "tensorrt" else None
    log = Log()
    builder = library.api.Builder(log.logger(library))
    network = _parsed(builder, library, log, graph)
    config = builder.create_builder_config()
    chosen = profiles.make(recipe)
    _configure(config, library, recipe)
    _add_profiles(builder, config, network, chosen)
    data = _compiled(builder, network, config, log, _cache(library, gpu))
    record = _record(library, gpu, config, chosen, graph, log)
    return Plan(data=data, record=record)


def _parsed(
    builder: Builder, library: Library, log: Log, graph: onnx.ModelProto
) -> INetworkDefinition:
    network = builder.create_network(library.creation_flags)
    parser = library.api.OnnxParser(network, log.logger(library))
    if not parser.parse(graph.SerializeToString()):
        found = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = "; ".join(
            f"{error.node_operator()} {error.node_name()!r}: {error.desc()}" for error in found
        )
        raise GateError(f"{library.name} does not understand the graph: {reasons}")
    return network


def _configure(config: IBuilderConfig, library: Library, recipe: Recipe) -> None:
    flags = library.flags
    # On by default: a "float32" engine would round its factors to 10 bits of mantissa.
    if recipe.tf32:
        config.set_flag(flags.TF32)
    else:
        config.clear_flag(flags.TF32)
    if recipe.version_compatible:
        config.set_flag(flags.VERSION_COMPATIBLE)
    if recipe.lean:
        config.set_flag(flags.EXCLUDE_LEAN_RUNTIME)
    config.profiling_verbosity = library.api.ProfilingVerbosity.DETAILED


def _add_profiles(
    builder: Builder,
    config: IBuilderConfig,
    network: INetworkDefinition,
    chosen: tuple[Profile, ...],
) -> None:
    names = [network.get_input(index).name for index in range(network.num_inputs)]
    for one in chosen:
        profile = builder.create_optimization_profile()
        for name in names:
            profile.set_shape(name, one.smallest, one.best, one.largest)
        if config.add_optimization_profile(profile) < 0:
            raise GateError(f"TensorRT refuses the profile {one}")


def _cache(library: Library, gpu: Gpu | None) -> timing.Cache:
    if gpu is None or not library.has_timing_cache:
        return timing.Cache(None)
    return timing.Cache(timing.file(library, gpu))


def _compiled(
    builder: Builder,
    network: INetworkDefinition,
    config: IBuilderConfig,
    log: Log,
    cache: timing.Cache,
) -> bytes:
    cache.use(config)
    _log.info("compiling; TensorRT times kernels for every profile")
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        said = "; ".join(log.errors) or "; ".join(log.warnings) or "it gives no reason"
        raise GateError(f"TensorRT cannot compile the graph: {said}")
    cache.keep(config)
    return bytes(plan)


def _record(
    library: Library,
    gpu: Gpu | None,
    config: IBuilderConfig,
    chosen: tuple[Profile, ...],
    graph: onnx.ModelProto,
    log: Log,
) -> BuildRecord:
    return BuildRecord(
        library=library.name,
        version=library.version,
        gpu=gpu.name if gpu else None,
        compute_capability=gpu.compute_capability if gpu else None,
        driver=gpu.driver if gpu else None,
        tf32=config.get_flag(library.flags.TF32),
        version_compatible=config.get_flag(library.flags.VERSION_COMPATIBLE),
        lean=config.get_flag(library.flags.EXCLUDE_LEAN_RUNTIME),
        inputs=tuple(one.name for one in graph.graph.input),
        profiles=chosen,
        products=products.of(graph),
        attention_recognised=inspection.recognised_attention(log),
        layers=inspection.layers_of_log(log),
        layers_from="build log",
        log=inspection.telling(log),
    )
