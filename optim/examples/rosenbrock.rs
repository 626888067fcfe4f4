//! Adam, L-BFGS and FUSE-PV in Rosenbrock's valley: evaluations to the minimum, and a plot of the
//! points that each evaluated.
//!
//! `cargo run -p optim --example rosenbrock [plot.svg]`

use std::cell::RefCell;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use optim::{
    AdamConfig, Criterion, FusePvConfig, LbfgsConfig, Loss, Meter, Optimizer, Oracle, Parameters,
    Result,
};
use plotters::prelude::*;
use plotters::style::register_font;

const START: [f64; 2] = [-1.2, 1.0];
/// What the plot shows.
const XS: Range<f64> = -1.8..1.8;
const YS: Range<f64> = -0.6..2.0;

type Build = Box<dyn FnOnce(&Parameters) -> Result<Box<dyn Optimizer>>>;

/// 100(y − x²)² + (1 − x)².
fn rosenbrock(point: &Tensor) -> candle_core::Result<Tensor> {
    let (x, y) = (point.get(0)?, point.get(1)?);
    ((y - x.sqr()?)?.sqr()? * 100.0)? + (1.0 - x)?.sqr()?
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let default = || std::env::temp_dir().join("rosenbrock.svg");
    run(&std::env::args().nth(1).map_or_else(default, PathBuf::from))
}

/// Compares the methods and draws their paths into `plot`.
pub(crate) fn run(plot: &Path) -> std::result::Result<(), Box<dyn Error>> {
    let adam = AdamConfig {
        learning_rate: 0.02,
        ..AdamConfig::default()
    };
    let fuse = FusePvConfig {
        criterion: Criterion::Step(100),
        adam: adam.clone(),
        ..FusePvConfig::default()
    };
    let lbfgs = LbfgsConfig::default();
    let methods: [(&str, Build); 3] = [
        ("Adam", Box::new(|p| Ok(Box::new(adam.build(p)?)))),
        ("L-BFGS", Box::new(|p| Ok(Box::new(lbfgs.build(p)?)))),
        ("FUSE-PV", Box::new(|p| Ok(Box::new(fuse.build(p)?)))),
    ];
    println!("{:<10} {:>12} {:>12}", "method", "evaluations", "loss");
    let mut paths = Vec::new();
    for (name, build) in methods {
        let (path, loss) = minimize(build)?;
        println!("{name:<10} {:>12} {loss:>12.3e}", path.len());
        paths.push((name, path));
    }
    draw(plot, &paths)?;
    println!("paths: {}", plot.display());
    Ok(())
}

/// Steps until the loss is below 1e-8 or 3,000 evaluations are spent; returns the points evaluated
/// and the last loss.
fn minimize(build: Build) -> Result<(Vec<(f64, f64)>, f64)> {
    let point = Var::new(&START, &Device::Cpu)?;
    let parameters = Parameters::new([("point", point.clone())])?;
    let path = RefCell::new(Vec::new());
    let mut objective = Loss::new(&parameters, || {
        let values = point.to_vec1::<f64>()?;
        path.borrow_mut().push((values[0], values[1]));
        rosenbrock(&point)
    });
    let mut optimizer = build(&parameters)?;
    let mut meter = Meter::with_budget(3000);
    let mut loss = f64::INFINITY;
    while meter.remaining() > 0 && loss > 1e-8 {
        let step = optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?;
        loss = step.final_loss.unwrap_or(step.loss);
    }
    Ok((path.into_inner(), loss))
}

/// Draws the paths over level curves of the function.
fn draw(file: &Path, paths: &[(&str, Vec<(f64, f64)>)]) -> std::result::Result<(), Box<dyn Error>> {
    // An embedded font, so that machines without any can draw text.
    register_font(
        "sans-serif",
        FontStyle::Normal,
        epaint_default_fonts::UBUNTU_LIGHT,
    )
    .map_err(|_| "the embedded font cannot be read")?;
    let root = SVGBackend::new(file, (900, 600)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Points evaluated in Rosenbrock's valley",
            ("sans-serif", 22),
        )
        .margin(15)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(XS, YS)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("x")
        .y_desc("y")
        .label_style(("sans-serif", 15))
        .draw()?;
    for level in [0.1, 0.5, 2.0, 5.0, 15.0, 50.0, 150.0, 400.0] {
        let curve = level_curve(level);
        let visible = curve.split(|(x, y)| !(XS.contains(x) && YS.contains(y)));
        let pieces = visible
            .filter(|piece| piece.len() > 1)
            .map(|piece| PathElement::new(piece, BLACK.mix(0.25)));
        chart.draw_series(pieces)?;
    }
    let colours = [
        RGBColor(213, 94, 0),
        RGBColor(0, 114, 178),
        RGBColor(0, 158, 115),
    ];
    for ((name, path), colour) in paths.iter().zip(colours) {
        let points = path
            .iter()
            .map(|point| Circle::new(*point, 2, colour.filled()));
        chart.draw_series(points)?;
        let line = PathElement::new(path.clone(), colour.stroke_width(1));
        chart
            .draw_series([line])?
            .label(format!("{name}, {} evaluations", path.len()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
    }
    let minimum = Cross::new((1.0, 1.0), 7, BLACK.stroke_width(2));
    chart.draw_series([minimum])?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 15))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The curve on which the function is `level`: y = x² ± √((level − (1 − x)²)/100).
fn level_curve(level: f64) -> Vec<(f64, f64)> {
    let branch = |sign: f64| {
        (-1000..=1000).map(move |i| {
            // Denser towards the ends, where the branches meet.
            let offset = (f64::from(i) / 1000.0 * std::f64::consts::FRAC_PI_2).sin();
            let x = 1.0 + level.sqrt() * offset;
            let height = sign * (level * (1.0 - offset * offset) / 100.0).sqrt();
            (x, x * x + height)
        })
    };
    branch(1.0).chain(branch(-1.0).rev()).collect()
}
