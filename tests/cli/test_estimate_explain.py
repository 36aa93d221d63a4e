"""``estimate --explain``: the parts of a step add up, and the page says whose communication it lists."""

from __future__ import annotations

import re

import pytest

from colossus_sim.cli import main as frame


def test_waterfall_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """The parts printed in milliseconds sum to the step, the shares to 100 %, and the table says who counts."""
    assert frame.run_command_line(["estimate", "llama3_405b", "--explain"]) == 0
    out = capsys.readouterr().out
    waterfall = out.partition("MFU")[2].partition("axis")[0]
    rows = re.findall(r"^(\(?[a-zA-Z ]+\)?) +([\d,]+\.\d\d) +(\d+\.\d)%$", waterfall, re.MULTILINE)
    parts = {name.strip(): (float(ms.replace(",", "")), float(share)) for name, ms, share in rows}
    step, _ = parts.pop("step")
    del parts["(model FLOPs at peak)"]
    assert len(parts) > 10
    assert sum(ms for ms, _ in parts.values()) == pytest.approx(step, abs=0.2)
    assert sum(share for _, share in parts.values()) == pytest.approx(100.0, abs=1.0)
    assert "busiest rank" in out
