"""Job logs: what is read, and what a replay gives."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from colossus_sim.cli.main import run_command_line
from colossus_sim.engine.replay import replay
from colossus_sim.errors import ScenarioError, UsageError
from colossus_sim.traces.jobs import read_csv, read_swf, read_trace

SWF = """; a comment
1 10 0 100 4 90 -1 4 200 -1 1 7 1 -1 -1 1 -1 -1
2 20 0 -1 4 50 -1 8 200 -1 1 7 1 -1 -1 1 -1 -1
3 30 0 -1 4 -1 -1 8 200 -1 1 7 1 -1 -1 1 -1 -1
4 40 0 30 -1 30 -1 8 -1 -1 1 9 1 -1 -1 1 -1 -1
"""

SHIPPED = Path(__file__).parents[2] / "colossus_sim" / "data" / "traces"


def test_swf_jobs_without_run_time_take_the_cpu_time_or_are_left_out() -> None:
    """Run time, else CPU time; processors given, else asked for; walltime, else run time."""
    jobs = read_swf(SWF)

    assert [(job.submit, job.gpus, job.duration, job.walltime, job.account) for job in jobs] == [
        (10.0, 4, 100.0, 200.0, "7"),
        (20.0, 4, 50.0, 200.0, "7"),
        (40.0, 8, 30.0, 30.0, "9"),
    ]


def test_replay_answers_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One versioned document with the figures of each policy."""
    (tmp_path / "log.swf").write_text(SWF, encoding="utf-8")
    command = ["replay", str(tmp_path / "log.swf"), "--gpus", "8", "--policy", "fifo,easy_backfill", "--json"]
    assert run_command_line(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert {name: item["jobs"] for name, item in document["policies"].items()} == {
        "fifo": 3,
        "easy_backfill": 3,
    }


def test_csv_takes_dates_or_seconds_and_known_column_names() -> None:
    """Philly's own header works as it is."""
    jobs = read_csv("timestamp,duration,num_gpus\n2017-10-01 00:01:00,66.0,2\n2017-10-01 00:00:00,5,1\n")

    assert jobs[0].submit - jobs[1].submit == 60.0
    assert (jobs[0].gpus, jobs[0].duration, jobs[0].walltime) == (2, 66.0, 66.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("submit,gpus\n0,1\n", "no column duration"),
        ("submit,gpus,duration\n0,1,soon\n", "t.csv:2:1"),
        ("submit,gpus,duration\nyesterday,1,5\n", "neither seconds nor a date"),
        ("submit,gpus,duration\n0,1,nan\n", "not a finite number"),
        ("submit,gpus,duration\n0,1,\n", "duration: '' is not a finite number"),
        ("submit,gpus,duration\n0,4.7,5\n", "gpus: 4.7 is not a whole number"),
        ("submit,gpus,duration\n0,0,5\n", "gpus: 0 is less than 1"),
        ("submit,gpus,duration\n0,1,-5\n", "duration: -5 is less than 0"),
        ("submit,gpus,duration,walltime\n0,1,5,-5\n", "walltime: -5 is less than 0"),
        ("submit,gpus,duration\n2026-03-01,1,5\n10,1,5\n", "t.csv:3:1"),
        ("submit,gpus,duration\n0,1,024,5\n", "line 2 has 4 cells, the header 3"),
    ],
)
def test_wrong_lines_are_named(text: str, words: str) -> None:
    """File, line, and what is wrong."""
    with pytest.raises(ScenarioError, match=words):
        read_csv(text, "t.csv")


def test_an_offset_from_utc_counts() -> None:
    """Midnight five hours east of Greenwich is 19:00 there; without an offset times are UTC."""
    lines = ("2026-01-01T00:00+05:00,1,5", "2025-12-31T19:00Z,1,5", "2025-12-31 19:00,1,5")
    jobs = read_csv("submit,gpus,duration\n" + "\n".join(lines))
    assert len({job.submit for job in jobs}) == 1


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    """Spreadsheets write one."""
    log = tmp_path / "log.csv"
    log.write_bytes("\ufeffsubmit,gpus,duration\n0,1,5\n".encode())
    assert len(read_trace(log)) == 1


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """The suffix says how to read a file; an empty log is an error too."""
    with pytest.raises(UsageError, match=r"\.swf or \.csv"):
        read_trace(tmp_path / "log.txt")
    empty = tmp_path / "log.swf.gz"
    empty.write_bytes(gzip.compress(b"; nothing\n"))
    with pytest.raises(ScenarioError, match="no job"):
        read_trace(empty)


@pytest.mark.parametrize("place", [0, 12, 30, -1])
def test_a_damaged_archive_is_named(tmp_path: Path, place: int) -> None:
    """Header, compressed data or checksum: whichever byte is wrong, the file is named, not the program blamed."""
    log = tmp_path / "log.swf.gz"
    raw = bytearray(gzip.compress(SWF.encode(), mtime=0))
    raw[place] ^= 0xFF
    log.write_bytes(raw)
    with pytest.raises(UsageError, match=r"log\.swf\.gz: cannot be read"):
        read_trace(log)


def test_hpc2n_first_come_first_served_equals_the_reference() -> None:
    """Mean wait and makespan of a separate program, exactly."""
    played = replay(read_trace(SHIPPED / "hpc2n.swf.gz"), gpus=240)

    assert played.jobs == 3170
    assert played.mean_wait == pytest.approx(5814.473186119873, rel=1e-9)
    assert played.makespan == pytest.approx(5309576.0, rel=1e-9)


def test_hpc2n_easy_backfill_lies_among_other_simulators() -> None:
    """3,236 to 3,657 s elsewhere, all with the same makespan."""
    played = replay(read_trace(SHIPPED / "hpc2n.swf.gz"), gpus=240, scheduler="easy_backfill")

    assert 3200.0 < played.mean_wait < 3700.0
    assert played.makespan == pytest.approx(5282045.0, rel=1e-9)


def test_a_job_wider_than_the_pool_is_an_error() -> None:
    """It would wait for ever."""
    with pytest.raises(UsageError, match="needs 8 GPUs"):
        replay(read_swf(SWF), gpus=7)
