"""Schedulers of diffusers by the name of their class, in place of the one that a pipeline comes with."""

from __future__ import annotations

from collections import deque
from functools import wraps
from typing import Any

import torch

from trilemma.errors import UserError, suggest


def with_scheduler(pipeline: Any, name: str, where: str) -> Any:
    """Returns a scheduler of class ``name`` with the settings of the pipeline's own, which it shares with all others.

    Raises:
        UserError: diffusers has no such scheduler, or it cannot do what the pipeline's network was trained for.
    """
    import diffusers

    known = [known for known in dir(diffusers) if known.endswith("Scheduler") and not known.startswith("Flax")]
    if name not in known:
        raise UserError(f'diffusers has no scheduler "{name}".', where=where, hint=suggest(name, known))
    kind, settings = getattr(diffusers, name), pipeline.scheduler.config
    try:
        _try_a_step(kind.from_config(settings))
    except Exception as error:  # each scheduler refuses in its own way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{name} cannot sample from this pipeline: {reason}", where=where) from error
    return kind.from_config(settings)


def step_by_host_times(scheduler: Any) -> None:
    """Has the scheduler's own steps given their times in the host's memory, in place; each is taken once, in order.

    Schedulers such as DDIM and PNDM look their coefficients up by the time. A time that lies on a GPU is waited for in
    every step, and with it all that was launched before; so it is fetched once a call. Networks get it as before.
    """
    set_timesteps, step = scheduler.set_timesteps, scheduler.step
    waiting: deque[torch.Tensor] = deque()

    @wraps(set_timesteps)
    def set_and_fetch(*args: Any, **kwargs: Any) -> None:
        set_timesteps(*args, **kwargs)
        waiting.clear()
        waiting.extend(scheduler.timesteps.cpu())

    @wraps(step)
    def step_by_host_time(output: torch.Tensor, timestep: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return step(output, waiting.popleft(), *args, **kwargs)

    scheduler.set_timesteps, scheduler.step = set_and_fetch, step_by_host_time


def _try_a_step(scheduler: Any) -> None:
    sample = torch.zeros(1, 1, 8, 8) * scheduler.init_noise_sigma
    scheduler.set_timesteps(2)
    timestep = scheduler.timesteps[0]
    scheduler.step(torch.zeros_like(scheduler.scale_model_input(sample, timestep)), timestep, sample)
