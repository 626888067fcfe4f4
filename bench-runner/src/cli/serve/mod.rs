//! `serve`: the sweep of `ablation`, with a page on this machine that shows it while it runs.

mod server;
mod watch;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bench_data::Library;
use bench_experiment::session::{Event, Options, Session};
use clap::Parser;

use super::complete;
use super::local::Local;
use super::progress::Monitor;
use super::publish::writable;
use super::terminal::{harmless, interruptible, open, print};
use crate::error::{Error, Result};
use watch::Watch;

#[derive(Debug, Parser)]
pub struct Serve {
    /// A built-in suite's name or an experiment file, or the folder of a report to show
    #[arg(
        default_value = "quick",
        value_name = "SUITE|FILE.toml|REPORT",
        add = complete::experiments()
    )]
    what: String,
    #[command(flatten)]
    pub local: Local,
    /// The port on 127.0.0.1; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
}

/// Runs what the store lacks while a page shows it, until Ctrl-C; of a report's folder, shows the report.
///
/// # Errors
/// Whatever ends the command; what ended the last sweep, if Ctrl-C came after it.
pub fn serve(
    options: &Serve,
    library: &dyn Fn() -> Result<Library, bench_data::Error>,
    out: &mut impl Write,
) -> Result<()> {
    let interrupted = interruptible();
    let watch = Arc::new(Watch::new(interrupted));
    let show = |folder: &Path, watch, out: &mut _| -> Result<()> {
        let address = server::start(options.port, folder, watch)?;
        print(out, &format!("Page: {address} (Ctrl-C ends it)\n"))?;
        match options.open {
            true => open(Path::new(&address)),
            false => Ok(()),
        }
    };
    let report = Path::new(&options.what);
    if report.is_dir() {
        if let Some(flag) = options.local.first_given() {
            return Err(Error::Flag {
                flag: flag.into(),
                value: String::new(),
                reason: format!(
                    "is for a sweep, and {} is the folder of a report, which is shown as it is",
                    report.display()
                ),
            });
        }
        let page = report.join("index.html");
        std::fs::metadata(&page).map_err(bench_experiment::Error::io("read", &page))?;
        show(report, None, out)?;
        watch.wait();
        return Ok(());
    }
    let local = &options.local;
    let experiment = local.experiment(&options.what, library()?.catalogue())?;
    let folder = local.folder(&experiment);
    let mut session = local.session()?;
    session.device.open()?;
    writable(&folder)?;
    show(&folder, Some(Arc::clone(&watch)), out)?;

    let monitor = Monitor::new(local.quiet);
    let observe = |event: Event<'_>| {
        monitor.observe(event);
        watch.observe(event);
    };
    let published = |report: &Path| -> Result<()> {
        let inside = report.strip_prefix(&folder).unwrap_or(Path::new(""));
        let names = inside.iter().map(|name| name.to_string_lossy() + "/");
        watch.published(format!("report/{}index.html", names.collect::<String>()));
        Ok(())
    };
    loop {
        let made = library().map_err(Into::into).and_then(|library| {
            let session = Session::open(session.clone(), library, &observe, interrupted)?;
            local.complete(&session, &experiment, &folder, out, &published)
        });
        if !watch.ended(&made) && interrupted.load(Ordering::Relaxed) {
            return made;
        }
        interrupted.store(false, Ordering::Relaxed);
        if let Err(error) = &made {
            eprintln!("{}", harmless(&error.to_string()));
        }
        if !watch.wait() {
            return made;
        }
        // What was made is in the store by now.
        session = Options {
            fresh: false,
            ..session
        };
    }
}
