//! The page's words on methods: what the authors' code does, and the answers that a checklist for papers
//! asks for.

use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::problem::ClassificationConfig;
use bench_experiment::spec::IMPORTED;
use bench_experiment::store::Results;
use optim::{EvaluationLimit, FusePvConfig, LbfgsConfig, PairSource, Policy};
use serde::Serialize;

use crate::contents::{READING, Report};
use crate::discrepancy::{DISCREPANCIES, Discrepancy};
use crate::{number, summary};

/// A discrepancy, and where it is on in these results.
#[derive(Serialize)]
pub(super) struct Listed {
    #[serde(flatten)]
    discrepancy: Discrepancy,
    here: String,
}

pub(super) fn discrepancies(results: &Results) -> Vec<Listed> {
    DISCREPANCIES
        .iter()
        .map(|&discrepancy| Listed {
            discrepancy,
            here: here(results, discrepancy.id),
        })
        .collect()
}

/// Which problems or optimizers have a discrepancy, by their settings.
fn here(results: &Results, id: &str) -> String {
    let problems: Vec<&str> = results
        .problems
        .iter()
        .filter(|problem| {
            let config = problem.config.downcast::<ClassificationConfig>();
            let mut faults = config.into_iter().flat_map(|config| &config.faults);
            faults.any(|fault| fault.to_string() == id)
        })
        .map(|problem| problem.label.as_str())
        .collect();
    let has = |config: &OptimizerConfig| {
        let fuse_pv = config.downcast::<FusePvConfig>();
        let lbfgs = fuse_pv
            .map(|config| &config.lbfgs)
            .or(config.downcast::<LbfgsConfig>());
        match (id, fuse_pv) {
            ("S1" | "S2", Some(config)) => {
                matches!(config.criterion, optim::Criterion::LossLevel { .. })
                    && matches!(config.policy, Policy::Reversible { .. })
            }
            ("S10", _) => lbfgs.is_some_and(|lbfgs| lbfgs.pairs == PairSource::Carried),
            ("S16", _) => {
                lbfgs.is_some_and(|lbfgs| lbfgs.evaluation_limit == EvaluationLimit::Torch25)
            }
            _ => false,
        }
    };
    let optimizers: Vec<&str> = results
        .optimizers
        .iter()
        .filter(|optimizer| {
            optimizer
                .variants
                .iter()
                .any(|variant| has(&variant.config))
        })
        .map(|optimizer| optimizer.label.as_str())
        .collect();
    match id {
        "S13" if results.tuning.is_some() => {
            "off: settings were chosen with seeds of their own, and not on test data".into()
        }
        "S9" | "S12" | "S13" => "always".into(),
        "S11" => "epochs are one of three axes".into(),
        "S14" | "S15" => "does not arise".into(),
        _ if problems.is_empty() && optimizers.is_empty() => "off".into(),
        _ => {
            let names: Vec<&str> = problems.into_iter().chain(optimizers).collect();
            match names.len() {
                1..=4 => format!("on in {}", names.join(", ")),
                count => format!("on in {}, … ({count} in all)", names[..4].join(", ")),
            }
        }
    }
}

/// An item of the checklist, answered from the results and their manifest.
#[derive(Serialize)]
pub(super) struct Answer {
    item: &'static str,
    answer: String,
}

/// The items of the NeurIPS paper checklist that a set of results can answer.
pub(super) fn checklist(report: &Report<'_>) -> Vec<Answer> {
    let Report {
        results, manifest, ..
    } = report;
    let seeds: Vec<String> = manifest.seeds.iter().map(u64::to_string).collect();
    let versions: Vec<String> = manifest
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let here = results
        .records
        .iter()
        .filter(|run| !results.is_imported(run));
    let (runs, training) = here.fold((0_u32, 0.0), |(runs, seconds), run| {
        (runs + 1, seconds + run.seconds)
    });
    let imported = match results.records.len() - runs as usize {
        0 => String::new(),
        count => format!(
            " Beside them are {} runs of other programs, named `{IMPORTED}…`, of which nothing on this list is known.",
            number::whole(count as f64)
        ),
    };
    let revision = match manifest.git_revision.as_str() {
        "" => String::new(),
        revision => format!(", revision {revision}"),
    };
    let caveats = if results.caveats.is_empty() {
        "None are stated by the experiment file.".to_owned()
    } else {
        results.caveats.join(" ")
    };
    let answers = [
        (
            "Claims",
            match report.findings.len() {
                0 => "No claim is judged here.".to_owned(),
                count => format!("{count} claims are judged under Summary, with the evidence."),
            },
        ),
        ("Limitations", caveats),
        (
            "Theory",
            "Nothing is proved here. The paper's theorem was not available; what can be measured is.".into(),
        ),
        (
            "Reproducibility",
            format!(
                "Command: {}. bench-runner {}{revision}; {}; Cargo.lock {}. On the same machine all \
                 numbers but the times come out the same, whatever the number of threads and jobs.",
                manifest.command.join(" "),
                manifest.version,
                versions.join("; "),
                manifest.lock_file_sha256
            ),
        ),
        (
            "Data and code",
            if manifest.data_sha256.is_empty() {
                "No data. The code is the repository of this program.".into()
            } else {
                "Datasets by hash below; `bench-runner data list` names their sources and licences. The code \
                 is the repository of this program."
                    .into()
            },
        ),
        (
            "Experimental setting",
            format!(
                "{} runs: {} problems, {} optimizers, {} seeds ({}). All parameters, search space and \
                 selection are in the experiment file below. All optimizers of a problem start from the \
                 same point and see the same batches for a seed, unless a discrepancy says otherwise.{imported}",
                number::whole(f64::from(runs)),
                results.problems.len(),
                results.optimizers.iter().filter(|own| !own.is_imported()).count(),
                seeds.len(),
                seeds.join(", ")
            ),
        ),
        (
            "Choice of settings",
            match &results.tuning {
                None => "None was chosen by the program: the experiment file fixes them, or shows all trials."
                    .into(),
                Some(tuning) => format!("{} What was tried and chosen is below.", summary::effort(tuning)),
            },
        ),
        (
            "Error bars",
            format!("{READING} In figures, bands reach from the lower to the upper quartile over seeds."),
        ),
        (
            "Compute",
            format!(
                "{}; {} GiB memory; {}; device {}. {} s in all, {} s of training, with {} runs at a time on \
                 {} threads; started {}. The clock of a run stops while it is evaluated.",
                manifest.cpu,
                number::short(manifest.memory_gib),
                manifest.system,
                manifest.device,
                number::short(manifest.wall_seconds),
                number::short(training),
                manifest.jobs,
                manifest.threads,
                manifest.started
            ),
        ),
    ];
    answers
        .into_iter()
        .map(|(item, answer)| Answer { item, answer })
        .collect()
}
