"""What a run of the compiled kernel comes to, in the measures of a sweep."""

from __future__ import annotations

from colossus_sim.engine.kernel.allow import unsupported
from colossus_sim.specs.scenario import Scenario
from colossus_sim.sweeps.measure import measure, phase_times
from colossus_sim.training.phases import ModelBuilder

Measured = tuple[dict[str, float], dict[str, tuple[float, float]]]


class KernelPlayer:
    """Plays the runs of one scenario with the kernel."""

    def __init__(self, scenario: Scenario, build_model: ModelBuilder) -> None:
        from colossus_sim.engine.kernel.play import Kernel  # imports numba

        self._kernel = Kernel(scenario, build_model)

    def measured(self, seed: int) -> Measured | None:
        """Return what a run comes to; None if the SimPy engine has to play it."""
        from colossus_sim.engine.kernel.play import KernelFullError, StuckError
        from colossus_sim.engine.kernel.rows import failures, run_result

        try:
            state = self._kernel.play(seed, levels=False)
        except (KernelFullError, StuckError):
            return None
        run = run_result(self._kernel, state, seed, counted=False)
        values = measure(run)
        values["cluster.failures"] = float(failures(state))
        return values, phase_times(run)


def kernel_player(scenario: Scenario, build_model: ModelBuilder) -> KernelPlayer | None:
    """Return a player of this scenario, or None if the kernel lacks one of its features."""
    return None if unsupported(scenario) is not None else KernelPlayer(scenario, build_model)
