"""Grafana's published schema, asked by its own compiler: every dashboard, panel, option and field against its type.

Needs npm and the network; installs ``@grafana/schema`` and ``typescript`` into a folder of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
VERSIONS = ("@grafana/schema@13.2.3", "typescript@5")
_PANELS = {"timeseries": "TimeSeries", "heatmap": "Heatmap", "stat": "Stat", "table": "Table", "text": "Text"}
_WITH_FIELDS = {"timeseries", "heatmap", "table"}

# The schema spells its enumerations as TypeScript's, which take no plain text: this takes what JSON can hold of a type.
_HEAD = """\
import type { Dashboard, Panel, RowPanel, VariableModel, AnnotationQuery } from \
'@grafana/schema/dist/types/raw/dashboard/x/types.gen';
type Plain<T> = T extends string ? `${T}` : T extends number ? (`${T}` extends `${infer N extends number}` ? N : never)
  : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""
_SETTINGS = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "skipLibCheck": True,
        "types": [],
        "paths": {"@grafana/schema/dist/types/*": ["./node_modules/@grafana/schema/dist/types/*"]},
    },
    "include": ["*.ts"],
}


def program(dashboards: list[Json]) -> str:
    """Return a program that compiles only if the dashboards are what the schema says."""
    lines = [_HEAD]
    for kind, name in _PANELS.items():
        where = f"@grafana/schema/dist/types/raw/composable/{kind}/panelcfg/x/types.gen"
        lines.append(f"import type * as {name} from '{where}';")
    for number, dashboard in enumerate(dashboards):
        lines += _checks(dashboard, f"d{number}")
    return "\n".join(lines) + "\n"


def _checks(dashboard: Json, name: str) -> list[str]:
    bare = dashboard | {"panels": [], "templating": {"list": []}, "annotations": {"list": []}}
    found = [_value(name, "Dashboard", bare)]
    # what belongs to the source of data, and so not to the schema of dashboards
    variables = [_without(entry, "definition") for entry in dashboard["templating"]["list"]]
    notes = [_without(entry, "expr", "titleFormat", "textFormat") for entry in dashboard["annotations"]["list"]]
    found += [_value(f"{name}_v{place}", "VariableModel", entry) for place, entry in enumerate(variables)]
    found += [_value(f"{name}_a{place}", "AnnotationQuery", entry) for place, entry in enumerate(notes)]
    for outer in dashboard["panels"]:
        inner = outer["panels"] if outer["type"] == "row" else [outer]
        if outer["type"] == "row":
            found.append(_value(f"{name}_r{outer['id']}", "RowPanel", outer | {"panels": []}))
        for panel in inner:
            found += _panel(panel, f"{name}_p{panel['id']}")
    return found


def _panel(panel: Json, name: str) -> list[str]:
    kind = _PANELS[panel["type"]]
    found = [_value(name, "Panel", panel), _value(f"{name}_o", f"{kind}.Options", panel["options"])]
    if panel["type"] in _WITH_FIELDS:
        custom = panel["fieldConfig"]["defaults"]["custom"]
        found.append(_value(f"{name}_f", f"{kind}.FieldConfig", custom))
    return found


def _value(name: str, kind: str, value: Json) -> str:
    return f"export const {name}: Plain<{kind}> = {json.dumps(value)};"


def _without(entry: Json, *names: str) -> Json:
    return {name: value for name, value in entry.items() if name not in names}


def prepare(folder: Path) -> None:
    """Install the schema and the compiler into a folder, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("tsconfig.json").write_text(json.dumps(_SETTINGS))
    if not folder.joinpath("node_modules", "typescript").exists():
        npm = shutil.which("npm") or "npm"
        folder.joinpath("package.json").write_text('{"private": true}')
        line = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *VERSIONS]
        subprocess.run(line, cwd=folder, check=True, capture_output=True)


def complaints(dashboards: list[Json], folder: Path) -> str:
    """Return what the compiler says, nothing if all is well."""
    prepare(folder)
    folder.joinpath("check.ts").write_text(program(dashboards), encoding="utf-8")
    line = ["node", str(folder / "node_modules" / "typescript" / "bin" / "tsc"), "-p", "."]
    return subprocess.run(line, cwd=folder, check=False, capture_output=True, text=True).stdout
