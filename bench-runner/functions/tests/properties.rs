//! What holds for every function: gradients are derivatives, minima are minima, starts are finite,
//! requests that no function answers are refused.
#![allow(clippy::unwrap_used)]

use bench_functions::{
    Dimensions, Error, Function, LARGEST, TestFunction, bbob, classic, find, mgh, scalable,
};

const SETS: [&[&TestFunction]; 4] = [
    classic::FUNCTIONS,
    mgh::FUNCTIONS,
    scalable::FUNCTIONS,
    bbob::FUNCTIONS,
];

fn all() -> impl Iterator<Item = &'static TestFunction> {
    SETS.into_iter().flatten().copied()
}

/// Every function in three dimensions and, where it has instances, two of them.
fn built() -> impl Iterator<Item = (String, &'static TestFunction, Function)> {
    all().flat_map(|function| {
        let mut dimensions = [1, 5, 12].map(|d| function.dimensions.near(d)).to_vec();
        dimensions.dedup();
        let instances = if function.instances() > 1 {
            1..=2
        } else {
            1..=1
        };
        dimensions.into_iter().flat_map(move |d| {
            instances.clone().map(move |instance| {
                let name = format!("{}, d = {d}, instance {instance}", function.name);
                (name, function, function.build(d, instance).unwrap())
            })
        })
    })
}

/// A step away from a point, different in each coordinate, to leave symmetry and kinks.
fn near(x: &[f64], size: f64) -> Vec<f64> {
    x.iter()
        .enumerate()
        .map(|(i, x)| x + size * (1.0 + (7.3 * i as f64 + 1.0).sin()))
        .collect()
}

/// The derivative along a coordinate by central differences, from the step that comes closest:
/// large steps miss fine waves, small ones lose digits.
fn difference(function: &mut Function, x: &[f64], i: usize, expected: f64) -> f64 {
    let mut scratch = vec![0.0; x.len()];
    let mut shifted = x.to_vec();
    (8..=50)
        .map(|quarters| {
            let step = 10f64.powf(-0.25 * f64::from(quarters)) * x[i].abs().max(0.1);
            shifted[i] = x[i] + step;
            let (above, right) = (function.evaluate(&shifted, &mut scratch), shifted[i]);
            shifted[i] = x[i] - step;
            let (below, left) = (function.evaluate(&shifted, &mut scratch), shifted[i]);
            (above - below) / (right - left)
        })
        .min_by(|a, b| (a - expected).abs().total_cmp(&(b - expected).abs()))
        .unwrap()
}

#[test]
fn gradients_are_derivatives() {
    let mut wrong = Vec::new();
    for (name, test_function, mut function) in built() {
        for size in [0.011, 0.1, 0.7] {
            let x = near(&function.start, size);
            let mut gradient = vec![f64::NAN; x.len()];
            let value = function.evaluate(&x, &mut gradient);
            let largest = gradient.iter().fold(0f64, |a, g| a.max(g.abs()));
            // Katsuura's function has kinks 10⁻¹⁰ apart, which leaves few digits.
            let tolerance = if test_function.name == "f23" {
                0.05
            } else {
                1e-6
            };
            for i in 0..x.len() {
                let derivative = difference(&mut function, &x, i, gradient[i]);
                // Differences of a value of size f are exact to about 10⁻¹¹f.
                let allowed = tolerance * largest + 1e-10 * value.abs();
                if !((derivative - gradient[i]).abs() <= allowed) {
                    wrong.push(format!(
                        "{name} at {size}: [{i}] {} not {derivative}",
                        gradient[i]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} {wrong:#?}", wrong.len());
}

/// Where the point of a minimum is known, the value is attained there, the gradient is zero (or a
/// kink's subgradient) and points nearby are no lower.
#[test]
fn minima_are_minima() {
    let mut wrong = Vec::new();
    for (name, _, mut function) in built() {
        for minimum in function.minima.clone() {
            let Some(x) = &minimum.at else { continue };
            let mut gradient = vec![f64::NAN; x.len()];
            let value = function.evaluate(x, &mut gradient);
            let size = minimum.value.abs().max(1.0);
            if !((value - minimum.value).abs() <= 1e-9 * size) {
                wrong.push(format!("{name}: {value} for {}", minimum.value));
            }
            let mut scratch = gradient.clone();
            for step in [1e-3, -1e-3, 0.03] {
                let nearby = function.evaluate(&near(x, step), &mut scratch);
                if !(nearby >= value - 1e-9 * size) {
                    wrong.push(format!("{name}: {nearby} near {value}"));
                }
            }
            // Rounded minimizers leave a gradient of the curvature's size.
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            if !(norm <= 1e-4) {
                wrong.push(format!("{name}: gradient {norm:e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} {wrong:#?}", wrong.len());
}

#[test]
fn starts_fit_and_are_finite_also_a_hundred_times_as_far() {
    for (name, _, mut function) in built() {
        let mut gradient = vec![f64::NAN; function.dimension()];
        for factor in [1.0, 10.0, 100.0] {
            let x = function.scaled_start(factor);
            let value = function.evaluate(&x, &mut gradient);
            assert!(!value.is_nan(), "{name}, start × {factor}: {value}");
            if factor == 1.0 {
                assert!(
                    value.is_finite() && gradient.iter().all(|g| g.is_finite()),
                    "{name}"
                );
            }
        }
        let minimum = function.minimum().unwrap_or(f64::NEG_INFINITY);
        let start = function.start.clone();
        assert!(function.evaluate(&start, &mut gradient) > minimum, "{name}");
    }
}

#[test]
fn the_largest_dimensions_work() {
    for function in [mgh::FUNCTIONS, scalable::FUNCTIONS].concat() {
        let dimension = function.dimensions.near(LARGEST);
        let mut built = function.build(dimension, 1).unwrap();
        let mut gradient = vec![f64::NAN; dimension];
        let value = built.evaluate(&built.start.clone(), &mut gradient);
        assert!(value.is_finite(), "{}", function.name);
        assert!(gradient.iter().all(|g| g.is_finite()), "{}", function.name);
    }
}

#[test]
fn names_are_unique_within_a_set_and_lists_are_complete() {
    assert_eq!(SETS.map(<[_]>::len), [8, 18, 43, 24]);
    for set in SETS {
        for function in set {
            assert!(std::ptr::eq(find(set, function.name).unwrap(), *function));
        }
    }
    let vanishing: Vec<&str> = all()
        .filter(|f| f.gradient_vanishes)
        .map(|f| f.name)
        .collect();
    assert_eq!(vanishing, ["f7"]);
    assert!(
        bbob::FUNCTIONS
            .iter()
            .all(|function| function.group.is_some())
    );
}

#[test]
fn requests_that_no_function_answers_are_refused() {
    let error = find(classic::FUNCTIONS, "rosenbrok").unwrap_err();
    assert!(
        matches!(&error, Error::UnknownFunction { known, .. } if known.contains(&"rosenbrock"))
    );

    let said = |set, name, dimension, instance| {
        find(set, name)
            .unwrap()
            .build(dimension, instance)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        said(mgh::FUNCTIONS, "wood", 5, 1),
        "dimension 5: wood is defined for dimension 4"
    );
    assert_eq!(
        said(scalable::FUNCTIONS, "dixmaana", 4, 1),
        "dimension 4: dixmaana is defined for dimensions that are multiples of 3 from 3 to 10000"
    );
    assert_eq!(
        said(scalable::FUNCTIONS, "white-holst", 3, 1),
        "dimension 3: white-holst is defined for even dimensions from 2 to 10000"
    );
    assert_eq!(
        said(classic::FUNCTIONS, "rosenbrock", 1, 1),
        "dimension 1: rosenbrock is defined for dimension 2 and more"
    );
    assert_eq!(
        said(classic::FUNCTIONS, "rosenbrock", 2, 2),
        "instance 2: rosenbrock has one instance, 1"
    );
    assert_eq!(
        said(bbob::FUNCTIONS, "f15", 10, 0),
        "instance 0: f15 has instances 1 to 200000"
    );
    assert_eq!(
        classic::quadratic(2, 0.5).unwrap_err(),
        Error::Condition(0.5)
    );
    assert!(classic::quadratic(2, f64::NAN).is_err());
    assert!(classic::quadratic(0, 2.0).is_err());
}

#[test]
fn near_dimensions_are_dimensions() {
    let dimensions = Dimensions::multiples(4, 10);
    assert_eq!(
        [0, 4, 5, 9, 100].map(|d| dimensions.near(d)),
        [4, 4, 8, 8, 8]
    );
    for function in all() {
        for d in [0, 1, 2, 3, 7, 40, 9_999, usize::MAX] {
            assert!(function.dimensions.contains(function.dimensions.near(d)));
        }
    }
}

/// f(x) = xᵀAx with Aᵢⱼ = d + 1 − max(i, j): how often xᵢxⱼ occurs in the squares of the sums.
#[test]
fn the_double_sum_has_its_matrix() {
    let d = 9;
    let mut function = find(scalable::FUNCTIONS, "double-sum")
        .unwrap()
        .build(d, 1)
        .unwrap();
    let x = near(&vec![0.0; d], 1.0);
    let mut gradient = vec![0.0; d];
    let value = function.evaluate(&x, &mut gradient);
    let image: Vec<f64> = (1..=d)
        .map(|i| (1..=d).map(|j| (d + 1 - i.max(j)) as f64 * x[j - 1]).sum())
        .collect();
    let expected: f64 = x.iter().zip(&image).map(|(x, a)| x * a).sum();
    assert!((value / expected - 1.0).abs() < 1e-14);
    for (g, a) in gradient.iter().zip(&image) {
        assert!((g / (2.0 * a) - 1.0).abs() < 1e-14);
    }
}

#[test]
fn the_quadratic_has_the_chosen_spectrum() {
    let mut quadratic = classic::quadratic(6, 100.0).unwrap();
    let mut columns = Vec::new();
    for i in 0..6 {
        let mut e = vec![0.0; 6];
        e[i] = 1.0;
        let mut column = vec![0.0; 6];
        quadratic.evaluate(&e, &mut column);
        columns.push(column);
    }
    let trace: f64 = (0..6).map(|i| columns[i][i]).sum();
    let squares: f64 = columns.iter().flatten().map(|a| a * a).sum();
    let eigenvalues: Vec<f64> = (0..6).map(|i| 100f64.powf(-f64::from(i) / 5.0)).collect();
    assert!((trace - eigenvalues.iter().sum::<f64>()).abs() < 1e-12);
    assert!((squares - eigenvalues.iter().map(|l| l * l).sum::<f64>()).abs() < 1e-12);
}
