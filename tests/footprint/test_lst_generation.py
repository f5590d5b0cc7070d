"""LST: a ladder generates text; both networks keep their keys and values in one cache."""

from __future__ import annotations

from typing import Any

import pytest

from mnemic.errors import InputError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from mnemic.footprint.lst import Ladder  # noqa: E402

IDS = torch.tensor([[3, 4, 5, 6], [7, 8, 9, 2]])
MASK = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])


def ladder(name: str, **options: Any) -> Ladder:
    """With side weights large enough that texts differ."""
    torch.manual_seed(0)
    t = transformers
    if name == "llama":
        model = t.LlamaForCausalLM(t.LlamaConfig(
            vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2))  # fmt: skip
    elif name == "mistral":
        model = t.MistralForCausalLM(t.MistralConfig(
            vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, sliding_window=4))  # fmt: skip
    else:
        config = t.T5Config(vocab_size=20, d_model=16, d_kv=4, d_ff=32, num_layers=3, num_heads=4,
                            decoder_start_token_id=0)  # fmt: skip
        model = t.T5ForConditionalGeneration(config)
    made = Ladder(model, reduction=2, layers=[0, 2], **options).eval()
    for parameter in made.sides.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    torch.nn.init.normal_(made.up.weight, std=2.0)
    return made


@pytest.mark.parametrize("name", ["llama", "mistral", "t5"])
@pytest.mark.parametrize("how", [{"do_sample": False}, {"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}])
def test_with_a_cache_it_writes_the_same(name: str, how: dict[str, Any]) -> None:
    model = ladder(name)
    fixed: dict[str, Any] = {"attention_mask": MASK, "max_new_tokens": 8, "pad_token_id": 0, "eos_token_id": None} | how
    kept = model.generate(IDS, use_cache=True, **fixed)
    assert torch.equal(kept, model.generate(IDS, use_cache=False, **fixed))
    model._plain = True
    assert not torch.equal(kept, model.generate(IDS, **fixed))  # it was the ladder that wrote


def test_a_cache_of_fixed_length_works_too() -> None:
    model, fixed = ladder("llama"), {"max_new_tokens": 6, "pad_token_id": 0, "eos_token_id": None, "do_sample": False}
    kept = model.generate(IDS, cache_implementation="static", **fixed)
    assert torch.equal(kept, model.generate(IDS, use_cache=False, **fixed))


def test_token_by_token_is_the_same_as_at_once() -> None:
    model = ladder("llama")
    cache = transformers.DynamicCache(config=model.backbone.config)
    whole = model(IDS)["logits"]
    with torch.no_grad():
        steps = [model(IDS[:, n : n + 1], cache=cache)["logits"] for n in range(4)]
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-5)
    assert [layer.get_seq_length() for layer in cache.layers] == [4] * 5  # three of the backbone, two beside


def test_a_cache_that_the_side_network_has_not_read_is_refused() -> None:
    model = ladder("llama")
    cache = transformers.DynamicCache(config=model.backbone.config)
    model._plain = True
    with torch.no_grad():
        model(IDS, cache=cache)
        model._plain = False
        with pytest.raises(InputError, match="the cache holds 4 tokens that the side network has not read"):
            model(IDS[:, :1], cache=cache)


def test_a_text_that_the_side_network_has_not_read_is_refused() -> None:
    model = ladder("t5")
    with torch.no_grad():
        encoded = model.backbone.get_encoder()(IDS)
        model(IDS, decoder_input_ids=IDS)
        with pytest.raises(InputError, match="give input_ids, or use generate"):
            model(None, encoder_outputs=encoded, decoder_input_ids=IDS)
