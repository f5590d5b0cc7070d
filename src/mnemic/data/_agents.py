"""Data sets of agents: their memories, tools and games. Data only, as in _sets.py."""

from __future__ import annotations

from mnemic.data._rows import Dataset, File

_ARIGRAPH = "https://raw.githubusercontent.com/AIRI-Institute/AriGraph/e884b76d7fa5185a3a8a55e5a67393b5a43f5ef2"

ROWS = [
    Dataset(
        name="banking77",
        about="questions to a bank in 77 intents",
        licence="CC BY 4.0",
        source="PolyAI-LDN/task-specific-datasets",
        parts={
            "train": (
                File(
                    path="banking77/train.csv",
                    sha256="b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b",
                ),
            ),
            "test": (
                File(
                    path="banking77/test.csv",
                    sha256="d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d",
                ),
            ),
            "categories": (
                File(
                    path="banking77/categories.json",
                    sha256="53261da888122daf2d120d925458631d9619e15d82e56052e7a42e535ce32b63",
                ),
            ),
        },
    ),
    Dataset(
        name="mquake",
        about="templates of relations, for counterfactual facts over several hops",
        licence="MIT",
        source="princeton-nlp/MQuAKE",
        parts={
            "cloze": (
                File(
                    path="mquake/cloze_templates.json",
                    sha256="2b06da99237d67e40844e727efb24795d8990d99a00868d95c4276ff7e1c7d84",
                ),
            ),
            "questions": (
                File(
                    path="mquake/question_templates.json",
                    sha256="d3a5421ce3cbd6d51e77e3b854d7fd13b98f161c0d54daa597456d804a170d96",
                ),
            ),
            "prompts": (
                File(
                    path="mquake/rel-prompts.json",
                    sha256="5186c6bd07a60d3f561b17200c1e86c5f21215bbc3883d9a9c99d57da7871910",
                ),
            ),
        },
    ),
    Dataset(
        name="halumem",
        about="the people behind HaluMem: preferences, and events with the state before and after them",
        licence="CC BY-NC-ND 4.0",
        source="MemTensor/HaluMem",
        parts={
            "preferences": (
                File(
                    path="halumem/stage1_3_preferences.jsonl",
                    sha256="59be88c67a39c17d1c7bd4a0d459fcecb15189c473b7fdd0d4458bb092bb4aba",
                ),
            ),
            "arc": (
                File(
                    path="halumem/stage3_1_narrative_arc.jsonl",
                    sha256="2ff294d44982c0aea554b8924ad464b2daff30d52bf50b1f4e078f7dbca1491d",
                ),
            ),
            "events": (
                File(
                    path="halumem/stage3_2_preference_events.jsonl",
                    sha256="d2d12c773436e0b0ca3cea350afa880e86514b279ad83d1d8ed1ee9055a3427f",
                ),
            ),
            "init": (
                File(
                    path="halumem/stage3_3_init_events.jsonl",
                    sha256="d1530de1feb8a9aad36a31179ef90fd4ca46bab66003a08743ede0c46e97ba9b",
                ),
            ),
        },
    ),
    Dataset(
        name="textworld",
        about="four TextWorld games: two treasure hunts, cooking, cleaning; facts of a game in the .json beside it",
        licence="MIT",
        source="AIRI-Institute/AriGraph",
        parts={
            "hunt": (
                File(
                    path="textworld/hunt.z8",
                    sha256="d3099ea0849998cc0cdb8f8286aae82aa3c81ade7f90500be412e0055bf0db92",
                ),
            ),
            "hunt_facts": (
                File(
                    path="textworld/hunt.json",
                    sha256="29a2d8bf7b225cec0bf2175ad1fc2f21bb89422d7caac00c09430d86c8463192",
                ),
            ),
            "hunt_hard": (
                File(
                    path="textworld/hunt_hard.z8",
                    sha256="d7308e5ab4315c04fac5a3256a7dd2da71c54e2f171e7839c7047d58805718e4",
                ),
            ),
            "hunt_hard_facts": (
                File(
                    path="textworld/hunt_hard.json",
                    sha256="2d487e0851e49f052674a07b82b1cba3cf049bf53cab3283e04bd93b0203f8c9",
                ),
            ),
            "cook": (
                File(
                    path="textworld/game.z8",
                    sha256="b520bdef1764e021045c847277addaf47be55df1496ea3906f3d619b9d72c94e",
                ),
            ),
            "cook_facts": (
                File(
                    path="textworld/game.json",
                    sha256="5296ad23dc5431db359b19cb8c9f4fb1022c67fb9756a469d83e6bbc96ef8206",
                ),
            ),
            "clean": (
                File(
                    path="textworld/clean_3x3_mess_2.z8",
                    sha256="9950cb29cdb8407ae60a19a827c0dc92fe1c012b1fa5b56929fc19834f1eee67",
                ),
            ),
            "clean_facts": (
                File(
                    path="textworld/clean_3x3_mess_2.json",
                    sha256="8672ef511df9635019a67ca0092f8c69ca6cc83b548f0d773d2ac3d9dd122692",
                ),
            ),
        },
    ),
    Dataset(
        name="tools",
        about="questions for one call of an API, what the APIs say of themselves, recorded predictions of models",
        licence="MIT",
        source="microsoft/simulated-trial-and-error",
        parts={
            "test": (
                File(
                    path="tools/tool_test.json",
                    sha256="f774d7a21d99e949c4fc48384ec1308888d73b29c102968cbc94c52a7b32857f",
                ),
            ),
            "descriptions": (
                File(
                    path="tools/API_descriptions.json",
                    sha256="310aabaf277b9b6fc7dfc4e34ea0ee8106f5fe2ae2d6afbf54725b91b48e4e03",
                ),
            ),
            "CL_round_0": (
                File(
                    path="tools/saved_results/CL_round_0.json",
                    sha256="b68df5c4646f1be4e427afe73ea9155c9800afad35a440f5a8e617ffeecb1316",
                ),
            ),
            "CL_round_1": (
                File(
                    path="tools/saved_results/CL_round_1.json",
                    sha256="808c0da68faf52ca076c109fe9035af038c74b8d8c8750d49f78a5fb74d17cab",
                ),
            ),
            "CL_round_1_no_replay": (
                File(
                    path="tools/saved_results/CL_round_1_no_replay.json",
                    sha256="a5103f5c551ecfb2c8cb79445247ffd3ea9197eafba581bd3860caf1406cdcc8",
                ),
            ),
            "CL_round_2": (
                File(
                    path="tools/saved_results/CL_round_2.json",
                    sha256="6bca823a64c9861b7437df484a0cc030fb9fe5275b6902679821664880fbafd7",
                ),
            ),
            "CL_round_2_no_replay": (
                File(
                    path="tools/saved_results/CL_round_2_no_replay.json",
                    sha256="baf8ca298a6403f138428db122af97652e34d83ac9d0f5ebfd9a294b993d1afc",
                ),
            ),
            "CL_round_3": (
                File(
                    path="tools/saved_results/CL_round_3.json",
                    sha256="87e78bd310e7c3cff2f220f864ace6efe26b1208255ad43b7a0dffda459f4ea5",
                ),
            ),
            "CL_round_3_no_replay": (
                File(
                    path="tools/saved_results/CL_round_3_no_replay.json",
                    sha256="b21c3ca0320e1f64655da1cf66d94356e2fec7b0541390abb9a879008227b291",
                ),
            ),
            "llama-13Bf": (
                File(
                    path="tools/saved_results/llama-13Bf.json",
                    sha256="2adaa16ef6150d2465f3760bfee9e5dc0eadfbd99502c28e2472422f3d406dea",
                ),
            ),
            "llama-13Bf_FT": (
                File(
                    path="tools/saved_results/llama-13Bf_FT.json",
                    sha256="7cd700a3f4adead1b5da43ea4a7373d7926ddb7b3c9af9462d721e5d303a481b",
                ),
            ),
            "llama-13Bf_ICL": (
                File(
                    path="tools/saved_results/llama-13Bf_ICL.json",
                    sha256="0324cae94489822494c85f061e8fb242253f667628ab244ba531179180dd7198",
                ),
            ),
            "llama-7Bf": (
                File(
                    path="tools/saved_results/llama-7Bf.json",
                    sha256="d4bc072c599e565834c02b9b16642bf4561496ed9521f5a6c1d1f035b5e1b4f1",
                ),
            ),
            "llama-7Bf_FT": (
                File(
                    path="tools/saved_results/llama-7Bf_FT.json",
                    sha256="09fdbebc6ca1911211dd6e060d9bf12ba2fa549e0d77f29922328dd93f58a794",
                ),
            ),
            "llama-7Bf_FT_flan": (
                File(
                    path="tools/saved_results/llama-7Bf_FT_flan.json",
                    sha256="64168ad2d15f7b61b33a908ad96ef1f43c53bb90e4afa063cba7bbdc19307004",
                ),
            ),
            "llama-7Bf_FT_no_LTM": (
                File(
                    path="tools/saved_results/llama-7Bf_FT_no_LTM.json",
                    sha256="22abaecf1d5dcf76f27b5c1eb63a5829ac3e03fe347035c735a09234b4f30e68",
                ),
            ),
            "llama-7Bf_FT_no_STM": (
                File(
                    path="tools/saved_results/llama-7Bf_FT_no_STM.json",
                    sha256="01f3dc9436b79a1110fb1d090da6068d325c2d45794f01dd464581f45725579d",
                ),
            ),
            "llama-7Bf_FT_no_exec": (
                File(
                    path="tools/saved_results/llama-7Bf_FT_no_exec.json",
                    sha256="4cfcdc7416390e3afddc7a230d71932f65fd3b31cc5220598f28bcf77269b714",
                ),
            ),
            "llama-7Bf_FT_no_reflection": (
                File(
                    path="tools/saved_results/llama-7Bf_FT_no_reflection.json",
                    sha256="ef37665b76b17dd7388303087fd2b802fd93e6c537174df7178510af03880534",
                ),
            ),
            "llama-7Bf_ICL": (
                File(
                    path="tools/saved_results/llama-7Bf_ICL.json",
                    sha256="b08dbc5234995c8a29e091e84759b7efbccbd5e055834a02a49e6eee20033868",
                ),
            ),
            "mistral": (
                File(
                    path="tools/saved_results/mistral.json",
                    sha256="026f8ec83174b01ffcc59f7fe1bef8656fa327b60416be3b4c545c71590e97eb",
                ),
            ),
            "mistral_FT": (
                File(
                    path="tools/saved_results/mistral_FT.json",
                    sha256="7856838a2491ff669ceefabd73ed22e0b7aa0d51f00a94b9a98780f59c64c411",
                ),
            ),
            "mistral_ICL": (
                File(
                    path="tools/saved_results/mistral_ICL.json",
                    sha256="6d2687514ac2088670a4cbc4e362b6e3e00b10f086f539460385c06f0ca950e2",
                ),
            ),
            "toolLLMv2": (
                File(
                    path="tools/saved_results/toolLLMv2.json",
                    sha256="2cefce849f9fc087343bc64bf16f0c8a00b2b8679a41ccc45f6a8fb2d6de0e69",
                ),
            ),
        },
    ),
    Dataset(
        name="cheatsheet",
        about="recorded runs of Dynamic Cheatsheet and its baselines: transcripts, memories, answers",
        licence="MIT",
        source="suzgunmirac/dynamic-cheatsheet",
        parts={
            "AIME_2024/claude-3-5-sonnet_Baseline": (
                File(
                    path="cheatsheet/results/AIME_2024/claude-3-5-sonnet_Baseline.jsonl",
                    sha256="75fb4f63e8bb4b1e79f9fc33fee27eb75fdfebff121889a583c85239969e629b",
                ),
            ),
            "AIME_2024/claude-3-5-sonnet_DynamicCheatsheet_Cumulative": (
                File(
                    path="cheatsheet/results/AIME_2024/claude-3-5-sonnet_DynamicCheatsheet_Cumulative.jsonl",
                    sha256="53734028cd3a9b17adc07ae712b9200fffa9d24c58212478d6808d788390edaa",
                ),
            ),
            "AIME_2024/claude-3-5-sonnet_DynamicCheatsheet_RetrievalSynthesis": (
                File(
                    path="cheatsheet/results/AIME_2024/claude-3-5-sonnet_DynamicCheatsheet_RetrievalSynthesis.jsonl",
                    sha256="3039a423f8ddac38daa0361f8276daa388c2811eae70917f34453e17ccd44b23",
                ),
            ),
            "AIME_2024/claude-3-5-sonnet_Dynamic_Retrieval": (
                File(
                    path="cheatsheet/results/AIME_2024/claude-3-5-sonnet_Dynamic_Retrieval.jsonl",
                    sha256="a1f74253ad54255fa957c7fdbc47fbcb268ce930ecfe76e4d5fefe680f5ad4ed",
                ),
            ),
            "AIME_2024/claude-3-5-sonnet_EmptyCheatsheet": (
                File(
                    path="cheatsheet/results/AIME_2024/claude-3-5-sonnet_EmptyCheatsheet.jsonl",
                    sha256="6d76133deb6ab14a68b000ce0feeceb4f7b37602865da364a23a52bd91475e1f",
                ),
            ),
            "AIME_2024/gpt-4o_Baseline": (
                File(
                    path="cheatsheet/results/AIME_2024/gpt-4o_Baseline.jsonl",
                    sha256="934045c8239a6fd20cdfd1902969cb8ed6d0ed5d46d467bd89245f18305fabaf",
                ),
            ),
            "AIME_2024/gpt-4o_DynamicCheatsheet_Cumulative": (
                File(
                    path="cheatsheet/results/AIME_2024/gpt-4o_DynamicCheatsheet_Cumulative.jsonl",
                    sha256="5434d5793269b0227d00688379597ec7a17ab6dd7e73656ce039c48f90278672",
                ),
            ),
            "AIME_2024/gpt-4o_DynamicCheatsheet_RetrievalSynthesis": (
                File(
                    path="cheatsheet/results/AIME_2024/gpt-4o_DynamicCheatsheet_RetrievalSynthesis.jsonl",
                    sha256="164fa24ecf6200deb5ad4ddff95745101cbf687519349a7f08812e1ec64bc8cc",
                ),
            ),
            "AIME_2024/gpt-4o_Dynamic_Retrieval": (
                File(
                    path="cheatsheet/results/AIME_2024/gpt-4o_Dynamic_Retrieval.jsonl",
                    sha256="2755f830573fb52ba28a263da87c746c8afdf989882482e89544702b131d5f55",
                ),
            ),
            "AIME_2024/gpt-4o_EmptyCheatsheet": (
                File(
                    path="cheatsheet/results/AIME_2024/gpt-4o_EmptyCheatsheet.jsonl",
                    sha256="8e8e1af97293f6186d68e168217105c4dacef53b5bed5a62a677daa3bfb62553",
                ),
            ),
            "MathEquationBalancer/claude-3-5-sonnet_DynamicCheatsheet_RetrievalSynthesis": (
                File(
                    path="cheatsheet/results/MathEquationBalancer/claude-3-5-sonnet_DynamicCheatsheet_RetrievalSynthesis.jsonl",
                    sha256="ac604908062bf05468a09cd242cf71091bbcfc68b49199cbd8318826af16d8db",
                ),
            ),
        },
    ),
    Dataset(
        name="arigraph_logs",
        about="runs of AriGraph's agent with GPT-4 in two TextWorld games: observations, triplets, graphs",
        licence="MIT",
        source="AIRI-Institute/AriGraph",
        parts={
            part: (
                File(
                    path=f"arigraph_logs/{part}_arigraph.txt",
                    sha256=digest,
                    url=f"{_ARIGRAPH}/logs/{part}_arigraph.txt",
                ),
            )
            for part, digest in (
                ("hunt", "879f642a44227de2db82c069b7bc3b41211d7822d6c6c2ef8ea3c4cf33aaec82"),
                ("cook", "1947c754ddc1b22d124e3aee80f2d5e50be3904a2db7cecc10478f2eefefec5d"),
            )
        },
    ),
]
