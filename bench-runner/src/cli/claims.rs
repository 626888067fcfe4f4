//! `claims`: what is claimed, what was measured, and what that says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use bench_analysis::claims::{
    Claim, ClaimValue, Claims, Judgement, cells, judge_together, updated,
};
use bench_data::{Library, atomic};
use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::session::Session;
use bench_experiment::spec::{Scale, Stability};
use bench_report::{verdicts, write_files};
use clap::Parser;
use optim::Parameters;

use super::complete;
use super::input::reports;
use super::options::{MOST_THREADS, perturbations};
use super::replay::replay;
use super::session::with_session;
use super::store::DEFAULT as DEFAULT_STORE;
use super::suites::{OfSuite, Suites};
use super::terminal::{print, spinner};
use crate::error::{Error, Result};

/// Where the repository keeps its claims.
const FILE: &str = "reports/claims.toml";

#[derive(Debug, Parser)]
pub struct ClaimsCommand {
    /// The claims to judge; all by default
    #[arg(add = complete::claims())]
    ids: Vec<String>,
    /// End with an error if a verdict or a count differs from the recorded one
    #[arg(long)]
    check: bool,
    /// Write the verdicts and counts into the file of claims [default of --file: reports/claims.toml]
    #[arg(long, conflicts_with = "check")]
    update: bool,
    /// Leave out claims whose suites take minutes
    #[arg(long)]
    fast: bool,
    /// Repeat the runs that verdicts on suites rest on, of the first seed, from N starts that differ by rounding only; none rests
    /// on runs that come apart
    #[arg(long, value_name = "N", conflicts_with_all = ["fast", "explain"])]
    perturbations: Option<u64>,
    /// Say what a claim is, where it comes from and how it is judged, and measure nothing
    #[arg(long, conflicts_with_all = ["check", "update"])]
    explain: bool,
    /// Another file of claims than the built-in reports/claims.toml
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where index.html, claims.json and claims.md go
    #[arg(long, value_name = "DIR", default_value = "reports/claims")]
    out: PathBuf,
    /// Make one recorded run again, and end with an error if it comes out otherwise: the beginning of its
    /// address (`store list`) or digest (`runs.csv`)
    #[arg(
        long,
        value_name = "RUN_ID",
        conflicts_with_all = ["ids", "check", "update", "fast", "perturbations", "explain", "file"]
    )]
    replay: Option<String>,
    /// Reports whose results are judged as they are, or the one that has the run to replay [default: the store]
    #[arg(long, value_name = "REPORT", value_delimiter = ',', conflicts_with_all = ["fast", "explain"])]
    from: Vec<PathBuf>,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STORE)]
    store: PathBuf,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub threads: Option<u16>,
}

/// Measures and judges, or makes a recorded run again.
///
/// # Errors
/// When something cannot be measured or written, or, with `--check`, what moved; as [`replay`].
pub fn claims(options: &ClaimsCommand, library: Library, out: &mut impl Write) -> Result<()> {
    if let Some(id) = &options.replay {
        let report = match &options.from[..] {
            [] => None,
            [report] => Some(report.as_path()),
            [_, second, ..] => {
                return Err(Error::Flag {
                    flag: "from".to_owned(),
                    value: second.display().to_string(),
                    reason: "a run is replayed from one report".to_owned(),
                });
            }
        };
        return replay(id, report, &options.store, library, out);
    }
    let file = match &options.file {
        None if options.update => Some(Path::new(FILE)),
        file => file.as_deref(),
    };
    let claims = match file {
        Some(file) => Claims::read(file)?,
        None => Claims::built_in()?,
    };
    let mut selected = claims.select(&options.ids)?;
    if options.explain {
        return print(
            out,
            &selected.into_iter().map(explained).collect::<String>(),
        );
    }
    if options.fast {
        selected.retain(|claim| claim.evidence.suite().is_none());
    }
    let stability = options.perturbations.map(perturbations).transpose()?;
    let suites: BTreeSet<&str> = selected
        .iter()
        .filter_map(|claim| claim.evidence.suite())
        .collect();
    let known = reports(&options.from, &suites.into_iter().collect::<Vec<_>>())?;
    let (values, stability) = with_session(&options.store, options.threads, library, |session| {
        let known = known.into_iter();
        let mut suites = Suites {
            session: Some(session),
            scale: Scale::Full,
            known: known
                .map(|(suite, results)| (suite, OfSuite::Known(Box::new(results))))
                .collect(),
        };
        if let Some(stability) = stability {
            perturb(&selected, stability, &mut suites)?;
        }
        let values = values(&claims, selected, session, &mut suites)?;
        Ok((values, suites.stability()))
    })?;
    let judgements =
        judge_together(&values, claims.confirmatory()).map_err(bench_analysis::Error::from)?;
    for judged in &judgements {
        let recorded = match judged.moved {
            Some(_) => format!("  (recorded: {})", judged.recorded),
            None => String::new(),
        };
        let line = format!(
            "{:<28} {:<15} {} {}{recorded}",
            judged.id,
            judged.verdict.to_string(),
            judged.measured,
            judged.within
        );
        print(out, &format!("{}\n", line.trim_end()))?;
    }
    for suite in &stability {
        print(out, &format!("{}\n", suite.reading()))?;
    }
    write_files(
        &options.out,
        verdicts(&judgements, &stability, &claims.sha256)?,
    )?;
    if let (true, Some(file)) = (options.update, file) {
        update(file, &judgements)?;
    }
    let moved: Vec<String> = judgements.into_iter().filter_map(|j| j.moved).collect();
    if options.check && !moved.is_empty() {
        return Err(Error::ClaimsMoved { moved });
    }
    Ok(())
}

/// What is measured for each of these claims.
fn values<'a>(
    claims: &Claims,
    selected: Vec<&'a Claim>,
    session: &Session<'_>,
    suites: &mut Suites<'_>,
) -> Result<Vec<(&'a Claim, ClaimValue)>> {
    let mut values = Vec::new();
    for claim in selected {
        // Suites show their own progress.
        let waiting = claim.evidence.suite().is_none().then(|| spinner(&claim.id));
        let value = measured(claim, claims.level(claim), session, suites);
        if let Some(spinner) = waiting {
            spinner.finish_and_clear();
        }
        values.push((claim, value?));
    }
    Ok(values)
}

/// Repeats the runs that these claims rest on from perturbed starts.
fn perturb(selected: &[&Claim], stability: Stability, suites: &mut Suites<'_>) -> Result<()> {
    let mut of_suites: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
    for claim in selected {
        if let Some(suite) = claim.evidence.suite()
            && let OfSuite::Known(results) = suites.results(suite)?
        {
            let own = of_suites.entry(suite).or_default();
            own.extend(cells(&claim.evidence, results));
        }
    }
    for (suite, cells) in of_suites {
        suites.perturb(suite, &cells, stability)?;
    }
    Ok(())
}

/// What is observed for a claim, or what its suite's results say.
fn measured(
    claim: &Claim,
    level: f64,
    session: &Session<'_>,
    suites: &mut Suites<'_>,
) -> Result<ClaimValue> {
    if let Some(suite) = claim.evidence.suite() {
        return Ok(match suites.results(suite)? {
            OfSuite::Known(results) => ClaimValue::of_results(&claim.evidence, results, level)
                .map_err(bench_analysis::Error::from)?,
            OfSuite::Missing(reason) => ClaimValue::Nothing(reason.clone()),
        });
    }
    let build = |config: &OptimizerConfig, parameters: &Parameters| config.build(parameters);
    let observed = claim.evidence.observe(&build, session.environment())?;
    Ok(ClaimValue::of(observed, level).map_err(bench_analysis::Error::from)?)
}

/// Writes what was found into a file of claims.
fn update(file: &Path, judgements: &[Judgement]) -> Result<()> {
    use bench_report::Error as Report;
    let text = std::fs::read_to_string(file).map_err(Report::io("read", file))?;
    let text = updated(&text, judgements).map_err(|source| Error::Claims {
        path: file.into(),
        source: Box::new(source),
    })?;
    Ok(atomic::write(file, text.as_bytes()).map_err(Report::io("write", file))?)
}

fn explained(claim: &Claim) -> String {
    format!(
        "{}\n  {}\n  source: {:?}\n  rule: {}\n  evidence: {:?}\n  band: {:?}\n  recorded: {}\n\n",
        claim.id,
        claim.statement,
        claim.source,
        claim.rule,
        claim.evidence,
        claim.band,
        claim.expected
    )
}
