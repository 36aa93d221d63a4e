"""Scheduling policies that a package offers: found, checked, played in every process, recorded."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from colossus_sim import load_scenario, policies, simulate
from colossus_sim.cli.main import run_command_line
from colossus_sim.engine.bench import BenchJob, a_site, play_bench
from colossus_sim.engine.disciplines import SCHEDULERS
from colossus_sim.engine.kernel.allow import unsupported
from colossus_sim.errors import ScenarioError, UsageError
from colossus_sim.specs.policies import Policies

ROOT = Path(__file__).resolve().parents[2]
Offer = Callable[..., Path]

QUEUE = {
    "running": BenchJob(units=1, unit_time=100.0, gpus=10),
    "long": BenchJob(units=1, unit_time=500.0, gpus=10, submit=1.0),
    "short": BenchJob(units=1, unit_time=90.0, gpus=10, submit=3.0),
}
"""While all GPUs are taken, a long job comes and then a short one."""


def offer(folder: Path, module: str, code: str, names: Mapping[str, str], package: str = "mine") -> Path:
    """Put a module and what a package says of it into a folder."""
    (folder / f"{module}.py").write_text(code, "utf-8")
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    lines = [f"{name} = {module}:{target}" for name, target in names.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{policies.GROUP}]", *lines, ""]), "utf-8")
    return folder


def a_policy(passing: str, rank: str, name: str = "Policy") -> str:
    """Write a policy whose rank is an expression of `job` and `now`."""
    return f"class {name}:\n    passing = {passing!r}\n    def rank(self, job, now):\n        return {rank}\n"


@pytest.fixture(name="offered")
def _offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    def put(module: str, code: str, names: Mapping[str, str], package: str = "mine") -> Path:
        folder = offer(tmp_path, module, code, names, package)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return folder

    return put


def starts(scheduler: str, jobs: Mapping[str, BenchJob] = QUEUE, gpus: int = 10) -> dict[str, float]:
    """When each job gets its GPUs."""
    spec = Policies.model_validate({"scheduler": scheduler, "contention": "none"})
    return {row.job: row.start for row in play_bench(jobs, site=a_site(gpus), policies=spec).phases}


def test_a_policy_from_outside_orders_the_queue(offered: Offer) -> None:
    """Shortest first starts the short job at 100 s and the long one at 190 s; first come does the opposite."""
    offered("plug_sjf", a_policy("strict", "job.expected_run"), {"sjf": "Policy"})

    assert starts("sjf") == {"running": 0.0, "short": 100.0, "long": 190.0}
    assert starts("fifo") == {"running": 0.0, "long": 100.0, "short": 600.0}
    assert policies.offered() == ("sjf",)


@pytest.mark.parametrize(
    ("built_in", "passing", "rank"),
    [
        ("fifo", "strict", "0"),
        ("priority_backfill", "first_fit", "-job.priority"),
        ("easy_backfill", "easy", "(0, job.queued_since)"),
        ("conservative_backfill", "conservative", "0"),
        ("fair_share", "first_fit", "job.account_gpu_seconds"),
        ("deadline", "first_fit", "(job.due - job.work_left, -job.priority)"),
    ],
)
def test_built_in_policies_can_be_written_as_policies_from_outside(
    offered: Offer, built_in: str, passing: str, rank: str
) -> None:
    """The protocol says all that the built-in ones need: each written anew starts every job at the same time."""
    offered("plug_again", a_policy(passing, rank), {"again": "Policy"})
    jobs = {
        f"j{i}": BenchJob(
            units=1, unit_time=40.0 + 37 * (i % 5), gpus=1 + (7 * i) % 9, submit=11.0 * i, priority=i % 3,
            account="ab"[i % 2],
        )
        for i in range(30)
    }  # fmt: skip

    assert starts("again", jobs) == starts(built_in, jobs)


def test_what_a_policy_remembers_ends_with_the_run(offered: Offer) -> None:
    """Each run makes a new object, so that two runs of one seed are the same."""
    code = (
        "class Policy:\n    passing = 'strict'\n    def __init__(self):\n        self.asked = 0\n"
        "    def rank(self, job, now):\n        self.asked += 1\n        return self.asked % 7\n"
    )
    offered("plug_memory", code, {"memory": "Policy"})

    assert starts("memory") == starts("memory")


def test_a_policy_sees_times_and_sizes_in_units_of_the_scenario(offered: Offer, tmp_path: Path) -> None:
    """Four of ten GPUs are free; a job of six is announced for 90 s; its account has held 6 GPUs for 50 s."""
    log = tmp_path / "seen.txt"
    code = (
        "class Policy:\n    passing = 'strict'\n    def rank(self, job, now):\n"
        f"        with open({str(log)!r}, 'a') as out:\n            print(repr(job), now, file=out)\n"
        "        return 0\n"
    )
    offered("plug_seen", code, {"seen": "Policy"})
    jobs = {
        "one": BenchJob(units=1, unit_time=100.0, gpus=6, account="a"),
        "two": BenchJob(
            units=1, unit_time=200.0, gpus=6, account="a", submit=50.0, walltime=90.0, priority=2
        ),
        "end": BenchJob(units=1, unit_time=1.0, gpus=1, submit=100.0),
    }
    starts("seen", jobs)
    seen = [line for line in log.read_text("utf-8").splitlines() if "job='two'" in line]

    assert seen[0] == (
        "QueuedJob(job='two', phase='run', site='site', account='a', priority=2, queued_since=50.0, gpus=6, "
        "free_gpus=4, work_left=200.0, expected_run=90.0, due=inf, account_gpu_seconds=300.0) 50.0"
    )


def test_the_names_of_the_table_are_those_that_a_scenario_lists() -> None:
    """A built-in policy is in both places."""
    assert tuple(SCHEDULERS) == policies.BUILT_IN


def test_built_in_names_cannot_be_taken(offered: Offer) -> None:
    """A package that offers `fifo` changes nothing."""
    offered("plug_taken", a_policy("strict", "-job.queued_since"), {"fifo": "Policy"})

    assert policies.offered() == ()
    assert starts("fifo") == {"running": 0.0, "long": 100.0, "short": 600.0}


def test_nothing_is_imported_unless_it_is_named(offered: Offer) -> None:
    """Another policy, and the list of names, leave a package alone that would fail."""
    offered("plug_fails", "raise RuntimeError('imported')\n", {"fails": "Policy"})

    assert "fails" in policies.known()
    assert starts("fifo")["long"] == 100.0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nowhere_to_be_found\n", "cannot be loaded: ModuleNotFoundError"),
        ("class Other:\n    pass\n", "cannot be loaded: AttributeError"),
        ("class Policy:\n    def __init__(self, weight):\n        pass\n", "cannot be loaded: TypeError"),
        ("class Policy(:\n", "cannot be loaded: SyntaxError"),
        ("raise RuntimeError('not today')\n", "cannot be loaded: RuntimeError: not today"),
        ("import sys\nsys.exit(7)\n", "cannot be loaded: SystemExit: 7"),
        (a_policy("sometimes", "0"), "'passing' must be one of strict, first_fit, easy, conservative"),
        ("class Policy:\n    passing = 'easy'\n", "it has no method rank"),
    ],
)
def test_check_says_what_is_wrong_with_a_policy(offered: Offer, code: str, words: str) -> None:
    """The error names the field, the policy, its package, and what is wrong."""
    offered("plug_broken", code, {"broken": "Policy"})
    with pytest.raises(ScenarioError) as caught:
        load_scenario("quickstart", overrides=["policies.scheduler=broken"])

    text = str(caught.value)
    assert "policies.scheduler: scheduling policy 'broken' (mine 1.0: plug_broken:Policy)" in text
    assert words in text


@pytest.mark.parametrize(
    ("rank", "words"),
    [
        ("float('nan')", "must be numbers, and is nan"),
        ("()", r"must be numbers, and is \(\)"),
        ("None", "failed: TypeError"),
        ("1 / 0", "failed: ZeroDivisionError"),
        ("job.deadline", "failed: AttributeError"),
        ("next(iter(()))", "failed: StopIteration"),
        ("exit(7)", "failed: SystemExit: 7"),
    ],
)
def test_a_rank_that_is_no_number_ends_the_run(offered: Offer, rank: str, words: str) -> None:
    """The error names policy and job; nothing is sorted by NaN."""
    offered("plug_rank", a_policy("strict", rank), {"odd": "Policy"})

    with pytest.raises(UsageError, match=rf"'odd' \(mine 1.0: .*rank\(\) of running/run {words}"):
        starts("odd")


def test_a_policy_that_fails_is_named_as_the_cause(
    offered: Offer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 of one run and 3 of a sweep, one line that names policy and package; the traceback only with -v."""
    code = a_policy("strict", "0").replace("return 0", "raise OSError('no file')")
    offered("plug_raises", code, {"raises": "Policy"})
    said = r"scheduling policy 'raises' \(mine 1.0: plug_raises:Policy\): rank\(\) of .* failed: OSError: no file"
    run = ["run", "tiny", "--no-plots", "--set", "policies.scheduler=raises", "--out", str(tmp_path / "run")]
    assert run_command_line(run) == 2
    assert re.fullmatch(f"error: {said}\n", capsys.readouterr().err)
    assert run_command_line([*run, "-v"]) == 2
    assert "raise OSError('no file')" in capsys.readouterr().err
    sweep = ["sweep", "tiny", "--set-grid", "policies.scheduler=fifo,raises", "--no-plots", "--jobs", "1"]
    assert run_command_line([*sweep, "--out", str(tmp_path / "sweep")]) == 3
    shown = capsys.readouterr()
    assert "1 of 2 runs failed" in shown.out
    assert re.search(said, shown.out)
    assert shown.err == ""


def test_an_unknown_name_lists_what_there_is(offered: Offer) -> None:
    """Built-in and offered names, the nearest one, or else how to add one."""
    offered("plug_list", a_policy("strict", "0"), {"sjf_strict": "Policy"})
    with pytest.raises(
        ScenarioError, match="deadline, sjf_strict, got 'sjf_stric'; did you mean 'sjf_strict'"
    ):
        load_scenario("quickstart", overrides=["policies.scheduler=sjf_stric"])
    with pytest.raises(ScenarioError, match=r"entry points of the group 'colossus_sim\.policies'"):
        load_scenario("quickstart", overrides=["policies.scheduler=unheard_of"])


def test_two_packages_with_one_name_are_an_error(offered: Offer) -> None:
    """Which one is meant would depend on the order of the path."""
    offered("plug_one", a_policy("strict", "0"), {"twice": "Policy"}, "first")
    offered("plug_two", a_policy("strict", "0"), {"twice": "Policy"}, "second")

    with pytest.raises(ScenarioError, match=r"more than one package offers .* first 1.0: .*, second 1.0"):
        load_scenario("quickstart", overrides=["policies.scheduler=twice"])


def test_the_run_tells_which_package_it_used_and_the_kernel_hands_over(offered: Offer) -> None:
    """The manifest names package and version; the compiled kernel refuses the policy by name."""
    offered("plug_told", a_policy("first_fit", "-job.priority"), {"told": "Policy"})
    scenario = load_scenario("quickstart", overrides=["policies.scheduler=told"])

    assert unsupported(scenario) == "policies.scheduler: told"
    assert simulate(scenario).manifest["plugins"] == {"policies.scheduler": "mine 1.0: plug_told:Policy"}
    assert "plugins" not in simulate(load_scenario("quickstart")).manifest


def documented(folder: Path) -> Path:
    """Write down the example of docs/extending.md."""
    text = (ROOT / "docs" / "extending.md").read_text("utf-8")
    blocks = dict(re.findall(r"```(python|text|ini)\n(.*?)```", text, re.DOTALL))
    about = folder / "my_policies-1.0.dist-info"
    about.mkdir()
    (folder / "shortest_first.py").write_text(blocks["python"], "utf-8")
    (about / "METADATA").write_text(blocks["text"], "utf-8")
    (about / "entry_points.txt").write_text(blocks["ini"], "utf-8")
    return folder


@pytest.mark.parametrize("executor", [("--jobs", "2"), ("--jobs", "1", "--executor", "dask")])
def test_the_documented_example_is_found_by_worker_processes(
    tmp_path: Path, executor: tuple[str, ...]
) -> None:
    """A sweep over a built-in and the documented policy plays all its runs in processes of its own."""
    if "dask" in executor and find_spec("distributed") is None:
        pytest.skip("needs colossus-sim[dask]")
    path = os.pathsep.join([str(documented(tmp_path)), str(ROOT)])
    command = [
        sys.executable, "-m", "colossus_sim", "sweep", "quickstart", "--replicas", "2", "--json",
        "--set-grid", "policies.scheduler=fifo,shortest_first", "--out", str(tmp_path / "sweep"), *executor,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == 0
