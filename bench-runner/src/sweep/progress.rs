//! Progress of a sweep: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Demand, lock};
use crate::run::{Outcome, RunRecord};

/// Tells the user how far a sweep is, on standard error.
pub struct Progress<'a> {
    demands: &'a [Demand],
    bar: ProgressBar,
    plain: Option<Mutex<Plain>>,
}

/// What plain lines need to know.
struct Plain {
    started: Instant,
    runs: usize,
    next_line: Duration,
}

/// Time between plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

impl<'a> Progress<'a> {
    /// Progress of runs that are expected to take so much each; silent if `quiet`.
    pub fn new(demands: &'a [Demand], quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        // The bar counts milliseconds of estimated work, so that its ETA weighs long runs more.
        let bar = ProgressBar::with_draw_target(
            Some((demands.iter().map(|demand| demand.seconds).sum::<f64>() * 1e3) as u64 + 1),
            if terminal && !quiet {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:30} {percent:>3} %  {msg}  {elapsed} passed, {eta} left",
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        let plain = (!terminal && !quiet).then(|| {
            Mutex::new(Plain {
                started: Instant::now(),
                runs: 0,
                next_line: PLAIN_INTERVAL,
            })
        });
        Self {
            demands,
            bar,
            plain,
        }
    }

    /// The run at an index has ended.
    pub fn finished(&self, index: usize, record: &RunRecord) {
        self.bar.inc((self.demands[index].seconds * 1e3) as u64);
        self.bar.set_message(record.cell.problem.clone());
        if let Outcome::Failed { reason } = &record.outcome {
            let line = format!("{} failed: {reason}", record.cell);
            match &self.plain {
                Some(_) => eprintln!("{line}"),
                None => self.bar.println(line),
            }
        }
        if let Some(plain) = &self.plain {
            let mut plain = lock(plain);
            plain.runs += 1;
            let elapsed = plain.started.elapsed();
            if elapsed >= plain.next_line || plain.runs == self.demands.len() {
                plain.next_line = elapsed + PLAIN_INTERVAL;
                eprintln!(
                    "{}/{} runs, {} passed",
                    plain.runs,
                    self.demands.len(),
                    HumanDuration(elapsed)
                );
            }
        }
    }

    /// The sweep has ended.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}
