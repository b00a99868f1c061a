"""The page: one HTML file that holds everything it shows, runs no script but its own and reaches no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.report import gives_up, prose, tables
from trilemma.report.inline import VEGA, policy, source
from trilemma.report.numbers import count
from trilemma.report.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Environment
    from markupsafe import Markup

    from trilemma.report.record import Run

_HERE = Path(__file__).parent
_STYLE = "style.css"
_FIRST = "theme.js"
"""Runs before anything is drawn."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section as the page shows it, with the scripts that it needs, by name and in order."""

    id: str
    title: str
    body: Markup
    scripts: tuple[str, ...]


def html(run: Run) -> str:
    """Returns the whole page."""
    from markupsafe import Markup

    environment = _environment()
    sections = list(_sections(run, environment))
    style = source(_STYLE)
    head = source(_FIRST)
    names = dict.fromkeys(["page.js", *(name for section in sections for name in section.scripts)])
    scripts = [source(name) for name in names]
    return environment.get_template("page.html.jinja").render(
        # Our own files and the library's: the policy's digests are taken over exactly these texts.
        style=Markup(style),
        first_script=Markup(head),
        scripts=list(map(Markup, scripts)),
        policy=policy([style], [head, *scripts]),
        title=prose.protocol_title(run),
        run_id=run.record.run_id,
        headline=gives_up.headline(run, tables.scores(run)),
        statement=prose.statement(run),
        stamps=prose.stamps(run),
        sections=sections,
        charted=VEGA in names,
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_HERE / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = lambda text: text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    environment.filters["count"] = lambda number: "unknown" if number is None else count(number)
    return environment


def _sections(run: Run, environment: Environment) -> Iterator[Section]:
    from markupsafe import Markup

    told = {
        "controls": [model for model in run.models if run.is_control(model)],
        "random_weights": [model for model in run.models if run.is_random(model)],
    }
    for module in SECTIONS:
        content = module.content(run)
        if content is not None:
            template = environment.get_template(f"{module.__name__.rpartition('.')[2]}.html.jinja")
            # The template has escaped all that was put into it.
            body = Markup(template.render(**told, **content))
            yield Section(id=module.ID, title=module.TITLE, body=body, scripts=getattr(module, "SCRIPTS", ()))
