"""``score`` and ``stats`` as a user types them: what is printed where, exit codes, and input of every bad kind."""

from __future__ import annotations

import csv
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trilemma.cli import main
from trilemma.data import scenes

CHECKOUT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with 64 real and 24 other images of Scenes."""
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, split, count in (("real", "reference", 64), ("fake", "heldout", 24)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(scenes.images(split, range(count))):
            Image.fromarray(image).save(tmp_path / name / f"{number:02d}.png")
    return tmp_path


def run(*arguments: str) -> int:
    return main(["score", "./real", *arguments, "--preset", "scenes", "--device", "cpu"])


def test_people_read_standard_error_and_machines_standard_output(capsys: Capture) -> None:
    assert run("./fake", "-q") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "fd_scenes" in printed.err and "needs at least 64 samples; there are 24" in printed.err
    assert "./fake against ./real" in printed.err and "±" in printed.err
    assert run("./fake", "--json") == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["schema"] == "trilemma.score/1"
    assert (document["real"]["images"], document["fake"]["images"]) == (64, 24)
    first = document["numbers"][0]
    assert (first["metric"], first["n"], first["n_reference"]) == ("fd_scenes", 24, 64)
    assert first["floor"]["n_reference"] == 40
    assert "fake" in printed.err and "24/24" in printed.err


def test_quiet_shows_no_bars(capsys: Capture) -> None:
    run("./fake", "--quiet")
    assert "24/24" not in capsys.readouterr().err


def test_the_same_command_prints_the_same_document(capsys: Capture) -> None:
    texts = []
    for _ in range(2):
        run("./fake", "--json", "--seed", "3")
        lines = capsys.readouterr().out.splitlines()
        texts.append([line for line in lines if not line.startswith(' "created"')])
    assert texts[0] == texts[1] and len(texts[0]) > 100


def test_the_csv_has_full_precision_and_gaps(here: Path, capsys: Capture) -> None:
    assert run("./fake", "-q", "--json", "--csv", "table.csv") == 0
    numbers = {row["metric"]: row for row in json.loads(capsys.readouterr().out)["numbers"]}
    with (here / "table.csv").open(newline="") as file:
        table = {row["metric"]: row for row in csv.DictReader(file)}
    assert float(table["fd_scenes"]["value"]) == numbers["fd_scenes"]["value"]
    assert float(table["fd_scenes"]["low"]) == numbers["fd_scenes"]["ci"][0]
    assert (table["kid"]["value"], table["kid"]["status"]) == ("", "skipped")
    assert list(table) == list(numbers)


def test_samples_and_reference_take_fewer(capsys: Capture) -> None:
    assert run("./fake", "-q", "--json", "--samples", "20", "--reference", "50") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["real"]["images"], document["fake"]["images"]) == (50, 20)


def test_stats_and_score_meet_in_a_file(here: Path, capsys: Capture) -> None:
    assert main(["stats", "./real", "real.npz", "--preset", "scenes", "-q", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n"] == 64 and "Statistics: real.npz" in printed.err
    assert main(["score", "real.npz", "./fake", "--preset", "scenes", "-q", "--json"]) == 0
    by_file = json.loads(capsys.readouterr().out)["numbers"][0]
    run("./fake", "-q", "--json")
    by_images = json.loads(capsys.readouterr().out)["numbers"][0]
    assert by_file["value"] == pytest.approx(by_images["value"], rel=1e-9)
    with np.load("real.npz", allow_pickle=False) as stored:
        assert stored["mu"].shape == (128,) and int(stored["n"]) == 64


def test_from_outside(here: Path) -> None:
    command = [sys.executable, str(CHECKOUT / "bench.py"), "score", "real", "nothing"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith('error: "real" is a path and a model.')


def empty(folder: Path) -> None:
    folder.mkdir()


def truncated(folder: Path) -> None:
    folder.mkdir()
    whole = Path("fake/00.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: len(whole) // 2])


def text(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.png").write_text("this is no picture")


def bomb(folder: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    folder.mkdir()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def mixed(folder: Path) -> None:
    folder.mkdir()
    for side in (32, 40):
        Image.new("RGB", (side, side)).save(folder / f"{side}.png")


def larger(folder: Path) -> None:
    folder.mkdir()
    Image.new("RGB", (48, 48)).save(folder / "a.png")


def see_through(folder: Path) -> None:
    folder.mkdir()
    Image.new("RGBA", (32, 32), (1, 2, 3, 100)).save(folder / "a.png")


def sixteen_bits(folder: Path) -> None:
    folder.mkdir()
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(folder / "a.png")


def alone(folder: Path) -> None:
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "a.png")


def nan(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.full((3, 32, 32, 3), np.nan, np.float32))


def statistics(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, mu=np.zeros(128), sigma=np.eye(128))


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def archive_of_nothing(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.txt", "nothing here")


BAD: list[tuple[Callable[[Path], None], str, str]] = [
    (empty, "bad", "there are no images here"),
    (truncated, "bad", "a.png: this image cannot be read"),
    (text, "bad", "a.png: this"),
    (bomb, "bad", "30,000 x 30,000 pixels"),
    (mixed, "bad", "the images differ in size: 32 x 32 and 40 x 40"),
    (larger, "bad", "32 x 32 in real and 48 x 48 in bad"),
    (see_through, "bad", "a.png"),
    (sixteen_bits, "bad", "a.png"),
    (alone, "bad", "no number could be had. fd_scenes, vendi: needs at least 20 samples; there are 1"),
    (nan, "bad.npy", "NaN in image 0"),
    (pickled, "bad.npy", "bad.npy"),
    (statistics, "bad.npz", "these are reference statistics; what is judged must be images"),
    (archive_of_nothing, "bad.zip", "there are no images here"),
]


@pytest.mark.parametrize(("make", "name", "message"), BAD, ids=[make.__name__ for make, _, _ in BAD])
def test_bad_input_is_one_line_and_exit_code_2(
    here: Path, make: Callable[[Path], None], name: str, message: str, capsys: Capture
) -> None:
    make(here / name)
    assert run(f"./{name}", "-q", "--json") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1, printed.err
    assert message in printed.err


def test_grey_pictures_are_converted(here: Path, capsys: Capture) -> None:
    (here / "grey").mkdir()
    for number in range(20):
        Image.open(here / "fake" / f"{number:02d}.png").convert("L").save(here / "grey" / f"{number:02d}.png")
    assert run("./grey", "-q", "--json") == 0
    assert json.loads(capsys.readouterr().out)["numbers"][0]["value"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("./fake", "--samples", "25"), "error: fake: there are 24 images here; 25 are asked for."),
        (("./fake", "--samples", "0"), "./fake: at least one image is needed, got 0."),
        (("./fake", "--batch-size", "0"), "--batch-size: must be at least 1, got 0."),
        (("./fake", "--dtype", "float16"), 'features cannot be computed in "float16".'),
        (("./fake", "--resize", "0"), "--resize: images can be resized"),
        (("./fake", "--resize", "40"), "the extractor of Scenes measures 32x32 images, not 40x40."),
        (("./fake", "--prompts", "none.txt"), "none.txt: these prompts cannot be read"),
        (("./nothing",), "nothing: there is no such file or folder."),
        (("scenes:refrence",), 'scenes:refrence: Scenes have no split "refrence". Did you mean "reference"?'),
        (("scenez",), 'there is no "scenez"'),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1 and message in printed.err, printed.err


def test_an_unknown_device_or_preset(capsys: Capture) -> None:
    assert main(["score", "./real", "./fake", "--device", "gpu"]) == 2
    assert capsys.readouterr().err.startswith('error: --device: there is no device "gpu".')
    assert main(["score", "./real", "./fake", "--preset", "scnes"]) == 2
    assert capsys.readouterr().err.startswith('error: there is no preset "scnes". Did you mean "scenes"?')


def test_statistics_of_another_extractor(here: Path, capsys: Capture) -> None:
    assert main(["stats", "./real", "other.npz", "--preset", "scenes", "--dtype", "float64", "-q"]) == 0
    capsys.readouterr()
    assert main(["score", "other.npz", "./fake", "--preset", "scenes", "-q"]) == 2
    printed = capsys.readouterr()
    assert "extractor.dtype is 'float64' there, 'float32' here" in printed.err and printed.err.count("\n") == 1


def test_a_model_that_fails_is_exit_code_1(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    from trilemma.scoring.drawing import DrawingFailed

    def fail(*_: object) -> None:
        raise DrawingFailed('the model "gan" failed: RuntimeError: it fell over')

    monkeypatch.setattr("trilemma.scoring.score.score", fail)
    assert run("./fake") == 1
    assert capsys.readouterr().err == 'error: the model "gan" failed: RuntimeError: it fell over\n'


@pytest.mark.parametrize("verb", ["score", "stats"])
def test_help_has_an_example(verb: str, capsys: Capture) -> None:
    assert main([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"Example: trilemma {verb}" in printed and "--root" in printed
