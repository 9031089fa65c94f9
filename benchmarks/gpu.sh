#!/usr/bin/env bash
# Runs all benchmarks on the accelerator at hand and keeps what they print:
#   benchmarks/gpu.sh [FOLDER]
# with `pip install -e '.[bench]'` and a jax for the device. One that fails does
# not stop the others. What belongs into benchmarks/RESULTS.md is in FOLDER
# (results-DEVICE by default), one file each. BENCHMARKS='attacks sweep' picks.
set -uo pipefail
cd "$(dirname "$0")/.."

device=$(python -c 'import jax; print(jax.devices()[0].device_kind)') || exit
folder=${1:-results-${device// /-}}
mkdir -p "$folder" || exit
echo "$device: results go to $folder"

declare -A commands=(
  [attacks]='benchmarks.attacks'
  [mixtures]='benchmarks.mixtures'
  [strongest]='benchmarks.strongest'
  [scaling]='benchmarks.scaling'
  [streaming]='benchmarks.streaming --folder=/tmp'
  [projection]='benchmarks.projection'
  [training]='benchmarks.training'
  [sweep]='benchmarks.sweep'
  [simple_net]='benchmarks.throughput --model=simple_net'
  [resnet18]='benchmarks.throughput --model=resnet18'
  [conv_net]='benchmarks.throughput --model=conv_net'
  [waiting]='benchmarks.waiting'
  [main_job]="experiments.label_inference --timings --out_dir=$folder/main_job"
  [six_cuts]="experiments.cut_sweep --model=simple_net --image_size=32
    --cuts=4,10,18,24,29,33 --num_train=256 --num_test=128 --batch_size=128
    --epochs=1 --num_seeds=1 --timings --out_dir=$folder/six_cuts"
)
failed=()
for name in ${BENCHMARKS:-${!commands[@]}}; do
  # The words of a command are its arguments.
  # shellcheck disable=SC2086
  if python -m ${commands[$name]:?no benchmark $name} \
      >"$folder/$name.txt" 2>"$folder/$name.log"; then
    rm -f "$folder/$name.log"
    echo "$name: done"
  else
    failed+=("$name")
    echo "$name: failed, see $folder/$name.log"
  fi
done
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
