"""--source, and what a file of intensities does not say of itself: the options that all commands
which take a source share."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from dln.core.errors import UsageError

from ..show import screen

if TYPE_CHECKING:
    from dln.core.carbon.grid.dialects import Reading
    from dln.core.carbon.grid.hours import FileSeries
    from dln.core.carbon.grid.sources import IntensitySource
    from dln.core.carbon.places.regions import Region

PANEL = "Of a file, where it does not say so itself"


@dataclass(frozen=True)
class FileOptions:
    """How a file is to be read."""

    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of the intensity.", rich_help_panel=PANEL),
    ] = None
    zone: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a file with several.", rich_help_panel=PANEL),
    ] = None
    unit: Annotated[
        str | None,
        typer.Option(metavar="UNIT", help="g/kWh, t/MWh, lb/MWh ...", rich_help_panel=PANEL),
    ] = None
    signal: Annotated[
        Literal["average", "marginal"] | None,
        typer.Option(help="What it measures.", rich_help_panel=PANEL),
    ] = None
    factors: Annotated[
        Literal["life-cycle", "direct"] | None,
        typer.Option(help="What it counts.", rich_help_panel=PANEL),
    ] = None
    timezone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help="Of times without one: Europe/Oslo, +02:00.", rich_help_panel=PANEL
        ),
    ] = None
    fill: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Interpolate gaps of at most N steps.", rich_help_panel=PANEL
        ),
    ] = 0
    zeros: Annotated[
        bool, typer.Option("--zeros", help="A 0 is a value, not a gap.", rich_help_panel=PANEL)
    ] = False

    def reading(self) -> "Reading":
        from dln.core.carbon.grid.dialects import Reading

        return Reading(self.column, self.zone, self.unit, self.signal, self.factors, self.timezone,
                       self.fill, self.zeros)  # fmt: skip

    def given(self) -> list[str]:
        """The options that are not as by default."""
        names = [each.name for each in fields(FileOptions)]
        return [f"--{name}" for name in names if getattr(self, name) not in (None, 0, False)]


@dataclass(frozen=True)
class Grid(FileOptions):
    """Where the intensities come from."""

    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="typical, annual, csv:FILE, recent28:FILE, gb ..."),
    ] = None

    @property
    def is_file(self) -> bool:
        """Whether a file gives the intensities, so that no region is needed."""
        if self.source is None:
            return False
        from dln.core.carbon.grid.sources import FILES

        kind, colon, _ = self.source.partition(":")
        return bool(colon) and kind in FILES

    def words(self) -> list[str]:
        """The options as given, for a command that starts in another folder."""
        if self.source is None:
            return []
        kind, colon, path = self.source.partition(":")
        found = ["--source", f"{kind}:{os.path.abspath(path)}" if colon else kind]
        for option in self.given():
            value = getattr(self, option.removeprefix("--"))
            found += [option] if value is True else [option, str(value)]
        return found

    def open(self, region: "Region | None", otherwise: str = "") -> "IntensitySource":
        """The source asked for, `otherwise` that one, or the one that knows the region best
        offline; what is odd in a file is noted."""
        from dln.core.carbon.grid.sources import FromFile, Recent, open_source, usual

        self.refuse()
        spec = self.source or otherwise or (usual(region) if region else "")
        found = open_source(spec, region, self.reading())
        if isinstance(found, FromFile | Recent):
            remark(found.data)
        return found

    def refuse(self) -> None:
        """UsageError for a source that nobody knows, and for options of a file where there is
        none."""
        if self.source is not None:
            from dln.core.carbon.grid.sources import check_named

            check_named(self.source)
        if not self.is_file and (given := self.given()):
            raise UsageError(f"{given[0]} belongs to --source csv:FILE.", "--source csv:grid.csv")


AS_IT_SAYS, USUAL = FileOptions(), Grid()


def remark(data: "FileSeries | Any") -> None:
    """Note how a file was read."""
    for told in getattr(data, "remarks", ()):
        screen.note(told)


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, whose parameter of a group's type (Grid or FileOptions) Typer sees as the
    group's options."""
    hints = get_type_hints(command, include_extras=True)
    name, group = next((n, kind) for n, kind in hints.items() if kind in (Grid, FileOptions))
    spread = options_of(group)
    parameters: list[inspect.Parameter] = []
    for each in inspect.signature(command).parameters.values():
        own = each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += spread if each.name == name else [own]

    @wraps(command)
    def run(**given: Any) -> Any:
        options = {each.name: given.pop(each.name) for each in spread}
        return command(**given, **{name: group(**options)})

    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def options_of(group: type) -> list[inspect.Parameter]:
    """A group's fields as parameters; --source first."""
    hints = get_type_hints(group, include_extras=True)
    names = sorted((each for each in fields(group)), key=lambda each: each.name != "source")
    return [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default,
                          annotation=hints[each.name])
        for each in names
    ]  # fmt: skip
