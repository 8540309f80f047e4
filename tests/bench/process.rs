//! A portal as a process: how soon it answers, how much memory it holds.

use std::time::{Duration, Instant};

use criterion::Criterion;
use goldenpath_tests::{Client, Portal};

use crate::http::{greet, scaffold};
use crate::server::BareServer;
use crate::table::{Figure, Pair, Table, Target, measure as timed};

pub(crate) fn measure(
    criterion: &mut Criterion,
    table: &mut Table,
    portal: &mut Portal,
    start_bare: impl Fn() -> BareServer,
) {
    let ours = |times| {
        let mut taken = Duration::ZERO;
        for _ in 0..times {
            portal.kill();
            let started = Instant::now();
            portal.serve();
            check_health(portal.url());
            taken += started.elapsed();
        }
        taken
    };
    let raw = |times| {
        let mut taken = Duration::ZERO;
        for _ in 0..times {
            let started = Instant::now();
            let bare = start_bare();
            check_health(bare.url());
            taken += started.elapsed();
        }
        taken
    };
    let start = timed(criterion, "start", ours, raw);
    table.add(
        "`serve`: start to first answer of `/health` (raw: axum with wasmtime)",
        start,
        &[Target::AtMost(Figure::Seconds(0.3))],
    );

    portal.serve();
    let rest = portal.process_id().and_then(memory);
    // With every plugin in memory, and after the hash of a password, which takes some as well.
    portal.restart();
    greet(portal.admin());
    scaffold(portal.admin(), "another");
    let used = portal.process_id().and_then(memory);
    let bare = start_bare();
    check_health(bare.url());
    let raw = memory(bare.process_id());
    let most = Target::AtMost(Figure::Bytes(60.0 * 1024.0 * 1024.0));
    table.add(
        "`serve`: memory at rest, the demo loaded (RSS; raw: axum with wasmtime)",
        Pair::of(rest, raw),
        &[most],
    );
    table.add(
        "the same after a login and a run of each plugin",
        Pair::of(used, raw),
        &[most],
    );
}

fn check_health(url: &str) {
    Client::stranger(url).get("/health").with_status(200);
}

/// Memory of a process as the kernel counts it.
#[expect(clippy::disallowed_methods, reason = "the kernel's own account")]
pub(crate) fn memory(process: u32) -> Option<Figure> {
    let account = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = account.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Figure::Bytes(kib * 1024.0))
}
