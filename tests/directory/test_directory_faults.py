"""What can befall a directory while processes use it, and directories that are not safe to use."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from worker_program import STILL, run

import modelmon
from modelmon import ConfigurationError, LabelClient, Monitor
from modelmon.serving.metrics import StoreMetrics

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system lacks the locks")


@pytest.mark.fault("S2")
def test_a_directory_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """Calls go on, and within seconds everything is there again, what ended processes counted included."""
    out = run(
        tmp_path / "m",
        """
        assert ended(begun(lambda: (call(40), own.home.publication.finish(10)))) == 0
        call(2); publish(); fold()
        told(shown())
        shutil.rmtree(root)
        call(3)
        told(shown())
        publish()
        told(shown(), files(), (root / "ended.part").exists(), failures())
        """,
        said="was deleted",
        first=STILL,
    )
    assert out == ["42", "45", "45 ['.live', '.part'] True {}"]


@pytest.mark.fault("S1")
def test_a_full_disk_costs_no_call_and_is_counted(tmp_path: Path) -> None:
    """The process is shown as it was last written, with the failures of today, until there is room again."""
    out = run(
        tmp_path / "m",
        """
        call(5); publish()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
        call(6)
        assert not own.home.publication.finish(10)
        told(shown(), set(failures()), files())
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        publish()
        told(shown())
        """,
        said="cannot be used now",
    )
    assert out == ["5 {('directory', 'full')} ['.live', '.part']", "11"]


@pytest.mark.fault("Z11")
def test_a_directory_in_whose_place_a_link_was_put_is_left_alone(tmp_path: Path) -> None:
    """Nothing is written through the link, and that is counted."""
    out = run(
        tmp_path / "m",
        """
        call(5); publish()
        root.rename(root.with_name("away")); elsewhere = root.with_name("elsewhere"); elsewhere.mkdir()
        root.symlink_to(elsewhere)
        call(6)
        told(own.home.publication.finish(10), list(elsewhere.iterdir()))
        root.unlink(); root.with_name("away").rename(root)
        publish()
        told(shown(), failures().get(("directory", "unsafe"), 0) > 0)
        """,
        said="is a link",
    )
    assert out == ["False []", "11 True"]


@pytest.mark.fault("S3", "S7")
@pytest.mark.parametrize(
    ("spoil", "reason", "kept"),
    [
        ("path.write_bytes(data.replace(b' 1', b' 9', 1))", "newer_schema", True),
        ("path.write_bytes(data[:-7])", "damaged", False),
        ("path.write_bytes(b'')", "damaged", False),
    ],
    ids=["newer", "cut", "empty"],
)
def test_a_file_that_cannot_be_read_is_passed_over_and_counted_once(
    tmp_path: Path, spoil: str, reason: str, *, kept: bool
) -> None:
    """What a newer version wrote stays for that version; what is damaged goes with its process; others are shown."""
    out = run(
        tmp_path / "m",
        f"""
        call(5); publish()
        path = next((root / "workers").glob("*.part"))
        def act(): call(7); own.close()
        assert ended(begun(act)) == 0
        path, = set((root / "workers").glob("*.part")) - {{path}}
        data = path.read_bytes()
        {spoil}
        for _ in range(3): shown()
        told(shown())
        fold(); fold()
        told(shown(), files().count(".part"), failures())
        """,
        said="passed over",
        first=STILL,
    )
    assert out == ["5", f"5 {1 + kept} {{('directory', '{reason}'): 1}}"]


@pytest.mark.fault("S7")
def test_a_sum_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """This version shows what it last knew of it, and adds nothing up."""
    out = run(
        tmp_path / "m",
        """
        for n in (7, 8):
            assert ended(begun(lambda: (call(n), own.home.publication.finish(10)))) == 0
            call(1); publish(); fold()
            told(shown())
        path = root / "ended.part"
        data = path.read_bytes().replace(b" 1", b" 9", 1)
        path.write_bytes(data)
        assert ended(begun(lambda: (call(100), own.home.publication.finish(10)))) == 0
        fold()
        told(shown(), files().count(".part"), path.read_bytes() == data)
        """,
        said="newer_schema",
    )
    assert out == ["8", "17", "117 2 True"]


@pytest.mark.fault("F14")
def test_a_kill_between_the_sum_and_the_removal_counts_nothing_twice(tmp_path: Path) -> None:
    """The sum names those whose files still lie there; the next process to add up removes them."""
    out = run(
        tmp_path / "m",
        """
        call(5); publish()
        def act(): call(7); own.close()
        assert ended(begun(act)) == 0
        def act():
            from modelmon.directory.place import Place
            Place.remove = lambda self, paths: os._exit(9)
            fold()
        assert ended(begun(act)) == 9
        told(shown(), files())
        fold()
        told(shown(), files())
        """,
        first=STILL,
    )
    assert out == ["12 ['.live', '.live', '.live', '.part', '.part', '.part']", "12 ['.live', '.part']"]


@pytest.mark.fault("Z11")
def test_directories_that_others_could_change_are_refused(tmp_path: Path) -> None:
    """Set-up names the reason: a link, a file, everybody's, somebody else's."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    told = {"link": "is a link", "file": "is no directory", "open": "chmod o-w", "sticky": "chmod o-w"}
    if os.geteuid() == 0:
        (tmp_path / "foreign").mkdir()
        os.chown(tmp_path / "foreign", 12345, 12345)
        told["foreign"] = "belongs to user 12345"
    for name, why in told.items():
        with pytest.raises(ConfigurationError, match=why):
            Monitor(directory=tmp_path / name)
    for wrong in ("", 5, b"/tmp/x", "/dev/null/x"):
        with pytest.raises(ConfigurationError, match="directory="):
            Monitor(directory=wrong)  # type: ignore[arg-type]


@pytest.mark.fault("Z11")
def test_only_the_owner_may_enter_and_read(tmp_path: Path) -> None:
    """Directories are 0700 and files 0600, whatever the umask says."""
    run(tmp_path / "deep" / "m", "os.umask(0); call(5); publish(); fold()")
    for path in [tmp_path / "deep" / "m", *(tmp_path / "deep" / "m").rglob("*")]:
        assert stat.S_IMODE(path.lstat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_directory_is_made_at_set_up_and_its_store_is_a_file_in_it(tmp_path: Path) -> None:
    """Another store is used where one is given; a relative path does not follow the program elsewhere."""
    own = Monitor(directory=str(tmp_path / "m"))
    assert own.settings.directory == str(tmp_path / "m")
    own.predictions(["a"], ["x"], model="m")
    assert own.label("a", "x", model="m")["joined"] == 1
    own.close()
    assert (tmp_path / "m" / "labels.db").exists()
    with LabelClient(tmp_path / "m" / "labels.db") as client:
        assert client.snapshot()["m"].accuracy == 1.0
        text = StoreMetrics(client, str(tmp_path / "m")).render({}, "text").decode()
    assert 'modelmon_predictions_total{model="m",predicted="x",version=""} 1' in text
    assert "modelmon_join_occupancy" in text
    elsewhere = Monitor(directory=tmp_path / "m", store="memory")
    elsewhere.label("b", "x")
    assert len(list((tmp_path / "m").glob("labels*"))) >= 1
    assert elsewhere.snapshot().label_events == {"early": 1}


def test_two_monitors_of_a_process_are_two_workers(tmp_path: Path) -> None:
    """Both are shown by either; neither lets go of the other's lock by looking at its file, nor takes it for dead."""
    first, second = Monitor(directory=tmp_path / "m"), Monitor(directory=tmp_path / "m")
    for own, n in ((first, 3), (second, 4)):
        own.predictions(list(range(n)), ["x"] * n, model="m")
    for _ in range(2):
        first.flush()
        second.flush()
        assert [own.snapshot()["m"].predicted for own in (first, second)] == [{"x": 7}] * 2
    assert len(list((tmp_path / "m" / "workers").iterdir())) == 4
    out = run(tmp_path / "m", "call(1); publish(); fold(); told(files().count('.live'))")
    assert out == ["3"]
    first.close()
    second.close()


@pytest.mark.parametrize("mode", [0o700, 0o777], ids=["safe", "unsafe"])
def test_the_environment_gives_the_default_monitor_its_directory(tmp_path: Path, mode: int) -> None:
    """One that is not safe is left alone and counted, and calls go on; a capture leaves nothing there."""
    folder = tmp_path / "m"
    folder.mkdir()
    folder.chmod(mode)
    program = """
        os.environ["MODELMON_DIRECTORY"] = str(root.with_name("m"))
        from modelmon import monitor
        from modelmon.testing import capture
        @monitor(model="plain")
        def plain(): return 1
        with capture(): plain()
        told(sorted(path.name for path in root.with_name("m").iterdir()))
        plain()
        calls = Snapshot(monitor.home.scraped())["plain"].calls
        told(monitor.flush(), calls, (root.with_name("m") / "workers").exists())
        """
    said = "" if mode == 0o700 else "chmod o-w"
    assert run(tmp_path / "other", program, said=said) == ["[]", f"{mode == 0o700} 1 {mode == 0o700}"]


def test_a_relative_directory_of_the_environment_stays_where_it_is(tmp_path: Path) -> None:
    """A program that goes elsewhere, as daemons do, writes its store where it writes its counts, and nothing there."""
    program = """
        import os
        from modelmon import Multiclass, monitor
        @monitor(model="digit", id="key", task=Multiclass())
        def predict(key): return key % 3
        predict(1)
        os.mkdir("elsewhere"); os.chdir("elsewhere")
        print(monitor.flush(30), os.listdir(), os.path.exists("../m/labels.db"), len(os.listdir("../m/workers")))
        """
    line = [sys.executable, "-c", textwrap.dedent(program)]
    variables = {**os.environ, "MODELMON_DIRECTORY": "m", "PYTHONPATH": str(Path(modelmon.__file__).parents[1])}
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=variables, check=False)
    assert (done.stdout, done.stderr) == ("True [] True 2\n", "")


def test_a_working_directory_that_is_gone_stops_no_import(tmp_path: Path) -> None:
    """Whoever starts where nothing is any more can still import the library."""
    line = [sys.executable, "-c", "import os; os.rmdir(os.getcwd()); import modelmon; modelmon.monitor(lambda: 1)()"]
    variables = {**os.environ, "PYTHONPATH": str(Path(modelmon.__file__).parents[1])}
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=variables, check=False)
    assert (done.returncode, done.stderr) == (0, "")
