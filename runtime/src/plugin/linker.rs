//! Links exactly what was granted. What is not linked does not exist for a guest: it cannot even be instantiated.

use std::collections::BTreeSet;

use wasmtime::component::{HasData, HasSelf, Linker, Resource};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

use super::bindings::{actions, catalog, endpoints, files, log, secrets, state, steps, types};
use super::capability::Power;
use super::capability::http::error_code;
use super::instance::Guest;
use super::knob::{Knob, is_kept};
use super::limits::Stop;

/// The interfaces for a set of powers, on top of the inert baseline.
pub(super) fn link(engine: &Engine, powers: &BTreeSet<Power>) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    baseline(&mut linker)?;
    let l = &mut linker;
    if powers.contains(&Power::Random) || !is_kept(Knob::NoRandom) {
        random::random::add_to_linker::<Guest, WasiRandom>(l, |guest| {
            // Asked once for each call of the interface.
            guest.tally.power(Power::Random);
            guest.random()
        })?;
    } else {
        random::random::add_to_linker::<Guest, NoRandom>(l, |_| NoRandom)?;
    }
    if powers.contains(&Power::Catalog) {
        catalog::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    }
    if powers.contains(&Power::Files) {
        files::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    }
    if powers.contains(&Power::Http) {
        let options = http::types::LinkOptions::default();
        http::types::add_to_linker::<Guest, WasiHttp>(l, &options, Guest::http)?;
        http::outgoing_handler::add_to_linker::<Guest, WasiHttp>(l, Guest::http)?;
        why_a_body_broke_off(l)?;
        endpoints::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    }
    if powers.contains(&Power::RunAction) {
        actions::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    }
    if powers.contains(&Power::Secret) {
        secrets::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    }
    if powers.contains(&Power::State) {
        state::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    }
    Ok(linker)
}

/// What Rust's standard library imports by itself, linked so that nothing comes of it: no arguments, no environment,
/// no folders, the clock that `instance.rs` puts behind it. One interface at a time: a new one in a new version of
/// the crate does not get in unseen.
fn baseline(l: &mut Linker<Guest>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<Guest, HasIo>(l, |guest| &mut guest.table)?;
    io::poll::add_to_linker::<Guest, HasIo>(l, |guest| &mut guest.table)?;
    io::streams::add_to_linker::<Guest, HasIo>(l, |guest| &mut guest.table)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    filesystem::types::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    types::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    log::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    steps::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)
}

/// Replaces the one function of `wasi:http/types` that this version of the crate gets wrong: it looks for an error of
/// another type than the one that a body's stream fails with, and so never has an answer.
fn why_a_body_broke_off(l: &mut Linker<Guest>) -> wasmtime::Result<()> {
    l.allow_shadowing(true);
    l.instance("wasi:http/types@0.2.12")?.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, Guest>, (error,): (Resource<wasmtime::Error>,)| {
            let error = store.data_mut().table.get(&error)?;
            Ok((error_code(error),))
        },
    )?;
    l.allow_shadowing(false);
    Ok(())
}

struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut wasmtime::component::ResourceTable;
}

/// Randomness that was not granted. The interface cannot say so, so that the call ends the guest, with the line that
/// is missing.
struct NoRandom;

impl HasData for NoRandom {
    type Data<'a> = Self;
}

impl random::random::Host for NoRandom {
    fn get_random_bytes(&mut self, _: u64) -> wasmtime::Result<Vec<u8>> {
        Err(Stop::Denied { missing: "random" }.into())
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Err(Stop::Denied { missing: "random" }.into())
    }
}
