#!/usr/bin/env bash
# Trains the embedded models one after the other and times them: on a CUDA machine where there is one, else on the CPU.
#   scripts/train_all.sh OUT [MODEL...]      default: gan vqar var ldm
# Weights, cards and logs go to OUT/MODEL; OUT/models.tar.gz holds them without the checkpoints, OUT/run.tar.gz the run that
# timed them. The same command again goes on where it was cut off. Packages that the machine lacks can be carried as wheels
# in .whl/: they are installed into a folder of their own, beside what is there.
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:?usage: scripts/train_all.sh OUT [MODEL...]}"
shift
models=("$@")
[ $# -gt 0 ] || models=(gan vqar var ldm)
python="${PYTHON:-python3}"

if compgen -G '.whl/*.whl' >/dev/null; then
    site="$(mktemp -d)"
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" .whl/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi

mkdir -p "$out"
for model in "${models[@]}"; do
    "$python" bench.py train "$model" --out "$out/$model" --quiet
    echo "trained: $model" >&2
done
tar -czf "$out/models.tar.gz" -C "$out" --exclude checkpoints "${models[@]}"

cards="$(printf "$out/%s/card.toml," "${models[@]}")"
"$python" bench.py run scenes --models "${cards%,}" --out "$out/runs" --quiet --json >"$out/run.json"
tar -czf "$out/run.tar.gz" -C "$out" --exclude logs runs
