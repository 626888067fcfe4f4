//! The binary: sets the process up, calls the library, turns errors into exit codes.

use std::process::ExitCode;

use anyhow::Context;
use bench_runner::cli::{self, Cli};
use bench_runner::memory::Counted;
use clap::Parser;

/// Candle allocates once per operation; this allocator makes training 1.25 to 1.5 times faster.
#[global_allocator]
static ALLOCATOR: Counted<mimalloc::MiMalloc> = Counted(mimalloc::MiMalloc);

fn main() -> ExitCode {
    let cli = Cli::parse();
    set_threads(cli::threads(&cli));
    let result = cli::run(cli, &mut std::io::stdout().lock());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            let error = Err::<(), _>(error).context("bench-runner");
            if let Err(error) = error {
                eprintln!("{error:#}");
            }
            ExitCode::from(code)
        }
    }
}

/// Tells Candle and rayon how many threads to use. Candle's own pool spins between operations and
/// would fight the kernels' rayon pool for the cores, so it gets one thread.
fn set_threads(threads: Option<u16>) {
    // SAFETY: nothing has started a thread yet, so nothing reads the environment at the same time.
    unsafe {
        if let Some(threads) = threads {
            std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
        }
        if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
            std::env::set_var("CANDLE_NUM_THREADS", "1");
        }
    }
}
