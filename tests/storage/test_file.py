"""One file and its thread: order, ids, sums, group commit, quota."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import Retryable, StorageFull
from genai_collector.storage.statements import OVERHEAD_BYTES
from genai_collector.storage.work import Answer
from tests.storage.support import all_of, crashed, opened, until


async def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    """Ids ascend, data and meta and items are what they were, with whatever read size."""
    async with opened(tmp_path / "a.db") as one:
        ids = [await one.records.append(b"%d" % n * n, meta=b"m%d" % n, items=n) for n in range(50)]
        assert ids == sorted(set(ids))
        for max_bytes in (0, 100, 1 << 20):
            found = await all_of(one.records, max_bytes)
            assert [s.id for s in found] == ids
            assert [s.data for s in found] == [b"%d" % n * n for n in range(50)]
            assert [(s.meta, s.items) for s in found] == [(b"m%d" % n, n) for n in range(50)]
        assert (one.records.count, one.records.items) == (50, sum(range(50)))
        assert one.records.last_id == ids[-1]


async def test_reads_at_least_one_and_not_much_more(tmp_path: Path) -> None:
    """A record larger than asked for comes alone; otherwise what was asked for is not exceeded."""
    async with opened(tmp_path / "a.db") as one:
        for size in (500, 20, 30, 40):
            await one.records.append(bytes(size))
        assert [len(s.data) for s in await one.records.read(max_bytes=60)] == [500]
        assert [len(s.data) for s in await one.records.read(1, max_bytes=60)] == [20, 30]
        assert [len(s.data) for s in await one.records.read(3, max_bytes=60)] == [40]
        assert await one.records.read(4) == []


async def test_appends_that_come_together_share_a_commit(tmp_path: Path) -> None:
    """Two hundred senders at once cost few commits and as many waits for the disk."""
    async with opened(tmp_path / "a.db") as one:
        counters = one.file.counters
        await asyncio.gather(*(one.records.append(b"x" * 1000) for _ in range(200)))
        assert counters.commits == counters.syncs <= 10
        await one.records.append(b"alone")
        assert counters.commits == counters.syncs <= 11


async def test_removing_waits_for_no_disk(tmp_path: Path) -> None:
    """Removals alone make one commit that is not waited for; with an append, they go along."""
    async with opened(tmp_path / "a.db") as one:
        ids = [await one.records.append(b"x") for _ in range(10)]
        counters = one.file.counters
        before, syncs = counters.commits, counters.syncs
        for number in ids[:5]:
            one.records.remove([number])
        await one.records.settled()
        assert (counters.commits, counters.syncs) == (before + 1, syncs)
        one.records.remove(ids[5:])
        await one.records.append(b"y")
        assert (counters.commits, counters.syncs) == (before + 2, syncs + 1)
        assert [s.data for s in await all_of(one.records)] == [b"y"]


async def test_removals_are_done_without_being_asked(tmp_path: Path) -> None:
    """A removal is in the file after a moment, although nothing else happens."""
    async with opened(tmp_path / "a.db") as one:
        number = await one.records.append(b"x")
        one.records.remove([number])
        await until(lambda: not one.records.count)
        assert one.records.used == 0


async def test_without_fsync_nothing_is_waited_for(tmp_path: Path) -> None:
    """`fsync: false` commits and never waits for the disk."""
    async with opened(tmp_path / "a.db", fsync=False) as one:
        await one.records.append(b"x")
        assert (one.file.counters.commits, one.file.counters.syncs) == (1, 0)


async def test_ids_never_come_again(tmp_path: Path) -> None:
    """Ids ascend across restarts, also when the file was empty in between."""
    last = 0
    for _ in range(3):
        async with opened(tmp_path / "a.db") as one:
            assert one.records.last_id == last
            number = await one.records.append(b"x")
            assert number > last
            last = number
            one.records.remove([number])


async def test_record_sets_do_not_meet(tmp_path: Path) -> None:
    """Sets of one file have their own records, ids and sums."""
    async with opened(tmp_path / "a.db") as one:
        letters = one.other("dead_letters")
        assert await one.records.append(b"queue", items=1) == 1
        assert await letters.append(b"letter", items=5) == 1
        assert [s.data for s in await letters.read()] == [b"letter"]
        letters.remove([1])
        await letters.settled()
        assert (one.records.count, one.records.items, letters.count) == (1, 1, 0)


async def test_the_quota_holds(tmp_path: Path) -> None:
    """What is over the quota is refused and not stored; when there is room again it is taken."""
    async with opened(tmp_path / "a.db", quota=4 * (OVERHEAD_BYTES + 100)) as one:
        data = random.Random(1).randbytes(100)
        outcomes = await asyncio.gather(
            *(one.records.append(data) for _ in range(7)), return_exceptions=True
        )
        stored = [outcome for outcome in outcomes if isinstance(outcome, int)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, StorageFull)]
        assert (len(stored), len(refused)) == (4, 3)
        assert one.records.used == one.records.quota
        one.records.remove(stored[:1])
        assert await one.records.append(data) > stored[-1]


async def test_the_quota_counts_what_is_stored(tmp_path: Path) -> None:
    """Text that compresses well needs less room than it has bytes."""
    async with opened(tmp_path / "a.db", quota=1000) as one:
        await one.records.append(b"again and again " * 1000)
        assert one.records.used < 500


async def test_an_append_that_nobody_waits_for_leaves_nothing(tmp_path: Path) -> None:
    """Whoever was cancelled does not know its id: the record goes away again."""
    async with opened(tmp_path / "a.db") as one:
        for n in range(30):
            task = asyncio.create_task(one.records.append(b"x" * 100_000))
            await asyncio.sleep(n % 3 * 0.001)
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():  # it was quicker, and knows
                one.records.remove([task.result()])
        kept = await one.records.append(b"kept")
        await one.records.settled()
        await one.records.settled()
        assert [s.id for s in await all_of(one.records)] == [kept]


async def test_cancelled_between_the_answer_and_hearing_it(tmp_path: Path) -> None:
    """A record whose sender is cancelled when the answer is on its way goes away again."""
    async with opened(tmp_path / "a.db") as one:
        task = asyncio.create_task(one.records.append(b"x"))
        answers = one.file._resolve

        def resolve(told: list[Answer]) -> None:
            answers(told)
            task.cancel()

        one.file._resolve = resolve  # type: ignore[method-assign, assignment]
        await asyncio.wait({task})
        assert task.cancelled()
        one.file._resolve = answers  # type: ignore[method-assign]
        await one.records.settled()
        assert (one.records.count, one.records.last_id) == (0, 1)


async def test_one_reader_at_a_time(tmp_path: Path) -> None:
    """Who wants to read waits for the one who does; appending needs no turn."""
    async with opened(tmp_path / "a.db") as one:
        again = one.other("queue.traces")
        await one.records.acquire()
        waiting = asyncio.create_task(again.acquire())
        await again.append(b"x")
        assert not waiting.done()
        one.records.release()
        await waiting
        again.release()


async def test_a_closed_file_refuses(tmp_path: Path) -> None:
    """After the end, and before the start, appending is refused for now."""
    async with opened(tmp_path / "a.db") as one:
        records = one.records
    with pytest.raises(Retryable):
        await records.append(b"x")


async def test_space_is_used_again_and_given_back(tmp_path: Path) -> None:
    """What an outage has filled becomes small again when it is idle, and a steady flow through
    the file does not make it grow."""
    path = tmp_path / "a.db"
    noise = random.Random(2)
    async with opened(path, fsync=False) as one:
        for _ in range(40):
            number = await one.records.append(noise.randbytes(1 << 20))
            one.records.remove([number])
        await one.records.settled()
        assert path.stat().st_size < 34 << 20
        ids = [await one.records.append(noise.randbytes(1 << 20)) for _ in range(50)]
        one.records.remove(ids)
        await until(lambda: path.stat().st_size < 38 << 20)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 400)),
        st.tuples(st.just("together"), st.integers(1, 6)),
        st.tuples(st.just("remove"), st.integers(0, 30)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


class Model:
    """What must be there."""

    def __init__(self) -> None:
        self.kept: dict[int, bytes] = {}
        self.removed: dict[int, bytes] = {}
        self.highest = 0
        self.number = 0

    def data(self, size: int) -> bytes:
        self.number += 1
        return b"%d:" % self.number + b"x" * size

    def stored(self, number: int, data: bytes) -> None:
        assert number > self.highest
        self.highest = number
        self.kept[number] = data


async def _live(operations: list[tuple[str, int]], directory: Path) -> None:
    model, path, lives = Model(), directory / "life" / "a.db", 0
    path.parent.mkdir()
    pending = list(operations)
    while True:
        async with opened(path) as one:
            found = await all_of(one.records)
            assert [s.id for s in found] == sorted(s.id for s in found)
            there = {s.id: s.data for s in found}
            assert model.kept.items() <= there.items() <= (model.kept | model.removed).items()
            assert one.records.count == len(found)
            one.records.remove(there.keys() - model.kept.keys())
            while pending:
                what, amount = pending.pop(0)
                if what == "append":
                    data = model.data(amount)
                    model.stored(await one.records.append(data), data)
                elif what == "together":
                    many = [model.data(n) for n in range(amount)]
                    ids = await asyncio.gather(*(one.records.append(data) for data in many))
                    for number, data in zip(ids, many, strict=True):
                        model.stored(number, data)
                elif what == "remove" and model.kept:
                    number = sorted(model.kept)[amount % len(model.kept)]
                    model.removed[number] = model.kept.pop(number)
                    one.records.remove([number])
                elif what == "settle":
                    await one.records.settled()
                    assert one.records.count == len(model.kept)
                elif what in ("crash", "restart"):
                    break
            else:
                return
            lives += 1
            if what == "crash":
                path = crashed(path, directory / f"life{lives}")


@given(operations)
@settings(max_examples=50, deadline=None)
def test_nothing_acknowledged_is_lost(operations: list[tuple[str, int]]) -> None:
    """Whatever is appended, removed, crashed and restarted: what was acknowledged and not removed
    is there, unchanged and in order; what was removed may be there again, nothing else is."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_live(operations, Path(directory)))
