"""Which destination gets which part of a batch, and when.

A batch goes to a destination whole if its queue can ever hold it, otherwise in parts that can; one
item larger than a queue can never be delivered through it. Parts are placed in rounds: within a
round, everything fits into its queues at once, if they are empty. Almost always there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from genai_collector.component import Destination
from genai_collector.model import Batch
from genai_collector.pipeline.pipeline import Plan


class Placement(NamedTuple):
    destination: Destination
    batch: Batch
    weight: int


class TooHeavy(NamedTuple):
    """Items that are larger than the whole queue of a destination."""

    destination: Destination
    items: int


class Placing(NamedTuple):
    rounds: list[list[Placement]]
    too_heavy: list[TooHeavy]
    rejected: int
    """Items that no destination can ever take."""


def place(plans: Sequence[Plan]) -> Placing:
    """Where everything goes. The first plan is for the signal that was received."""
    placements: list[Placement] = []
    too_heavy: list[TooHeavy] = []
    for plan in plans:
        if not plan.batch:
            continue
        fitted: dict[int, Fitted] = {}
        for destination in plan.destinations:
            capacity = destination.capacity
            if capacity not in fitted:
                fitted[capacity] = fit(plan.batch, capacity)
            parts, heavy = fitted[capacity]
            placements += [Placement(destination, part, weigh(part)) for part in parts]
            if heavy:
                too_heavy.append(TooHeavy(destination, heavy))
    return Placing(_in_rounds(placements), too_heavy, _rejected(plans, too_heavy))


def _rejected(plans: Sequence[Plan], too_heavy: list[TooHeavy]) -> int:
    """How many of the items that were received nobody can take. What a connector makes of them
    for another signal is something else."""
    signal = plans[0].batch.signal
    received = [plan for plan in plans if plan.batch.signal is signal]
    ways = sum(_ways(plan) for plan in received)
    heavy = [each.items for each in too_heavy if each.destination.signal is signal]
    return min(heavy) if heavy and len(heavy) == ways else 0


def _ways(plan: Plan) -> int:
    """In how many ways items may leave a pipeline; an emptied batch has left in one."""
    return len(plan.destinations) if plan.batch else 1


def weigh(batch: Batch) -> int:
    """Bytes that a batch takes in a queue."""
    return max(1, batch.size_bytes)


class Fitted(NamedTuple):
    parts: list[Batch]
    too_heavy: int


def fit(batch: Batch, capacity: int) -> Fitted:
    """Parts of at most `capacity` bytes each, and how many items are larger than that alone."""
    if weigh(batch) <= capacity:
        return Fitted([batch], 0)
    # The size of a changed batch is an estimate; before cutting and rejecting, know it exactly.
    size = len(batch.encoded())
    if size <= capacity:
        return Fitted([batch], 0)
    pieces = batch.split(-(-size // max(1, capacity)))
    if len(pieces) == 1:
        return Fitted([], batch.count)
    fitted = [fit(_weighed(piece), capacity) for piece in pieces]
    return Fitted([part for f in fitted for part in f.parts], sum(f.too_heavy for f in fitted))


def _weighed(piece: Batch) -> Batch:
    piece.encoded()  # a share of the whole says little about one piece
    return piece


def _in_rounds(placements: Iterable[Placement]) -> list[list[Placement]]:
    rounds: list[list[Placement]] = []
    at: dict[int, tuple[int, int]] = {}
    for placement in placements:
        key = id(placement.destination)
        number, used = at.get(key, (0, 0))
        if used + placement.weight > placement.destination.capacity:
            number, used = number + 1, 0
        at[key] = (number, used + placement.weight)
        while len(rounds) <= number:
            rounds.append([])
        rounds[number].append(placement)
    return rounds
