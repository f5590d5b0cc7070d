"""Writes the reference in docs/http.md from the OpenAPI document of the server.

python scripts/write_http_reference.py            writes it
python scripts/write_http_reference.py --check    exit code 1 when it does not say what the document says
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mnemic.serve import Settings
from mnemic.serve.http import create_app
from mnemic.serve.http.reference import markdown

PAGE = Path(__file__).parents[1] / "docs" / "http.md"
MARK = "<!-- From here on written by scripts/write_http_reference.py. -->\n"


def main() -> int:
    page = PAGE.read_text("utf-8")
    before, mark, _ = page.partition(MARK)
    if not mark:
        print(f"{PAGE}: the line {MARK.strip()} is missing.")
        return 1
    wanted = f"{before}{MARK}\n{reference()}"
    if "--check" in sys.argv[1:]:
        if page != wanted:
            print(f"{PAGE} is not what the server says: run python scripts/write_http_reference.py.")
        return int(page != wanted)
    PAGE.write_text(wanted, "utf-8")
    return 0


def reference() -> str:
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(f"{folder}/empty.db", lm="none"))
        try:
            return markdown(app.openapi())
        finally:
            app.state.serving.pool.close()


if __name__ == "__main__":
    sys.exit(main())
