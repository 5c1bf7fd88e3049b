"""The commands that build a model inside NVIDIA's container, as the script that runs them."""

from collections.abc import Iterator

from enginebuild.recipe import Recipe
from enginebuild.sources import HUB

IMAGE = "nvcr.io/nvidia/tritonserver"
EXAMPLES = "/app/examples"
DTYPE = "float16"
CALIBRATION_SAMPLES = 512
STEPS = {"trtllm": ("convert", "compile", "guided"), "trtllm-llmapi": ()}
_QUANTIZED = {"fp8": "fp8", "int4": "int4_awq"}

_HEAD = """\
#!/usr/bin/env bash
# Builds '{name}' inside {image}:{container}.
# Written by `conch build --plan`; PLAN.md tells what each number comes from.
#
#   build.sh                all steps, into $WORK; one that is done is not done again
#   build.sh STEP FOLDER    one step, into FOLDER
set -euo pipefail
SOURCE=${{SOURCE:-{source}}}
WORK=${{WORK:-/build}}
PLAN=$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)
"""

_TAIL = """\
# Aside first: a step that was interrupted leaves nothing that looks done.
step() {
  [ -e "$WORK/$1" ] && { echo "$1: done before"; return; }
  rm -rf "$WORK/$1.partial"
  "$1" "$WORK/$1.partial"
  mv "$WORK/$1.partial" "$WORK/$1"
}

if [ $# -eq 2 ]; then "$1" "$2"; exit; fi
for name in %s; do step "$name"; done
echo "built: $WORK/models"
"""


def script(recipe: Recipe, *, has_prompts: bool) -> str:
    """The text of build.sh; with the golden prompts as token ids it asks the engine them too."""
    steps = [*_fetch(recipe)]
    names = ["fetch"] if steps else []
    for name in STEPS[recipe.engine]:
        steps.append(_function(name, _STEPS[name](recipe)))
        names.append(name)
    steps.append(_function("models", _models(recipe)))
    names.append("models")
    if has_prompts and recipe.engine == "trtllm":
        steps.append(_function("verify", _verify(recipe)))
        names.append("verify")
    head = _HEAD.format(
        name=recipe.name,
        image=IMAGE,
        container=recipe.container,
        source="/build/fetch" if recipe.source.startswith(HUB) else "/source",
    )
    return "\n".join([head, *steps, _TAIL % " ".join(names)])


def _fetch(recipe: Recipe) -> Iterator[str]:
    if recipe.source.startswith(HUB):
        name, _, revision = recipe.source.removeprefix(HUB).partition("@")
        version = [f"--revision {revision}"] if revision else []
        lines = [["huggingface-cli download", name, *version, '--local-dir "$1"']]
        yield _function("fetch", lines, "A model with a licence to accept wants HF_TOKEN.")


def _convert(recipe: Recipe) -> list[list[str]]:
    to = ['--model_dir "$SOURCE"', '--output_dir "$1"']
    parallel = f"--tp_size {recipe.tensor_parallelism}"
    if recipe.precision in _QUANTIZED:
        calibration = [f"--calib_size {CALIBRATION_SAMPLES}", parallel]
        kv = ["--kv_cache_dtype fp8"] if recipe.precision == "fp8" else []
        form = [f"--dtype {DTYPE}", f"--qformat {_QUANTIZED[recipe.precision]}", *kv]
        return [[f"python3 {EXAMPLES}/quantization/quantize.py", *to, *form, *calibration]]
    dtype = "auto" if recipe.precision == "as-is" else DTYPE
    int8 = ["--use_weight_only --weight_only_precision int8"] if recipe.precision == "int8" else []
    family = f"{EXAMPLES}/models/core/{recipe.gpu.family}"
    line = [f"python3 {family}/convert_checkpoint.py", *to, f"--dtype {dtype}", parallel, *int8]
    return [line]


def _compile(recipe: Recipe) -> list[list[str]]:
    """Paged KV and paged context attention: what prefix reuse and chunked context need."""
    plugin = "auto" if recipe.precision in ("as-is", "fp8") else DTYPE
    line = [
        "trtllm-build",
        '--checkpoint_dir "$WORK/convert"',
        '--output_dir "$1"',
        f"--gemm_plugin {plugin} --gpt_attention_plugin {'auto' if plugin == 'auto' else DTYPE}",
        "--kv_cache_type paged --remove_input_padding enable",
        "--use_paged_context_fmha enable",
        f"--max_batch_size {recipe.max_batch}",
        f"--max_seq_len {recipe.context_length}",
        f"--max_num_tokens {recipe.gpu.max_num_tokens}",
        "--max_beam_width 1",
    ]
    if recipe.precision == "fp8":
        line.append("--use_fp8_context_fmha enable")
    if recipe.tensor_parallelism > 1:
        line.append(f"--workers {recipe.tensor_parallelism}")
    return [line + _lora(recipe)]


def _lora(recipe: Recipe) -> list[str]:
    if recipe.lora is None:
        return []
    names = " ".join(module.engine_name for module in recipe.lora.engine_modules)
    return [
        f"--lora_plugin {DTYPE} --max_lora_rank {recipe.lora.max_rank}",
        f"--lora_target_modules {names}",
    ]


def _guided(_: Recipe) -> list[list[str]]:
    """What xgrammar has to know of the tokenizer."""
    line = f"python3 {EXAMPLES}/generate_xgrammar_tokenizer_info.py"
    return [[line, '--model_dir "$SOURCE"', '--output_dir "$1"']]


_STEPS = {"convert": _convert, "compile": _compile, "guided": _guided}


def _models(recipe: Recipe) -> list[list[str]]:
    """The Triton models of the plan with what was built in them."""
    version = f'"$1/{recipe.name}_engine/1'
    copied = "*.json *.jinja *.model" if recipe.engine == "trtllm" else "*"
    lines = [
        ['mkdir -p "$1" && cp -r "$PLAN/models/." "$1"'],
        [f'mkdir -p {version}/model"'],
        [
            f'(cd "$SOURCE" && find . -maxdepth 1 -type f {_names(copied)} '
            f"-exec cp {{}} {version}/model\" ';')"
        ],
    ]
    if recipe.engine == "trtllm":
        lines.append([f'cp -r "$WORK/compile" {version}/engine"'])
        lines.append([f'cp "$WORK/guided/xgrammar_tokenizer_info.json" {version}/"'])
    return lines


def _verify(recipe: Recipe) -> list[list[str]]:
    ranks = recipe.tensor_parallelism
    mpi = [f"mpirun -n {ranks} --allow-run-as-root"] if ranks > 1 else []
    line = [
        *mpi,
        f"python3 {EXAMPLES}/run.py",
        '--engine_dir "$WORK/compile" --tokenizer_dir "$SOURCE"',
        '--input_file "$PLAN/prompts.csv" --output_csv "$1/answers.csv"',
        f"--max_output_len {max(golden.max_tokens for golden in recipe.golden)}",
    ]
    return [['mkdir -p "$1"'], line]


def _names(patterns: str) -> str:
    if patterns == "*":
        return ""
    return "\\( " + " -o ".join(f"-name '{pattern}'" for pattern in patterns.split()) + " \\)"


def _function(name: str, commands: list[list[str]], comment: str = "") -> str:
    said = [f"# {comment}"] if comment else []
    body = ["  " + " \\\n    ".join(parts) for parts in commands]
    return "\n".join([*said, f"{name}() {{", *body, "}", ""])
