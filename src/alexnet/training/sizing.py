"""Choose the image size for the images and the time limit, and the recipe for the passes that fit."""

import time
from dataclasses import replace

from alexnet.data.store.store import with_room
from alexnet.network.value.architecture import Architecture
from alexnet.training.auto import MAX_SMALL
from alexnet.training.machine.distributed import Group
from alexnet.training.machine.runtime import Runtime
from alexnet.training.plan import Plan, fitting_sizes
from alexnet.training.trials import time_steps

# With a time limit, the largest size is chosen at which enough epochs fit, by the smallest size that needs as many;
# what is enough was measured in docs/experiments.md.
ENOUGH_EPOCHS = {120: 20, 90: 4, 0: 0}
# The same for networks for small images, which learn more from enlarged ones: by the factor.
ENOUGH_EPOCHS_ENLARGED = {1.5: 30, 1.25: 12}
# Upscaling small images beyond this size gains nothing.
MAX_UPSCALED = 131


def choose_image_size(
    plan: Plan, image_size: int | None, store_size: int, runtime: Runtime, group: Group, n_parts: int
) -> Plan:
    """Return the plan with image size and recipe for its passes; with a time limit, measure the machine's speed first.

    Args:
        plan: the plan at the network's own image size.
        image_size: the requested size in pixels; None to choose by images and time limit.
        store_size: side of the stored images, in pixels.
        runtime: device and precision.
        group: the processes that train together.
        n_parts: number of parts in which a step is computed.
    """
    native = plan.architecture
    enough = {native.image_size: 0} if image_size is not None else _enough_epochs(native, store_size)
    if plan.deadline is None:
        # Without enlarging small images beyond their own size.
        size = min(enough) if native.image_size <= MAX_SMALL else max(enough)
        return _at_size(plan, size).for_passes(plan.n_epochs)
    # All share one Timing: the middle size is measured, and the others are estimated from it.
    plans = [_at_size(plan, size) for size in enough]
    time_steps(plans[len(plans) // 2], runtime, group, n_parts)
    seconds = plan.deadline - time.monotonic()
    # If all epochs fit that are asked for, the limit changes nothing.
    enough |= {size: min(least, plan.n_epochs) for size, least in enough.items() if size <= native.image_size}
    fitting = [min(each.epochs_that_fit(seconds), plan.n_epochs) for each in plans]
    candidates = zip(plans, fitting, enough.values(), strict=True)
    chosen, n_epochs = next(((each, n) for each, n, least in candidates if n >= least), (plans[-1], fitting[-1]))
    return chosen.for_passes(n_epochs)


def _enough_epochs(native: Architecture, store_size: int) -> dict[int, int]:
    """Return the image sizes to choose from, the largest first, and how many epochs must fit at each."""
    side = native.image_size
    if side <= MAX_SMALL:
        if store_size < with_room(side):  # enlarged to the network's own size already
            return {side: 0}
        if store_size <= with_room(MAX_SMALL):
            side = store_size * 7 // 8  # the images' own size, without the room for crops
        enlarged = {_enlarged(native, factor * side): least for factor, least in ENOUGH_EPOCHS_ENLARGED.items()}
        return enlarged | {side: 0}
    sizes = {
        size: next(least for smallest, least in ENOUGH_EPOCHS.items() if size >= smallest)
        for size in (side, *reversed(fitting_sizes(native)))
    }
    if store_size < with_room(MAX_UPSCALED):
        sizes = {size: least for size, least in sizes.items() if size <= MAX_UPSCALED} or {min(sizes): 0}
    return sizes


def _enlarged(native: Architecture, most: float) -> int:
    """Return the largest image size up to ``most`` at which every window fits."""
    return fitting_sizes(replace(native, image_size=int(most) + 1))[-1]


def _at_size(plan: Plan, size: int) -> Plan:
    return replace(plan, architecture=replace(plan.architecture, image_size=size))
