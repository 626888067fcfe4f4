//! Axes: from data to ends, ticks and their labels.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::chart::{AxisScale, Coordinate};

/// An axis with its ends and ticks, as plotters wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    scale: AxisScale,
    low: f64,
    high: f64,
    major: Vec<f64>,
    minor: Vec<f64>,
}

impl Axis {
    /// The axis for `values`; those that it cannot show are passed over.
    pub(super) fn new(coordinate: &Coordinate, values: impl Iterator<Item = f64>) -> Self {
        let scale = coordinate.scale;
        let shown = |value: &f64| value.is_finite() && (scale == AxisScale::Linear || *value > 0.0);
        let (low, high) = values
            .chain(coordinate.bounds.into_iter().flatten())
            .filter(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = match coordinate.bounds {
            Some([low, high]) if shown(&low) && shown(&high) && low < high => (low, high),
            _ if low > high && scale == AxisScale::Log => (0.1, 10.0),
            _ if low > high => (0.0, 1.0),
            _ => padded(scale, low, high, coordinate.bounds.is_some()),
        };
        let (major, minor) = match scale {
            AxisScale::Linear => (linear_ticks(low, high), Vec::new()),
            AxisScale::Log => log_ticks(low, high),
        };
        Self {
            scale,
            low,
            high,
            major,
            minor,
        }
    }

    /// Where `value` lies between the ends, 0 at the low one and 1 at the high one; `None` when
    /// the axis cannot show it at any place.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        if value.is_nan() || (self.scale == AxisScale::Log && value <= 0.0) {
            return None;
        }
        let through = |value: f64| match self.scale {
            AxisScale::Linear => value,
            AxisScale::Log => value.ln(),
        };
        let (low, high) = (through(self.low), through(self.high));
        Some(((through(value) - low) / (high - low)).clamp(-1e3, 1e3))
    }

    /// The labelled ticks with their labels.
    pub(super) fn labels(&self) -> Vec<(f64, String)> {
        self.major
            .iter()
            .map(|&value| (value, self.format_ext(&value)))
            .collect()
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = self.share(*value).unwrap_or(0.0);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            self.minor.clone()
        } else {
            self.major.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        match self.major.as_slice() {
            // Ticks that are multiples of each other need one digit, evenly spaced ones those of
            // their distance.
            [first, second, ..] if self.scale == AxisScale::Linear || *second < 1.9 * first => {
                tick_label(*value, second - first)
            }
            _ => tick_label(*value, *value),
        }
    }
}

/// Ends a little beyond the data, so that no curve runs along the frame, and apart even if the
/// data are all the same.
fn padded(scale: AxisScale, low: f64, high: f64, keep: bool) -> (f64, f64) {
    const MARGIN: f64 = 0.04;
    match scale {
        AxisScale::Log => {
            let (low, high) = (low.log10(), high.log10());
            let (low, high) = if high - low < 1e-9 {
                (low - 0.5, high + 0.5)
            } else {
                let margin = MARGIN * (high - low);
                (low - margin, high + margin)
            };
            let bounded = |exponent: f64| 10f64.powf(exponent.clamp(-300.0, 300.0));
            (bounded(low), bounded(high))
        }
        AxisScale::Linear => {
            let spread = high - low;
            if spread <= 1e-12 * low.abs().max(high.abs()) {
                let margin = if low == 0.0 { 0.5 } else { 0.1 * low.abs() };
                return (low - margin, high + margin);
            }
            // Costs and shares start at zero: do not show room below it.
            let floor = if low >= 0.0 && (keep || low < 0.2 * high) {
                0.0
            } else {
                low - MARGIN * spread
            };
            (floor, high + MARGIN * spread)
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, about six of them.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 6.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(10.0 * power);
    if !(step > 0.0 && step.is_finite()) {
        return vec![low, high];
    }
    let (first, last) = (
        (low / step).ceil() as i64,
        (high / step + 1e-9).floor() as i64,
    );
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Powers of ten, or 1, 2, 5 times them where there are few; and unlabelled ticks between.
fn log_ticks(low: f64, high: f64) -> (Vec<f64>, Vec<f64>) {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |value: &f64| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9);
    let multiples = |factors: &[f64]| -> Vec<f64> {
        (first..=last)
            .flat_map(|exponent| {
                factors
                    .iter()
                    .map(move |factor| factor * power_of_ten(exponent))
            })
            .filter(inside)
            .collect()
    };
    let decades = multiples(&[1.0]);
    if decades.len() >= 3 {
        let stride = decades.len().div_ceil(7) as i32;
        let major = (first..=last)
            .filter(|exponent| exponent.rem_euclid(stride) == 0)
            .map(power_of_ten)
            .filter(inside)
            .collect();
        let minor = match stride {
            1 => multiples(&[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
            _ => decades,
        };
        return (major, minor);
    }
    let fine = multiples(&[1.0, 2.0, 5.0]);
    if fine.len() >= 3 {
        return (fine, multiples(&[3.0, 4.0, 6.0, 7.0, 8.0, 9.0]));
    }
    (
        linear_ticks(low, high)
            .into_iter()
            .filter(|&value| value > 0.0)
            .collect(),
        Vec::new(),
    )
}

/// `10^exponent`, correctly rounded: parsed as text, since `powi` accumulates errors.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

/// A tick's label, with as many digits as ticks `step` apart need.
pub(super) fn tick_label(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs();
    let plain = (1e-3..1e6).contains(&magnitude) || (magnitude < 1e-3 && step.abs() >= 1e-3);
    if !plain {
        let exponent = magnitude.log10().floor() as i32;
        let step_exponent = step.abs().log10().floor() as i32;
        let digits = (exponent - step_exponent).clamp(0, 6) as usize;
        return format!("{value:.digits$e}");
    }
    if magnitude >= 1e4 {
        return format!("{}k", value.round() / 1e3);
    }
    // The small amount guards against a step of 0.1 being stored as a little less.
    let digits = (-(step.abs().log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: AxisScale, values: &[f64]) -> Axis {
        Axis::new(&Coordinate::new("", scale), values.iter().copied())
    }

    fn labels(scale: AxisScale, values: &[f64]) -> Vec<String> {
        axis(scale, values)
            .labels()
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn linear_labels_are_round_and_start_at_zero() {
        assert_eq!(
            labels(AxisScale::Linear, &[0.0, 1.0]),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels(AxisScale::Linear, &[12.0, 41_000.0]),
            ["0", "10k", "20k", "30k", "40k"]
        );
        assert_eq!(
            labels(AxisScale::Linear, &[0.0, 9.1e6]),
            ["0", "2e6", "4e6", "6e6", "8e6"]
        );
        assert_eq!(
            labels(AxisScale::Linear, &[0.9312, 0.9378]),
            ["0.932", "0.934", "0.936", "0.938"]
        );
    }

    #[test]
    fn log_labels_thin_out_over_many_decades() {
        assert_eq!(
            labels(AxisScale::Log, &[1.0, 1e-5]),
            ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]
        );
        assert_eq!(
            labels(AxisScale::Log, &[1.0, 2.0]),
            ["1.0", "1.2", "1.4", "1.6", "1.8", "2.0"]
        );
        let huge = labels(AxisScale::Log, &[1e-200, 1e200]);
        assert!((3..=8).contains(&huge.len()), "{huge:?}");
    }

    #[test]
    fn ends_stay_apart_and_finite() {
        for values in [
            &[][..],
            &[3.0],
            &[0.0],
            &[-2.0, -2.0],
            &[f64::NAN, f64::INFINITY],
            &[1e-320, 1e308],
        ] {
            for scale in [AxisScale::Linear, AxisScale::Log] {
                let axis = axis(scale, values);
                let range = axis.range();
                assert!(range.start < range.end, "{scale:?} {values:?}: {range:?}");
                assert!(range.start.is_finite() && range.end.is_finite());
                assert!(scale == AxisScale::Linear || range.start > 0.0);
            }
        }
    }

    #[test]
    fn a_log_axis_has_no_place_for_zero() {
        let axis = axis(AxisScale::Log, &[1e-4, 1.0]);
        assert_eq!(axis.share(0.0), None);
        assert_eq!(axis.share(-1.0), None);
        let middle = axis.share(1e-2).unwrap_or(0.0);
        assert!((middle - 0.5).abs() < 1e-12);
    }
}
