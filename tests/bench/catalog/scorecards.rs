//! A scorecard that has changed, until every entity is judged by it.

use std::time::Instant;

use goldenpath_tests::generator::Kind;
use serde_json::json;

use super::{Bed, settle};
use crate::growth::Goal;
use crate::table::{Figure, Pair, Target};

/// A hundred thousand entities in ten seconds.
const RATE: f64 = 10_000.0;

pub(super) fn measure(bed: &mut Bed<'_>) {
    let (blueprint, mut scorecard) = bed.generator.scorecards().remove(0);
    // Somewhat more is asked for than before, so that levels change.
    scorecard["rules"][2]["query"]["conditions"][0]["value"] = json!(70);
    let identifier = scorecard["identifier"].as_str().unwrap();
    let path = format!("/v1/blueprints/{blueprint}/scorecards/{identifier}");
    let client = bed.client();
    let started = Instant::now();
    client
        .send_json("PUT", &path, &[], &scorecard)
        .with_status(200);
    settle(client);
    let seconds = started.elapsed().as_secs_f64();
    let judged = bed.generator.count_of(Kind::Library) + bed.generator.count_of(Kind::Service);
    bed.add(
        "components judged again after a scorecard has changed",
        Pair::of(Some(Figure::Rate(judged as f64 / seconds)), None),
        &[Goal::always(Target::AtLeast(Figure::Rate(RATE)))],
    );
}
