"""Tasks, loop and baselines that tuning in few bytes is judged with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnemic.bench.transfer import Recipe, Task, _rate
from mnemic.errors import DataMissing, InputError
from mnemic.meter import saved_bytes, training_bytes

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from mnemic.bench import baselines  # noqa: E402
from mnemic.bench.transfer import correct, fit, image_task, minilm, text_task  # noqa: E402


@pytest.fixture
def words() -> Task:
    """Sixty short texts: of tokens 1..9 in class 0, of 10..19 in class 1."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    texts = [rng.integers(1 + 9 * label, 10 + 10 * label, rng.integers(2, 7)).tolist() for label in labels]
    return Task("trec", 2, (texts[:40], labels[:40]), (texts[40:], labels[40:]))


def encoder() -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                                     num_attention_heads=2)  # fmt: skip
    return transformers.BertModel(config, add_pooling_layer=False)


def test_batches_hold_every_example_once(words: Task) -> None:
    batches = words.batches(8, seed=3)
    assert [len(batch["labels"]) for batch in batches] == [8] * 5
    rows = sorted(tuple(row[mask.bool()].tolist()) for b in batches
                  for row, mask in zip(b["input_ids"], b["attention_mask"], strict=True))  # fmt: skip
    assert rows == sorted(map(tuple, words.train[0]))


def test_batches_follow_the_seed(words: Task) -> None:
    first, again, other = (words.batches(8, seed)[0]["labels"].tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_a_batch_is_padded_by_hand(words: Task) -> None:
    batch = words.batch([[5], [7, 8]], np.array([1, 0]), [0, 1])
    assert batch["input_ids"].tolist() == [[5, 0], [7, 8]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert batch["labels"].tolist() == [1, 0]


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    rates = [_rate(step, 100) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] < 0.001


def test_real_tasks(data_path: Any) -> None:
    data_path("trec", "train"), data_path("minilm", "tokenizer")
    task = text_task("trec", train=100)
    assert (len(task.train[0]), len(task.test[0]), task.classes) == (100, 500, 6)
    assert set(task.test[1]) == set(range(6))
    again = text_task("trec", train=100)
    assert again.train[0] == task.train[0]


def test_real_images(data_path: Any) -> None:
    data_path("sign_digits")
    task = image_task("sign_digits", size=32, train_per_class=2, test_per_class=3, seed=1)
    other = image_task("sign_digits", size=32, train_per_class=2, test_per_class=3, seed=2)
    assert (len(task.train[0]), len(task.test[0])) == (20, 30)
    assert all(np.array_equal(a, b) for a, b in zip(task.test[0], other.test[0], strict=True))  # one test for all seeds
    assert not all(np.array_equal(a, b) for a, b in zip(task.train[0], other.train[0], strict=True))
    assert not any(np.array_equal(a, b) for a in task.train[0] for b in task.test[0])
    batch = task.test_batches(4)[0]
    assert batch["pixel_values"].shape == (4, 3, 32, 32)


def test_packaged_digits_need_no_folder() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    task = image_task("digits", size=16, train_per_class=2, test_per_class=1)
    assert len(task.train[0]) == 20


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(InputError, match="use trec or sst2"):
        text_task("mnli")
    with pytest.raises(InputError, match="use sign_digits, cifar10, digits"):
        image_task("imagenet")


ARMS = {
    "probe": lambda: baselines.Probe(encoder(), 2),
    "all layers": lambda: baselines.Probe(encoder(), 2, layers="all"),
    "full": lambda: baselines.full(encoder(), 2),
    "bitfit": lambda: baselines.bitfit(encoder(), 2),
    "lora": lambda: baselines.lora(encoder(), 2),
    "ia3": lambda: baselines.ia3(encoder(), 2),
}


@pytest.mark.parametrize("name", ARMS)
def test_every_baseline_learns_its_training_part(name: str, words: Task) -> None:
    """Two classes that share no word; and a run is the same with the same seed."""
    seen = Task("trec", 2, words.train, words.train)
    chance = max(np.mean(words.train[1]), 1 - np.mean(words.train[1]))
    found = []
    for _ in range(2):
        model = ARMS[name]()
        fit(model, seen, Recipe(epochs=25, batch=8, lr=2e-2), seed=0)
        found.append(correct(model, seen))
    assert found[0] == found[1]
    assert np.mean(found[0]) > chance + 0.1


def test_what_baselines_train_and_save(words: Task) -> None:
    batch = words.batch(*words.train, range(8))
    used = {name: training_bytes(make().train(), batch).parts for name, make in ARMS.items()}
    trained = {name: part["gradients"] for name, part in used.items()}
    assert trained["probe"] == (16 * 2 + 2) * 4
    assert trained["all layers"] == (3 * 16 * 2 + 2) * 4
    assert trained["lora"] == (2 * 2 * 8 * (16 + 16)) * 4 + trained["probe"]  # two layers, query and value, rank 8
    assert used["probe"]["saved"] < used["all layers"]["saved"] < used["bitfit"]["saved"] < used["full"]["saved"]


def test_all_layer_features_have_length_one_each(words: Task) -> None:
    probe = baselines.Probe(encoder(), 2, layers="all")
    seen: list[Any] = []
    probe.head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with saved_bytes(probe):
        probe(**words.batch(*words.train, range(4)))
    pieces = seen[0].reshape(4, 3, 16).norm(dim=-1)
    assert torch.allclose(pieces, torch.ones(4, 3), atol=1e-5)


def test_minilm_is_the_published_one(data_path: Any) -> None:
    try:
        model = minilm().eval()
    except DataMissing as error:
        pytest.skip(str(error))
    assert sum(parameter.numel() for parameter in model.parameters()) == 22_565_376
    from tokenizers import Tokenizer

    from mnemic import data
    from mnemic.lm.minilm import MiniLM

    ids = Tokenizer.from_str(data.read("minilm", "tokenizer")).encode("Where does Ana live?").ids
    real = len([n for n in ids if n])  # the rest is padding
    with torch.no_grad():
        mean = model(input_ids=torch.tensor([ids[:real]])).last_hidden_state[0].mean(0)
    shipped = np.asarray(MiniLM().embed(["Where does Ana live?"])[0])
    assert float(shipped @ mean.numpy() / np.linalg.norm(mean.numpy()) / np.linalg.norm(shipped)) > 0.99
