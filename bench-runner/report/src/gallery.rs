//! The page of the catalogue's figures and tables, and their files.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use crate::catalogue::{FigureEntry, Piece, PieceContent};
use crate::error::Result;
use crate::figure::{Chart, Format};
use crate::page::{STYLE, render};
use crate::table::Table;

const TEMPLATE: &str = include_str!("../templates/figures.html");

/// An entry of the catalogue with its charts and tables.
#[derive(Debug, Clone)]
pub struct Drawn<'a> {
    /// The entry.
    pub entry: &'a FigureEntry,
    /// Its charts and tables.
    pub pieces: Vec<Piece>,
    /// What limits its meaning.
    pub caveats: Vec<String>,
}

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    entries: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    about: &'a str,
    suites: &'a [String],
    caveats: &'a [String],
    pieces: Vec<ShownPiece>,
}

/// A chart or a table; what it is not, is empty.
#[derive(Serialize)]
struct ShownPiece {
    files: Vec<String>,
    svg: String,
    caption: String,
    table: Option<Table>,
}

/// All files with their names, the page called `page` first: charts in the given formats and size,
/// tables as Markdown, LaTeX and CSV.
///
/// # Errors
/// When a chart cannot be drawn or converted, or is too small for what it holds.
pub fn gallery(
    page: &str,
    pages: &[Drawn<'_>],
    formats: &[Format],
    size: Option<[u32; 2]>,
) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut entries = Vec::new();
    for Drawn {
        entry,
        pieces,
        caveats,
    } in pages
    {
        let drawn: Vec<(ShownPiece, Vec<(String, Vec<u8>)>)> = pieces
            .par_iter()
            .map(|piece| shown(piece, formats, size))
            .collect::<Result<_>>()?;
        let mut shown = Vec::new();
        for (piece, bytes) in drawn {
            files.extend(bytes.into_iter().map(|(name, bytes)| (name.into(), bytes)));
            shown.push(piece);
        }
        entries.push(Shown {
            id: &entry.id,
            about: &entry.about,
            suites: &entry.suites,
            caveats,
            pieces: shown,
        });
    }
    let shown = Page {
        style: STYLE,
        entries,
    };
    let text = render("figures.html", TEMPLATE, &shown)?;
    files.insert(0, (page.into(), text.into_bytes()));
    Ok(files)
}

fn shown(
    piece: &Piece,
    formats: &[Format],
    size: Option<[u32; 2]>,
) -> Result<(ShownPiece, Vec<(String, Vec<u8>)>)> {
    let (files, svg, caption, table) = match &piece.content {
        PieceContent::Chart(chart) => {
            let chart = Chart {
                size: size.or(chart.size),
                ..chart.clone()
            };
            (chart.files(formats)?, chart.svg()?, chart.caption, None)
        }
        PieceContent::Table(table, caption) => {
            let label = format!("tab:{}", piece.name);
            let texts = [
                ("md", table.markdown()),
                ("tex", table.latex(caption, &label)),
                ("csv", table.csv()),
            ];
            let files = texts.map(|(extension, text)| {
                (format!("{}.{extension}", piece.name), text.into_bytes())
            });
            (
                files.to_vec(),
                String::new(),
                caption.clone(),
                Some(table.clone()),
            )
        }
    };
    let shown = ShownPiece {
        files: files.iter().map(|(name, _)| name.clone()).collect(),
        svg,
        caption,
        table,
    };
    Ok((shown, files))
}
