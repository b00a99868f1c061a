"""Files of prompts: what is read comes back, and what cannot be read says where."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trilemma.data import prompts as module
from trilemma.data.prompts import MAX_LETTERS, read_prompts
from trilemma.errors import UserError

LETTERS = st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r\n")
PROMPTS = st.lists(st.text(LETTERS, min_size=1, max_size=40).map(str.strip).filter(bool), min_size=1, max_size=8)


def as_text(path: Path, prompts: list[str]) -> None:
    path.write_bytes("".join(f"{prompt}\n" for prompt in prompts).encode())


def as_table(path: Path, prompts: list[str]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t" if path.suffix == ".tsv" else ",")
    writer.writerows([("id", "Caption", "note"), *((number, prompt, "x") for number, prompt in enumerate(prompts))])
    path.write_bytes(buffer.getvalue().encode())


def as_json_lines(path: Path, prompts: list[str]) -> None:
    path.write_text("".join(json.dumps({"tag": 1, "prompt": prompt}) + "\n" for prompt in prompts), encoding="utf-8")


def as_parquet(path: Path, prompts: list[str]) -> None:
    pq.write_table(pa.table({"id": list(range(len(prompts))), "TEXT": prompts}), path)


WRITERS: dict[str, Callable[[Path, list[str]], None]] = {
    ".txt": as_text, ".tsv": as_table, ".csv": as_table, ".jsonl": as_json_lines, ".parquet": as_parquet,
}  # fmt: skip


@pytest.mark.parametrize("ending", WRITERS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=PROMPTS)
def test_what_is_written_is_read(tmp_path: Path, ending: str, prompts: list[str]) -> None:
    path = tmp_path / f"prompts{ending}"
    WRITERS[ending](path, prompts)
    assert read_prompts(path) == prompts


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), ending=st.sampled_from(sorted(WRITERS)))
def test_any_bytes_give_prompts_or_one_line(tmp_path: Path, data: bytes, ending: str) -> None:
    path = tmp_path / f"any{ending}"
    path.write_bytes(data)
    try:
        found = read_prompts(path)
    except UserError as error:
        assert str(path) in str(error)
    else:
        assert found and all(prompt == prompt.strip() and 0 < len(prompt) <= MAX_LETTERS for prompt in found)


def test_the_layouts_of_known_files(tmp_path: Path) -> None:
    parti = tmp_path / "PartiPrompts.tsv"
    parti.write_text('Prompt\tCategory\tNote\nA sign that says "NO"\tOutdoor\tits "sign"\nbond\tAbstract\t\n')
    assert read_prompts(parti) == ['A sign that says "NO"', "bond"]
    parti.write_text('Prompt\tNote\n"G I G" on a wall\tx\n"a ""big"" sign"\ty\n"LOVE" and "HATE"\tz\n')
    assert read_prompts(parti) == ['"G I G" on a wall', 'a "big" sign', '"LOVE" and "HATE"']
    mlperf = tmp_path / "captions_source.tsv"
    mlperf.write_text('id\tcaption\tcoco_url\n7\t"A frisbee that says ""Cheese Shop"" on it."\thttp://x\n')
    assert read_prompts(mlperf) == ['A frisbee that says "Cheese Shop" on it.']
    geneval = tmp_path / "metadata.jsonl"
    geneval.write_text('{"tag": "counting", "include": [{"class": "cow"}], "prompt": "a photo of two cows"}\n')
    assert read_prompts(geneval) == ["a photo of two cows"]


def test_a_column_is_taken_by_name_and_in_a_fixed_order(tmp_path: Path) -> None:
    path = tmp_path / "both.csv"
    path.write_text("caption,prompt,long\na,b,c\n")
    assert read_prompts(path) == ["b"]
    assert read_prompts(path, "long") == ["c"]
    with pytest.raises(UserError, match='no column "lon".*Did you mean "long"'):
        read_prompts(path, "lon")


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("\ufeffa\u2028b\r\nc\x0bd".encode())
    assert read_prompts(path) == ["a\u2028b", "c\x0bd"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "one\n\nthree\n", r"line 2: a prompt has 1 to 10,000 letters, this one 0"),
        ("a.txt", "x" * (MAX_LETTERS + 1), "this one 10,001"),
        ("a.txt", "", "no prompts here"),
        ("a.txt", "a\0b", "not valid text"),
        ("a.doc", "one", r"no file of prompts.*Known: \.txt, \.tsv"),
        ("a.csv", "prompt,b\none\n", "this row has 1 columns, the header 2"),
        ("a.csv", "id,b\n1,2\n", r"no column called prompt, caption, text; there are: id, b"),
        ("a.csv", "", "there are: none"),
        ("a.csv", 'prompt,b\n"a" b,c\n', "this table cannot be read"),
        ("a.jsonl", '{"prompt": "a"}\n[1]\n', r"line 2: each line must be a JSON object"),
        ("a.jsonl", '{"prompt": 3}\n', "a prompt must be text, got 3"),
        ("a.jsonl", '{"prompt": "\\ud800"}\n', "not valid text"),
        ("a.jsonl", "{\n", "line 1: this is no JSON"),
        ("a.parquet", "PAR1", "this Parquet file cannot be read"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as raised:
        read_prompts(tmp_path / name)
    assert name in str(raised.value)


def test_what_is_no_file_and_what_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_prompts(tmp_path / "nowhere.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match="not UTF-8: .* at byte 3"):
        read_prompts(tmp_path / "latin.txt")
    (tmp_path / "a.txt").write_text("one\n")
    with pytest.raises(UserError, match="plain text has no columns"):
        read_prompts(tmp_path / "a.txt", "prompt")


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for ending, write in WRITERS.items():
        write(tmp_path / f"a{ending}", ["one", "two", "three"])
    monkeypatch.setattr(module, "MAX_PROMPTS", 2)
    for ending in WRITERS:
        with pytest.raises(UserError, match="more than 2 prompts"):
            read_prompts(tmp_path / f"a{ending}")
    monkeypatch.setattr(module, "MAX_BYTES", 4)
    for ending in WRITERS:
        with pytest.raises(UserError, match="files of prompts may have 4"):
            read_prompts(tmp_path / f"a{ending}")
