//! What is observed for evidence, to be judged elsewhere.

/// f − f* after every step, with the evaluations until then, down to the floor of the arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Descent {
    /// Evaluations.
    pub evaluations: Vec<f64>,
    /// f − f*.
    pub errors: Vec<f64>,
}

/// What was observed for evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A count, the same in every run.
    Count(f64),
    /// Counts over sizes in geometric progression.
    Counts {
        /// The sizes.
        sizes: Vec<f64>,
        /// The count at each.
        counts: Vec<f64>,
    },
    /// Ratios of counts, each with the name of what is counted. What is claimed of them is claimed of the largest.
    Ratios(Vec<(&'static str, f64)>),
    /// The costs of each seed's run, over sizes in geometric progression.
    Costs {
        /// The sizes.
        sizes: Vec<f64>,
        /// The costs at each.
        costs: Vec<Vec<f64>>,
    },
    /// For each condition number the descents of each seed.
    Descents(Vec<Vec<Descent>>),
    /// The mean of each seed.
    Means(Vec<f64>),
    /// Nothing: a suite's results tell.
    OfSuite,
    /// Nothing, and why.
    Nothing(String),
}
