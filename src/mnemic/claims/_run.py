"""Running a claim over its seeds, and what is written down about a run."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mnemic import catalog
from mnemic.claims._claim import SCALES, Claim, Point, Scale, Verdict, pooled
from mnemic.claims._machine import machine, versions
from mnemic.errors import InputError
from mnemic.meter import Used


@dataclass(frozen=True)
class Result:
    """A claim that was run, and everything needed to compare the run with another.

    seeds     one run of the experiment each
    sabotage  True for the control: the idea was taken out, so the claim should not stand
    seconds   wall time of all seeds together
    machine   processor, cores, memory, system, python, accelerator
    versions  of mnemic and of the libraries that were in use
    """

    slug: str
    scale: Scale
    seeds: tuple[int, ...]
    sabotage: bool
    claim: Claim
    seconds: float
    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def name(self) -> str:
        """Stem of the files that hold it: "lst.laptop", "lst.laptop.control"."""
        return f"{self.slug}.{self.scale}" + (".control" if self.sabotage else "")

    def as_json(self) -> dict[str, Any]:
        """Plain data; `Result.of_json` reads it back. The points' `each` is left out: verdicts keep its interval."""
        claim = self.claim
        points = [asdict(replace(point, used=_plain(point.used), extra=dict(point.extra), each=()))
                  for point in claim.points]  # fmt: skip
        return {
            "slug": self.slug, "scale": self.scale, "seeds": list(self.seeds), "sabotage": self.sabotage,
            "stands": claim.stands, "date": self.date, "seconds": round(self.seconds, 1),
            "machine": dict(self.machine), "versions": dict(self.versions),
            "claim": {
                "says": claim.says, "quality": claim.quality, "lower": claim.lower, "setting": claim.setting,
                "baseline": claim.base().name, "method": claim.arm().name, "paper": dict(claim.paper),
                "points": [{key: value for key, value in point.items() if key != "each"} for point in points],
                "holds": [{**asdict(v), "interval": v.interval and list(v.interval)} for v in claim.verdicts()],
            },
        }  # fmt: skip

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Result:
        """What `as_json` wrote; its checks are verdicts now."""
        said = dict(data["claim"])
        said["points"] = [Point(**{**point, "used": Used(**point["used"])}) for point in said["points"]]
        said["holds"] = [Verdict(**{**v, "interval": v["interval"] and tuple(v["interval"])}) for v in said["holds"]]
        rest = {key: data[key] for key in ("slug", "scale", "sabotage", "seconds", "date", "machine", "versions")}
        return cls(**rest, seeds=tuple(data["seeds"]), claim=Claim(**said))

    def write(self, folder: Path) -> Path:
        """Write it as JSON into a folder; returns the file."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.name}.json"
        part = file.with_suffix(".part")  # a run that is killed while writing leaves the old result whole
        part.write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, file)
        return file

    @classmethod
    def read(cls, file: Path) -> Result:
        """Read what `write` wrote; raises InputError for anything else."""
        try:
            return cls.of_json(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}: not the result of a claim ({error!r}): run the claim again.") from None


def _plain(used: Used) -> Used:
    """Amount and parts alone: what a training step keeps module by module would fill the file."""
    return Used(used.amount, used.unit, used.parts)


def run(
    slug: str,
    scale: Scale = "laptop",
    seeds: Sequence[int] = (),
    *,
    sabotage: bool = False,
    watch: Callable[[str], None] = lambda what: None,
) -> Result:
    """Run a system's claim once per seed and pool the points.

    seeds   the claim's own SEEDS when empty (0 alone if it names none, and at scale smoke)
    watch   told what runs now, for a progress line
    """
    if scale not in SCALES:
        raise InputError(f'there is no scale "{scale}": use {", ".join(SCALES)}.')
    row = catalog.built(slug)
    module = catalog.imported(row.claim_module, row)
    seeds = tuple(seeds) or ((0,) if scale == "smoke" else tuple(getattr(module, "SEEDS", (0,))))
    start, claims = time.perf_counter(), []
    for n, seed in enumerate(seeds, 1):
        watch(f"{row.slug}, {scale}, seed {seed} ({n} of {len(seeds)})")
        claims.append(module.run(scale, seed, sabotage=sabotage))
    claim, seconds = pooled(claims), time.perf_counter() - start
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Result(row.slug, scale, seeds, sabotage, claim, seconds, today, machine(), versions())
