"""`python -m loadtests.simulate`: the scheduler that serves, on simulated engines.

`run` compares the orders on one load, `plots` on many, `fit` measures a real engine.
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from loadtests.settings import RefusedLoad
from loadtests.simulation import engine_model, trace
from loadtests.simulation.arrivals import Arrivals
from loadtests.simulation.comparison import Setting, compare
from loadtests.simulation.report import Report
from loadtests.simulation.request import Session
from loadtests.simulation.tables import as_json, markdown
from loadtests.simulation.workload import MIX, Workload, at_load
from serving.bls.scheduling.policy import Order
from serving.contract.grant import STANDARD

LOADS = (0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
CORES = os.cpu_count() or 1
DEFAULT_MIX = ",".join(f"{name}={share:g}" for name, share in MIX.items())

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)

Engine = Annotated[Path, typer.Option(help="The engine model, as `fit` writes it.")]
Replicas = Annotated[int, typer.Option(min=1)]
Requests = Annotated[int, typer.Option(min=1, help="Calls, all those of agent programs counted.")]
Places = Annotated[int, typer.Option(min=1, help="Sequences in an engine at most.")]
Floor = Annotated[int, typer.Option(min=0, help="Of these, for interactive requests only.")]
Shards = Annotated[int, typer.Option(min=1, help="Parts with a router each; the result's too.")]
Processes = Annotated[int, typer.Option(min=1)]
Seed = Annotated[int, typer.Option()]
Mix = Annotated[str, typer.Option(help="Each class's share of the calls.")]


@app.command()
def run(
    *,
    replicas: Replicas = 4,
    requests: Requests = 10_000,
    load: Annotated[
        float | None, typer.Option(min=0.01, help="1: what the engines can do; a trace's own rate.")
    ] = None,
    arrivals: Annotated[Arrivals, typer.Option()] = Arrivals.POISSON,
    trace_file: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            exists=True,
            dir_okay=False,
            help="A CSV file in Azure's LLM inference format.",
        ),
    ] = None,
    class_mix: Mix = DEFAULT_MIX,
    order: Annotated[
        list[Order] | None, typer.Option(help="All of them when none is given.")
    ] = None,
    engine: Engine = engine_model.FITTED,
    places: Places = 8,
    floor: Floor = 0,
    shards: Shards = 1,
    processes: Processes = CORES,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="A JSON file for the figures.")] = None,
) -> None:
    """Compare the orders of the queue on the same work."""
    began_s = time.perf_counter()
    model, mix = engine_model.load(engine), trace.class_mix(class_mix)
    setting = Setting(model, places, replicas, floor, shards, processes)
    if trace_file is None:
        work = Workload(requests, arrivals, mix, seed=seed).sessions()
    else:
        work = trace.sessions(trace.read(trace_file), mix=mix, seed=seed)
    if trace_file is None or load is not None:
        work = _at_load(setting, work, load or 1.0)
    (reports,) = compare(setting, [work], order or list(Order))
    typer.echo(markdown(reports))
    calls = sum(len(session.calls) for session in work)
    took_s = time.perf_counter() - began_s
    typer.echo(
        f"\n{calls} calls on {replicas} replicas, {work[-1].starts_s:.0f} simulated seconds, "
        f"{len(reports)} orders in {took_s:.0f} s"
    )
    if out is not None:
        out.write_text(json.dumps(as_json(reports), indent=2))


def _at_load(setting: Setting, work: tuple[Session, ...], load: float) -> tuple[Session, ...]:
    return at_load(
        work, load, model=setting.model, places=setting.places, replicas=setting.replicas
    )


@app.command()
def plots(
    *,
    out: Annotated[Path, typer.Option(help="The folder of the SVG files.")],
    replicas: Replicas = 2,
    requests: Requests = 5_000,
    arrivals: Annotated[Arrivals, typer.Option()] = Arrivals.POISSON,
    class_mix: Mix = DEFAULT_MIX,
    engine: Engine = engine_model.FITTED,
    places: Places = 8,
    floor: Floor = 0,
    processes: Processes = CORES,
    seed: Seed = 0,
) -> None:
    """Draw TTFT by class, fairness and goodput over load, for every order."""
    try:
        from loadtests.simulation.plots import draw
    except ModuleNotFoundError as error:
        raise RefusedLoad(f"{error}; install the extra 'bench', as conch-llm[bench]") from None
    setting = Setting(engine_model.load(engine), places, replicas, floor, 1, processes)
    work = Workload(requests, arrivals, trace.class_mix(class_mix), seed=seed)
    alone = replace(work, mix={STANDARD: 1.0})
    for path in draw(_over_load(setting, work), _over_load(setting, alone), out):
        typer.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def _over_load(setting: Setting, work: Workload) -> list[tuple[float, list[Report]]]:
    sessions = work.sessions()
    works = [_at_load(setting, sessions, load) for load in LOADS]
    return list(zip(LOADS, compare(setting, works, list(Order)), strict=True))


@app.command()
def fit(
    *,
    triton: Annotated[str, typer.Option(help="host:port of its gRPC endpoint.")],
    model: Annotated[str, typer.Option(help="The engine's model, such as demo_engine.")],
    out: Annotated[Path, typer.Option(help="The TOML file to write.")],
    kv_tokens: Annotated[int, typer.Option(help="What its KV cache holds.")] = 32768,
    step_tokens: Annotated[int, typer.Option(help="Tokens of a step at most.")] = 512,
) -> None:
    """Time the steps and prompts of an engine that has nothing else to do, and write its model."""
    from loadtests.simulation import fit as fitting  # tritonclient is slow to import
    from loadtests.simulation.measure import measure

    measured = measure(triton, model)
    fitted = fitting.fit(measured, kv_tokens=kv_tokens, step_tokens=step_tokens)
    typer.echo("\n".join(fitting.residuals(fitted, measured)))
    out.write_text(engine_model.to_toml(fitted, f"{model}, measured by `simulate fit`"))


def main() -> None:
    try:
        app()
    except RefusedLoad as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
