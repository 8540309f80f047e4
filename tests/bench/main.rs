//! `cargo bench`: what the portal costs, each figure beside the same thing done without it, in the same run.
//!
//! Plugins are measured with the demo: its plugins are built and installed once, its data folder is then opened by a
//! portal in a process of its own, and by the sandbox alone in this one. The catalog is measured with generated ones:
//! `cargo bench -- catalog` is that alone, and `GOLDENPATH_BENCH_ENTITIES=10000,100000` says how large they are.
//! `cargo bench -- policy` is what a grant costs each request, and secrets each line of a log. `cargo bench -- versions`
//! is what a thousand versions of plugins cost, which takes minutes to compile, and `cargo bench -- jq` what a calculation
//! costs by the size of its batch; those two are measured only then.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that meets what it does not expect has failed, and says so by its panic"
)]

mod bare;
mod catalog;
mod growth;
mod http;
mod jq;
mod policy;
mod process;
mod sandbox;
mod server;
mod table;
mod versions;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use criterion::Criterion;
use goldenpath_tests::Portal;

use server::BareServer;
use table::{Figure, Pair, Table, Target};

/// Where plugins are compiled: the target folder of this build may be in use.
const TARGET: &str = env!("CARGO_TARGET_TMPDIR");

/// The argument that leaves out all but the catalog.
const CATALOG: &str = "catalog";

/// The argument that leaves out all but the checks of requests and logs.
const POLICY: &str = "policy";

/// The argument that leaves out all but many versions of plugins.
const VERSIONS: &str = "versions";

/// The argument that leaves out all but jq.
const JQ: &str = "jq";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The portal that is measured, each process that it starts, and the server beside it are this very program: so
    // cargo has built them all with the same settings.
    let is_command = |argument: &OsString| !argument.to_string_lossy().starts_with('-');
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    if !is_bench && arguments.get(1).is_some_and(is_command) {
        if arguments[1] == server::ARGUMENT {
            server::serve(Path::new(&arguments[2]), arguments.get(3).map(Path::new));
            return ExitCode::SUCCESS;
        }
        return goldenpath::cli::main(arguments);
    }
    let program = std::env::current_exe().unwrap();
    let filter = arguments.get(1).filter(|argument| is_command(argument));
    if filter.is_some_and(|filter| filter == JQ) {
        // It is the name of no figure: nothing is left out by it.
        jq::measure(&mut Criterion::default(), &program);
        return ExitCode::SUCCESS;
    }
    if filter.is_some_and(|filter| filter == VERSIONS) {
        let mut table = Table::default();
        versions::measure(&program, &plugins(), &mut table);
        print(&table, "Medians");
        return ExitCode::SUCCESS;
    }
    if filter.is_none_or(|filter| filter == POLICY) {
        measure_policy();
    }
    if filter.is_none_or(|filter| filter != CATALOG && filter != POLICY) {
        measure_plugins(&program);
    }
    if filter.is_none_or(|filter| filter == CATALOG) {
        print(
            &catalog::measure(&program),
            "Each beside its raw operation in turns",
        );
    }
    ExitCode::SUCCESS
}

fn measure_policy() {
    let mut criterion = Criterion::default().sample_size(table::SAMPLES);
    let mut table = Table::default();
    policy::measure(&mut criterion, &mut table);
    criterion.final_summary();
    print(&table, &format!("Medians of {} samples", table::SAMPLES));
}

fn measure_plugins(program: &Path) {
    let mut criterion = Criterion::default()
        .sample_size(table::SAMPLES)
        .configure_from_args();
    let mut table = Table::default();

    let mut portal = Portal::demo(program, &plugins());
    // Compiles the components, so that from here on the cache is warm.
    http::scaffold(portal.admin(), "warm-up");
    let answer = portal.folder().join("answer.json");
    write(&answer, &http::greet(portal.admin()).to_string());
    // Two cannot have the data folder open.
    portal.kill();

    let compiled = portal.folder().join("hello.cwasm");
    sandbox::measure(&mut criterion, &mut table, &portal.data(), &compiled);
    let start_bare = || BareServer::start(&compiled, &answer);
    process::measure(&mut criterion, &mut table, &mut portal, start_bare);
    http::measure(&mut criterion, &mut table, &portal, &start_bare());
    table.add(
        "`hello`: size of the package",
        Pair::of(Some(package_size()), None),
        &[Target::AtMost(Figure::Bytes(180.0 * 1024.0))],
    );

    criterion.final_summary();
    print(&table, &format!("Medians of {} samples", table::SAMPLES));
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn print(table: &impl std::fmt::Display, how: &str) {
    println!("\n{table}\n{how}; {}", machine());
}

/// What the figures depend on beside the code.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = proc("meminfo", 1).parse().unwrap_or(0.0) / 1024.0 / 1024.0;
    format!(
        "{cores} cores, {memory:.0} GiB, load {}.",
        proc("loadavg", 0)
    )
}

/// A word of the first line of a file of the kernel.
#[expect(clippy::disallowed_methods, reason = "the kernel's own account")]
fn proc(name: &str, word: usize) -> String {
    let text = std::fs::read_to_string(Path::new("/proc").join(name)).unwrap_or_default();
    let word = text.split_whitespace().nth(word);
    word.unwrap_or("?").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a file of the benchmark's own")]
fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
}

fn plugins() -> PathBuf {
    Path::new(TARGET).join("plugins")
}

/// Bytes of the package that the demo has built.
fn package_size() -> Figure {
    let file = plugins().join("plugin/hello-0.1.0.wasm");
    Figure::Bytes(file.metadata().unwrap().len() as f64)
}
