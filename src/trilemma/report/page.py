"""The page: one HTML file that holds everything it shows, runs no script and reaches no network."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.report import prose
from trilemma.report.numbers import count
from trilemma.report.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Environment
    from markupsafe import Markup

    from trilemma.report.record import Run

_HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section as the page shows it."""

    id: str
    title: str
    body: Markup


def html(run: Run) -> str:
    """Returns the whole page."""
    from markupsafe import Markup

    environment = _environment()
    style = (_HERE / "static" / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.jinja").render(
        style=Markup(style),  # our own file, and the policy's digest is taken over exactly this text
        policy=_policy(style),
        title=prose.protocol_title(run),
        run_id=run.record.run_id,
        statement=prose.statement(run),
        stamps=prose.stamps(run),
        sections=list(_sections(run, environment)),
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_HERE / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
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
            yield Section(id=module.ID, title=module.TITLE, body=Markup(template.render(**told, **content)))


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
