#!/usr/bin/env bash
# On a machine with network: downloads into .whl/ what a CUDA machine without network lacks, as wheels for its Python.
#   scripts/gpu_wheels.sh [PACKAGE...]       default: what goes beyond an image with torch, transformers, pandas and pytest
# Versions are those of constraints.txt; what the packages need in turn is not fetched: name it too. On the other machine,
# `scripts/gpu_all.sh 60 check` installs the wheels and names what is still missing. PYTHON_VERSION there: 3.12.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=("$@")
[ $# -gt 0 ] || packages=(
    diffusers importlib-metadata zipp duckdb nvidia-ml-py omegaconf taming-transformers tomlkit torch-fidelity
)

platforms=()
for glibc in 17 24 27 28 31 34 35; do
    platforms+=(--platform "manylinux_2_${glibc}_x86_64")
done
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: \
    --python-version "${PYTHON_VERSION:-3.12}" --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 \
    --constraint constraints.txt --dest .whl "${packages[@]}"
du -ch .whl/*.whl
