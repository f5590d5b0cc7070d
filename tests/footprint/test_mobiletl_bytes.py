"""What MobileTL says that tuning costs: bytes by hand, predicted and measured, budgets, multiplications."""

from __future__ import annotations

from typing import Any

import pytest

from mnemic.errors import BudgetError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
nn = torch.nn

import sample_mobiletl as sample  # noqa: E402

from mnemic.footprint.mobiletl import MobileTL, fit_budget, macs, memory_report  # noqa: E402

tiny, batch = sample.tiny, sample.batch

ORDINARY: dict[str, Any] = {"inner_norm": "full", "act_backward": "exact"}  # blocks as torch tunes them


def test_bytes_by_hand() -> None:
    """Block 2 of the sample: c = 12, 4 x 4 places, e = 4, four images, ReLU6; float32 numbers kept.

    pw1 reads 12, dw 48, pw2 48, bn3 12 channels; two masks of 48 channels at one bit: (120 + 96/32) * 16 * 4 numbers.
    """
    report = memory_report(MobileTL(tiny(), top_blocks=1, classes=3), batch())
    assert report.per_block[0].predicted == 4 * 123 * 16 * 4
    assert report.per_block[0].measured == 4 * 123 * 16 * 4 + 2 * 12 * 4  # bn3 also keeps mean and deviation
    assert "blocks.2" in str(report)


@pytest.mark.parametrize("options", [{}, ORDINARY, {"inner_norm": "fixed"}, {"convs": False}, {"last_norm": "shift"}])
@pytest.mark.parametrize("act", [nn.ReLU6, nn.Hardswish, nn.ReLU])
def test_predicted_is_measured(options: dict[str, Any], act: Any) -> None:
    for row in memory_report(MobileTL(tiny(act=act, se=False), top_blocks=1, classes=3, **options), batch()).per_block:
        assert row.measured == pytest.approx(row.predicted, rel=0.03)


def test_predicted_knows_squeeze_and_excitation() -> None:
    for se in ("train", "frozen"):
        model = MobileTL(tiny(act=nn.Hardswish, se=True), top_blocks=1, classes=3, se=se)  # type: ignore[arg-type]
        (row,) = memory_report(model, batch()).per_block
        assert row.measured == pytest.approx(row.predicted, rel=0.07)  # and the gates themselves


def test_measuring_moves_nothing() -> None:
    model = MobileTL(tiny(), top_blocks=1, classes=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    memory_report(model, batch())
    macs(model, batch())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_within_takes_the_most_blocks_that_fit() -> None:
    used = [MobileTL(tiny(), top_blocks=k, classes=3).used(batch()).amount for k in range(4)]
    assert used == sorted(used)
    for k in range(4):
        model = MobileTL.within(f"{used[k]} bytes", tiny(), batch(), classes=3)
        assert model.options["top_blocks"] == k
        assert model.used(batch()).amount <= used[k]
    with pytest.raises(BudgetError, match="not enough"):
        MobileTL.within(f"{used[0] - 1} bytes", tiny(), batch(), classes=3)


def test_fit_budget_looks_at_what_is_saved() -> None:
    net = tiny()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    saved = [MobileTL(tiny(), top_blocks=k, classes=3).used(batch()).parts["saved"] for k in range(4)]
    assert [fit_budget(net, batch(), f"{bytes_} bytes", classes=3) for bytes_ in saved] == [0, 1, 2, 3]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with pytest.raises(BudgetError, match="classifier alone"):
        fit_budget(net, batch(), "10 bytes", classes=3)
    with pytest.raises(BudgetError, match="like 24 MB"):
        fit_budget(net, batch(), "10 tokens", classes=3)


def test_macs_by_hand() -> None:
    """A probe: 4 images x 16 features x 3 classes, for the weight alone."""
    counted = macs(MobileTL(tiny(), top_blocks=0, classes=3), batch())
    assert (counted.backward, counted.norms) == (4 * 16 * 3, 0)


def test_macs_agree_with_torchs_counter() -> None:
    """Without depthwise convolutions: torch counts the gradient of their weights as if they were full ones."""
    from torch.utils.flop_counter import FlopCounterMode

    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 3), nn.Flatten(),
                        nn.Linear(150, 3))  # fmt: skip
    net[2].weight.requires_grad_(False)  # its input's gradient is needed all the same
    images = torch.randn(2, 3, 16, 16)
    with FlopCounterMode(display=False) as forward:
        loss = net(images).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    counted = macs(net, {"input": images})
    assert (2 * counted.forward, 2 * counted.backward) == (forward.get_total_flops(), backward.get_total_flops())


def test_macs_of_arms() -> None:
    counted = {name: macs(MobileTL(tiny(), top_blocks=2, classes=3, **options), batch()) for name, options in
               {"ours": {}, "ordinary": ORDINARY, "shifts": {"convs": False}}.items()}  # fmt: skip
    assert counted["ours"].backward == counted["ordinary"].backward
    assert counted["shifts"].backward < 0.6 * counted["ours"].backward
    assert counted["ours"].norms < 0.4 * counted["ordinary"].norms
