"""The reader of claims: what it takes, what it refuses and how it says so, and the committed file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.claims.stated import Asserted, Claims, Part, load_claims
from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.strict_toml import build, dump
from trilemma.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = """
[sources.paper]
title = "A paper"
kind = "paper"
arxiv = "2112.07804"
[roles.gan]
title = "GAN"
families = ["gan"]
[roles.other]
title = "other model"
families = ["diffusers"]
models = ["mine"]
[words.speed]
metrics = ["images_per_second"]
because = "it is the headline"
[[claims]]
name = "fast"
sentence = "GANs are fast."
source = "paper"
premise = { metric = "parameters", within = 0.1 }
[[claims.parts]]
says = "fast"
who = "gan"
word = "speed"
than = ["other"]
ratio = 2.0
[[asserted]]
name = "SDXL"
role = "other"
source = "paper"
quality = 8.5
diversity = 9
speed = 6
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "card.toml").touch()
    (tmp_path / "benchmarks").mkdir()
    return Workspace(root=tmp_path, results=tmp_path / "results")


def load(workspace: Workspace, text: str) -> Claims | None:
    workspace.claims.write_text(text)
    return load_claims(workspace)


def test_a_file_is_typed_and_has_defaults(workspace: Workspace) -> None:
    claims = load(workspace, CLAIMS)
    assert claims is not None and claims.path == workspace.claims
    (part,) = claims.claims[0].parts
    assert (part.which, part.degree, part.compare, part.ratio) == ("all", "more", "all", 2.0)
    assert claims.asserted[0].diversity == 9.0


def test_a_workspace_need_not_state_any(workspace: Workspace) -> None:
    assert load_claims(workspace) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('word = "speed"', 'wrod = "speed"', r'claims\[0\]: parts\[0\]: unknown key "wrod". Did you mean "word"'),
        ('word = "speed"', 'word = "sped"', r"claims\[0\]: parts\[0\]: word: there is no word 'sped'. Did you mean"),
        ('who = "gan"', 'who = "gna"', r"claims\[0\]: parts\[0\]: role: there is no role 'gna'. Did you mean \"gan\""),
        ('than = ["other"]', 'than = ["others"]', r"role: there is no role 'others'. Did you mean \"other\""),
        ('than = ["other"]', 'than = ["gan"]', "than: compares 'gan' with itself"),
        ('than = ["other"]', "than = []", "than: names nobody"),
        ("ratio = 2.0", "ratio = 0.5", "ratio: must be above 1, got 0.5"),
        ("ratio = 2.0", "ratio = inf", "ratio: must be above 1"),
        ("ratio = 2.0", 'compare = "mena"', r"compare: 'mena' is not possible here. Did you mean \"mean\""),
        ('"images_per_second"', '"images_per_secnd"', r"words.speed: metrics: There is no metric .* Did you mean \"im"),
        ('"images_per_second"', '"score_speed"', "words.speed: metrics: .* Name the metrics that the score is made of"),
        ('"images_per_second"', '"parameters"', '"parameters" is no measured series with a better side'),
        ('["images_per_second"]', "[]", "metrics: a word needs metrics"),
        ('"images_per_second"', '"recall", "recall"', "metrics: a word needs metrics, each of them once"),
        (
            'families = ["gan"]',
            'families = ["gna"]',
            r'roles.gan: families: there is no family "gna". Did you mean "gan"',
        ),
        ('families = ["gan"]', "", 'roles.gan: a role needs "families" or "models"'),
        (
            'models = ["mine"]',
            'models = ["mien"]',
            r'roles.other: models: there is no model "mien". Did you mean "mine"',
        ),
        ('kind = "paper"', 'kind = "rumour"', "sources.paper: kind: 'rumour' is not possible"),
        ('source = "paper"', 'source = "papre"', r"claims\[0\]: source: there is no source 'papre'. Did you mean"),
        ('role = "other"', 'role = "gam"', r"asserted\[0\]: role: there is no role 'gam'"),
        ("[words.speed]", '[words.idle]\nmetrics = ["fid"]\nbecause = "b"\n[words.speed]', "nothing names 'idle'"),
        ("quality = 8.5", "quality = 85", r"asserted\[0\]: quality: must be 0 to 10, got 85"),
        ('metric = "parameters"', 'metric = "recall"', 'premise: metric: "recall" is not counted'),
        ('metric = "parameters"', 'metric = "parametres"', 'premise: metric: There is no metric "parametres"'),
        ("within = 0.1", "within = -0.1", "premise: within: must be 0 or more"),
        ('name = "fast"', 'name = "Fast!"', "name: 'Fast!' cannot be a name"),
        ('source = "paper"', 'source = "paper"\nnot_tested = "no"', 'fast: a claim has "parts", or says why'),
    ],
)
def test_a_mistake_is_named(workspace: Workspace, old: str, new: str, message: str) -> None:
    assert old in CLAIMS
    with pytest.raises(UserError, match=message) as raised:
        load(workspace, CLAIMS.replace(old, new, 1))
    assert "claims.toml" in str(raised.value)


def test_a_claim_stands_once(workspace: Workspace) -> None:
    untested = '[[claims]]\nname = "{}"\nsentence = "S"\nsource = "paper"\nnot_tested = "no twin"\n'
    load(workspace, CLAIMS + untested.format("slow"))
    with pytest.raises(UserError, match=r"claims\[1\]: name: 'fast' stands here twice"):
        load(workspace, CLAIMS + untested.format("fast"))


def test_what_is_not_tested_presupposes_nothing(workspace: Workspace) -> None:
    start, end = CLAIMS.index("[[claims.parts]]"), CLAIMS.index("[[asserted]]")
    text = CLAIMS[:start] + 'not_tested = "no twin"\n' + CLAIMS[end:].replace("[[asserted]]", "[[asserted]]", 1)
    with pytest.raises(UserError, match="fast: premise: there is nothing to presuppose it"):
        load(workspace, text)


@given(st.floats())
def test_asserted_scores_lie_between_0_and_10(score: float) -> None:
    def asserted() -> Asserted:
        return Asserted(name="a", role="r", source="s", quality=score, diversity=1, speed=1)

    if 0 <= score <= 10:
        assert asserted().quality == score
    else:
        with pytest.raises(UserError, match="must be 0 to 10"):
            asserted()


@given(st.floats())
def test_a_ratio_is_finite_and_above_1(ratio: float) -> None:
    def part() -> Part:
        return Part(says="s", who="a", word="w", than=("b",), ratio=ratio)

    if 1 < ratio < float("inf"):
        assert part().ratio == ratio
    else:
        with pytest.raises(UserError, match="must be above 1"):
            part()


@given(st.text(max_size=20))
def test_only_metrics_of_the_catalogue_are_read(name: str) -> None:
    table = tomllib.loads(CLAIMS)
    table["words"]["speed"]["metrics"] = [name]
    if name in METRICS:
        return
    with pytest.raises(UserError, match="There is no metric"):
        build(Claims, table, where="claims.toml", path=Path("claims.toml"))


def test_the_committed_file_states_what_people_say_and_comes_back() -> None:
    claims = load_claims(Workspace(root=ROOT, results=ROOT / "results"))
    assert claims is not None
    assert [claim.name for claim in claims.claims] == [
        "gan-corner", "diffusion-corner", "autoregressive-best", "parallel-decoding", "latent-space", "coarse-to-fine",
    ]  # fmt: skip
    assert build(Claims, dump(claims), where="", path=claims.path) == claims
    assert {(row.name, row.quality, row.diversity, row.speed) for row in claims.asserted} == {
        ("Autoregressive models", 9.5, 7, 8), ("SDXL", 8.5, 9, 6),
    }  # fmt: skip
    assert all(source.arxiv for source in claims.sources.values() if source.kind == "paper")
    # The rules at the file's head: who is compared with a mean is not chosen as the family's best.
    parts = [part for claim in claims.claims for part in claim.parts]
    assert not [part for part in parts if part.compare == "mean" and part.which == "any"]
