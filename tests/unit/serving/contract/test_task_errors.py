"""A TaskGroup's error comes out bare."""

import asyncio

import pytest

from serving.contract.task_errors import bare_errors


async def _fail() -> None:
    raise KeyError("x")


async def _group_with_failing_task() -> None:
    with bare_errors():
        async with asyncio.TaskGroup() as group:
            group.create_task(_fail())
            await asyncio.Event().wait()


async def _group_with_failing_block() -> None:
    with bare_errors():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())
            await _fail()


async def test_error_of_a_task_ends_the_block_and_comes_out_bare() -> None:
    with pytest.raises(KeyError):
        await _group_with_failing_task()


async def test_error_of_the_block_ends_the_tasks_and_comes_out_bare() -> None:
    with pytest.raises(KeyError):
        await _group_with_failing_block()


async def test_what_an_error_came_from_stays_with_it() -> None:
    async def fail() -> None:
        raise KeyError("x") from ValueError("y")

    with pytest.raises(KeyError) as caught, bare_errors():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
    assert isinstance(caught.value.__cause__, ValueError)
