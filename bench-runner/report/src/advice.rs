//! The decision table as a picture, as tables and as an answer to what someone knows of a problem.

use std::path::PathBuf;

use bench_analysis::decision::{
    Accuracy, Batch, Decision, DecisionTable, Group, Judged, Kind, Situation,
};
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
    /// The suites whose problems it was fitted on.
    pub fitted_on: Vec<String>,
    /// The table.
    pub table: DecisionTable,
    /// How it did on the problems of other suites, and what always taking one method would have done.
    pub judged: Vec<Judged>,
}

/// What the table cannot tell.
const LIMITS: &str = "The problems are small, and each method had the best of five rates.";

/// What someone knows of a problem; what is left out is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Known {
    /// What is trained: one of [`Kind::NAMES`].
    pub kind: Option<&'static str>,
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
            "The loss is not convex here: its lowest curvature is {} × the highest.",
            short(found.lowest)
        ));
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

impl Known {
    fn fits(&self, situation: &Situation) -> bool {
        let (interpolating, ill_conditioned) = match situation.kind {
            Kind::Sum {
                interpolating,
                ill_conditioned,
            } => (Some(interpolating), Some(ill_conditioned)),
            _ => (None, None),
        };
        self.kind.is_none_or(|known| known == situation.kind.name())
            && self.batch.is_none_or(|known| known == situation.batch)
            && (self.interpolating.is_none() || self.interpolating == interpolating)
            && (self.ill_conditioned.is_none() || self.ill_conditioned == ill_conditioned)
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

    /// Puts these judgements in the place of those on the same kinds of problem.
    pub fn extend(&mut self, judged: Vec<Judged>) {
        let renewed = |group: Group| judged.iter().any(|new| new.group == group);
        self.judged.retain(|old| !renewed(old.group));
        self.judged.extend(judged);
        let place = |judged: &Judged| Group::ALL.iter().position(|group| *group == judged.group);
        self.judged.sort_by_key(place);
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
            return "The table has no such problems. What was measured of others is in reports/findings.md, and of \
                    physics-informed networks in docs/pinn.md.\n"
                .to_owned();
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
            .map(|(decision, choice)| format!("  {}: {choice}\n", described(&decision.situation)))
            .collect();
        if !elsewhere.is_empty() {
            text += "\nIt depends on what you did not say. Another method is cheaper here:\n";
            text += &elsewhere;
        }
        for group in Group::ALL {
            if fitting.iter().any(|d| d.situation.kind.group() == group) {
                text += &format!("\n{}\n", self.trust(group));
            }
        }
        text + "\n" + LIMITS + "\n"
    }

    /// How far the table can be trusted on a group of problems, in words.
    fn trust(&self, group: Group) -> String {
        let judged: Vec<&Judged> = self.judged.iter().filter(|it| it.group == group).collect();
        let says = |judged: &Judged| {
            format!(
                "within 10 % of the cheapest method in {} of the cases, at {} × its cost",
                share(judged.right),
                ranged(judged.factor)
            )
        };
        if judged.is_empty() {
            return format!("What it says of {group} has not been judged on other problems.");
        }
        let (table, constant): (Vec<&Judged>, Vec<&Judged>) =
            judged.into_iter().partition(|it| it.policy == "table");
        let mut text = String::new();
        for table in table {
            text += &format!(
                "On {} {group} of {}, on which nothing was fitted, the table is {};",
                table.problems,
                suites(&table.suites),
                says(table)
            );
        }
        let best = constant
            .into_iter()
            .min_by(|a, b| a.factor[0].total_cmp(&b.factor[0]));
        if let Some(best) = best {
            text += &format!(" always taking {} is {}.", best.policy, says(best));
        }
        text
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
                described(&decision.situation),
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

    /// How the table did on problems on which it was not fitted, beside always taking one method.
    pub fn judgement(&self) -> Table {
        let rows = self.judged.iter().map(|judged| {
            let policy = match judged.policy.as_str() {
                "table" => "the table".to_owned(),
                method => format!("always {method}"),
            };
            vec![
                judged.group.to_string(),
                suites(&judged.suites),
                policy,
                judged.problems.to_string(),
                share(judged.right),
                ranged(judged.factor),
            ]
        });
        Table {
            headers: [
                "kind",
                "suites",
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
    /// would be. Kinds without mini-batches share a panel; panels of which nothing is known are left out.
    fn chart(&self) -> Chart {
        let sums = [(false, false), (false, true), (true, false), (true, true)];
        let mut kinds: Vec<Kind> = sums
            .map(|(interpolating, ill_conditioned)| Kind::Sum {
                interpolating,
                ill_conditioned,
            })
            .to_vec();
        kinds.extend([Kind::LinearClassifier, Kind::Classifier]);
        let mut panels: Vec<Option<Panel>> = kinds
            .into_iter()
            .map(|kind| {
                let columns = Batch::ALL.map(|batch| (batch.to_string(), kind, batch));
                self.panel(&words(kind), "share of the samples in a batch", &columns)
            })
            .collect();
        let whole = [Kind::Regression, Kind::Physics];
        let columns = whole.map(|kind| (words(kind), kind, Batch::Full));
        panels.push(self.panel("all samples in each step", "what is trained", &columns));
        let panels: Vec<Panel> = panels.into_iter().flatten().collect();
        Chart {
            name: "decisions".to_owned(),
            title: "Which method to take".to_owned(),
            caption: format!(
                "The method of least cost in evaluations, fitted on the problems of {}; the darker, the dearer Adam with a \
                 constant rate would be. Accuracy is the digits by which the loss comes down from the start towards the lowest \
                 loss; an ill-conditioned sum has a condition number above 100. Dashes: nothing is known. {} {LIMITS}",
                suites(&self.fitted_on),
                Group::ALL.map(|group| self.trust(group)).join(" ")
            ),
            alt: format!(
                "Tables of the method to take by batch and accuracy, in {} panels by what is trained.",
                panels.len()
            ),
            panels,
            size: None,
        }
    }

    /// A panel whose columns are a kind and a batch each, unless nothing is known of any of them.
    fn panel(
        &self,
        title: &str,
        x_label: &str,
        columns: &[(String, Kind, Batch)],
    ) -> Option<Panel> {
        let mut decisions = self.table.decisions.iter();
        let known = |it: &Decision, (_, kind, batch): &(String, Kind, Batch)| {
            (it.situation.kind, it.situation.batch) == (*kind, *batch)
        };
        if !decisions.any(|it| columns.iter().any(|column| known(it, column))) {
            return None;
        }
        let cell = |kind, batch, accuracy| {
            let situation = Situation {
                kind,
                batch,
                accuracy,
            };
            let decision = self.table.decision(situation);
            HeatCell {
                value: decision.and_then(|decision| self.gain(decision)),
                text: decision
                    .and_then(|decision| self.choice(decision))
                    .unwrap_or("–")
                    .to_owned(),
            }
        };
        let row = |accuracy: Accuracy| {
            let cells = columns.iter();
            cells
                .map(|(_, kind, batch)| cell(*kind, *batch, accuracy))
                .collect()
        };
        let gains = self.table.decisions.iter();
        let largest = gains.filter_map(|it| self.gain(it)).fold(0.1, f64::max);
        Some(Panel::Heat(Heat {
            title: title.to_owned(),
            x_label: x_label.to_owned(),
            y_label: "accuracy".to_owned(),
            columns: columns.iter().map(|(name, ..)| name.clone()).collect(),
            rows: Accuracy::ALL.map(|accuracy| accuracy.to_string()).to_vec(),
            cells: Accuracy::ALL.map(row).to_vec(),
            value_label: "log₁₀(Adam's cost / its)".to_owned(),
            bounds: [0.0, largest],
        }))
    }

    /// log₁₀ of how many times the cost of the choice Adam takes.
    fn gain(&self, decision: &Decision) -> Option<f64> {
        let mut methods = self.table.methods.iter();
        let adam = methods.position(|method| method == "adam")?;
        Some((decision.factors[adam] / decision.factors[decision.choice()?]).log10())
    }
}

/// The names of suites, as text.
fn suites(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// What is trained, in words.
fn words(kind: Kind) -> String {
    match kind {
        Kind::Sum {
            interpolating,
            ill_conditioned,
        } => {
            let shape = if ill_conditioned { "ill" } else { "well" };
            let fit = if interpolating {
                "a point fits all samples"
            } else {
                "no point fits all samples"
            };
            format!("convex sum, {shape}-conditioned, {fit}")
        }
        Kind::LinearClassifier => "linear classifier".to_owned(),
        Kind::Classifier => "network that classifies".to_owned(),
        Kind::Regression => "smooth regression network".to_owned(),
        Kind::Physics => "physics-informed network".to_owned(),
    }
}

fn described(situation: &Situation) -> String {
    format!(
        "{}; batch {}; {}",
        words(situation.kind),
        situation.batch,
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
