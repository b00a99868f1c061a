"""The page: one HTML file that runs no script but its own and reaches no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.report import gives_up, prose, tables
from trilemma.report.glossary import explained
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
    """A section as the page shows it, with the scripts and styles that it needs, and whether it shows files."""

    id: str
    title: str
    body: Markup
    scripts: tuple[str, ...]
    styles: tuple[str, ...]
    files: bool


def html(run: Run) -> str:
    """Returns the whole page."""
    from markupsafe import Markup

    environment = _environment()
    sections = list(_sections(run, environment))
    style = "".join(map(source, dict.fromkeys(["style.css", *(name for one in sections for name in one.styles)])))
    head = source(_FIRST)
    names = dict.fromkeys(["page.js", *(name for section in sections for name in section.scripts)])
    scripts = [source(name) for name in names]
    return environment.get_template("page.html.jinja").render(
        # Our own files and the library's: the policy's digests are taken over exactly these texts.
        style=Markup(style),
        first_script=Markup(head),
        scripts=list(map(Markup, scripts)),
        policy=policy([style], [head, *scripts], files=any(section.files for section in sections)),
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
        "explained": explained(run),
    }
    for module in SECTIONS:
        content = module.content(run)
        if content is not None:
            template = environment.get_template(f"{module.__name__.rpartition('.')[2]}.html.jinja")
            # The template has escaped all that was put into it.
            yield Section(
                id=module.ID,
                title=module.TITLE,
                body=Markup(template.render(**told, **content)),
                scripts=getattr(module, "SCRIPTS", ()),
                styles=getattr(module, "STYLES", ()),
                files=getattr(module, "FILES", False),
            )
