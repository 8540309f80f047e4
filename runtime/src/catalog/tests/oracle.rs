//! The catalog beside a model of it that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// One entity of the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    size: Option<i64>,
    next: Option<String>,
    must: Option<String>,
    many: Vec<String>,
}

#[derive(Clone, Debug)]
enum Step {
    Write(WriteMode, String, Change),
    Delete(String, Dependents),
}

/// What a draft names: `None` leaves a field out, `Some(None)` clears it.
#[derive(Clone, Debug)]
struct Change {
    size: Option<Option<i64>>,
    next: Option<Option<String>>,
    must: Option<Option<String>>,
    many: Option<Vec<String>>,
}

type Model = BTreeMap<String, Row>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || "[abcd]";
    let mode = prop_oneof![
        Just(WriteMode::Create),
        Just(WriteMode::Replace),
        Just(WriteMode::Merge),
        Just(WriteMode::Update),
        Just(WriteMode::Overwrite),
    ];
    let field = || proptest::option::of(proptest::option::of(name()));
    let change = (
        proptest::option::of(proptest::option::of(0..3_i64)),
        field(),
        field(),
        proptest::option::of(proptest::collection::vec(name(), 0..4)),
    )
        .prop_map(|(size, next, must, many)| Change {
            size,
            next,
            must,
            many,
        });
    let step = prop_oneof![
        4 => (mode, name(), change).prop_map(|(mode, id, change)| Step::Write(mode, id, change)),
        1 => (name(), prop_oneof![Just(Dependents::Keep), Just(Dependents::Delete)])
            .prop_map(|(id, dependents)| Step::Delete(id, dependents)),
    ];
    proptest::collection::vec(step, 1..25)
}

impl Change {
    fn draft(&self, id: &str) -> Value {
        let mut properties = json!({});
        let mut relations = json!({});
        if let Some(size) = self.size {
            properties["size"] = json!(size);
        }
        for (name, value) in [("next", &self.next), ("must", &self.must)] {
            if let Some(value) = value {
                relations[name] = json!(value);
            }
        }
        if let Some(many) = &self.many {
            relations["many"] = json!(many);
        }
        json!({ "identifier": id, "properties": properties, "relations": relations })
    }
}

/// Does a step to the model; `None` where it must be refused.
fn carry_out(model: &Model, step: &Step) -> Option<Model> {
    let mut after = model.clone();
    match step {
        Step::Write(mode, id, change) => {
            let known = model.get(id);
            let base = match (mode, known) {
                (WriteMode::Create, Some(_)) | (WriteMode::Update | WriteMode::Overwrite, None) => {
                    return None;
                }
                (WriteMode::Merge | WriteMode::Update, Some(row)) => row.clone(),
                _ => Row::default(),
            };
            let mut row = Row {
                size: change.size.unwrap_or(base.size),
                next: change.next.clone().unwrap_or(base.next),
                must: change.must.clone().unwrap_or(base.must),
                many: change.many.clone().unwrap_or(base.many),
            };
            let mut seen = BTreeSet::new();
            row.many.retain(|target| seen.insert(target.clone()));
            row.must.as_ref()?;
            after.insert(id.clone(), row.clone());
            let targets = row.next.iter().chain(&row.must).chain(&row.many);
            targets
                .into_iter()
                .all(|target| after.contains_key(target))
                .then_some(after)
        }
        Step::Delete(id, dependents) => {
            after.remove(id)?;
            if *dependents == Dependents::Delete {
                loop {
                    let lost: Vec<String> = after
                        .iter()
                        .filter(|(_, row)| {
                            let mut targets = row.next.iter().chain(&row.must).chain(&row.many);
                            targets.any(|target| !after.contains_key(target))
                        })
                        .map(|(name, _)| name.clone())
                        .collect();
                    if lost.is_empty() {
                        return Some(after);
                    }
                    lost.iter().for_each(|name| drop(after.remove(name)));
                }
            }
            for row in after.values_mut() {
                if row.must.as_ref() == Some(id) {
                    return None;
                }
                row.next.take_if(|target| target == id);
                row.many.retain(|target| target != id);
            }
            Some(after)
        }
    }
}

async fn compare(steps: Vec<Step>) {
    let fixture = Fixture::new();
    let node = json!({
        "identifier": "Node", "title": "Node",
        "schema": { "properties": { "size": { "type": "number" } } },
        "relations": {
            "next": { "target": "Node" },
            "must": { "target": "Node", "required": true },
            "many": { "target": "Node", "many": true },
        },
    });
    fixture.apply(vec![node], vec![]).await.unwrap();
    let mut model = Model::new();
    for step in steps {
        let rows = fixture.audit().await.len();
        let done = match &step {
            Step::Write(mode, id, change) => fixture
                .write("Node", change.draft(id), *mode)
                .await
                .map(drop),
            Step::Delete(id, dependents) => fixture.delete("Node", id, *dependents).await,
        };
        let after = carry_out(&model, &step);
        assert_eq!(
            done.is_ok(),
            after.is_some(),
            "{step:?} on {model:?}: {done:?}"
        );
        let after = after.unwrap_or_else(|| model.clone());
        let changed: BTreeSet<&String> = model
            .keys()
            .chain(after.keys())
            .filter(|id| model.get(*id) != after.get(*id))
            .collect();
        assert_eq!(
            fixture.audit().await.len() - rows,
            changed.len(),
            "{step:?} on {model:?}"
        );
        model = after;
        let stored = fixture
            .catalog
            .list_entities(&id("Node"), None, 100)
            .await
            .unwrap();
        let stored: Model = stored
            .into_iter()
            .map(|entity| row_of(entity.value))
            .collect();
        assert_eq!(stored, model, "{step:?}");
    }
}

fn row_of(entity: Entity) -> (String, Row) {
    let targets = |name: &str| -> Vec<String> {
        entity.relations[name]
            .targets()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let row = Row {
        size: entity.properties.get("size").and_then(Value::as_i64),
        next: targets("next").pop(),
        must: targets("must").pop(),
        many: targets("many"),
    };
    (entity.identifier.to_string(), row)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writes_and_deletions_do_what_the_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(steps));
    }
}
