"""``explain-diff``: why two numbers are not the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from trilemma.cli.options import Device, Json, Out, Quiet, Root, people, print_json, runs_folder
from trilemma.cli.scoring import BatchSize, Download, NoCache, bars, drawing_may_fail, options_of
from trilemma.cli.text_table import MISSING, text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trilemma.scoring.explain import Document, Explanation, Numbered
    from trilemma.scoring.explain_moves import Move, Moves, Sources
    from trilemma.scoring.score import Options

NUMBERS = "a file that score --json wrote, a run, or RUN:MODEL"
Images = list[str] | None
Cells = tuple[str, ...]


def explain_diff(
    a: Annotated[str, typer.Argument(metavar="A", help=f"Numbers: {NUMBERS}.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, to be compared with.")],
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="One metric [all that both have].", show_default=False)
    ] = None,
    real: Annotated[
        Images,
        typer.Option(metavar="SOURCE", help="The reference behind A, and behind B if unlike.", show_default=False),
    ] = None,
    fake: Annotated[
        Images,
        typer.Option(metavar="SOURCE", help="The images behind A, and behind B if unlike.", show_default=False),
    ] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    download: Download = False,
    no_cache: NoCache = False,
    out: Out = None,
    root: Root = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Prints every field in which the identities of two numbers differ, and with the images what each field does.

    Example: trilemma explain-diff fid.json clean.json --real photos/ --fake samples/
    """
    from trilemma.scoring.explain import document, explain

    options = options_of(None, batch_size, device, None, download, 0, no_cache)
    runs = runs_folder(root, out)
    documents = document(a, runs), document(b, runs)
    found = explain(*documents, metric)
    moves: Mapping[int, Moves] = {}
    if real or fake:
        from trilemma.scoring.explain_moves import Sources

        sources = Sources(real=real or [], fake=fake or [], root=root, runs=runs)
        with bars(quiet=quiet) as told, drawing_may_fail():
            moves = _moves(documents, found, sources, options, told)
    _tell(documents, found, moves, json=json)


def _moves(
    documents: tuple[Document, Document],
    found: Sequence[Explanation],
    sources: Sources,
    options: Options,
    told: Callable[[str, int, int], None],
) -> dict[int, Moves]:
    """Returns what each field does, for every pair that differs, by its position.

    Copy rates are left out: the training images behind them are not asked for.
    """
    from trilemma.errors import UserError
    from trilemma.scoring.explain_moves import Recomputing
    from trilemma.scoring.score import cache_of

    first, second = (one.score for one in documents)
    if first is None or second is None:
        raise UserError("a run keeps no images to compute its numbers anew.", hint="Compare files of score --json.")
    behind_a, behind_b = sources.behind(first), sources.behind(second)
    with cache_of(options) as cache:
        recomputing = Recomputing(options=options, cache=cache, progress=told)
        return {
            i: recomputing.moves(one.a.row, behind_a, one.b.row, behind_b)
            for i, one in enumerate(found)
            if one.differing and one.a.row is not None and one.b.row is not None and "training" not in one.a.identity
        }


def _tell(
    documents: tuple[Document, Document],
    found: list[Explanation],
    moves: Mapping[int, Moves],
    *,
    json: bool,
) -> None:
    from trilemma.scoring.explain_record import as_document

    if json:
        print_json(as_document(*documents, found, moves))
    console = people()
    header = ("metric", "A", "B", "difference", "first field that differs")
    console.print(text_table("B minus A", header, _overview(found)))
    if any(one.differing for one in found):
        console.print(text_table("Fields that differ", ("metric", "field", "A", "B"), _fields(found)))
    if moves:
        header = ("metric", "change to A", "value", "moves it by", "note")
        console.print(text_table("What each field does alone", header, _steps(found, moves)))


def _overview(found: Sequence[Explanation]) -> Iterator[Cells]:
    for one in found:
        difference = MISSING if one.difference is None else _signed(one.difference)
        first = "none: the same identity" if one.first is None else one.first.field
        note = f"{first} (comparable)" if one.differing and one.comparable else first
        yield _name(one), _number(one.a), _number(one.b), difference, note


def _fields(found: Sequence[Explanation]) -> Iterator[Cells]:
    for one in found:
        for field in one.differing:
            yield _name(one), field.field, str(field.a), str(field.b)


def _steps(found: Sequence[Explanation], moves: Mapping[int, Moves]) -> Iterator[Cells]:
    for i, computed in moves.items():
        name = _name(found[i])
        note = "" if computed.reproduced else "computed here, and not the recorded values: other code or other machine"
        yield name, "none", _value(computed.a), "", note
        for step in computed.steps:
            yield name, step.field, _value(step.value), _move(step), step.reason or ""
        yield name, "all: B", _value(computed.b), _whole(computed), ""


def _name(one: Explanation) -> str:
    owners = one.a.owner if one.a.owner == one.b.owner else f"{one.a.owner} against {one.b.owner}"
    return f"{one.metric} ({owners})"


def _number(one: Numbered) -> str:
    from trilemma.report.numbers import with_error

    return MISSING if one.value is None else with_error(one.value, one.se)


def _value(value: float | None) -> str:
    from trilemma.report.numbers import with_error

    return MISSING if value is None else with_error(value)


def _signed(value: float) -> str:
    return f"+{_value(value)}" if value > 0 else _value(value)


def _move(step: Move) -> str:
    return MISSING if step.move is None else _signed(step.move)


def _whole(computed: Moves) -> str:
    return MISSING if computed.a is None or computed.b is None else _signed(computed.b - computed.a)
