"""Whole documents of each kind, as bytes; the smallest that a person would recognise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

HTML = """<!doctype html><html><head><title>Move</title>
<meta property="article:published_time" content="2026-05-03"><style>p {}</style></head>
<body><nav>Home | About</nav><h1>Move</h1><p>Boxes   first.</p><ul><li>bed</li><li>books</li></ul>
<h2>Costs</h2><table><tr><td>van</td><td>90</td></tr></table><script>alert(1)</script>
<p>Never closed <b>bold <p>End &amp; done. <img alt="our house"></body></html>"""


def pdf(pages: Sequence[str]) -> bytes:
    """A PDF with a line of Helvetica on each page; an empty text is an empty page."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]  # fmt: skip
    for n, text in enumerate(pages):
        drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
                       "/Resources << /Font << /F1 3 0 R >> >> >>")  # fmt: skip
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    out, starts = b"%PDF-1.4\n", []
    for n, body in enumerate(objects, 1):
        starts.append(len(out))
        out += f"{n} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{start:010} 00000 n \n" for start in starts)
    size = len(objects) + 1
    return out + (f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
                  f"startxref\n{len(out)}\n%%EOF\n").encode()  # fmt: skip


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.core_properties.title = "Move"
    document.add_heading("Setup", 1)
    document.add_paragraph("Boxes first.")
    document.add_paragraph("bed", style="List Bullet")
    document.add_paragraph("books", style="List Bullet")
    document.add_heading("Costs", 2)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "van", "90"
    return _saved(document)


def pptx() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Move"
    first.placeholders[1].text = "Boxes first"
    first.notes_slide.notes_text_frame.text = "Ask Ana"
    deck.slides.add_slide(deck.slide_layouts[6])
    last = deck.slides.add_slide(deck.slide_layouts[5])
    last.shapes.title.text = "Costs"
    return _saved(deck)


def epub(chapters: Sequence[str]) -> bytes:
    names = [f"c{n}.xhtml" for n in range(1, len(chapters) + 1)]
    manifest = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names)
    spine = "".join(f'<itemref idref="{name}"/>' for name in names)
    book = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Moving</dc:title>'
        "<dc:creator>Ana</dc:creator><dc:date>2026-05-03</dc:date></metadata>"
        f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>"
    )
    box = ('<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
           '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>')  # fmt: skip
    parts = {"mimetype": "application/epub+zip", "META-INF/container.xml": box, "OEBPS/book.opf": book}
    parts |= {f"OEBPS/{name}": f"<html><body>{text}</body></html>" for name, text in zip(names, chapters, strict=True)}
    return archive(parts)


def archive(parts: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, text in parts.items():
            packed.writestr(name, text)
    return stream.getvalue()


def _saved(document: object) -> bytes:
    stream = io.BytesIO()
    document.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()
