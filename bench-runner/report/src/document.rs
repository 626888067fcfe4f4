//! Passages of documents that are made of committed results, so that no number in them is typed by hand.
//!
//! A passage stands between `<!-- generated: NAME ARGUMENTS -->` and `<!-- end -->`. The test `docs` fails when a
//! document's passages are not what the results give, and writes them with `UPDATE_DOCS=1`.

use std::path::Path;

use bench_analysis::summary::summarize;
use bench_experiment::spec::Scale;
use bench_experiment::store::{self, Results};

use crate::by_method::{self, Shown};
use crate::error::{Error, Result};
use crate::headline::Headline;
use crate::table::markdown_text;
use crate::terminal::problem_text;
use crate::{discrepancy, performance, reproduction, summary};

const BEGIN: &str = "<!-- generated: ";
const BEGUN: &str = " -->\n";
const END: &str = "<!-- end -->";

/// Characters to a line of text for the terminal.
const WIDTH: usize = 80;

/// The text of a document with all passages made anew from the reports in the folder `references`:
///
/// | passage | what it is |
/// |---|---|
/// | `discrepancies` | what the authors' code does that the paper does not say |
/// | `overview SUITE` | the optimizers over all problems of a suite |
/// | `summary SUITE` | the same, of a suite of which the summary is kept and no results |
/// | `methods SUITE` | of such a suite: the methods on each problem, each by its best trial |
/// | `methods SUITE PART` | the same for the problems whose label begins with `PART/` |
/// | `reached SUITE` | how many runs of each method reached the target of each problem, by the trial of which most did |
/// | `problem SUITE LABEL` | the optimizers on one problem, with its target and budget |
/// | `terminal SUITE LABEL` | the same as the program prints it |
/// | `claims` | the verdicts on all claims |
/// | `claims FAMILY` | those on the claims of `claims-FAMILY.toml` |
/// | `advice decisions` | which method to take, by situation |
/// | `advice judged` | how the choices did on other problems |
/// | `pairs` | which of the paper's pairs have been run, on what |
/// | `arms REPORTS COLUMN` | a column of the summaries of the reports `as-shipped-REPORTS`, `paper-REPORTS` and `corrected-REPORTS`, as far as they exist |
/// | `machine` | the machine of the speed measurements |
/// | `performance BENCHMARK MEASURE` | the speed measurements of a benchmark, ours beside PyTorch's |
///
/// # Errors
/// With the line of a passage that is not closed or not known, or whose results cannot be read.
pub fn renewed(text: &str, references: &Path) -> Result<String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, passage)) = rest.split_once(BEGIN) {
        let line = 1 + made.matches('\n').count() + before.matches('\n').count();
        let wrong = |reason: String| Error::Passage { line, reason };
        let (name, old) = passage
            .split_once(BEGUN)
            .ok_or_else(|| wrong(format!("`{}` is missing after the name", BEGUN.trim())))?;
        let (_, after) = old
            .split_once(END)
            .ok_or_else(|| wrong(format!("`{END}` is missing")))?;
        let new = passage_text(name, references, &wrong)?;
        made += &format!("{before}{BEGIN}{name}{BEGUN}\n{}\n\n{END}", new.trim_end());
        rest = after;
    }
    Ok(made + rest)
}

fn passage_text(name: &str, references: &Path, wrong: &dyn Fn(String) -> Error) -> Result<String> {
    let results = |suite: &str| -> Result<Results> {
        Ok(store::read(
            &references.join(suite).join("results.parquet"),
        )?)
    };
    let committed = |name: &str| -> Result<String> {
        let path = references.join(name);
        std::fs::read_to_string(&path).map_err(Error::io("read", &path))
    };
    let parts: Vec<&str> = name.split(' ').collect();
    let of_problem = |suite: &str, label: &str| -> Result<(Results, usize)> {
        let results = results(suite)?;
        let index = results.problems.iter().position(|p| p.label == label);
        let index = index.ok_or_else(|| wrong(format!("`{suite}` has no problem `{label}`")))?;
        Ok((results, index))
    };
    match parts[..] {
        ["discrepancies"] => Ok(discrepancy::markdown()),
        ["claims"] | ["claims", _] => {
            // The families beside the built-in one have a folder each.
            committed(&format!("{}/claims.md", parts.join("-")))
        }
        ["advice", table @ ("decisions" | "judged")] => committed(&format!("advice/{table}.md")),
        ["pairs"] => Ok(reproduction::table(references)?.markdown()),
        ["arms", reports, column] => {
            Ok(reproduction::medians(references, reports, column, wrong)?.markdown())
        }
        ["machines"] => performance::machines(&references.join("performance")),
        ["performance", benchmark, measure] => {
            let table = performance::table(&references.join("performance"), benchmark, measure)?;
            Ok(table.markdown())
        }
        ["overview", suite] => {
            let results = results(suite)?;
            Ok(summary::overview(&Headline::new(&results, &summarize(&results))).markdown())
        }
        ["summary", suite] => {
            let text = committed(&format!("{suite}/summary.md"))?;
            let below = text.lines().skip_while(|line| *line != summary::OVERVIEW);
            let table = below.skip_while(|line| !line.starts_with('|'));
            let table: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
            Ok(table.join("\n"))
        }
        [kind @ ("methods" | "reached"), suite] | [kind @ "methods", suite, _] => {
            let shown = match kind {
                "methods" => Shown::Loss,
                _ => Shown::Reached,
            };
            let part = parts
                .get(2)
                .map_or(String::new(), |part| format!("{part}/"));
            let table =
                by_method::table(&committed(&format!("{suite}/summary.csv"))?, &part, shown);
            Ok(table.map_err(wrong)?.markdown())
        }
        ["problem", suite, label] => {
            let (results, index) = of_problem(suite, label)?;
            let problem = &results.problems[index];
            let command = match Scale::of_name(suite) {
                Scale::Full => suite.to_owned(),
                scale => format!("{} --scale {scale}", Scale::suite_of(suite)),
            };
            Ok(format!(
                "{}. {} Runs: `bench-runner ablation {command}`.\n\n{}",
                markdown_text(&problem.title),
                summary::goal(problem),
                summary::table(&summarize(&results), problem).markdown()
            ))
        }
        ["terminal", suite, label] => {
            let (results, index) = of_problem(suite, label)?;
            let text = problem_text(&results, &results.problems[index], WIDTH);
            Ok(format!("```text\n{text}```"))
        }
        _ => Err(wrong(format!("`{name}` is no passage that can be made"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn passages_are_made_anew_and_the_rest_stays() {
        let document = "a\n<!-- generated: discrepancies -->\nold\n<!-- end -->\nb\n";
        let made = renewed(document, Path::new("none")).unwrap();
        assert!(made.starts_with("a\n<!-- generated: discrepancies -->\n\n|"));
        assert!(made.ends_with("\n\n<!-- end -->\nb\n") && !made.contains("\nold\n"));
        assert_eq!(renewed(&made, Path::new("none")).unwrap(), made);
    }

    #[test]
    fn passages_that_cannot_be_made_are_named_with_their_line() {
        let complaint = |document: &str| {
            let error = renewed(document, Path::new("none")).unwrap_err();
            error.to_string()
        };
        let unknown = complaint("a\n\n<!-- generated: nothing -->\n<!-- end -->\n");
        assert_eq!(unknown, "line 3: `nothing` is no passage that can be made");
        let open = complaint("<!-- generated: claims -->\n");
        assert_eq!(open, "line 1: `<!-- end -->` is missing");
    }
}
