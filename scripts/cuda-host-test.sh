#!/usr/bin/env bash
# Tests optim's CUDA kernels, and what launches them, on a machine without a GPU.
#
#   scripts/cuda-host-test.sh
#
# The tests are linked with a stand-in for the CUDA driver that runs the kernels on the host
# (scripts/host-driver/driver.cpp says what it shows and what it cannot). Needs g++ and what
# scripts/cuda-toolchain.sh needs.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/cuda-toolchain.sh
. scripts/cuda-toolchain.sh

driver=$PWD/target/cuda/host-driver
scripts/host-driver/build "$driver"
export LIBRARY_PATH=$driver LD_LIBRARY_PATH=$driver

# Left out: a test that takes minutes there, and those that use Candle's own kernels.
cargo test -p optim --features cuda --locked --lib --tests -- \
  --skip more_history_never_hurts \
  --skip the_shipped_rule_is_three_epochs \
  --skip each_criterion_fires_where_its_definition_says \
  --skip before_the_switch_it_costs_what_adam_costs \
  --skip no_handover_stalls \
  --skip a_run_resumes_bit_for_bit_from_a_file_at_any_step \
  --skip the_budget_is_never_overrun_and_never_an_error
