"""One pass for several extractors, a cache keyed by content, and a killed extraction that goes on."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from trilemma.data.folder import open_folder
from trilemma.errors import UserError
from trilemma.features import cache as cache_module
from trilemma.features.cache import CachedFeatures
from trilemma.features.extract import extract
from trilemma.features.extractor import Extractor
from trilemma.features.presets import preset
from trilemma.identity import digest


class Source:
    """Images that are told apart by their colour; counts what is decoded, and can fail."""

    def __init__(self, count: int, content: str = "a", name: str = "source") -> None:
        self.name, self.content, self.count = name, content, count
        self.decoded: list[int] = []
        self.fails_at: int | None = None

    def __len__(self) -> int:
        return self.count

    def digest(self) -> str:
        return digest([self.content, self.count])

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        for index in range(start, self.count if stop is None else stop):
            if index == self.fails_at:
                raise KeyboardInterrupt
            self.decoded.append(index)
            yield np.full((32, 32, 3), (index % 256, index // 256, len(self.content)), np.uint8)


class Colour(nn.Module):
    width = 3

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.tensor(float(sign)))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        colour = self.sign * (pixels[:, :, 0, 0] + 1) * 127.5
        return {"features": colour, "logits": colour[:, :1].repeat(1, 5)}


def colour(sign: int = 1, sha256: str = "0") -> Extractor:
    return Extractor(preset("scenes").recipe, Colour(sign), {"model.safetensors": sha256})


def expected(start: int, end: int) -> NDArray[np.float64]:
    index = np.arange(start, end)
    return np.stack([index % 256, index // 256, np.ones(len(index))], 1)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "SHARD", 8)


def test_rows_are_in_the_order_of_the_images(tmp_path: Path) -> None:
    found = extract(Source(300), {"one": colour()}, batch_size=3, cache=tmp_path)["one"]
    np.testing.assert_allclose(found["features"], expected(0, 300), atol=1e-4)
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
        "features": ((300, 3), np.float32), "logits": ((300, 5), np.float32),
    }  # fmt: skip


@settings(max_examples=25)
@given(count=st.integers(1, 40), batch_size=st.integers(1, 50))
def test_neither_batches_nor_shards_show(count: int, batch_size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = extract(Source(count), {"one": colour()}, batch_size=batch_size, cache=tmp_path_factory.mktemp("cache"))
    np.testing.assert_allclose(found["one"]["features"], expected(0, count), atol=1e-4)


def test_images_are_decoded_once_for_all_extractors(tmp_path: Path) -> None:
    source = Source(20)
    found = extract(source, {"plus": colour(), "minus": colour(-1, "1")}, cache=tmp_path)
    assert source.decoded == list(range(20))
    np.testing.assert_allclose(found["minus"]["features"], -expected(0, 20), atol=1e-4)
    np.testing.assert_allclose(found["plus"]["features"], expected(0, 20), atol=1e-4)


@pytest.mark.parametrize(("device", "beside"), [("cpu", False), ("meta", True)])
def test_images_are_decoded_ahead_for_an_accelerator_alone(device: str, beside: bool, tmp_path: Path) -> None:
    threads: set[str] = set()

    class Watched(Source):
        def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
            for image in super().images(start, stop):
                threads.add(threading.current_thread().name)
                yield image

    extractor = colour()
    extractor.device = torch.device(device)
    extractor.batch = lambda images: {"features": np.stack(images)[:, 0, 0].astype(np.float32)}  # type: ignore[method-assign]
    found = extract(Watched(20), {"one": extractor}, batch_size=3, cache=tmp_path)["one"]
    assert (threading.current_thread().name not in threads) is beside and len(threads) >= 1
    assert np.array_equal(found["features"], expected(0, 20))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_error_in_a_batch_leaves_no_thread_behind(device: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 80, 80, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number:02d}.png")
    extractor = colour()
    extractor.device = torch.device(device)
    extractor.batch = lambda images: (_ for _ in ()).throw(UserError("not finite"))  # type: ignore[method-assign]
    with pytest.raises(UserError, match="not finite") as caught:
        extract(open_folder(tmp_path), {"one": extractor}, batch_size=3, cache=tmp_path / "cache")
    at_work = [thread.name for thread in threading.enumerate() if thread.name.startswith("images")]
    assert caught.value is not None and at_work == []


@pytest.mark.parametrize(("device", "size"), [("cpu", 16), ("meta", 32)])
def test_as_many_images_at_a_time_as_suit_the_device(
    device: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "SHARD", 1024)
    sizes: list[int] = []

    def batch(images: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        sizes.append(len(images))
        return {"features": np.stack(images)[:, 0, 0].astype(np.float32)}

    extractor = colour()
    extractor.device = torch.device(device)
    extractor.batch = batch  # type: ignore[assignment, method-assign]
    extract(Source(70), {"one": extractor}, cache=tmp_path)
    assert sizes[:2] == [size, size] and sum(sizes) == 70


def test_only_the_extractor_that_lacks_them_computes(tmp_path: Path) -> None:
    source = Source(20)
    extract(source, {"plus": colour()}, cache=tmp_path)
    calls: list[int] = []
    plus, minus = colour(), colour(-1, "1")
    plus.network.register_forward_hook(lambda *_: calls.append(1))
    extract(source, {"plus": plus, "minus": minus}, cache=tmp_path)
    assert calls == []
    assert len(source.decoded) == 40


def test_features_are_kept_by_content_and_never_by_name(tmp_path: Path) -> None:
    extract(Source(20, name="first"), {"a": colour()}, cache=tmp_path)
    again = Source(20, name="renamed")
    extract(again, {"b": colour()}, cache=tmp_path)
    assert again.decoded == []
    for other in (Source(20, content="bb", name="first"), Source(21, name="first")):
        found = extract(other, {"a": colour()}, cache=tmp_path)["a"]["features"]
        assert len(other.decoded) == len(other)
        assert (found[:, 2] == np.float32(len(other.content))).all() or np.allclose(found[:, 2], len(other.content))


@pytest.mark.parametrize("other", ("weights", "recipe", "count"))
def test_whatever_changes_features_changes_the_key(other: str, tmp_path: Path) -> None:
    first, source = colour(), Source(20)
    extract(source, {"a": first}, cache=tmp_path)
    changed = colour(sha256="1") if other == "weights" else first
    if other == "recipe":
        recipe = replace(first.recipe, dtype="float64")
        changed = Extractor(recipe, Colour(1), {"model.safetensors": "0"})
    extract(source, {"a": changed}, cache=tmp_path, stop=19 if other == "count" else None)
    assert len(source.decoded) == (39 if other == "count" else 40)


@pytest.mark.parametrize("fails_at", (0, 3, 8, 19))
def test_a_killed_extraction_goes_on_at_the_edge_of_a_shard(fails_at: int, tmp_path: Path) -> None:
    source = Source(20)
    source.fails_at = fails_at
    with pytest.raises(KeyboardInterrupt):
        extract(source, {"a": colour()}, batch_size=4, cache=tmp_path)
    source.fails_at, source.decoded = None, []
    found = extract(source, {"a": colour()}, batch_size=4, cache=tmp_path)["a"]
    assert source.decoded == list(range(fails_at // 8 * 8, 20))
    undisturbed = extract(Source(20), {"a": colour()}, batch_size=4, cache=tmp_path / "other")["a"]
    for name, array in undisturbed.items():
        assert np.array_equal(found[name], array)


def test_arrays_are_mapped_from_disk_and_read_only(tmp_path: Path) -> None:
    features = extract(Source(20), {"a": colour()}, cache=tmp_path)["a"]["features"]
    assert isinstance(features, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        features[0] = 0


def test_nothing_but_the_result_is_left(tmp_path: Path) -> None:
    extract(Source(20), {"a": colour()}, cache=tmp_path)
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"features.npy", "logits.npy", "index.json"}


def test_progress_counts_images(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    extract(Source(20), {"a": colour()}, batch_size=6, cache=tmp_path, progress=lambda *state: told.append(state))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[0] == (6, 20) and told[-1] == (20, 20)


def test_features_that_are_there_are_reported_as_done(tmp_path: Path) -> None:
    extract(Source(20), {"a": colour()}, cache=tmp_path)
    told: list[tuple[int, int]] = []
    extract(Source(20), {"a": colour()}, cache=tmp_path, progress=lambda *state: told.append(state))
    assert told == [(20, 20)]


def stored(tmp_path: Path, images: int = 20) -> CachedFeatures:
    source = Source(images)
    return CachedFeatures(root=tmp_path, source=source.digest(), identity=colour().identity, images=images)


@pytest.mark.parametrize("name", ("features.npy", "index.json"))
@pytest.mark.parametrize("content", (b"", b"junk", None))
def test_damage_is_computed_anew(name: str, content: bytes | None, tmp_path: Path) -> None:
    source = Source(20)
    extract(source, {"a": colour()}, cache=tmp_path)
    path = stored(tmp_path).folder / name
    path.write_bytes(path.read_bytes()[:-7] if content is None else content)
    found = extract(source, {"a": colour()}, cache=tmp_path)["a"]["features"]
    np.testing.assert_allclose(found, expected(0, 20), atol=1e-4)


def test_a_damaged_shard_is_named_and_made_anew(tmp_path: Path) -> None:
    store = stored(tmp_path)
    store.write(0, {"features": np.zeros((8, 3), np.float32)})
    shard = next(store.folder.iterdir())
    shard.write_bytes(b"junk")
    with pytest.raises(UserError, match="damaged") as error:
        extract(Source(20), {"a": colour()}, cache=tmp_path)
    assert error.value.where == str(shard)
    np.testing.assert_allclose(
        extract(Source(20), {"a": colour()}, cache=tmp_path)["a"]["features"], expected(0, 20), atol=1e-4
    )


def test_what_a_kill_in_a_write_left_is_ignored(tmp_path: Path) -> None:
    store = stored(tmp_path)
    store.folder.mkdir(parents=True)
    (store.folder / ".shard-000000000.npz.x.tmp").write_bytes(b"half")
    found = extract(Source(20), {"a": colour()}, cache=tmp_path)["a"]["features"]
    np.testing.assert_allclose(found, expected(0, 20), atol=1e-4)


def test_two_extractions_at_once_do_no_harm(tmp_path: Path) -> None:
    """The second runs from start to end while the first is on its way."""

    class Interleaved(Source):
        def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
            yield from super().images(start, stop)
            if start == 8:
                extract(Source(20), {"a": colour()}, cache=tmp_path)

    found = extract(Interleaved(20), {"a": colour()}, cache=tmp_path)["a"]["features"]
    np.testing.assert_allclose(found, expected(0, 20), atol=1e-4)


def test_no_more_than_a_few_shards_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wide(Colour):
        def forward(self, pixels: Tensor) -> dict[str, Tensor]:
            return {name: pixels[:, :1, 0, 0].repeat(1, 2048) for name in ("features", "logits")}

    monkeypatch.setattr(cache_module, "SHARD", 32)
    extractor = Extractor(preset("scenes").recipe, Wide(1), {"model.safetensors": "0"})
    shard = 2 * 32 * 2048 * 4
    tracemalloc.start()
    try:
        found = extract(Source(960), {"a": extractor}, batch_size=16, cache=tmp_path)["a"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(array.nbytes for array in found.values()) == 30 * shard
    assert peak < 6 * shard


def test_a_race_for_the_last_step_has_no_loser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process joins the shards and removes them just when this one is about to."""
    join = CachedFeatures._join_all

    def late(store: CachedFeatures) -> None:
        monkeypatch.undo()
        store.finish()
        join(store)

    store = stored(tmp_path, images=5)
    store.write(0, {"features": np.ones((5, 3), np.float32)})
    monkeypatch.setattr(CachedFeatures, "_join_all", late)
    assert np.array_equal(store.finish()["features"], np.ones((5, 3)))


def test_a_part_and_the_whole_are_kept_side_by_side(tmp_path: Path) -> None:
    source = Source(20)
    for stop in (None, 12):
        extract(source, {"a": colour()}, cache=tmp_path, stop=stop)
    source.decoded = []
    for stop in (None, 12):
        assert len(extract(source, {"a": colour()}, cache=tmp_path, stop=stop)["a"]["features"]) == (stop or 20)
    assert source.decoded == []


@pytest.mark.parametrize("count,stop", ((0, None), (5, 6), (5, 0), (5, -1)))
def test_too_few_images_are_refused(count: int, stop: int | None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"has {count} images"):
        extract(Source(count), {"a": colour()}, cache=tmp_path, stop=stop)


def test_a_source_that_gives_fewer_than_it_has_is_refused(tmp_path: Path) -> None:
    class Short(Source):
        def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
            yield from super().images(start, min(stop or 0, 12))

    with pytest.raises(UserError, match="4 images came where 8 were due"):
        extract(Short(20), {"a": colour()}, cache=tmp_path)


def test_the_cache_is_the_runners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "here"))
    extract(Source(3), {"a": colour()})
    assert list((tmp_path / "here" / "features").iterdir())


def test_a_folder_of_pictures_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for index, image in enumerate(Source(10).images()):
        Image.fromarray(image).save(tmp_path / "images" / f"{index:02d}.png")
    found = extract(open_folder(tmp_path / "images"), {"a": colour()}, cache=tmp_path / "cache")["a"]["features"]
    np.testing.assert_allclose(found, expected(0, 10), atol=1e-4)
