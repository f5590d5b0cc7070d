"""`mnemic footprint`: what a step takes, on a tiny BERT, with the smallest system there could be."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mnemic import catalog
from mnemic.catalog import System

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from mnemic.bench.baselines import Classifier  # noqa: E402
from mnemic.footprint._tuned import Tuned  # noqa: E402

Call = Callable[..., Any]
BERT = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


class Readout(Tuned):
    """A linear head on a frozen encoder, so many times over."""

    method = "readout"

    def __init__(self, backbone: Any, *, classes: int, times: int = 1) -> None:
        super().__init__(backbone, {"classes": classes, "times": times})
        self.heads = torch.nn.ModuleList(Classifier(backbone, 16, classes).head for _ in range(times))

    @classmethod
    def sizes(cls, backbone: Any) -> Iterator[dict[str, Any]]:
        yield from ({"times": times} for times in (50, 5, 1))

    def forward(self, labels: Any = None, **batch: Any) -> Any:
        hidden = self.backbone(**batch).last_hidden_state
        return {"logits": sum(head(hidden) for head in self.heads)}


@pytest.fixture(autouse=True)
def readout(monkeypatch: pytest.MonkeyPatch) -> None:
    row = System("readout", "arXiv:2401.00001", 2024, "footprint", "Readout", "c", state="built", part="Readout")
    module: Any = ModuleType(row.module)
    module.Readout = Readout
    monkeypatch.setitem(sys.modules, row.module, module)
    monkeypatch.setattr(catalog, "SYSTEMS", (*catalog.SYSTEMS, row))


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    folder = tmp_path / "bert"
    transformers.BertConfig(**BERT, architectures=["BertModel"]).save_pretrained(folder)
    return folder


def measured(call: Call, bert: Path, *words: object) -> Any:
    out = call("footprint", bert, "--method", "readout", "--out", bert / "p.png", "--json", *words)
    assert out.exit_code == 0, out.output
    return json.loads(out.stdout)


def test_three_methods_and_a_picture(call: Call, bert: Path) -> None:
    found = measured(call, bert, "--batch", "4x8")
    ours, lora, full = found["rows"]
    assert [row["method"] for row in found["rows"]] == ["readout", "LoRA", "full fine-tuning"]
    assert ours["parts"]["gradients"] == (16 * 2 + 2) * 4
    assert ours["parts"]["saved"] < lora["parts"]["saved"] < full["parts"]["saved"]
    # all but two buffers of positions and the pooler, which nobody reads
    assert full["parts"]["gradients"] == full["parts"]["weights"] - 2 * 512 * 8 - (16 * 16 + 16) * 4
    assert Path(found["picture"][0]).read_bytes().startswith(b"\x89PNG")


def test_for_people(call: Call, bert: Path) -> None:
    out = call("footprint", bert, "--method", "readout", "--batch", "4x8", "--out", bert / "p.png", "--modules", 2,
               "--set", "times=3")  # fmt: skip
    assert out.exit_code == 0, out.output
    assert "full fine-tuning" in out.stdout
    assert "1.00 x" in out.stdout
    assert "readout: classes=2, times=3" in out.stdout
    assert "heads.0.linear" in out.stdout


def test_a_budget_takes_the_largest_that_fits(call: Call, bert: Path) -> None:
    needs = {n: measured(call, bert, "--set", f"times={n}")["rows"][0]["bytes"] for n in (1, 5, 50)}
    assert needs[1] < needs[5] < needs[50]
    found = measured(call, bert, "--budget", f"{needs[50] - 1} bytes")["rows"][0]
    assert (found["options"]["times"], found["bytes"]) == (5, needs[5])


def test_a_budget_too_small_says_what_is_needed(call: Call, bert: Path) -> None:
    out = call("footprint", bert, "--method", "readout", "--budget", "1 kB", "--out", bert / "p.png")
    assert out.exit_code == 2
    assert "readout needs at least" in out.stderr
    assert "LoRA" in out.stdout  # the others are shown all the same


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--batch", "32"], 2, "write it like 32x128"),
        (["--batch", "0x8"], 2, "write it like 32x128"),
        (["--batch", "4x9999"], 2, "takes at most 512"),
        (["--method", "no_such"], 3, 'there is no system "no_such"'),
        (["--method", "zero_infinity"], 3, "is planned, not built yet"),
        (["--method", "hipporag2"], 2, "wraps no backbone"),
        (["--set", "reduction=8"], 2, "does not take these options"),
        (["--set", "reduction"], 2, "is no pair"),
        (["--budget", "much"], 2, "cannot read the budget"),
        (["--device", "banana"], 2, 'cannot measure on "banana"'),
    ],
)
def test_wrong_input(call: Call, bert: Path, words: list[str], code: int, says: str) -> None:
    given = ["--method", "readout", "--batch", "2x4", "--out", str(bert / "p.png"), *words]
    out = call("footprint", bert, *given)
    assert (out.exit_code, says in out.stderr) == (code, True), out.output


def test_wrong_folders(call: Call, tmp_path: Path) -> None:
    out = call("footprint", tmp_path, "--method", "readout")
    assert (out.exit_code, "config.json" in out.stderr) == (3, True)
    for content in ("{", '{"model_type": "nothing"}', "[]"):
        (tmp_path / "config.json").write_text(content)
        out = call("footprint", tmp_path, "--method", "readout")
        assert (out.exit_code, "no configuration" in out.stderr) == (2, True), (content, out.output)


@pytest.mark.parametrize("kind", ["LlamaForCausalLM", "T5ForConditionalGeneration", "ViTForImageClassification"])
def test_models_with_heads_of_their_own(kind: str, tmp_path: Path) -> None:
    from mnemic.bench.step_bytes import Shape, a_batch, load_config, load_model
    from mnemic.meter import training_bytes

    configs: dict[str, Any] = {
        "LlamaForCausalLM": lambda: transformers.LlamaConfig(
            vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2),
        "T5ForConditionalGeneration": lambda: transformers.T5Config(
            vocab_size=20, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0),
        "ViTForImageClassification": lambda: transformers.ViTConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=16,
            patch_size=8),
    }  # fmt: skip
    config = configs[kind]()
    config.architectures = [kind]
    config.save_pretrained(tmp_path)
    batch = a_batch(load_config(tmp_path), Shape.of("2x16"), 2, "cpu")
    model = load_model(tmp_path)
    assert type(model).__name__ == kind
    assert training_bytes(model.requires_grad_(True), batch).parts["saved"] > 0


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    config = transformers.ViTConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                                    image_size=16, patch_size=8, architectures=["ViTModel"])  # fmt: skip
    config.save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def test_lora_where_peft_has_no_choice_of_its_own_takes_all_linear_layers(call: Call, vit: Path) -> None:
    rows = measured(call, vit, "--batch", "2x16")["rows"]
    assert [row["refused"] for row in rows] == ["", "", ""]
    assert rows[1]["parts"]["gradients"] < rows[2]["parts"]["gradients"]


def test_images_of_a_size_that_the_model_does_not_take(call: Call, vit: Path) -> None:
    out = call("footprint", vit, "--method", "readout", "--batch", "2x20", "--out", vit / "p.png")
    assert (out.exit_code, "ViTModel cannot be run on a batch of 2x20" in out.stderr) == (2, True), out.output


def test_a_configuration_that_cannot_be_built(call: Call, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": -3}')
    out = call("footprint", tmp_path, "--method", "readout")
    assert (out.exit_code, "cannot be built" in out.stderr) == (2, True), out.output


def test_lora_on_a_convolutional_network_is_more_than_a_probe() -> None:
    from mnemic.bench.baselines import lora

    config = transformers.MobileNetV2Config(image_size=32, depth_multiplier=0.35, num_labels=3)
    model = lora(transformers.MobileNetV2ForImageClassification(config), None)
    adapted = {name.split(".lora_")[0] for name, p in model.named_parameters() if "lora_" in name and p.requires_grad}
    assert len(adapted) > 30
    assert any(p.requires_grad for name, p in model.named_parameters() if "classifier" in name)


def test_peft_that_does_not_run_inside_a_model_is_a_row(call: Call, tmp_path: Path) -> None:
    # its convolutions have no stride, which this network pads by
    config = transformers.MobileNetV2Config(image_size=32, depth_multiplier=0.35,
                                            architectures=["MobileNetV2ForImageClassification"])  # fmt: skip
    config.save_pretrained(tmp_path)
    out = call("footprint", tmp_path, "--method", "mobiletl", "--batch", "2x32", "--out", tmp_path / "p.png", "--json")
    ours, lora, full = json.loads(out.stdout)["rows"]
    assert (out.exit_code, lora["bytes"]) == (0, None), out.output
    assert "PEFT's layers do not run inside this model" in lora["refused"]
    assert ours["bytes"] < full["bytes"]
