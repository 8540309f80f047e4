//! What programs have written.

use super::*;
use crate::store::MAX_PROGRAMS;

async fn list(fixture: &Fixture, query: DatasourceQuery) -> Result<Value, Error> {
    let (entities, mark) = fixture
        .catalog
        .list_of_datasource(&fixture.actor, query)
        .await?;
    Ok(json!([entities, mark.is_some()]))
}

fn of(prefix: &str, limit: usize) -> DatasourceQuery {
    DatasourceQuery {
        prefix: prefix.to_owned(),
        limit,
        ..DatasourceQuery::default()
    }
}

#[tokio::test]
async fn what_programs_wrote_is_listed_with_its_edges_or_refused_whole() {
    let fixture = Fixture::with_services().await;
    let catalog = fixture.catalog.clone();
    let written = fixture.store.write(move |tx| {
        for number in 0..=MAX_PROGRAMS {
            let actor = Actor {
                client: Some(format!("exporter/{number:04}")),
                ..Actor::system()
            };
            // Backwards, so that the programs stand in another order than what they wrote.
            let name = format!("s{:04}", MAX_PROGRAMS - number);
            let entity = json!({ "identifier": name, "properties": { "language": "go" },
                                 "relations": { "system": "Cart", "uses": [name] } });
            let (draft, mode) = (parse_draft(entity)?, WriteMode::Create);
            let options = WriteOptions::default();
            catalog.write_entity_in(tx, &actor, &id("Service"), draft, mode, options)?;
        }
        Ok::<_, Error>(())
    });
    written.await.unwrap();
    let of_service = |name: &str| {
        json!({ "identifier": name, "blueprint": "Service",
                "relations": { "system": "Cart", "uses": [name], "spare": null } })
    };
    assert_eq!(
        list(&fixture, of("exporter/0000", 10)).await.unwrap(),
        json!([[of_service("s1000")], false])
    );
    let first = list(&fixture, of("exporter/0", 2)).await.unwrap();
    assert_eq!(
        first,
        json!([[of_service("s1000"), of_service("s0999")], true])
    );
    // A part of what they wrote would look like all of it, and the rest as if it could be deleted.
    let refused = list(&fixture, of("exporter/", 10)).await;
    assert!(
        matches!(refused, Err(Error::TooExpensive(_))),
        "{refused:?}"
    );
}
