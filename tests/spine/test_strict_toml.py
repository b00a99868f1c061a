"""The strict reader: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.strict_toml import NOT_IN_FILE, build, dump, key_in_file, read


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int
    ratio: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    numbers: dict[str, float | int] = field(default_factory=dict)
    free: dict[str, Any] = field(default_factory=dict)
    renamed: int = field(default=0, metadata=key_in_file("short"))
    path: Path = field(metadata=NOT_IN_FILE)


def make(**table: Any) -> Outer:
    return build(Outer, {"name": "x", **table}, where="f.toml", path=Path("p"))


def test_every_kind_of_field_is_read(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(
        'name = "x"\nflag = true\nkind = "b"\nshort = 3\n[inner]\nsize = 1\nratio = 2\n[[many]]\nsize = 4\n'
    )
    outer = read(file, Outer, path=tmp_path)
    assert outer.flag and outer.kind == "b" and outer.renamed == 3 and outer.path == tmp_path
    assert outer.inner == Inner(size=1, ratio=2.0) and isinstance(outer.inner.ratio, float)
    assert outer.many == (Inner(size=4),)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nmae": "y"}, r'f\.toml: unknown key "nmae"\. Did you mean "name"'),
        ({"inner": {"size": 1, "ration": 1}}, r'f\.toml: inner: unknown key "ration"\. Did you mean "ratio"'),
        ({"many": [{"size": 1}, {"siz": 1}]}, r'many\[1\]: unknown key "siz"'),
        ({"inner": {}}, r'inner: the key "size" is missing'),
        ({"inner": 3}, r"inner: must be a table"),
        ({"inner": {"size": True}}, r"size: must be an integer, got True"),
        ({"inner": {"size": 1.0}}, r"size: must be an integer, got 1\.0"),
        ({"flag": 1}, r"flag: must be true or false"),
        ({"kind": "c"}, r"kind: 'c' is not possible here"),
        ({"numbers": {"a": "1"}}, r"numbers\.a: must be"),
        ({"many": {}}, r"many: must be a list"),
        ({"path": "elsewhere"}, r'unknown key "path"'),
        ({"renamed": 1}, r'unknown key "renamed"'),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make(**table)


def test_numbers_keep_their_type_in_a_union() -> None:
    numbers = make(numbers={"whole": 2, "broken": 2.5}).numbers
    assert numbers == {"whole": 2, "broken": 2.5}
    assert isinstance(numbers["whole"], int)


def test_a_file_that_is_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "nothing.toml", Outer, path=tmp_path)
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(UserError, match="not readable TOML"):
        read(tmp_path / "bad.toml", Outer, path=tmp_path)


plain = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))
values = st.recursive(plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3))


@given(st.dictionaries(st.sampled_from([f.name for f in fields(Outer)] + ["short", "other"]), values, max_size=5))
def test_any_table_gives_an_object_or_a_user_error(table: dict[str, Any]) -> None:
    try:
        outer = build(Outer, table, where="f.toml", path=Path("p"))
    except UserError as error:
        assert str(error).startswith("f.toml")
        assert "\n" not in str(error).replace("\\n", "") or any("\n" in str(v) for v in (*table, *table.values()))
    else:
        assert table.keys() <= {"name", "flag", "kind", "inner", "many", "numbers", "free", "short"}
        assert isinstance(outer.name, str) and isinstance(outer.flag, bool)


inners = st.builds(Inner, size=st.integers(), ratio=st.floats(allow_nan=False, allow_infinity=False))
outers = st.builds(
    Outer,
    name=st.text(),
    flag=st.booleans(),
    kind=st.sampled_from(["a", "b"]),
    inner=st.none() | inners,
    many=st.lists(inners, max_size=3).map(tuple),
    numbers=st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)),
    free=st.just({"deep": {"list": [1, "two"]}}),
    renamed=st.integers(),
    path=st.just(Path("p")),
)


@given(outers)
def test_dump_is_undone_by_build_even_through_json(outer: Outer) -> None:
    table = json.loads(json.dumps(dump(outer)))
    assert build(Outer, table, where="f.toml", path=Path("p")) == outer
