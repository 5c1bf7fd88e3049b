"""Keepers of small real processes whose health the tests decide."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress

import pytest

from serving.stack import reaper
from serving.stack.errors import StackError
from serving.stack.keeper import LONGEST_DELAY_S, Keeper, Surroundings, delay_after
from serving.stack.layout import Layout
from serving.stack.part import Health, Part
from serving.stack.settings import StackSettings
from serving.stack.state import locked
from serving.stack.watchdog import watchdog

SLEEP = ("bash", "-c", "sleep 60 & sleep 60")
FAST = {"health_interval_s": 0.02, "start_timeout_s": 2.0}


class Patient:
    """A part whose health is set by the test."""

    def __init__(self, command=SLEEP, **more):
        self.is_well = True
        self.ends = 0
        self.part = Part(
            name="patient",
            command=command,
            environment=dict(os.environ),
            ports={},
            stop_s=1.0,
            is_alive=self.ask,
            is_ready=lambda _pid: self.ask(),
            after_end=self.ended,
            **more,
        )

    async def ask(self):
        return self.is_well

    def ended(self):
        self.ends += 1


@asynccontextmanager
async def kept(tmp_path, patient, **settings):
    layout = Layout(tmp_path)
    layout.prepare()
    with locked(layout) as lock:
        async with watchdog("conch_unit_keeper_", lock) as dog:
            around = Surroundings(StackSettings(**FAST | settings), layout, dog, lambda _: None)
            keeper = Keeper(patient.part, around)
            task = asyncio.create_task(keeper.keep())
            try:
                yield keeper, task
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError, StackError):
                    await task


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_killed_process_is_started_again_with_nothing_left_of_it(tmp_path):
    patient = Patient()
    async with kept(tmp_path, patient) as (keeper, _):
        await until(lambda: keeper.health is Health.READY)
        first = keeper.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper.restarts == 1 and keeper.health is Health.READY)
        assert reaper.members(first) == []
        assert patient.ends == 1
        second = keeper.pid
    assert reaper.members(second) == []


async def test_process_that_stops_answering_is_started_again(tmp_path):
    patient = Patient()
    async with kept(tmp_path, patient) as (keeper, _):
        await until(lambda: keeper.health is Health.READY)
        patient.is_well = False
        await until(lambda: keeper.health is Health.RESTARTING)
        assert "no longer answers" in keeper.trouble
        patient.is_well = True
        await until(lambda: keeper.health is Health.READY)


async def test_one_missed_answer_is_forgiven(tmp_path):
    patient = Patient()
    async with kept(tmp_path, patient, health_failures=1000) as (keeper, _):
        await until(lambda: keeper.health is Health.READY)
        patient.is_well = False
        await asyncio.sleep(0.1)
        patient.is_well = True
        assert keeper.restarts == 0


async def test_process_that_ends_at_once_is_told_with_its_last_words(tmp_path):
    patient = Patient(("bash", "-c", "echo no such device; exit 3"))
    patient.is_well = False
    async with kept(tmp_path, patient) as (_, task):
        with pytest.raises(
            StackError, match=r"ended with status 3, .*'no such device'.*patient.log"
        ):
            await task


async def test_failed_warm_up_of_the_first_start_is_raised(tmp_path):
    async def warm_up():
        raise StackError("model 'x' fails to load: boom")

    async with kept(tmp_path, Patient(warm_up=warm_up)) as (_, task):
        with pytest.raises(StackError, match="boom"):
            await task


async def test_part_that_is_not_vital_may_come_up_later_than_at_the_first_start(tmp_path):
    patient = Patient(("bash", "-c", f"test -e {tmp_path}/well && sleep 60"), is_vital=False)
    patient.is_well = False
    async with kept(tmp_path, patient) as (keeper, task):
        await until(lambda: keeper.health is Health.RESTARTING)
        assert not task.done()
        (tmp_path / "well").touch()
        patient.is_well = True
        await until(lambda: keeper.was_ready.is_set())


async def test_part_is_prepared_before_every_start(tmp_path):
    prepared = []

    async def prepare():
        prepared.append(keeper_of["it"].pid)

    keeper_of = {}
    patient = Patient(prepare=prepare)
    async with kept(tmp_path, patient) as (keeper, _):
        keeper_of["it"] = keeper
        await until(lambda: keeper.health is Health.READY)
        os.kill(keeper.pid, signal.SIGKILL)
        await until(lambda: keeper.restarts == 1 and keeper.health is Health.READY)
    assert prepared == [None, None]


async def test_part_that_cannot_be_prepared_is_told(tmp_path):
    async def prepare():
        raise PermissionError(13, "Permission denied", "/data")

    async with kept(tmp_path, Patient(prepare=prepare)) as (_, task):
        with pytest.raises(StackError, match=r"patient cannot be prepared: .*'/data'"):
            await task


async def test_part_is_asked_to_end_by_its_own_signal(tmp_path):
    line = f"trap 'touch {tmp_path}/asked; exit' INT; sleep 60 & wait"
    patient = Patient(("bash", "-c", line), stop_signal=signal.SIGINT)
    async with kept(tmp_path, patient) as (keeper, _):
        await until(lambda: keeper.health is Health.READY)
        await until(lambda: len(reaper.members(keeper.pid)) == 2)
    assert (tmp_path / "asked").exists()


async def test_part_that_never_answers_is_told_with_the_variable(tmp_path):
    patient = Patient()
    patient.is_well = False
    async with kept(tmp_path, patient, start_timeout_s=0.2) as (_, task):
        with pytest.raises(StackError, match="CONCH_START_TIMEOUT_S"):
            await task


async def test_command_that_does_not_exist_is_a_stack_error(tmp_path):
    async with kept(tmp_path, Patient(("/nonexistent/command",))) as (_, task):
        with pytest.raises(StackError, match=r"patient cannot be started"):
            await task


async def test_large_log_is_moved_aside_at_the_start(tmp_path):
    layout = Layout(tmp_path)
    layout.prepare()
    with layout.log_of("patient").open("wb") as file:
        file.truncate(2 << 20)
    async with kept(tmp_path, Patient(), log_max_mb=1) as (keeper, _):
        await until(lambda: keeper.health is Health.READY)
    assert (tmp_path / "log" / "patient.log.1").stat().st_size == 2 << 20
    assert layout.log_of("patient").stat().st_size == 0


async def test_killed_reaper_is_replaced_and_told_the_sessions_again(tmp_path):
    patient = Patient()
    async with kept(tmp_path, patient) as (keeper, _):
        await until(lambda: keeper.health is Health.READY)
        dog = keeper.around.dog
        old = dog._reaper
        os.kill(old.pid, signal.SIGKILL)
        await until(lambda: dog._reaper is not old)
        dog._reaper.stdin.close()
        await until(lambda: reaper.members(keeper.pid or -1) == [])


def test_delay_grows_to_a_limit():
    assert [delay_after(n) for n in (1, 2, 3)] == [0.1, 0.2, 0.4]
    assert delay_after(1000) == LONGEST_DELAY_S
