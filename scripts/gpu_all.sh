#!/usr/bin/env bash
# Measures on one CUDA machine everything that results/ holds of such a machine: docs/gpu.md says what, and what to do with it.
#   scripts/gpu_all.sh SECONDS [STEP...]     steps: check embedded real scenes noise overhead (default: all, in this order)
# The whole takes no longer than SECONDS: a step gets what is left of them, and is interrupted at the end. The same command
# again goes on where it was cut off, also on another machine to which the folder .gpu/ was brought; a step that was finished
# with other settings is done anew. Wheels in .whl/ are installed into a folder of their own, beside what is there; nothing is
# fetched.
# Results go to $OUT (default: .gpu/out): speed.tar.gz, scenes.tar.gz, noise.tar.gz, overhead.txt and log.txt.
# Settings, as environment variables: EMBEDDED, REAL_SIZE and PRECISION (lists), COMPILE (empty: eager alone), BATCH_SIZE,
# PROCESSES, CALLS, TIMED_SECONDS and BUDGET of `speed`; MODELS and SAMPLES of `run`; NOISE_MODELS and SESSIONS of
# `calibrate`; PROTOCOL of both; DEVICE; WORK in place of .gpu.
set -euo pipefail
cd "$(dirname "$0")/.."
usage="usage: scripts/gpu_all.sh SECONDS [STEP...]"
limit="${1:?$usage}"
shift
steps=("$@")
[ $# -gt 0 ] || steps=(check embedded real scenes noise overhead)

python="${PYTHON:-python3}"
work="${WORK:-$PWD/.gpu}"
protocol="${PROTOCOL:-scenes}"
out="${OUT:-$work/out}"
device="${DEVICE:-cuda}"
read -ra embedded <<<"${EMBEDDED-gan vqar var ldm}"
read -ra real_size <<<"${REAL_SIZE-var-d16 var-d20 var-d24 var-d30 taming-imagenet ldm-4 sd-1-5 dit-xl-2 biggan-deep-256}"
: "${PRECISION:=fp32,bf16}" "${COMPILE=yes}" "${BATCH_SIZE:=auto}" "${PROCESSES:=3}" "${CALLS:=15}"
: "${TIMED_SECONDS:=1}" "${BUDGET:=60}" "${MODELS:=}" "${SAMPLES:=}" "${NOISE_MODELS:=gan,vqar,var,ldm}" "${SESSIONS:=10}"
readonly SPEED_SETTINGS="PRECISION COMPILE BATCH_SIZE PROCESSES CALLS TIMED_SECONDS BUDGET"
readonly PACKING=15 # seconds that are kept for what comes after the steps
deadline=$((SECONDS + limit - PACKING))
unfinished=()
mkdir -p "$work/finished" "$work/speed" "$work/scenes" "$out"

say() {
    echo "gpu: $*" | tee -a "$out/log.txt"
}

install_wheels() {
    compgen -G '.whl/*.whl' >/dev/null || return 0
    site="$(mktemp -d)"
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" .whl/*.whl
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
}

# Every requirement of pyproject.toml, with the version that is there; fails where one is missing or too old.
check_machine() {
    "$python" - "$device" <<'PYTHON'
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version

import torch
from packaging.requirements import Requirement

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
lines = [*project["dependencies"], "pytest", "pytest-benchmark"]
if sys.argv[1] == "cuda":  # without them nobody tells whether the GPU was slowed down, nor what energy it used
    lines += project["optional-dependencies"]["gpu"]
lacking = []
for requirement in map(Requirement, lines):
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        found = "none"
    if found == "none" or not requirement.specifier.contains(found.partition("+")[0], prereleases=True):
        lacking.append(f"{requirement} (there is {found})")
device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, {device}")
if sys.argv[1] == "cuda" and device == "cpu":
    lacking.append("a GPU that torch sees")
sys.exit(f"missing: {', '.join(lacking)}" if lacking else 0)
PYTHON
}

speed() {
    [ $# -gt 0 ] || return 0
    local compile=()
    [ -z "$COMPILE" ] || compile=(--compile)
    limited "$python" bench.py speed "$@" --scenario single-stream,offline --batch-size "$BATCH_SIZE" \
        --precision "$PRECISION" "${compile[@]}" --processes "$PROCESSES" --calls "$CALLS" \
        --seconds "$TIMED_SECONDS" --budget "$BUDGET" --device "$device" --out "$work/speed"
}

scenes() {
    local options=()
    [ -z "$MODELS" ] || options+=(--models "$MODELS")
    [ -z "$SAMPLES" ] || options+=(--samples "$SAMPLES")
    limited "$python" bench.py run "$protocol" "${options[@]}" --device "$device" --out "$work/scenes"
}

noise() {
    limited "$python" bench.py calibrate "$protocol" --models "$NOISE_MODELS" --sessions "$SESSIONS" --replace \
        --device "$device" || return
    mkdir -p "$work/calibration"
    cp results/calibration/*.json "$work/calibration/"
}

overhead() {
    limited "$python" -m pytest benchmarks/perf/bench_overhead.py -q -s -p no:cacheprovider | tee "$out/overhead.txt"
}

# Interrupted as by Ctrl-C, a command leaves a record that it can continue.
limited() {
    local left=$((deadline - SECONDS))
    [ "$left" -ge 1 ] || left=1 # to `timeout`, 0 is no limit
    PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 \
        timeout --signal=INT --kill-after=10 "$left" "$@"
}

# What a step's result depends on: what is run, and the variables that it looks at. A step is finished for these alone.
settings() {
    local variable
    for variable in device $1; do
        printf '%s=%s\n' "$variable" "${!variable}"
    done
    printf '%s\n' "${@:2}"
}

step() {
    local name="$1" mark
    mark="$work/finished/$name-$(settings "${@:2}" | sha256sum | cut -c1-12)"
    if [ -e "$mark" ]; then
        say "$name was done before"
    elif [ "$SECONDS" -ge "$deadline" ]; then
        unfinished+=("$name")
    elif "${@:3}" 2>&1 | tee -a "$out/log.txt"; then
        touch "$mark"
        say "$name is done, after $SECONDS s"
    else
        unfinished+=("$name")
    fi
}

# A run of `scenes` is packed once it is whole; one of `speed` is small, and can be continued from the archive.
pack() {
    local name="$1" folder="$2"
    [ -n "$(ls -A "$work/$folder")" ] || return 0
    tar -czf "$out/$name.tar.gz" -C "$work" --exclude=features --exclude=images --exclude=parts --exclude=logs \
        --exclude=lock --exclude=jobs "$folder" finished
    say "$name.tar.gz: $(du -h "$out/$name.tar.gz" | cut -f1)"
}

install_wheels
for name in "${steps[@]}"; do
    case "$name" in
    check) check_machine 2>&1 | tee -a "$out/log.txt" ;;
    embedded) step embedded "$SPEED_SETTINGS" speed "${embedded[@]}" ;;
    real) step real "$SPEED_SETTINGS" speed "${real_size[@]}" ;;
    scenes) step scenes "MODELS SAMPLES protocol" scenes ;;
    noise) step noise "NOISE_MODELS SESSIONS protocol" noise ;;
    overhead) step overhead "" overhead ;;
    *)
        echo "there is no step \"$name\"; $usage" >&2
        exit 2
        ;;
    esac
done
pack speed speed
! compgen -G "$work/finished/scenes-*" >/dev/null || pack scenes scenes
[ ! -d "$work/calibration" ] || pack noise calibration
if [ "${#unfinished[@]}" -gt 0 ]; then
    say "not finished: ${unfinished[*]}; the same command goes on"
    exit 1
fi
