"""The shell of a page: one HTML file that runs no script but its own and reaches no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trilemma.report.inline import VEGA, policy, source
from trilemma.report.numbers import count

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from trilemma.report.prose import Stamp

_HERE = Path(__file__).parent
_STYLE = "style.css"
_FIRST = "theme.js"
"""Runs before anything is drawn."""
_LAST = "page.js"


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands over the sections.

    Attributes:
        runs: words, each with the id of the run that it introduces.
        skip: where the link for those who use no pointer leads: "the scores".
        headline: the result in a sentence or two; "" where there is none.
        statements: what ran.
    """

    title: str
    runs: Sequence[tuple[str, str]]
    skip: str
    headline: str
    statements: Sequence[str]
    stamps: Sequence[Stamp]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section as the page shows it, with the scripts and styles that it needs, and whether it shows files."""

    id: str
    title: str
    body: Markup
    scripts: tuple[str, ...]
    styles: tuple[str, ...]
    files: bool


def page(head: Head, sections: Sequence[Section]) -> str:
    """Returns the whole page."""
    from markupsafe import Markup

    style = "".join(map(source, dict.fromkeys([_STYLE, *(name for one in sections for name in one.styles)])))
    first = source(_FIRST)
    names = dict.fromkeys([_LAST, *(name for section in sections for name in section.scripts)])
    scripts = [source(name) for name in names]
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            # Our own files and the library's: the policy's digests are taken over exactly these texts.
            style=Markup(style),
            first_script=Markup(first),
            scripts=list(map(Markup, scripts)),
            policy=policy([style], [first, *scripts], files=any(section.files for section in sections)),
            head=head,
            sections=sections,
            charted=VEGA in names,
        )
    )


def sections_of(modules: Iterable[ModuleType], subject: Any, told: Mapping[str, Any]) -> Iterator[Section]:
    """Yields the sections that have something to say of the subject.

    Args:
        modules: see :mod:`trilemma.report.sections`.
        told: what every template is told beside its own content.
    """
    from markupsafe import Markup

    for module in modules:
        content = module.content(subject)
        if content is not None:
            template = _environment().get_template(f"{module.__name__.rpartition('.')[2]}.html.jinja")
            # The template has escaped all that was put into it.
            yield Section(
                id=module.ID,
                title=module.TITLE,
                body=Markup(template.render(**told, **content)),
                scripts=getattr(module, "SCRIPTS", ()),
                styles=getattr(module, "STYLES", ()),
                files=getattr(module, "FILES", False),
            )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_HERE / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = lambda text: text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    environment.filters["count"] = lambda number: "unknown" if number is None else count(number)
    return environment
