//! Search by words, beside the bare index.

use super::mix::Text;
use super::{Bed, in_turns};
use crate::growth::Goal;
use crate::table::{Figure, Target};

const REQUESTS: usize = 1_000;

/// Hits that the portal ranks.
const RANKED: i64 = 2_000;

pub(super) fn measure(bed: &mut Bed<'_>, texts: &[Text]) {
    let (client, database) = (bed.client(), &bed.database);
    let ours = |text: &Text| {
        let query = text.typed.replace(' ', "%20");
        let reply = client.get(&format!("/v1/search?q={query}"));
        drop(reply.with_status(200));
    };
    let raw = |text: &Text| {
        let mut statement = database
            .prepare_cached("SELECT rowid FROM entity_text WHERE entity_text MATCH ?1 LIMIT ?2")
            .unwrap();
        let found = statement
            .query_map(rusqlite::params![text.expression, RANKED], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap();
        std::hint::black_box(found.map(Result::unwrap).sum::<i64>());
    };
    let times = in_turns(REQUESTS, texts, ours, raw);
    bed.add_times(
        ("full text, a page of 200", "raw: the ids from FTS5"),
        times,
        &[],
        &[Goal::always(Target::AtMost(Figure::Seconds(30e-3)))],
    );
}
