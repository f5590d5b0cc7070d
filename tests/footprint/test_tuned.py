"""The one way in which the systems of this level are used, on the smallest system there could be."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.errors import BudgetError, InputError, MnemicError, NotFound

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn
from safetensors.torch import load_file, save_file  # noqa: E402

from mnemic.footprint._file import fingerprint  # noqa: E402
from mnemic.footprint._tuned import Tuned  # noqa: E402

X = torch.arange(12.0).reshape(4, 3)


class Readout(Tuned):
    """Trains a linear map of so many outputs on top of whatever the backbone returns."""

    method = "readout"

    def __init__(self, backbone: Any, *, outputs: int = 2) -> None:
        super().__init__(backbone, {"outputs": outputs})
        self.map = nn.Linear(5, outputs)

    @classmethod
    def sizes(cls, backbone: Any) -> Iterator[dict[str, Any]]:
        yield from ({"outputs": outputs} for outputs in (8, 4, 2))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.check_frozen()
        return self.map(self.backbone(x))


def backbone(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))


def test_the_backbone_is_frozen_and_stays_so_in_training() -> None:
    model = Readout(backbone()).train()
    mean = model.backbone[1].running_mean.clone()
    assert torch.equal(model.backbone(X), model.backbone(X))  # no dropout
    assert torch.equal(model.backbone[1].running_mean, mean)
    model(X).sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == [
        "map.weight", "map.bias",
    ]  # fmt: skip


def test_only_the_small_part_is_written(tmp_path: Path) -> None:
    Readout(backbone()).save(tmp_path / "part.safetensors")
    assert sorted(load_file(tmp_path / "part.safetensors")) == ["map.bias", "map.weight"]


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    model = Readout(backbone(), outputs=4).eval()
    model.save(tmp_path / "part.safetensors")
    again = Readout.load(tmp_path / "part.safetensors", backbone()).eval()
    assert again.options == {"outputs": 4}
    assert torch.equal(again(X), model(X))


def test_what_was_woken_is_trained_and_saved(tmp_path: Path) -> None:
    model = Readout(backbone())
    model.wake(["0.bias"])
    model.train()(X).sum().backward()
    assert model.backbone[0].bias.grad is not None
    assert "backbone.0.bias" in model.small_part()
    copy.deepcopy(model).check_frozen()


def test_a_backbone_that_needs_gradients_is_refused() -> None:
    model = Readout(backbone()).train()
    model.backbone[0].weight.requires_grad_(True)
    with pytest.raises(MnemicError, match=r"1 parameters of the backbone need a gradient \(0\.weight\)"):
        model(X)
    with pytest.raises(MnemicError, match="need a gradient"):
        copy.deepcopy(model)(X)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    Readout(backbone()).save(tmp_path / "part.safetensors")
    for other in (backbone(seed=1), backbone().double(), nn.Sequential(*backbone(), nn.Linear(5, 5))):
        with pytest.raises(InputError, match="was trained on another backbone"):
            Readout.load(tmp_path / "part.safetensors", other)


def test_fingerprints_look_at_values_of_every_tensor() -> None:
    model = backbone()
    before = fingerprint(model)
    assert fingerprint(backbone()) == before
    with torch.no_grad():
        model[0].bias[2] += 1
    assert fingerprint(model) != before


def test_another_methods_file_is_refused(tmp_path: Path) -> None:
    class Other(Readout):
        method = "other"

    Other(backbone()).save(tmp_path / "part.safetensors")
    with pytest.raises(InputError, match="holds a part of other, not of readout"):
        Readout.load(tmp_path / "part.safetensors", backbone())


def test_broken_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "part.safetensors"
    with pytest.raises(NotFound, match="there is no file"):
        Readout.load(file, backbone())
    file.write_bytes(b"\x80\x04pickle")
    with pytest.raises(InputError, match="no safetensors file"):
        Readout.load(file, backbone())
    save_file({"map.bias": torch.zeros(2)}, file)
    with pytest.raises(InputError, match="not written by mnemic"):
        Readout.load(file, backbone())
    header = {"mnemic": "1", "method": "readout", "options": "{", "backbone": fingerprint(backbone())}
    save_file({"map.bias": torch.zeros(2)}, file, header)
    with pytest.raises(InputError, match=r"the header of .* cannot be read"):
        Readout.load(file, backbone())
    save_file({"map.bias": torch.zeros(2)}, file, header | {"options": json.dumps({"outputs": 2})})
    with pytest.raises(InputError, match="does not fit the options"):
        Readout.load(file, backbone())
    save_file({"map.bias": torch.zeros(2)}, file, header | {"mnemic": "9"})
    with pytest.raises(InputError, match="upgrade mnemic"):
        Readout.load(file, backbone())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        Readout(backbone()).save(tmp_path / "no" / "part.safetensors")


def test_a_budget_picks_the_largest_size_that_fits() -> None:
    # weights 80 + buffers 48 B of the backbone; a map of n outputs: 24 n B, as much gradient, twice that plus two
    # step counts for AdamW; saved: its input [4 5]
    needs = {n: Readout(backbone(), outputs=n).used(X).amount for n in (2, 4, 8)}
    fixed = 20 * 4 + 10 * 4 + 10 * 4 + 8 + 4 * 5 * 4
    assert needs == {n: fixed + 4 * 24 * n + 2 * 4 for n in (2, 4, 8)}
    for n in (2, 4, 8):
        assert Readout.within(f"{needs[n]} bytes", backbone(), X).options == {"outputs": n}
    assert Readout.within(f"{needs[8] - 1} bytes", backbone(), X).options == {"outputs": 4}
    assert Readout.within("1 MB", backbone(), X, outputs=2).options == {"outputs": 2}


def test_a_budget_that_nothing_fits_in_says_what_is_needed() -> None:
    least = Readout(backbone(), outputs=2).used(X)
    with pytest.raises(BudgetError, match=f"readout needs at least {least}"):
        Readout.within("100 bytes", backbone(), X)
    with pytest.raises(BudgetError, match="measured in bytes, not in tokens"):
        Readout.within("100 tokens", backbone(), X)
