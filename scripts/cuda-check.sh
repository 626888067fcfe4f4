#!/usr/bin/env bash
# Compiles all three crates for CUDA on a machine without a GPU: the compiler comes from PyPI.
#
#   scripts/cuda-check.sh [DIR]   # DIR holds the compiler and the build; by default target/cuda
#
# Needs Python 3 with venv, 3 GB of disk and, the first time, about ten minutes on two cores. It type-checks
# our code against Candle's CUDA back end and compiles Candle's kernels; it links and runs nothing.
# CUDA_COMPUTE_CAP chooses the architecture (default 90, the H100).
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-target/cuda}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd -P)

if ! [ -x "$dir/venv/bin/python" ]; then
  python3 -m venv "$dir/venv"
fi
# One release throughout: nvcc refuses headers of another.
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-curand==10.4.0.35

CUDA_HOME=$("$dir/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/nvidia/cu13
export CUDA_HOME
export PATH="$CUDA_HOME/bin:$PATH"
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
export CARGO_TARGET_DIR="$dir/build"
nvcc --version | tail -n 1

cargo check --workspace --all-targets --features cuda --locked
echo "all three crates, their tests and benchmarks compile with --features cuda"
