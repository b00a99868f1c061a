"""The networks that protocols name over any data set: what a name stands for, what is missing, what it measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from trilemma import features
from trilemma.data.cifar import Cifar10
from trilemma.data.mnist import open_mnist
from trilemma.errors import UserError
from trilemma.features import data_instruments, named
from trilemma.features.class_net import ClassNet, load_class_net
from trilemma.features.data_instruments import DataInstruments
from trilemma.features.measure import load_instruments
from trilemma.features.presets import PRESETS
from trilemma.protocol import Extractors, Protocol, Reference, SampleSet


@pytest.fixture
def instruments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two extractors of ten classes, one of three, and one of Scenes; no weights are anywhere else."""
    for seed, (name, classes) in enumerate({"net-a": 10, "net-b": 10, "net-c": 3, "scenes-features": 10}.items()):
        torch.manual_seed(seed)
        (tmp_path / name).mkdir()
        weights = {key: value.contiguous() for key, value in ClassNet(classes).state_dict().items()}
        save_file(weights, tmp_path / name / "model.safetensors")
    monkeypatch.setattr(features, "instruments_home", lambda: tmp_path)
    monkeypatch.setattr(named, "instruments_home", lambda: tmp_path)
    for name in ("TORCH_HOME", "TRILEMMA_CACHE", "HF_HOME", "HF_HUB_CACHE", "TRILEMMA_WEIGHTS", "TRILEMMA_DATA"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    return tmp_path


def protocol(metrics: tuple[str, ...] = (), **extractors: Any) -> Protocol:
    return Protocol(
        name="small", version=1, title="", resolution=32, data="mnist", metrics=metrics,
        sets=(SampleSet(name="prompted", prompts="classes", images=10),),
        extractors=Extractors(**({"features": "net-a"} | extractors)), reference=Reference(),
    )  # fmt: skip


def some_images(count: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "distance"),
    [("net-a", "fd"), ("fid", "fid"), ("fid-clean", "fid"), ("fid-adm", "fid"), ("fid-pytorch", "fid"),
     ("fd-dinov2", "fd_dinov2"), ("clip-fid", "clip_fid"), ("cmmd", "fd"), ("clip-score", "fd")],
)  # fmt: skip
def test_fid_is_the_name_under_recipes_for_fid_alone(instruments: Path, name: str, distance: str) -> None:
    assert named.distance_name(protocol(features=name)) == distance


def test_a_preset_brings_its_parameters(instruments: Path) -> None:
    adm = protocol(features="fid-adm")
    assert named.parameters(adm, "recall") == {"k": 3, "strict": False, "equal_sizes": False}
    assert named.parameters(adm, "inception_score") == {"images_per_split": 5000, "shuffle": False}
    assert named.parameters(adm, "kid") == named.parameters(protocol(), "recall") == {}


@pytest.mark.parametrize(
    ("extractors", "message"),
    [
        ({"features": "net-d"}, 'small: extractors: features: there is no extractor "net-d". Did you mean "net-'),
        ({"features": "fidd"}, 'there is no extractor "fidd". Did you mean "fid"'),
        ({"features": "scenes"}, '"scenes" measures Scenes alone. Known: clip-fid'),
        ({"features": "scenes-features"}, '"scenes-features" measures Scenes alone'),
        ({"reader": "fid"}, 'small: extractors: reader: "fid" reads no classes'),
        ({"clip": "net-b"}, '"net-b" compares no image with a prompt. Known: clip-score'),
        ({"clip": "fid"}, '"fid" compares no image with a prompt'),
    ],
)
def test_a_name_that_cannot_be_is_told(instruments: Path, extractors: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        named.identity(protocol(**extractors))


@pytest.mark.parametrize(
    ("metrics", "extractors", "message"),
    [
        (("fd",), {"features": "fid"}, '"fd" is not the distance of fid: it is "fid"'),
        (("fd_dinov2",), {}, '"fd_dinov2" is not the distance of net-a: it is "fd"'),
        (("fid",), {}, '"fid" is not the distance of net-a'),
        (("is_inception",), {"features": "fid"}, 'elsewhere it is "inception_score"'),
        (("inception_score",), {"features": "clip-fid"}, "clip-fid tells no classes"),
        (("clip_score",), {}, 'needs a network: name it as "clip"'),
        (("prompt_accuracy",), {}, 'needs a network: name it as "reader"'),
    ],
)
def test_a_metric_without_its_network_is_told(
    instruments: Path, metrics: tuple[str, ...], extractors: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        named.check(protocol(metrics, **extractors))


def test_metrics_with_their_networks_pass(instruments: Path) -> None:
    named.check(protocol(("fd", "inception_score", "clip_score", "prompt_accuracy"), reader="net-b", clip="clip-score"))
    named.check(protocol(("fid", "inception_score"), features="fid-adm"))


def test_identity_is_of_weights_and_preprocessing(instruments: Path) -> None:
    first = named.identity(protocol(reader="net-b"))
    assert first.keys() == {"features", "reader"} and first["features"] != first["reader"]
    assert features.identity(protocol(reader="net-b")) == first
    assert named.identity(protocol(("inception_score",), reader="net-b")) == first  # what is kept changes nothing
    weights = instruments / "net-b" / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    changed = named.identity(protocol(reader="net-b"))
    assert changed["features"] == first["features"] and changed["reader"] != first["reader"]


def test_weights_are_missing_or_optional(instruments: Path) -> None:
    with pytest.raises(UserError, match=r'weights "pytorch_model.bin" are missing.*download'):
        named.identity(protocol(clip="clip-score"))
    optional = protocol(clip="clip-score", optional=("clip",))
    assert named.identity(optional).keys() == {"features"}
    assert named.lacking(optional).keys() == {"clip"} and "clip-score" in named.lacking(optional)["clip"]
    with pytest.raises(UserError, match="are missing"):
        named.identity(protocol(features="fid"))


def test_one_network_plays_both_roles(instruments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = data_instruments.load_extractor
    monkeypatch.setattr(
        data_instruments, "load_extractor", lambda *arguments: loaded.append(arguments) or load(*arguments)
    )
    found = load_instruments(protocol(reader="net-a"), "cpu").measure(some_images(), ["zero"] * 5)
    assert len(loaded) == 1
    assert {name: array.shape for name, array in found.items()} == {
        "features": (5, 128), "thumbnails": (5, 768), "read_label": (5,),
    }  # fmt: skip
    assert found["read_label"].dtype == np.int64 and found["thumbnails"].dtype == np.uint8


def test_what_is_measured_is_what_the_networks_say(instruments: Path) -> None:
    images = some_images()
    asked = protocol(("inception_score",), reader="net-b")
    found = DataInstruments(asked, open_mnist(), "cpu").measure(images, [""] * 5)
    for name, folder in (("features", "net-a"), ("logits", "net-a"), ("reader", "net-b")):
        net = load_class_net(instruments / folder).float()
        pixels = images.float() / 127.5 - 1
        with torch.no_grad():
            drawn = net.features(pixels)
            expected = {
                "features": drawn, "logits": net.predict(drawn).logits_BK, "reader": net(pixels).logits_BK.argmax(1),
            }[name]  # fmt: skip
        got = found["read_label"] if name == "reader" else found[name]
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_reader_of_other_classes_is_refused(instruments: Path) -> None:
    with pytest.raises(UserError, match='reader: this network reads 3 classes; "cifar10" has 10'):
        DataInstruments(protocol(reader="net-c"), Cifar10(), "cpu")


def test_other_sizes_and_other_weights_are_refused(instruments: Path) -> None:
    measure = DataInstruments(protocol(), open_mnist(), "cpu").measure
    with pytest.raises(UserError, match="measures 32x32 images, not 64x64"):
        measure(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), [""])
    save_file({"a": torch.zeros(2)}, instruments / "net-b" / "model.safetensors")
    with pytest.raises(UserError, match="not the weights of an extractor of classes"):
        DataInstruments(protocol(features="net-b"), open_mnist(), "cpu")


def test_grey_levels_need_no_weights(instruments: Path) -> None:
    wanted = protocol(features="grey-levels")
    assert named.distance_name(wanted) == "fd" and named.lacking(wanted) == {}
    assert named.identity(wanted)["features"] != named.identity(protocol())["features"]
    images = some_images()
    features = DataInstruments(wanted, open_mnist(), "cpu").measure(images, [""] * 5)["features"]
    averages = torch.nn.functional.avg_pool2d(images.double(), 2).flatten(1).numpy()
    assert features.shape == (5, 768) and features.dtype == np.float32
    np.testing.assert_allclose(255 * features, averages, atol=0.51)  # they are rounded to grey levels


def test_clip_scores_are_those_of_the_preset(instruments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is made up: the direction of an image is that of its mean colour, and so is that of a word."""
    words = {"red": (1.0, 0.0, 0.0), "not red": (-1.0, 0.0, 0.0)}

    class Made:
        def batch(self, images: Any) -> dict[str, Any]:
            return {"features": np.stack([image.reshape(-1, 3).mean(0) for image in images])}

        def texts(self, prompts: list[str]) -> Any:
            return np.array([words[prompt] for prompt in prompts])

    def made(recipe: Any, device: str, **others: Any) -> Any:
        return Made() if recipe == replace(PRESETS["clip-score"].recipe) else load(recipe, device)

    load: Callable[..., Any] = data_instruments.load_extractor
    monkeypatch.setattr(data_instruments, "load_extractor", made)
    monkeypatch.setattr(named, "_sha256", lambda recipe: {file.name: "0" * 64 for file in recipe.files})
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    images[:3, 0], images[1, 1] = 200, 200
    scores = DataInstruments(protocol(clip="clip-score"), open_mnist(), "cpu").measure(
        images[[0, 1, 2, 0]], ["red", "red", "not red", ""]
    )["clip_score"]
    np.testing.assert_allclose(scores, [100, 100 / 2**0.5, 0, np.nan])
