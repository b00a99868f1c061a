"""Figures as files: PNG and SVG bytes, and SVG that a page can hold under a strict Content-Security-Policy."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from trilemma.report.figure_style import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_FONT_SIZE = re.compile(r"([\d.]+)px")
_REFERENCE = re.compile(r"#([\w.-]+)")


def png(figure: Figure, dpi: int = 160) -> bytes:
    """Returns the figure on white paper."""
    return _saved(figure, "png", {"facecolor": "white", "dpi": dpi, "metadata": {"Software": None}})


def svg(figure: Figure) -> bytes:
    """Returns the figure on white paper as a file of its own, its letters as outlines; equal input, equal bytes."""
    return _saved(figure, "svg", {"facecolor": "white", "metadata": {"Date": None}})


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """Returns the figure as an ``<svg>`` element in the colours and the typeface of the page around it.

    Args:
        name: prefix of the element's ids, unlike that of any other figure on the page.
        description: what a reader who does not see the figure is told.
    """
    source = _saved(figure, "svg", {"transparent": True, "metadata": {"Date": None}}, letters="none")
    root = ElementTree.fromstring(source)
    referred = {target for element in root.iter() for text in element.attrib.values() for target in _targets(text)}
    for parent in list(root.iter()):
        _drop_foreign(parent)
    for element in root.iter():
        _adapt(element, name, referred)
    for key in ("width", "height"):  # the page scales it by its viewBox
        root.attrib.pop(key, None)
    root.attrib.update({"role": "img", "aria-label": description, "class": "figure"})
    return ElementTree.tostring(root, encoding="unicode")


def _saved(figure: Figure, kind: str, options: dict[str, Any], *, letters: str = "path") -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # SVG's options exist as rcParams only; rc_context puts the importing process's own back.
    with matplotlib.rc_context({"svg.fonttype": letters, "svg.hashsalt": "trilemma"}):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _targets(text: str) -> list[str]:
    return _REFERENCE.findall(text) if text.startswith("#") or "url(#" in text else []


def _drop_foreign(parent: ElementTree.Element) -> None:
    """Removes the metadata, and the style sheet that would apply to the whole page."""
    for child in list(parent):
        inner = child.find(f"{_SVG}style")
        if inner is not None:
            child.remove(inner)
        if child.tag == f"{_SVG}metadata":
            parent.remove(child)


def _adapt(element: ElementTree.Element, name: str, referred: set[str]) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    attributes = dict(element.attrib)
    element.attrib.clear()
    for key, value in attributes.items():
        if key == "style":
            element.attrib.update(_presentation(value))
        elif key == "id":
            if value in referred:
                element.set("id", f"{name}-{value}")
        else:
            element.set("href" if key == _LINK else key, value)
    for key, value in element.attrib.items():
        if key == "href" or "url(#" in value:
            element.set(key, _REFERENCE.sub(rf"#{name}-\1", value))


def _presentation(style: str) -> dict[str, str]:
    """Returns a style attribute as presentation attributes: the policy allows these, and no style attribute."""
    attributes: dict[str, str] = {}
    for key, _, value in (part.strip().partition(": ") for part in style.split(";") if part.strip()):
        if key == "font":
            attributes |= _font(value)
        elif key != "font-family":
            attributes[key] = "currentColor" if value.lower() == INK else value
    return attributes


def _font(shorthand: str) -> dict[str, str]:
    size = _FONT_SIZE.search(shorthand)
    font = {"font-size": size.group(1) if size else "10"}
    if "italic" in shorthand:
        font["font-style"] = "italic"
    if "bold" in shorthand or " 700 " in f" {shorthand} ":
        font["font-weight"] = "bold"
    return font
