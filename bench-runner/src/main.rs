//! The program, with the built-in kinds of problems and optimizers.

use std::process::ExitCode;

use bench_runner::Registry;

fn main() -> ExitCode {
    bench_runner::main(Registry::built_in())
}
