//! A whole catalog written by bulk upsert, beside the same documents put into one table.

use std::time::Instant;

use goldenpath_tests::{LoadSettings, load};
use serde_json::json;

use super::{Bed, raw, settle};
use crate::growth::Goal;
use crate::table::{Figure, Pair, Target};

/// A hundred times the most that Backstage ingests in a second.
const PEER_RATE: f64 = 6_300.0;

pub(super) fn measure(bed: &mut Bed<'_>) {
    let blueprints = bed.generator.blueprints_with_derived();
    let documents: Vec<_> = blueprints
        .iter()
        .map(|value| json!({"source": "generated", "kind": "blueprint", "value": value}))
        .collect();
    let client = bed.client();
    client
        .post("/v1/catalog/apply", &json!({ "documents": documents }))
        .with_status(200);
    for (blueprint, scorecard) in bed.generator.scorecards() {
        client
            .post(
                &format!("/v1/blueprints/{blueprint}/scorecards"),
                &scorecard,
            )
            .with_status(201);
    }
    settle(client);

    let settings = LoadSettings::default();
    let started = Instant::now();
    let loaded = load(client, &bed.generator, &blueprints, settings);
    settle(client);
    let settled = started.elapsed();
    let file = bed.portal.folder().join("raw.db");
    let raw = raw::insert(&file, &bed.generator, settings.batch);
    let rate = |seconds: f64| Some(Figure::Rate(loaded.entities as f64 / seconds));
    let raw = rate(raw.as_secs_f64());
    bed.add(
        "bulk upsert over HTTP (raw: `rusqlite`, the same JSON into one table)",
        Pair::of(Some(Figure::Rate(loaded.rate())), raw),
        &[
            Goal::always(Target::AtLeast(Figure::Rate(10_000.0))),
            Goal::always(Target::Share(0.25)),
            Goal::up_to(super::PEER, Target::AtLeast(Figure::Rate(PEER_RATE))),
        ],
    );
    bed.add(
        "the same until nothing is left to derive",
        Pair::of(rate(settled.as_secs_f64()), raw),
        &[],
    );
}
