"""Many processes with one directory: kills, recycling, forks, readers; each program is a process of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from worker_program import run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.fault("F5")
def test_any_process_shows_all_of_them(tmp_path: Path) -> None:
    """Parent and workers each show the exact sum, calls that run now included, and the store's part once."""
    out = run(
        tmp_path / "m",
        """
        read, write = os.pipe()
        def act():
            call(100); publish()
            os.write(write, b"x")
            assert until(lambda: shown() == 407), shown()
            told(shown(), sum(part.kind == "store" for part in scraped().parts))
        pids = [begun(act) for _ in range(4)]
        got = b""
        while len(got) < 4: got += os.read(read, 4)
        call(7); publish()
        assert [ended(pid) for pid in pids] == [0] * 4
        told(shown(), own.snapshot()["digit"].calls)
        """,
    )
    assert out == ["407 1"] * 4 + ["407 407"]


@pytest.mark.fault("C17", "F14")
def test_a_killed_worker_loses_what_it_had_not_written_and_its_calls_in_flight(tmp_path: Path) -> None:
    """What it published stays; its calls that ran are gone at the next scrape, before anything is added up."""
    out = run(
        tmp_path / "m",
        """
        read, write = os.pipe()
        def act():
            call(50)
            @own(model="slow", version="1")
            def hang(): publish(); os.write(write, b"x"); time.sleep(60)
            hang()
        pid = begun(act)
        os.read(read, 1)
        told(shown(), scraped()["slow"].in_flight)
        os.kill(pid, signal.SIGKILL); ended(pid)
        told(shown(), scraped()["slow"].in_flight, files())
        fold()
        told(shown(), scraped()["slow"].in_flight, files())
        """,
    )
    assert out == ["50 1", "50 0 ['.live', '.live', '.part', '.part']", "50 0 ['.live', '.part']"]


@pytest.mark.slow
@pytest.mark.fault("F14")
def test_a_thousand_recycled_workers_leave_a_constant_number_of_files(tmp_path: Path) -> None:
    """Counts stay exact, files stay two for each process that lives, and a scrape then reads no more than those."""
    out = run(
        tmp_path / "m",
        """
        call(1); publish()
        most = 0
        for round in range(100):
            def act():
                call(3); own.close()
                if round % 5 == 0: os.kill(os.getpid(), signal.SIGKILL)
            assert {ended(pid) for pid in [begun(act) for _ in range(10)]} <= {0, -9}
            most = max(most, len(files()))
        fold()
        told(shown(), files())
        told(most <= 2 * 11 * 10 + 2, len(list(root.iterdir())) <= 7)
        reads = []
        import modelmon.directory.machine as machine
        from modelmon.directory.sheets import Scribe
        plain = Scribe.read
        Scribe.read = lambda self, data: (reads.append(1), plain(self, data))[1]
        begin = time.perf_counter(); found = scraped(); taken = time.perf_counter() - begin
        told(len(found.parts) <= 3, len(reads) <= 1, found["digit"].calls)
        """,
    )
    assert out == ["3001 ['.live', '.part']", "True True", "True True 3001"]


@pytest.mark.slow
def test_workers_that_end_add_up_those_before_them(tmp_path: Path) -> None:
    """Where no process lives long, each that ends removes the files of those before it."""
    out = run(
        tmp_path / "m",
        """
        counts = []
        for _ in range(12):
            assert ended(begun(lambda: (call(2), leave()))) == 0
            counts.append(len(files()))
        told(max(counts) <= 4, shown())
        """,
    )
    assert out == ["True 24"]


@pytest.mark.fault("X9", "F14")
def test_counters_never_step_back_while_workers_come_go_and_are_added_up(tmp_path: Path) -> None:
    """Three readers scrape all the while; each sees sums that only grow, and the last is exact."""
    out = run(
        tmp_path / "m",
        """
        call(1); publish()
        flag = root.parent / "over"
        def watch():
            last = 0
            while not flag.exists():
                now = shown()
                assert now >= last, (now, last)
                last = now
            told("grew", last > 1)
        readers = [begun(watch) for _ in range(3)]
        for round in range(20):
            def act():
                for _ in range(3): call(5); publish()
                leave()
                if round % 2: os.kill(os.getpid(), signal.SIGKILL)
            for pid in [begun(act) for _ in range(3)]: assert ended(pid) in (0, -9)
            fold()
        flag.touch()
        assert [ended(pid) for pid in readers] == [0] * 3
        told(shown())
        """,
    )
    assert out == ["grew True"] * 3 + [str(1 + 20 * 3 * 15)]


@pytest.mark.fault("F1", "F5")
def test_forks_while_the_directory_is_read_and_written(tmp_path: Path) -> None:
    """A child that is forked at any moment keeps nobody alive, hangs nowhere, and counts for itself alone."""
    out = run(
        tmp_path / "m",
        """
        call(1); publish(); shown()
        stop = threading.Event()
        def hammer(act):
            while not stop.is_set(): act()
        threads = [threading.Thread(target=hammer, args=(act,)) for act in (publish, shown, fold)]
        for thread in threads: thread.start()
        codes = {ended(begun(lambda: (call(2), own.home.publication.finish(10), os._exit(0)))) for _ in range(60)}
        stop.set()
        for thread in threads: thread.join()
        fold()
        told(codes, shown(), files())
        """,
    )
    assert out == ["{0} 121 ['.live', '.part']"]


def test_a_child_does_not_keep_its_parent_alive(tmp_path: Path) -> None:
    """The lock of a process that was killed is free although a child of its lives on."""
    out = run(
        tmp_path / "m",
        """
        read, write = os.pipe()
        def act():
            call(5); publish()
            told(begun(lambda: (os.write(write, b"x"), os.close(1), os.close(2), time.sleep(40))))
            time.sleep(60)
        pid = begun(act)
        os.read(read, 1)
        call(1); publish()
        os.kill(pid, signal.SIGKILL); ended(pid)
        fold()
        told(shown(), files())
        """,
    )
    assert out[1:] == ["6 ['.live', '.part']"]
    os.kill(int(out[0]), 9)


def test_what_a_program_counted_last_is_there_when_it_ended(tmp_path: Path) -> None:
    """A program that ends right after its calls has published them all; its thread had no turn yet."""
    run(tmp_path / "m", "call(12)")
    assert run(tmp_path / "m", "call(1); told(shown())") == ["13"]
