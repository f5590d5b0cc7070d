"""The one table of all systems: data only. Nothing is imported until somebody asks for it.

systems()        all rows, level by level
system("lst")    one row; NotFound with close matches for a slug that is none
load("lst")      the system's module (or class), imported now; a planned one says that it is planned
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mnemic.errors import MissingExtra, NotFound
from mnemic.meter import Unit

Level = Literal["context", "store", "neural", "weights", "footprint", "silicon", "learn", "bench"]
State = Literal["built", "planned"]
Seam = Literal["", "retriever", "writer", "composer", "policy"]

# What is counted, level by level: two systems are compared only at the same amount of it.
COUNTED: Mapping[Level, str] = {
    "context": "tokens in the prompt",
    "store": "bytes on disk",
    "neural": "bytes of state",
    "weights": "bytes of parameters and exemplars",
    "footprint": "peak bytes",
    "silicon": "bytes of on-chip memory",
    "learn": "peak bytes",
    "bench": "tokens in the prompt",
}


@dataclass(frozen=True)
class System:
    """One row: a published system and where it lives.

    slug            the same in src/, claims/, tests/ and docs/
    paper           where it was published: "arXiv:2206.06522"; the module's header cites it
    year            when it first appeared
    level           the package it lives in
    claim           the headline that mnemic.claims.<slug> reproduces
    unit            what a budget for it is given in; `counted` says of what
    state           built, or planned
    part            class or function that people use; the module itself when empty
    seam            where Memory takes it as a choice: retriever, writer, composer, policy; "" for none
    extra           pip extra that it needs; none for the core install
    known_failures  contract check -> why this system cannot pass it
    """

    slug: str
    paper: str
    year: int
    level: Level
    title: str
    claim: str
    unit: Unit = "bytes"
    state: State = "planned"
    part: str = ""
    seam: Seam = ""
    extra: str = ""
    known_failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def counted(self) -> str:
        """What is counted of it: that of its level, or tokens where its budget is of tokens."""
        return COUNTED["context"] if self.unit == "tokens" else COUNTED[self.level]

    @property
    def module(self) -> str:
        """Dotted name of the method's module."""
        return f"mnemic.{self.level}.{self.slug}"

    @property
    def claim_module(self) -> str:
        """Dotted name of the experiment's module."""
        return f"mnemic.claims.{self.slug}"


def systems(level: Level | None = None) -> tuple[System, ...]:
    """All rows in the order of the levels, or those of one level."""
    return tuple(row for row in SYSTEMS if level in (None, row.level))


def system(slug: str) -> System:
    """The row of a slug, in any case and with dashes or underscores. Raises NotFound with what is near."""
    wanted = slug.strip().lower().replace("-", "_").replace(" ", "_")
    for row in SYSTEMS:
        if row.slug == wanted:
            return row
    words = {row.slug: row.slug for row in SYSTEMS} | {row.title.split(":")[0].lower(): row.slug for row in SYSTEMS}
    near = list(dict.fromkeys(words[word] for word in difflib.get_close_matches(wanted, words, n=5, cutoff=0.6)))
    hint = f"did you mean {' or '.join(near[:3])}?" if near else "`mnemic systems` lists them all."
    raise NotFound(f'there is no system "{slug}": {hint}')


def ready() -> list[str]:
    """Slugs of the systems that are built."""
    return [row.slug for row in SYSTEMS if row.state == "built"]


def load(slug: str) -> Any:
    """Import a system now: its class where the row names one, else its module."""
    row = built(slug)
    module = imported(row.module, row)
    return getattr(module, row.part) if row.part else module


def built(slug: str) -> System:
    """The row of a system that is there to be used; NotFound says so when it is only planned."""
    row = system(slug)
    if row.state != "built":
        raise NotFound(f'"{row.slug}" ({row.title}) is planned, not built yet: built are {", ".join(ready())}.')
    return row


def imported(module: str, row: System) -> Any:
    """Import a module of a row; a library that is not installed becomes the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if row.extra and error.name and not error.name.startswith("mnemic"):
            raise MissingExtra(row.slug, row.extra) from error
        raise


# fmt: off
SYSTEMS: tuple[System, ...] = (
    System("mem1", "arXiv:2506.15841", 2025, "context",
           "MEM1: Learning to Synergize Memory and Reasoning for Efficient Long-Horizon Agents",
           "an agent that keeps one rewritten state answers as well as one that keeps everything, in a prompt that "
           "does not grow",
           unit="tokens"),
    System("dynamic_cheatsheet", "arXiv:2504.07952", 2025, "context",
           "Dynamic Cheatsheet: Test-Time Learning with Adaptive Memory",
           "a text that the model rewrites after every question raises accuracy over a stream, without labels",
           unit="tokens", state="built", part="DynamicCheatsheet"),
    System("har_gui", "arXiv:2511.09127", 2025, "context",
           "History-Aware Reasoning for GUI Agents",
           "an agent trained to use its own history solves episodes that a stepwise one loses",
           unit="tokens"),
    System("stylechat", "arXiv:2403.11439", 2024, "context",
           "StyleChat: Learning Recitation-Augmented Memory in LLMs for Stylized Dialogue Generation",
           "reciting a style from memory first keeps the style without its long prompt",
           unit="tokens"),
    System("agent_k", "arXiv:2411.03562", 2024, "context",
           "Large Language Models Orchestrating Structured Reasoning Achieve Kaggle Grandmaster Level",
           "tested stages and reused experience give more valid and better submissions within one budget of calls",
           unit="tokens"),
    System("apt", "arXiv:2411.17255", 2024, "context",
           "APT: Architectural Planning and Text-to-Blueprint Construction Using Large Language Models for "
           "Open-World Agents",
           "a plan memory and reflection raise the share of buildings without defects",
           unit="tokens"),
    System("ste", "arXiv:2403.04746", 2024, "context",
           "LLMs in the Imaginarium: Tool Learning through Simulated Trial and Error",
           "calls tried in advance and kept beat the documentation alone",
           unit="tokens", state="built", part="ToolCaller"),
    System("hipporag2", "arXiv:2502.14802", 2025, "store",
           "From RAG to Memory: Non-Parametric Continual Learning for Large Language Models (HippoRAG 2)",
           "a graph of phrases and passages finds scattered evidence that dense retrieval misses",
           state="built", part="HippoRAG2", seam="retriever"),
    System("mem_alpha", "arXiv:2509.25911", 2025, "store",
           "Mem-alpha: Learning Memory Construction via Reinforcement Learning",
           "a writer trained on later answers keeps what will be asked, in the same space"),
    System("arigraph", "arXiv:2407.04363", 2024, "store",
           "AriGraph: Learning Knowledge Graph World Models with Episodic Memory for LLM Agents",
           "under one budget of tokens a graph of facts tied to their observations finds the way where history, "
           "summary and retrieval do not",
           unit="tokens", state="built", part="AriGraph"),
    System("robomemory", "arXiv:2508.01415", 2025, "store",
           "RoboMemory: A Brain-inspired Multi-memory Agentic Framework for Lifelong Learning in Physical Embodied "
           "Systems",
           "four memories side by side raise success on long tasks above each of them alone"),
    System("evo_memory", "arXiv:2511.20857", 2025, "store",
           "Evo-Memory: Benchmarking LLM Agent Test-time Learning with Self-Evolving Memory (ExpRAG and ReMem)",
           "experience that is pruned while it is used makes the next task of a stream easier",
           state="built", part="ReMem"),
    System("longmem", "arXiv:2306.07174", 2023, "neural",
           "Augmenting Language Models with Long-Term Memory (LongMem)",
           "cached keys and values of a frozen model, read by a side network, extend its reach"),
    System("cmt", "arXiv:2412.07393", 2024, "neural",
           "CMT: A Memory Compression Method for Continual Knowledge Learning of Large Language Models",
           "documents compressed to a few vectors answer questions without touching the model"),
    System("hcam", "arXiv:2105.14039", 2021, "neural",
           "Towards mental time travel: a hierarchical memory for reinforcement learning agents (HCAM)",
           "attending to chunk summaries first and details second recalls across long gaps"),
    System("fast_slow_nmn", "arXiv:2011.05438", 2020, "neural",
           "Fast & Slow Learning: Incorporating Synthetic Gradients in Neural Memory Controllers",
           "controllers that adapt inside an episode beat frozen ones"),
    System("pres", "arXiv:2402.04284", 2024, "neural",
           "PRES: Toward Scalable Memory-Based Dynamic Graph Neural Networks",
           "predicting and correcting node memory allows larger temporal batches at the same precision"),
    System("mtmd", "arXiv:2212.08656", 2022, "neural",
           "MTMD: Multi-Scale Temporal Memory Learning and Efficient Debiasing Framework for Stock Trend Forecasting",
           "a memory of global patterns improves a ranking of stocks"),
    System("m2surv", "arXiv:2506.19324", 2025, "neural",
           "Memory-Augmented Incomplete Multimodal Survival Prediction via Cross-Slide and Gene-Attentive Hypergraph"
           " Learning (M2Surv)",
           "a bank of paired features stands in for a missing modality"),
    System("dit_mem", "arXiv:2511.19229", 2025, "neural",
           "Learning Plug-and-play Memory for Guiding Video Diffusion Models (DiT-Mem)",
           "retrieved clips as memory tokens improve a frozen video model"),
    System("rnn_timescales", "arXiv:2309.12927", 2023, "neural",
           "Emergent mechanisms for long timescales depend on training curriculum and affect performance in memory "
           "tasks",
           "learning all memory spans at once gives networks that remember longer than one span at a time"),
    System("ssamba", "arXiv:2405.11831", 2024, "neural",
           "SSAMBA: Self-Supervised Audio Representation Learning with Mamba State Space Model",
           "a state-space encoder matches attention on audio with memory linear in length"),
    System("cil_survey", "arXiv:2302.03648", 2023, "weights",
           "Deep Class-Incremental Learning: A Survey (16 methods)",
           "at equal bytes of parameters and exemplars the order of the methods changes"),
    System("napa_vq", "arXiv:2308.09297", 2023, "weights",
           "NAPA-VQ: Neighborhood Aware Prototype Augmentation with Vector Quantization for Continual Learning",
           "one vector per class, mixed along a graph of neighbours, learns new classes without stored samples"),
    System("generative_kernel", "arXiv:2112.13410", 2021, "weights",
           "Generative Kernel Continual learning",
           "generated support samples do the work of stored ones in constant memory"),
    System("video_continual", "arXiv:2309.15274", 2023, "weights",
           "Memory-Efficient Continual Learning Object Segmentation for Long Video (GRCL and RMSCL)",
           "guarded weights and a chosen memory keep a mask over long videos"),
    System("abmll", "arXiv:2508.14285", 2025, "weights",
           "Amortized Bayesian Meta-Learning for Low-Rank Adaptation of Large Language Models",
           "one prior over adapters adapts in few steps and stays calibrated, in memory that does not grow with the "
           "tasks"),
    System("muon_memory", "arXiv:2509.26030", 2025, "weights",
           "Muon Outperforms Adam in Tail-End Associative Memory Learning",
           "orthogonalised momentum learns the rare facts that Adam leaves behind"),
    System("mamba_lyapunov", "arXiv:2406.00209", 2024, "weights",
           "Mamba State-Space Models Are Lyapunov-Stable Learners",
           "selective state-space models stay stable under mixed precision and low-rank fine-tuning"),
    System("slowfast_vgen", "arXiv:2410.23277", 2024, "weights",
           "SlowFast-VGen: Slow-Fast Learning for Action-Driven Long Video Generation",
           "weights trained while generating keep a long video consistent"),
    System("medic", "arXiv:2108.12828", 2021, "weights",
           "MEDIC: A Multi-Task Learning Dataset for Disaster Image Classification",
           "one network with four heads answers like four networks, in about a quarter of their bytes"),
    System("lst", "arXiv:2206.06522", 2022, "footprint",
           "LST: Ladder Side-Tuning for Parameter and Memory Efficient Transfer Learning",
           "a side network fed by a frozen backbone reaches LoRA's accuracy in a fraction of the saved bytes",
           state="built", part="Ladder", extra="torch"),
    System("unipt", "arXiv:2308.14316", 2023, "footprint",
           "UniPT: Universal Parallel Tuning for Transfer Learning with Efficient Parameter and Memory",
           "attending in parallel to all frozen layers needs less than a ladder at the same accuracy",
           state="built", part="UniPT", extra="torch"),
    System("s2a", "arXiv:2503.08154", 2025, "footprint",
           "S2A: A Unified Framework for Parameter and Memory Efficient Transfer Learning",
           "derivatives stored in four bits tune biases and prompts without a loss of accuracy",
           state="built", part="S2A", extra="torch"),
    System("vqt", "arXiv:2212.03220", 2022, "footprint",
           "Visual Query Tuning: Towards Effective Usage of Intermediate Representations for Parameter and Memory "
           "Efficient Transfer Learning",
           "learned queries summarise frozen layers better than pooling, with nothing saved in the backbone",
           state="built", part="VQT", extra="torch"),
    System("mobiletl", "arXiv:2212.03246", 2022, "footprint",
           "MobileTL: On-device Transfer Learning with Inverted Residual Blocks",
           "inverted residual blocks tune in about half the bytes at the same accuracy",
           state="built", part="MobileTL", extra="torch"),
    System("greenformers", "arXiv:2108.10808", 2021, "footprint",
           "Greenformers: Improving Computation and Memory Efficiency in Transformer Models via Low-Rank "
           "Approximation",
           "low-rank layers cut bytes and time, and a start from SVD beats a random one",
           state="built", part="Greenformer", extra="torch"),
    System("superpipeline", "arXiv:2410.08791", 2024, "footprint",
           "Superpipeline: A Universal Approach for Reducing GPU Memory Usage in Large Models",
           "layers moved in and out give the same output in less device memory"),
    System("zero_infinity", "arXiv:2104.07857", 2021, "footprint",
           "ZeRO-Infinity: Breaking the GPU Memory Wall for Extreme Scale Deep Learning",
           "states split over device, host and disk train models larger than the device"),
    System("mcunetv2", "arXiv:2110.15352", 2021, "footprint",
           "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
           "running the first stage patch by patch cuts the peak several times, with equal output"),
    System("fast_pathology", "arXiv:2011.06033", 2020, "footprint",
           "FastPathology: An open-source platform for deep learning-based research and decision support in digital "
           "pathology",
           "streamed patches process a gigapixel slide in bounded memory"),
    System("hbd_net", "arXiv:2312.02481", 2023, "footprint",
           "Learning to Holistically Detect Bridges from Large-Size VHR Remote Sensing Imagery (HBD-Net)",
           "an image pyramid finds whole bridges that cropping cuts and shrinking loses"),
    System("pamc", "arXiv:2209.14067", 2022, "footprint",
           "Efficient block contrastive learning via parameter-free meta-node approximation (PamC)",
           "cluster sums as negatives cluster a graph without the quadratic memory"),
    System("archgym", "arXiv:2306.08888", 2023, "silicon",
           "ArchGym: An Open-Source Gymnasium for Machine Learning Assisted Architecture Design",
           "under equal samples and fair tuning all search methods find equally good designs"),
    System("marl_dse", "arXiv:2211.16385", 2022, "silicon",
           "Multi-Agent Reinforcement Learning for Microprocessor Design Space Exploration",
           "one small agent per parameter finds better memory controllers than one agent for all"),
    System("malloc_muzero", "arXiv:2305.07440", 2023, "silicon",
           "Optimizing Memory Mapping Using Deep Reinforcement Learning (mallocMuZero)",
           "placing tensors as a game beats the compiler's heuristic on most programs"),
    System("resistive_lsm", "arXiv:2307.00771", 2023, "silicon",
           "Resistive memory-based zero-shot liquid state machine for multimodal event data learning",
           "fixed random weights of an analogue memory and small projections match a trained encoder"),
    System("loop", "arXiv:2502.01600", 2025, "learn",
           "Reinforcement Learning for Long-Horizon Interactive LLM Agents (LOOP)",
           "leave-one-out policy optimisation learns long episodes without a critic, in the memory of one model"),
    System("memory_r_plus", "arXiv:2504.02273", 2025, "learn",
           "Reasoning Under 1 Billion: Memory-Augmented Reinforcement Learning for Large Language Models (Memory-R+)",
           "rewards from remembered successes and failures keep a tiny model's training from collapsing"),
    System("halumem", "arXiv:2511.03506", 2025, "bench",
           "HaluMem: Evaluating Hallucinations in Memory Systems of Agents",
           "scores of each operation name the stage where an error entered; the answers alone do not",
           unit="tokens", state="built", part="Audit"),
    System("memory_agent_bench", "arXiv:2507.05257", 2025, "bench",
           "Evaluating Memory in LLM Agents via Incremental Multi-Turn Interactions (MemoryAgentBench)",
           "no memory design wins all four competencies: the one that leads overall is beaten in at least two",
           unit="tokens", state="built", part="MemoryBench", extra="bench"),
)
# fmt: on
