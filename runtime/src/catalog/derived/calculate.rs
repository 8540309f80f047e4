//! Calculations: jq filters over entities, in worker processes that can be killed.
//!
//! A filter runs over many entities at once, each filter in a call of its own: what has to be killed then takes no
//! other filter's values along. See [`BATCH`] for what that costs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::graph::{CalculationPlan, Plan};
use super::make::Subject;
use crate::jq::{Expression, Jq, JqError};

/// Entities that one call takes along.
///
/// Measured on two cores of a shared machine, an entity of 500 bytes and a filter of one condition (`cargo bench -- jq`): 85 µs for one entity alone, and for each of 10 20 µs, of 50 14 µs,
/// of 250 10 µs, of 1,000 9.5 µs. More would gain nothing, and take more along when a filter has to be killed.
pub(super) const BATCH: usize = 250;

/// How long one call may take, honest filters need a few milliseconds.
const CALL_TIME: Duration = Duration::from_secs(4);

/// Bytes of the JSON of one value. A filter makes of a small entity as much as it likes, for every entity.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// How often a filter may have to be killed before it is left alone for a while.
const STRIKES: u32 = 2;

/// How long it is then left alone.
const REST: Duration = Duration::from_secs(600);

/// Filters whose strikes are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Runs calculations, and remembers which filters had to be killed.
#[derive(Debug)]
pub(super) struct Calculator {
    jq: Option<Jq>,
    strikes: Mutex<HashMap<String, (u32, Instant)>>,
}

/// No worker process can be started: nothing is wrong with any filter, and all of it has to wait.
#[derive(Debug)]
pub(super) struct NoWorkers(pub(super) String);

impl Calculator {
    pub(super) fn new(jq: Option<Jq>) -> Self {
        Self {
            jq,
            strikes: Mutex::default(),
        }
    }

    pub(super) fn jq(&self) -> Option<&Jq> {
        self.jq.as_ref()
    }

    /// Makes all calculations of some entities of one blueprint.
    pub(super) async fn calculate(
        &self,
        plan: &Plan,
        subjects: &mut [Subject],
    ) -> Result<(), NoWorkers> {
        for calculation in &plan.calculations {
            for batch in subjects.chunks_mut(BATCH) {
                self.run(calculation, batch).await?;
            }
        }
        Ok(())
    }

    async fn run(
        &self,
        calculation: &CalculationPlan,
        batch: &mut [Subject],
    ) -> Result<(), NoWorkers> {
        let name = &calculation.name;
        if self.rests(&calculation.filter) {
            let minutes = REST.as_secs() / 60;
            let message = format!(
                "the filter had to be killed {STRIKES} times and rests for {minutes} minutes; mend it, which ends that at once"
            );
            for subject in batch.iter_mut() {
                subject.fail(name, message.clone());
            }
            return Ok(());
        }
        let expressions = batch.iter().map(|subject| Expression {
            filter: calculation.filter.clone(),
            input: Arc::new(input(subject, &calculation.sees)),
        });
        let results = match &self.jq {
            Some(jq) => jq.eval_within(expressions.collect(), CALL_TIME).await,
            None => return Err(NoWorkers("this program runs no jq".to_owned())),
        };
        let mut killed = false;
        for (subject, result) in batch.iter_mut().zip(results) {
            match result {
                Ok(Value::Null) => subject.set(name, None),
                Ok(value) if !calculation.kind.holds(&value) => {
                    let wanted = calculation.kind.as_str();
                    let message = format!(
                        "the filter gave {}, not a value of type {wanted}",
                        kind(&value)
                    );
                    subject.fail(name, message);
                }
                Ok(value) if value.to_string().len() > MAX_VALUE_BYTES => {
                    let message =
                        format!("the filter gave more than {MAX_VALUE_BYTES} bytes of JSON");
                    subject.fail(name, message);
                }
                Ok(value) => subject.set(name, Some(value)),
                Err(JqError::Unavailable(why)) => return Err(NoWorkers(why)),
                Err(error) => {
                    killed |= matches!(error, JqError::Deadline | JqError::Crashed);
                    subject.fail(name, error.to_string());
                }
            }
        }
        if killed {
            self.strike(&calculation.filter);
        }
        Ok(())
    }

    fn rests(&self, filter: &str) -> bool {
        let strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        strikes
            .get(filter)
            .is_some_and(|(count, last)| *count >= STRIKES && last.elapsed() < REST)
    }

    fn strike(&self, filter: &str) {
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        if strikes.len() >= MAX_REMEMBERED {
            strikes.clear();
        }
        let now = Instant::now();
        let (count, last) = strikes.entry(filter.to_owned()).or_insert((0, now));
        if last.elapsed() >= REST {
            *count = 0;
        }
        *count += 1;
        *last = now;
    }
}

/// What a filter reads: the entity as the API shows it, of its derived properties those that the filter names.
fn input(subject: &Subject, sees: &[String]) -> Value {
    let entity = &subject.entity.value;
    let stamp = &subject.entity.stamp;
    let mut properties: Map<String, Value> = entity.properties.clone();
    for name in sees {
        let value = subject.new.properties.get(name).cloned();
        properties.insert(name.clone(), value.unwrap_or_default());
    }
    json!({
        "identifier": entity.identifier,
        "title": entity.title,
        "icon": entity.icon,
        "blueprint": entity.blueprint,
        "team": entity.team,
        "properties": properties,
        "relations": entity.relations,
        "createdAt": stamp.created_at,
        "createdBy": stamp.created_by,
        "updatedAt": stamp.updated_at,
        "updatedBy": stamp.updated_by,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
