//! The terminal: output, signs of life, the browser, Ctrl-C.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};

/// Set by Ctrl-C; runs stop at their next step.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A flag that Ctrl-C sets from now on; a second Ctrl-C ends the process at once.
pub fn interruptible() -> &'static AtomicBool {
    let handler = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping; what is complete is kept (Ctrl-C again to quit at once)");
    });
    // A command that makes several sweeps has a handler already.
    if let Err(error) = handler
        && !matches!(error, ctrlc::Error::MultipleHandlers)
    {
        eprintln!("Ctrl-C will lose results: {error}");
    }
    &INTERRUPTED
}

/// A sign of life for what takes a while.
pub fn spinner(message: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

/// Opens a page in the browser.
pub fn open(page: &Path) -> Result<()> {
    open::that_detached(page).map_err(|source| Error::Browser {
        path: page.into(),
        source,
    })
}

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Text without signs that a terminal acts upon: names may come from files of others.
pub fn harmless(text: &str) -> String {
    let acts = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(acts, "\u{fffd}")
}

/// Writes [harmless] text to `out`; a closed pipe ends the output, not the command.
pub fn print(out: &mut impl Write, text: &str) -> Result<()> {
    match out
        .write_all(harmless(text).as_bytes())
        .and_then(|()| out.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
