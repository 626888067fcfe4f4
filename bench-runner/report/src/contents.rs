//! What a report is made of.

use bench_experiment::store::{Manifest, Results};
use serde::Serialize;

use crate::figure::{Chart, Format};

/// What the results say about one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The claim.
    pub claim: String,
    /// Whether it holds here, in a word or two.
    pub verdict: String,
    /// The numbers behind the verdict.
    pub evidence: String,
}

/// How to read the leaderboard.
pub(crate) const LEADERBOARD_READING: &str = "One row for each method, with its best-tuned trial, the fewest evaluations \
    first. Evaluations: what it needs to reach the same losses, ten targets to a problem, over what the reference needs, \
    the median over problems with its exact 95 % interval; below 1 is faster. A target that one of the two missed counts \
    as reached at the end of the budget, so that true differences are no smaller. Won, tied and lost: problems, a ratio \
    within ±10 % being a tie. Sure: ahead or behind where the interval lies on one side of 1 and the sign test over \
    problems has p < 0.05, Holm-corrected for all optimizers; level where the interval is within ±10 %. Time per \
    evaluation: over that of the reference, the median over problems.";

/// How to read the table of all problems.
pub(crate) const OVERALL_READING: &str = "The problem is the unit. Digits gained: how many powers of ten of the gap \
    between the first loss and the lowest that any method found were closed at the end, from 0 to 8, the interquartile \
    mean over problems and seeds. Won, tied and lost: problems, by the median ratio of evaluations over seeds and ten \
    targets, a ratio within ±10 % being a tie. The ratio of final losses is a geometric mean over problems; p is that \
    of the sign-flip test over problems, Holm-corrected. Brackets hold 95 % intervals, from a bootstrap over problems \
    and seeds, and for the probability over seeds. Ranks compare median final losses; 1 is best, equal losses \
    share the mean of their ranks.";

/// How to read the table of switches.
pub(crate) const SWITCH_READING: &str = "Runs that switched, and when, the median over them. Their final losses are \
    compared with those of the same seeds without the switch, problem by problem; the ratio is a geometric mean over \
    problems with its 95 % interval from a bootstrap. A run that never switched is its first phase, bit by bit, where \
    that was run too; such runs are counted last, and not drawn.";

/// With more problems than this a report would be too heavy for a browser and an archive.
const MANY_PROBLEMS: usize = 40;

/// Whether each problem has one chart only, as SVG beside the page, and the page's live charts show fewer axes.
pub(crate) fn is_thinned(results: &Results) -> bool {
    results.problems.len() > MANY_PROBLEMS
}

/// A report to be made: `index.html`, `summary.md`, `summary.tex`, `summary.csv` (one line per problem
/// and optimizer), `runs.csv` (one line per run), and all charts under `figures/`.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The results.
    pub results: &'a Results,
    /// How they came about.
    pub manifest: &'a Manifest,
    /// What they say about claims; may be empty.
    pub findings: &'a [Finding],
    /// Charts for the head of the page.
    pub extra: &'a [Chart],
    /// The formats of the charts' files.
    pub formats: &'a [Format],
}

impl<'a> Report<'a> {
    /// A report without findings and extra charts, with charts in all formats.
    pub fn new(results: &'a Results, manifest: &'a Manifest) -> Self {
        Self {
            results,
            manifest,
            findings: &[],
            extra: &[],
            formats: &[Format::Svg, Format::Png, Format::Pdf],
        }
    }
}

/// What the numbers of the tables are; shown wherever a table is.
pub(super) const READING: &str = "Numbers are medians over seeds; brackets hold the distribution-free interval \
for the median from order statistics, at 95 % or at the highest level that the number of seeds \
allows (50 % at 2, 75 % at 3, 94 % at 5 seeds). Runs that diverged or failed count as worse than \
every other; interrupted runs do not count. A target that was not reached costs ∞. The lowest loss is the \
best that was measured on the way to the final one. Of the runs that reached the target, “by phase” counts \
those that did so in their first-order + in their second-order phase, and “held” those that were still there \
at the end. “Stable” says, where it was tried, whether runs from starts that differ by rounding end no further apart, \
beyond chance, than runs of different seeds; no comparison rests on those that end further apart.";
