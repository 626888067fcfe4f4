//! A switch that measures whether it pays: now and then both methods go on from the same point, and the one
//! that ends lower is kept.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::confirmation::Confirmation;
use super::noise::NoiseRatio;
use crate::check;
use crate::error::{Error, Result};
use crate::first_order::{Adam, AdamConfig};
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::Parameters;
use crate::record::{CriterionRecord, Diagnostics, Phase, Step, StopReason, Switch, VectorPasses};
use crate::schedule::Schedule;
use crate::second_order::{Lbfgs, LbfgsConfig};
use crate::state::State;

/// Which contests come early: before it is time, since L-BFGS acts and its decreases do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Early {
    /// None.
    Never,
    /// The first one.
    First,
    /// All.
    Every,
}

/// When L-BFGS may challenge Adam.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Challenge {
    /// Whenever it is time.
    Always,
    /// Not before the noise to signal ratio of the gradients that Adam sees, as in
    /// [`Criterion::NoiseScale`](crate::Criterion::NoiseScale), is below this.
    NoiseBelow(f64),
}

/// Settings of [`FuseContest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FuseContestConfig {
    /// The method that acts until the first contest.
    pub begin: Phase,
    /// Evaluations before the first contest.
    pub first: u64,
    /// Which contests come early: before it is time, since L-BFGS acts and its decreases do not hold.
    pub early: Early,
    /// Evaluations before a contest that comes early, counted from the last one. Each contest that L-BFGS has won
    /// since it began to act multiplies them by `growth`.
    pub earliest: u64,
    /// The share of L-BFGS's decreases that the next batch confirms, from 0 to 1, below which they do not hold.
    pub confirmed: f64,
    /// The evaluations of each side in a contest, as a share of those made before it: above 0, below 1.
    pub share: f64,
    /// The evaluations of each side at least: 1 or more.
    pub shortest: u64,
    /// The next contest comes when the evaluations have grown by this factor, above 1.
    pub growth: f64,
    /// Whether Adam's moments follow the gradients that L-BFGS sees, one a step, so that Adam enters a contest with a
    /// memory of them.
    pub follow: bool,
    /// When L-BFGS may challenge Adam.
    pub challenge: Challenge,
    /// Settings of the first method. Its schedule counts the evaluations of both methods.
    pub adam: AdamConfig,
    /// Settings of the second method.
    pub lbfgs: LbfgsConfig,
}

impl Default for FuseContestConfig {
    fn default() -> Self {
        Self {
            begin: Phase::SecondOrder,
            first: 50,
            early: Early::Every,
            earliest: 10,
            confirmed: 0.25,
            share: 0.03,
            shortest: 5,
            growth: 3.0,
            follow: true,
            challenge: Challenge::NoiseBelow(1.0),
            adam: AdamConfig::default(),
            lbfgs: LbfgsConfig::default(),
        }
    }
}

impl FuseContestConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of them.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.adam = self.adam.with_budget(evaluations);
        self
    }

    /// The optimizer for `parameters`.
    ///
    /// # Errors
    /// When a setting is out of range or the device refuses memory.
    pub fn build(self, parameters: &Parameters) -> Result<FuseContest> {
        let share = self.share > 0.0 && self.share < 1.0;
        check::that(share, "share", self.share, "0 < share < 1")?;
        let confirmed = (0.0..=1.0).contains(&self.confirmed);
        check::that(
            confirmed,
            "confirmed",
            self.confirmed,
            "0 <= confirmed <= 1",
        )?;
        check::that(self.shortest > 0, "shortest", self.shortest, "at least 1")?;
        let growth = self.growth > 1.0 && self.growth.is_finite();
        check::that(growth, "growth", self.growth, "a finite number > 1")?;
        if let Challenge::NoiseBelow(ratio) = self.challenge {
            let ratio_is_valid = ratio > 0.0 && ratio.is_finite();
            check::that(
                ratio_is_valid,
                "challenge.noise-below",
                ratio,
                "a finite number > 0",
            )?;
        }
        check::that(
            self.lbfgs.sample_test.is_none(),
            "lbfgs.sample_test",
            self.lbfgs.sample_test.unwrap_or_default(),
            "left out: contests compare on batches of one size",
        )?;
        self.adam.schedule.check()?;
        let adam = AdamConfig {
            schedule: Schedule::default(),
            ..self.adam.clone()
        };
        Ok(FuseContest {
            parameters: parameters.clone(),
            learning_rate: self.adam.learning_rate,
            adam: adam.build(parameters)?,
            lbfgs: self.lbfgs.clone().build(parameters)?,
            acting: self.begin,
            stage: Stage::Alone,
            next: self.first,
            evaluations: 0,
            steps: 0,
            epoch: 0,
            passes: VectorPasses::default(),
            records: Vec::new(),
            switches: Vec::new(),
            ended: 0,
            confirmation: Confirmation::default(),
            noise: NoiseRatio::default(),
            config: self,
        })
    }
}

/// Adam and L-BFGS in contests: the one that gets further with the same number of evaluations goes on.
///
/// A contest begins at the point where the acting method is. That method goes on for a share of the
/// evaluations made so far; then the other one starts from the same point and has as many. Both ends are
/// compared on the same batches, one to a step, until one is lower on two of them: its method and its point
/// stay, and the other's trial leaves no trace. L-BFGS enters each contest without curvature pairs. The
/// first contest comes after `first` evaluations, further ones each time that the evaluations have
/// grown by the factor `growth`, whichever method acts, so that a switch is taken back when it pays no more.
///
/// Under strong noise L-BFGS soon does harm. What it gains on a batch is then lost on the next one, which can
/// be seen without any evaluation: the loss before a step less the loss before the next one is what was
/// achieved, and the decrease on the step's own batch is what was claimed. Once the mean share of the last
/// four steps is below `confirmed`, a contest comes at once, though not before `earliest` evaluations.
///
/// Contests look ahead a few steps only, and two things would mislead them. Adam without a memory of gradients begins
/// with steps of the full learning rate in every component, which are too long near a good point: so its moments
/// follow the gradients of L-BFGS while that one acts. And under noise a few steps of L-BFGS gain what a smaller
/// learning rate would gain, and no more after that: so L-BFGS does not challenge while the noise to signal ratio of the
/// gradients is 1 or more. On networks in mini-batches Adam should begin.
///
/// With N evaluations so far a contest wastes `share`·N and at most 6 more, so that of a long run about
/// `share`·`growth`/(`growth` − 1) is wasted: 4.5 % by default. L-BFGS acts first by default, since where it is
/// the better method it often needs fewer evaluations than a contest.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{FuseContestConfig, Loss, Meter, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let x = Var::new(&[-1.2f64, 1.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x.clone())])?;
/// let mut objective = Loss::new(&parameters, || {
///     let (a, b) = (x.narrow(0, 0, 1)?, x.narrow(0, 1, 1)?);
///     let valley = ((b - a.sqr()?)?.sqr()? * 100.0)?;
///     (valley + (1.0 - a)?.sqr()?)?.sum_all()
/// });
/// let mut optimizer = FuseContestConfig::default().build(&parameters)?;
/// let mut meter = Meter::with_budget(300);
/// let mut last = f64::INFINITY;
/// while meter.remaining() > 0 && last > 1e-8 {
///     last = optimizer.step(&mut Oracle::new(&mut objective, &mut meter))?.loss;
/// }
/// assert!(last <= 1e-8);
/// // L-BFGS began, and Adam never got further.
/// assert!(optimizer.diagnostics().switches.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FuseContest {
    config: FuseContestConfig,
    parameters: Parameters,
    /// The rate that the factors of Adam's schedule multiply.
    learning_rate: f64,
    /// Adam, told the rate of each step: its own steps are not all that a schedule counts.
    adam: Adam,
    lbfgs: Lbfgs,
    /// The method that goes on if no contest says otherwise.
    acting: Phase,
    stage: Stage,
    /// The evaluations after which the next contest begins.
    next: u64,
    evaluations: u64,
    steps: u64,
    epoch: u64,
    /// Passes of this optimizer's own: points kept and taken back.
    passes: VectorPasses,
    records: Vec<CriterionRecord>,
    switches: Vec<Switch>,
    /// The evaluations at which the last contest ended; 0 before the first.
    ended: u64,
    /// Of L-BFGS's steps since the last contest.
    confirmation: Confirmation,
    /// Of the gradients that Adam's moments took up outside contests.
    noise: NoiseRatio,
}

/// Where in a contest the optimizer is.
#[derive(Debug)]
enum Stage {
    /// In none.
    Alone,
    /// The acting method goes on from `start`, until so many evaluations are made.
    Acting {
        start: Vec<Tensor>,
        begun: u64,
        until: u64,
    },
    /// The other method has as many from the same point.
    Other {
        acting: Vec<Tensor>,
        before: State,
        until: u64,
    },
    /// Both ends are compared; `lower` counts the batches on which each is the lower one.
    Compared {
        acting: Vec<Tensor>,
        other: Vec<Tensor>,
        before: State,
        lower: [u64; 2],
    },
}

/// Batches on which an end must be lower to win.
const DECISIVE: u64 = 2;
/// Evaluations of a comparison, at most.
const COMPARISON: u64 = 2 * (2 * DECISIVE - 1);

/// What it takes to copy a point.
const COPY: VectorPasses = VectorPasses {
    reads: 1,
    writes: 1,
};

fn opposite(phase: Phase) -> Phase {
    match phase {
        Phase::FirstOrder => Phase::SecondOrder,
        Phase::SecondOrder => Phase::FirstOrder,
    }
}

impl FuseContest {
    const KIND: &str = "fuse-contest";

    fn method(&mut self, phase: Phase) -> &mut dyn Optimizer {
        match phase {
            Phase::FirstOrder => &mut self.adam,
            Phase::SecondOrder => &mut self.lbfgs,
        }
    }

    /// A step of one of the methods.
    fn step_of(&mut self, phase: Phase, oracle: &mut Oracle<'_>) -> Result<Step> {
        self.adam.set_learning_rate(self.learning_rate())?;
        self.method(phase).step(oracle)
    }

    /// Whether the next contest is due.
    fn is_due(&self) -> bool {
        let in_time = self.evaluations >= self.next;
        match self.acting {
            Phase::SecondOrder => in_time || self.is_doubtful(),
            Phase::FirstOrder => in_time && self.may_challenge(),
        }
    }

    /// Whether L-BFGS, which acts, makes decreases that do not hold, and a contest may come early.
    fn is_doubtful(&self) -> bool {
        let is_early = match self.config.early {
            Early::Never => false,
            Early::First => self.records.is_empty(),
            Early::Every => true,
        };
        let survived = self.records.iter().rev().take_while(|record| !record.fired);
        let wait = self.config.earliest as f64 * self.config.growth.powf(survived.count() as f64);
        is_early
            && (self.evaluations - self.ended) as f64 >= wait
            && self
                .confirmation
                .mean()
                .is_some_and(|share| share < self.config.confirmed)
    }

    /// Whether L-BFGS may challenge Adam.
    fn may_challenge(&self) -> bool {
        match self.config.challenge {
            Challenge::Always => true,
            Challenge::NoiseBelow(ratio) => self.noise.value.is_some_and(|noise| noise < ratio),
        }
    }

    /// Takes note of a gradient that Adam's moments hold now, by its norm.
    fn observe_noise(&mut self, norm: f64) -> Result<()> {
        if let Challenge::NoiseBelow(_) = self.config.challenge {
            let moment = self.adam.first_moment_norm()?;
            self.noise.observe(norm, moment, self.config.adam.beta1);
        }
        Ok(())
    }

    /// A step of the acting method, in no contest.
    fn act(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let step = self.step_of(self.acting, oracle)?;
        match self.acting {
            Phase::FirstOrder => self.observe_noise(step.gradient_norm)?,
            Phase::SecondOrder => {
                self.confirmation.observe(&step);
                if self.config.follow
                    && let Some(gradient) = self.lbfgs.last_gradient()?
                {
                    let norm = self.adam.observe(&gradient)?;
                    self.observe_noise(norm)?;
                }
            }
        }
        Ok(step)
    }

    fn snapshot(&mut self) -> Result<Vec<Tensor>> {
        self.passes += COPY;
        self.parameters.snapshot()
    }

    fn move_to(&mut self, point: &[Tensor]) -> Result<()> {
        self.passes += COPY;
        self.parameters.restore(point)
    }

    /// The evaluations of each side in a contest that begins now.
    fn length(&self) -> u64 {
        let share = self.config.share * self.evaluations as f64;
        (share.round() as u64).max(self.config.shortest)
    }

    /// Goes on to the stage of the next step.
    fn advance(&mut self, remaining: u64) -> Result<()> {
        let stage = std::mem::replace(&mut self.stage, Stage::Alone);
        self.stage = match stage {
            Stage::Alone if self.is_due() => {
                let length = self.length();
                // A contest that the budget would cut off decides nothing. A step of L-BFGS may go beyond its
                // side's length.
                let slack = self.config.lbfgs.max_eval();
                if remaining < 2 * (length + slack) + COMPARISON {
                    Stage::Alone
                } else {
                    Stage::Acting {
                        start: self.snapshot()?,
                        begun: self.evaluations,
                        until: self.evaluations + length,
                    }
                }
            }
            Stage::Acting {
                start,
                begun,
                until,
            } if self.evaluations >= until => {
                let acting = self.snapshot()?;
                self.move_to(&start)?;
                let other = opposite(self.acting);
                let before = self.method(other).state()?;
                if other == Phase::SecondOrder {
                    self.lbfgs.clear();
                }
                Stage::Other {
                    acting,
                    before,
                    until: 2 * self.evaluations - begun,
                }
            }
            Stage::Other {
                acting,
                before,
                until,
            } if self.evaluations >= until => {
                let other = self.snapshot()?;
                self.move_to(&acting)?;
                Stage::Compared {
                    acting,
                    other,
                    before,
                    lower: [0; 2],
                }
            }
            stage => stage,
        };
        Ok(())
    }

    /// Evaluates both ends on one batch, and ends the contest once one of them has won.
    fn compare(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let Stage::Compared {
            acting,
            other,
            before,
            mut lower,
        } = std::mem::replace(&mut self.stage, Stage::Alone)
        else {
            unreachable!("only a comparison compares");
        };
        self.move_to(&other)?;
        let result = oracle.probe();
        self.move_to(&acting)?;
        let (others, _) = result?;
        let (own, gradient) = oracle.probe()?;
        // An end whose loss is not finite is not lower.
        let wins = others < own || (others.is_finite() && !own.is_finite());
        lower[usize::from(wins)] += 1;
        let step = Step {
            loss: own,
            final_loss: None,
            gradient_norm: gradient.norm()?,
            phase: self.acting,
            iterations: 1,
            stop: StopReason::Other("contest"),
        };
        if lower.iter().all(|count| *count < DECISIVE) {
            self.stage = Stage::Compared {
                acting,
                other,
                before,
                lower,
            };
            return Ok(step);
        }
        self.records.push(CriterionRecord {
            step: self.steps,
            epoch: self.epoch,
            criterion: "contest".into(),
            value: own - others,
            threshold: 0.0,
            fired: lower[1] == DECISIVE,
        });
        let challenger = opposite(self.acting);
        if lower[1] == DECISIVE {
            self.move_to(&other)?;
            self.acting = challenger;
            self.switches.push(Switch {
                step: self.steps,
                epoch: self.epoch,
                to: challenger,
                pairs: match challenger {
                    Phase::SecondOrder => self.lbfgs.pairs_held(),
                    Phase::FirstOrder => 0,
                },
            });
        } else {
            self.method(challenger).restore(&before)?;
        }
        let reached = self.evaluations as f64 * self.config.growth;
        self.next = reached as u64;
        self.ended = self.evaluations;
        self.confirmation = Confirmation::default();
        Ok(step)
    }
}

impl Optimizer for FuseContest {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        self.advance(oracle.remaining())?;
        let before = oracle.counts().evaluations();
        let step = match &self.stage {
            Stage::Compared { .. } => self.compare(oracle)?,
            Stage::Alone => self.act(oracle)?,
            trial => {
                let phase = match trial {
                    Stage::Other { .. } => opposite(self.acting),
                    _ => self.acting,
                };
                let mut step = self.step_of(phase, oracle)?;
                // What ends a trial does not end the run.
                step.stop = StopReason::Other("contest");
                step
            }
        };
        self.evaluations += oracle.counts().evaluations() - before;
        self.steps += 1;
        Ok(step)
    }

    fn start_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Adam's rate at the next step.
    fn learning_rate(&self) -> f64 {
        self.learning_rate * self.config.adam.schedule.factor(self.evaluations)
    }

    /// Sets the rate that the factors of Adam's schedule multiply.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        match self.stage {
            Stage::Other { .. } => opposite(self.acting),
            _ => self.acting,
        }
    }

    fn state_elements(&self) -> u64 {
        let points = match &self.stage {
            Stage::Alone => 0,
            Stage::Acting { .. } | Stage::Other { .. } => 1,
            Stage::Compared { .. } => 2,
        };
        let kept = match &self.stage {
            Stage::Other { before, .. } | Stage::Compared { before, .. } => {
                before.tensors.values().map(Tensor::elem_count).sum()
            }
            _ => 0,
        };
        self.adam.state_elements()
            + self.lbfgs.state_elements()
            + (points * self.parameters.element_count() + kept) as u64
    }

    fn vector_passes(&self) -> VectorPasses {
        let mut passes = self.passes;
        passes += self.adam.vector_passes();
        passes += self.lbfgs.vector_passes();
        passes
    }

    fn diagnostics(&self) -> Diagnostics<'_> {
        Diagnostics {
            counters: self.lbfgs.diagnostics().counters,
            criteria: &self.records,
            switches: &self.switches,
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(Self::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("acting", self.acting)?;
        state.set("next", self.next)?;
        state.set("evaluations", self.evaluations)?;
        state.set("steps", self.steps)?;
        state.set("epoch", self.epoch)?;
        state.set("passes", self.passes)?;
        state.set("records", &self.records)?;
        state.set("switches", &self.switches)?;
        state.set("ended", self.ended)?;
        state.set("noise_gradients", self.noise.gradients)?;
        state.set_float("noise_squares", self.noise.squares);
        if let Some(ratio) = self.noise.value {
            state.set_float("noise", ratio);
        }
        self.confirmation.save(&mut state)?;
        state.nest("adam", self.adam.state()?);
        state.nest("lbfgs", self.lbfgs.state()?);
        let mut keep = |name: &str, point: &[Tensor]| {
            state.set_vector(name, &self.parameters, point.to_vec());
        };
        let (name, numbers, before) = match &self.stage {
            Stage::Alone => ("alone", Vec::new(), None),
            Stage::Acting {
                start,
                begun,
                until,
            } => {
                keep("start", start);
                ("acting", vec![*begun, *until], None)
            }
            Stage::Other {
                acting,
                before,
                until,
            } => {
                keep("acting", acting);
                ("other", vec![*until], Some(before))
            }
            Stage::Compared {
                acting,
                other,
                before,
                lower,
            } => {
                keep("acting", acting);
                keep("other", other);
                ("compared", lower.to_vec(), Some(before))
            }
        };
        state.set("stage", name)?;
        state.set("numbers", numbers)?;
        if let Some(before) = before {
            state.nest("before", before.clone());
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(Self::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let mut restored = self.config.clone().build(&self.parameters)?;
        restored.learning_rate = state.float("learning_rate")?;
        restored.acting = state.get("acting")?;
        restored.next = state.get("next")?;
        restored.evaluations = state.get("evaluations")?;
        restored.steps = state.get("steps")?;
        restored.epoch = state.get("epoch")?;
        restored.passes = state.get("passes")?;
        restored.records = state.get("records")?;
        restored.switches = state.get("switches")?;
        restored.ended = state.get("ended")?;
        restored.noise = NoiseRatio {
            gradients: state.get("noise_gradients")?,
            squares: state.float("noise_squares")?,
            value: state.optional_float("noise")?,
        };
        restored.confirmation = Confirmation::load(state)?;
        restored.adam.restore(&state.nested("adam")?)?;
        restored.lbfgs.restore(&state.nested("lbfgs")?)?;
        let stage: String = state.get("stage")?;
        let numbers: Vec<u64> = state.get("numbers")?;
        let point = |name: &str| state.vector(name, &self.parameters);
        restored.stage = match (stage.as_str(), &numbers[..]) {
            ("alone", []) => Stage::Alone,
            ("acting", &[begun, until]) => Stage::Acting {
                start: point("start")?,
                begun,
                until,
            },
            ("other", &[until]) => Stage::Other {
                acting: point("acting")?,
                before: state.nested("before")?,
                until,
            },
            ("compared", &[own, others]) => Stage::Compared {
                acting: point("acting")?,
                other: point("other")?,
                before: state.nested("before")?,
                lower: [own, others],
            },
            _ => {
                return Err(Error::Checkpoint(format!(
                    "stage `{stage}` of a contest with {} numbers",
                    numbers.len()
                )));
            }
        };
        *self = restored;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::objective::{Meter, Objective};
    use crate::params::Gradient;

    /// ½ Σ kᵢ xᵢ², and how much of the gradient each step sees turned away, as noise would do.
    struct Bowl {
        parameters: Parameters,
        curvatures: Vec<f64>,
        /// Added to the gradient, and its product with x to the loss: a plane that changes from step to step.
        tilt: Vec<f64>,
    }

    impl Bowl {
        fn new(curvatures: &[f64]) -> Self {
            let x = Var::new(vec![1f64; curvatures.len()], &Device::Cpu).unwrap();
            Self {
                parameters: Parameters::new([("x", x)]).unwrap(),
                curvatures: curvatures.to_vec(),
                tilt: vec![0.0; curvatures.len()],
            }
        }

        fn x(&self) -> Vec<f64> {
            self.parameters.vars()[0].to_vec1().unwrap()
        }
    }

    impl Objective for Bowl {
        fn loss(&mut self) -> Result<f64> {
            Ok(self.loss_and_gradient()?.0)
        }

        fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
            let x = self.x();
            let bend = x.iter().zip(&self.curvatures).map(|(x, k)| k * x);
            let gradient: Vec<f64> = bend.zip(&self.tilt).map(|(g, tilt)| g + tilt).collect();
            let both = gradient.iter().zip(&self.tilt).map(|(g, tilt)| g + tilt);
            let loss = both.zip(&x).map(|(sum, x)| 0.5 * sum * x).sum();
            let gradient = Tensor::new(gradient, &Device::Cpu)?;
            Ok((loss, Gradient::new(&self.parameters, vec![gradient])?))
        }
    }

    fn config() -> FuseContestConfig {
        FuseContestConfig {
            begin: Phase::FirstOrder,
            first: 4,
            shortest: 4,
            growth: 2.0,
            ..FuseContestConfig::default()
        }
    }

    #[test]
    fn l_bfgs_wins_where_curvature_decides() {
        let curvatures: Vec<f64> = (0..20).map(|i| 1e4f64.powf(f64::from(i) / 19.0)).collect();
        let mut bowl = Bowl::new(&curvatures);
        let mut contest = config().build(&bowl.parameters.clone()).unwrap();
        let mut meter = Meter::with_budget(200);
        while meter.remaining() > 0 && contest.phase() == Phase::FirstOrder {
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
        }
        while meter.remaining() > 0 && contest.switches.is_empty() {
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
        }
        assert_eq!(contest.switches[0].to, Phase::SecondOrder);
        assert!(contest.records[0].fired && contest.records[0].value > 0.0);
    }

    #[test]
    fn a_lost_trial_leaves_no_trace() {
        // L-BFGS may take steps of no use only.
        let mut bowl = Bowl::new(&[1e-3; 3]);
        let mut settings = config();
        settings.adam.learning_rate = 0.05;
        settings.lbfgs.lr = 1e-6;
        settings.lbfgs.line_search = crate::LineSearch::Fixed;
        let mut contest = settings.build(&bowl.parameters.clone()).unwrap();
        let mut meter = Meter::with_budget(400);
        let mut end = None;
        loop {
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
            match &contest.stage {
                Stage::Other { acting, .. } if end.is_none() => {
                    end = Some((
                        acting[0].to_vec1::<f64>().unwrap(),
                        contest.adam.state().unwrap(),
                    ));
                }
                Stage::Alone if end.is_some() => break,
                _ => {}
            }
        }
        let (x, adam) = end.unwrap();
        assert_eq!(bowl.x(), x);
        assert_eq!(contest.adam.state().unwrap().metadata, adam.metadata);
        assert_eq!(contest.lbfgs.pairs_held(), 0);
        assert!(contest.switches.is_empty() && !contest.records[0].fired);
        // The next one comes at twice the evaluations, of which the last two ended this one.
        assert_eq!(contest.next, 2 * (contest.evaluations - 2));
    }

    #[test]
    fn a_switch_is_taken_back_when_it_pays_no_more() {
        let mut bowl = Bowl::new(&[1.0, 100.0]);
        let mut settings = config();
        settings.adam.learning_rate = 0.02;
        settings.growth = 1.5;
        let mut contest = settings.build(&bowl.parameters.clone()).unwrap();
        let mut meter = Meter::with_budget(2000);
        let mut step = 0u32;
        while meter.remaining() > 0 {
            // Once L-BFGS acts, every batch tilts the bowl another way.
            if !contest.switches.is_empty() {
                let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
                bowl.tilt = vec![3.0 * sign, -30.0 * sign];
            }
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
            step += 1;
        }
        let switches: Vec<Phase> = contest.switches.iter().map(|switch| switch.to).collect();
        assert_eq!(
            switches[..2],
            [Phase::SecondOrder, Phase::FirstOrder],
            "{switches:?}"
        );
    }

    /// Evaluations before the first contest that L-BFGS begins, on a bowl whose batches tilt it by `tilt`.
    fn first_contest(tilt: f64) -> u64 {
        let mut bowl = Bowl::new(&[1.0, 100.0]);
        let mut settings = config();
        settings.begin = Phase::SecondOrder;
        settings.first = 40;
        settings.lbfgs.max_iter = 2;
        settings.lbfgs.max_eval = Some(3);
        let mut contest = settings.build(&bowl.parameters.clone()).unwrap();
        let mut meter = Meter::with_budget(300);
        for step in 0u32.. {
            let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
            bowl.tilt = vec![tilt * sign, -10.0 * tilt * sign];
            let before = contest.evaluations;
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
            if !matches!(contest.stage, Stage::Alone) {
                return before;
            }
        }
        unreachable!("a contest begins before the budget is spent");
    }

    #[test]
    fn the_schedule_of_adam_counts_the_evaluations_of_both_methods() {
        let mut bowl = Bowl::new(&[1.0, 100.0]);
        let mut settings = config();
        settings.begin = Phase::SecondOrder;
        settings.adam.learning_rate = 0.5;
        settings.adam.schedule = Schedule::Cosine {
            steps: 60.into(),
            final_factor: 0.0,
        };
        let schedule = settings.adam.schedule.clone();
        let mut contest = settings.build(&bowl.parameters.clone()).unwrap();
        let mut meter = Meter::with_budget(60);
        while meter.remaining() > 0 {
            let expected = 0.5 * schedule.factor(meter.counts().evaluations());
            assert_eq!(contest.learning_rate(), expected);
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
        }
        assert_eq!(contest.learning_rate(), 0.0);
    }

    #[test]
    fn decreases_that_do_not_hold_bring_the_first_contest_forward() {
        assert!((40..45).contains(&first_contest(0.0)));
        assert!((10..15).contains(&first_contest(3.0)));
    }

    /// The evaluations at which contests ended in 600 of them, on a bowl whose every batch tilts it another way. Adam is
    /// expected to win none.
    fn ends(settings: FuseContestConfig) -> Vec<u64> {
        let mut bowl = Bowl::new(&[1.0, 100.0]);
        let mut contest = settings.build(&bowl.parameters.clone()).unwrap();
        let mut meter = Meter::with_budget(600);
        let mut ends = vec![0];
        for step in 0u32.. {
            if meter.remaining() == 0 {
                break;
            }
            let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
            bowl.tilt = vec![3.0 * sign, -30.0 * sign];
            contest
                .step(&mut Oracle::new(&mut bowl, &mut meter))
                .unwrap();
            if contest.ended != ends[ends.len() - 1] {
                ends.push(contest.ended);
            }
        }
        assert!(contest.switches.is_empty());
        ends
    }

    #[test]
    fn the_wait_for_an_early_contest_grows_with_each_that_l_bfgs_wins() {
        let settings = |early| FuseContestConfig {
            early,
            begin: Phase::SecondOrder,
            first: 10_000,
            earliest: 10,
            growth: 4.0,
            adam: AdamConfig {
                learning_rate: 1e3,
                ..AdamConfig::default()
            },
            lbfgs: LbfgsConfig {
                max_iter: 2,
                max_eval: Some(3),
                ..LbfgsConfig::default()
            },
            ..FuseContestConfig::default()
        };
        assert_eq!(ends(settings(Early::Never)).len(), 1);
        let (first, every) = (ends(settings(Early::First)), ends(settings(Early::Every)));
        assert_eq!(first[1], every[1]);
        // The second one in time, and one that comes early.
        assert!(first[2] >= 4 * first[1], "{first:?}");
        assert!(every[2] - every[1] >= 40, "{every:?}");
        assert!(every[2] < first[2], "{every:?}");
    }

    #[test]
    fn moments_follow_the_gradients_of_l_bfgs_while_it_acts() {
        let mut bowl = Bowl::new(&[1.0, 100.0]);
        let [mut followed, mut kept] = [true, false].map(|follow| {
            let settings = FuseContestConfig {
                begin: Phase::SecondOrder,
                follow,
                ..FuseContestConfig::default()
            };
            settings.build(&bowl.parameters.clone()).unwrap()
        });
        let mut meter = Meter::new();
        let step = kept.step(&mut Oracle::new(&mut bowl, &mut meter)).unwrap();
        assert!(step.gradient_norm > 0.0);
        assert_eq!(kept.adam.first_moment_norm().unwrap(), 0.0);
        bowl.parameters.vars()[0]
            .set(&Tensor::new(&[1f64, 1.0], &Device::Cpu).unwrap())
            .unwrap();
        followed
            .step(&mut Oracle::new(&mut bowl, &mut meter))
            .unwrap();
        let seen = followed.lbfgs.last_gradient().unwrap().unwrap();
        let moment = followed.adam.first_moment_norm().unwrap();
        // One gradient, of weight 1 − β1.
        assert!((moment / seen.norm().unwrap() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn l_bfgs_does_not_challenge_under_noise() {
        let contests = |tilt: f64| {
            let mut bowl = Bowl::new(&[1.0, 2.0]);
            let mut settings = config();
            settings.adam.learning_rate = 0.01;
            let mut contest = settings.build(&bowl.parameters.clone()).unwrap();
            let mut meter = Meter::with_budget(80);
            for step in 0u32.. {
                if meter.remaining() == 0 {
                    break;
                }
                let sign = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
                bowl.tilt = vec![tilt * sign, -tilt * sign];
                contest
                    .step(&mut Oracle::new(&mut bowl, &mut meter))
                    .unwrap();
            }
            contest.records.len()
        };
        // The gradient is (1, 2) at the start: noise of ten times its length hides it.
        assert!(contests(0.0) > 0);
        assert_eq!(contests(20.0), 0);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let bowl = Bowl::new(&[1.0]);
        for (settings, says) in [
            (
                FuseContestConfig {
                    share: 1.0,
                    ..config()
                },
                "share = 1",
            ),
            (
                FuseContestConfig {
                    confirmed: 1.5,
                    ..config()
                },
                "confirmed = 1.5",
            ),
            (
                FuseContestConfig {
                    shortest: 0,
                    ..config()
                },
                "shortest = 0",
            ),
            (
                FuseContestConfig {
                    growth: 1.0,
                    ..config()
                },
                "growth = 1",
            ),
            (
                FuseContestConfig {
                    challenge: Challenge::NoiseBelow(0.0),
                    ..config()
                },
                "challenge.noise-below = 0",
            ),
            (
                FuseContestConfig {
                    lbfgs: LbfgsConfig {
                        sample_test: Some(0.9),
                        ..LbfgsConfig::default()
                    },
                    ..config()
                },
                "lbfgs.sample_test = 0.9",
            ),
        ] {
            let error = settings.build(&bowl.parameters).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
