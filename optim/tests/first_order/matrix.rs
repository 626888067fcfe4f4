//! What methods on matrices promise beyond their formulas: who takes which parameter, refusals, costs,
//! continuation, threads, and numbers that are not finite.

use crate::common::device;
use candle_core::{DType, Device, Tensor, Var};
use optim::state::State;
use optim::{
    AdamConfig, Gradient, Meter, Momentum, MuonConfig, Optimizer, Oracle, ParameterGroup,
    Parameters, RateScale, Schedule, ShampooConfig, SoapConfig, VectorPasses,
};

/// sin(k + phase)·k mod 7 for element k: a matrix of these has full rank.
fn tensor(shape: &[usize], phase: f64, dtype: DType) -> Tensor {
    let count: usize = shape.iter().product();
    let elements = (0..count).map(|k| (k as f64 + phase).sin() * ((k % 7) as f64 - 2.5));
    let tensor = Tensor::from_iter(elements, &Device::Cpu).unwrap();
    let tensor = tensor.reshape(shape).unwrap().to_dtype(dtype).unwrap();
    tensor.to_device(&device()).unwrap()
}

const SHAPES: [(&str, &[usize]); 4] = [
    ("conv", &[4, 3, 2, 2]),
    ("embedding", &[5, 4]),
    ("weight", &[3, 6]),
    ("bias", &[6]),
];

fn network(dtype: DType) -> Parameters {
    let vars = SHAPES.map(|(name, shape)| {
        let values = tensor(shape, 0.3, dtype);
        (name, Var::from_tensor(&values).unwrap())
    });
    Parameters::new(vars).unwrap()
}

/// The gradient of step `t`.
fn gradient(set: &Parameters, t: u64) -> Gradient {
    let tensors = set.vars().iter();
    let tensors = tensors.map(|var| tensor(var.dims(), 1.7 * t as f64 + 0.9, var.dtype()));
    Gradient::new(set, tensors.collect()).unwrap()
}

fn values(set: &Parameters) -> Vec<Vec<f64>> {
    let values = set.vars().iter().map(|var| {
        let values = var.as_detached_tensor().to_device(&Device::Cpu).unwrap();
        let flat = values.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
        flat.to_vec1().unwrap()
    });
    values.collect()
}

fn muon() -> MuonConfig {
    MuonConfig {
        excluded: vec!["embed*".into()],
        weight_decay: 0.1,
        schedule: Schedule::warm_up_cosine(2.into(), 9.into()),
        ..MuonConfig::default()
    }
}

fn soap() -> SoapConfig {
    SoapConfig {
        frequency: 3,
        ..SoapConfig::default()
    }
}

fn shampoo() -> ShampooConfig {
    ShampooConfig {
        start: 3,
        frequency: 2,
        weight_decay: 0.1,
        ..ShampooConfig::default()
    }
}

/// An update from a given gradient, and what [`Optimizer`] tells.
trait Update: Optimizer {
    fn update_from(&mut self, gradient: &Gradient) -> f64;
}

impl Update for optim::Muon {
    fn update_from(&mut self, gradient: &Gradient) -> f64 {
        self.update(gradient).unwrap()
    }
}

impl Update for optim::Shampoo {
    fn update_from(&mut self, gradient: &Gradient) -> f64 {
        self.update(gradient).unwrap()
    }
}

impl Update for optim::Soap {
    fn update_from(&mut self, gradient: &Gradient) -> f64 {
        self.update(gradient).unwrap()
    }
}

type Build = fn(&Parameters) -> Box<dyn Update>;

const METHODS: [(&str, Build); 3] = [
    ("Muon", |set| Box::new(muon().build(set).unwrap())),
    ("SOAP", |set| Box::new(soap().build(set).unwrap())),
    ("Shampoo", |set| Box::new(shampoo().build(set).unwrap())),
];

#[test]
fn settings_out_of_range_are_named() {
    let set = network(DType::F64);
    let muon = |change: fn(&mut MuonConfig)| {
        let mut config = MuonConfig::default();
        change(&mut config);
        config.build(&set).unwrap_err().to_string()
    };
    let soap = |change: fn(&mut SoapConfig)| {
        let mut config = SoapConfig::default();
        change(&mut config);
        config.build(&set).unwrap_err().to_string()
    };
    let shampoo = |change: fn(&mut ShampooConfig)| {
        let mut config = ShampooConfig::default();
        change(&mut config);
        config.build(&set).unwrap_err().to_string()
    };
    for (found, expected) in [
        (
            shampoo(|c| c.start = 0),
            "start = 0 is out of range: expected at least 1",
        ),
        (
            shampoo(|c| c.matrix_epsilon = f64::NAN),
            "matrix_epsilon = NaN is out of range: expected a finite number >= 0",
        ),
        (
            muon(|c| c.learning_rate = 0.0),
            "learning_rate = 0 is out of range: expected a finite number > 0",
        ),
        (
            muon(|c| c.momentum = 1.0),
            "momentum = 1 is out of range: expected 0 <= value < 1",
        ),
        (
            muon(|c| c.iterations = 100),
            "iterations = 100 is out of range: expected 1 to 99",
        ),
        (
            muon(|c| c.coefficients[1] = f64::NAN),
            "coefficients = NaN is out of range: expected finite numbers",
        ),
        (
            muon(|c| c.excluded = vec!["head.*".into()]),
            "excluded = head.* is out of range: expected a pattern that matches the name of at least \
             one parameter",
        ),
        (
            muon(|c| c.adam.beta1 = 1.0),
            "beta1 = 1 is out of range: expected 0 <= value < 1",
        ),
        (
            soap(|c| c.frequency = 0),
            "frequency = 0 is out of range: expected at least 1",
        ),
        (
            soap(|c| c.largest_dimension = 0),
            "largest_dimension = 0 is out of range: expected at least 1",
        ),
        (
            soap(|c| c.preconditioner_beta = Some(1.0)),
            "preconditioner_beta = 1 is out of range: expected 0 <= value < 1",
        ),
    ] {
        assert_eq!(found, expected);
    }
}

/// Vectors and excluded matrices move as Adam moves them, with the schedule's factors.
#[test]
fn muon_leaves_the_others_to_adam() {
    let (set, expected) = (network(DType::F64), network(DType::F64));
    let mut muon = muon().build(&set).unwrap();
    let mut adam = AdamConfig {
        schedule: muon.config().schedule.clone(),
        ..muon.config().adam.clone()
    }
    .build(&expected)
    .unwrap();
    for t in 0..6 {
        muon.update(&gradient(&set, t)).unwrap();
        adam.update(&gradient(&expected, t)).unwrap();
    }
    let (found, expected) = (values(&set), values(&expected));
    for (index, name) in set.names().iter().enumerate() {
        let by_adam = ["bias", "embedding"].contains(&name.as_str());
        assert_eq!(found[index] == expected[index], by_adam, "{name}");
    }
}

/// Both kinds of momentum point in one direction, and so make the same steps.
#[test]
fn the_kind_of_momentum_changes_no_step() {
    let path = |momentum_kind, nesterov| {
        let set = network(DType::F64);
        let config = MuonConfig {
            momentum_kind,
            nesterov,
            ..muon()
        };
        let mut muon = config.build(&set).unwrap();
        for t in 0..6 {
            muon.update(&gradient(&set, t)).unwrap();
        }
        values(&set).concat()
    };
    for nesterov in [true, false] {
        let average = path(Momentum::Average, nesterov);
        for (a, b) in average.iter().zip(path(Momentum::Sum, nesterov)) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
}

/// After many iterations with coefficients that converge, a step is the polar factor: all singular
/// values of the move are the learning rate, times the scale of the shape.
#[test]
fn steps_of_muon_are_orthogonal() {
    let set = network(DType::F64);
    let before = values(&set);
    let config = MuonConfig {
        learning_rate: 0.5,
        coefficients: [1.875, -1.25, 0.375],
        iterations: 40,
        rate_scale: RateScale::Spectral,
        ..MuonConfig::default()
    };
    config
        .build(&set)
        .unwrap()
        .update(&gradient(&set, 0))
        .unwrap();
    let after = values(&set);
    // "weight", of 3 rows and 6 columns, is the last.
    let moved: Vec<f64> = after[3]
        .iter()
        .zip(&before[3])
        .map(|(a, b)| a - b)
        .collect();
    let size = 0.5 * 0.5f64.sqrt();
    for (i, a) in moved.chunks(6).enumerate() {
        for (j, b) in moved.chunks(6).enumerate() {
            let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            let expected = if i == j { size * size } else { 0.0 };
            assert!((product - expected).abs() < 1e-10, "{i} {j}: {product}");
        }
    }
}

#[test]
fn costs_are_counted() {
    let var = |shape: &[usize]| Var::from_tensor(&tensor(shape, 0.3, DType::F64)).unwrap();
    let set = Parameters::new([("w", var(&[2, 3]))]).unwrap();
    let passes = |reads: u64, writes: u64| VectorPasses {
        reads: reads.div_ceil(6),
        writes: writes.div_ceil(6),
    };
    let mut muon = MuonConfig::default().build(&set).unwrap();
    muon.update(&gradient(&set, 0)).unwrap();
    // Momentum; five iterations on six elements and the 2×2 product.
    assert_eq!(muon.state_elements(), 6);
    let (reads, writes) = (3 * 6 + 5 * (3 * 6 + 3 * 4), 2 * 6 + 5 * (6 + 2 * 4));
    assert_eq!(muon.vector_passes(), passes(reads, writes));
    let mut soap = SoapConfig::default().build(&set).unwrap();
    soap.update(&gradient(&set, 0)).unwrap();
    // Moments, means and bases.
    assert_eq!(soap.state_elements(), 2 * 6 + 2 * (4 + 9));
    let shampoo = ShampooConfig::default().build(&set).unwrap();
    // Moment, two momenta, means and roots.
    assert_eq!(shampoo.state_elements(), 3 * 6 + 2 * (4 + 9));
    let both = Parameters::new([("w", var(&[2, 3])), ("b", var(&[3]))]).unwrap();
    let muon = MuonConfig::default().build(&both).unwrap();
    assert_eq!(muon.state_elements(), 6 + 2 * 3);
}

/// Elements read and written, by the operands of formulas.
#[derive(Default)]
struct Tally(VectorPasses);

impl Tally {
    fn formula(&mut self, read: &[usize], written: &[usize]) {
        self.0.reads += read.iter().sum::<usize>() as u64;
        self.0.writes += written.iter().sum::<usize>() as u64;
    }
}

/// The formulas of SOAP's documentation for one update, with the operands of each line.
fn soap_update(tally: &mut Tally, first: bool, dims: &[usize], bases: &[usize]) {
    let w: usize = dims.iter().product();
    let turn = |tally: &mut Tally| {
        for n in bases {
            tally.formula(&[w, n * n], &[w]);
        }
    };
    if !first {
        tally.formula(&[w, w], &[w]); // M from M and G
        turn(tally); // G in the bases
        tally.formula(&[w, w], &[w]); // V from V and it
        turn(tally); // M in the bases
        tally.formula(&[w, w], &[w]); // over √V + ε
        turn(tally); // back
        tally.formula(&[w, w], &[w]); // W from W and N
    }
    for n in bases {
        tally.formula(&[w, w, n * n], &[n * n]); // L from G, Gᵀ and L
    }
}

/// As [`soap_update`], of Shampoo.
fn shampoo_update(tally: &mut Tally, nesterov: bool, dims: &[usize], roots: &[usize]) {
    let w: usize = dims.iter().product();
    tally.formula(&[w, w], &[w]); // V from V and G
    tally.formula(&[w, w], &[w]); // A from G and V
    for n in roots {
        tally.formula(&[w, w, n * n], &[n * n]); // L from G, Gᵀ and L
    }
    for n in roots {
        tally.formula(&[w, n * n], &[w]); // P from P and a root
    }
    if !roots.is_empty() {
        tally.formula(&[w], &[]); // ‖A‖
        tally.formula(&[w], &[]); // ‖P‖
        tally.formula(&[w], &[w]); // P with another size
    }
    tally.formula(&[w, w], &[w]); // M from M and P
    tally.formula(&[w, w], &[w]); // N from N and A
    if nesterov {
        tally.formula(&[w, w], &[w]); // β1·M + P
    }
    tally.formula(&[w, w], &[w]); // W from W and it
}

#[test]
fn costs_of_soap_and_shampoo_are_those_of_their_formulas() {
    // A shape alone: that of which every dimension is small, one with a large dimension, and a vector.
    let cases: [(&[usize], &[usize], &[usize]); 3] = [
        (&[4, 3, 2, 2], &[4, 3, 2, 2], &[4, 3, 2, 2]),
        (&[3, 6], &[3], &[]),
        (&[6], &[], &[]),
    ];
    for (dims, bases, roots) in cases {
        let var = Var::from_tensor(&tensor(dims, 0.3, DType::F64)).unwrap();
        let set = Parameters::new([("w", var)]).unwrap();
        let w = dims.iter().product::<usize>() as u64;
        let squares = |sizes: &[usize]| sizes.iter().map(|n| (n * n) as u64).sum::<u64>();
        let passes = |tally: &Tally| VectorPasses {
            reads: tally.0.reads.div_ceil(w),
            writes: tally.0.writes.div_ceil(w),
        };
        let config = SoapConfig {
            largest_dimension: 4,
            ..soap()
        };
        let (mut soap, mut tally) = (config.build(&set).unwrap(), Tally::default());
        assert_eq!(soap.state_elements(), 2 * w + 2 * squares(bases));
        for t in 0..5 {
            soap.update(&gradient(&set, t)).unwrap();
            soap_update(&mut tally, t == 0, dims, bases);
            assert_eq!(soap.vector_passes(), passes(&tally), "{dims:?}, {t}");
        }
        for nesterov in [true, false] {
            let config = ShampooConfig {
                largest_dimension: 4,
                nesterov,
                ..shampoo()
            };
            let (mut shampoo, mut tally) = (config.build(&set).unwrap(), Tally::default());
            assert_eq!(shampoo.state_elements(), 3 * w + 2 * squares(roots));
            for t in 0..5 {
                shampoo.update(&gradient(&set, t)).unwrap();
                shampoo_update(&mut tally, nesterov, dims, roots);
                assert_eq!(shampoo.vector_passes(), passes(&tally), "{dims:?}, {t}");
            }
        }
    }
}

#[test]
fn a_continued_run_equals_one_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for (name, build) in METHODS {
        for dtype in [DType::F64, DType::F32, DType::BF16] {
            let set = network(dtype);
            let mut undisturbed = build(&set);
            for t in 0..8 {
                undisturbed.update_from(&gradient(&set, t));
            }
            for stop in 0..8 {
                let first = network(dtype);
                let mut before = build(&first);
                for t in 0..stop {
                    before.update_from(&gradient(&first, t));
                }
                let mut state = before.state().unwrap();
                state.insert_parameters(&first).unwrap();
                state.save(&path).unwrap();
                let second = network(dtype);
                let mut after = build(&second);
                let state = State::load(&path).unwrap();
                state.restore_parameters(&second).unwrap();
                after.restore(&state).unwrap();
                assert_eq!(after.state_elements(), before.state_elements());
                for t in stop..8 {
                    after.update_from(&gradient(&second, t));
                }
                assert_eq!(values(&second), values(&set), "{name} {dtype:?} {stop}");
                assert_eq!(after.vector_passes(), undisturbed.vector_passes());
                assert_eq!(after.learning_rate(), undisturbed.learning_rate());
            }
        }
    }
}

#[test]
fn a_state_that_does_not_fit_changes_nothing() {
    let set = network(DType::F64);
    for (name, build) in METHODS {
        let mut optimizer = build(&set);
        optimizer.update_from(&gradient(&set, 0));
        let state = optimizer.state().unwrap();
        for key in state.tensors.keys().filter(|key| !key.starts_with("adam/")) {
            let mut lacking = state.clone();
            lacking.tensors.remove(key);
            let error = optimizer.restore(&lacking).unwrap_err().to_string();
            let expected = format!("checkpoint does not fit: tensor `{key}` is missing");
            assert_eq!(error, expected, "{name}");
        }
        let again = optimizer.state().unwrap();
        assert_eq!(again.metadata, state.metadata);
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for (name, build) in METHODS {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let vars = [("w", [150, 170]), ("v", [64, 300])].map(|(name, shape)| {
                    let values = tensor(&shape, 0.3, DType::F32);
                    (name, Var::from_tensor(&values).unwrap())
                });
                let set = Parameters::new(vars.into_iter().chain([(
                    "embedding",
                    Var::from_tensor(&tensor(&[9, 9], 0.1, DType::F32)).unwrap(),
                )]))
                .unwrap();
                let mut optimizer = build(&set);
                for t in 0..5 {
                    optimizer.update_from(&gradient(&set, t));
                }
                values(&set)
            })
        };
        let one = with(1);
        for threads in [2, 3, 7] {
            assert!(with(threads) == one, "{name}, {threads} threads");
        }
    }
}

/// A parameter whose gradient is not finite keeps its bits, and so does what is kept of it; the
/// largest finite gradients leave everything finite.
#[test]
fn nothing_that_is_not_finite_enters_parameters_or_state() {
    for (name, build) in METHODS {
        for dtype in [DType::F64, DType::F32, DType::BF16] {
            let set = network(dtype);
            let mut optimizer = build(&set);
            for t in 0..4 {
                let before = values(&set);
                let mut tensors = gradient(&set, t).tensors().to_vec();
                let weight = set
                    .names()
                    .iter()
                    .position(|name| name == "weight")
                    .unwrap();
                let spoil = match t {
                    1 => f64::NAN,
                    2 => f64::INFINITY,
                    _ => 1.0,
                };
                let mut elements = vec![1.0; 18];
                elements[4] = spoil;
                let spoiled = Tensor::from_vec(elements, (3, 6), &Device::Cpu).unwrap();
                let spoiled = spoiled
                    .to_dtype(dtype)
                    .unwrap()
                    .to_device(&device())
                    .unwrap();
                tensors[weight] = spoiled;
                let norm = optimizer.update_from(&Gradient::new(&set, tensors).unwrap());
                assert_eq!(norm.is_finite(), spoil.is_finite());
                let after = values(&set);
                for index in 0..4 {
                    assert!(after[index].iter().all(|x| x.is_finite()), "{name}");
                }
                if !spoil.is_finite() {
                    assert_eq!(after[weight], before[weight], "{name}");
                    // Adam's steps of the bias are below what bf16 tells apart.
                    assert!(after[1] != before[1] || dtype == DType::BF16, "{name}");
                }
            }
            let most = match dtype {
                DType::F64 => f64::MAX,
                _ => f64::from(f32::MAX) * 0.99,
            };
            let huge = set.vars().iter().map(|var| {
                let signs = tensor(var.dims(), 2.0, DType::F64).sign().unwrap();
                (signs * most).unwrap().to_dtype(dtype).unwrap()
            });
            let huge = Gradient::new(&set, huge.collect()).unwrap();
            for _ in 0..4 {
                optimizer.update_from(&huge);
                assert!(
                    values(&set).concat().iter().all(|x| x.is_finite()),
                    "{name}"
                );
                for (key, tensor) in optimizer.state().unwrap().tensors {
                    let tensor = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
                    let tensor: Vec<f64> = tensor.to_vec1().unwrap();
                    assert!(tensor.iter().all(|x| x.is_finite()), "{name} {key}");
                }
            }
        }
    }
}

#[test]
fn groups_have_their_own_rate() {
    let set = network(DType::F64);
    let before = values(&set);
    let config = SoapConfig {
        groups: vec![ParameterGroup {
            parameters: vec!["weight".into()],
            learning_rate_factor: 0.0,
            ..ParameterGroup::default()
        }],
        ..soap()
    };
    let mut soap = config.build(&set).unwrap();
    for t in 0..3 {
        soap.update(&gradient(&set, t)).unwrap();
    }
    let after = values(&set);
    for (index, name) in set.names().iter().enumerate() {
        assert_eq!(after[index] == before[index], name == "weight", "{name}");
    }
}

/// SOAP does not depend on the basis in which a matrix is written: rotated rows and gradients give
/// rotated steps. Epsilon and Adam would break that.
#[test]
fn soap_turns_with_its_matrix() {
    let (c, s) = (0.6, 0.8);
    let turn = Tensor::new(&[[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], &Device::Cpu).unwrap();
    let turn = turn.to_device(&device()).unwrap();
    let run = |turned: bool| {
        let place = |tensor: Tensor| match turned {
            true => turn.matmul(&tensor).unwrap(),
            false => tensor,
        };
        let start = place(tensor(&[3, 3], 0.3, DType::F64));
        let set = Parameters::new([("w", Var::from_tensor(&start).unwrap())]).unwrap();
        let config = SoapConfig {
            epsilon: 0.0,
            weight_decay: 0.0,
            ..soap()
        };
        let mut soap = config.build(&set).unwrap();
        for t in 0..8 {
            let gradient = place(tensor(&[3, 3], 1.7 * f64::from(t) + 0.9, DType::F64));
            let gradient = Gradient::new(&set, vec![gradient]).unwrap();
            soap.update(&gradient).unwrap();
        }
        let end = set.vars()[0].as_detached_tensor();
        let end = match turned {
            true => turn.t().unwrap().matmul(&end).unwrap(),
            false => end,
        };
        let end = end.to_device(&Device::Cpu).unwrap().flatten_all().unwrap();
        end.to_vec1::<f64>().unwrap()
    };
    for (a, b) in run(true).iter().zip(run(false)) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }
}

/// The step of an [`Optimizer`] is its update from the objective's gradient.
#[test]
fn a_step_evaluates_once() {
    let set = network(DType::F64);
    let mut objective = optim::Loss::new(&set, || {
        let terms = set.vars().iter().map(|var| var.sqr()?.sum_all());
        Tensor::stack(&terms.collect::<candle_core::Result<Vec<_>>>()?, 0)?.sum_all()
    });
    for (name, build) in METHODS {
        let mut optimizer = build(&set);
        let mut meter = Meter::new();
        let mut losses = Vec::new();
        for _ in 0..5 {
            let step = optimizer.step(&mut Oracle::new(&mut objective, &mut meter));
            losses.push(step.unwrap().loss);
        }
        assert_eq!(meter.counts().gradient_evaluations, 5);
        assert!(losses[4] < losses[0], "{name}: {losses:?}");
    }
}
