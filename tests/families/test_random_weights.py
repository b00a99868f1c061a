"""Models of published architecture with random weights, at tiny sizes: what every generator promises, and drawing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trilemma import registry
from trilemma.card import Card, load_card
from trilemma.errors import UserError
from trilemma.families.class_labels import class_of
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.random_pipeline import StandInTokenizer
from trilemma.families.random_weights import fill, random_network
from trilemma.generator import Generator
from trilemma.variant import at

PROMPTS = ["a red star", "", "a blue ring on dots", "a red star", "a green cross"]
SEEDS = [3, 2**63 - 1, 5, 7, 3]

SCHEDULER = 'class = "DDIMScheduler"\nclip_sample = false\nsteps_offset = 1'
KL = """class = "AutoencoderKL"
latent_channels = 4
block_out_channels = [8, 8]
norm_num_groups = 4
down_block_types = ["DownEncoderBlock2D", "DownEncoderBlock2D"]
up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D"]"""
UNET = """class = "UNet2DConditionModel"
sample_size = 8
layers_per_block = 1
block_out_channels = [16, 16]
norm_num_groups = 4
down_block_types = ["DownBlock2D", "CrossAttnDownBlock2D"]
up_block_types = ["CrossAttnUpBlock2D", "UpBlock2D"]
attention_head_dim = 2
cross_attention_dim = 16"""
CONVOLUTIONS = "channels = 32\nmultipliers = [1, 2]\nres_blocks = 1\nattention = [8]\ngroups = 8"
TABLES = {
    "var": f"""family = "var"
[knobs]
guidance_scale = 2.5
top_k = 30
[options]
guidance_schedule = "linear"
[network]
resolution = 16
{CONVOLUTIONS}
latent = 8
codes = 48
scales = [1, 2, 3, 5, 8]
depth = 2
heads = 2
width = 32
shared_ada = false
classes = 10
""",
    "taming": f"""family = "taming"
[knobs]
top_k = 40
top_p = 0.9
[network]
resolution = 16
{CONVOLUTIONS}
latent = 8
codes = 64
layers = 2
heads = 2
width = 32
classes = 10
""",
    "dit": f"""family = "class-diffusion"
[knobs]
num_inference_steps = 4
guidance_scale = 1.5
[network]
classes = 10
[network.denoiser]
class = "DiTTransformer2DModel"
num_attention_heads = 2
attention_head_dim = 8
in_channels = 4
out_channels = 8
num_layers = 2
sample_size = 8
num_embeds_ada_norm = 10
[network.autoencoder]
{KL}
[network.scheduler]
class = "DDPMScheduler"
variance_type = "learned_range"
clip_sample = false
""",
    "ldm": f"""family = "class-diffusion"
[knobs]
num_inference_steps = 4
guidance_scale = 1.5
[network]
classes = 10
[network.denoiser]
in_channels = 3
out_channels = 3
{UNET}
[network.autoencoder]
{KL.replace("AutoencoderKL", "VQModel").replace("channels = 4", "channels = 3")}
num_vq_embeddings = 64
scaling_factor = 1.0
[network.scheduler]
{SCHEDULER}
""",
    "sd": f"""family = "diffusers"
[knobs]
num_inference_steps = 4
guidance_scale = 7.5
[network.text_encoder]
vocab_size = 64
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 2
num_attention_heads = 2
max_position_embeddings = 12
bos_token_id = 62
eos_token_id = 63
[network.denoiser]
{UNET}
[network.autoencoder]
{KL}
sample_size = 16
[network.scheduler]
{SCHEDULER}
""",
    "biggan": """family = "biggan"
[network]
channels = 16
multipliers = [2, 2, 1]
attention = 8
latent = 8
embedding = 8
classes = 10
""",
}
GUIDED = ("var", "dit", "ldm", "sd")
EVALUATIONS = {"var": 2 * 5, "taming": 64, "dit": 2 * 4, "ldm": 2 * 4, "sd": 2 * 4, "biggan": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random")


@pytest.fixture(params=sorted(TABLES))
def card(request: pytest.FixtureRequest, folder: Path) -> Card:
    return written(folder, request.param)


@pytest.fixture
def generator(card: Card) -> Generator:
    return registry.load(card, "cpu")


def written(folder: Path, name: str) -> Card:
    path = folder / name / "card.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'name = "{name}"\nresolution = 16\nweights = "random"\n{TABLES[name]}')
    return load_card(path)


def made(generator: Generator, rows: list[int]) -> Tensor:
    return generator.generate([PROMPTS[row] for row in rows], [SEEDS[row] for row in rows])


def test_images_are_uint8_of_the_cards_resolution(card: Card, generator: Generator) -> None:
    images = made(generator, [0, 1, 2])
    assert images.shape == (3, 3, 16, 16) and images.dtype == torch.uint8 and images.device.type == "cpu"
    assert all(int(image.amax()) - int(image.amin()) > 8 for image in images)
    assert not any(len(image.unique()) <= 2 for image in images)  # nothing is saturated
    assert generator.info.resolution == card.resolution and generator.info.name == card.name
    assert isinstance(generator, Generator) and generator.info.parameters > 0


def test_an_image_depends_on_its_prompt_and_seed_alone(generator: Generator) -> None:
    together = made(generator, [0, 1, 2, 3, 4])
    assert torch.equal(made(generator, [0, 1, 2, 3, 4]), together)
    alone = torch.cat([made(generator, [row]) for row in range(5)])
    backwards = made(generator, [4, 3, 2, 1, 0]).flip(0)
    for other in (alone, backwards):
        assert (other.int() - together.int()).abs().max() <= 1
    assert not torch.equal(together[0], together[3])  # another seed
    assert not torch.equal(together[0], together[4])  # another prompt


def test_the_same_name_gives_the_same_weights_and_another_name_others(card: Card) -> None:
    images = [made(registry.load(one, "cpu"), [0, 2]) for one in (card, card, replace(card, name="other"))]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_loading_draws_nothing_from_the_global_stream(card: Card) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    registry.load(card, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert nn.Linear(64, 64).weight.std() > 0.05  # layers that are made later are initialised


def test_evaluations_count_guidance(card: Card, generator: Generator) -> None:
    made(generator, [0, 2])
    assert generator.evaluations == 2 * EVALUATIONS[card.name]
    if card.name in GUIDED:
        before = generator.evaluations
        generator.generate(["a"], [1], guidance_scale=1.0)
        assert generator.evaluations - before == EVALUATIONS[card.name] // 2


def test_guidance_moves_images(generator: Generator, card: Card) -> None:
    if card.name not in GUIDED:
        assert "guidance_scale" not in [knob.name for knob in generator.info.knobs]
        return
    weak, strong = (generator.generate(["a"], [1], guidance_scale=scale) for scale in (1.0, 9.0))
    assert not torch.equal(weak, strong)


def test_the_cards_knobs_are_the_defaults(card: Card, generator: Generator) -> None:
    declared = {knob.name: knob.default for knob in generator.info.knobs}
    assert card.knobs.items() <= declared.items()
    with pytest.raises(UserError, match="unknown knob"):
        generator.generate(["a"], [1], nosuch=1.0)


def test_compiled_networks_make_the_same_images(
    card: Card, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the graphs that torch captures, but without a compiler of machine code."""
    if "compile" not in generator.info.capabilities:
        return
    compiled: list[object] = []
    original = torch.compile

    def capturing(function: Any, **options: Any) -> Any:
        compiled.append(function)
        return original(function, backend="eager", dynamic=options.get("dynamic"))

    monkeypatch.setattr(torch, "compile", capturing)
    monkeypatch.setattr("trilemma.families.preparing.check_compiler", lambda device: None)
    fast = registry.load(at(card, compiled=True), "cpu")
    assert compiled
    assert (made(fast, [0, 2]).int() - made(generator, [0, 2]).int()).abs().max() <= 1


def test_other_precisions_are_prepared(card: Card, generator: Generator) -> None:
    for precision in {"bf16", "fp16"} & generator.info.capabilities:
        lower = registry.load(at(card, precision=precision), "cpu")  # type: ignore[arg-type]
        assert lower.info.parameters == generator.info.parameters
        images = made(lower, [0, 1])
        assert images.dtype == torch.uint8 and images.amax() > images.amin()


@pytest.fixture
def unfilled_is_nan() -> Iterator[None]:
    """Allocated memory holds NaN until something is written to it."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_no_weight_is_left_as_it_was_allocated_nor_at_zero(card: Card, unfilled_is_nan: None) -> None:
    assert torch.empty(3).isnan().all()
    for name in registry.networks(card):
        network = random_network(name, lambda name=name: registry.networks(card)[name], card, "cpu")
        for kind, value in [*network.named_parameters(), *network.named_buffers()]:
            assert not value.isnan().any(), kind
        norms = [part for part in network.modules() if isinstance(part, (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d))]
        unused = {id(norm.bias) for norm in norms}
        assert all(parameter.any() for parameter in network.parameters() if id(parameter) not in unused)


def test_weights_are_drawn_in_the_cards_precision_and_at_the_trained_scale(folder: Path) -> None:
    card = at(written(folder, "biggan"), precision="bf16")
    network = random_network("n", lambda: nn.Sequential(nn.Linear(300, 400), nn.Embedding(50, 60)), card, "cpu")
    layer, embedding = network[0], network[1]
    assert isinstance(layer, nn.Linear) and isinstance(embedding, nn.Embedding)
    assert layer.weight.dtype == torch.bfloat16 and not layer.weight.requires_grad
    assert layer.weight.float().std() == pytest.approx((3 * 300) ** -0.5, rel=0.05)
    assert layer.bias.any() and embedding.weight.float().std() == pytest.approx(1, rel=0.05)


def test_a_gate_that_starts_at_zero_is_opened() -> None:
    network = nn.ParameterDict({"gate": nn.Parameter(torch.zeros(500)), "scale": nn.Parameter(torch.full((3,), 4.0))})
    fill(network)
    assert network["gate"].detach().std() == pytest.approx(0.02, rel=0.2)
    assert network["scale"].tolist() == [4.0] * 3


def test_a_dit_has_one_embedding_of_its_condition(folder: Path) -> None:
    denoiser = registry.networks(written(folder, "dit"))["denoiser"]
    blocks = denoiser.network.transformer_blocks
    assert len({id(block.norm1.emb) for block in blocks}) == 1 < len({id(block) for block in blocks})


def test_a_prompt_is_always_the_same_class(folder: Path) -> None:
    assert class_of("a red star", 1000) == 86
    classes = ClassPrompts(written(folder, "biggan"), 10)
    labels = classes.labels([f"prompt {number}" for number in range(2000)], range(2000))
    assert labels.min() == 0 and labels.max() == 9 and labels.bincount().min() > 150
    assert classes.labels([""], [3]) < 10  # where no class is null, the empty prompt is a text like any other


def test_the_empty_prompt_is_the_null_class_of_guidance(folder: Path) -> None:
    classes = ClassPrompts(written(folder, "var"), 10)
    labels, guided = classes.for_guidance(["a", ""], 2.0)
    assert guided and labels.tolist() == [class_of("a", 10), 10, 10, 10]
    for prompts, scale in ((["a", ""], 1.0), (["", ""], 2.0)):
        labels, guided = classes.for_guidance(prompts, scale)
        assert not guided and len(labels) == 2


def test_the_stand_in_tokenizer_pads_and_cuts() -> None:
    tokenizer = StandInTokenizer(49408, 77)
    long = "word " * 200
    ids = tokenizer(["a red star", "", long], padding="max_length").input_ids
    assert ids.shape == (3, 77) and ids.dtype == torch.int64
    assert ids[:, 0].tolist() == [49406] * 3 and ids[1, 1:].tolist() == [49407] * 76 and ids[2, -1] == 49407
    assert ids[0, 1:4].max() < 49406 and ids[0, 4:].tolist() == [49407] * 73
    assert torch.equal(tokenizer("a red star", padding="longest").input_ids[0], ids[0, :5])


@pytest.mark.parametrize("name", ["taming", "dit", "biggan"])
def test_a_family_without_trained_weights_says_so(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match='needs weights = "random"'):
        registry.load(replace(written(folder, name), weights=None), "cpu")


def test_a_family_that_cannot_draw_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='family "gan" cannot draw its weights'):
        registry.load(Card(name="a", family="gan", weights="random", path=tmp_path), "cpu")
    with pytest.raises(UserError, match="random weights need classes"):
        registry.load(Card(name="a", family="var", weights="random", path=tmp_path), "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"denoiser": {"class": "UNet3DConditionModel"}}, r"denoiser\.class.*not possible here"),
        ({"denoiser": {"class": "UNet2DConditionModel", "chanels": 3}}, "network.denoiser.*chanels"),
        ({"scheduler": None}, "network.scheduler.*missing"),
        ({"classes": None}, "network.classes.*number of classes"),
    ],
)
def test_a_network_that_cannot_be_built_is_told(folder: Path, change: dict[str, object], message: str) -> None:
    card = written(folder, "ldm")
    with pytest.raises(UserError, match=message):
        registry.load(replace(card, network=card.network | change), "cpu")
