//! A function of two variables as a surface in space.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::area::{PanelSize, Rect};
use super::canvas::{Canvas, unit};
use crate::figure::chart::Surface;
use crate::figure::{Result, style};

pub(super) fn size() -> PanelSize {
    PanelSize {
        left: 0.0,
        right: 0.0,
        bottom: 26.0,
        width: 440.0,
        height: 340.0,
    }
}

pub(super) fn draw(canvas: &Canvas<'_>, panel: &Surface, plot: Rect) -> Result<()> {
    let grid = &panel.grid;
    let finite = || {
        grid.values
            .iter()
            .flatten()
            .copied()
            .filter(|z| z.is_finite())
    };
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let ends = |places: &[f64]| Some((*places.first()?, *places.last()?));
    let (Some((x0, x1)), Some((y0, y1)), true) = (ends(&grid.x), ends(&grid.y), low < high) else {
        return canvas.text_left(
            plot.left,
            plot.top + 20.0,
            "no data to show",
            style::LABEL,
            style::AXIS,
        );
    };
    let area = canvas.part(plot);
    // plotters' second axis points up.
    let mut chart = ChartBuilder::on(&area)
        .margin(unit(12.0))
        .build_cartesian_3d(x0..x1, low..high, y0..y1)?;
    chart.with_projection(|mut projection| {
        projection.pitch = 0.55;
        projection.yaw = 0.65;
        projection.scale = 0.82;
        projection.into_matrix()
    });
    let label = style::text(
        style::TICK,
        style::INK,
        Pos::new(HPos::Center, VPos::Center),
    );
    chart
        .configure_axes()
        .light_grid_style(style::stroke(style::GRID, 0.4))
        .bold_grid_style(style::stroke(style::GRID, 0.8))
        .axis_panel_style(WHITE.filled())
        .label_style(label)
        .x_labels(4)
        .y_labels(4)
        .z_labels(4)
        .max_light_lines(0)
        .x_formatter(&|value| short(*value))
        .y_formatter(&|value| short(*value))
        .z_formatter(&|value| short(*value))
        .draw()?;
    let height = |x: f64, y: f64| -> f64 {
        let nearest = |places: &[f64], value: f64| {
            places
                .partition_point(|place| *place < value - 1e-12)
                .min(places.len() - 1)
        };
        grid.values[nearest(&grid.y, y)][nearest(&grid.x, x)]
    };
    let color = |z: &f64| {
        let share = (z - low) / (high - low);
        style::sequential(0.15 + 0.8 * share).mix(0.95).filled()
    };
    chart.draw_series(
        SurfaceSeries::xoz(grid.x.iter().copied(), grid.y.iter().copied(), height)
            .style_func(&color),
    )?;
    let names = format!(
        "right: {}; left: {}; up: {}",
        panel.x_label, panel.y_label, panel.z_label
    );
    let below = (plot.left + 0.5 * plot.width(), plot.bottom + 14.0);
    canvas.text(below, &names, style::TICK, style::INK, HPos::Center)
}

fn short(value: f64) -> String {
    crate::figure::axis::tick_label(value, value.abs().max(0.1))
}
