"""Audit: what an engine executes, from the runtime's own evidence, against what was asked for."""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

from jouleforge.caveats import Caveat
from jouleforge.converters.evidence import Evidence, Product
from jouleforge.errors import GateError
from jouleforge.proof import Audit
from jouleforge.recipe import Recipe

# The head's products are the rest: small, and in float32 in every precision.
_ENOUGH = 0.95


def judge(evidence: Evidence, recipe: Recipe, *, layers: int) -> Audit:
    """Return what the runtime executes.

    Raises:
        GateError: It is not what the recipe asks for, and the recipe does not allow that.
    """
    findings = dict(_findings(evidence, recipe, layers))
    refused = {name: text for name, text in findings.items() if name not in recipe.allow}
    if refused:
        raise GateError(
            f"the audit failed: {'; '.join(refused.values())} (as {evidence.source} shows). Pass "
            f"--allow {' --allow '.join(refused)} to accept that and have it recorded. No engine "
            "was written."
        )
    work: Counter[str] = Counter()
    for product in evidence.products:
        work[product.provider] += product.multiply_adds
    return Audit(
        source=evidence.source,
        shares=evidence.shares(),
        weighted_shares=evidence.shares(weighted=True),
        providers={name: count / (work.total() or 1) for name, count in sorted(work.items())},
        layers=layers,
        fused_attentions=evidence.fused_attentions,
        operators=dict(sorted(evidence.operators.items())),
        tf32=evidence.tf32,
        allowed=findings,
    )


def _findings(evidence: Evidence, recipe: Recipe, layers: int) -> Iterator[tuple[Caveat, str]]:
    """Give everything that was asked for and not done."""
    wanted = recipe.multiplied_in
    share = _share(evidence, recipe, wanted)
    if share < _ENOUGH:
        ran = ", ".join(
            f"{name} {part:.1%}" for name, part in evidence.shares(weighted=True).items()
        )
        yield (
            Caveat.PRECISION_NOT_HONOURED,
            f"only {share:.1%} of the layers' multiply-adds ran in {wanted}, though the engine was "
            f"asked for it (products with a weight: {ran or 'none'})",
        )
    if _expects_fused(recipe) and evidence.fused_attentions != layers:
        yield (
            Caveat.ATTENTION_NOT_FUSED,
            f"{evidence.fused_attentions} of {layers} attentions were fused",
        )
    if evidence.elsewhere:
        named = ", ".join(evidence.elsewhere[:3])
        yield (
            Caveat.NODE_ELSEWHERE,
            f"{len(evidence.elsewhere)} nodes ran on another device than asked for: {named}",
        )
    if evidence.tf32 and not recipe.tf32:
        yield Caveat.TF32, "FP32 products may be computed with TF32 factors"


def _expects_fused(recipe: Recipe) -> bool:
    # TensorRT has no fused kernel for float32, although it recognises the pattern.
    low = "fp32" not in (recipe.rest, recipe.precision)
    return (
        recipe.flavour == "fused" or recipe.attention == "sdpa" or (recipe.target == "trt" and low)
    )


def _share(evidence: Evidence, recipe: Recipe, wanted: str) -> float:
    """Return the share of the products with a weight, but for those kept in float, in `wanted`."""
    counted = [
        product for product in evidence.products if product.weighted and not _kept(product, recipe)
    ]
    total = sum(product.multiply_adds for product in counted)
    right = sum(product.multiply_adds for product in counted if _is(product, wanted))
    return right / total if total else 1.0


def _is(product: Product, wanted: str) -> bool:
    return product.precision == wanted or {product.precision, wanted} == {"fp32", "tf32"}


def _kept(product: Product, recipe: Recipe) -> bool:
    if isinstance(recipe.keep_float, str):
        return False
    region = product.name.partition("/")[0]
    return any(fnmatchcase(region, pattern) for pattern in recipe.keep_float)
