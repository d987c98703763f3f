"""Ask a real GPU what the simulations could not tell: ``python3 dev.py gpu-check [--quick] [--only SECTION,...]``.

Needs torch with CUDA and nvidia-ml-py, no network, and less than 8 minutes; changes no setting of any device.
Prints a line for each section as it ends, and last a page to paste into ``docs/gpu.md``.
Without a GPU it says so and ends with status 0, having asked nothing.
"""

# ruff: noqa: T201  (it talks to whoever started it)

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import driver_sections
import event_sections
import model_sections
from ground import Ground, Missing

if TYPE_CHECKING:
    from collections.abc import Callable

# the last may poison the context of CUDA
SECTIONS: tuple[Callable[[Ground], Any], ...] = (
    *driver_sections.SECTIONS,
    *model_sections.SECTIONS,
    *event_sections.SECTIONS,
)
BUDGET_S = 400.0


def main(arguments: list[str]) -> int:
    """Run the sections that were asked for; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", default="", help="a directory for gpu-check.json")
    parser.add_argument("--only", default="", help="names of sections, comma between")
    parser.add_argument("--quick", action="store_true", help="a third of the time, for a first look")
    given = parser.parse_args(arguments)
    try:
        ground = Ground(seconds=1.0 if given.quick else 3.0)
    except Missing as missing:
        print(f"gpu-check: {missing}; nothing was asked and nothing is claimed")
        return 0
    chosen = [one for one in SECTIONS if not given.only or one.__name__ in given.only.split(",")]
    found = run(ground, chosen)
    if given.out:
        text = json.dumps(found, indent=1, default=str)
        Path(given.out, "gpu-check.json").write_text(text, encoding="utf-8")
    print(page(found), flush=True)
    failed = any("failed" in one for one in found.values() if isinstance(one, dict))
    return int(failed or (not given.only and not tried()))


def run(ground: Ground, sections: list[Callable[[Ground], Any]]) -> dict[str, Any]:
    """Return what each section found; one that fails is said to have failed, and the others go on."""
    found: dict[str, Any] = {}
    begun = time.monotonic()
    for section in sections:
        if time.monotonic() - begun > BUDGET_S:
            found[section.__name__] = {"skipped": "no time was left"}
            continue
        started = time.monotonic()
        try:
            found[section.__name__] = section(ground)
        except Missing as missing:
            found[section.__name__] = {"skipped": str(missing)}
        except Exception:
            found[section.__name__] = {"failed": traceback.format_exc()[-800:]}
        said = json.dumps(found[section.__name__], default=str)[:1500]
        print(f"-- {section.__name__} {time.monotonic() - started:.1f} s {said}", flush=True)
    return found


def tried() -> bool:
    """Run the tests that need a GPU, where pytest is installed; return whether none failed."""
    if find_spec("pytest") is None:
        print("the tests were not run: pytest is not installed here")
        return True
    here = Path(__file__).resolve().parent
    line = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(here)]
    return subprocess.run(line, check=False, cwd=here.parents[1]).returncode == 0


def page(found: dict[str, Any]) -> str:
    """Return what was found as the section of a page."""
    lines = ["", f"Taken on {time.strftime('%Y-%m-%d')} by `python3 dev.py gpu-check`.", ""]
    lines += ["| section | what | found |", "|---|---|---|"]
    for section, values in found.items():
        for name, value in values.items() if isinstance(values, dict) else [("", values)]:
            text = json.dumps(value, default=str).replace("|", "/")
            lines.append(f"| {section} | {name} | {text[:300]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
