"""Compiles the kernel's functions with numba, where that is installed (the optional extra ``fast``)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

from colossus_sim.compiling import jit_available
from colossus_sim.engine.kernel.machine_code import code_folder

F = TypeVar("F", bound=Callable[..., Any])


def _compiler(**options: Any) -> Callable[[F], F]:
    if not jit_available():
        return lambda function: function
    import numba

    config: Any = numba.config
    folder = code_folder()
    # Python owns the arrays of a run, so nothing has to count references to them: passing the forty arrays of a
    # state on from function to function by counted references took four fifths of the kernel's time.
    options["_nrt"] = False

    def compile_it(function: F) -> F:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(folder or "")
        try:
            made: F = numba.njit(cache=folder is not None, error_model="numpy", **options)(function)
        finally:
            config.CACHE_DIR = before
        return made

    return compile_it


COMPILED = jit_available()
"""Whether the functions of the kernel are machine code in this process."""

compiled = _compiler(no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)
"""Decorator of the kernel's functions; without numba it leaves them as they are (slow, for tests).

They become part of their callers: to pass the forty arrays of a state on took as long as what is done with them.
"""

entry_point = _compiler()
"""Decorator of the few functions that Python calls; unpacking all arrays takes long to compile."""

Answer = Callable[[int, int, int, int], int]
"""What the kernel asks of Python: (question, three numbers) -> 0, or 1 if it failed."""


def make_hook(answer: Answer) -> Any:
    """Return `answer` as something that compiled code can call."""
    if not COMPILED:
        return answer
    import numba.experimental.function_type  # noqa: F401  # makes numba know such arguments
    from numba import types

    entry = ctypes.CFUNCTYPE(*[ctypes.c_int64] * 5)(answer)

    class Hook(types.WrapperAddressProtocol):
        """A callback with a fixed signature."""

        def __wrapper_address__(self) -> int:
            return ctypes.cast(entry, ctypes.c_void_p).value or 0

        def signature(self) -> Any:
            """Types of the answer and of the arguments."""
            number = types.int64
            return number(number, number, number, number)

    return Hook()
