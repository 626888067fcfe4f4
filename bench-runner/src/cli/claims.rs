//! `claims`: what is claimed, what was measured, and what that says.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use serde::Serialize;

use super::suites::Suites;
use super::{print, write_files};
use crate::claims::{Claim, Claims, Evidence, Measured, Measurer, Source, Verdict};
use crate::data::Library;
use crate::problem::Environment;
use crate::report::Table;
use crate::spec::Scale;
use crate::{Error, Result};

#[derive(Debug, Parser)]
pub(super) struct ClaimsCommand {
    /// The claims to judge; all by default
    ids: Vec<String>,
    /// End with an error if a verdict or a count differs from the recorded one
    #[arg(long)]
    check: bool,
    /// Leave out claims whose suites take minutes
    #[arg(long)]
    fast: bool,
    /// Say what a claim is, where it comes from and how it is judged, and measure nothing
    #[arg(long)]
    explain: bool,
    /// Where claims.json and claims.md go
    #[arg(long, value_name = "DIR", default_value = "reports/claims")]
    out: PathBuf,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = super::store::DEFAULT)]
    store: PathBuf,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
}

/// A judged claim, for machines.
#[derive(Debug, Serialize)]
struct Judgement {
    id: String,
    statement: String,
    source: Source,
    rule: String,
    evidence: String,
    value: Option<f64>,
    interval: Option<[f64; 2]>,
    verdict: Verdict,
    recorded: Verdict,
}

/// Measures and judges.
///
/// # Errors
/// When something cannot be measured or written, or, with `--check`, what moved.
pub(super) fn claims(
    options: &ClaimsCommand,
    library: &dyn Fn() -> Result<Library>,
    out: &mut impl Write,
) -> Result<()> {
    let claims = Claims::built_in()?;
    let mut selected = claims.select(&options.ids)?;
    if options.explain {
        return print(
            out,
            &selected.into_iter().map(explained).collect::<String>(),
        );
    }
    if options.fast {
        selected.retain(|claim| {
            !matches!(
                claim.evidence,
                Evidence::Wins { .. } | Evidence::ProbabilityOfLowerLoss { .. }
            )
        });
    }
    let environment = Environment {
        library: library()?.into(),
        device: candle_core::Device::Cpu,
    };
    let mut suites = Suites {
        store: &options.store,
        threads: options.threads,
        scale: Scale::Full,
        library,
        known: BTreeMap::new(),
        only_known: false,
    };
    let mut measurer = Measurer {
        environment: &environment,
        results: &mut |suite| suites.results(suite),
    };
    let (mut judgements, mut moved) = (Vec::new(), Vec::new());
    for claim in selected {
        eprintln!("{}", claim.id);
        let measured = measurer.measure(claim)?;
        moved.extend(claim.moved(&measured));
        judgements.push(judgement(claim, &measured));
    }
    let text = |judgement: &Judgement| {
        vec![
            judgement.statement.clone(),
            judgement.evidence.clone(),
            judgement.verdict.to_string(),
            judgement.recorded.to_string(),
        ]
    };
    let table = Table {
        headers: ["claim", "measured", "verdict", "recorded"]
            .map(String::from)
            .to_vec(),
        rows: judgements.iter().map(text).collect(),
    };
    let json = serde_json::to_string_pretty(&judgements).map_err(|error| Error::Output {
        path: options.out.join("claims.json"),
        reason: error.to_string(),
    })?;
    let files = vec![
        ("claims.json".into(), (json + "\n").into_bytes()),
        ("claims.md".into(), table.markdown().into_bytes()),
    ];
    write_files(&options.out, files)?;
    let lines = judgements.iter().map(|judgement| {
        format!(
            "{:<26} {:<15} {}\n",
            judgement.id,
            judgement.verdict.to_string(),
            judgement.evidence
        )
    });
    print(out, &lines.collect::<String>())?;
    if options.check && !moved.is_empty() {
        return Err(Error::ClaimsMoved { moved });
    }
    Ok(())
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

fn judgement(claim: &Claim, measured: &Measured) -> Judgement {
    let (value, interval) = match measured {
        Measured::Exact(value) => (Some(*value), None),
        Measured::Estimated(estimate) => (
            Some(estimate.value),
            Some([estimate.interval.low, estimate.interval.high]),
        ),
        Measured::Nothing(_) => (None, None),
    };
    Judgement {
        id: claim.id.clone(),
        statement: claim.statement.clone(),
        source: claim.source,
        rule: claim.rule.clone(),
        evidence: measured.text(),
        value,
        interval,
        verdict: claim.judge(measured),
        recorded: claim.expected,
    }
}
