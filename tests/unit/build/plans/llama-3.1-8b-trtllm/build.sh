#!/usr/bin/env bash
# Builds 'llama-3.1-8b' inside nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3.
# Written by `conch build --plan`; PLAN.md tells what each number comes from.
#
#   build.sh                all steps, into $WORK; one that is done is not done again
#   build.sh STEP FOLDER    one step, into FOLDER
set -euo pipefail
SOURCE=${SOURCE:-/build/fetch}
WORK=${WORK:-/build}
PLAN=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# A model with a licence to accept wants HF_TOKEN.
fetch() {
  huggingface-cli download \
    meta-llama/Llama-3.1-8B-Instruct \
    --local-dir "$1"
}

convert() {
  python3 /app/examples/quantization/quantize.py \
    --model_dir "$SOURCE" \
    --output_dir "$1" \
    --dtype float16 \
    --qformat fp8 \
    --kv_cache_dtype fp8 \
    --calib_size 512 \
    --tp_size 1
}

compile() {
  trtllm-build \
    --checkpoint_dir "$WORK/convert" \
    --output_dir "$1" \
    --gemm_plugin auto --gpt_attention_plugin auto \
    --kv_cache_type paged --remove_input_padding enable \
    --use_paged_context_fmha enable \
    --max_batch_size 64 \
    --max_seq_len 16384 \
    --max_num_tokens 8192 \
    --max_beam_width 1 \
    --use_fp8_context_fmha enable \
    --lora_plugin float16 --max_lora_rank 16 \
    --lora_target_modules attn_q attn_k attn_v attn_dense
}

guided() {
  python3 /app/examples/generate_xgrammar_tokenizer_info.py \
    --model_dir "$SOURCE" \
    --output_dir "$1"
}

models() {
  mkdir -p "$1" && cp -r "$PLAN/models/." "$1"
  mkdir -p "$1/llama-3.1-8b_engine/1/model"
  (cd "$SOURCE" && find . -maxdepth 1 -type f \( -name '*.json' -o -name '*.jinja' -o -name '*.model' \) -exec cp {} "$1/llama-3.1-8b_engine/1/model" ';')
  cp -r "$WORK/compile" "$1/llama-3.1-8b_engine/1/engine"
  cp "$WORK/guided/xgrammar_tokenizer_info.json" "$1/llama-3.1-8b_engine/1/"
}

# Aside first: a step that was interrupted leaves nothing that looks done.
step() {
  [ -e "$WORK/$1" ] && { echo "$1: done before"; return; }
  rm -rf "$WORK/$1.partial"
  "$1" "$WORK/$1.partial"
  mv "$WORK/$1.partial" "$WORK/$1"
}

if [ $# -eq 2 ]; then "$1" "$2"; exit; fi
for name in fetch convert compile guided models; do step "$name"; done
echo "built: $WORK/models"
