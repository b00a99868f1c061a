"""A factory in a Python of its own: another torch, a package called ``models``, prints, errors, death."""

from __future__ import annotations

import ast
import json
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from trilemma import at_hand, registry
from trilemma.card import Card, load_card
from trilemma.errors import UserError
from trilemma.families.child_process import ChildFailed
from trilemma.families.own_interpreter import OwnInterpreter
from trilemma.generator import Generator
from trilemma.runner.timing import any_prompts

# Images without NumPy, as a Python that has nothing can make them: anything with a shape and bytes will do.
PLAIN = """
import sys
from array import array

class Model:
    def generate(self, prompts, seeds, **knobs):
        values = bytes((seed + len(prompt)) % 256 for prompt, seed in zip(prompts, seeds) for _ in range(3 * 4 * 4))
        return memoryview(values).cast("B", (len(prompts), 3, 4, 4))

def build(card, device):
    return Model()
"""
REPOSITORY = {
    "models/__init__.py": 'from models.network import Network\nNAME = "the checkout\'s own models"\n',
    "models/network.py": (
        "import torch\nclass Network:\n    def __call__(self, count):\n        return torch.old_name(count)\n"
    ),
}
OLD_TORCH = """
__version__ = "0.4.1"
def old_name(count):
    return memoryview(bytes(range(48)) * count).cast("B", (count, 3, 4, 4))
"""
ADAPTER = """
import models
import torch

class Model:
    info = {"resolution": 4, "parameters": 3}
    evaluations = 0

    def __init__(self, card):
        self.network, self.options = models.Network(), card.options
        self.weights = card.weight("network.bin").read_bytes()

    def generate(self, prompts, seeds):
        print("research code prints what it likes", models.NAME, len(self.weights), self.options["word"])
        self.evaluations += 2 * len(prompts)
        return self.network(len(prompts))

def build(card, device):
    return Model(card)
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment with nothing but Python in it."""
    return str(new_python(tmp_path_factory.mktemp("bare")))


def new_python(folder: Path) -> Path:
    venv.create(folder, with_pip=False, symlinks=True)
    return next(path for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if path.exists())


@pytest.fixture
def made(tmp_path: Path, bare_python: str) -> Callable[..., Card]:
    """Writes an adapter and its card; the card names the bare Python unless told otherwise."""

    def make(code: str, *lines: str, python: str = bare_python) -> Card:
        (tmp_path / "adapter.py").write_text(code)
        head = ['name = "elsewhere"', 'factory = "adapter:build"', f"python = {json.dumps(python)}", "resolution = 4"]
        (tmp_path / "card.toml").write_text("\n".join([*head, *lines]) + "\n")
        return load_card(tmp_path)

    return make


def raising(body: str, *, load: str = "pass") -> str:
    return f"""
import os, signal, sys, time

class Model:
    def generate(self, prompts, seeds):
        {body}

def build(card, device):
    {load}
    return Model()
"""


def loaded(card: Card) -> Generator:
    return registry.load(card, "cpu")


def test_a_checkout_with_its_own_models_and_an_old_torch_runs_unharmed(
    made: Callable[..., Card], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in REPOSITORY.items():
        (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkout" / name).write_text(text)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "torch.py").write_text(OLD_TORCH)
    (tmp_path / "network.bin").write_bytes(b"12345")
    digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
    paths = 'pythonpath = ["checkout", "old"]'
    generator = loaded(made(ADAPTER, paths, "[options]", 'word = "hi"', "[weights]", f'"network.bin" = "{digest}"'))
    images = generator.generate(["a", "b"], [1, 2])
    assert images.shape == (2, 3, 4, 4) and images.dtype == torch.uint8
    assert torch.equal(images[1].flatten(), torch.arange(48).to(torch.uint8))
    assert generator.evaluations == 4
    assert generator.info.parameters == 3 and generator.info.resolution == 4 and generator.info.family == "module"
    assert generator.info.runtime["torch"] == "0.4.1" and "numpy" not in generator.info.runtime
    assert generator.info.unknown.keys() == {"memory", "operations"}
    assert "models" not in sys.modules and torch.__version__ != "0.4.1"
    del generator  # the end of its process is the end of what it prints
    assert "research code prints what it likes the checkout's own models 5 hi" in capsys.readouterr().err


def test_its_environment_is_its_own(made: Callable[..., Card], tmp_path: Path) -> None:
    """A package of another version in its site-packages, and one called ``models``, are what it sees, and we do not."""
    python = new_python(tmp_path / "env")
    site = next((tmp_path / "env").rglob("site-packages"))
    (site / "numpy.py").write_text('__version__ = "0.9"\n')
    (site / "models").mkdir()
    (site / "models" / "__init__.py").write_text("")
    generator = loaded(made("import numpy\nimport models\n" + PLAIN, python=str(python)))
    assert generator.generate(["", "abc"], [1, 2])[:, 0, 0, 0].tolist() == [1, 5]
    assert generator.info.runtime["numpy"] == "0.9" != np.__version__
    assert "models" not in sys.modules


def test_numbers_of_any_library_are_numbers(made: Callable[..., Card]) -> None:
    number = "class Number:\n    def item(self): return 7\n    __index__ = item\n"
    told = "class Model:\n    info = dict(parameters=Number())\n    evaluations = Number()\n"
    generator = loaded(made(number + PLAIN.replace("class Model:\n", told)))
    generator.generate([""], [1])
    assert generator.info.parameters == 7 == generator.evaluations
    with pytest.raises(ChildFailed, match="AttributeError"):
        loaded(made(PLAIN.replace("class Model:\n", "class Model:\n    info = dict(parameters=object())\n")))


@pytest.mark.parametrize("written", ['["{}", "trace"]', '("{}", "bf16")', '{{"{}"}}', 'frozenset(["noising", "{}"])'])
@pytest.mark.parametrize(("name", "asked"), [("class-conditional", "class 0"), ("unconditional", "a caption")])
def test_it_says_how_it_is_asked_and_nothing_that_it_cannot_do_from_here(
    made: Callable[..., Card], written: str, name: str, asked: str
) -> None:
    info = f"class Model:\n    info = dict(capabilities={written.format(name)})\n"
    generator = loaded(made(PLAIN.replace("class Model:\n", info)))
    assert generator.info.capabilities == {name}
    assert any_prompts(generator, ["a caption"]) == [asked]


def test_images_need_no_numpy_and_what_is_not_said_is_unknown(made: Callable[..., Card]) -> None:
    generator = loaded(made(PLAIN))
    images = generator.generate(["", "abc"], [1, 2])
    assert images[:, 0, 0, 0].tolist() == [1, 5] and images.amin() == 1
    images += 1  # writable: nothing warns, and nothing is shared with a later call
    assert torch.equal(generator.generate([""], [1]) + 1, images[:1])
    assert generator.info.parameters is None and generator.evaluations == 0
    assert generator.info.unknown.keys() == {"memory", "operations", "parameters", "evaluations"}
    assert generator.info.runtime.keys() == {"python"} and generator.info.capabilities == frozenset()


def test_the_suites_own_python_and_torch_will_do_too(made: Callable[..., Card]) -> None:
    code = "import torch\n" + PLAIN.replace(
        "memoryview(values)", "torch.tensor(list(values), dtype=torch.uint8)"
    ).replace('.cast("B", (len(prompts), 3, 4, 4))', ".view(-1, 3, 4, 4)")
    generator = loaded(made(code, python=sys.executable))
    assert generator.generate(["ab"], [7]).flatten().unique().tolist() == [9]
    assert generator.info.runtime["torch"] == torch.__version__


def test_the_time_of_the_call_itself_is_known(made: Callable[..., Card]) -> None:
    generator = loaded(made(PLAIN))
    assert isinstance(generator, OwnInterpreter) and generator.child_seconds == 0
    generator.generate([""], [1])
    assert generator.child_seconds > 0


def test_an_error_comes_back_with_its_traceback(made: Callable[..., Card]) -> None:
    generator = loaded(made(raising("raise KeyError('no such layer')")))
    for _ in range(2):  # and the process goes on
        with pytest.raises(ChildFailed, match="KeyError: 'no such layer'") as raised:
            generator.generate(["a"], [1])
        assert "adapter.py" in str(raised.value.__cause__) and "in generate" in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("sys.exit(4)", "ended with exit code 4"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
    ],
)
def test_a_death_is_told_with_the_last_words(made: Callable[..., Card], body: str, said: str) -> None:
    generator = loaded(made(raising(f"print('last words', flush=True); {body}")))
    with pytest.raises(ChildFailed, match=said) as raised:
        generator.generate(["a"], [1])
    assert "last words" in str(raised.value.__cause__)
    with pytest.raises(ChildFailed, match=said):
        generator.generate(["a"], [1])


def test_a_call_that_takes_too_long_is_ended(made: Callable[..., Card]) -> None:
    generator = loaded(made(raising("time.sleep(600)"), "timeout_seconds = 1.5"))
    with pytest.raises(ChildFailed, match="no answer in 1.5 seconds"):
        generator.generate(["a"], [1])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_library\n" + PLAIN, "ModuleNotFoundError: No module named 'no_such_library'"),
        (PLAIN.replace("def build", "def other"), '"adapter" has no function "build"'),
        (raising("pass", load="raise ValueError('bad checkpoint')"), "ValueError: bad checkpoint"),
        (raising("pass", load="return 3"), "has no generate"),
    ],
)
def test_a_factory_that_fails_says_how(made: Callable[..., Card], code: str, said: str) -> None:
    with pytest.raises((UserError, ChildFailed), match=said):
        loaded(made(code))


def test_a_module_that_is_nowhere_is_the_users_mistake(made: Callable[..., Card], tmp_path: Path) -> None:
    card = made(PLAIN)
    (tmp_path / "adapter.py").unlink()
    with pytest.raises(UserError, match='cannot import "adapter".*pythonpath'):
        loaded(card)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('cast("B", (len(prompts) // 2, 3, 8, 4))', r"must return uint8 \(2, 3, H, W\), it returned \(1, 3, 8, 4\)"),
        ('cast("B", (len(prompts), 4, 3, 4))', r"must return uint8 \(2, 3, H, W\), it returned \(2, 4, 3, 4\)"),
        ('cast("b", (len(prompts), 3, 4, 4))', "must return uint8.*it returned b"),
        ("tolist()", "must return uint8.*it returned list"),
    ],
)
def test_images_of_another_shape_or_type_are_refused(made: Callable[..., Card], line: str, said: str) -> None:
    generator = loaded(made(PLAIN.replace('cast("B", (len(prompts), 3, 4, 4))', line)))
    with pytest.raises((UserError, ChildFailed), match=said):
        generator.generate(["a", "b"], [1, 2])


def test_its_knobs_are_declared_and_checked(made: Callable[..., Card]) -> None:
    knob = "dict(name='cfg', kind='float', default=1.5, minimum=1, maximum=9, description='guidance')"
    code = PLAIN.replace("class Model:\n", f"class Model:\n    info = dict(knobs=[{knob}])\n")
    generator = loaded(made(code, "[knobs]", "cfg = 2.0"))
    assert [(one.name, one.default) for one in generator.info.knobs] == [("cfg", 2.0)]
    with pytest.raises(UserError, match=r"must lie in \[1, 9\]"):
        generator.generate(["a"], [1], cfg=10)
    with pytest.raises(UserError, match='the knob "cfg" needs kind'):
        loaded(made(code.replace("minimum=1, ", "")))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (('pythonpath = ["nowhere"]',), "pythonpath.*there is no such folder"),
        (("timeout_seconds = 0",), "timeout_seconds: must be a number above 0"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(made: Callable[..., Card], lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        loaded(made(PLAIN, *lines))


def test_an_interpreter_that_is_not_there_is_told_before_anything_starts(made: Callable[..., Card]) -> None:
    absent = at_hand.missing(made(PLAIN, python="../no/such/python"))
    assert absent is not None and "there is no such Python here" in str(absent)
    assert at_hand.missing(made(PLAIN)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('family = "gan"\npython = "python3"', 'python: runs a "factory"'),
        ('factory = "a:b"\npythonpath = ["x"]', 'pythonpath: is for an interpreter of its own: name it as "python"'),
    ],
)
def test_an_interpreter_goes_with_a_factory(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "card.toml").write_text(f'name = "a"\n{text}\n')
    with pytest.raises(UserError, match=said):
        load_card(tmp_path)


def test_where_modules_are_is_not_inherited(
    made: Callable[..., Card], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "secret_module.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "ours"))
    with pytest.raises(ChildFailed, match="secret_module"):
        loaded(made("import secret_module\n" + PLAIN))
    # Nor does the folder of our own script shadow anything: it holds a file serve.py.
    with pytest.raises(ChildFailed, match="No module named 'serve'"):
        loaded(made("import serve\n" + PLAIN))


def test_what_runs_there_is_for_python_3_8_and_needs_nothing() -> None:
    path = Path(registry.__file__).parent / "families" / "child" / "serve.py"
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
