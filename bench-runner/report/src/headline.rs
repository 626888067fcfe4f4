//! What a report answers first: who is ahead, by how much, whether that is sure, and at what cost.

use bench_analysis::leaderboard::leaderboard;
use bench_analysis::list_ends::{ListEnds, list_ends};
use bench_analysis::overall::{Against, Lead, reference};
use bench_analysis::pairs::{Standing, Tally};
use bench_analysis::summary::{Overview, Row, overview};
use bench_analysis::switching::{Switching, switching};
use bench_experiment::store::Results;
use bench_stats::Estimate;

use crate::figure::{self, Chart};
use crate::number;

/// Problems from which an exact interval of a median at 95 % can be had; from fewer nothing is claimed.
const ENOUGH: usize = 6;

/// What the first screen, the summaries and the figure of a set of results are made from.
pub(crate) struct Headline<'a> {
    results: &'a Results,
    /// The optimizer that others are compared with.
    pub(crate) reference: Option<&'a str>,
    /// All optimizers, in the experiment's order.
    pub(crate) overview: Vec<Overview>,
    /// The optimizers that can switch.
    pub(crate) switching: Vec<Switching>,
    /// The methods whose lists of trials are short.
    short: Vec<ListEnds>,
    /// The numbers in `overview` of the places of the leaderboard, whose choice of trials reads all runs.
    places: Vec<usize>,
}

impl<'a> Headline<'a> {
    pub(crate) fn new(results: &'a Results, rows: &[Row]) -> Self {
        let reference = reference(results);
        let overview = overview(results, rows);
        let number = |place: &Overview| {
            overview
                .iter()
                .position(|own| own.optimizer == place.optimizer)
        };
        let places = leaderboard(results, &overview)
            .into_iter()
            .filter_map(number)
            .collect();
        Self {
            results,
            reference,
            switching: switching(results, reference),
            short: list_ends(results)
                .into_iter()
                .filter(ListEnds::is_short)
                .collect(),
            places,
            overview,
        }
    }

    /// One optimizer for each method, the one that needs the fewest evaluations first.
    pub(crate) fn places(&self) -> Vec<&Overview> {
        self.places
            .iter()
            .map(|&number| &self.overview[number])
            .collect()
    }

    /// Whether there are several problems over which optimizers are compared.
    pub(crate) fn is_comparison(&self) -> bool {
        self.results.problems.len() > 1
    }

    /// The figure of the leaderboard.
    pub(crate) fn forest(&self) -> Option<Chart> {
        figure::forest(self.results, self.reference?, &self.places())
    }

    /// What was run.
    pub(crate) fn title(&self) -> String {
        let mut seeds: Vec<u64> = self.results.records.iter().map(|r| r.cell.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        format!(
            "{}: {} on {}, {}",
            self.results.suite,
            counted(self.results.optimizers.len(), "optimizer"),
            counted(self.results.problems.len(), "problem"),
            counted(seeds.len(), "seed")
        )
    }

    /// The answer in plain words: a sentence or two on who is ahead, one on the switch, and one on lists of trials that
    /// are short. Nothing is claimed where the problems are too few, or the interval leaves it open.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let places = self.places();
        let mut sentences = match self.reference {
            None => vec![without_reference(&places)],
            Some(adam) => against(adam, &places),
        };
        let placed = places.iter().filter_map(|own| {
            let mut all = self.switching.iter();
            all.find(|switching| switching.optimizer == own.optimizer)
        });
        sentences.extend(placed.take(1).map(|first| self.on_switch(first)));
        sentences.extend(self.on_lists());
        sentences
    }

    /// The sentence on lists of trials that are short, if problems are enough to compare methods.
    fn on_lists(&self) -> Option<String> {
        if self.short.is_empty() || self.results.problems.len() < ENOUGH {
            return None;
        }
        let share = |own: &ListEnds| {
            let ends = [(own.lowest, "lowest"), (own.highest, "highest")];
            let ends = ends.into_iter().filter(|(count, _)| *count > 0);
            let ends: Vec<String> = ends
                .map(|(count, end)| format!("{end} on {count}"))
                .collect();
            format!("{} ({} of {})", own.method, ends.join(", "), own.problems)
        };
        let shares: Vec<String> = self.short.iter().map(share).collect();
        Some(format!(
            "The best trial is an end of its list, and more than 10 % cheaper than its neighbour, on a quarter of the \
             problems or more: {}. Better settings may lie beyond.",
            shares.join("; ")
        ))
    }

    /// Whether there are problems enough to claim anything.
    fn is_enough(&self) -> bool {
        let mut compared = self
            .overview
            .iter()
            .filter_map(|own| own.overall.against.as_ref());
        compared.any(|own| own.lead() != Lead::TooFew)
    }

    fn on_switch(&self, own: &Switching) -> String {
        let name = &own.optimizer;
        if own.switched == 0 {
            return format!("{name} switched in none of its {} runs.", own.runs);
        }
        let mut text = format!(
            "{name} switched in {} of {} runs, in the median after {} % of their evaluations",
            own.switched,
            own.runs,
            number::short(100.0 * own.at)
        );
        let effect = own.effect.as_ref().zip(self.reference);
        let effect = effect
            .filter(|(own, _)| self.is_enough() && own.problems.iter().sum::<usize>() >= ENOUGH);
        if let Some((effect, adam)) = effect
            && let Some(ratio) = effect.ratio
        {
            let [lower, equal, higher] = effect.problems;
            let [value, interval] = in_words(ratio);
            text += &format!(
                ". Where it did, it ended at {value} times the loss of {adam} ({interval}; lower on {lower} problems, \
                 equal on {equal}, higher on {higher})"
            );
            if ratio.interval.contains(1.0) {
                text += ": whether the switch helps is not sure";
            }
        }
        text + "."
    }
}

/// The sentences on a set of results without Adam.
fn without_reference(places: &[&Overview]) -> String {
    let best = places
        .first()
        .and_then(|own| Some((own, own.overall.digits?)));
    match best {
        None => {
            "There is no Adam to compare with, and nothing is claimed from one problem.".to_owned()
        }
        Some((own, digits)) => {
            let [value, interval] = in_words(digits);
            format!(
                "There is no Adam to compare with. {} gained the most digits, {value} of 8 ({interval}, over {}); \
                 whether others are worse was not tested.",
                own.optimizer,
                counted(own.problems, "problem")
            )
        }
    }
}

/// The sentences on optimizers next to the reference.
fn against(adam: &str, places: &[&Overview]) -> Vec<String> {
    let rivals: Vec<(&Overview, &Against)> = places
        .iter()
        .filter_map(|own| Some((*own, own.overall.against.as_ref()?)))
        .collect();
    let Some(&(first, closest)) = rivals.first() else {
        return vec![format!("Only {adam} was run: there is nothing to compare.")];
    };
    if rivals.iter().all(|(_, own)| own.lead() == Lead::TooFew) {
        let most = rivals.iter().map(|(_, own)| own.problems).max();
        return vec![format!(
            "Too few problems to say which optimizer is better: {} can be compared with {adam}, and an exact 95 % \
             interval takes {ENOUGH}. The tables show what was measured.",
            counted(most.unwrap_or(0), "problem")
        )];
    }
    let evidence = |own: &Against| {
        let [value, interval] = own.cost.map_or(["–", "–"].map(str::to_owned), in_words);
        let p = own.sign_p_value.map_or_else(String::new, |p| {
            let comparisons = counted(rivals.len(), "comparison");
            format!("; p = {}, corrected for {comparisons}", number::short(p))
        });
        let Tally {
            wins, ties, losses, ..
        } = own.tally;
        format!(
            "{value} times the evaluations ({interval}; median over {}: {wins} won, {ties} tied, {losses} lost{p})",
            counted(own.problems, "problem"),
        )
    };
    let ahead: Vec<&(&Overview, &Against)> = rivals
        .iter()
        .filter(|(_, own)| own.lead() == Lead::Ahead)
        .collect();
    let (subject, text) = match ahead.split_first() {
        Some((&&(winner, own), others)) => {
            let mut text = format!(
                "{} is ahead of {adam}: for the same losses it needed {}. This is sure.",
                winner.optimizer,
                evidence(own)
            );
            let names: Vec<&str> = others
                .iter()
                .map(|(own, _)| own.optimizer.as_str())
                .collect();
            if !names.is_empty() {
                text += &format!(
                    " Also surely ahead: {}; which of them is best was not tested.",
                    listed(&names)
                );
            }
            (winner, text)
        }
        None => (first, open(adam, first, closest, &evidence(closest))),
    };
    vec![text, price(adam, subject, places)]
}

/// The sentence where nobody is surely ahead of the reference.
fn open(adam: &str, first: &Overview, own: &Against, evidence: &str) -> String {
    let name = &first.optimizer;
    let ratio = own.cost.map_or(1.0, |cost| cost.value);
    match (own.lead(), Standing::of(ratio)) {
        (Lead::Behind, _) => {
            format!("{adam} is surely ahead: the next, {name}, needed {evidence}.")
        }
        (Lead::Level, _) => {
            format!("Nobody is ahead of {adam}. {name} is level with it, with {evidence}.")
        }
        (_, Standing::Win) => format!(
            "Not sure: {name} comes first, but its lead over {adam} may be chance. For the same losses it needed \
             {evidence}."
        ),
        (_, Standing::Tie) => format!(
            "Nobody is surely ahead of {adam}. The nearest, {name}, is tied with it: it needed {evidence}."
        ),
        (_, Standing::Loss) => format!(
            "Nobody needed fewer evaluations than {adam}. The next, {name}, needed {evidence}; whether it is worse is \
             not sure."
        ),
    }
}

/// What the first one costs beside evaluations.
fn price(adam: &str, subject: &Overview, places: &[&Overview]) -> String {
    let name = &subject.optimizer;
    let seconds = subject.overall.against.as_ref().map(|own| own.seconds);
    let time = match seconds.filter(|ratio| ratio.is_finite()) {
        None => String::new(),
        Some(ratio) if Standing::of(ratio) == Standing::Tie => {
            format!("An evaluation takes {name} as long as {adam}; ")
        }
        Some(ratio) => {
            let ratio = number::short(ratio);
            format!("An evaluation takes {name} {ratio} times as long as {adam}; ")
        }
    };
    let others = places.iter().find(|own| own.optimizer == adam);
    let lost = match others.map_or([0, 0], |own| [own.lost, own.runs]) {
        [0, _] if subject.lost == 0 => "no run of either diverged or failed".to_owned(),
        [lost, runs] => format!(
            "{} of its {} runs diverged or failed, and {lost} of {runs} of {adam}",
            subject.lost, subject.runs
        ),
    };
    let text = format!("{time}{lost}.");
    let mut signs = text.chars();
    signs.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(signs).collect()
    })
}

/// A value, and its interval.
fn in_words(estimate: Estimate) -> [String; 2] {
    let [low, high] = [estimate.interval.low, estimate.interval.high].map(number::short);
    let interval = format!("95 % interval {low} to {high}");
    [number::short(estimate.value), interval]
}

/// A number of things.
fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", number::whole(count as f64))
}

/// Names with commas and an “and”, the first three of many.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, second] => format!("{first} and {second}"),
        [first, second, third] => format!("{first}, {second} and {third}"),
        [first, second, third, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
    }
}
