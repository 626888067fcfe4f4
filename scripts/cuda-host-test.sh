#!/usr/bin/env bash
# Tests the suite on CUDA on a machine without a GPU: the kernels of optimizers and layers and what launches them, and
# whole networks that train on two cards.
#
#   scripts/cuda-host-test.sh
#
# The tests are linked with a stand-in for CUDA's libraries that runs kernels on the host
# (scripts/host-driver/driver.cpp says what it shows and what it cannot). FEATURES chooses the build (default cudnn;
# with cuda, convolutions are Candle's). Needs g++ and what scripts/cuda-toolchain.sh needs. When all has passed,
# the sources that it tested are noted in scripts/host-driver/tested (scripts/cuda-sources.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
features=${FEATURES:-cudnn}
# shellcheck source=scripts/cuda-toolchain.sh
. scripts/cuda-toolchain.sh

driver=$PWD/target/cuda/host-driver
scripts/host-driver/build "$driver"
export LIBRARY_PATH=$driver LD_LIBRARY_PATH=$driver
export NVCC=$PWD/scripts/host-driver/nvcc
# Cargo would not build Candle again for another CUDA compiler, and its kernels are empty here.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/host-driver}

# All of the workspace each time, whose choice of features is then the same: Candle is built once.
# Hardly anything runs in what takes longest to optimise.
run() {
  cargo test --workspace --features "$features" --locked --config profile.dev.package.candle-core.opt-level=1 "$@"
}
of_optim=$(cd optim/tests && printf -- '--test %s ' *.rs | sed 's/\.rs//g')
# Left out: a test that takes minutes there.
# shellcheck disable=SC2086 # several arguments
run -p optim -p models --lib $of_optim -- --skip more_history_never_hurts
FUSE_DEVICE=cuda:all run --test integration device:: -- --nocapture
scripts/cuda-sources.sh >scripts/host-driver/tested
