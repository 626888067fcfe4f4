//! The verdicts on claims: a page, a table in Markdown, and JSON for machines.

use std::path::PathBuf;

use bench_analysis::claims::{Judgement, Source, Verdict};
use serde::Serialize;

use crate::contents::Finding;
use crate::error::Result;
use crate::page::{STYLE, render};
use crate::table::Table;

const TEMPLATE: &str = include_str!("../templates/claims.html");

/// The version of the layout of `claims.json`; `reports/claims.schema.json` describes it.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    level: f64,
    moved: usize,
    claims: &'a [Judgement],
}

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    reading: String,
    summary: Vec<(String, usize)>,
    claims: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    judged: &'a Judgement,
    source: &'static str,
    verdict: String,
    recorded: String,
}

impl From<&Judgement> for Finding {
    fn from(judged: &Judgement) -> Self {
        Self {
            claim: judged.statement.clone(),
            verdict: judged.verdict.to_string(),
            evidence: format!("{} {} {}", judged.measured, judged.within, judged.rule),
        }
    }
}

/// The files of some verdicts with their names, the page `index.html` first; `level` is the confidence level of
/// all intervals.
///
/// # Errors
/// When the page or the JSON cannot be made.
pub fn verdicts(judgements: &[Judgement], level: f64) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let reading = reading(level);
    let document = Document {
        schema_version: SCHEMA_VERSION,
        level,
        moved: judgements.iter().filter(|j| j.moved.is_some()).count(),
        claims: judgements,
    };
    let json = serde_json::to_string_pretty(&document)? + "\n";
    let markdown = format!("{}\n{reading}\n", table(judgements).markdown());
    let page = page(judgements, reading)?;
    let files = [
        ("index.html", page),
        ("claims.json", json),
        ("claims.md", markdown),
    ];
    Ok(files
        .map(|(name, text)| (name.into(), text.into_bytes()))
        .to_vec())
}

fn reading(level: f64) -> String {
    format!(
        "Counts are the same in every run. Intervals have level {:.2} % each, so that all of them hold at once with \
         95 % probability (Bonferroni); a claim is reproduced when its whole interval agrees with it, not reproduced \
         when all of it contradicts it, inconclusive else.",
        100.0 * level
    )
}

/// The table of verdicts.
fn table(judgements: &[Judgement]) -> Table {
    let row = |judged: &Judgement| {
        vec![
            judged.statement.clone(),
            judged.measured.clone(),
            judged.within.clone(),
            judged.verdict.to_string(),
            judged.recorded.to_string(),
        ]
    };
    Table {
        headers: ["claim", "measured", "interval", "verdict", "recorded"]
            .map(String::from)
            .to_vec(),
        rows: judgements.iter().map(row).collect(),
    }
}

fn page(judgements: &[Judgement], reading: String) -> Result<String> {
    let verdicts = [
        Verdict::Reproduced,
        Verdict::NotReproduced,
        Verdict::Inconclusive,
        Verdict::NotTestable,
    ];
    let count = |verdict| judgements.iter().filter(|j| j.verdict == verdict).count();
    let page = Page {
        style: STYLE,
        reading,
        summary: verdicts
            .map(|verdict| (verdict.to_string(), count(verdict)))
            .to_vec(),
        claims: judgements
            .iter()
            .map(|judged| Shown {
                judged,
                source: match judged.source {
                    Source::Paper => "the paper",
                    Source::Code => "the authors' code",
                    Source::Theory => "theory",
                    Source::Ours => "this suite",
                },
                verdict: judged.verdict.to_string(),
                recorded: judged.recorded.to_string(),
            })
            .collect(),
    };
    render("claims.html", TEMPLATE, &page)
}
