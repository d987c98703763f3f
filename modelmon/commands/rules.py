"""The command ``modelmon rules FILE``."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelmon.commands.failing import failure
from modelmon.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from modelmon.rules import Objective, Rule

DONE, FAILED, USAGE = 0, 1, 2

_ABOUT: Final = """\
Writes a rule file for Prometheus: recording rules that work out quality from the exported counters over all replicas,
and an alert for each Rule and Objective in FILE.
FILE is a Python program, which is run, and whose rules, objectives and Alerts are taken wherever they stand at its top
level or in a list or tuple there; or YAML or JSON with lists under rules: and objectives:.
Without FILE there are recording rules only."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    import argparse  # noqa: PLC0415  (loaded already)

    raw = argparse.RawDescriptionHelpFormatter
    made = commands.add_parser(
        "rules", help="write rules as a rule file for Prometheus", description=_ABOUT, formatter_class=raw
    )
    made.set_defaults(run=run)
    made.add_argument("file", metavar="FILE", nargs="?", help="Python (.py), YAML (.yml, .yaml) or JSON (.json)")
    made.add_argument("-o", "--output", metavar="FILE", help="where to write (default: standard output)")
    made.add_argument(
        "--arrivals",
        metavar="SPAN",
        action="append",
        help="record quality of the labels that arrived within this time too, such as 1h or 1h,1d; can be repeated "
        "(default: 1h)",
    )
    made.add_argument("--no-quality", action="store_true", help="write alerts only")
    made.add_argument(
        "--keep",
        metavar="LABEL",
        action="append",
        default=[],
        help="a label of yours that tells deployments apart, such as namespace or namespace,team; can be repeated",
    )
    made.add_argument("--interval", metavar="SPAN", help="how often the server works the rules out (default: its own)")


def run(chosen: argparse.Namespace) -> int:
    """Write the rule file and return the exit status."""
    try:
        return _run(chosen)
    except (ConfigurationError, ValueError) as error:
        _say(str(error))
        return USAGE
    except OSError as error:
        _say(failure(error))
        return USAGE if isinstance(error, (FileNotFoundError, IsADirectoryError)) else FAILED
    except ImportError as error:
        _say(str(error) or type(error).__name__)
        return FAILED


def _run(chosen: argparse.Namespace) -> int:
    from modelmon.rules import gauges, prometheus, windows  # noqa: PLC0415  (numpy loads when there is something to do)

    rules = [] if chosen.file is None else load(chosen.file)
    arrivals = None if chosen.no_quality else (["1h"] if chosen.arrivals is None else _each(chosen.arrivals))
    settings: Any = {"arrivals": arrivals, "keep": _each(chosen.keep), "interval": chosen.interval}
    text = prometheus(**settings)  # what cannot work here is none of the file's
    if rules:
        with _told(chosen.file):
            text = prometheus(rules, **settings)
    if chosen.output is None:
        sys.stdout.write(text)
    else:
        with _told(chosen.output):
            Path(chosen.output).write_text(text, "utf-8")
    if needed := windows(rules):
        _say(f"rules about quality read windows that an exporter must show: PrometheusExporter(windows={needed!r})")
    if named := [rule.name for rule in rules if gauges.by_class(rule)]:
        _say(f"models of more than 32 classes export no quality by class, as these rules read it: {', '.join(named)}")
    return DONE


def _each(given: list[str]) -> list[str]:
    """Return what an option was given: once or several times, each one thing or several with commas between."""
    return [part.strip() for text in given for part in text.split(",")]


@contextmanager
def _told(file: str) -> Iterator[None]:
    """Say with the file's name what goes wrong, where that is not in it already."""
    try:
        yield
    except ConfigurationError as error:
        msg = f"{file}: {error}"
        raise ConfigurationError(msg) from None
    except OSError as error:
        if error.filename is None:  # the disk is full
            error.filename = file
        raise


def load(file: str) -> list[Rule | Objective]:
    """Return the rules of a file.

    Raises:
        ConfigurationError: when there are none in it, or one cannot work.
        ImportError: when YAML is to be read without its extra.
    """
    from modelmon.rules import declared  # noqa: PLC0415

    path = Path(file)
    if path.suffix not in {".py", ".json", ".yml", ".yaml"}:
        msg = f"{file}: rules stand in a file that ends in .py, .yml, .yaml or .json"
        raise ConfigurationError(msg)
    try:
        if path.suffix == ".py":
            found = _run_program(path)
        else:
            text = path.read_text("utf-8-sig")  # some editors put a mark before the text
            found = declared.declared(_json(text) if path.suffix == ".json" else _yaml(text))
    except ValueError as error:  # no such text, JSON or YAML, or a rule that cannot work
        msg = f"{file}: {error}"
        raise ConfigurationError(msg) from error
    if not found:
        msg = f"{file}: there is no Rule or Objective in it"
        raise ConfigurationError(msg)
    return found


def _run_program(path: Path) -> list[Rule | Objective]:
    """Run a program, and return what it declares, each rule once."""
    import runpy  # noqa: PLC0415  (only for this)

    from modelmon.alerting import Alerts  # noqa: PLC0415
    from modelmon.rules import Objective, Rule  # noqa: PLC0415

    sys.path.insert(0, str(path.parent))
    try:
        names = runpy.run_path(str(path))
    finally:
        sys.path.remove(str(path.parent))
    found: dict[Rule | Objective, None] = {}
    for value in names.values():
        held = value.rules if isinstance(value, Alerts) else value if isinstance(value, (list, tuple)) else (value,)
        found.update((rule, None) for rule in held if isinstance(rule, (Rule, Objective)))
    return list(found)


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_mapping)


def _yaml(text: str) -> Any:
    """Read YAML, in which true and false alone are booleans: a class may be called no, and off may be a name."""
    try:
        import yaml  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        msg = 'rules in YAML need PyYAML: pip install "modelmon[rules]"; rules in Python and JSON need nothing'
        raise ImportError(msg, name=error.name) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc, unused-ignore]  # anything, without stubs
        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            _mapping([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            return node

    bool_tag = "tag:yaml.org,2002:bool"
    others = {
        first: [pair for pair in pairs if pair[0] != bool_tag]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.yaml_implicit_resolvers = others  # its own, so that nobody else's YAML reads differently
    Loader.add_implicit_resolver(bool_tag, re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
    try:
        return Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ConfigurationError(str(error)) from None


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a dict; of a name that stands there twice, all but the last would be lost in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"{twice}: stands twice in one mapping"
        raise ConfigurationError(msg)
    return found


def _say(message: str) -> None:
    print(f"modelmon: {message}", file=sys.stderr)
