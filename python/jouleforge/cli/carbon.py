"""Options of grams of CO2e, which the commands that read measurements share."""

from typing import Annotated

import typer

GridOption = Annotated[
    str,
    typer.Option(
        help="Region of the shipped factors (FRA, USA, …) for grams of CO2e; none is assumed."
    ),
]
GridIntensityOption = Annotated[
    float | None,
    typer.Option(help="An intensity of your own instead, in g CO2e/kWh (with --grid-source)."),
]
GridSourceOption = Annotated[
    str, typer.Option(help="Whose figure --grid-intensity is, for where and when.")
]
GridKindOption = Annotated[
    str, typer.Option(help="What --grid-intensity counts: life-cycle or direct.")
]
PueOption = Annotated[
    float | None,
    typer.Option(help="The data centre's PUE, 1 if not given: scales the grams, never the joules."),
]
EmbodiedOption = Annotated[
    str,
    typer.Option(
        metavar="KG:YEARS",
        help="kg CO2e of making the hardware and the years it serves (with --embodied-source).",
    ),
]
EmbodiedSourceOption = Annotated[
    str, typer.Option(help="Whose figures --embodied are, and of which hardware.")
]
