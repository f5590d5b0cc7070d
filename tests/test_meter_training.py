"""What a training step keeps, against bytes that were worked out by hand. Numbers are float32: 4 bytes each."""

from __future__ import annotations

from typing import Any

import pytest

from mnemic.errors import InputError
from mnemic.meter import saved_bytes, training_bytes

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn

X = 4 * 3 * 4  # bytes of the input [4 3]


def saved(model: Any, *inputs: Any) -> int:
    with saved_bytes(model) as kept:
        output = model(*inputs)
    assert output is not None
    return kept.peak


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def x() -> Any:
    return torch.randn(4, 3)


def test_linear_keeps_its_input(x: Any) -> None:
    assert saved(nn.Linear(3, 2), x) == X


def test_weights_are_not_counted(x: Any) -> None:
    # the input needs a gradient, so the weight is saved too: it is a parameter and costs nothing more
    assert saved(nn.Linear(3, 2), x.requires_grad_()) == X


def test_frozen_linear_keeps_nothing(x: Any) -> None:
    assert saved(nn.Linear(3, 2).requires_grad_(False), x) == 0


def test_bias_alone_keeps_nothing(x: Any) -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    assert saved(model, x) == 0


def test_relu_keeps_its_output(x: Any) -> None:
    assert saved(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), x) == X + 4 * 2 * 4


def test_in_place_shares_a_storage(x: Any) -> None:
    # the output of relu_ is the input of the last layer: one storage [4 2]
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True), nn.Linear(2, 5))
    assert saved(model, x) == X + 4 * 2 * 4


def test_two_layers_share_an_input(x: Any) -> None:
    class Both(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.a(x) + self.b(x)

    assert saved(Both(), x) == X


def test_a_view_costs_its_whole_storage_once() -> None:
    whole = torch.randn(8, 3)

    class Halves(nn.Linear):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return super().forward(x[:4]) + super().forward(x[4:])

    assert saved(Halves(3, 2), whole) == 8 * 3 * 4


def test_a_view_of_a_parameter_is_no_activation() -> None:
    class Rows(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(6, 3))

        def forward(self) -> Any:
            return self.table[:2] * self.table[2:4]  # both factors are saved, both are views of the parameter

    assert saved(Rows()) == 0


def test_checkpoint_keeps_only_the_input(x: Any) -> None:
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Sequential):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return checkpoint(super().forward, x, use_reentrant=False)

    layers = [nn.Linear(3, 50), nn.ReLU(), nn.Linear(50, 2)]
    assert saved(nn.Sequential(*layers), x) == X + 4 * 50 * 4
    assert saved(Checkpointed(*layers), x) == X


def test_meta_tensors_cost_as_much_as_real_ones() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
        assert saved(model, torch.empty(4, 3)) == X + 4 * 2 * 4


def test_by_module(x: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    with saved_bytes(model) as kept:
        model(x)[0].exp().sum()
    assert kept.by_module == {"0": X, "1.0": 4 * 2 * 4, "": 2 * 4}


def test_now_follows_the_graph(x: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    with saved_bytes(model) as kept:
        first = model(x)
        assert kept.now == X + 4 * 2 * 4
        del first
        assert kept.now == 0
        model(x + 1)
    assert kept.peak == X + 4 * 2 * 4


def test_gradients_stay_the_same(x: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Sigmoid(), nn.Linear(2, 1))
    model(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    with saved_bytes(model):
        value = model(x).sum()
    value.backward()
    assert all(torch.equal(p.grad, e) for p, e in zip(model.parameters(), expected, strict=True))


def test_hooks_leave_with_the_block(x: Any) -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(ZeroDivisionError), saved_bytes(model):
        1 / 0  # noqa: B018
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_training_step_by_hand(x: Any) -> None:
    # 8 numbers: 32 bytes of weights and of gradients; AdamW keeps two means of each and a step count per parameter
    used = training_bytes(nn.Linear(3, 2), x)
    assert used.parts == {"weights": 32, "gradients": 32, "optimizer": 2 * 32 + 2 * 4, "saved": X}
    assert used.amount == 32 + 32 + 72 + 48


def test_training_step_by_module(x: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    used = training_bytes(model, x)
    assert used.modules == {
        "0": {"weights": 32, "gradients": 32, "optimizer": 72, "saved": X},
        "1.0": {"weights": 0, "gradients": 0, "optimizer": 0, "saved": 4 * 2 * 4},
        "1.1": {"weights": 12, "gradients": 12, "optimizer": 2 * 12 + 2 * 4, "saved": 0},
    }
    assert used.under("1") == {"weights": 12, "gradients": 12, "optimizer": 32, "saved": 32}
    assert used.under("") == used.parts
    assert used.under("nothing")["weights"] == 0


def test_training_step_with_another_optimizer(x: Any) -> None:
    used = training_bytes(nn.Linear(3, 2), x, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0))
    assert used.parts["optimizer"] == 0


def test_training_only_the_bias(x: Any) -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    assert training_bytes(model, x).parts == {"weights": 32, "gradients": 8, "optimizer": 2 * 8 + 4, "saved": 0}


def test_tied_weights_cost_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert training_bytes(model, torch.randn(4, 3)).parts["weights"] == 36


def test_training_leaves_the_model_as_it_was(x: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    numbers = torch.get_rng_state()
    training_bytes(model, x)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), numbers)


@pytest.mark.parametrize("form", ["mapping", "tuple", "loss"])
def test_batches_as_models_take_them(form: str, x: Any) -> None:
    class Named(nn.Linear):  # type: ignore[misc, name-defined]
        def forward(self, input: Any) -> Any:
            return {"logits": super().forward(input)}

    batch = {"mapping": {"input": x}, "tuple": (x,), "loss": x}[form]
    loss = (lambda model, batch: model(batch)["logits"].sum()) if form == "loss" else None
    assert training_bytes(Named(3, 2), batch, loss=loss).parts["saved"] == X


def test_a_frozen_model_is_refused(x: Any) -> None:
    with pytest.raises(InputError, match="unfreeze some"):
        training_bytes(nn.Linear(3, 2).requires_grad_(False), x)


def test_agrees_with_torchs_own_tracker() -> None:
    """MemTracker counts what modules return, we count what is saved: it has the last output, we have the input."""
    tracking = pytest.importorskip("torch.distributed._tools.mem_tracker", reason="this torch has no MemTracker")
    model = nn.Sequential(*(layer for _ in range(3) for layer in (nn.Linear(64, 64), nn.GELU())))
    batch = torch.randn(128, 64)  # as large as the output
    optimizer = torch.optim.AdamW(model.parameters())
    tracker = tracking.MemTracker()
    tracker.track_external(model, optimizer)
    with tracker:
        output = model(batch)
        saved = tracker.get_tracker_snapshot("current")[batch.device]
        output.mean().backward()
        optimizer.step()
        kept = tracker.get_tracker_snapshot("current")[batch.device]
    theirs = {str(kind.value): size for kind, size in kept.items() if hasattr(kind, "value")}
    activations = {str(kind.value): size for kind, size in saved.items() if hasattr(kind, "value")}["Activation"]
    ours = training_bytes(model, batch).parts
    assert ours["saved"] == pytest.approx(activations, rel=0.01)
    assert ours["weights"] == pytest.approx(theirs["Parameter"], rel=0.01)
    assert ours["gradients"] == pytest.approx(theirs["Gradient"], rel=0.01)
    assert ours["optimizer"] == pytest.approx(theirs["Optstate"], rel=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator on this machine")
def test_agrees_with_the_accelerators_own_count() -> None:
    """What the allocator holds after a forward pass is what is saved, the output and nothing else (within 1 %)."""
    from mnemic.meter import device_bytes

    model = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(512, 512), nn.GELU()))).cuda()
    batch = torch.randn(1024, 512, device="cuda")
    before = torch.cuda.memory_allocated()
    with saved_bytes(model) as kept:
        output = model(batch)
    held = torch.cuda.memory_allocated() - before
    expected = kept.now - batch.untyped_storage().nbytes() + output.untyped_storage().nbytes()
    assert held == pytest.approx(expected, rel=0.01)
    del output
    measured = device_bytes(lambda: torch.empty(10_000_000, device="cuda").sum().item())
    assert measured.used.amount - measured.used.parts["start"] == pytest.approx(40_000_000, rel=0.01)
