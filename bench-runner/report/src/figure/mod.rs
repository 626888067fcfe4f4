//! Charts, drawn by plotters in one style, as SVG, PNG and PDF.
//!
//! A chart is plain data ([`Chart`]); functions here make charts of results, and [`Chart::render`]
//! draws any chart. The same chart always gives the same bytes.

mod axis;
mod chart;
mod comparison;
mod convergence;
mod draw;
mod error;
mod export;
mod family;
mod faults;
mod forest;
mod ranking;
mod sensitivity;
mod style;

pub use chart::{
    AxisScale, Band, Chart, Contours, Coordinate, Curves, Field, Grid, Heat, HeatCell, Interval,
    Intervals, Joint, Panel, Point, Reference, Series, Surface,
};
pub use comparison::{
    Curve, Effect, PROFILE, cost, effects, evaluations_to_target, fields, performance_profile,
    run_time_distribution, surface, trajectories,
};
pub use convergence::{convergence, problems_side_by_side, scale, side_by_side, styles_of};
pub use error::{Error, Result};
pub use export::Format;
pub use family::{MOST, families};
pub use faults::fault_effects;
pub use forest::{FOREST, forest};
pub use ranking::{fault_ranks, ranking_map};
pub use sensitivity::sensitivity;
pub use style::{DASHES, PALETTE, styles};
