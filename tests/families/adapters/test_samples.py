"""Images that exist already: each goes to the sample that it was made for, or an error says what lacks."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trilemma import at_hand, registry
from trilemma.card import Card, load_card
from trilemma.cli import main
from trilemma.errors import UserError
from trilemma.families.samples import Samples
from trilemma.families.samples_assignment import Existing, assignment
from trilemma.families.samples_options import pinned
from trilemma.families.samples_table import read_table
from trilemma.workspace import find_workspace

SIDE = 8


@dataclass(frozen=True, kw_only=True)
class Planned:
    set: str = "prompted"
    key: str = "0" * 16
    prompt_id: str = "p"
    index: int = 0
    prompt: str = ""
    seed: int = 0


def planned(*prompts: str, of: str = "prompted") -> list[Planned]:
    return [
        Planned(set=of, key=f"{of[0]}{n:015x}", prompt_id=f"{of}-{n}", prompt=prompt, seed=n)
        for n, prompt in enumerate(prompts)
    ]


def existing(*files: str, prompts: dict[str, str] | None = None) -> Existing:
    return Existing(name="out", files=files, prompts=prompts or {})


def pixels(value: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), value, np.uint8)


def encoded_png(value: int) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels(value)).save(encoded, "PNG")
    return encoded.getvalue()


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Card]:
    """Writes images of one grey value each into a folder, by name, and a card for them."""

    def make(values: dict[str, int], *options: str) -> Card:
        for name, value in values.items():
            path = tmp_path / "out" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels(value)).save(path)
        return card(tmp_path, 'images = "out"', *options)

    return make


def card(folder: Path, *options: str, side: int = SIDE) -> Card:
    head = f'name = "service"\nfamily = "samples"\nresolution = {side}\n[options]\n'
    (folder / "card.toml").write_text(head + "\n".join(options) + "\n")
    return load_card(folder)


def drawn(model: Card, plan: Sequence[Planned]) -> list[int]:
    """The grey values of a plan's images, in its order."""
    generator = registry.load(model, "cpu")
    assert isinstance(generator, Samples)
    generator.assign(plan)
    images = generator.generate([one.prompt for one in plan], [one.seed for one in plan])
    assert images.shape == (len(plan), 3, SIDE, SIDE) and images.dtype == torch.uint8
    return images[:, 0, 0, 0].tolist()


def test_by_order_the_files_follow_one_another(made: Callable[..., Card]) -> None:
    model = made({"b.png": 2, "a.png": 1, "c.png": 3, "notes.txt.png": 4})
    assert drawn(model, planned("x", "y", "z")) == [1, 2, 3]


def test_by_order_numbers_in_names_count_as_numbers(made: Callable[..., Card]) -> None:
    assert drawn(made({f"{n}.png": n for n in range(12)}), planned(*"abcdefghijkl")) == list(range(12))


@pytest.mark.parametrize("kind", ("npz", "zip", "tar"))
def test_by_order_archives_are_in_the_order_of_their_numbers_too(tmp_path: Path, kind: str) -> None:
    encoded = {f"out/{n}.png": encoded_png(n) for n in range(12)}
    if kind == "npz":
        np.savez(tmp_path / "out.npz", np.stack([pixels(n) for n in range(12)]))
    elif kind == "zip":
        with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
            for name, data in encoded.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(tmp_path / "out.tar", "w") as tar:
            for name, data in encoded.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    assert drawn(card(tmp_path, f'images = "out.{kind}"'), planned(*"abcdefghijkl")) == list(range(12))


def test_by_order_each_sets_numbers_count() -> None:
    files = tuple(sorted(f"{name}/{n}.png" for name in ("prompted", "within") for n in range(11)))
    both = [*planned(*"abcdefghijk"), *planned(*"abcdefghijk", of="within")]
    chosen = [files[number] for number in assignment(existing(*files), both, "order")]
    assert chosen == [f"{name}/{n}.png" for name in ("prompted", "within") for n in range(11)]


@pytest.mark.parametrize("kind", ("npz", "zip"))
def test_arrays_and_archives_are_images_too(tmp_path: Path, kind: str) -> None:
    if kind == "npz":
        np.savez_compressed(tmp_path / "out.npz", np.stack([pixels(value) for value in (5, 6, 7)]))
    else:
        with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
            for value in (5, 6, 7):
                archive.writestr(f"{value}.png", encoded_png(value))
    assert drawn(card(tmp_path, f'images = "out.{kind}"'), planned("x", "y", "z")) == [5, 6, 7]


def test_batches_in_any_order_get_their_own_images(made: Callable[..., Card]) -> None:
    plan = planned(*"abcdefgh")
    model = registry.load(made({f"{n}.png": n for n in range(8)}), "cpu")
    assert isinstance(model, Samples)
    model.assign(plan)
    chosen = [plan[n] for n in (6, 2, 3, 4, 0, 7)]
    images = model.generate([one.prompt for one in chosen], [one.seed for one in chosen])
    assert images[:, 0, 0, 0].tolist() == [6, 2, 3, 4, 0, 7]
    with pytest.raises(UserError, match="for a protocol's plan alone"):
        model.generate(["a"], [99])


def test_by_order_each_set_has_its_folder() -> None:
    files = ("prompted/0.png", "prompted/1.png", "unconditional/0.png", "unconditional/1.png", "unconditional/2.png")
    both = [*planned("x", "y"), *planned("", "", of="unconditional")]
    assert assignment(existing(*files), both, "order") == [0, 1, 2, 3]
    assert assignment(existing(*files), planned("", of="unconditional"), "order") == [2]  # fewer, and the same ones
    with pytest.raises(UserError, match=r"order alone does not tell.*prompted, unconditional"):
        assignment(existing("0.png", "1.png", "2.png", "3.png"), both, "order")


def test_too_few_images_say_how_many_are_needed() -> None:
    files = ("prompted/0.png", "unconditional/0.png", "unconditional/1.png")
    both = [*planned("x", "y"), *planned("", "", of="unconditional")]
    with pytest.raises(UserError, match=r"prompted: 2 needed, 1 there, unconditional: 2 needed, 2 there.*--samples N"):
        assignment(existing(*files), both, "order")
    with pytest.raises(UserError, match=r"prompted: 3 needed, 2 there"):
        assignment(existing("a.png", "b.png"), planned("x", "y", "z"), "order")


def test_by_names_a_file_is_called_after_its_sample() -> None:
    plan = planned("x", "y", "z")
    assert assignment(existing("prompted-2_0.png", "p000000000000000.jpg", "prompted-1.webp"), plan, "names") == [
        1,
        2,
        0,
    ]
    second = [Planned(prompt_id="p", index=0), Planned(prompt_id="p", index=1, seed=1)]
    assert assignment(existing("p_1.png", "p.png"), second, "names") == [1, 0]
    with pytest.raises(
        UserError, match=r'1 of 3 samples have no image, .* "prompted-1_0" of the set "prompted", key p0+1'
    ):
        assignment(existing("prompted-0.png", "prompted-2.png"), plan, "names")
    with pytest.raises(UserError, match='two images are called "prompted-0"'):
        assignment(existing("a/prompted-0.png", "b/prompted-0.png"), plan, "names")


def test_by_prompts_each_image_is_used_once() -> None:
    prompts = {"1.png": "a cat", "2.png": " a  dog", "3.png": "a cat", "4.png": "a cat"}
    known = existing("1.png", "2.png", "3.png", "4.png", "5.png", prompts=prompts)
    assert assignment(known, planned("a cat", "a dog", "a cat"), "prompts") == [0, 1, 2]
    with pytest.raises(
        UserError, match=r'1 of 2 prompts have too few.*"a cat" of the set "prompted": 4 needed, 3 there'
    ):
        assignment(known, planned(*["a cat"] * 4, "a dog"), "prompts")
    with pytest.raises(UserError, match=r'"a bird" of the set "prompted": 1 needed, 0 there'):
        assignment(known, planned("a bird"), "prompts")


def test_a_sets_own_folder_holds_its_images() -> None:
    files = ("prompted/1.png", "within/1.png")
    known = existing(*files, prompts=dict.fromkeys(files, "a cat"))
    assert assignment(known, planned("a cat", of="within"), "prompts") == [1]
    assert assignment(known, planned("a cat"), "prompts") == [0]


@pytest.mark.parametrize("ending", ("csv", "tsv", "jsonl"))
def test_a_table_tells_what_each_image_was_made_for(made: Callable[..., Card], tmp_path: Path, ending: str) -> None:
    rows = [("2.png", "a cat, sitting"), ("./1.png", "a dog")]
    path = tmp_path / f"metadata.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps({"file_name": f, "text": p}) + "\n\n" for f, p in rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="," if ending == "csv" else "\t")
            writer.writerows([("file_name", "width", "prompt"), *((f, 8, p) for f, p in rows)])
    model = made({"1.png": 1, "2.png": 2}, f'prompts = "{path.name}"')
    assert drawn(model, planned("a dog", "a cat, sitting")) == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "name,prompt\na.png,x\n", "line 2: there is no text for a file here. Columns: file_name"),
        ("t.csv", "file,words\na.png,x\n", "no text for a prompt"),
        ("t.csv", "file,prompt\na.png,x\na.png,y\n", 'two lines are of the file "a.png"'),
        ("t.csv", "file,prompt\n", "no lines"),
        ("t.jsonl", '{"file": "a.png"\n', "cannot be read"),
        ("t.jsonl", "[1]\n", "no object"),
        ("t.txt", "a.png x\n", "no table that is read here. Known: .csv"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        read_table(tmp_path / name)


def test_a_table_of_images_that_are_not_there_is_refused(made: Callable[..., Card], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,prompt\n1.png,x\n7.png,y\n")
    with pytest.raises(UserError, match='names "7.png", and there is no such image'):
        registry.load(made({"1.png": 1}, 'prompts = "t.csv"'), "cpu")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), 'the key "images" is missing'),
        (('images = "out"', 'assing = "order"'), 'unknown key "assing". Did you mean "assign"'),
        (('images = "out"', 'assign = "luck"'), '"luck" is not possible here'),
        (('images = "out"', 'assign = "prompts"'), 'goes with assign = "prompts"'),
        (('images = "out"', 'assign = "order"', 'prompts = "t.csv"'), 'goes with assign = "prompts"'),
        (('images = "nowhere"',), "nowhere: there is no such file or folder"),
        (("images = 3",), "must be a text"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused_early(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    (tmp_path / "out").mkdir()
    absent = at_hand.missing(card(tmp_path, *options))
    assert absent is not None and said in str(absent)


def test_an_image_of_another_size_is_named(made: Callable[..., Card]) -> None:
    model = made({"1.png": 1})
    generator = registry.load(card(model.path, 'images = "out"', side=16), "cpu")
    assert isinstance(generator, Samples)
    generator.assign(planned("x"))
    with pytest.raises(UserError, match=r"out: 1.png: this image is 8x8, the card says 16x16.*resolution = 8"):
        generator.generate(["x"], [0])


def test_nothing_of_how_they_were_made_is_known(made: Callable[..., Card]) -> None:
    info = registry.load(made({"1.png": 1}), "cpu").info
    assert info.parameters is None
    assert info.unknown.keys() == {"speed", "memory", "parameters", "evaluations", "operations"}


def test_the_images_are_a_part_of_the_model(made: Callable[..., Card], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file_name,prompt\na.png,x\n")
    options = ('prompts = "t.csv"', 'assign = "prompts"')
    first = pinned(made({"a.png": 1}, *options))
    assert set(first.options) == {"images", "prompts", "assign", "sha256", "prompts_sha256"}
    assert pinned(first) == first and drawn(first, planned("x")) == [1]
    second = pinned(made({"a.png": 2}, *options))
    assert second.revision != first.revision
    with pytest.raises(UserError, match="sha256: what lies here is not what the card says"):
        pinned(first)
    (tmp_path / "t.csv").write_text("file_name,prompt\na.png,y\n")
    with pytest.raises(UserError, match="prompts_sha256: what lies here is not"):
        pinned(second)


def test_speed_refuses_them(made: Callable[..., Card], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = made({"1.png": 1})
    assert main(["speed", str(model.path), "--out", str(tmp_path / "runs")]) == 2
    assert '"service" has nothing to time: its images exist already.' in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_command_prompts_names_every_file_to_make(capsys: pytest.CaptureFixture[str]) -> None:
    root = find_workspace(start=Path(__file__).parent).root
    assert main(["prompts", "scenes", "--samples", "32", "--root", str(root)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out), delimiter="\t"))
    assert len(rows) == 3 * 32 and {row["set"] for row in rows} == {"prompted", "unconditional", "within_prompt"}
    assert rows[0]["file_name"] == f"prompted/{rows[0]['key']}.png"
    assert all((row["prompt"] == "") == (row["set"] == "unconditional") for row in rows)
    assert len({row["key"] for row in rows}) == len({row["seed"] for row in rows}) == len(rows)
