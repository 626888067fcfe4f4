//! The program `bench-runner` as a library: a crate that registers its own problems and optimizers calls the
//! same [`main`], and has every command (`docs/extending.md`).

mod cli;
mod error;

use std::ffi::OsString;
use std::process::ExitCode;

use bench_experiment::memory::Counted;
pub use bench_experiment::registry::Registry;
use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

/// Candle allocates once per operation; this allocator makes training 1.25 to 1.5 times faster.
#[global_allocator]
static ALLOCATOR: Counted<mimalloc::MiMalloc> = Counted(mimalloc::MiMalloc);

/// Tells the allocator to keep the memory that a training step frees for the next: given back to the system in
/// between, its pages would have to be cleared anew in every step, a tenth of the time of convolutional networks. It
/// costs memory: a fifth more in ResNet-20.
pub fn keep_freed_memory() {
    /// The option `purge_delay` of mimalloc 3, in milliseconds, or -1 for never; the crate does not name it.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: it sets a number in a table of options.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
}

/// Runs the command line with these kinds of problems and optimizers, and returns the process's exit code.
pub fn main(registry: Registry) -> ExitCode {
    keep_freed_memory();
    registry.install();
    // Ends the process where a shell asks for completions.
    CompleteEnv::with_factory(cli::Cli::command)
        .var(cli::COMPLETION_VARIABLE)
        .complete();
    let result = usable_arguments(std::env::args_os()).and_then(|()| {
        let cli = cli::Cli::parse();
        set_threads(cli::threads(&cli));
        cli::run(cli, &mut std::io::stdout())
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-runner: {}", cli::harmless(&error.to_string()));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whether all arguments are text on one line: they are written into manifests, scripts and reports.
fn usable_arguments(arguments: impl Iterator<Item = OsString>) -> error::Result<()> {
    for argument in arguments {
        let reason = match argument.to_str() {
            None => "it is not UTF-8",
            Some(text) if text.contains(char::is_control) => "it has control characters in it",
            Some(_) => continue,
        };
        return Err(error::Error::Argument {
            argument: argument.to_string_lossy().into_owned(),
            reason,
        });
    }
    Ok(())
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
