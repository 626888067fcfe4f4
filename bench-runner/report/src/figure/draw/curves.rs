//! Curves with their intervals, marks and labels.

use plotters::style::text_anchor::HPos;

use super::area::{PanelSize, Rect};
use super::canvas::Canvas;
use crate::figure::axis::Axis;
use crate::figure::chart::{Curves, Joint, Point, Reference, Series};
use crate::figure::{Result, style};

/// The height of a label beside its curve.
const LABEL_ROW: f64 = 17.0;
const ALONE: (f64, f64) = (380.0, 250.0);
const BESIDE: (f64, f64) = (290.0, 220.0);
/// Room for the x axis's ticks and label.
pub(super) const BELOW: f64 = 42.0;

/// Whether all series can be labelled at their ends instead of in a legend, in a plot of at most
/// `room` pixels' height.
pub(super) fn labels_fit(panel: &Curves, room: f64) -> bool {
    panel.series.len() as f64 * LABEL_ROW <= room.min(ALONE.1)
}

pub(super) fn size(panel: &Curves, alone: bool, direct: bool) -> PanelSize {
    let (width, height) = if alone { ALONE } else { BESIDE };
    let (_, y) = axes(panel);
    let right = if direct {
        let widest = panel
            .series
            .iter()
            .map(|series| style::width(&series.label, style::LABEL))
            .fold(0.0, f64::max);
        // A browser's own font may be a little wider than the one measured.
        16.0 + 28.0 + 1.06 * widest
    } else {
        12.0
    };
    PanelSize {
        left: left_room(&y),
        right,
        bottom: BELOW,
        width,
        height,
    }
}

/// Room for the y axis's ticks and label.
pub(super) fn left_room(y: &Axis) -> f64 {
    let widest = y
        .labels()
        .iter()
        .map(|(_, label)| style::width(label, style::TICK))
        .fold(0.0, f64::max);
    widest + 34.0
}

fn axes(panel: &Curves) -> (Axis, Axis) {
    let all = || panel.series.iter().chain(&panel.context);
    let points = || all().flat_map(|series| series.points.iter().chain(&series.marks));
    let bands = || all().flat_map(|series| &series.band);
    let x = Axis::new(
        &panel.x,
        points()
            .map(|point| point.x)
            .chain(bands().map(|band| band.x)),
    );
    let y = Axis::new(
        &panel.y,
        points()
            .map(|point| point.y)
            .chain(bands().flat_map(|band| [band.low, band.high]))
            .chain(panel.references.iter().map(|reference| reference.y)),
    );
    (x, y)
}

pub(super) fn draw(canvas: &Canvas<'_>, panel: &Curves, plot: Rect, direct: bool) -> Result<()> {
    let (x, y) = axes(panel);
    canvas.axes(
        plot,
        (left_room(&y), BELOW),
        (&x, &panel.x.label),
        (&y, &panel.y.label),
    )?;
    let frame = Frame { x, y, plot };
    let shown = |point: &Point| point.y.is_finite() && frame.place(point.x, point.y).is_some();
    let nothing = !panel
        .series
        .iter()
        .flat_map(|series| &series.points)
        .any(shown);
    if nothing {
        let middle = (
            plot.left + 0.5 * plot.width(),
            plot.top + 0.5 * plot.height(),
        );
        canvas.text(
            middle,
            "no data to show",
            style::LABEL,
            style::AXIS,
            HPos::Center,
        )?;
    }
    for reference in &panel.references {
        frame.reference(canvas, reference, &panel.series)?;
    }
    for series in &panel.context {
        for piece in frame.pieces(series) {
            canvas.line(&piece, style::CONTEXT, 1.0, (1, 0))?;
        }
    }
    for series in &panel.series {
        frame.band(canvas, series)?;
    }
    for series in &panel.series {
        frame.curve(canvas, series)?;
    }
    for series in &panel.series {
        frame.markers(canvas, series)?;
    }
    if direct {
        frame.labels(canvas, &panel.series)?;
    }
    Ok(())
}

/// A pair of axes laid over a rectangle.
pub(super) struct Frame {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) plot: Rect,
}

impl Frame {
    /// Where a point lies, perhaps outside the plot.
    fn place(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((
            self.plot.left + self.x.share(x)? * self.plot.width(),
            self.plot.bottom - self.y.share(y)? * self.plot.height(),
        ))
    }

    fn holds(&self, (x, y): (f64, f64)) -> bool {
        const SLACK: f64 = 0.5;
        x >= self.plot.left - SLACK
            && x <= self.plot.right + SLACK
            && y >= self.plot.top - SLACK
            && y <= self.plot.bottom + SLACK
    }

    /// A line across the plot, named where the fewest points of curves are in the way.
    fn reference(
        &self,
        canvas: &Canvas<'_>,
        reference: &Reference,
        series: &[Series],
    ) -> Result<()> {
        let Some(share) = self
            .y
            .share(reference.y)
            .filter(|share| (0.0..=1.0).contains(share))
        else {
            return Ok(());
        };
        let y = self.plot.bottom - share * self.plot.height();
        let ends = [(self.plot.left, y), (self.plot.right, y)];
        canvas.line(&ends, style::AXIS, 1.2, (3, 3))?;
        let above = if y - self.plot.top > 16.0 {
            y - 8.0
        } else {
            y + 9.0
        };
        let width = style::width(&reference.label, style::TICK);
        let (left, right) = (self.plot.left + 5.0, self.plot.right - 5.0 - width);
        let crowd = |from: f64| {
            series
                .iter()
                .flat_map(|series| self.pieces(series))
                .flat_map(|piece| {
                    piece
                        .windows(2)
                        .map(|ends| (ends[0], ends[1]))
                        .collect::<Vec<_>>()
                })
                .filter(|&(start, end)| {
                    let label = Rect {
                        left: from,
                        right: from + width,
                        top: above - 7.0,
                        bottom: above + 7.0,
                    };
                    clip(start, end, label).is_some()
                })
                .count()
        };
        let middle = 0.5 * (left + right);
        let places = [left, right, middle];
        let x = places.into_iter().min_by_key(|&x| crowd(x)).unwrap_or(left);
        canvas.text_left(x, above, &reference.label, style::TICK, style::AXIS)
    }

    fn band(&self, canvas: &Canvas<'_>, series: &Series) -> Result<()> {
        let fill = style::fill(style::series(series.style).color, 0.15);
        // Where the lower end has no place on a log axis, the interval reaches the plot's floor.
        let edge = |x: f64, y: f64| {
            let (x, _) = self.place(x, 1.0)?;
            let share = self.y.share(y).or((y <= 0.0).then_some(0.0))?;
            let share = share.clamp(0.0, 1.0);
            Some((x, self.plot.bottom - share * self.plot.height()))
        };
        let mut upper = Vec::new();
        let mut lower = Vec::new();
        let flush = |upper: &mut Vec<(f64, f64)>, lower: &mut Vec<(f64, f64)>| {
            let outline: Vec<(f64, f64)> = upper.drain(..).chain(lower.drain(..).rev()).collect();
            if outline.len() > 3 {
                return canvas.polygon(&outline, fill);
            }
            Ok(())
        };
        for band in &series.band {
            match (edge(band.x, band.high), edge(band.x, band.low)) {
                (Some(high), Some(low)) => {
                    upper.push(high);
                    lower.push(low);
                }
                _ => flush(&mut upper, &mut lower)?,
            }
        }
        flush(&mut upper, &mut lower)
    }

    pub(super) fn curve(&self, canvas: &Canvas<'_>, series: &Series) -> Result<()> {
        if series.joint == Joint::None {
            return Ok(());
        }
        let look = style::series(series.style);
        for piece in self.pieces(series) {
            canvas.line(&piece, look.color, 2.0, look.dash)?;
        }
        Ok(())
    }

    /// The parts of a curve that lie in the plot, each without interruption.
    fn pieces(&self, series: &Series) -> Vec<Vec<(f64, f64)>> {
        let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut piece: Vec<(f64, f64)> = Vec::new();
        let mut previous: Option<(f64, f64)> = None;
        for point in &series.points {
            let here = if point.y.is_finite() {
                self.place(point.x, point.y)
            } else {
                None
            };
            if let (Some(from), Some(to)) = (previous, here) {
                let corner = (to.0, from.1);
                let legs: &[[(f64, f64); 2]] = match series.joint {
                    Joint::Steps => &[[from, corner], [corner, to]],
                    Joint::Straight | Joint::None => &[[from, to]],
                };
                for &[from, to] in legs {
                    match clip(from, to, self.plot) {
                        Some((start, end)) => {
                            if piece.last() != Some(&start) {
                                pieces.push(std::mem::take(&mut piece));
                                piece.push(start);
                            }
                            piece.push(end);
                        }
                        None => pieces.push(std::mem::take(&mut piece)),
                    }
                }
            } else {
                pieces.push(std::mem::take(&mut piece));
            }
            previous = here;
        }
        pieces.push(piece);
        pieces.retain(|piece| piece.len() > 1);
        pieces
    }

    /// About six markers per curve, at other places for each series, and the marked events.
    pub(super) fn markers(&self, canvas: &Canvas<'_>, series: &Series) -> Result<()> {
        let look = style::series(series.style);
        let shown: Vec<(f64, f64)> = series
            .points
            .iter()
            .filter(|point| point.y.is_finite())
            .filter_map(|point| self.place(point.x, point.y))
            .filter(|&at| self.holds(at))
            .collect();
        let every = match series.joint {
            Joint::None => 1,
            _ if shown.len() <= 12 => 1,
            _ => shown.len() / 6,
        };
        let first = (series.style * every / 5) % every;
        let radius = if every == 1 { 3.5 } else { 3.2 };
        let mut last = f64::NEG_INFINITY;
        for &at in shown.iter().skip(first).step_by(every) {
            // On a curve that hardly moves along x, markers would form a blot.
            if every > 1 && (at.0 - last).abs() < 12.0 {
                continue;
            }
            last = at.0;
            canvas.marker(at, look.marker, look.color, radius)?;
        }
        for mark in &series.marks {
            if let Some(at) = self.place(mark.x, mark.y).filter(|&at| self.holds(at)) {
                canvas.marker(at, style::Marker::Diamond, look.color, 4.0)?;
            }
        }
        Ok(())
    }

    /// Names the curves to the right of the plot, each as near to its end as the others allow.
    fn labels(&self, canvas: &Canvas<'_>, series: &[Series]) -> Result<()> {
        let mut labels: Vec<(f64, Option<(f64, f64)>, &Series)> = series
            .iter()
            .map(|series| {
                let end = self
                    .pieces(series)
                    .last()
                    .and_then(|piece| piece.last().copied())
                    .or_else(|| {
                        let last = series.points.last()?;
                        self.place(last.x, last.y).filter(|&at| self.holds(at))
                    });
                (end.map_or(self.plot.bottom, |(_, y)| y), end, series)
            })
            .collect();
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = labels.iter().map(|(y, ..)| *y).collect();
        let (top, bottom) = (self.plot.top + 4.0, self.plot.bottom - 4.0);
        let x = self.plot.right + 16.0;
        for ((_, end, series), y) in labels.iter().zip(spread(&wanted, LABEL_ROW, top, bottom)) {
            let look = style::series(series.style);
            if let Some((end_x, end_y)) = end.filter(|(x, _)| *x > self.plot.right - 30.0) {
                let leader = [(end_x + 3.0, end_y), (x - 3.0, y)];
                canvas.line(&leader, look.color, 0.7, (1, 0))?;
            }
            canvas.sample(x, y, series.style)?;
            canvas.text_left(x + 28.0, y, &series.label, style::LABEL, style::INK)?;
        }
        Ok(())
    }
}

/// Moves ascending places apart until they are at least `gap` from each other, between `low` and
/// `high`, each as little as possible.
fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    // Groups of places that touch; each is centred on the mean of what its members want.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    let clamped = |centre: f64, count: usize| {
        let half = 0.5 * gap * (count - 1) as f64;
        centre.min(high - half).max(low + half)
    };
    for &place in wanted {
        let mut group = (clamped(place, 1), 1);
        while let Some(&(centre, count)) = groups.last() {
            let reach = 0.5 * gap * (count + group.1) as f64;
            if group.0 - centre >= reach {
                break;
            }
            groups.pop();
            let total = count + group.1;
            let mean = (centre * count as f64 + group.0 * group.1 as f64) / total as f64;
            group = (clamped(mean, total), total);
        }
        groups.push(group);
    }
    groups
        .iter()
        .flat_map(|&(centre, count)| {
            (0..count).map(move |i| centre + gap * (i as f64 - 0.5 * (count - 1) as f64))
        })
        .collect()
}

/// The part of a segment inside `plot` (Liang and Barsky 1984).
fn clip(from: (f64, f64), to: (f64, f64), plot: Rect) -> Option<((f64, f64), (f64, f64))> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0f64, 1.0f64);
    for (delta, distance) in [
        (-dx, from.0 - plot.left),
        (dx, plot.right - from.0),
        (-dy, from.1 - plot.top),
        (dy, plot.bottom - from.1),
    ] {
        if delta == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if delta < 0.0 {
            enter = enter.max(distance / delta);
        } else {
            leave = leave.min(distance / delta);
        }
    }
    if enter > leave {
        return None;
    }
    let at = |share: f64| (from.0 + share * dx, from.1 + share * dy);
    // The ends themselves, so that consecutive pieces meet exactly.
    let start = if enter == 0.0 { from } else { at(enter) };
    let end = if leave == 1.0 { to } else { at(leave) };
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLOT: Rect = Rect {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    #[test]
    fn segments_are_cut_at_the_frame() {
        assert_eq!(
            clip((-5.0, 5.0), (15.0, 5.0), PLOT),
            Some(((0.0, 5.0), (10.0, 5.0)))
        );
        assert_eq!(
            clip((2.0, 2.0), (3.0, 3.0), PLOT),
            Some(((2.0, 2.0), (3.0, 3.0)))
        );
        assert_eq!(clip((-5.0, -1.0), (15.0, -1.0), PLOT), None);
        assert_eq!(
            clip((5.0, 5.0), (5.0, 25.0), PLOT),
            Some(((5.0, 5.0), (5.0, 10.0)))
        );
    }

    proptest! {
        #[test]
        fn labels_never_overlap_nor_leave_the_plot(
            mut wanted in prop::collection::vec(-50.0..350.0f64, 1..12),
        ) {
            wanted.sort_by(f64::total_cmp);
            let places = spread(&wanted, 20.0, 0.0, 250.0);
            prop_assert_eq!(places.len(), wanted.len());
            for pair in places.windows(2) {
                prop_assert!(pair[1] - pair[0] >= 20.0 - 1e-9);
            }
            prop_assert!(places.iter().all(|place| (-1e-9..=250.0 + 1e-9).contains(place)));
        }

        #[test]
        fn labels_that_have_room_stay(mut wanted in prop::collection::vec(0.0..10.0f64, 1..6)) {
            for (i, place) in wanted.iter_mut().enumerate() {
                *place += 40.0 * i as f64;
            }
            prop_assert_eq!(spread(&wanted, 20.0, 0.0, 400.0), wanted);
        }
    }
}
