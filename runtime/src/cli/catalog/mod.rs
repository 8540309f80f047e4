//! `goldenpath catalog …`: the catalog as files.

mod apply;
mod diff;
mod export;
mod files;
mod name;
mod prepare;

use clap::Subcommand;

use super::exit::{Exit, Failure};
use super::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// Put all documents of a folder, or of one file, in place
    Apply(apply::ApplyArguments),
    /// Show what an apply would change
    Diff(diff::DiffArguments),
    /// Write the catalog as documents, one file each
    Export(export::ExportArguments),
}

pub(super) fn run(command: CatalogCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        CatalogCommand::Apply(arguments) => apply::run(&arguments, output),
        CatalogCommand::Diff(arguments) => diff::run(&arguments, output),
        CatalogCommand::Export(arguments) => export::run(&arguments, output),
    }
}
