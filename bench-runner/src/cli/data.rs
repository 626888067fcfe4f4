//! `bench-runner data`: what the catalogue knows, what the cache has, and a look at it.

use std::io::Write;
use std::path::PathBuf;

use bench_data::{Entry, Kind, Layout, Library, Location, State};
use bench_report::contact_sheet;
use clap::Subcommand;

use super::complete;
use super::terminal::print;
use crate::error::{Error, Result};

/// Datasets: list, fetch, verify and look at them.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DataCommand {
    /// List all datasets and whether they are here
    List,
    /// Show everything known of a dataset
    #[command(after_help = "Example:\n  bench-runner data info cifar10")]
    Info {
        /// The dataset's name
        #[arg(add = complete::datasets())]
        name: String,
    },
    /// Download datasets; what is here already is not fetched again
    #[command(
        after_help = "Examples:\n  bench-runner data fetch mnist fashion-mnist\n  HF_TOKEN=hf_… bench-runner data fetch imagenet-1k\n  HF_ENDPOINT=http://127.0.0.1:8000 bench-runner data fetch cifar10"
    )]
    Fetch {
        /// The datasets' names
        #[arg(required = true, add = complete::datasets())]
        names: Vec<String>,
    },
    /// Compare files with their pinned or recorded SHA-256, byte by byte
    #[command(
        after_help = "Example:\n  bench-runner data verify mnist\n\nExits with an error when a file is damaged or, for a dataset that is named, missing."
    )]
    Verify {
        /// The datasets' names; without any, all that are here
        #[arg(add = complete::datasets())]
        names: Vec<String>,
    },
    /// Print where a dataset's files are, one path a line
    Path {
        /// The dataset's name
        #[arg(add = complete::datasets())]
        name: String,
    },
    /// Write a contact sheet of images with class balance, or print the beginning of a text
    #[command(after_help = "Example:\n  bench-runner data preview digits --output digits.png")]
    Preview {
        /// The dataset's name
        #[arg(add = complete::datasets())]
        name: String,
        /// The PNG to write [default: NAME.png]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Images per class, or lines of text
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
        samples: u16,
    },
}

/// Runs one command and writes what it says to `out`.
///
/// # Errors
/// When a dataset is unknown, cannot be had or is damaged, or `out` cannot be written.
pub fn run(command: &DataCommand, library: &Library, out: &mut impl Write) -> Result<()> {
    let text = match command {
        DataCommand::List => list(library),
        DataCommand::Info { name } => info(library, library.catalogue().get(name)?)?,
        DataCommand::Fetch { names } => {
            for name in names {
                library.catalogue().get(name)?;
            }
            for name in names {
                library.fetch(name)?;
                print(out, &format!("{name}: ready\n"))?;
            }
            return Ok(());
        }
        DataCommand::Verify { names } => return verify(library, names, out),
        DataCommand::Path { name } => paths(library, library.catalogue().get(name)?)?,
        DataCommand::Preview {
            name,
            output,
            samples,
        } => preview(library, name, output.clone(), usize::from(*samples))?,
    };
    print(out, &text)
}

fn list(library: &Library) -> String {
    let catalogue = library.catalogue();
    let width = catalogue
        .iter()
        .map(|entry| entry.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for entry in catalogue.iter() {
        let state = match (&entry.location, library.is_here(&entry.name)) {
            (Location::Embedded, _) => "embedded",
            (_, true) => "here",
            (_, false) => "not here",
        };
        let (name, kind) = (&entry.name, entry.kind().to_string());
        text += &format!("{name:width$}  {kind:11}  {state:8}  {}\n", entry.title);
    }
    text
}

fn info(library: &Library, entry: &Entry) -> Result<String> {
    let mut text = format!("{}: {}\n", entry.name, entry.title);
    let mut line = |key: &str, value: String| text += &format!("  {key:13} {value}\n");
    line("holds", entry.kind().to_string());
    line(
        "from",
        match &entry.location {
            Location::Embedded => "the binary".into(),
            Location::Hub {
                repository,
                revision,
            }
            | Location::Model {
                repository,
                revision,
            } => {
                format!(
                    "{}/datasets/{repository} at {revision}",
                    library.hub().endpoint()
                )
            }
            Location::Url(url) => url.clone(),
            Location::Path(path) => path.display().to_string(),
        },
    );
    if entry.gated {
        line(
            "access",
            "gated: accept the terms on its page, then set HF_TOKEN".into(),
        );
    }
    if let Some([channels, height, width]) = entry.shape {
        line("shape", format!("{channels}×{height}×{width}"));
        let shown: Vec<&str> = entry.classes.iter().take(12).map(String::as_str).collect();
        let more = if entry.classes.len() > shown.len() {
            ", …"
        } else {
            ""
        };
        line(
            "classes",
            format!("{}: {}{more}", entry.classes.len(), shown.join(", ")),
        );
    }
    if let Some(features) = entry.features {
        line("features", features.to_string());
    }
    if let Some(rows) = &entry.rows {
        let parts: Vec<String> = rows
            .iter()
            .map(|(part, rows)| format!("{rows} {part}"))
            .collect();
        line("rows", parts.join(", "));
    }
    if let Some(normalisation) = &entry.normalisation {
        line("mean", format!("{:?}", normalisation.mean));
        line("std", format!("{:?}", normalisation.std));
    }
    line("licence", entry.licence.clone());
    line("cite", entry.citation.clone());
    if let Some(note) = &entry.note {
        line("note", note.clone());
    }
    for (part, file) in entry.every_file().take(20) {
        let bytes = file
            .bytes
            .map_or("size unknown".into(), |bytes| format!("{bytes} bytes"));
        let hash = file.sha256.as_deref().unwrap_or("unpinned");
        line(part, format!("{}, {bytes}, SHA-256 {hash}", file.path));
    }
    if entry.every_file().count() > 20 {
        line(
            "",
            format!("and {} more files", entry.every_file().count() - 20),
        );
    }
    Ok(text)
}

fn verify(library: &Library, names: &[String], out: &mut impl Write) -> Result<()> {
    let catalogue = library.catalogue();
    let entries: Vec<&Entry> = if names.is_empty() {
        catalogue.iter().collect()
    } else {
        names
            .iter()
            .map(|name| catalogue.get(name))
            .collect::<bench_data::Result<_>>()?
    };
    let mut bad = 0;
    for entry in entries {
        if entry.layout == Layout::Embedded || entry.layout == Layout::ImageFolder {
            continue;
        }
        for (_, file) in entry.every_file() {
            let verdict = match library.hub().verify(&entry.location, file)? {
                State::Verified => "right".into(),
                State::Recorded => "no hash was known; recorded now".into(),
                State::Missing if names.is_empty() => continue,
                State::Missing => {
                    bad += 1;
                    "not here".into()
                }
                State::Damaged { problem } => {
                    bad += 1;
                    format!("damaged: {problem}")
                }
            };
            print(out, &format!("{}: {}: {verdict}\n", entry.name, file.path))?;
        }
    }
    if bad == 0 {
        return Ok(());
    }
    Err(Error::DataDamaged {
        cache: library.hub().options().cache.clone(),
        bad,
    })
}

fn paths(library: &Library, entry: &Entry) -> Result<String> {
    let mut text = String::new();
    for (_, file) in entry.every_file() {
        if let Some(path) = library.hub().path(&entry.location, file) {
            text += &format!("{}\n", path.display());
        }
    }
    if text.is_empty() {
        return Err(bench_data::Error::WrongKind {
            name: entry.name.clone(),
            found: "data that is part of the binary".into(),
            expected: "a dataset that has files".into(),
        }
        .into());
    }
    Ok(text)
}

fn preview(
    library: &Library,
    name: &str,
    output: Option<PathBuf>,
    samples: usize,
) -> Result<String> {
    match library.catalogue().get(name)?.kind() {
        Kind::Images => {
            let path = output.unwrap_or_else(|| PathBuf::from(format!("{name}.png")));
            let (set, counts) = library.first_of_each_class(name, samples)?;
            contact_sheet(&set, &counts, samples, &path)?;
            Ok(format!(
                "{name}: {} training images; wrote {}\n",
                counts.iter().sum::<usize>(),
                path.display()
            ))
        }
        Kind::Text => {
            let lines = library.first_lines(name, samples)?;
            Ok(lines.iter().map(|line| format!("{line}\n")).collect())
        }
        Kind::Sparse => {
            let set = library.sparse(name)?.train;
            let positive = set.labels().iter().filter(|&&label| label > 0.0).count();
            let mut text = format!(
                "{} rows, {} features, {positive} labels above 0\n",
                set.len(),
                set.features()
            );
            for row in 0..samples.min(set.len()) {
                let (columns, values) = set.row(row);
                let entries: Vec<String> = columns
                    .iter()
                    .zip(values)
                    .map(|(column, value)| format!("{}:{value}", column + 1))
                    .collect();
                text += &format!("{} {}\n", set.labels()[row], entries.join(" "));
            }
            Ok(text)
        }
    }
}
