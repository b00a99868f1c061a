from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from trilemma.report import inline, write_report

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def text_of(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(run_folder: Path) -> str:
    return text_of(run_folder)


def test_page_is_whole_and_lies_beside_the_record(run_folder: Path) -> None:
    path = write_report(run_folder)
    assert path == run_folder / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert len(page.all("h1")) == 1
    written = {str(file.relative_to(run_folder)) for file in run_folder.rglob("*") if "figures" in str(file)}
    assert {"figures/trilemma.svg", "figures/trilemma.png", "figures/speed.svg"} <= written
    assert (run_folder / "report.md").is_file()


def scripts_of(text: str) -> list[str]:
    """The scripts that run; a block of data has a type."""
    return re.findall(r"<script>(.*?)</script>", text, re.DOTALL)


def markup_of(text: str) -> str:
    """The page without its scripts: what prompts, names and numbers have become."""
    return re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


def test_page_refers_to_nothing_outside_itself(text: str) -> None:
    page = Page(text)
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "action", "style", "onclick", "onload"} & set(attributes), tag
        target = attributes.get("href")
        assert target is None or target.startswith("data:image/png;base64,") or target.lstrip("#") in ids
    assert not page.all("link")
    assert "@import" not in markup_of(text)
    assert not re.search(r"url\((?!#)", markup_of(text))


def test_scripts_are_the_suite_s_own_and_each_stands_once(text: str) -> None:
    static = Path(inline.__file__).parent / "static"
    ours = {path.read_text(encoding="utf-8") for path in static.glob("*.js")}
    found = scripts_of(text)
    assert len(found) == len(set(found))
    library = [script for script in found if script not in ours]
    assert library == [inline.source(inline.VEGA)]
    assert "vegaEmbed" in library[0]
    kinds = [attributes.get("type") for attributes in Page(text).all("script")]
    assert set(kinds) == {None, "application/json"}
    assert kinds.count(None) == len(found)


def test_policy_allows_the_page_s_own_style_and_scripts_alone(text: str) -> None:
    policies = [meta["content"] for meta in Page(text).all("meta") if "http-equiv" in meta]
    assert len(policies) == 1
    policy = {line.split()[0]: line.split()[1:] for line in str(policies[0]).split("; ")}
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert policy.pop("default-src") == ["'none'"]
    assert policy.pop("style-src") == list(map(inline.digest, styles))
    assert policy.pop("script-src") == list(map(inline.digest, scripts_of(text)))
    assert policy == {"img-src": ["data:"], "base-uri": ["'none'"], "form-action": ["'none'"]}


def test_page_of_a_run_without_charts_carries_no_library(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    counted = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0]) | {"metric": "parameters", "value": 9}
    (folder / "metrics.jsonl").write_text(json.dumps(counted) + "\n")
    text = text_of(folder)
    assert 'id="tradeoffs"' not in text
    assert not any("vegaEmbed=" in script for script in scripts_of(text))
    assert len(text) < 500_000


def test_data_for_scripts_holds_no_markup(text: str) -> None:
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert blocks
    for block in blocks:
        assert not re.search(r"[<>&]", block)
        json.loads(block)


def test_text_from_prompts_and_errors_is_escaped(text: str) -> None:
    assert "<script" not in re.sub(r'<script type="application/json"', "", markup_of(text))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "out of &lt;memory&gt;" in text
    assert "Some &lt;CPU&gt;" in text


def test_every_null_is_a_word_with_its_reason(text: str) -> None:
    assert "copy rate 0.98 is above what held-out real images show (0.003)" in text
    assert "the weights of Inception are not at hand" in text
    assert "timing was interrupted" in text
    assert "the model failed: RuntimeError: tensor &lt;a&gt; is lost" in text
    for status in ("withheld", "not measured", "failed"):
        assert f'<span class="missing">{status}</span>' in text


def test_a_missing_number_is_never_zero(text: str) -> None:
    table = text[text.index('<table class="scores">') : text.index('id="tradeoffs"')]
    rows = re.findall(r'<th scope="row">(.*?)</tr>', table, re.DOTALL)
    broken = next(row for row in rows if row.startswith("<bdi>broken</bdi>"))
    assert not re.search(r"\d", re.sub(r"<[^>]+>|tensor", "", broken))
    assert "<rect" not in broken
    shown = re.sub(r"base64,[^\"]+|<style>.*?</style>", "", markup_of(text), flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|NaN)\b", shown)


def test_pictures_and_tables_are_named_for_those_who_do_not_see_them(text: str) -> None:
    page = Page(text)
    assert all(image.get("aria-label") for image in page.all("svg") if image.get("role") == "img")
    assert all(image.get("role") == "img" or image.get("aria-hidden") == "true" for image in page.all("svg"))
    assert all(header.get("scope") for header in page.all("th"))


def test_models_without_grids_say_so(text: str) -> None:
    assert text.count("No sample grid was stored for this model.") == 6
    assert text.count("Side by side: prompted") == 1


def test_failures_show_their_errors(text: str) -> None:
    failures = text[text.index('id="failures"') : text.index('id="environment"')]
    assert "File x, line 1" in failures
    assert "1 × prompted image (error)" in failures
    assert "offline timing at batch 256: would exceed the time budget" in failures


@pytest.mark.parametrize("status", ["started", "cancelled", "failed"])
def test_a_run_with_nothing_but_its_record_has_a_page(make_run: Callable[..., Path], status: str) -> None:
    folder = make_run(status=status, counts={}, keys={}, errors={}, host={}, env={}, ended=None)
    (folder / "metrics.jsonl").unlink()
    for name in ("images", "timings", "samples"):
        shutil.rmtree(folder / name)
    text = text_of(folder)
    Page(text)
    assert 'class="stamp"' in text
    assert "Nothing was measured" in text
    assert "No batch sweep was timed" in text
    assert "Machine: not recorded" in text
    assert (folder / "report.md").is_file()


def test_a_record_of_a_metric_that_the_catalogue_lacks_is_shown(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    path = folder / "metrics.jsonl"
    row = json.loads(path.read_text().splitlines()[-1]) | {"metric": "brand_new", "model": "gan", "value": 41.5}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    assert "brand_new" in text_of(folder)


def test_partial_sets_are_stamped(make_run: Callable[..., Path]) -> None:
    text = text_of(make_run(partial=True))
    assert "do not compare these numbers with those of the whole protocol" in text
