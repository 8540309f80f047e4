//! `goldenpath plugin …`: from a name to a package on a server.

mod build;
mod decision;
mod diff;
mod embedded;
mod inspect;
mod new;
mod oci;
mod remote;
mod sbom;
mod show;
mod sign;
mod target;
mod terms;
mod test;
mod usage;

use std::path::PathBuf;

use clap::Subcommand;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::Connection;
use crate::model::UnderWay;

pub(super) use build::{Built, build};
pub(super) use embedded::DEMO;
pub(super) use inspect::reasoned;

/// Where the server's default limit is too; a package beyond it is a mistake in the file's name.
const MAX_PACKAGE_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make a new plugin in a folder of its name: it builds, tests and runs as it is
    #[command(
        after_help = "Example:\n  goldenpath plugin new greeter && cd greeter && goldenpath plugin build"
    )]
    New {
        /// Its name: lower-case letters, digits and -, a letter first
        name: String,
    },
    /// Build the package of a plugin
    #[command(
        after_help = "Examples:\n  goldenpath plugin build\n  goldenpath plugin build plugins/hello -o hello.wasm"
    )]
    Build {
        /// Folder with plugin.toml and Cargo.toml
        #[arg(default_value = ".")]
        dir: PathBuf,

        /// Where to write the package [default: target/plugin/NAME-VERSION.wasm]
        #[arg(long, short = 'o', value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Try a plugin in the sandbox against recorded exchanges, granted what its manifest asks for
    Test(test::TestArguments),
    /// Show everything that a reviewer needs of a package, from the file alone; runs nothing
    Inspect {
        /// The package
        file: PathBuf,
    },
    /// Show what changes from one package to another; runs nothing
    ///
    /// The exit code tells: 0 both may do the same and name the same dependencies, 1 something differs, 2 one of the
    /// files cannot be read, or they are of two plugins.
    #[command(
        after_help = "Example:\n  goldenpath plugin diff greeter-0.1.0.wasm greeter-0.2.0.wasm"
    )]
    Diff {
        /// The package before
        from: PathBuf,

        /// The package after
        to: PathBuf,
    },
    /// Make a key to sign packages with, in a file that only its owner can read, and print its public half
    Keygen {
        /// Where to keep the key; must not exist yet
        file: PathBuf,
    },
    /// Add a signature to a package
    ///
    /// It is of all bytes before the first signature: several people can sign one package, in any order. The digest by
    /// which the package is known changes, the signed one does not.
    #[command(
        after_help = "Example:\n  goldenpath plugin sign greeter-0.1.0.wasm --key ~/.config/goldenpath/signing.pem"
    )]
    Sign {
        /// The package
        file: PathBuf,

        /// File of the private key, as `keygen` made it
        #[arg(long, short = 'k', value_name = "FILE")]
        key: PathBuf,

        /// Where to write the signed package [default: in place]
        #[arg(long, short = 'o', value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check who signed a package, from the file alone
    Verify(sign::VerifyArguments),
    /// Put a package into a registry (OCI)
    #[command(
        after_help = "Example:\n  goldenpath plugin push oci://registry.example.com/team/greeter:0.1.0 greeter-0.1.0.wasm"
    )]
    Push {
        /// Where: `oci://HOST[:PORT]/REPOSITORY[:TAG]`; without a tag, the version
        place: oci::Reference,

        /// The package
        file: PathBuf,

        /// Take the tag away from another package that has it
        #[arg(long)]
        move_tag: bool,

        #[command(flatten)]
        registry: oci::RegistryArguments,
    },
    /// Get a package from a registry (OCI)
    ///
    /// With a digest, what comes is what was pushed then, or nothing; with a tag alone, the digest to pin is printed. With
    /// both, a tag that was moved is refused.
    #[command(
        after_help = "Example:\n  goldenpath plugin pull oci://registry.example.com/team/greeter@sha256:… -o greeter.wasm"
    )]
    Pull {
        /// Where: `oci://HOST[:PORT]/REPOSITORY`, then `:TAG`, `@DIGEST` or both
        place: oci::Reference,

        /// Where to write the package [default: NAME-VERSION.wasm]
        #[arg(long, short = 'o', value_name = "FILE")]
        output: Option<PathBuf>,

        #[command(flatten)]
        registry: oci::RegistryArguments,
    },
    /// Send a package to the server
    Install {
        /// The package: a file, or oci://… as `pull` takes it
        file: PathBuf,

        /// Print what it asks for, and allow exactly that package all of it, less what is denied, lowered or bound for
        /// the active version
        #[arg(long)]
        approve: bool,

        #[command(flatten)]
        connection: Connection,

        #[command(flatten)]
        registry: oci::RegistryArguments,
    },
    /// Show what a version on the server asks for and was granted
    #[command(
        after_help = "Examples:\n  goldenpath plugin show github-repository\n  goldenpath plugin show hello 0.1.0 --json"
    )]
    Show(show::ShowArguments),
    /// Let an installed version run
    Approve(remote::ApproveArguments),
    /// Refuse an installed version
    Reject(decision::DecisionArguments),
    /// Forbid a version that was approved
    Revoke {
        #[command(flatten)]
        decision: decision::DecisionArguments,

        /// End the calls that are under way, too
        #[arg(long)]
        cancel: bool,
    },
    /// Let an earlier version serve again, with what it was granted then
    Rollback {
        /// Name of the plugin
        name: String,

        /// Which version [default: the latest before the active one that was approved and is not revoked]
        #[arg(long, value_name = "VERSION")]
        to: Option<semver::Version>,

        /// Why, for the audit log
        #[arg(long, default_value = "")]
        reason: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// End every call of every plugin that is under way
    Stop {
        /// Why, for the audit log
        #[arg(long, default_value = "")]
        reason: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// Show what a version used of what it was granted, and a narrower grant that would have done
    Usage(usage::UsageArguments),
    /// List the plugins of the server
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: PluginCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        PluginCommand::New { name } => new::run(&name, output),
        PluginCommand::Build { dir, output: file } => build::run(&dir, file.as_deref(), output),
        PluginCommand::Test(arguments) => test::run(&arguments, output),
        PluginCommand::Inspect { file } => inspect::run(&file, output),
        PluginCommand::Keygen { file } => sign::make_key(&file, output),
        PluginCommand::Sign {
            file,
            key,
            output: to,
        } => sign::sign(&file, &key, to.as_deref(), output),
        PluginCommand::Push {
            place,
            file,
            move_tag,
            registry,
        } => {
            let moved = if move_tag {
                oci::Moved::Allowed
            } else {
                oci::Moved::Refused
            };
            oci::push(&place, &file, moved, &registry, output)
        }
        PluginCommand::Pull {
            place,
            output: to,
            registry,
        } => oci::pull(&place, to.as_deref(), &registry, output),
        PluginCommand::Verify(arguments) => sign::verify(&arguments, output),
        PluginCommand::Install {
            file,
            approve,
            connection,
            registry,
        } => {
            let package = remote::find_package(&file, &registry)?;
            remote::install(package, approve, &connection, output)
        }
        PluginCommand::Approve(arguments) => remote::approve(&arguments, output),
        PluginCommand::Show(arguments) => show::run(&arguments, output),
        PluginCommand::Diff { from, to } => diff::run(&from, &to, output),
        PluginCommand::Reject(arguments) => decision::reject(&arguments, output),
        PluginCommand::Revoke { decision, cancel } => {
            let running = if cancel {
                UnderWay::Cancel
            } else {
                UnderWay::Finish
            };
            decision::revoke(&decision, running, output)
        }
        PluginCommand::Rollback {
            name,
            to,
            reason,
            connection,
        } => decision::roll_back(&name, to.as_ref(), &reason, &connection, output),
        PluginCommand::Stop { reason, connection } => decision::stop(&reason, &connection, output),
        PluginCommand::Usage(arguments) => usage::run(&arguments, output),
        PluginCommand::List { connection } => remote::list_plugins(&connection, output),
    }
}
