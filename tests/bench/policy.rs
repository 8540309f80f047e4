//! What a grant costs each request, and a secret each line of a log. `cargo bench -- policy` is this alone.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use goldenpath::model::BlueprintId;
use goldenpath::plugin::measure::{Cleaner, Policy, Request};

use crate::table::{Figure, Pair, Table, Target, measure as timed};

/// Lines of a grant.
const LINES: [usize; 4] = [1, 10, 100, 1_000];

/// Secrets of a run.
const SECRETS: [usize; 3] = [1, 4, 16];

/// Bytes of the log that is cleaned at a time.
const LOG: usize = 1 << 20;

pub(crate) fn measure(criterion: &mut Criterion, table: &mut Table) {
    for lines in LINES {
        check(criterion, table, lines);
    }
    for secrets in SECRETS {
        redact(criterion, table, secrets);
    }
}

/// Every line of the grant has its turn, and so has a request that none of them allows.
fn check(criterion: &mut Criterion, table: &mut Table, count: usize) {
    let team = |number: usize| format!("https://git.example.com/api/repos/team-{number}");
    let lines: Vec<String> = (0..count)
        .map(|number| format!("http GET {}/*/files/**", team(number)))
        .collect();
    let request = |url: String| Request::get(&url).unwrap();
    let allowed: Vec<Request> = (0..count)
        .map(|number| request(format!("{}/site/files/docs/a.md?page=2", team(number))))
        .collect();
    let denied: Vec<Request> = (0..count)
        .map(|number| request(format!("{}/site/hooks", team(number))))
        .collect();
    let known: HashSet<&str> = lines.iter().map(String::as_str).collect();
    let raw = |times| {
        let started = Instant::now();
        for line in lines.iter().cycle().take(times as usize) {
            assert!(known.contains(black_box(line.as_str())));
        }
        started.elapsed()
    };
    let policy = Policy::of(&lines).unwrap();
    let five = Target::AtMost(Figure::Seconds(5e-6));
    for (word, requests, expected) in [("allowed", &allowed, true), ("denied", &denied, false)] {
        let ours = |times| {
            let started = Instant::now();
            for request in requests.iter().cycle().take(times as usize) {
                assert_eq!(policy.allows(black_box(request)), expected);
            }
            started.elapsed()
        };
        let checked = timed(criterion, &format!("policy {word} {count}"), ours, raw);
        let row = format!(
            "a request that is {word}, of a grant of {count} lines (raw: one look into a hash set)"
        );
        table.add(&row, checked, &[five]);
    }

    let blueprints: Vec<BlueprintId> = (0..count)
        .map(|number| BlueprintId::parse(format!("Service-{number}")).unwrap())
        .collect();
    let lines: Vec<String> = blueprints
        .iter()
        .map(|blueprint| format!("catalog read {blueprint}"))
        .collect();
    let policy = Policy::of(&lines).unwrap();
    let ours = |times| {
        let started = Instant::now();
        for blueprint in blueprints.iter().cycle().take(times as usize) {
            assert!(policy.may_read(black_box(blueprint)));
        }
        started.elapsed()
    };
    let checked = timed(criterion, &format!("policy catalog {count}"), ours, raw);
    let row = format!("an entity that is read, of a grant of {count} lines");
    table.add(&row, checked, &[five]);
}

/// A log that has nothing to do with the secrets, as most of a log has.
fn redact(criterion: &mut Criterion, table: &mut Table, count: usize) {
    let cleaner = Cleaner::default();
    for number in 0..count {
        cleaner.add(&format!(
            "{number:02}gp_k7Jw2xQ9/+vR4mT8bN1cZ5sL0{number:02}="
        ));
    }
    let mut log = Vec::new();
    let mut bytes = 0;
    for number in 0.. {
        if bytes >= LOG {
            break;
        }
        let line = format!(
            "2026-02-03T04:05:06.{:03}Z renders services/orders-{number}/src/main.rs from template `service-{}` ({} bytes)",
            number % 1_000,
            number % 7,
            number * 37 % 9_000
        );
        bytes += line.len();
        log.push(line);
    }
    let ours = |times| {
        let started = Instant::now();
        for _ in 0..times {
            for line in &log {
                black_box(cleaner.clean(black_box(line)));
            }
        }
        started.elapsed()
    };
    let mut copy = Vec::with_capacity(bytes);
    let raw = |times| {
        let started = Instant::now();
        for _ in 0..times {
            copy.clear();
            log.iter()
                .for_each(|line| copy.extend_from_slice(line.as_bytes()));
            black_box(&copy);
        }
        started.elapsed()
    };
    let cleaned = timed(criterion, &format!("policy redaction {count}"), ours, raw);
    let rate =
        |figure: Option<Figure>| figure.map(|time| Figure::Flow(bytes as f64 / time.amount()));
    table.add(
        &format!("log searched for secrets, {count} attached (raw: copied)"),
        Pair::of(rate(cleaned.ours()), rate(cleaned.raw())),
        &[Target::AtLeast(Figure::Flow(200.0 * 1024.0 * 1024.0))],
    );
}
