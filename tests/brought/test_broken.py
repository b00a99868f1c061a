"""Plug-ins that cannot be used: one line that names them where they are named, and nothing anywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from trilemma.data.datasets import open_data_set
from trilemma.errors import UserError
from trilemma.features.named import recipe_of
from trilemma.features.presets import preset
from trilemma.metrics.catalog import OWN, check_names
from trilemma.metrics.plugin import PluginMetric, computed
from trilemma.plugins import KINDS, find
from trilemma.protocol import Extractors, Protocol, Reference, SampleSet
from trilemma.registry import find_card
from trilemma.statistics.estimate import Estimate
from trilemma.workspace import find_workspace

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = find_workspace(ROOT)
Install = Callable[[Path, str, dict[str, str]], None]


def project(name: str, **points: str) -> str:
    """One entry point of each kind."""
    lines = [f'[project.entry-points."trilemma.{kind}"]\n{line}' for kind, line in points.items()]
    return "\n".join([f'[project]\nname = "{name}"\nversion = "1.5"', *lines])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, on the path of this process."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return site


def protocol(**changes: Any) -> Protocol:
    given: dict[str, Any] = {"data": "mnist", "metrics": ("fd",), "extractors": Extractors(features="grey-levels")}
    sets = (SampleSet(name="prompted", prompts="none", images=8),)
    common: dict[str, Any] = {"name": "small", "version": 1, "title": "", "resolution": 32, "sets": sets}
    return Protocol(**common, **(given | changes), reference=Reference())


USES: dict[str, Callable[[str], object]] = {
    "models": lambda name: find_card(name, WORKSPACE),
    "metrics": lambda name: check_names(protocol(metrics=(name,))),
    "features": recipe_of,
    "data": open_data_set,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["import no_such_module", "raise SystemExit(3)", "1 / 0"])
def test_what_cannot_be_imported_is_one_line(kind: str, code: str, site: Path, install: Install) -> None:
    module = f"broken_{kind}_{abs(hash(code))}"
    target = f"{module}.inside" if kind == "models" else f"{module}:thing"
    install(site, project("broken-pack", **{kind: f'sharp = "{target}"'}), {f"{module}/__init__.py": code})
    with pytest.raises(UserError) as caught:
        USES[kind]("sharp")
    line = str(caught.value)
    assert line.startswith(f'broken-pack 1.5, entry point "sharp" of trilemma.{kind}: this plug-in is broken: ')
    assert "\n" not in line


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("models", 'there is no package "odd:THING"'),
        ("metrics", "must be a PluginMetric, it is 'a string'."),
        ("features", "must be a Recipe, it is 'a string'."),
        ("data", "this plug-in is broken: TypeError: 'str' object is not callable"),
    ],
)
def test_what_is_another_thing_is_one_line(
    kind: str, message: str, site: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "odd", raising=False)
    install(site, project("odd-pack", **{kind: 'dull = "odd:THING"'}), {"odd.py": "THING = 'a string'"})
    with pytest.raises(UserError) as caught:
        USES[kind]("dull")
    assert str(caught.value).startswith(f'odd-pack 1.5, entry point "dull" of trilemma.{kind}: {message}')


@pytest.mark.parametrize(
    ("kind", "name"), [("models", "gan"), ("metrics", "kid"), ("features", "fid"), ("data", "mnist")]
)
def test_a_name_of_our_own_is_refused_with_both_owners(kind: str, name: str, site: Path, install: Install) -> None:
    install(site, project("taken-pack", **{kind: f'{name} = "anything:THING"'}), {})
    with pytest.raises(UserError, match=rf'"{name}" of trilemma.{kind} is brought by trilemma \S+ and taken-pack 1.5'):
        USES[kind](name)


def test_a_preset_of_our_own_is_refused_too(site: Path, install: Install) -> None:
    install(site, project("taken-pack", features='cmmd = "anything:THING"'), {})
    with pytest.raises(UserError, match="brought by trilemma"):
        preset("cmmd")


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_of_two_plug_ins_is_refused_with_both(kind: str, site: Path, install: Install) -> None:
    for name in ("pack-a", "pack-b"):
        install(site, project(name, **{kind: 'shared = "anything:THING"'}), {})
    with pytest.raises(UserError, match="is brought by pack-a 1.5 and pack-b 1.5. Uninstall one of them."):
        USES[kind]("shared")


def test_a_model_of_the_workspace_and_of_a_plug_in_is_refused(site: Path, install: Install, tmp_path: Path) -> None:
    for path in ("models/twin/card.toml", "benchmarks/p.toml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('name = "twin"\nfamily = "gan"\n')
    install(site, project("twin-pack", models='twin = "anything"'), {})
    with pytest.raises(UserError, match=r'"twin" is a model of .*models and of twin-pack 1.5'):
        find_card("twin", find_workspace(tmp_path))


def test_a_card_with_a_mistake_names_entry_point_file_and_key(site: Path, install: Install) -> None:
    files = {"wrong_card/card.toml": 'name = "wrong"\nfamly = "gan"\n'}
    install(site, project("wrong-pack", models='wrong = "wrong_card"'), files)
    with pytest.raises(UserError, match=r'wrong-pack 1.5, entry point "wrong" .*card.toml: unknown key "famly"'):
        find_card("wrong", WORKSPACE)


class Drawn:
    """Two images."""

    rows, arrays = None, {"features": np.zeros((2, 3))}

    def __len__(self) -> int:
        return 2


def one_over_zero(images: Any, real: Any) -> Any:
    return 1 / 0


@pytest.mark.parametrize(
    ("compute", "status", "reason"),
    [
        (one_over_zero, "failed", "ZeroDivisionError: division by zero"),
        (lambda images, real: 3.0, "failed", "gave 3.0, which is no Estimate"),
        (lambda images, real: Estimate(value=float("nan"), se=None, se_method="none", n=2), "nan", "gave nan"),
    ],
)
def test_what_goes_wrong_in_a_metric_is_the_reason_of_its_number_alone(
    compute: Any, status: str, reason: str, site: Path, install: Install
) -> None:
    install(site, project("sum-pack", metrics='sum = "anything:THING"'), {})
    metric = PluginMetric(title="Sum", axis="quality", direction="lower", description="A sum.", compute=compute)
    found = computed("sum", metric, Drawn(), {})
    assert (found.value, found.status) == (None, status)
    assert (found.reason or "").startswith("sum-pack 1.5") and reason in (found.reason or "")


@pytest.mark.parametrize(("field", "value"), [("axis", "speed"), ("direction", "up"), ("set", "all")])
def test_a_metric_says_what_it_is(field: str, value: str) -> None:
    said: dict[str, Any] = {"title": "T", "axis": "quality", "direction": "lower", "description": "D."}
    with pytest.raises(UserError, match=f"{field}: '{value}' is not possible"):
        PluginMetric(compute=one_over_zero, **(said | {field: value}))


def test_nothing_of_a_plug_in_is_imported_before_it_is_named(site: Path, install: Install) -> None:
    points = {kind: 'mute = "mute_pack:THING"' for kind in KINDS}
    install(site, project("mute-pack", **points), {"mute_pack.py": "1 / 0"})
    assert all(find(kind, "mute") is not None for kind in KINDS)
    check_names(protocol(metrics=("fd", "kid")))
    assert recipe_of("fid").plugin is None and find_card("gan", WORKSPACE).name == "gan"
    assert "mute" not in OWN


def test_broken_ones_do_not_touch_the_commands(tmp_path: Path, install: Install, commander: Callable[..., Any]) -> None:
    points = {kind: 'bad = "bad_pack:THING"' for kind in KINDS}
    install(tmp_path / "site", project("bad-pack", **points), {"bad_pack.py": "1 / 0"})
    command: Callable[..., CompletedProcess[str]] = commander(tmp_path / "site", tmp_path / "cache", ROOT)
    listed = command("list", "--json")
    assert listed.returncode == 0, listed.stderr
    plugged = json.loads(listed.stdout)["plugins"]
    assert [row["kind"] for row in plugged] == list(KINDS) and all("bad-pack 1.5" in row["error"] for row in plugged)
    run = command("run", "scenes", "--models", "bad", "--out", str(tmp_path / "runs"))
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and "bad-pack 1.5" in run.stderr
    assert command("prompts", "scenes", "--samples", "2").returncode == 0
