"""Golden prompts for an engine in NVIDIA's container: token ids in, token ids out, as CSV."""

import csv
from pathlib import Path

from enginebuild.errors import BuildError
from enginebuild.recipe import Recipe
from serving.bls.language import Language
from serving.contract.calls import Call, Sampling

PROMPTS, ANSWERS = "prompts.csv", "answers.csv"


def write(recipe: Recipe, source: Path | None, file: Path) -> bool:
    """False where there are none, or no tokenizer to write them with."""
    if source is None or not recipe.golden or not (source / "tokenizer.json").is_file():
        return False
    with file.open("w", newline="") as table:
        csv.writer(table, lineterminator="\n").writerows(prompt_ids(recipe, Language.load(source)))
    return True


def prompt_ids(recipe: Recipe, language: Language) -> list[tuple[int, ...]]:
    calls = (
        Call(text=g.prompt, messages=g.messages, sampling=Sampling(max_tokens=g.max_tokens))
        for g in recipe.golden
    )
    return [language.prompt(call).ids for call in calls]


def check(recipe: Recipe, source: Path, folder: Path) -> list[dict[str, object]]:
    """The answers that the container wrote. Raises BuildError with the first wrong one."""
    language = Language.load(source)
    with (folder / ANSWERS).open(newline="") as table:
        rows = [[int(cell) for cell in row] for row in csv.reader(table)]
    told: list[dict[str, object]] = []
    pairs = zip(recipe.golden, prompt_ids(recipe, language), rows, strict=True)
    for number, (golden, prompt, row) in enumerate(pairs, start=1):
        answer = language.tokenizer.decode(_answer(row[len(prompt) :], language.end_ids))
        if not golden.is_met_by(answer):
            raise BuildError(f"golden prompt {number}: the engine answers {answer[:200]!r}")
        told.append({"number": number, "answer": answer, "is_met": True})
    return told


def _answer(ids: list[int], end_ids: tuple[int, ...]) -> list[int]:
    ends = [place for place, token in enumerate(ids) if token in end_ids]
    return ids[: ends[0]] if ends else ids
