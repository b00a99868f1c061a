"""What papers report: the committed tables, row by row, and what their reader refuses."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.published import PublishedMetrics, PublishedRow, PublishedTable, load_published
from trilemma.strict_toml import build, dump

FOLDER = Path(__file__).resolve().parents[2] / "results" / "published"
ROW_COUNTS = {
    "celeba-hq-256": 2, "cifar-10": 53, "coco-zero-shot": 26, "ffhq-256": 5, "ffhq-64": 2, "imagenet-128": 1,
    "imagenet-256": 85, "imagenet-32": 4, "imagenet-512": 2, "imagenet-64": 7, "lsun-church": 1, "stacked-mnist": 10,
}  # fmt: skip
TABLE = """
name = "a"
title = "A"
[sources.paper]
title = "P"
verified = "copy"
[protocols.all]
summary = "S"
samples = 50_000
[[rows]]
model = "M"
family = "gan"
source = "paper"
protocol = "all"
measured_by = "authors"
sampler = { steps = 4, guidance = 1.5, guidance_kind = "classifier-free" }
metrics = { fid = 3.0, is = 9.5, precision = 0.7 }
cost = { seconds = 2.0, images = 100, device = "one V100" }
"""


@cache
def tables() -> dict[str, PublishedTable]:
    return {table.name: table for table in load_published(FOLDER)}


def found(table: str, source: str, model: str, variant: str = "", **sampler: object) -> list[PublishedRow]:
    return [
        row
        for row in tables()[table].rows
        if (row.source, row.model, row.variant) == (source, model, variant)
        and all(getattr(row.sampler, key) == value for key, value in sampler.items())
    ]


def the(table: str, source: str, model: str, variant: str = "", **sampler: object) -> PublishedRow:
    (row,) = found(table, source, model, variant, **sampler)
    return row


def load(folder: Path, text: str) -> PublishedTable:
    (folder / "a.toml").write_text(text)
    (table,) = load_published(folder)
    return table


def test_every_table_is_read() -> None:
    assert {name: len(table.rows) for name, table in tables().items()} == ROW_COUNTS


@pytest.mark.parametrize("name", ROW_COUNTS)
def test_every_row_has_a_source_and_a_protocol(name: str) -> None:
    table = tables()[name]
    for row in table.rows:
        assert table.sources[row.source].title and table.protocols[row.protocol].summary
    # A paper can be looked up, and a number not read in the paper itself says so.
    assert all(source.arxiv for source in table.sources.values() if source.verified == "copy")


@pytest.mark.parametrize("name", ROW_COUNTS)
def test_a_table_comes_back(name: str) -> None:
    assert build(PublishedTable, dump(tables()[name]), where="") == tables()[name]


@pytest.mark.parametrize(
    ("row", "fid", "inception_score", "precision", "recall"),
    [
        (("imagenet-256", "var-and-arpg", "BigGAN"), 6.95, 224.5, 0.89, 0.38),
        (("imagenet-256", "var-and-arpg", "DiT-XL/2"), 2.27, 278.2, 0.83, 0.57),
        (("imagenet-256", "var-and-arpg", "LlamaGen-L", "384"), 3.07, 256.1, 0.83, 0.52),
        (("imagenet-256", "var-and-arpg", "MAR-B"), 2.31, 281.7, 0.82, 0.57),
        (("imagenet-256", "var-and-arpg", "LDM-4-G"), 3.60, 247.7, None, None),
        (("imagenet-256", "var-and-arpg", "validation set"), 1.78, 236.9, 0.75, 0.67),
        (("imagenet-256", "var-tab1", "VAR-d16"), 3.30, 274.4, 0.84, 0.51),
        (("imagenet-256", "var-readme", "VAR-d16"), 3.55, None, None, None),
        (("imagenet-256", "dit-readme", "DiT-XL/2", "torch port"), 2.21, None, None, None),
        (("cifar-10", "ddgan-tab1", "DDGAN"), 3.75, 9.63, None, 0.57),
        (("cifar-10", "ddgan-tab2", "DDGAN", "no latent z"), 20.6, 8.37, None, 0.42),
        (("cifar-10", "rectified-flow-tab1", "2-RF", "distilled"), 4.85, 9.01, None, 0.50),
        (("coco-zero-shot", "dmd2-coco", "Imagen"), 7.27, None, None, None),
        (("ffhq-256", "r3gan", "R3GAN"), 2.75, None, None, 0.49),
        (("imagenet-64", "r3gan", "BigGAN-deep"), 4.06, None, None, 0.48),
        (("imagenet-128", "mmgeneration", "BigGAN-deep"), 5.9471, 107.161, None, None),
        (("imagenet-256", "mmgeneration", "BigGAN-deep"), 11.3151, 135.107, None, None),
        (("imagenet-512", "mmgeneration", "BigGAN-deep"), 16.8728, 124.368, None, None),
        (("imagenet-512", "var-readme", "VAR-d36"), 2.63, None, None, None),
        (("ffhq-256", "taming-readme", "VQGAN"), 9.6, None, None, None),
        (("celeba-hq-256", "taming-readme", "VQGAN"), 10.2, None, None, None),
    ],
)
def test_quality_is_as_the_sources_print_it(
    row: tuple[str, str, str],
    fid: float,
    inception_score: float | None,
    precision: float | None,
    recall: float | None,
) -> None:
    expected = PublishedMetrics(fid=fid, inception_score=inception_score, precision=precision, recall=recall)
    assert the(*row).metrics == expected


def test_other_numbers_are_as_the_sources_print_them() -> None:
    ddpm = the("cifar-10", "ddgan-tab1", "DDPM")
    assert (ddpm.cost.nfe, ddpm.cost.seconds_per_image, ddpm.cost.device) == (1000, 0.805, "one V100")
    var = the("imagenet-256", "arpg-tab2", "VAR-d16").cost
    assert (var.images_per_second, var.memory_gb, var.device) == (114.42, 10.97, "")
    assert the("imagenet-256", "var-tab1", "ADM").cost.relative_time == 168
    veegan = the("stacked-mnist", "r3gan", "VEEGAN").metrics
    assert (veegan.modes, veegan.divergence) == (150, 2.95)
    turbo = the("coco-zero-shot", "dmd2-sdxl", "SDXL-Turbo").metrics
    assert (turbo.patch_fid, turbo.clip_score, turbo.diversity) == (23.27, 0.334, 0.58)
    assert the("imagenet-64", "vdvae", "VDVAE").metrics.bits_per_dimension == 3.52
    assert the("coco-zero-shot", "dmd2-coco", "SD 1.5", steps=200).sampler.guidance == 2


def test_sources_that_disagree_keep_a_row_each() -> None:
    rows = [row for row in tables()["cifar-10"].rows if row.model == "StyleGAN2 + ADA" and not row.variant]
    assert {row.source: (row.metrics.fid, row.metrics.inception_score) for row in rows} == {
        "ddgan-tab1": (2.92, 9.83),
        "rectified-flow-tab1": (2.92, 9.40),
        "r3gan": (2.42, None),
        "ddpm": (3.26, 9.74),
    }
    copies = ("diffusion as augmentation only", "diffusion as augmentation only, other copy")
    assert [the("cifar-10", "ddgan-tab2", "DDGAN", copy).metrics.fid for copy in copies] == [13.2, 14.8]


def test_flattered_and_chosen_samples_are_marked() -> None:
    rows = [row for table in tables().values() for row in table.rows]
    assert {row.model for row in rows if row.imagenet_discriminator} == {"StyleGAN-XL"}
    chosen = {row.model for row in rows if row.model.endswith("-re")}
    unmarked = [row for row in rows if row.model in chosen and row.metrics.fid and row.sampler.rejection is not True]
    assert len(chosen) == 4 and unmarked == []


def test_a_table_is_typed(tmp_path: Path) -> None:
    (row,) = load(tmp_path, TABLE).rows
    assert (row.metrics.inception_score, row.cost.seconds_per_image, row.sampler.steps) == (9.5, 0.02, 4)
    assert row.metrics.recall is None and row.conditional is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fid = 3.0", "fdi = 3.0", r'rows\[0\]: metrics: unknown key "fdi". Did you mean "fid"'),
        ("fid = 3.0", 'fid = "3.0"', "fid: must be a number"),
        ("fid = 3.0", "fid = -0.1", "metrics: fid: must be 0 or more, got -0.1"),
        ("fid = 3.0", "fid = nan", "metrics: fid: must be 0 or more, got nan"),
        ("is = 9.5", "is = inf", "metrics: is: must be 1 or more, got inf"),
        ("precision = 0.7", "precision = 70", "precision: must be 0 to 1, got 70"),
        ("steps = 4", "steps = 0", "sampler: steps: must be 1 or more"),
        ("samples = 50_000", "samples = 0", "protocols.all: samples: must be 1 or more"),
        ("images = 100, ", "", '"seconds" and "images" belong together'),
        ("seconds = 2.0", "relative_time = 2.0, seconds = 2.0", '"relative_time" and "relative_to" belong together'),
        (', guidance_kind = "classifier-free"', "", '"guidance" needs a "guidance_kind"'),
        ('family = "gan"', 'family = "gna"', "family: 'gna' is not possible here. Did you mean \"gan\""),
        ('verified = "copy"', 'verified = "memory"', "sources.paper: verified: 'memory' is not possible"),
        ('source = "paper"\n', "", r'rows\[0\]: the key "source" is missing'),
        ('protocol = "all"\n', "", r'rows\[0\]: the key "protocol" is missing'),
        (
            'source = "paper"',
            'source = "papre"',
            r"rows\[0\]: source: there is no source 'papre'. Did you mean \"paper\"",
        ),
        ('protocol = "all"', 'protocol = "none"', r"rows\[0\]: protocol: there is no protocol 'none'"),
        ("[protocols.all]", '[protocols.idle]\nsummary = "S"\n[protocols.all]', "protocols: nothing names 'idle'"),
        ('model = "M"', 'model = ""', "model: must not be empty"),
        ('name = "a"', 'name = "b"', "name: must be that of the file, 'a', got 'b'"),
        ('title = "A"', 'title = "A"\nresolution = 0', "resolution: must be 1 or more"),
        (TABLE[TABLE.index("metrics") :], "", r"rows\[0\]: M: this row holds no number"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TABLE
    with pytest.raises(UserError, match=message) as raised:
        load(tmp_path, TABLE.replace(old, new, 1))
    assert "a.toml" in str(raised.value)


def test_a_row_stands_once(tmp_path: Path) -> None:
    row = TABLE[TABLE.index("[[rows]]") :]
    with pytest.raises(UserError, match=r"rows\[1\]: 'M' stands here twice"):
        load(tmp_path, TABLE + row.replace("fid = 3.0", "fid = 4.0"))
    assert len(load(tmp_path, TABLE + row.replace("steps = 4", "steps = 8")).rows) == 2


@given(st.sampled_from(["precision", "recall"]), st.floats())
def test_shares_lie_between_0_and_1(name: str, value: float) -> None:
    if 0 <= value <= 1:
        assert getattr(PublishedMetrics(**{name: value}), name) == value  # type: ignore[arg-type]
    else:
        with pytest.raises(UserError, match="must be 0 to 1"):
            PublishedMetrics(**{name: value})  # type: ignore[arg-type]
