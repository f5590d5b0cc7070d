"""Draws docs/hierarchy.svg, the six levels with their systems, from the catalog.

python scripts/draw_hierarchy.py            writes it
python scripts/draw_hierarchy.py --check    exit code 1 when it does not show what the catalog says

The colours follow the reader's light or dark page; a built system stands in bold with a tick.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from textwrap import wrap

from mnemic.catalog import COUNTED, Level, System, systems

PICTURE = Path(__file__).parents[1] / "docs" / "hierarchy.svg"

LEVELS: dict[Level, str] = {
    "context": "what fits in the prompt of an agent",
    "store": "what is kept outside the model: records, graphs",
    "neural": "what is kept in activations and states",
    "weights": "what training keeps in parameters and exemplars",
    "footprint": "what training and inference cost",
    "silicon": "the memory hardware under it all",
}
ROOMS: tuple[Level, ...] = ("learn", "bench")  # how memory policies are learnt, how memory is judged

WIDTH, LEFT, INDENT, LINE, GAP = 860, 20, 350, 18, 10  # pixels
WORDS = 68  # characters of a line of systems

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .level { font-weight: 600; font-size: 15px }
  .soft { fill: #59636e; font-size: 12px }
  .built { font-weight: 700; fill: #0a6640 }
  rect { fill: #f3f5f8; stroke: #c9d1d9 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .soft { fill: #9aa4b0 }
    .built { fill: #56d39b }
    rect { fill: #1b222b; stroke: #3d4650 }
  }
"""


def picture() -> str:
    """The whole SVG."""
    top, boxes = 44, []
    for level, keeps in LEVELS.items():
        box, height = _box(top, level, keeps, systems(level))
        boxes.append(box)
        top += height + GAP
    rooms = sum((systems(room) for room in ROOMS), ())
    told = f"beside the levels, in {' and '.join(ROOMS)}: {', '.join(row.slug for row in rooms)}"
    title = f"{len(systems())} systems, compared only at the same budget, counted as each level says; ✓ is built"
    height = top + 24
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="28" class="soft">{escape(title)}</text>',
        *boxes,
        f'<text x="{LEFT}" y="{top + 12}" class="soft">{escape(told)}</text>',
        "</svg>\n",
    ])  # fmt: skip


def _box(top: int, level: Level, keeps: str, rows: tuple[System, ...]) -> tuple[str, int]:
    """One level as SVG, and its height in pixels."""
    marked = [f"✓{row.slug}" if row.state == "built" else row.slug for row in rows]
    lines = wrap(", ".join(marked), WORDS)
    height = max(3, len(lines)) * LINE + 22
    parts = [
        f'<rect x="{LEFT // 2}" y="{top}" width="{WIDTH - LEFT}" height="{height}" rx="8"/>',
        _text(LEFT, top + 24, f'<tspan class="level">mnemic.{level}</tspan>'),
        _text(LEFT, top + 43, escape(keeps), "soft"),
        _text(LEFT, top + 60, f"counted: {escape(COUNTED[level])}", "soft"),
        *(_text(INDENT, top + 24 + LINE * n, _systems(line)) for n, line in enumerate(lines)),
    ]
    return "\n".join(parts), height


def _systems(line: str) -> str:
    return " ".join(f'<tspan class="built">{word}</tspan>' if word[0] == "✓" else word for word in escape(line).split())


def _text(x: int, y: int, inner: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{inner}</text>'


def main() -> int:
    if "--check" not in sys.argv[1:]:
        PICTURE.write_text(picture(), encoding="utf-8")
        return 0
    if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == picture():
        return 0
    print(f"{PICTURE.name} does not show what the catalog says: run python scripts/draw_hierarchy.py.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
