//! A search with three rules, one of which follows relations, beside SQL that was written for that one question.

use goldenpath_tests::generator::Kind;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Bed, in_turns};
use crate::growth::Goal;
use crate::table::{Figure, Target};

const REQUESTS: usize = 1_000;

/// Members of a system that is small.
const SMALL: usize = 200;

/// Entities of a page, as many as the portal shows where nobody says how many.
const PAGE: usize = 200;

/// A page of the production components below a system or a domain, as whole as the portal shows them.
const SELECT: &str = "
    SELECT e.id, e.identifier, e.title, e.icon, e.team, e.properties, e.created_at, e.created_by, e.updated_at,
           e.updated_by, d.properties, d.scorecards,
           (SELECT json_group_array(json_array(r.name, t.identifier))
            FROM relation AS r JOIN entity AS t ON t.id = r.target_id WHERE r.source_id = e.id)
    FROM entity AS e LEFT JOIN entity_derived AS d ON d.entity_id = e.id
    WHERE e.blueprint_id = (SELECT id FROM blueprint WHERE identifier = 'Component')
      AND e.properties ->> 'lifecycle' = 'production' AND e.id IN ";

const BELOW_SYSTEM: &str = "(
    SELECT r.source_id FROM entity AS s JOIN relation AS r ON r.target_id = s.id AND r.name = 'system'
    WHERE s.blueprint_id = (SELECT id FROM blueprint WHERE identifier = 'System') AND s.identifier = ?1
    ) ORDER BY e.id LIMIT ?2";

const BELOW_DOMAIN: &str = "(
    SELECT r.source_id FROM entity AS s
    JOIN relation AS o ON o.target_id = s.id AND o.name = 'domain'
    JOIN relation AS r ON r.target_id = o.source_id AND r.name = 'system'
    WHERE s.blueprint_id = (SELECT id FROM blueprint WHERE identifier = 'Domain') AND s.identifier = ?1
    ) ORDER BY e.id LIMIT ?2";

/// Where a walk starts.
struct Start {
    identifier: String,
    query: Value,
    sql: String,
}

pub(super) fn measure(bed: &mut Bed<'_>) {
    let starts = starts(bed);
    let (client, database) = (bed.client(), &bed.database);
    let path = format!("/v1/entities/search?limit={PAGE}");
    let ask = |start: &Start| client.post(&path, &start.query).with_status(200);
    // The comparison is of the same answers.
    for start in starts.iter().take(50) {
        let found = ask(start).json();
        let found = found["entities"].as_array().unwrap().iter();
        let found: Vec<_> = found
            .map(|one| one["identifier"].as_str().unwrap())
            .collect();
        assert_eq!(found, select(database, start), "{}", start.identifier);
    }
    let times = in_turns(
        REQUESTS,
        &starts,
        |start| drop(ask(start)),
        |start| drop(select(database, start)),
    );
    bed.add_times(
        (
            "a search with three rules, one of them a walk",
            "raw: SQL for this one question",
        ),
        times,
        &[],
        &[
            Goal::up_to(100_000, Target::AtMost(Figure::Seconds(10e-3))),
            Goal::at_least(1_000_000, Target::AtMost(Figure::Seconds(30e-3))),
        ],
    );
}

/// Four out of five at a system of an ordinary size, the others at a domain.
fn starts(bed: &Bed<'_>) -> Vec<Start> {
    let mut random = bed.random(1);
    let generator = &bed.generator;
    let systems: Vec<usize> = (0..generator.count_of(Kind::System))
        .filter(|system| (1..=SMALL).contains(&generator.members(*system)))
        .collect();
    (0..REQUESTS)
        .map(|_| {
            let (kind, index, below) = if random.below(5) < 4 {
                let system = systems[random.below(systems.len() as u64) as usize];
                (Kind::System, system, BELOW_SYSTEM)
            } else {
                let domain = random.below(generator.count_of(Kind::Domain) as u64);
                (Kind::Domain, domain as usize, BELOW_DOMAIN)
            };
            let identifier = generator.identifier(kind, index);
            let query = json!({"combinator": "and", "rules": [
                {"property": "$blueprint", "operator": "=", "value": "Component"},
                {"property": "lifecycle", "operator": "=", "value": "production"},
                {
                    "operator": "relatedTo", "blueprint": kind.blueprint(), "value": identifier,
                    "direction": "downstream", "required": true,
                },
            ]});
            Start {
                identifier,
                query,
                sql: format!("{SELECT}{below}"),
            }
        })
        .collect()
}

/// Reads every column of the page, and returns the identifiers.
fn select(database: &Connection, start: &Start) -> Vec<String> {
    let mut statement = database.prepare_cached(&start.sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement
        .query(rusqlite::params![start.identifier, PAGE as i64])
        .unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            std::hint::black_box(row.get::<_, rusqlite::types::Value>(column).unwrap());
        }
        found.push(row.get(1).unwrap());
    }
    found
}
