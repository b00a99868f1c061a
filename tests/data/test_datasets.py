"""The one interface, over every data set that has a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.data import home, scenes
from trilemma.data.datasets import TrainingData, open_data_set, open_training_data
from trilemma.data.scenes_data import ScenesData
from trilemma.errors import UserError

WriteIdx = Callable[[Path, NDArray[np.uint8]], None]


@pytest.fixture(params=("scenes", "fashion-mnist", "mnist"))
def data(
    request: pytest.FixtureRequest, small_fashion_mnist: Path, write_idx: WriteIdx, monkeypatch: pytest.MonkeyPatch
) -> TrainingData:
    (small_fashion_mnist.parent / "mnist").symlink_to(small_fashion_mnist)
    return open_training_data(request.param)


def test_what_every_data_set_promises(data: TrainingData) -> None:
    split, rows = data.training_split, [3, 0, 7]
    images = data.images(split, rows, data.resolution or 32)
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.uint8
    assert np.array_equal(images[[1]], data.images(split, [0], 32))
    labels = data.labels(split, np.array(rows))
    assert labels.shape == (3,) and labels.dtype == np.int64 and labels.min() >= -1
    assert len(data.prompts(split, rows)) == len(data.wrong_prompts(split, rows, np.random.default_rng(0))) == 3
    assert data.images(split, [], 32).shape == (0, 32, 32, 3)
    assert data.count(split) > 7 and data.count(data.gate_split) > 7


def test_an_index_outside_of_the_training_split_is_refused(data: TrainingData) -> None:
    for row in (-1, data.count(data.training_split)):
        for ask in (data.prompts, data.labels):
            with pytest.raises(UserError, match="outside the split"):
                ask(data.training_split, [row])


def test_the_vocabulary_has_every_word_of_the_prompts(data: TrainingData) -> None:
    words = {word for prompt in data.prompts(data.training_split, range(100)) for word in prompt.lower().split()}
    assert words <= set(data.vocabulary())


def test_what_is_judged_was_not_trained_on(data: TrainingData) -> None:
    size = min(200, data.count(data.gate_split))
    trained = {image.tobytes() for image in data.images(data.training_split, range(200), 32)}
    assert not trained & {image.tobytes() for image in data.images(data.gate_split, range(size), 32)}


def test_scenes_is_what_it_was() -> None:
    data, rows = ScenesData(), range(50)
    assert np.array_equal(data.images("train", rows, 16), scenes.images("train", rows, 16))
    assert data.prompts("gate", rows) == scenes.captions("gate", rows)
    assert np.array_equal(data.labels("gate", rows), scenes.factors("gate", rows).mode)
    assert data.count("train") == scenes.TRAIN_IMAGES < data.count("reference")


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match='no data set "fashion-mnits". Did you mean "fashion-mnist"'):
        open_data_set("fashion-mnits")


def test_the_data_home_is_the_variable_then_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(home.VARIABLE, raising=False)
    assert home.data_folders() == [tmp_path / "cache" / "data"]
    monkeypatch.setenv(home.VARIABLE, str(tmp_path / "mine"))
    assert home.data_folders() == [tmp_path / "mine", tmp_path / "cache" / "data"]
