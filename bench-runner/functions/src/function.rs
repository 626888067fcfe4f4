//! What a test function is, and a built one that can be evaluated.

use std::fmt;

use crate::{Dimensions, Error, Result};

/// What is known of a test function before its dimension is chosen.
#[derive(Debug, Clone, Copy)]
pub struct TestFunction {
    /// The name in experiment files.
    pub name: &'static str,
    /// The name in reports.
    pub title: &'static str,
    /// Who published it, where and when.
    pub citation: &'static str,
    /// The dimensions that it is defined for.
    pub dimensions: Dimensions,
    /// The group in which COCO reports it; none outside [`bbob`](crate::bbob).
    pub group: Option<Group>,
    /// Whether the gradient is zero almost everywhere, so that no gradient method can move.
    pub gradient_vanishes: bool,
    /// How to build it.
    pub(crate) build: Build,
}

/// How a function is built.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Build {
    /// From the dimension.
    One(fn(usize) -> Function),
    /// From the dimension and the instance, which is at most [`LARGEST_INSTANCE`].
    Instances(fn(usize, u64) -> Function),
}

/// The largest instance of a function that has instances: COCO's random numbers start from a seed
/// below 2³¹, which is the function's number and 10,000 times the instance, plus at most 10⁶.
pub(crate) const LARGEST_INSTANCE: u64 = 200_000;

impl TestFunction {
    /// A function with one instance and no group.
    pub(crate) const fn new(
        name: &'static str,
        title: &'static str,
        citation: &'static str,
        dimensions: Dimensions,
        build: fn(usize) -> Function,
    ) -> Self {
        Self {
            name,
            title,
            citation,
            dimensions,
            group: None,
            gradient_vanishes: false,
            build: Build::One(build),
        }
    }

    /// The largest instance; the first is 1, and most functions have no other.
    pub fn instances(&self) -> u64 {
        match self.build {
            Build::One(_) => 1,
            Build::Instances(_) => LARGEST_INSTANCE,
        }
    }

    /// Whether the function has this dimension and this instance. Costs nothing.
    ///
    /// # Errors
    /// [`Error::Dimension`] and [`Error::Instance`], which say what there is.
    pub fn check(&self, dimension: usize, instance: u64) -> Result<()> {
        if !self.dimensions.contains(dimension) {
            return Err(Error::Dimension {
                function: self.name,
                dimension,
                defined: self.dimensions,
            });
        }
        let largest = self.instances();
        if !(1..=largest).contains(&instance) {
            return Err(Error::Instance {
                function: self.name,
                instance,
                largest,
            });
        }
        Ok(())
    }

    /// The function in a dimension; `instance` is 1 where the function has only one.
    ///
    /// # Errors
    /// As [`TestFunction::check`].
    pub fn build(&self, dimension: usize, instance: u64) -> Result<Function> {
        self.check(dimension, instance)?;
        Ok(match self.build {
            Build::One(build) => build(dimension),
            Build::Instances(build) => build(dimension, instance),
        })
    }
}

/// The function of a name in a room's list.
///
/// # Errors
/// [`Error::UnknownFunction`], with the names in the list.
pub fn find(functions: &[&'static TestFunction], name: &str) -> Result<&'static TestFunction> {
    functions
        .iter()
        .copied()
        .find(|function| function.name == name)
        .ok_or_else(|| Error::UnknownFunction {
            name: name.to_string(),
            known: functions.iter().map(|function| function.name).collect(),
        })
}

/// The largest dimension of a function that is defined for any, where nothing else bounds it.
pub const LARGEST: usize = 10_000;

/// 1, 2, …, d.
pub(crate) fn numbers(d: usize) -> impl Iterator<Item = f64> {
    (1..=d).map(|i| i as f64)
}

/// COCO's groups of the bbob functions, by which run-time distributions are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// f1 to f5: separable.
    Separable,
    /// f6 to f9: low or moderate conditioning.
    Moderate,
    /// f10 to f14: high conditioning and one minimum.
    IllConditioned,
    /// f15 to f19: many minima with global structure.
    MultiModal,
    /// f20 to f24: many minima with weak global structure.
    WeaklyStructured,
}

impl Group {
    /// The name in reports.
    pub fn title(self) -> &'static str {
        match self {
            Self::Separable => "separable",
            Self::Moderate => "moderately conditioned",
            Self::IllConditioned => "ill-conditioned",
            Self::MultiModal => "multi-modal",
            Self::WeaklyStructured => "weakly structured",
        }
    }
}

/// A known minimum.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The function's value there, to the digits that are published.
    pub value: f64,
    /// A point with that value, where one is known.
    pub at: Option<Vec<f64>>,
}

type Evaluate = dyn FnMut(&[f64], &mut [f64]) -> f64 + Send;

/// A test function of one dimension, ready to be evaluated.
pub struct Function {
    /// The standard starting point.
    pub start: Vec<f64>,
    /// The known minima, the global one first; the others are local minima that a descent method
    /// may end in. Empty where none is known.
    pub minima: Vec<Minimum>,
    evaluate: Box<Evaluate>,
}

impl Function {
    /// A function without known minima. `evaluate` returns the value at its first argument and
    /// writes the gradient into the second; its scratch space is what it owns.
    pub(crate) fn new(
        start: Vec<f64>,
        evaluate: impl FnMut(&[f64], &mut [f64]) -> f64 + Send + 'static,
    ) -> Self {
        Self {
            start,
            minima: Vec::new(),
            evaluate: Box::new(evaluate),
        }
    }

    /// Adds a known minimum and a point where it is attained.
    pub(crate) fn with_minimum_at(mut self, value: f64, at: Vec<f64>) -> Self {
        let at = Some(at);
        self.minima.push(Minimum { value, at });
        self
    }

    /// Adds a known minimum whose place is not published.
    pub(crate) fn with_minimum(mut self, value: f64) -> Self {
        self.minima.push(Minimum { value, at: None });
        self
    }

    /// The number of variables d.
    pub fn dimension(&self) -> usize {
        self.start.len()
    }

    /// The value of the global minimum, where it is known.
    pub fn minimum(&self) -> Option<f64> {
        self.minima.first().map(|minimum| minimum.value)
    }

    /// The standard start times a factor, as Moré, Garbow and Hillstrom use factors 1, 10 and 100.
    /// A start at the origin becomes the factor in every coordinate, as in their program.
    pub fn scaled_start(&self, factor: f64) -> Vec<f64> {
        let at_origin = self.start.iter().all(|x| *x == 0.0);
        if at_origin && factor != 1.0 {
            return vec![factor; self.dimension()];
        }
        self.start.iter().map(|x| factor * x).collect()
    }

    /// The value at `x`; writes the gradient into `gradient`. Allocates nothing.
    ///
    /// # Panics
    /// If a slice is not as long as the dimension.
    pub fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let dimension = self.dimension();
        assert_eq!(x.len(), dimension, "the point has the wrong dimension");
        assert_eq!(
            gradient.len(),
            dimension,
            "the gradient has the wrong dimension"
        );
        (self.evaluate)(x, gradient)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("start", &self.start)
            .field("minima", &self.minima)
            .finish_non_exhaustive()
    }
}
