"""The catalogue of faults: what may happen to a program that is watched, row by row, and which tests try each row.

A test names the rows it tries: ``@pytest.mark.fault("F2", "E3")``.
A row without a test says which room of the library it waits for; a row with both is tried as far as the library goes.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
PARTS = {
    "F": ("fork and processes", 15),
    "E": ("exit, signals and threads", 24),
    "X": ("exporters and endpoints", 16),
    "C": ("watched calls", 18),
    "L": ("predictions and labels", 20),
    "S": ("stores", 10),
    "G": ("graphics processors", 7),
    "Z": ("security", 20),
}


class Row(NamedTuple):
    """One fault.

    Attributes:
        id: letter of its part and number.
        fault: what happens.
        waits: the room, not built yet, without which the row, or the rest of it, cannot be tried.
    """

    id: str
    fault: str
    waits: str = ""


CATALOGUE = (
    Row("F1", "a fork while another thread holds a lock of ours"),
    Row("F2", "hundreds of forks while threads make watched calls"),
    Row("F3", "a fork while an exporter is inside the logging module"),
    Row("F4", "a fork while an exporter or a store hangs"),
    Row("F5", "what was counted before a fork, in the child"),
    Row("F6", "predictions and labels on their way to the store at a fork"),
    Row("F7", "prefork servers: preloaded, recycled, threaded, asynchronous"),
    Row("F8", "grandchildren, forks in threads, spawn, forkserver, other programs"),
    Row("F9", "os._exit, workers of multiprocessing, prefork task queues"),
    Row("F10", "a fork after a monitor was collected"),
    Row("F11", "a hook at a fork that raises"),
    Row("F12", "Python's warning that a process with threads forks"),
    Row("F13", "a database connection that a child inherits"),
    Row("F14", "a thousand workers that were killed and replaced"),
    Row("F15", "a process id that is used again"),
    Row("E1", "normal exit while a collector accepts and never answers"),
    Row("E2", "exit while a collector refuses, has no name, or a bad certificate"),
    Row("E3", "exit while five exporters hang"),
    Row("E4", "SIGTERM without a handler"),
    Row("E5", "SIGKILL amid writing to the store"),
    Row("E6", "SIGKILL while labels are being delivered"),
    Row("E7", "SIGINT at any instant of a call, a flush or the end"),
    Row("E8", "a signal handler that calls what it interrupted"),
    Row("E9", "finalisers and garbage collections that make watched calls"),
    Row("E10", "calls after the end of the program has begun"),
    Row("E11", "a thread that cannot start because the interpreter ends"),
    Row("E12", "a daemon thread that is stopped while it holds a lock of ours"),
    Row("E13", "a thread that cannot start at all"),
    Row("E14", "a thread of ours that dies"),
    Row("E15", "a clock that is set back or ahead"),
    Row("E16", "a machine that was suspended"),
    Row("E17", "greenlets, patched in before or after the import"),
    Row("E18", "other event loops, several loops, closed loops"),
    Row("E19", "Python without its global lock"),
    Row("E20", "subinterpreters"),
    Row("E21", "optimised Python, warnings as errors, development mode"),
    Row("E22", "a module that is imported twice or reloaded, two decorators of one name"),
    Row("E23", "no file descriptor left"),
    Row("E24", "no memory left inside of our code"),
    Row("X1", "an exporter that raises anything whatever"),
    Row("X2", "an exporter slower than its period"),
    Row("X3", "a collector that is away for an hour"),
    Row("X4", "answers of a collector: busy, refused, broken off, slow, elsewhere"),
    Row("X5", "a report that arrives twice"),
    Row("X6", "an exporter whose own log or requests make it export again"),
    Row("X7", "a log on a full disk, a closed stream, a broken pipe, a handler that raises"),
    Row("X8", "line breaks and escape sequences in names that are logged"),
    Row("X9", "many scrapes at once beside recording"),
    Row("X10", "an exporter that cannot be made"),
    Row("X11", "OpenTelemetry providers that are missing, replaced or shut down"),
    Row("X12", "outputs that poison sums: nan, infinite, arrays, numbers that raise"),
    Row("X13", "names that cannot be encoded, or are very long"),
    Row("X14", "ever new names, versions, slices and classes"),
    Row("X15", "a directory of TensorBoard that is removed or cannot be written"),
    Row("X16", "a port that is taken"),
    Row("C1", "a watched function that raises"),
    Row("C2", "cancellations, closed generators, the end of an iteration, exits"),
    Row("C3", "streams left early, never begun, collected, sent to, thrown into"),
    Row("C4", "recursion and watched functions within each other"),
    Row("C5", "everything that can be decorated, in every order of decorators"),
    Row("C6", "whoever inspects a watched function"),
    Row("C7", "pickles and other processes"),
    Row("C8", "copies of what is watched"),
    Row("C9", "compilers that trace a watched function"),
    Row("C10", "ten thousand tasks, half of them cancelled"),
    Row("C11", "executors of threads and processes, contexts of callers"),
    Row("C12", "functions of the user's for ids, sizes and attributes that raise"),
    Row("C13", "arguments and results whose methods raise, wait, or ask a device"),
    Row("C14", "references to arguments, results and exceptions"),
    Row("C15", "a very short function in eight threads"),
    Row("C16", "results that the caller changes afterwards"),
    Row("C17", "calls that run when their process is killed"),
    Row("C18", "a library that is switched off"),
    Row("L1", "a label before its prediction"),
    Row("L2", "the same label again"),
    Row("L3", "another label for the same prediction"),
    Row("L4", "a label that never comes"),
    Row("L5", "two predictions under one id"),
    Row("L6", "ids of every kind, usable or not"),
    Row("L7", "ids chosen to share a hash"),
    Row("L8", "batches of none, one and a million"),
    Row("L9", "ids, predictions and labels that differ in number"),
    Row("L10", "scores that are no probabilities"),
    Row("L11", "labels that are missing, in every way there is to say so"),
    Row("L12", "unknown classes, very many classes, classes of mixed types"),
    Row("L13", "arrays, tables and tensors of every library"),
    Row("L14", "one class only, no positives, no labels"),
    Row("L15", "labels from elsewhere, weeks late, across versions"),
    Row("L16", "two processes that join the same prediction at once"),
    Row("L17", "more waiting predictions than fit"),
    Row("L18", "counts beyond 31, 53 and 64 bits"),
    Row("L19", "parts that are merged in any order, and twice"),
    Row("L20", "ranking figures beside scikit-learn's"),
    Row("S1", "a full disk"),
    Row("S2", "files that may not grow, directories that cannot be written or are missing"),
    Row("S3", "a file that is damaged, cut, deleted or replaced"),
    Row("S4", "a file that somebody else holds locked"),
    Row("S5", "a write-ahead log that a reader keeps from shrinking"),
    Row("S6", "file systems without shared memory"),
    Row("S7", "files of newer and older versions"),
    Row("S8", "a loss of power"),
    Row("S9", "a server that is away, slow, full, read-only, or forgets"),
    Row("S10", "deliveries that are repeated, by consumers that are killed"),
    Row("G1", "no driver, no library for it, or another of its name"),
    Row("G2", "every error that the driver knows, from every call"),
    Row("G3", "a driver that fails until the process is restarted"),
    Row("G4", "divided devices, hidden devices, hidden processes"),
    Row("G5", "a call of the driver that blocks"),
    Row("G6", "a driver that is opened at import or before a fork"),
    Row("G7", "events on other devices and streams, captured graphs, sticky errors"),
    Row("Z1", "listening where others can reach it"),
    Row("Z2", "clients that hold connections open"),
    Row("Z3", "smuggled, oversized and nonsensical requests"),
    Row("Z4", "labels without a token or with a wrong one"),
    Row("Z5", "small bodies that unpack to very large ones"),
    Row("Z6", "JSON made to exhaust its reader"),
    Row("Z7", "data that run code when they are read"),
    Row("Z8", "names that are paths"),
    Row("Z9", "names and ids that are statements"),
    Row("Z10", "inputs, outputs and messages of exceptions that leave the process"),
    Row("Z11", "files that others can read, planted links, open directories"),
    Row("Z12", "secrets in addresses and settings"),
    Row("Z13", "weak encryption, bad certificates"),
    Row("Z14", "labels by somebody else's name"),
    Row("Z15", "a flood of classes from outside"),
    Row("Z16", "text of users in metrics and pages", "HTML reports"),
    Row("Z17", "files of the working directory that pose as libraries"),
    Row("Z18", "addresses of alerts that lead elsewhere"),
    Row("Z19", "predictions in memory dumps"),
    Row("Z20", "patterns that take for ever"),
)


def tried() -> dict[str, list[str]]:
    """Return for each row that tests name, in this folder or beside it, the tests: their files and names."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text("utf-8")
        for function in ast.parse(text).body if "mark.fault" in text else ():
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for row in rows_named(function):
                    found.setdefault(row, []).append(f"{path.relative_to(TESTS.parent).as_posix()}::{function.name}")
    return found


def rows_named(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the rows that the marks of a test name."""
    calls = [
        node
        for mark in function.decorator_list
        for node in ast.walk(mark)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"
    ]
    return list(dict.fromkeys(ast.literal_eval(argument) for call in calls for argument in call.args))
