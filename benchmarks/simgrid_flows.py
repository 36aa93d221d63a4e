"""Play flows with SimGrid's fluid model; run by vs_simgrid.py with any Python that has SimGrid.

    python3 simgrid_flows.py CASE.json RESULT.json

Standard library only, so that it runs with the interpreter of the distribution's package. SimGrid is told to do
plain max-min sharing: model CM02, correction factors 1, no TCP window, no cross traffic, no latency (with
latency it would weigh flows by its inverse). A star zone gives each flow its own route: half of it belongs to
its source, half to its destination.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import simgrid
from simgrid import Actor, Comm, Engine, LinkInRoute, NetZone, this_actor

OPTIONS = (
    "--cfg=network/model:CM02",
    "--cfg=network/crosstraffic:0",
    "--cfg=network/TCP-gamma:0",
    "--cfg=network/weight-S:0",
    "--cfg=network/latency-factor:1",
    "--cfg=network/bandwidth-factor:1",
    "--log=root.thres:critical",
)


class Platform:
    """A star zone; hides the differences between SimGrid 3 and 4."""

    def __init__(self, engine: Any) -> None:
        root = getattr(engine, "netzone_root", None)
        self.new = root is not None and hasattr(root, "add_netzone_star")
        self.zone = root.add_netzone_star("star") if self.new else NetZone.create_star_zone("star")

    def link(self, name: str, bandwidth: float) -> Any:
        """Return a link without latency, ready to be put into routes."""
        make = self.zone.add_link if self.new else self.zone.create_link
        return LinkInRoute(make(name, bandwidth).set_latency(0).seal())

    def host(self, name: str) -> Any:
        """Return an endpoint."""
        make = self.zone.add_host if self.new else self.zone.create_host
        return make(name, 1e9).seal()

    def route(self, source: Any, target: Any, links: list[Any]) -> None:
        """Say which links lead from a source, or to a target."""
        if self.new:
            self.zone.add_route(source, target, links, False)
        else:
            ends = (source and source.netpoint, target and target.netpoint)
            self.zone.add_route(*ends, None, None, links, False)

    def start(self, host: Any, action: Any) -> None:
        """Run a function on a host."""
        if self.new:
            host.add_actor("boss", action)
        else:
            Actor.create("boss", host, action)


def build(platform: Platform, case: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Create links and endpoints; return source and target of each flow."""
    ptr, idx = case["ptr"], case["idx"]
    links = {link: platform.link(f"l{link}", case["capacity"][link]) for link in sorted(set(idx))}
    halves: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
    ends = []
    for begin, end in itertools.pairwise(ptr):
        middle = begin + (end - begin) // 2
        pair = []
        for side, part in enumerate((tuple(idx[begin:middle]), tuple(idx[middle:end]))):
            if part not in halves[side]:
                host = halves[side][part] = platform.host(f"{'st'[side]}{len(halves[side])}")
                route = [links[link] for link in part]
                platform.route(*((host, None) if side == 0 else (None, host)), route)
            pair.append(halves[side][part])
        ends.append((pair[0], pair[1]))
    platform.zone.seal()
    return ends


def play(case: dict[str, Any]) -> dict[str, Any]:
    """Run the flows; return finish times and CPU seconds of the run alone."""
    engine = Engine(["flows", *OPTIONS])
    platform = Platform(engine)
    ends = build(platform, case)
    size, start = case["size"], case["start"]
    finish = [0.0] * len(size)

    def boss() -> None:
        now, comms = 0.0, []
        for flow in sorted(range(len(size)), key=lambda one: start[one]):
            if start[flow] > now:
                this_actor.sleep_until(start[flow])
                now = start[flow]
            comms.append((flow, Comm.sendto_async(*ends[flow], int(size[flow]))))
        for flow, comm in comms:
            comm.wait()
            finish[flow] = comm.finish_time

    platform.start(ends[0][0], boss)
    before = time.process_time()
    engine.run()
    cpu = time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    version = str(getattr(simgrid, "simgrid_version", "?"))
    return {"finish": finish, "cpu": cpu, "memory": memory, "version": version}


if __name__ == "__main__":
    found = play(json.loads(Path(sys.argv[1]).read_text(encoding="ascii")))
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="ascii")
    os._exit(0)  # tearing the engine down can take longer than the run
