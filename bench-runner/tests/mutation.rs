//! Mutated files of every format that experiments, sweeps and reports are read from: each is read, or refused by
//! an error; none ends in a panic. The cases follow from a fixed seed. Formats of data are in the data crate.

use std::path::Path;

use bench_analysis::claims::Claims;
use bench_experiment::run::RunRecord;
use bench_experiment::spec::Experiment;
use bench_experiment::store::{CellStore, Manifest, read, write};
use bench_experiment::sweep::Plan;
use bench_report::catalogue::FigureCatalogue;
use candle_core::{DType, Device};
use models::ModelSpec;

use crate::mutate::mutate;
use crate::program;
use crate::synthetic;

const EXPERIMENT: &str = r#"
name = "strange"
seeds = [1, 2]
caveats = ["a \"note\""]

[executor]
kind = "plan"
shards = 2

[[problem]]
label = "booth"
kind = "function"
function = "booth"
noise = 1e-3
budget = 40
points = 4
target = 0.5

[[problem]]
label = "mlp"
kind = "classification"
data = "digits"
model = { kind = "mlp", inputs = 64, hidden = [8], classes = 10 }
batch_size = 64
order = { overlap = 0.25 }
augmentation = { flip = true }
budget = 8
points = 2

[[problem]]
label = "gpt"
kind = "language"
data = "moby-dick"
tokenizer = { kind = "bpe", size = 300 }
model = { kind = "gpt", preset = "nano", vocabulary = 300 }
batch_size = 2
context = 8
budget = 20
points = 2

[[optimizer]]
kind = "adam"
grid = { learning_rate = [0.1, 1e-2], beta1 = [0.8, 0.9] }

[[optimizer]]
kind = "fuse-pv"
criterion = { any-of = [{ step = 9 }, { grad-norm = { threshold = 1e-9 } }] }
lbfgs = { max_iter = 4, line_search = "armijo" }
"#;

/// Writes each mutation to a file and reads that.
fn mutate_file<E: std::fmt::Display + std::fmt::Debug>(
    cases: u32,
    path: &Path,
    read: impl Fn(&Path) -> Result<(), E>,
) {
    let whole = std::fs::read(path).unwrap();
    mutate(cases, &whole, |bytes| {
        std::fs::write(path, bytes).unwrap();
        read(path)
    });
}

#[test]
fn experiments() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strange.toml");
    std::fs::write(&path, EXPERIMENT).unwrap();
    mutate_file(2000, &path, |path| Experiment::read(path).map(drop));
}

#[test]
fn claims_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, figures) = (folder.path().join("claims"), folder.path().join("figures"));
    std::fs::write(&claims, include_str!("../../reports/claims.toml")).unwrap();
    mutate_file(300, &claims, |path| Claims::read(path).map(drop));
    std::fs::write(&figures, include_str!("../../reports/figures.toml")).unwrap();
    mutate_file(300, &figures, |path| FigureCatalogue::read(path).map(drop));
}

#[test]
fn results_and_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.parquet");
    write(&results, &synthetic::results(1)).unwrap();
    mutate_file(300, &results, |path| read(path).map(drop));
    let manifest = folder.path().join("manifest.json");
    synthetic::manifest(2).write(&manifest).unwrap();
    mutate_file(500, &manifest, |path| Manifest::read(path).map(drop));
}

#[test]
fn plans() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("strange.toml"), EXPERIMENT).unwrap();
    let arguments = ["ablation", "strange.toml", "--out", "out"];
    let output = program::bench_runner(folder.path(), &arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = folder.path().join("out/plan.json");
    mutate_file(500, &path, |path| Plan::read(path).map(drop));
}

#[test]
fn stored_runs() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = "name = \"one\"\nseeds = 1\n[[problem]]\nlabel = \"booth\"\nkind = \"function\"\n\
                      function = \"booth\"\nbudget = 20\npoints = 2\n[[optimizer]]\nkind = \"adam\"\n";
    std::fs::write(folder.path().join("one.toml"), experiment).unwrap();
    let arguments = [
        "ablation", "one.toml", "--out", "out", "--store", "store", "--quiet",
    ];
    let output = program::bench_runner(folder.path(), &arguments).output();
    assert!(output.unwrap().status.success());
    let store = CellStore::new(folder.path().join("store"));
    let (runs, damaged) = store.runs().unwrap();
    assert_eq!((runs.len(), damaged.len()), (1, 0));
    let (address, stored) = runs.first_key_value().unwrap();
    let path = store.folder().join(&address[..2]);
    let path = path.join(format!("{address}.cbor"));
    mutate_file(1000, &path, |_| -> Result<(), String> {
        // It is the run that was kept, or it is missing.
        let found: Option<RunRecord> = store.at(address);
        match found.is_none_or(|found| found == stored.record) {
            true => Ok(()),
            false => Err("panicked: another run than was kept".into()),
        }
    });
}

#[test]
fn weights() {
    let folder = tempfile::tempdir().unwrap();
    let spec: ModelSpec = toml::from_str("kind = \"gpt\"\npreset = \"nano\"").unwrap();
    let model = spec.build(0, DType::F32, &Device::Cpu).unwrap();
    let path = folder.path().join("weights.safetensors");
    model.tensors().save_safetensors(&path).unwrap();
    mutate_file(300, &path, |path| model.tensors().load_safetensors(path));
    // Most of the file is numbers, of which all are good: what comes first says where they are.
    let whole = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    mutate(500, &whole[..header], |bytes| {
        let file = [bytes, &whole[header..]].concat();
        std::fs::write(&path, file).unwrap();
        model.tensors().load_safetensors(&path)
    });
}
