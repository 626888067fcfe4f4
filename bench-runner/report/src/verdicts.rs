//! The verdicts on claims: a page, a table in Markdown, and JSON for machines.

use std::path::PathBuf;

use bench_analysis::claims::{Judgement, Source, Verdict};
use bench_analysis::stability::SuiteStability;
use serde::Serialize;

use crate::contents::Finding;
use crate::error::Result;
use crate::page::{STYLE, render};
use crate::table::Table;

const TEMPLATE: &str = include_str!("../templates/claims.html");

/// The version of the layout of `claims.json`; `reports/claims.schema.json` describes it.
const SCHEMA_VERSION: u32 = 3;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    claims_sha256: &'a str,
    moved: usize,
    claims: &'a [Judgement],
    stability: &'a [SuiteStability],
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
    standing: &'static str,
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

/// The files of some verdicts with their names, the page `index.html` first. `stability` says which runs of their suites come apart
/// by rounding alone. `sha256` is the hash of the file of claims that they were judged by, so that nobody can move a rule after its
/// runs unseen.
///
/// # Errors
/// When the page or the JSON cannot be made.
pub fn verdicts(
    judgements: &[Judgement],
    stability: &[SuiteStability],
    sha256: &str,
) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let of_suites = stability.iter().map(|suite| suite.reading() + " ");
    let reading = of_suites.chain([reading(sha256)]).collect::<String>();
    let document = Document {
        schema_version: SCHEMA_VERSION,
        claims_sha256: sha256,
        moved: judgements.iter().filter(|j| j.moved.is_some()).count(),
        claims: judgements,
        stability,
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

fn reading(sha256: &str) -> String {
    format!(
        "Counts do not vary between runs. A claim is reproduced if all values in its interval agree with it, not \
         reproduced if none does, and inconclusive otherwise. Results can be consistent with a bound or a rate, but \
         cannot prove it. Two methods within 10 % of each other tie, and ties do not count as decided. Confirmatory \
         claims were stated before their runs; the probability of any error among them is 5 % at most (Holm). Each \
         exploratory claim has 5 % of its own. Claims file: SHA-256 {sha256}."
    )
}

fn standing(judged: &Judgement) -> &'static str {
    match (judged.confirmatory, judged.interval) {
        (true, _) => "confirmatory",
        (false, Some(_)) => "exploratory",
        (false, None) => "",
    }
}

/// The table of verdicts.
fn table(judgements: &[Judgement]) -> Table {
    let row = |judged: &Judgement| {
        vec![
            judged.statement.clone(),
            standing(judged).into(),
            judged.measured.clone(),
            judged.within.clone(),
            judged.verdict.to_string(),
            judged.recorded.to_string(),
        ]
    };
    Table {
        headers: [
            "claim", "standing", "measured", "interval", "verdict", "recorded",
        ]
        .map(String::from)
        .to_vec(),
        rows: judgements.iter().map(row).collect(),
    }
}

fn page(judgements: &[Judgement], reading: String) -> Result<String> {
    let verdicts = [
        Verdict::Reproduced,
        Verdict::ConsistentWith,
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
                    Source::Literature => "another paper",
                    Source::Ours => "this suite",
                },
                standing: standing(judged),
                verdict: judged.verdict.to_string(),
                recorded: judged.recorded.to_string(),
            })
            .collect(),
    };
    render("claims.html", TEMPLATE, &page)
}
