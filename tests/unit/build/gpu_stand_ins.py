"""In place of Docker, a GPU and NVIDIA's tools: they note each call and make what they are told."""

from __future__ import annotations

from pathlib import Path

TOOL = """#!/bin/bash
echo "${0##*/} $*" >> "$CALLS"
while [ $# -gt 0 ]; do
  case $1 in
    --output_dir|--local-dir)
      mkdir -p "$2"; touch "$2"/{xgrammar_tokenizer_info,config}.json;;
    --output_csv) sed "s/\\$/,$ANSWER/" "$PLAN/prompts.csv" > "$2";;
  esac
  shift
done
[ -z "${FAILS:-}" ] || [ "${0##*/}" != "$FAILS" ] || { echo "out of memory"; exit 1; }
"""
# Runs what the container would, on the folders that it would have.
DOCKER = """#!/bin/bash
for word in "$@"; do
  case $word in
    --volume=*:/source:ro) source=${word#--volume=}; export SOURCE=${source%:/source:ro};;
    --volume=*:/plan:ro) plan=${word#--volume=}; export PLAN=${plan%:/plan:ro};;
    --volume=*:/build) work=${word#--volume=}; export WORK=${work%:/build};;
    /plan/build.sh) script=$PLAN/build.sh;;
    /build/*) folder=$WORK/${word#/build/};;
    *) step=$word; [ -z "${script:-}" ] || name=$word;;
  esac
done
exec bash "$script" "$name" "$folder"
"""


def write_tools(folder: Path) -> Path:
    """A folder for PATH."""
    folder.mkdir()
    tools = dict.fromkeys(("python3", "trtllm-build", "huggingface-cli", "nvidia-smi"), TOOL)
    for name, text in (tools | {"docker": DOCKER}).items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder
