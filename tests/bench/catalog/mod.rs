//! The catalog at size: generated catalogs in a portal of their own each, and what it costs to write, read, search and
//! judge them.

mod facets;
mod ingest;
mod lookup;
mod mix;
mod raw;
mod scorecards;
mod text;
mod walk;

use std::path::Path;
use std::time::{Duration, Instant};

use goldenpath_tests::generator::{Generator, Random};
use goldenpath_tests::{Client, Portal};
use rusqlite::Connection;

use crate::growth::{Goal, GrowthTable};
use crate::process::memory;
use crate::table::{Figure, Pair, Percentiles, Target};

/// Entities of the catalogs that are measured where nobody says otherwise.
const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

/// The one of the catalogs, and of what is asked of them.
const SEED: u64 = 1;

/// Entities of the catalog of which Backstage's figures are.
const PEER: usize = 10_000;

/// How often the queue is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A portal with a catalog in it.
struct Bed<'a> {
    size: usize,
    generator: Generator,
    portal: Portal,
    /// The portal's own database, to read what it reads.
    database: Connection,
    table: &'a mut GrowthTable,
}

impl Bed<'_> {
    fn client(&self) -> &Client {
        self.portal.admin()
    }

    /// Numbers for the choices of one measure.
    fn random(&self, measure: u64) -> Random {
        Random::new(SEED, 1_000 + measure, self.size as u64)
    }

    /// Notes a figure, and says it at once: a large catalog takes minutes.
    #[expect(clippy::print_stderr, reason = "the table is on stdout")]
    fn add(&mut self, measure: &str, pair: Pair, goals: &[Goal]) {
        eprintln!("{} entities: {measure}: {pair}", self.size);
        self.table.add(self.size, measure, pair, goals);
    }

    /// Notes the percentiles of what was timed, each beside its raw one, which the detail tells of.
    fn add_times(
        &mut self,
        (measure, detail): (&str, &str),
        (ours, raw): (Vec<Duration>, Vec<Duration>),
        p50: &[Goal],
        p99: &[Goal],
    ) {
        let (ours, raw) = (Percentiles::of(ours), Percentiles::of(raw));
        let pair = |part: fn(&Percentiles) -> Figure| {
            Pair::of(ours.as_ref().map(part), raw.as_ref().map(part))
        };
        let median = format!("{measure}, p50 ({detail})");
        self.add(&median, pair(|times| times.p50), p50);
        self.add(&format!("{measure}, p99"), pair(|times| times.p99), p99);
    }
}

/// Measures the catalog at each size.
pub(crate) fn measure(program: &Path) -> GrowthTable {
    let sizes = sizes();
    let mut table = GrowthTable::new(&sizes);
    for size in sizes {
        let portal = Portal::start(program);
        let database = raw::open_read_only(&portal.data().join("goldenpath.db"));
        let mut bed = Bed {
            size,
            generator: Generator::new(SEED, size),
            portal,
            database,
            table: &mut table,
        };
        ingest::measure(&mut bed);
        lookup::measure(&mut bed);
        walk::measure(&mut bed);
        let texts = mix::choose(&bed);
        text::measure(&mut bed, &texts);
        facets::measure(&mut bed, &texts);
        scorecards::measure(&mut bed);
        let process = bed.portal.process_id().unwrap();
        let goals = [
            Goal::always(Target::AtMost(Figure::Bytes(400.0 * 1024.0 * 1024.0))),
            // A tenth of the least that Backstage takes.
            Goal::up_to(PEER, Target::AtMost(Figure::Bytes(0.07 * (1 << 30) as f64))),
        ];
        let used = Pair::of(memory(process), None);
        bed.add("memory of the portal after all of this (RSS)", used, &goals);
    }
    table
}

/// Does a thing and something else in turns, and says how long each took each time. What it is done for comes from a
/// list, over and over.
fn in_turns<T>(
    times: usize,
    items: &[T],
    ours: impl Fn(&T),
    raw: impl Fn(&T),
) -> (Vec<Duration>, Vec<Duration>) {
    let clock = |one: &dyn Fn()| {
        let started = Instant::now();
        one();
        started.elapsed()
    };
    // Statements are prepared, connections made.
    for item in items.iter().take(5) {
        ours(item);
        raw(item);
    }
    let both = items.iter().cycle().take(times);
    both.map(|item| (clock(&|| ours(item)), clock(&|| raw(item))))
        .unzip()
}

/// Waits until nothing is left to derive.
fn settle(client: &Client) {
    loop {
        let queue = client.get("/v1/catalog/derived-queue").with_status(200);
        let queue = &queue.json()["queue"];
        if queue["waiting"] == 0 && queue["background"] == 0 {
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// What the environment says, separated by commas, or all.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the benchmark alone"
)]
fn sizes() -> Vec<usize> {
    match std::env::var("GOLDENPATH_BENCH_ENTITIES") {
        Ok(text) => text
            .split(',')
            .map(|size| size.trim().parse().unwrap())
            .collect(),
        Err(_) => SIZES.to_vec(),
    }
}
