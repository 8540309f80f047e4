//! What a catalog's page asks for beside single entities: those that a filter leaves, with and without a word, and how
//! many there are of each value. Held against what Backstage takes for the same with 10,000 entities.

use serde_json::{Value, json};

use super::mix::Text;
use super::{Bed, PEER, in_turns};
use crate::growth::Goal;
use crate::table::{Figure, Target};

const REQUESTS: usize = 200;

/// What Backstage takes, in seconds, and how far ahead to be.
const FILTERED: f64 = 80e-3 / 20.0;
const FILTERED_TEXT: f64 = 21e-3 / 20.0;
const FACETS: f64 = 230e-3 / 20.0;

pub(super) fn measure(bed: &mut Bed<'_>, texts: &[Text]) {
    let languages = ["go", "java", "typescript", "python", "kotlin", "rust"];
    let filters: Vec<Value> = languages
        .iter()
        .map(|language| {
            json!({"combinator": "and", "rules": [
                {"property": "type", "operator": "=", "value": "service"},
                {"property": "lifecycle", "operator": "=", "value": "production"},
                {"property": "language", "operator": "=", "value": language},
            ]})
        })
        .collect();
    let filtered: Vec<Value> = filters
        .iter()
        .map(|query| json!({"query": query}))
        .collect();
    let search = "/v1/blueprints/Component/entities/search";
    run(
        bed,
        (
            "a filter over three properties, a page of 200",
            "Backstage: 80 ms",
        ),
        search,
        &filtered,
        FILTERED,
    );
    let with_text: Vec<Value> = texts
        .iter()
        .zip(filters.iter().cycle())
        .map(|(text, query)| json!({"query": query, "text": text.typed}))
        .collect();
    run(
        bed,
        ("the same filter with words", "Backstage: 21 ms"),
        search,
        &with_text,
        FILTERED_TEXT,
    );
    let facets: Vec<Value> = ["language", "lifecycle", "type", "tier", "publicFacing"]
        .iter()
        .map(|property| json!({"func": "countValues", "property": property, "blueprint": "Component"}))
        .collect();
    run(
        bed,
        (
            "facets: how many components have each value",
            "Backstage: 230 ms",
        ),
        "/v1/entities/aggregate",
        &facets,
        FACETS,
    );
}

fn run(bed: &mut Bed<'_>, measure: (&str, &str), path: &str, bodies: &[Value], most: f64) {
    let client = bed.client();
    let ours = |body: &Value| drop(client.post(path, body).with_status(200));
    let (times, _) = in_turns(REQUESTS, bodies, ours, |_| {});
    let goal = Goal::up_to(PEER, Target::AtMost(Figure::Seconds(most)));
    bed.add_times(measure, (times, Vec::new()), &[goal], &[]);
}
