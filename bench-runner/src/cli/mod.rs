//! The command line: flags in, library calls, tables out. A file for each command.

mod ablation;
mod advise;
mod claims;
mod command;
mod complete;
mod data;
mod describe;
mod eta;
mod executor;
mod figures;
mod import;
mod init;
mod input;
mod list;
mod local;
mod man;
mod options;
mod progress;
mod publish;
mod replay;
mod report;
mod run;
mod schema;
mod serve;
mod session;
mod status;
mod store;
mod suites;
mod terminal;

pub use command::{Cli, run, threads};
pub use complete::VARIABLE as COMPLETION_VARIABLE;
pub use terminal::harmless;
