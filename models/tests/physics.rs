//! Physics-informed networks against finite differences in f64, closed forms and the equations' own
//! solutions; bad input; the same bits for every number of threads.

use std::f64::consts::PI;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use models::physics::*;
use models::{Error, Scope};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn equations() -> Vec<Arc<dyn Equation>> {
    vec![
        Arc::new(Convection { speed: 40.0 }),
        Arc::new(Reaction { rate: 5.0 }),
        Arc::new(Wave { speed: 2.0 }),
        Arc::new(ReactionDiffusion {
            diffusion: 3.0,
            rate: 5.0,
        }),
        Arc::new(Burgers::default()),
        Arc::new(AllenCahn::default()),
        Arc::new(Heat { diffusivity: 0.4 }),
        Arc::new(Poisson { half_waves: 1 }),
    ]
}

fn small(width: usize, depth: usize) -> PinnConfig {
    let mut config = PinnConfig::default();
    (config.network.width, config.network.depth) = (width, depth);
    config.points = PointsConfig {
        residual: 12,
        placement: Placement::Grid,
        grid_x: 7,
        grid_t: 5,
    };
    config
}

fn build(config: &PinnConfig, equation: Arc<dyn Equation>, dtype: DType) -> Pinn {
    let scope = Scope::new(3, dtype, &Device::Cpu);
    let pinn = config
        .build(equation, &scope, &mut ChaCha8Rng::seed_from_u64(5))
        .unwrap();
    // Biases that are not zero, so that every path is taken.
    for (stream, (_, var)) in pinn.tensors().parameters.iter().enumerate() {
        let moved = (crate::common::uniform(stream as u64, var.dims()) * 0.2).unwrap();
        let moved = (var.to_dtype(DType::F64).unwrap() + moved).unwrap();
        var.set(&moved.to_dtype(dtype).unwrap()).unwrap();
    }
    pinn
}

/// Asserts that the gradient by every parameter agrees with central differences.
fn assert_gradient(what: &str, pinn: &Pinn) {
    let (loss, gradient) = pinn.loss_and_gradient().unwrap();
    let largest = gradient.iter().map(largest).fold(0.0, f64::max);
    for ((name, var), gradient) in pinn.tensors().parameters.iter().zip(&gradient) {
        assert_eq!(gradient.dims(), var.dims());
        let start: Vec<f64> = var.flatten_all().unwrap().to_vec1().unwrap();
        let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        let set = |values: &[f64]| {
            let tensor = Tensor::from_slice(values, var.dims(), &Device::Cpu).unwrap();
            var.set(&tensor).unwrap();
        };
        for i in 0..start.len() {
            let at = |shift: f64| {
                let mut moved = start.clone();
                moved[i] += shift;
                set(&moved);
                pinn.loss().unwrap().total
            };
            const STEP: f64 = 1e-5;
            let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let bound = 1e-6 * largest.max(loss.total);
            assert!(
                (gradient[i] - numeric).abs() < bound,
                "{what}: {name}[{i}] is {}, by differences {numeric}",
                gradient[i]
            );
        }
        set(&start);
    }
}

fn largest(tensor: &Tensor) -> f64 {
    let values: Vec<f64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

#[test]
fn parameter_gradients_agree_with_differences_for_every_equation() {
    for equation in equations() {
        for hard_constraints in [false, true] {
            let mut config = small(5, 2);
            config.hard_constraints = hard_constraints;
            config.weights.insert("residual".into(), 0.7);
            let what = format!("{equation:?}, hard {hard_constraints}");
            assert_gradient(&what, &build(&config, equation.clone(), DType::F64));
        }
    }
}

#[test]
fn parameter_gradients_agree_with_differences_for_every_network() {
    let wave = || Arc::new(Wave { speed: 2.0 });
    for activation in [Activation::Tanh, Activation::Sine, Activation::Gelu] {
        for depth in [1, 4] {
            let mut config = small(4, depth);
            config.network.activation = activation;
            let what = format!("{activation:?}, depth {depth}");
            assert_gradient(&what, &build(&config, wave(), DType::F64));
        }
    }
    for features in [
        Features::Periodic { harmonics: 2 },
        Features::Fourier {
            count: 3,
            scale: 0.5,
        },
    ] {
        let mut config = small(4, 2);
        config.network.features = features;
        assert_gradient(
            &format!("{features:?}"),
            &build(&config, wave(), DType::F64),
        );
    }
}

/// An equation whose residual is one entry of the jet.
#[derive(Debug)]
struct Probe(fn(&Jet) -> f64, Jet);

impl Equation for Probe {
    fn domain(&self) -> Domain {
        Domain {
            x: [-1.0, 1.0],
            t: [0.0, 1.0],
        }
    }

    fn orders(&self) -> Orders {
        Orders { x: 2, t: 2 }
    }

    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: (self.0)(u),
            by: self.1,
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        Vec::new()
    }

    fn ansatz(&self, [x, t]: Point) -> Option<Ansatz> {
        Some(Ansatz {
            offset: Jet::separable([x * x, 2.0 * x, 2.0], [t, 1.0, 0.0]),
            factor: Jet::separable([1.0 + x, 1.0, 0.0], [t * t, 2.0 * t, 2.0]),
        })
    }
}

#[test]
fn derivatives_by_the_inputs_agree_with_differences() {
    let zero = Jet::default();
    let derivatives: [(fn(&Jet) -> f64, Jet, [f64; 2], usize); 5] = [
        (|u| u.u, Jet { u: 1.0, ..zero }, [0.0, 0.0], 0),
        (|u| u.x, Jet { x: 1.0, ..zero }, [1.0, 0.0], 1),
        (|u| u.xx, Jet { xx: 1.0, ..zero }, [1.0, 0.0], 2),
        (|u| u.t, Jet { t: 1.0, ..zero }, [0.0, 1.0], 1),
        (|u| u.tt, Jet { tt: 1.0, ..zero }, [0.0, 1.0], 2),
    ];
    for activation in [Activation::Tanh, Activation::Sine, Activation::Gelu] {
        for features in [
            Features::Plain,
            Features::Periodic { harmonics: 2 },
            Features::Fourier {
                count: 4,
                scale: 0.4,
            },
        ] {
            for hard_constraints in [false, true] {
                for (entry, by, direction, order) in derivatives {
                    let mut config = small(9, 3);
                    config.network.activation = activation;
                    config.network.features = features;
                    config.points.residual = 1;
                    config.hard_constraints = hard_constraints;
                    let pinn = build(&config, Arc::new(Probe(entry, by)), DType::F64);
                    let [x, t] = pinn.residual_points()[0];
                    let step = 1e-4;
                    let at = |k: f64| [x + k * step * direction[0], t + k * step * direction[1]];
                    let u = pinn
                        .evaluate(&[at(0.0), at(1.0), at(-1.0), at(2.0), at(-2.0)])
                        .unwrap();
                    // Differences of fourth order.
                    let numeric = match order {
                        0 => u[0],
                        1 => (8.0 * (u[1] - u[2]) - (u[3] - u[4])) / (12.0 * step),
                        _ => {
                            (16.0 * (u[1] + u[2]) - (u[3] + u[4]) - 30.0 * u[0])
                                / (12.0 * step * step)
                        }
                    };
                    let value = pinn.loss().unwrap().total.sqrt();
                    assert!(
                        (value - numeric.abs()).abs() < 1e-6 * (1.0 + value),
                        "{activation:?} {features:?} {hard_constraints} {direction:?} {order}: \
                         {value}, by differences {numeric}"
                    );
                }
            }
        }
    }
}

#[test]
fn residuals_have_right_derivatives() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = || rng.random_range(-1.5..1.5);
    for equation in equations() {
        for _ in 0..20 {
            let point = [draw(), draw()];
            let jet = Jet {
                u: draw(),
                x: draw(),
                xx: draw(),
                t: draw(),
                tt: draw(),
            };
            let by = equation.residual(point, &jet).by;
            let entries: [(fn(&mut Jet) -> &mut f64, f64); 5] = [
                (|jet| &mut jet.u, by.u),
                (|jet| &mut jet.x, by.x),
                (|jet| &mut jet.xx, by.xx),
                (|jet| &mut jet.t, by.t),
                (|jet| &mut jet.tt, by.tt),
            ];
            for (entry, exact) in entries {
                let at = |shift: f64| {
                    let mut moved = jet;
                    *entry(&mut moved) += shift;
                    equation.residual(point, &moved).value
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (numeric - exact).abs() < 1e-6 * (1.0 + exact.abs()),
                    "{equation:?}"
                );
            }
            // What was not asked for has no influence.
            let orders = equation.orders();
            assert!(orders.x >= 1 || (by.x, by.xx) == (0.0, 0.0));
            assert!(orders.x >= 2 || by.xx == 0.0);
            assert!(orders.t >= 2 || by.tt == 0.0);
        }
    }
}

/// A point of each edge at the share s of its length.
fn on(domain: &Domain, edge: Edge, s: f64) -> Point {
    let place = |[low, high]: [f64; 2]| low + s * (high - low);
    match edge {
        Edge::Start => [place(domain.x), domain.t[0]],
        Edge::End => [place(domain.x), domain.t[1]],
        Edge::Left | Edge::Periodic => [domain.x[0], place(domain.t)],
        Edge::Right => [domain.x[1], place(domain.t)],
    }
}

#[test]
fn hard_constraints_meet_their_conditions() {
    for equation in equations() {
        let domain = equation.domain();
        let jets = |point| {
            let ansatz = equation.ansatz(point).unwrap();
            [ansatz.offset, ansatz.factor]
        };
        for condition in equation.conditions() {
            if condition.edge == Edge::Periodic {
                continue;
            }
            for s in [0.0, 0.3, 0.77, 1.0] {
                let point = on(&domain, condition.edge, s);
                let [offset, factor] = jets(point);
                let expected = (condition.value)(point);
                let (found, free) = match condition.of {
                    Derivative::Value => (offset.u, factor.u.abs()),
                    Derivative::X => (offset.x, factor.u.abs() + factor.x.abs()),
                    Derivative::T => (offset.t, factor.u.abs() + factor.t.abs()),
                };
                let name = condition.name;
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{equation:?} {name} {found} {expected}"
                );
                assert!(free < 1e-12, "{equation:?} {name}: {free}");
            }
        }
        // The jets' derivatives by differences.
        let [x, t] = [0.37, 0.61];
        let step = 1e-4;
        for k in 0..2 {
            let at = |dx: f64, dt: f64| jets([x + dx * step, t + dt * step])[k];
            let here = at(0.0, 0.0);
            let pairs = [
                (here.x, (at(1.0, 0.0).u - at(-1.0, 0.0).u) / (2.0 * step)),
                (here.t, (at(0.0, 1.0).u - at(0.0, -1.0).u) / (2.0 * step)),
                (here.xx, (at(1.0, 0.0).x - at(-1.0, 0.0).x) / (2.0 * step)),
                (here.tt, (at(0.0, 1.0).t - at(0.0, -1.0).t) / (2.0 * step)),
            ];
            for (exact, numeric) in pairs {
                let scale = 1.0 + exact.abs();
                assert!(
                    (exact - numeric).abs() < 1e-4 * scale,
                    "{equation:?}: {exact} {numeric}"
                );
            }
        }
    }
}

#[test]
fn solutions_solve_their_equations() {
    for equation in equations() {
        let domain = equation.domain();
        let solve = |point: Point| equation.solution(&[point]).unwrap()[0];
        for condition in equation.conditions() {
            for s in [0.05, 0.4, 0.9] {
                let point = on(&domain, condition.edge, s);
                let (found, expected) = match (condition.edge, condition.of) {
                    (Edge::Periodic, _) => (solve(point), solve(on(&domain, Edge::Right, s))),
                    (_, Derivative::T) => {
                        let later = [point[0], point[1] + 1e-5];
                        (
                            (solve(later) - solve(point)) / 1e-5,
                            (condition.value)(point),
                        )
                    }
                    _ => (solve(point), (condition.value)(point)),
                };
                let tolerance = if condition.of == Derivative::T {
                    1e-2
                } else {
                    1e-9
                };
                assert!(
                    (found - expected).abs() < tolerance,
                    "{equation:?} {}: {found}, not {expected}",
                    condition.name
                );
            }
        }
        let step = 2e-3;
        for point in [[0.3, 0.4], [0.8, 0.7], [0.55, 0.25]] {
            let share = |[low, high]: [f64; 2], s: f64| low + s * (high - low);
            let [x, t] = [share(domain.x, point[0]), share(domain.t, point[1])];
            let along = |dx: f64, dt: f64| {
                let at = |k: f64| solve([x + k * step * dx, t + k * step * dt]);
                let (near, far) = ([at(1.0), at(-1.0)], [at(2.0), at(-2.0)]);
                let first = (8.0 * (near[0] - near[1]) - (far[0] - far[1])) / (12.0 * step);
                let second = 16.0 * (near[0] + near[1]) - (far[0] + far[1]) - 30.0 * at(0.0);
                [first, second / (12.0 * step * step)]
            };
            let ([ux, uxx], [ut, utt]) = (along(1.0, 0.0), along(0.0, 1.0));
            let jet = Jet {
                u: solve([x, t]),
                x: ux,
                xx: uxx,
                t: ut,
                tt: utt,
            };
            let value = equation.residual([x, t], &jet).value;
            let size = 1.0 + jet.t.abs() + jet.tt.abs();
            assert!(
                value.abs() < 2e-3 * size,
                "{equation:?} at {x}, {t}: {value}, {jet:?}"
            );
        }
    }
}

#[test]
fn the_same_bits_for_every_number_of_threads() {
    for dtype in [DType::F32, DType::F64] {
        let mut config = PinnConfig::default();
        config.points.residual = 2000;
        let pinn = build(&config, Arc::new(Wave { speed: 2.0 }), dtype);
        let on_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let (loss, gradient) = pool.install(|| pinn.loss_and_gradient().unwrap());
            let bits: Vec<u64> = gradient
                .iter()
                .flat_map(|tensor| {
                    let tensor = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
                    tensor.to_vec1::<f64>().unwrap()
                })
                .map(f64::to_bits)
                .collect();
            (loss, bits)
        };
        let one = on_threads(1);
        for threads in [2, 3, 8] {
            assert_eq!(on_threads(threads), one, "{threads} threads");
        }
    }
}

#[test]
fn errors_are_those_of_the_exact_solution() {
    // Without a network, u = sin x: the last layer is zero and the constraint is hard.
    let mut config = small(5, 1);
    config.hard_constraints = true;
    let pinn = build(&config, Arc::new(Convection { speed: 1.0 }), DType::F64);
    for (name, var) in &pinn.tensors().parameters {
        if name.starts_with("fc2") {
            var.set(&var.zeros_like().unwrap()).unwrap();
        }
    }
    let u = pinn.evaluate(&[[0.4, 0.9]]).unwrap();
    assert!((u[0] - 0.4f64.sin()).abs() < 1e-15);
    // Residual cos x on the drawn points.
    let loss = pinn.loss().unwrap();
    let points = pinn.residual_points();
    let mean = points.iter().map(|p| p[0].cos().powi(2)).sum::<f64>() / points.len() as f64;
    assert!((loss.parts[0].mean_square - mean).abs() < 1e-12);
    assert_eq!(loss.parts.len(), 2);
    let error = pinn.error().unwrap().unwrap();
    let mut points = Vec::new();
    let grid = |i: usize, n: usize| i as f64 / (n - 1) as f64;
    for (i, j) in (0..7).flat_map(|i| (0..5).map(move |j| (i, j))) {
        let corner = (i == 0 || i == 6) && j == 0;
        for _ in 0..if corner { 2 } else { 1 } {
            points.push([2.0 * PI * grid(i, 7), grid(j, 5)]);
        }
    }
    let difference = |p: &Point| (p[0].sin() - (p[0] - p[1]).sin()).abs();
    let squares: f64 = points.iter().map(|p| difference(p).powi(2)).sum();
    let size: f64 = points.iter().map(|p| (p[0] - p[1]).sin().powi(2)).sum();
    assert!((error.relative_l2 - (squares / size).sqrt()).abs() < 1e-12);
    let largest = points.iter().map(difference).fold(0.0, f64::max);
    assert!((error.largest - largest).abs() < 1e-12);
}

#[test]
fn resampling_draws_other_points() {
    let mut config = small(4, 1);
    config.points.placement = Placement::Uniform;
    let mut pinn = build(&config, Arc::new(Heat { diffusivity: 0.4 }), DType::F32);
    let (points, loss) = (pinn.residual_points().to_vec(), pinn.loss().unwrap());
    pinn.resample(&mut ChaCha8Rng::seed_from_u64(5)).unwrap();
    assert_eq!(pinn.residual_points(), points);
    assert_eq!(pinn.loss().unwrap(), loss);
    pinn.resample(&mut ChaCha8Rng::seed_from_u64(6)).unwrap();
    assert_ne!(pinn.residual_points(), points);
    let other = pinn.loss().unwrap();
    assert_ne!(other.parts[0], loss.parts[0]);
    assert_eq!(other.parts[1..], loss.parts[1..]);
}

#[test]
fn what_is_not_finite_is_a_value() {
    for dtype in [DType::F32, DType::F64] {
        let pinn = build(&small(4, 2), Arc::new(Burgers::default()), dtype);
        let (_, var) = &pinn.tensors().parameters[0];
        var.set(&(var.ones_like().unwrap() * f64::NAN).unwrap())
            .unwrap();
        let (loss, gradient) = pinn.loss_and_gradient().unwrap();
        assert!(loss.total.is_nan() && loss.parts[0].mean_square.is_nan());
        assert_eq!(gradient.len(), 6);
        assert!(pinn.error().unwrap().unwrap().largest.is_nan());
    }
}

#[test]
fn the_largest_networks_work() {
    let mut config = small(400, 8);
    config.network.features = Features::Fourier {
        count: 256,
        scale: 1.0,
    };
    let pinn = build(&config, Arc::new(Wave { speed: 2.0 }), DType::F32);
    let (loss, gradient) = pinn.loss_and_gradient().unwrap();
    assert!(loss.total.is_finite());
    assert_eq!(gradient.len(), 18);
}

#[test]
fn settings_that_are_wrong_are_refused_by_name() {
    let wave = || Arc::new(Wave { speed: 2.0 });
    let refused = |equation: Arc<dyn Equation>, change: fn(&mut PinnConfig), says: &str| {
        let mut config = PinnConfig::default();
        change(&mut config);
        let error = config.check(&*equation).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }));
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(
        wave(),
        |c| c.network.width = 401,
        "network.width = 401 is not valid: expected 1 to 400",
    );
    refused(wave(), |c| c.network.width = 0, "network.width = 0");
    refused(
        wave(),
        |c| c.network.depth = 9,
        "network.depth = 9 is not valid: expected 1 to 8",
    );
    refused(
        wave(),
        |c| c.points.residual = 25_501,
        "points.residual = 25501 is not valid: expected 1 to 25500, the points of the inner grid",
    );
    refused(wave(), |c| c.points.residual = 0, "points.residual = 0");
    refused(wave(), |c| c.points.grid_x = 2, "points.grid_x = 2");
    refused(wave(), |c| c.points.grid_t = 1, "points.grid_t = 1");
    refused(
        wave(),
        |c| c.network.features = Features::Periodic { harmonics: 0 },
        "network.features.harmonics = 0 is not valid: expected 1 to 64",
    );
    refused(
        wave(),
        |c| {
            c.network.features = Features::Fourier {
                count: 257,
                scale: 1.0,
            }
        },
        "network.features.count = 257",
    );
    refused(
        wave(),
        |c| {
            c.network.features = Features::Fourier {
                count: 7,
                scale: f64::NAN,
            }
        },
        "network.features.scale = NaN",
    );
    refused(
        wave(),
        |c| _ = c.weights.insert("inital".into(), 1.0),
        "weights = inital is not valid: expected one of residual, initial, initial_velocity, left, right",
    );
    refused(
        wave(),
        |c| _ = c.weights.insert("left".into(), -1.0),
        "weights = { left = -1 }",
    );
    let keep = |_: &mut PinnConfig| ();
    refused(Arc::new(Wave { speed: f64::NAN }), keep, "speed = NaN");
    refused(Arc::new(Heat { diffusivity: 0.0 }), keep, "diffusivity = 0");
    refused(
        Arc::new(Burgers { viscosity: 1e-4 }),
        keep,
        "viscosity = 0.0001",
    );
    refused(Arc::new(Poisson { half_waves: 0 }), keep, "half_waves = 0");
    let rate = ReactionDiffusion {
        diffusion: 0.01,
        rate: 5.0,
    };
    refused(Arc::new(rate), keep, "diffusion = 0.01");
    let rate = AllenCahn {
        rate: 21.0,
        ..AllenCahn::default()
    };
    refused(Arc::new(rate), keep, "rate = 21");
    let rate = ReactionDiffusion {
        diffusion: 1.0,
        rate: 51.0,
    };
    refused(Arc::new(rate), keep, "rate = 51");
    let scope = Scope::new(0, DType::BF16, &Device::Cpu);
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let error = PinnConfig::default()
        .build(wave(), &scope, rng)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("dtype = bf16 is not valid: expected f32 or f64"),
        "{error}"
    );
}

/// An equation that contradicts itself.
#[derive(Debug)]
struct Broken {
    orders: Orders,
    domain: Domain,
    values: usize,
}

const SOUND: Broken = Broken {
    orders: Orders { x: 1, t: 1 },
    domain: Domain {
        x: [0.0, 1.0],
        t: [0.0, 1.0],
    },
    values: 0,
};

impl Equation for Broken {
    fn domain(&self) -> Domain {
        self.domain
    }

    fn orders(&self) -> Orders {
        self.orders
    }

    fn residual(&self, _: Point, _: &Jet) -> Residual {
        Residual {
            value: 0.0,
            by: Jet::default(),
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        Vec::new()
    }

    fn ansatz(&self, [x, _]: Point) -> Option<Ansatz> {
        let (offset, factor) = (Jet::default(), Jet::default());
        (x < 0.5).then_some(Ansatz { offset, factor })
    }

    fn solution(&self, _: &[Point]) -> Option<Vec<f64>> {
        Some(vec![0.0; self.values])
    }
}

#[test]
fn equations_that_contradict_themselves_are_refused() {
    let refused = |equation: Broken, hard_constraints: bool, says: &str| {
        let mut config = small(3, 1);
        config.hard_constraints = hard_constraints;
        let scope = Scope::new(0, DType::F64, &Device::Cpu);
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let built = config.build(Arc::new(equation), &scope, rng);
        let error = built.and_then(|pinn| pinn.error()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    let orders = Orders { x: 3, t: 0 };
    refused(Broken { orders, ..SOUND }, false, "equation.orders = 3, 0");
    let domain = Domain {
        x: [1.0, 1.0],
        ..SOUND.domain
    };
    refused(
        Broken { domain, ..SOUND },
        false,
        "equation.domain.x = 1 to 1",
    );
    refused(
        SOUND,
        true,
        "hard_constraints = true is not valid: expected false, as the equation has no",
    );
    refused(
        Broken { values: 3, ..SOUND },
        false,
        "equation.solution = 3",
    );
}

#[test]
fn configurations_read_back_and_refuse_unknown_keys() {
    let json = r#"{
        "network": { "width": 20, "activation": "sine", "features": { "kind": "periodic", "harmonics": 2 } },
        "points": { "residual": 100, "placement": "uniform" },
        "weights": { "initial": 10.0 },
        "hard_constraints": false
    }"#;
    let config: PinnConfig = serde_json::from_str(json).unwrap();
    assert_eq!(config.network.depth, 3);
    let again = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
    assert_eq!(config, again);
    for (json, says) in [
        (r#"{ "netwrok": {} }"#, "netwrok"),
        (r#"{ "network": { "widht": 3 } }"#, "widht"),
        (r#"{ "points": { "placement": "sobol" } }"#, "sobol"),
    ] {
        let error = serde_json::from_str::<PinnConfig>(json).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    for (json, says) in [
        (r#"{ "kind": "wave" }"#, "missing field `speed`"),
        (
            r#"{ "kind": "wave", "speed": 2, "sped": 1 }"#,
            "unknown field `sped`",
        ),
        (
            r#"{ "kind": "waves", "speed": 2 }"#,
            "unknown variant `waves`",
        ),
    ] {
        let error = serde_json::from_str::<EquationConfig>(json).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    for kind in ["burgers", "allen-cahn", "poisson"] {
        let json = format!(r#"{{ "kind": "{kind}" }}"#);
        serde_json::from_str::<EquationConfig>(&json)
            .unwrap()
            .build()
            .check()
            .unwrap();
    }
}
