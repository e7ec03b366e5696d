"""One fault for each rule that the core decides, planted in its source one at a time.

A fault is a piece of the source and what stands there instead. If the piece is not found
exactly once, the fault is out of date, and its test says so.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import NamedTuple

from unifexec._core import batches, dispatch, runs


class Fault(NamedTuple):
    name: str
    laws: str
    old: str
    new: str


FAULTS = [
    Fault("last in, first out", "L2", "self._send(self.queue.popleft(), worker, now)", "self._send(self.queue.pop(), worker, now)"),
    Fault("an outcome is lost", "L3", "            self._settle(run, self._judge(run, outcome))\n", "            self._settle(run, self._judge(run, outcome)) if run.number % 7 else None\n"),
    Fault("late answers count", "L3", "        if not run.settled:\n            self._settle(run, self._judge", "        if True:\n            self._settle(run, self._judge"),
    Fault("giving up gives two places back", "L3", "        self.abandoned.add(number)\n        self._leave(run)\n", "        self.abandoned.add(number)\n        self.active -= 1\n"),
    Fault("unwanted items start", "L8 L14", "        wanted, size = batch.sink.claim_batch(batch), len(batch)\n", "        wanted, size = batch.sink.claim_batch(batch) and len(batch), len(batch)\n"),
    Fault("cancelled tasks start", "L15", "        return wanted\n", "        return wanted or 1\n"),
    Fault("slow items hold others up", "L10", '            elif what == "patience":\n                self._withdraw(self.runs[number])', '            elif what == "patience":\n                pass'),
    Fault("withdrawn items vanish", "L3 L10", "            self._requeue(run.batch.part(run.end, end))\n", "            pass\n"),
    Fault("limits are not kept", "L16", '            elif what == "limit":\n                self._over_limit(self.runs[number], now)', '            elif what == "limit":\n                pass'),
    Fault("a limit hits the next item", "L16", "        return run is None or run.cursor != offset\n", "        return run is None\n"),
    Fault("giving up gives no place back", "L16", "        self.abandoned.add(number)\n        self._leave(run)\n        run.worker.runs.remove(run)\n", "        self.abandoned.add(number)\n        del self.runs[number]\n        run.worker.runs.remove(run)\n"),
    Fault("a waiting task keeps its place", "L18", "        run.aside = True\n        self.active -= 1\n", "        run.aside = True\n"),
    Fault("a place is never given back", "L18", "        self.returning.append(run)\n", "        pass\n"),
    Fault("who waits again gets a place", "L18", "        if run.wants_back is not None:\n            self.returning.remove(run)\n", "        if False:\n            self.returning.remove(run)\n"),
    Fault("a place is given twice", "L18", "        run.aside = False\n        self.active += 1\n", "        run.aside = False\n"),
    Fault("more run than may", "L18", "        while self.active < self.limits.max_workers:", "        while self.active <= self.limits.max_workers:"),
    Fault("closing loses the queue", "L20", "            for batch in batches:\n                self._requeue(batch)  # which fails it\n", "            pass\n"),
    Fault("cancelled work comes back after closing", "L20", "            if self._cancelling or part.aborted:\n", "            if self._cancelling:\n                continue\n            if part.aborted:\n"),
    Fault("closed too early", "L21", "        if self.queue or self.runs or self.crews:", "        if self.queue or self.crews:"),
    Fault("closed over items side by side", "L21", "        if self.queue or self.runs or self.crews:", "        if self.queue or self.runs:"),
    Fault("maps are not waited for", "L8 L21", "        if not self.closing or self.ended or self.sources:", "        if not self.closing or self.ended:"),
    Fault("it never closes", "L21", '            self._actions.append(("closed",))', "            pass"),
    Fault("the rest of a dead worker's batch is lost", "L22", "            self._requeue(batch.part(cursor + 1, run.end))\n        if cursor == run.end:", "            pass\n        if cursor == run.end:"),
    Fault("the innocent is lost too", "L22", "if touched else True", "if touched else False"),
    Fault("deaths of others use up its reruns", "L22", "        item.deaths += touched", "        item.deaths += 1"),
    Fault("what was lost runs again unasked", "L3 L22", "item.deaths <= batch.options.rerun_lost", "item.deaths <= batch.options.rerun_lost + 1"),
    Fault("what was lost is never run again", "L22", "item.deaths <= batch.options.rerun_lost", "item.deaths <= 0"),
    Fault("no new worker for a dead one", "L22", "        worker = self.workers.pop(number, None)\n", "        worker = self.workers.get(number)\n"),
    Fault("sent to a dead worker", "L22", "        if worker in self.idle:\n            self.idle.remove(worker)\n        return worker\n", "        return worker\n"),
    Fault("a failed initializer leaves tasks waiting", "L22", "        for batch in batches:\n            self._fail(batch, verdicts.not_set_up(why))\n", "        pass\n"),
    Fault("workers stay beyond max_tasks_per_child", "L25", "        if most is not None and worker.tasks >= most:", "        if most is not None and worker.tasks > most + 1:"),
    Fault("an outcome is told twice", "L3", "        self._actions.append((\"settle\", batch.sink, outcome.index, outcome))\n", "        self._actions.append((\"settle\", batch.sink, outcome.index, outcome))\n        self._actions.append((\"settle\", batch.sink, outcome.index, outcome)) if outcome.index % 3 == 2 else None\n"),
    Fault("an answer goes to the next item", "L3 L10", "        self._settle_item(run.batch, run.cursor, outcome)", "        self._settle_item(run.batch, min(run.cursor + run.withdrawing, len(run.batch) - 1), outcome)"),
    Fault("cancelled tasks are told late", "L15", "        self._actions.append((\"settle\", sink, 0, outcome))\n", "        pass\n"),
    Fault("a child gets more than its tasks", "L25", "            self.queue.appendleft(batch.part(share, size))\n            del batch.items[share:]\n", "            pass\n"),
    Fault("workers start one after the other", "L6", "min(self._waiting(), places) - self._starting", "1 - self._starting"),
    Fault("workers of a batch start one after the other", "L6", "            waiting += sum([len(batch) - 1 for batch in islice(self.queue, LOOKED_AT)])\n", "            pass\n"),
    Fault("who does not leave is waited for", "L20", '                self._actions.append(("end", self.workers[number]))', "                pass"),
    Fault("a bundle is more than its worker's share", "L25", "min(share, self._bundle_size())", "self._bundle_size()"),
    Fault("cancelled tasks start in a bundle", "L15", "            if batch.sink.claim_batch(batch):\n                members.append(batch)", "            if True:\n                members.append(batch)"),
    Fault("an aborted task of a bundle runs all the same", "L15", "        batch.aborted = isinstance(run.batch, Bundle)\n", "        batch.aborted = False\n        if isinstance(run.batch, Bundle) and run.cursor != offset:\n            return\n"),
    Fault("an abort stops another task of the bundle", "L15", "        if batch.aborted and run.cursor != offset:", "        if False:"),
    Fault("a bundle mixes options", "L16", "            if type(batch) is not Single or batch.options is not options:", "            if type(batch) is not Single:"),
    Fault("a bundled task takes the outcome of its neighbour", "L3", "        return self.members[offset], self.members[offset].first", "        return self.members[offset - 1], self.members[offset - 1].first"),
    Fault("what comes back goes to the end", "L2 L10", "                self.queue.appendleft(part)", "                self.queue.append(part)"),
    Fault("late successes beat the limit", "L16", "if limit is not None and outcome.seconds > limit:", "if False:"),
    Fault("the grace is for ever", "L15 L16", "        self._actions.append((\"discard\", run))", "        pass"),
    Fault("what begins after its grace goes on", "L15 L16 L20", "            run.given_up = -1\n            self.stopping(number, offset, now)\n", "            pass\n"),
    Fault("given up twice", "L16", "        if run.given_up == run.cursor:\n            return  # its", "        if False:\n            return  # its"),
    Fault("who is about to be given up does not count", "L16", " + sum(run.given_up == run.cursor for run in self.runs.values())", ""),
    Fault("too many are given up", "L16", "self._given_up() >= most and not self.closing", "False"),
    Fault("stopped against its options", "L15", "if abort_running and run.batch.options.abort:", "if abort_running:"),
    Fault("an abort is not passed on", "L15", "            self._actions.append((\"abort\", run))", "            pass"),
    Fault("workers die at the start for ever", "L22", "            self._untouched_deaths += 1\n", "            pass\n"),
    Fault("an item kills one worker after another", "L22", "elif again and item.near_deaths < UNTOUCHED_DEATHS:", "elif again:"),
    Fault("sent to an idle worker that left", "L3", "            self.idle.remove(worker)\n            self._retire(worker, now)", "            self._retire(worker, now)"),
    Fault("a given-up task waits for its place", "L16 L18", "        self._asides -= 1\n        self._drop_wish(run)\n", "        self._asides -= 1\n"),
    Fault("the lost are not counted", "L22", "            self.lost += 1\n", "            pass\n"),
    Fault("an abort misses the item that just began", "L14 L15 L20", "run.batch.at(run.cursor)[0].aborted:\n                self._stop(run, now)\n", "run.batch.at(run.cursor)[0].aborted:\n"),
    Fault("a close waits for what just began", "L20", "                if self._aborting:\n                    self.stopping(run.number, run.cursor, now)\n", ""),
    Fault("an aborted task runs again", "L15", "            self.queue.remove(batch)\n            self._fail(batch, verdicts.cancelled)\n", "            pass\n"),
    Fault("late work starts after a cancelling close", "L20", "        return verdicts.cancelled if self._cancelling else None\n", "        return None\n"),
    Fault("a cut stops what shall finish", "L8 L14", "            if abort and run.batch.options.abort:", "            if run.batch.options.abort:"),
    Fault("a cut does not stop what runs", "L14", "                self._doom(run, wanted, now)", "                pass"),
    Fault("what cannot be sent has no outcome", "L12", "            self._settle_item(batch, 0, Failure(error))\n        else:", "            pass\n        else:"),
    Fault("who is given up and asks for a place waits", "L18", "            self._actions.append((\"grant\", granted))\n            return\n        run.wants_back", "            return\n        run.wants_back"),
    Fault("an index is used twice", "L22", "heappop(self._free_indexes) if self._free_indexes else len(self.workers)", "len(self.workers)"),
    Fault("a block is put where its batch begins", "L2 L3", "        first = run.batch.first + run.cursor\n", "        first = run.batch.first\n"),
    Fault("a block counts as one item", "L3 L10", "        run.cursor += items\n", "        run.cursor += 1\n"),
    Fault("a block counts as one that is done", "L3", "        self.done += items\n", "        self.done += 1\n"),
    Fault("a block comes after the limit of its first", "L3 L16", "        return None if run is None or run.batch.options.time_limit is not None else run", "        return run"),
    Fault("a block of what was given up is not heard", "L16", "        if run is None:\n            self.answered(number, [Success(value, seconds=seconds)", "        if run is None:\n            return\n            self.answered(number, [Success(value, seconds=seconds)"),
    Fault("a block ends nothing", "L3 L18", "        self._count(run, len(values), seconds)\n        run.progress = now\n        self._go_on(run, now)\n", "        self._count(run, len(values), seconds)\n        run.progress = now\n"),
    Fault("a run answered with others does not end", "L3 L18", "        self._answer_item(run, outcome)\n        self._end(run, now)\n", "        self._answer_item(run, outcome)\n"),
    Fault("nothing follows on runs answered as one", "L2", "seconds=seconds), now)\n        self._assign(now)\n", "seconds=seconds), now)\n"),
    Fault("items of a crew give no place back", "L18", "        self.active -= count\n", "        pass\n"),
    Fault("items of a crew are not counted", "L3", "        self.done += count\n", "        pass\n"),
    Fault("a crew never ends", "L3 L21", "        if not crew.left:\n            del self.crews[crew.number]\n", ""),
    Fault("a crew ends with its first item", "L3 L21", "        if not crew.left:\n            del self.crews", "        if True:\n            del self.crews"),
    Fault("values of a crew are put together over a gap", "L2 L3", " if offsets[at] != offsets[at - 1] + 1]", " if False]"),
    Fault("values of a crew are put where its batch begins", "L2 L3", "            first = batch.first + offsets[begin]\n", "            first = batch.first\n"),
    Fault("more run side by side than may", "L18", "        free = min(1 + len(self.idle), self.limits.max_workers - self.active)\n", "        free = 1 + len(self.idle)\n"),
    Fault("what finds no place in a crew is lost", "L3", "            self.queue.appendleft(batch.part(size, len(batch)))\n", "            pass\n"),
    Fault("what finds no place in a crew goes to the end", "L2", "            self.queue.appendleft(batch.part(size, len(batch)))\n", "            self.queue.append(batch.part(size, len(batch)))\n"),
    Fault("what is written out is forgotten", "L3 L14", "                self.runs[run.number] = run\n                worker.runs", "                worker.runs"),
    Fault("what is written out rests", "L18", "                worker.runs.append(run)\n                worker.crew = None\n", "                worker.crew = None\n"),
    Fault("a cut does not stop a crew", "L14", "        self.write_out_crews(sink)\n", ""),
    Fault("a close does not stop a crew", "L20", "            self.write_out_crews()\n", "            pass\n"),
    Fault("who waits in a crew keeps its place", "L18", "        run = self._run(number)\n        if run is None:\n            return\n", "        run = self.runs.get(number)\n        if run is None:\n            return\n"),
    Fault("a failure in a crew is not heard", "L3", "        run = self._run(number)\n        if run is None:\n            self.abandoned", "        run = self.runs.get(number)\n        if run is None:\n            self.abandoned"),
    Fault("news of a crew that was written out are lost", "L3", "                    self._answer_run(number + offset, Success(", "                    (number + offset, Success("),
    Fault("who runs an item of a crew gets more", "L18", "        return worker.crew is None and all(", "        return all("),
    Fault("numbers of a crew are used again", "L3", "            self._numbers += size - 1  # those of its other items\n", ""),
    Fault("the worker of an item is not told apart from the next", "L3", "            worker, workers[offset] = workers[offset], None\n", "            worker = workers[offset]\n"),
    Fault("who waits for a worker that comes too late does not close", "L15 L20", "        self._rest(worker, now)\n        self._assign(now)\n\n    def spawn_failed", "        self._rest(worker, now)\n        closing, self.closing = self.closing, False\n        self._assign(now)\n        self.closing = closing\n\n    def spawn_failed"),
    Fault("what was given up and ends with others counts on", "L16", "            self.abandoned.discard(number)\n            return\n        self._answer_item", "            return\n        self._answer_item"),
    Fault("answered tasks take the places of others", "L3", "run.batch.parts()[first : first + count]\n", "run.batch.parts()[:count]\n"),
    Fault("an answered task moves nothing on", "L3 L10", "        self._count(run, count, sum(", "        self._count(run, 0, sum("),
    Fault("tasks behind a failure are not answered", "L3", "            values, seconds = values[begin:], seconds[begin:]\n", "            values, seconds = [], []\n"),
    Fault("a failure among tasks is counted twice", "L3", "                begin = end + 1\n", "                begin = end\n"),
    Fault("an abort misses what comes after a block", "L14 L15", "        run.cursor += items\n        run.stopping = False\n", "        run.cursor += items\n"),
    Fault("parts of a batch are of another kind", "L10", "            context=self.context, plain=self.plain, loose=self.loose, unary=self.unary,\n", "            context=self.context, loose=self.loose, unary=self.unary,\n"),
    Fault("joined to more than its worker's share", "L25", "self._extend(batch, min(share, self._bundle_size(size)))", "self._extend(batch, self._bundle_size(size))"),
    Fault("joined over a gap", "L2 L3", "            and more.first == batch.first + len(batch)\n", ""),
    Fault("joined with another map", "L2 L3", "            more.sink is batch.sink\n            and ", "            "),
    Fault("joined to more than pays", "L10", "            and len(batch) + len(more) <= most\n", ""),
    Fault("joined where a size was chosen", "L10", "        self.loose = loose\n", "        self.loose = True\n"),
    Fault("joined, and deaths before its touch are forgotten", "L22", "            and not more.near_deaths\n", ""),
    Fault("joined, and deaths over it are forgotten", "L3 L22", "            and not more.deaths\n", ""),
    Fault("unwanted items are joined", "L8 L14", "            if self._trim(more):\n                batch.items += more.items\n", "            batch.items += more.items\n"),
    Fault("what is joined is lost", "L3", "                batch.items += more.items\n", "                pass\n"),
    Fault("idle workers stay", "L25", '        if what == "idle":\n            worker =', '        if what == "never":\n            worker ='),
    Fault("the end of who does not leave is forgotten", "L20", '        if what == "leave":\n            return', '        if what == "never":\n            return'),
    Fault("what is taken back has no deadlines", "L15 L16", "        return run is None or run.cursor != offset\n", "        return run is None or run.cursor != offset or run.withdrawing\n"),
    Fault("what was told to stop has no deadlines", "L15 L16", "        return run is None or run.cursor != offset\n", "        return run is None or run.cursor != offset or run.stopping\n"),
    Fault("what waits has no deadlines", "L16 L18", "        return run is None or run.cursor != offset\n", "        return run is None or run.cursor != offset or run.aside\n"),
    Fault("only first items have deadlines", "L10 L16", "        return run is None or run.cursor != offset\n", "        return run is None or run.cursor > 0\n"),
    Fault("deadlines that were kept wake the room", "L10", "        return run is None or run.cursor != offset\n", "        return False\n"),
    Fault("who waits for a worker that cannot be started waits on", "L22", "        if not self.workers:\n            self._fail_all_waiting(error)\n", ""),
    Fault("all fail for one that cannot be started", "L22", "        if not self.workers:\n            self._fail_all_waiting(error)\n", "        self._fail_all_waiting(error)\n"),
    Fault("nobody takes the work of one that cannot be started", "L18 L22", "        more = len(self.workers) < self.limits.max_workers and now >= self._spawn_at\n", "        more = len(self.workers) < self.limits.max_workers\n"),
    Fault("no worker is tried again", "L22", "            elif what == \"spawn\":\n                self._assign(now)\n", ""),
    Fault("one after the other is tried in vain", "L22", "        if self.workers and now < self._spawn_at:\n            return\n", ""),
    Fault("a tick is due a little too late", "L10 L16", "        while self._deadlines and self._deadlines[0][0] <= now:", "        while self._deadlines and self._deadlines[0][0] < now:"),
]  # fmt: skip


def planted(fault: Fault) -> types.ModuleType:
    """The decision core with one fault; its batches replace those that it imports."""
    sources = [
        Path(part.__file__).read_text(encoding="utf-8") for part in (dispatch, batches, runs)
    ]
    found = sum(source.count(fault.old) for source in sources)
    assert found == 1, f"the fault {fault.name!r} is out of date"
    module = types.ModuleType("faulty_core")
    for source in sources:
        exec(compile(source.replace(fault.old, fault.new), "faulty_core.py", "exec"), vars(module))
    return module
