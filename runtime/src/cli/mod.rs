//! The command line: the second door beside HTTP. Only `serve`, `demo` and the building of plugins work on this
//! machine; all else talks to a server.

mod action;
mod backup;
mod catalog;
mod client;
mod demo;
mod doctor;
mod entity;
mod exit;
mod input;
mod login;
mod output;
mod plugin;
mod principal;
mod prompt;
mod restore;
mod run;
mod secret;
mod serve;
mod sse;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::jq;
use exit::{Exit, Failure};
use output::{Format, Output};

use crate::model::PrincipalKind;
use crate::plugin::compiler;

const EXAMPLES: &str = "\
Examples:
  goldenpath demo                                    a portal with example data, ready to try
  goldenpath serve --data ./portal                   a portal of your own
  goldenpath login --url https://portal.example.com  keep a credential for the commands below
  goldenpath run scaffold-service --input name=orders-api --input system=Cart --follow
  goldenpath plugin new greeter                      a plugin that builds, tests and runs

Exit codes: 0 done, 1 failed, 2 usage, 3 not permitted, 4 not found, 5 conflict, 6 server unreachable, 7 timed out.";

/// A self-hosted developer portal whose every action runs in a sandbox
#[derive(Debug, Parser)]
#[command(name = "goldenpath", version, after_help = EXAMPLES, max_term_width = 120)]
struct Arguments {
    /// Print results as JSON, one value per line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the portal
    Serve(Box<serve::ServeArguments>),
    /// Serve a portal with example data and plugins, ready to try
    Demo(demo::DemoArguments),
    /// Make, build, install and review plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Keep a credential for the other commands
    Login(login::LoginArguments),
    /// Let people in
    #[command(subcommand)]
    User(principal::PrincipalCommand),
    /// Let programs in
    #[command(subcommand)]
    App(principal::PrincipalCommand),
    /// Keep what plugins use without seeing it
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Write the catalog
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Read the catalog
    #[command(subcommand)]
    Entity(entity::EntityCommand),
    /// See what may be asked for
    #[command(subcommand)]
    Actions(action::ActionCommand),
    /// Ask for something: start a run of an action
    Run(run::RunArguments),
    /// See what was asked for
    #[command(subcommand)]
    Runs(run::RunsCommand),
    /// Copy everything that a server holds into a file
    Backup(backup::BackupArguments),
    /// Put a backup into an empty data folder
    Restore(restore::RestoreArguments),
    /// Check the data folder of a portal that is stopped
    Doctor(doctor::DoctorArguments),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Runs one command line; the answer is its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Not commands for people, and they must not do more than they have to before they limit themselves.
    match arguments.get(1).and_then(|argument| argument.to_str()) {
        Some(jq::worker::ARGUMENT) => return jq::worker::main(),
        Some(compiler::ARGUMENT) => return compiler::main(),
        _ => {}
    }
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for; all else is a wrong command line. Nobody is left to tell if this fails.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    let format = if arguments.json {
        Format::Json
    } else {
        Format::Text
    };
    let output = Output::new(format);
    let exit = run(arguments.command, &output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    exit.into()
}

fn run(command: Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(*arguments, output),
        Command::Demo(arguments) => demo::run(arguments, output),
        Command::Plugin(command) => plugin::run(command, output),
        Command::Login(arguments) => login::run(arguments, output),
        Command::User(command) => principal::run(PrincipalKind::User, command, output),
        Command::App(command) => principal::run(PrincipalKind::App, command, output),
        Command::Secret(command) => secret::run(command, output),
        Command::Catalog(command) => catalog::run(command, output),
        Command::Entity(command) => entity::run(command, output),
        Command::Actions(command) => action::run(command, output),
        Command::Run(arguments) => run::start(&arguments, output),
        Command::Runs(command) => run::run(command, output),
        Command::Backup(arguments) => backup::run(&arguments, output),
        Command::Restore(arguments) => restore::run(&arguments, output),
        Command::Doctor(arguments) => doctor::run(&arguments, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "goldenpath", &mut script);
            output.block(&String::from_utf8_lossy(&script));
            Ok(Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
