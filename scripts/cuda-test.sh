#!/usr/bin/env bash
# Tests and times the suite on a machine with an NVIDIA GPU.
#
#   scripts/cuda-test.sh [cuda:N]
#
# Needs the CUDA toolkit (nvcc on the PATH), Rust, and for the comparison a Python with torch, torchvision and
# transformers (PYTHON chooses which). FEATURES chooses the build (default: cudnn where cuDNN is installed, else cuda,
# with which convolutions are slow). It prints:
#   1. whether optim's kernels agree with the CPU's: updates to the bit, sums of L-BFGS to 1e-6 (1e-13 in f64), and
#      with plain tensor operations on the GPU; whether all optimizers pass their tests there, and a full card is told;
#      whether the layers' kernels and gradients agree with plain tensor operations on the GPU, to 1e-11 in f64;
#   2. whether training on the GPU agrees with the CPU: to 1e-5 in the first loss, to 1e-2 over a dozen
#      evaluations, with SGD, Adam and FUSE-PV; and whether the same runs give the same bits again;
#   3. times beside PyTorch eager on the same card. Aims: an Adam step moves its bytes at 85 % of the copy's
#      bandwidth; a training step takes at most 1.1 times PyTorch's.
# The report's heading names the card, driver and revision: keep it with the numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda:0}
if ldconfig -p | grep -q libcudnn; then default=cudnn; else default=cuda; fi
features=${FEATURES:-$default}
python=${PYTHON:-python3}

die() { echo "cuda-test: $*" >&2; exit 1; }

command -v nvidia-smi >/dev/null || die "nvidia-smi is missing: there is no NVIDIA driver here"
command -v nvcc >/dev/null || die "nvcc is missing: install the CUDA toolkit, or see scripts/cuda-check.sh"

echo "== $(git rev-parse --short HEAD), features $features, on $device"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

# All of the workspace each time, whose choice of features is then the same: Candle is built once.
run() { cargo test --workspace --features "$features" --locked "$@"; }

echo "== optimizers and layers: kernels against the CPU's and against plain tensors, and the optimizers' tests on the GPU"
of_optim=$(cd optim/tests && printf -- '--test %s ' *.rs | sed 's/\.rs//g')
# One after the other: threads that share a handle of cuBLAS would disturb each other.
# shellcheck disable=SC2086 # several arguments
CUDA_VISIBLE_DEVICES=${device#cuda:} run --lib $of_optim -- --test-threads=1

echo "== training: equality with the CPU, and determinism"
FUSE_DEVICE=$device run --test integration device:: -- --nocapture

echo "== times"
ours=$(cargo bench -q --workspace --profile dev --features "$features" --locked --bench device -- "$device")
if "$python" -c 'import torch, torchvision, transformers' 2>/dev/null; then
  theirs=$("$python" scripts/torch_steps.py "$device")
else
  echo "no PyTorch here ($python): only this suite's times"
  theirs=
fi
join -t $'\t' -a 1 <(sort <<<"$ours") <(sort <<<"$theirs") |
  awk -F '\t' 'BEGIN { printf "%-22s %12s %12s %8s\n", "", "this suite", "PyTorch", "ratio" }
    $2 + 0 && $3 + 0 { printf "%-22s %12s %12s %8.2f\n", $1, $2, $3, $2 / $3; next }
    { printf "%-22s %12s %12s\n", $1, $2, $3 == "" ? "-" : $3 }'
