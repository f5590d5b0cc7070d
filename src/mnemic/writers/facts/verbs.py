"""Verbs for rules without a parser: which tell of a fact, which of a mood, and how they end after a name."""

from __future__ import annotations

# Base forms that say something lasting of a person ("I play", "we live").
PRESENT = frozenset(
    """attend babysit bake bike build buy camp celebrate coach collect come commute cook create cycle dance design
    dislike draw dream drink drive earn eat enjoy exercise explore fish follow foster garden go grow hate have
    hike host keep knit lead learn like listen live love make manage meditate meet mentor need organize own paint
    perform plan play practice prefer raise read rent ride run sell serve sew share sing ski speak spend stay
    study support surf swim take teach train travel use visit volunteer walk want watch wear work write""".split()
)

# Past forms that do not end in -ed.
IRREGULAR = frozenset(
    """ate beat became began bought bred broke brought built came caught chose cut did drank drawn drew drove dug fed
    fell flew fought found froze gave got grew had held hid hit hung hurt kept knew laid learnt led left lent lit
    lost made met paid put quit ran read rode rose sang sank sat saw sent set shot shut slept sold spent spilt
    split spoke spread stole stood swam swung taught threw told took tore went woke won wore wrote""".split()
)

# What people say about talk and mood: true for a moment, worth nothing later.
MOODS = frozenset(
    """admire admired agree appreciate asked believe bet care consider decide did do doubt enjoyed expect feel felt
    figure figured forget forgot got guess guessed hear heard hope hoped hung imagine imagined kept knew know let
    liked loved made mean meant mind needed notice noticed promise promised realise realize realized remember
    remembered said saw say see seem seemed sound sounded suppose swear thank thanked think thought told tried
    understand understood wanted wish wished wonder wondered worried worry""".split()
)

FILLERS = frozenset(
    """absolutely actually all already also always basically both certainly clearly currently definitely even ever
    finally honestly just kind-of kinda literally mainly mostly normally now obviously often only probably quickly
    quite really recently simply sometimes soon sorta still sure surely too totally truly usually very""".split()
)

FEELINGS = frozenset(
    """able afraid amazed amazing angry anxious ashamed aware awesome back bad blessed blown bored bummed busy calm
    careful certain cool curious delighted determined disappointed done down eager excited exhausted experimenting
    feeling figuring fine fired frustrated glad going gonna good grateful great happy heading here honored hooked
    hoping hungry impressed in inspired keen like looking lucky mad moved nervous nice nostalgic off ok okay on
    optimistic overwhelmed pleased proud pumped ready really relieved remembering right sad safe scared serious
    sick so sorry stoked stressed stuck super sure surprised swamped thankful there thinking thrilled tired torn
    touched trying unsure up upset very well willing with wondering worried""".split()
)


def third_person(verb: str) -> str:
    """The form that follows a name: "has", "goes", "studies", "plays"."""
    irregular = {"have": "has", "do": "does", "go": "goes", "am": "is", "are": "is", "were": "was", "be": "is"}
    if verb in irregular:
        return irregular[verb]
    if verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        return f"{verb}es"
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}s"


def is_past(word: str) -> bool:
    return word in IRREGULAR or (len(word) > 3 and word.endswith("ed") and word not in ("need", "feed", "indeed"))
