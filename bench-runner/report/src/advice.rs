//! The decision table as a picture, as tables and as an answer to what someone knows of a problem.

use std::path::PathBuf;

use bench_analysis::decision::{Accuracy, Batch, Decision, DecisionTable, Judged, Situation};
use bench_experiment::probe::Geometry;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::figure::{Chart, Format, Heat, HeatCell, Panel};
use crate::number::short;
use crate::table::Table;

/// A decision table, what it was fitted on, and how it did elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// The suite whose problems it was fitted on.
    pub fitted_on: String,
    /// The suite whose problems it was judged on.
    pub judged_on: String,
    /// The table.
    pub table: DecisionTable,
    /// How it did there, and what always taking one method would have done.
    pub judged: Vec<Judged>,
}

/// What someone knows of a problem; what is left out is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Known {
    /// Which part of the samples a step sees.
    pub batch: Option<Batch>,
    /// Whether one point fits all samples.
    pub interpolating: Option<bool>,
    /// Whether the condition number is above 100.
    pub ill_conditioned: Option<bool>,
    /// How far the loss is to come down.
    pub accuracy: Option<Accuracy>,
}

/// What was measured of a problem, a line for each fact.
pub fn geometry(found: &Geometry) -> String {
    let mut lines = Vec::new();
    match found.noise {
        None => {
            lines.push("Every step sees the same objective: gradients have no noise.".to_owned())
        }
        Some(noise) => {
            lines.push(format!(
                "A step sees 1/{} of the samples.",
                found.steps_per_epoch
            ));
            lines.push(match noise.of_gradients {
                noise if noise.is_infinite() => {
                    "The noise of 16 batches hides the mean gradient.".to_owned()
                }
                noise => {
                    let samples = found.batch.map_or(String::new(), |batch| {
                        format!(", {} samples", short(noise * batch as f64))
                    });
                    format!(
                        "The gradient of a mean over {} batches{samples}, is as large as its noise (noise scale).",
                        short(noise)
                    )
                }
            });
            lines.push(format!(
                "Two batches tell changes of the gradient along a step whose cosine is {}{}.",
                short(noise.agreement),
                match noise.agreement {
                    cosine if cosine < 0.5 =>
                        ": pairs for L-BFGS from one batch mislead on the others",
                    _ => "",
                }
            ));
        }
    }
    lines.push(format!(
        "The condition number is at least {}.",
        short(found.condition)
    ));
    if found.lowest < 0.0 {
        lines.push(format!(
            "The loss is not convex here: its lowest curvature is {} × the highest. The table below is of convex sums.",
            short(found.lowest)
        ));
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

impl Known {
    fn fits(&self, situation: &Situation) -> bool {
        self.batch.is_none_or(|known| known == situation.batch)
            && self
                .interpolating
                .is_none_or(|known| known == situation.interpolating)
            && self
                .ill_conditioned
                .is_none_or(|known| known == situation.ill_conditioned)
            && self
                .accuracy
                .is_none_or(|known| known == situation.accuracy)
    }
}

impl Advice {
    /// Reads what [`files`](Self::files) wrote as `advice.json`.
    ///
    /// # Errors
    /// When the text is of another layout.
    pub fn read(json: &str) -> Result<Self> {
        Ok(serde_json::from_str(json)?)
    }

    /// The files that keep it: `advice.json`, from which it can be read again, the tables `decisions.md` and `judged.md`,
    /// and the picture as `decisions.svg`.
    ///
    /// # Errors
    /// When the picture cannot be drawn.
    pub fn files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        let tables = [
            ("decisions.md", self.decisions().markdown()),
            ("judged.md", self.judgement().markdown()),
        ];
        let mut files = vec![("advice.json".into(), json.into_bytes())];
        files.extend(tables.map(|(name, text)| (name.into(), text.into_bytes())));
        files.push(("decisions.svg".into(), self.chart().render(Format::Svg)?));
        Ok(files)
    }

    /// What to take where this is known: the methods by what they cost, what the answer still depends on, and how far the
    /// table can be trusted.
    pub fn answer(&self, known: &Known) -> String {
        let fitting: Vec<&Decision> = self
            .table
            .decisions
            .iter()
            .filter(|decision| known.fits(&decision.situation))
            .collect();
        if fitting.is_empty() {
            return "Nothing is known of such problems.\n".to_owned();
        }
        let weight = |decision: &Decision| decision.problems as f64;
        let total: f64 = fitting.iter().copied().map(weight).sum();
        let mut factors: Vec<(f64, &str)> = self
            .table
            .methods
            .iter()
            .enumerate()
            .map(|(index, method)| {
                let logs = fitting
                    .iter()
                    .map(|decision| weight(decision) * decision.factors[index].ln());
                ((logs.sum::<f64>() / total).exp(), method.as_str())
            })
            .collect();
        factors.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut text = format!(
            "Take {}: over {} situation{} it costs {} × the cheapest method.\n",
            factors[0].1,
            fitting.len(),
            if fitting.len() == 1 { "" } else { "s" },
            short(factors[0].0)
        );
        for (factor, method) in &factors[1..] {
            text += &format!("  {method:<18} {} ×\n", short(*factor));
        }
        let elsewhere: String = fitting
            .iter()
            .filter_map(|decision| Some((decision, self.choice(decision)?)))
            .filter(|(_, choice)| *choice != factors[0].1)
            .map(|(decision, choice)| format!("  {}: {choice}\n", words(&decision.situation)))
            .collect();
        if !elsewhere.is_empty() {
            text += "\nIt depends on what you did not say. Another method is cheaper here:\n";
            text += &elsewhere;
        }
        text += &format!("\n{}\n", self.trust());
        text
    }

    /// How far the table can be trusted, in words.
    fn trust(&self) -> String {
        let says = |judged: &Judged| {
            format!(
                "within 10 % of the cheapest method in {} of the cases, at {} × its cost",
                share(judged.right),
                ranged(judged.factor)
            )
        };
        let mut text = format!("The table was fitted on the suite `{}`.", self.fitted_on);
        for judged in &self.judged {
            if judged.policy == "table" {
                text += &format!(
                    " On {} problems of `{}`, on which nothing was fitted, it is {};",
                    judged.problems,
                    self.judged_on,
                    says(judged)
                );
            }
        }
        let constant = self.judged.iter().filter(|judged| judged.policy != "table");
        if let Some(best) = constant.min_by(|a, b| a.factor[0].total_cmp(&b.factor[0])) {
            text += &format!(" always taking {} is {}.", best.policy, says(best));
        }
        text + " All are convex sums over drawn samples, and every method had its best rate of three: networks and \
                physics-informed networks may differ (reports/findings.md, docs/pinn.md)."
    }

    fn choice(&self, decision: &Decision) -> Option<&str> {
        Some(&self.table.methods[decision.choice()?])
    }

    fn decisions(&self) -> Table {
        let mut headers = ["situation", "problems", "take"]
            .map(str::to_owned)
            .to_vec();
        headers.extend(self.table.methods.iter().cloned());
        let rows = self.table.decisions.iter().map(|decision| {
            let choice = self.choice(decision).unwrap_or("–");
            let mut row = vec![
                words(&decision.situation),
                decision.problems.to_string(),
                choice.to_owned(),
            ];
            row.extend(decision.factors.iter().map(|factor| short(*factor)));
            row
        });
        Table {
            headers,
            rows: rows.collect(),
        }
    }

    fn judgement(&self) -> Table {
        let rows = self.judged.iter().map(|judged| {
            let policy = match judged.policy.as_str() {
                "table" => "the table".to_owned(),
                method => format!("always {method}"),
            };
            vec![
                policy,
                judged.problems.to_string(),
                share(judged.right),
                ranged(judged.factor),
            ]
        });
        Table {
            headers: [
                "choice",
                "problems",
                "within 10 % of the cheapest",
                "cost / cheapest",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows: rows.collect(),
        }
    }

    /// The picture: what to take by batch and accuracy, a panel for each kind of problem; the darker, the dearer Adam
    /// would be.
    fn chart(&self) -> Chart {
        let adam = self
            .table
            .methods
            .iter()
            .position(|method| method == "adam");
        let gain = |decision: &Decision| {
            let own = decision.factors[decision.choice()?];
            Some((decision.factors[adam?] / own).log10())
        };
        let largest = self
            .table
            .decisions
            .iter()
            .filter_map(gain)
            .fold(0.0, f64::max);
        let cell = |situation: Situation| {
            let decision = self.table.decision(situation);
            HeatCell {
                value: decision.and_then(gain),
                text: decision
                    .and_then(|d| self.choice(d))
                    .unwrap_or("–")
                    .to_owned(),
            }
        };
        let kinds = [(false, false), (false, true), (true, false), (true, true)];
        let panels = kinds.map(|(interpolating, ill_conditioned)| {
            Panel::Heat(Heat {
                title: kind(interpolating, ill_conditioned),
                x_label: "share of the samples in a batch".to_owned(),
                y_label: "accuracy".to_owned(),
                columns: Batch::ALL.map(|batch| batch.to_string()).to_vec(),
                rows: Accuracy::ALL.map(|accuracy| accuracy.to_string()).to_vec(),
                cells: Accuracy::ALL
                    .map(|accuracy| {
                        let row = Batch::ALL.map(|batch| {
                            cell(Situation {
                                batch,
                                interpolating,
                                ill_conditioned,
                                accuracy,
                            })
                        });
                        row.to_vec()
                    })
                    .to_vec(),
                value_label: "log₁₀(Adam's cost / its)".to_owned(),
                bounds: [0.0, largest.max(0.1)],
            })
        });
        Chart {
            name: "decisions".to_owned(),
            title: "Which method to take on a convex sum".to_owned(),
            caption: format!(
                "The method of least cost in evaluations, fitted on the problems of `{}`; the darker, the dearer Adam with a \
                 constant rate would be. Accuracy is the digits by which the loss comes down from the start towards the lowest \
                 loss; an ill-conditioned problem has a condition number above 100. {}",
                self.fitted_on,
                self.trust()
            ),
            alt: format!(
                "Tables of the method to take by batch and accuracy, for {} kinds of problem.",
                kinds.len()
            ),
            panels: panels.to_vec(),
            size: None,
        }
    }
}

fn kind(interpolating: bool, ill_conditioned: bool) -> String {
    let noise = if interpolating {
        "all samples fit"
    } else {
        "noise remains"
    };
    let shape = if ill_conditioned {
        "ill-conditioned"
    } else {
        "well-conditioned"
    };
    format!("{shape}, {noise}")
}

fn words(situation: &Situation) -> String {
    format!(
        "batch {}; {}; {}",
        situation.batch,
        kind(situation.interpolating, situation.ill_conditioned),
        situation.accuracy
    )
}

fn share([value, low, high]: [f64; 3]) -> String {
    let percent = |share: f64| format!("{:.0}", 100.0 * share);
    format!("{} % [{}, {}]", percent(value), percent(low), percent(high))
}

fn ranged([value, low, high]: [f64; 3]) -> String {
    format!("{} [{}, {}]", short(value), short(low), short(high))
}
