"""``colossus-sim topology``: show, compare, export, and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from colossus_sim.cli.main import main


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as stop:
        main(["topology", *words])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def test_show_prints_what_it_is_made_of(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Levels, switches, oversubscription, cost; and a picture when asked."""
    picture = tmp_path / "net.png"
    code, out, _ = call(capsys, "show", "ndr_fat_tree_4to1", "--png", str(picture))
    assert code == 0
    for words in ("16,384", "4:1", "leaf switches", "bill of materials", "network power", "assumptions"):
        assert words in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bill_of_a_list_of_cables_says_what_it_assumes(capsys: pytest.CaptureFixture[str]) -> None:
    """Ports of its switches are not in the list: the number that is priced is told, in text and JSON."""
    code, out, _ = call(capsys, "show", "custom_64")
    assert code == 0
    assert "each switch is priced with 64" in out
    _, out, _ = call(capsys, "show", "custom_64", "--json")
    assert "64" in json.loads(out)["material_notes"][0]


def written(folder: Path, *rows: str, gpus: int) -> str:
    """Write a network of cables and return its file."""
    (folder / "cables.csv").write_text("\n".join(("from,to,bandwidth,links", *rows)), "utf-8")
    file = folder / "net.yaml"
    file.write_text(
        f"title: t\ngpu: h100\ngpus: {gpus}\nfabric: {{kind: custom, file: cables.csv}}\nlink_efficiency: 1\n"
        "provenance: {kind: assumption, reference: test, checked: 2026-08}\n",
        "utf-8",
    )
    return str(file)


def test_a_cut_that_may_not_be_the_least_is_called_a_bound(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Twenty leaves are too many to try all halves; the two of the shipped example are not."""
    rows = [f"host{index},leaf{index // 2},400 Gbit/s,8" for index in range(40)]
    rows += [f"leaf{leaf},spine{spine},400 Gbit/s,4" for leaf in range(20) for spine in range(2)]
    file = written(tmp_path, *rows, gpus=320)
    assert "at most 4 TB/s" in call(capsys, "show", file)[1]
    assert json.loads(call(capsys, "show", file, "--json")[1])["bisection_is_exact"] is False
    assert "at most" not in call(capsys, "show", "custom_64")[1]


@pytest.mark.parametrize("dark", [False, True])
def test_show_draws_loads_light_and_dark(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, dark: bool
) -> None:
    """Every kind of network has a picture of its loads; without a file to draw into the flags are refused."""
    flags = ["--load", *(["--dark"] if dark else [])]
    for network in ("hgx_h100_1k", "custom_64"):
        picture = tmp_path / f"{network}.svg"
        assert call(capsys, "show", network, "--png", str(picture), *flags)[0] == 0
        assert "when each GPU sends 50 GB/s to all, itself included" in picture.read_text("utf-8")
    assert call(capsys, "show", "custom_64", *flags)[0] == 2


def test_loads_are_those_of_what_the_cables_carry(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """GPUs of 50 GB/s on cables of 25 send 25: half of it leaves a leaf of two, over half as wide uplinks: full.

    Two leaves of two hosts with 8 cables each: 16 GPUs x 25 GB/s x 1/2 on 8 uplinks of 25 GB/s.
    """
    rows = [f"host{index},leaf{index // 2},200 Gbit/s,8" for index in range(4)]
    rows += [f"leaf{leaf},spine,200 Gbit/s,8" for leaf in range(2)]
    picture = tmp_path / "net.svg"
    file = written(tmp_path, *rows, gpus=32)
    assert call(capsys, "show", file, "--png", str(picture), "--load")[0] == 0
    assert "when each GPU sends 25 GB/s to all, itself included (1: full; highest 1)" in picture.read_text(
        "utf-8"
    )


def refusal(capsys: pytest.CaptureFixture[str], file: Path, text: str) -> str:
    """Write a topology that cannot be built and return what is said."""
    file.write_text(
        f"title: t\ngpu: h100\ngpus: 512\nfabric:\n{text}\nnic_bandwidth: 400 Gbit/s\n"
        "provenance: {kind: assumption, reference: test, checked: 2026-08}\n",
        "utf-8",
    )
    code, _, err = call(capsys, "show", str(file))
    assert code == 2
    return err.replace(str(file), "FILE")


def test_what_cannot_be_built_is_shown_in_its_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """File, line, column and field, as for values that cannot be read; also of shipped networks."""
    file = tmp_path / "net.yaml"
    tiers = "  tiers: [{name: leaf, group_gpus: 256}, {name: spine, group_gpus: 0}]\n"
    rails = refusal(capsys, file, f"  kind: clos\n{tiers}  switch_radix: 64\n  rails: 3")
    assert rails.startswith("error: FILE:8:10: fabric.rails: 3 rails do not divide the 8 GPUs")
    assert "    | " + 9 * " " + "^" in rails
    torus = refusal(capsys, file, "  {kind: torus, dims: [2, 2], link_bandwidth: 50 GB/s}")
    assert torus.startswith("error: FILE:5:23: fabric.dims: a torus of 2 x 2")
    (tmp_path / "cables.csv").write_bytes(b"from,to,bandwidth\nhost0,leaf,400 Gbot/s\n")
    cables = "  {kind: custom, file: cables.csv}"
    assert refusal(capsys, file, cables).startswith(
        "error: FILE:5:24: fabric.file: cables.csv: line 2: unit 'Gbot/s'"
    )
    (tmp_path / "cables.csv").write_bytes(b"from,to,bandwidth\nhost0,le\xe4f,400 Gbit/s\n")
    assert "fabric.file: " in (latin := refusal(capsys, file, cables))
    assert "cables.csv: line 2 is not UTF-8 text (byte 0xe4); save it as UTF-8" in latin
    shipped = call(capsys, "show", "hgx_h100_1k", "--gpus", "100000")[2]
    assert "topologies/hgx_h100_1k.yaml:" in shipped
    assert "fabric" in shipped


def test_a_table_that_begins_with_a_byte_order_mark(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Excel writes one by default; it is no part of the first column's name."""
    file = written(tmp_path, "host0,leaf,400 Gbit/s,8", "host1,leaf,400 Gbit/s,8", gpus=16)
    plain = call(capsys, "show", file)
    table = tmp_path / "cables.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert call(capsys, "show", file) == plain
    assert plain[0] == 0


def test_latencies_are_in_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    """A hop over NVLink takes 0.6 us, not 0.0006 ms."""
    out = call(capsys, "show", "hgx_h100_1k")[1]
    assert " 0.6 us " in out
    assert " ms " not in out


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One document, in SI units."""
    code, out, _ = call(capsys, "show", "ndr_fat_tree_1to1", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["gpus"] == 16384
    assert document["levels"][-1]["oversubscription"] == 1.0
    assert sum(document["switches"].values()) == 1280


def test_compare_times_of_collectives(capsys: pytest.CaptureFixture[str]) -> None:
    """Across the pods the thin network is slower, inside one it is not."""
    names = ("ndr_fat_tree_1to1", "ndr_fat_tree_4to1")
    code, out, _ = call(capsys, "compare", *names, "--group", "1024", "--group", "16384", "--json")
    assert code == 0
    full, thin = (
        {(row["operation"], row["gpus"], row["message_B"]): row["time_s"] for row in one["collective_times"]}
        for one in json.loads(out)["networks"]
    )
    assert thin["all_to_all", 1024, 1e9] == full["all_to_all", 1024, 1e9]
    assert thin["all_to_all", 16384, 1e9] > 2 * full["all_to_all", 16384, 1e9]


def test_compare_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Networks stand side by side."""
    code, out, _ = call(capsys, "compare", "hgx_h100_1k", "custom_64", "--group", "16")
    assert code == 0
    assert out.splitlines()[0].split() == ["hgx_h100_1k", "custom_64"]
    assert "all_reduce, 16 GPUs, 1 MB" in out


def test_export_can_be_read_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The whole graph, written, is a custom network of the same measures."""
    file = tmp_path / "net.graphml"
    code, _, err = call(capsys, "export", "hgx_h100_1k", "--graphml", str(file), "--gpus", "512")
    assert code == 0
    assert "nodes" in err
    graph = nx.read_graphml(file)
    assert sum(kind == "host" for _, kind in graph.nodes(data="kind")) == 512
    (tmp_path / "net.yaml").write_text(
        "title: read back\ngpu: h100\ngpus: 512\nfabric: {kind: custom, file: net.graphml}\n"
        "provenance: {kind: assumption, reference: test, checked: 2026-08}\n"
    )
    _, out, _ = call(capsys, "show", str(tmp_path / "net.yaml"), "--json")
    _, wanted, _ = call(capsys, "show", "hgx_h100_1k", "--gpus", "512", "--json")
    assert json.loads(out)["levels"][-1]["bandwidth_B_per_s"] == pytest.approx(
        json.loads(wanted)["levels"][-1]["bandwidth_B_per_s"]
    )


def test_export_says_what_comes_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Tiers that a list of cables joins are named; groups, and a torus that is one domain, cannot be read back."""
    file = ("--graphml", str(tmp_path / "net.graphml"))
    said = [
        call(capsys, "export", *words, *file)[2].splitlines()[-1]
        for words in (
            ("hgx_h100_1k", "--gpus", "512"),
            ("ndr_fat_tree_4to1", "--gpus", "2048"),
            ("hgx_h100_1k", "--quotient"),
            ("torus_3d",),
        )
    ]
    assert "come back" not in said[0]
    assert "spine and core come back as one level" in said[1]
    assert "cannot be read back as fabric: {kind: custom}: groups are no hosts" in said[2]
    assert "cannot be read back as fabric: {kind: custom}: the scale-up domain has all GPUs" in said[3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "colosus_2"), "did you mean 'colossus_2'"),
        (("show", "missing.yaml"), "no such file"),
        (
            ("show", "cables.graphml"),
            "name it in a YAML file, e.g. fabric: {kind: custom, file: cables.graphml}",
        ),
        (("show", "hgx_h100_1k", "--gpus", "0"), "at least 1 GPU"),
        (("show", "hgx_h100_1k", "--png", "x.bmp"), "format"),
        (("compare", "hgx_h100_1k", "--group", "5000"), "a group has 2 to 1024 GPUs"),
        (("export", "hgx_h100_1k", "--graphml", "/nowhere/x.graphml"), "cannot write"),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    """Each ends with a clear line and no traceback."""
    code, _, err = call(capsys, *words)
    assert code in (2, 4)
    assert message in err
    assert "Traceback" not in err


def test_estimate_shows_the_band_of_contention(capsys: pytest.CaptureFixture[str]) -> None:
    """Step time alone, interleaved, independent and aligned; what does not fit beside the others is left out."""
    with pytest.raises(SystemExit) as stop:
        main(["estimate", "tiny", "--contention", "--json"])
    bands = json.loads(capsys.readouterr().out)["contention"]
    assert not stop.value.code
    assert {band["job"] for band in bands} == {"large"}
    assert set(bands[0]["step_time_s"]) == {"none", "best_case", "average", "independent", "worst_case"}
