"""law -> test -> planted fault: a row for each law. ``nox -s laws`` runs it.

A fault is a piece of the source and what stands there instead; the named test must fail with
it. The rules that the decision core alone decides have their faults in `tests/model/faults.py`.
"""

from __future__ import annotations

from typing import NamedTuple

SUITE = "tests/test_conformance.py"
DEATH = "tests/faults/test_worker_death.py"
SERIAL = "tests/faults/test_serialisation.py"
LIMITS = "tests/faults/test_limits.py"
CLEAN = "tests/faults/test_clean.py"
NESTING = "tests/faults/test_nesting.py"
VOICES = "tests/faults/test_voices.py"
ENDINGS = "tests/faults/test_endings.py"
LIFECYCLE = "tests/faults/test_lifecycle.py"
SCRIPTS = "tests/faults/test_scripts.py"
CONTEXT = "tests/faults/test_context.py"


class Row(NamedTuple):
    law: str
    test: str
    file: str
    old: str
    new: str


ROWS = [
    Row("L1", f"{SUITE}::TestThread::test_L01_a_lambda_that_returns_an_awaitable_is_awaited", "_running.py", '    return hasattr(type(value), "__await__")\n', "    return False\n"),
    Row("L2", f"{SUITE}::TestThread::test_L02_tasks_start_first_in_first_out", "_core/dispatch.py", "self._send(self.queue.popleft(), worker, now)", "self._send(self.queue.pop(), worker, now)"),
    Row("L3", f"{DEATH}::test_L22_death_in_the_middle_of_a_batch", "_core/dispatch.py", "            self._requeue(batch.part(cursor + 1, run.end))\n        if cursor == run.end:", "            pass\n        if cursor == run.end:"),
    Row("L3", f"{DEATH}::test_L03_a_task_that_forks_is_answered_once", "_life.py", "        os.register_at_fork(after_in_child=worker.leave_the_pipe)\n", "        pass\n"),
    Row("L4", f"{SUITE}::TestThread::test_L04_strict_as_in_zip", "_core/verbs.py", "strict=strict)", "strict=False)"),
    Row("L5", f"{SUITE}::TestThread::test_L05_buffersize_bounds_what_is_pulled", "_core/maps.py", "            return self._buffersize\n        if not self.home.eager", "            return self._buffersize + 1\n        if not self.home.eager"),
    Row("L6", f"{SUITE}::TestThread::test_L06_work_starts_at_the_call", "_core/maps.py", "        if self.home.eager or self._buffersize is not None:", "        if self._buffersize is not None:"),
    Row("L6", f"{SUITE}::TestThread::test_L06_an_input_that_waits_for_the_result_before_it", "_core/maps.py", "        if self._waiting and self._is_short_of_work():\n            self._submit(len(self._waiting))\n", ""),
    Row("L7", f"{SUITE}::TestThread::test_L07_inputs_are_pulled_by_the_caller", "_core/maps.py", '        """For `dispatch`: so many items succeeded, and nobody asked for their outcomes."""\n', "        self._pull(1, prompt=False)\n"),
    Row("L8", f"{SUITE}::TestThread::test_L08_an_unstarted_map_is_finished_by_close", "_backends/room.py", "                run.finish()\n                self._block", "                run.truncate()\n                self._block"),
    Row("L9", f"{SUITE}::TestThread::test_L09_a_faulty_iterable", "_core/maps.py", "        self._fault = fault\n", "        pass\n"),
    Row("L10", f"{LIMITS}::test_L10_a_slow_item_holds_nobody_up", "_core/dispatch.py", '            elif what == "patience":\n                self._withdraw(self.runs[number])', '            elif what == "patience":\n                pass'),
    Row("L11", f"{SERIAL}::test_L11_same_exception", "_pickling.py", "    data = dumps((_rebuild, _parts_of(error)))\n", "    raise ValueError\n    data = b''\n"),
    Row("L11", f"{SERIAL}::test_L11_exceptions_that_lead_to_the_same", "_pickling.py", "        links = number_of(one.__cause__), number_of(one.__context__)\n", "        links = number_of(one.__cause__), None\n"),
    Row("L12", f"{SERIAL}::test_L12_what_cannot_be_rebuilt_in_the_parent", "_backends/packing.py", "        return Success(pickle.loads(data), seconds=seconds)\n    except BaseException as error:", "        return Success(pickle.loads(data), seconds=seconds)\n    except ZeroDivisionError as error:"),
    Row("L12", f"{SERIAL}::test_L12_what_a_worker_has_no_memory_for", "_worker.py", "            return self._skip(kind, number, offset, size)\n", "            raise\n"),
    Row("L12", f"{SERIAL}::test_L12_a_result_that_refuses_ends_no_worker", "_worker.py", "            return _messages.VALUE, seconds, self._pack(value)\n        except BaseException as error:", "            return _messages.VALUE, seconds, self._pack(value)\n        except Exception as error:"),
    Row("L12", f"{SERIAL}::test_portable_serial_takes_the_same_road", "_backends/serial.py", "            except Exception as error:\n                failure =", "            except ZeroDivisionError as error:\n                failure ="),
    Row("L12b", f"{SERIAL}::test_L12b_state_of_a_function_does_not_leak", "_pickling.py", "        return fn.__closure__ is None\n", "        return True\n"),
    Row("L12b", f"{SCRIPTS}::test_L12b_what_an_initializer_binds_is_seen_by_all_tasks", "_scripts.py", "    names.update(_bound)\n", "    pass\n"),
    Row("L13", f"{SUITE}::TestThread::test_L13_stop_iteration_ends_nothing", "_running.py", "    if issubclass(type(error), (StopIteration, StopAsyncIteration)):", "    if False:"),
    Row("L13", f"{ENDINGS}::test_L13_a_module_that_another_thread_imports", "_running.py", '    cancelled_error = getattr(sys.modules.get("asyncio"), "CancelledError", None)\n', '    cancelled_error = sys.modules["asyncio"].CancelledError\n'),
    Row("L14", f"{SUITE}::TestThread::test_L14_gather_cancels_what_has_not_started", "_core/gather.py", "                    task.abort()\n", "                    pass\n"),
    Row("L15", f"{SUITE}::TestThread::test_L15_cancel_before_the_start", "_core/task.py", "                return 1\n            self._cancel_won = True\n            return 0\n", "                return 1\n            return 1\n"),
    Row("L15", f"{LIMITS}::test_L15_children_of_a_task_end_with_its_worker", "_backends/child.py", 'in (getattr(os, "killpg", None), os.kill):', "in (os.kill,):"),
    Row("L16", f"{LIMITS}::test_L16_a_task_that_left_its_process_group", "_backends/child.py", 'in (getattr(os, "killpg", None), os.kill):', "in (os.killpg,):"),
    Row("L16", f"{LIMITS}::test_L16_coroutine_that_swallows_every_cancellation", "_backends/thread.py", "        self.post(self.dispatch.discarded, run.number)\n", "        pass\n"),
    Row("L16", f"{LIMITS}::test_L16_process_is_stopped_on_time", "_core/dispatch.py", '            elif what == "limit":\n                self._over_limit(self.runs[number], now)', '            elif what == "limit":\n                pass'),
    Row("L16", f"{LIMITS}::test_L16_an_import_is_not_torn", "_worker.py", " and not _is_importing(frame):", ":"),
    Row("L17", f"{SUITE}::TestThread::test_L17_a_cancelled_scope_cancels_what_has_not_started", "_core/task.py", "            if not self.cancel() and not self._is_waited_for():\n                self.abort()\n", ""),
    Row("L18", f"{SUITE}::TestThread::test_L18_nested_submits", "_core/dispatch.py", "        run.aside = True\n        self.active -= 1\n", "        run.aside = True\n"),
    Row("L18", f"{NESTING}::test_L18_a_captured_executor_stays_in_the_worker", "_backends/create.py", "    if kind != \"process\":\n", "    if True:\n"),
    Row("L19", f"{SUITE}::TestThread::test_L19_map_takes_the_context_of_its_call", "_backends/room.py", "        return fn, copy_context()\n", "        return fn, __import__('contextvars').Context()\n"),
    Row("L19", f"{CONTEXT}::test_L19_nothing_is_left_behind_where_nothing_was_set", "_backends/trips.py", "            if len(own) != 1:\n                return None\n            before = now\n", "            before = now\n"),
    Row("L20", f"{SUITE}::TestThread::test_L20_leaving_by_an_exception_cancels", "_backends/executor.py", "            self._give_up()\n        try:\n            self.shutdown(wait=True)", "            pass\n        try:\n            self.shutdown(wait=True)"),
    Row("L20", f"{ENDINGS}::test_L20_ctrl_c_while_a_loop_is_given_back", "_backends/executor.py", "            self._give_up()\n            with CancelScope(shield=True):\n                await self.aclose()\n", ""),
    Row("L20", f"{ENDINGS}::test_L20_an_executor_while_the_program_ends", "_backends/room.py", "        if ending.exiting and not self.lives():\n            self._close_here()\n        else:\n            self.post(", "        if True:\n            self.post("),
    Row("L20", f"{ENDINGS}::test_L20_a_close_waits_in_a_function_that_is_a_handler_too", "_backends/interrupts.py", "    return given is None or any(value is frame.f_back for value in given)\n", "    return True\n"),
    Row("L21", f"{SUITE}::TestThread::test_L21_after_shutdown_every_verb_raises", "_backends/room.py", "        if self.closing:\n            raise ExecutorClosedError", "        if False:\n            raise ExecutorClosedError"),
    Row("L22", f"{DEATH}::test_L22_rerun_lost_runs_it_again", "_backends/process.py", "touched = any(", "touched = not any("),
    Row("L22", f"{DEATH}::test_L22_death_half_way_through_a_large_argument", "_core/dispatch.py", "        item.deaths += touched\n", "        item.deaths += 1\n        touched = True\n"),
    Row("L22", f"{DEATH}::test_L22_children_of_a_task_end_with_its_death", "_backends/process.py", "        child.kill()  # what its tasks started ends with it\n", ""),
    Row("L22", f"{LIFECYCLE}::test_there_is_no_memory_for", "_backends/child.py", "        except MemoryError:\n            self._large, self._skipped = NO_MEMORY, size - here\n", "        except ZeroDivisionError:\n            self._large, self._skipped = NO_MEMORY, size - here\n"),
    Row("L22", f"{LIFECYCLE}::test_workers_cannot_be_started_with", "_backends/process.py", "            self.post(self.dispatch.spawn_failed, worker.number, error)\n", "            self.post(self.dispatch.init_failed, worker.number, error)\n"),
    Row("L23", f"{ENDINGS}::test_L23_workers_go_with_their_parent", "_life.py", "    hold_lifeline(lifeline)\n    signal.signal(signal.SIGINT, lambda", "    signal.signal(signal.SIGINT, lambda"),
    Row("L24", f"{SERIAL}::test_L24_python_dash_c", "_pickling.py", '        if b"__main__" not in data:', "        if True:"),
    Row("L25", f"{CLEAN}::test_L25_lost_workers_leave_nothing", "_backends/starting.py", "    ours.callback(os.close, held)\n", "    pass\n"),
    Row("L25", f"{CLEAN}::test_L25_nobody_can_connect_and_no_file_has_a_name", "_backends/process.py", "        self._bell, self._ear = socket.socketpair()\n", "        self._bell, self._ear = socket.socketpair()\n        self._door = socket.create_server(('127.0.0.1', 0))\n"),
    Row("L26", f"{VOICES}::test_L26_log_records_reach_the_parent", "_backends/process.py", "            callbacks.run([lambda: _repeat(data)])", "            pass"),
    Row("L26", f"{VOICES}::test_L26_levels_follow_the_parent", "_backends/process.py", "        if before != self._voices:", "        if False:"),
    Row("L26", f"{VOICES}::test_L26_warnings_reach_the_parent", "_voices.py", 'whose = "" if task is None else', 'whose = "" if True else'),
    Row("L26", f"{VOICES}::test_L26_children_that_tasks_fork_speak_for_themselves", "_voices.py", "        os.register_at_fork(after_in_child=speak_for_ourselves)\n", "        pass\n"),
    Row("L26", f"{VOICES}::test_L26_what_is_said_in_the_midst_of_a_message", "_outbox.py", "        self.lock = threading.RLock()\n", "        self.lock = threading.Lock()\n"),
    Row("L27", f"{LIFECYCLE}::test_L27_whatever_a_callback_raises_is_logged", "_backends/callbacks.py", "                except BaseException:  # SystemExit, say", "                except Exception:  # SystemExit, say"),
    Row("L27", f"{SUITE}::TestThread::test_L27_a_slow_callback_delays_no_task", "_core/task.py", "            self._home.call_back(self._take_callbacks())", "            [call() for call in self._take_callbacks()]"),
]  # fmt: skip
