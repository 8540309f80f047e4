//! Which queued run is carried out next: against a naive model, and by hand where it is about long queues.

use proptest::prelude::*;
use serde_json::Value;

use super::super::queue::{self, QueueLength};
use super::*;

/// What a test says of a run.
#[derive(Clone, Debug)]
struct Wanted {
    team: String,
    action: &'static str,
    plugin: &'static str,
    entity: Option<String>,
    engine: Value,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            team: "a".to_owned(),
            action: "hello",
            plugin: "hello",
            entity: None,
            engine: json!({}),
        }
    }
}

fn put(tx: &WriteTx<'_>, number: usize, wanted: &Wanted) -> Result<Run, Error> {
    let definition = json!({
        "identifier": wanted.action,
        "trigger": { "type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "System" },
        "invocationMethod": { "type": "PLUGIN", "plugin": wanted.plugin, "action": "hello" },
        "engine": wanted.engine,
    });
    let mut new = new(&format!("r_{number}"), wanted.action);
    new.definition = serde_json::from_value(definition).unwrap();
    new.blueprint = Some(BlueprintId::parse("System").unwrap());
    new.entity = wanted
        .entity
        .as_ref()
        .map(|entity| EntityId::parse(entity.as_str()).unwrap());
    let actor = Actor {
        teams: vec![wanted.team.clone()],
        ..Actor::system()
    };
    tx.insert_run(&actor, &new, None)
}

/// A transaction on an empty store.
fn on_empty<T: Send + 'static>(
    work: impl FnOnce(&WriteTx<'_>) -> Result<T, Error> + Send + 'static,
) -> T {
    let (_folder, store) = open();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(store.write(work)).unwrap()
}

fn next(tx: &WriteTx<'_>) -> Result<Option<Claim>, Error> {
    Ok(tx.claim_next("worker", 1)?.pop())
}

fn end(tx: &WriteTx<'_>, claim: &Claim) -> Result<(), Error> {
    let done = RunEnd::Succeeded(json!(null));
    tx.move_run(&claim.run.id, &RunMove::end(claim.token, done))?;
    Ok(())
}

fn number(claim: &Claim) -> usize {
    claim.run.id.as_str()["r_".len()..].parse().unwrap()
}

/// Claims and ends until nothing can be claimed: the numbers in the order in which they went.
fn drain(tx: &WriteTx<'_>) -> Result<Vec<usize>, Error> {
    let mut order = Vec::new();
    while let Some(claim) = next(tx)? {
        order.push(number(&claim));
        end(tx, &claim)?;
    }
    Ok(order)
}

#[test]
fn ten_thousand_runs_of_one_team_do_not_keep_another_team_waiting() {
    let order = on_empty(|tx| {
        for number in 0..10_000 {
            put(tx, number, &Wanted::default())?;
        }
        for _ in 0..100 {
            let claim = next(tx)?.unwrap();
            end(tx, &claim)?;
        }
        let other = Wanted {
            team: "b".to_owned(),
            ..Wanted::default()
        };
        put(tx, 10_000, &other)?;
        let claims = tx.claim_next("worker", 3)?;
        Ok(claims.iter().map(number).collect::<Vec<_>>())
    });
    assert!(order.contains(&10_000), "{order:?}");
}

#[test]
fn teams_take_turns_in_one_lane_and_between_lanes() {
    let order = on_empty(|tx| {
        for (index, team) in ["a", "b", "c"].into_iter().enumerate() {
            for run in 0..20 {
                let wanted = Wanted {
                    team: team.to_owned(),
                    plugin: if team == "c" { "other" } else { "hello" },
                    ..Wanted::default()
                };
                put(tx, index * 20 + run, &wanted)?;
            }
        }
        drain(tx)
    });
    let count = |of: &[usize]| {
        let mut had = [0_usize; 3];
        for number in of {
            had[number / 20] += 1;
        }
        had
    };
    let half = count(&order[..30]);
    assert!(half.iter().all(|had| (8..=12).contains(had)), "{half:?}");
    assert_eq!(count(&order), [20; 3]);
}

#[test]
fn a_team_that_asks_again_after_every_run_does_not_pass_those_that_wait() {
    let when = on_empty(|tx| {
        for number in 0..50 {
            put(tx, number, &Wanted::default())?;
        }
        let eager = Wanted {
            team: "eager".to_owned(),
            ..Wanted::default()
        };
        let mut theirs = 0;
        for count in 50..90 {
            put(tx, count, &eager)?;
            let claim = next(tx)?.unwrap();
            theirs += usize::from(number(&claim) >= 50);
            end(tx, &claim)?;
        }
        Ok(theirs)
    });
    assert!((10..=21).contains(&when), "{when}");
}

#[test]
fn the_higher_priority_goes_first_and_the_lowest_goes_at_last_however_many_follow() {
    let (first, low) = on_empty(|tx| {
        let of = |priority: i32| Wanted {
            engine: json!({ "priority": priority }),
            ..Wanted::default()
        };
        put(tx, 0, &of(-100))?;
        put(tx, 1, &of(0))?;
        put(tx, 2, &of(7))?;
        let first = next(tx)?.unwrap();
        end(tx, &first)?;
        for count in 3..1_000 {
            put(tx, count, &of(100))?;
            let claim = next(tx)?.unwrap();
            end(tx, &claim)?;
            if number(&claim) == 0 {
                return Ok((number(&first), count));
            }
        }
        Ok((number(&first), 1_000))
    });
    assert_eq!(first, 2);
    assert!(low < 100, "{low}");
}

#[test]
fn an_action_and_a_plugin_have_no_more_runs_at_work_than_they_have_places() {
    on_empty(|tx| {
        let limited = Wanted {
            action: "limited",
            engine: json!({ "concurrency": 2 }),
            ..Wanted::default()
        };
        for number in 0..5 {
            put(tx, number, &limited)?;
        }
        for number in 5..8 {
            put(tx, number, &Wanted::default())?;
        }
        let room = Room {
            runs: 10,
            per_plugin: Some(4),
        };
        let mut claims = tx.claim_next("worker", room)?;
        let at_work = |claims: &[Claim]| claims.iter().filter(|claim| number(claim) < 5).count();
        assert_eq!((claims.len(), at_work(&claims)), (4, 2));
        let at = claims.iter().position(|claim| number(claim) < 5).unwrap();
        end(tx, &claims.remove(at))?;
        // The place that it left is the plugin's as well: whoever takes it, there are no more than before.
        claims.extend(tx.claim_next("worker", room)?);
        assert_eq!(claims.len(), 4);
        assert!(at_work(&claims) <= 2);
        // Of what is left only one has a place, be it a limited one or the last of the others.
        assert_eq!(tx.claim_next("worker", 10)?.len(), 1);
        Ok(())
    });
}

#[test]
fn a_long_row_of_runs_that_share_their_entity_goes_on_as_it_is_claimed() {
    let order = on_empty(|tx| {
        let on = |engine: Value| Wanted {
            entity: Some("Cart".to_owned()),
            engine,
            ..Wanted::default()
        };
        put(tx, 0, &on(json!({})))?;
        for number in 1..60 {
            put(tx, number, &on(json!({ "perEntity": "parallel" })))?;
        }
        put(tx, 60, &on(json!({})))?;
        let alone = tx.claim_next("worker", 100)?;
        assert_eq!(alone.iter().map(number).collect::<Vec<_>>(), [0]);
        end(tx, &alone[0])?;
        let together = tx.claim_next("worker", 100)?;
        assert_eq!(together.len(), 59);
        for claim in &together {
            end(tx, claim)?;
        }
        drain(tx)
    });
    assert_eq!(order, [60]);
}

#[test]
fn each_persons_queued_runs_are_counted_beside_those_of_all() {
    on_empty(|tx| {
        for (number, name) in ["ada", "ada", "grace"].into_iter().enumerate() {
            let actor = Actor {
                name: name.to_owned(),
                ..Actor::system()
            };
            tx.insert_run(&actor, &new(&format!("r_{number}"), "hello"), None)?;
        }
        let length = |caller: &str| tx.find_queue_length(caller);
        assert_eq!(length("ada")?, QueueLength { all: 3, own: 2 });
        assert_eq!(length("grace")?, QueueLength { all: 3, own: 1 });
        assert_eq!(length("nobody")?, QueueLength { all: 3, own: 0 });
        let removed = "DELETE FROM run WHERE id = 'r_2'";
        assert_eq!(tx.connection.execute(removed, [])?, 1);
        assert_eq!(length("grace")?, QueueLength { all: 2, own: 0 });
        drain(tx)?;
        assert_eq!(length("ada")?, QueueLength { all: 0, own: 0 });
        Ok(())
    });
}

#[test]
fn no_statement_of_the_queue_looks_through_it() {
    on_empty(|tx| {
        for sql in queue::statements() {
            let mut statement = tx
                .connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let unbound = vec![Sql::Null; statement.parameter_count()];
            let plan: Vec<String> = statement
                .query_map(params_from_iter(unbound), |row| row.get(3))?
                .collect::<Result<_, _>>()?;
            for step in &plan {
                let looks = step.starts_with("SCAN ") && step != "SCAN CONSTANT ROW";
                assert!(!looks && !step.contains("TEMP B-TREE"), "{sql}\n{plan:#?}");
            }
            assert!(!plan.is_empty());
        }
        Ok(())
    });
}

/// A run as the naive model has it.
#[derive(Clone, Debug)]
struct Naive {
    wanted: Wanted,
    priority: i64,
    is_serial: bool,
    state: RunState,
    /// When it came to wait for its entity.
    since: usize,
    /// Whether it has its entity, though it is queued: it waited for a retry, or was cut off.
    keeps: bool,
    token: u64,
}

impl Naive {
    fn has_entity(&self) -> bool {
        matches!(self.state, RunState::Running | RunState::WaitingForRetry)
            || self.state == RunState::Queued && self.keeps
    }
}

/// Places of the action of the model that has a limit.
const PLACES: usize = 2;

/// Those that could be claimed: found by looking at all of them.
fn claimable(runs: &[Naive]) -> Vec<usize> {
    let may = |run: &Naive| {
        let at_work = runs.iter().filter(|other| {
            other.state == RunState::Running && other.wanted.action == run.wanted.action
        });
        let has_place = run.wanted.action != "limited" || at_work.count() < PLACES;
        let has_entity = run.keeps
            || run.wanted.entity.is_none()
            || runs.iter().all(|other| {
                let is_before = other.has_entity()
                    || other.state == RunState::Queued && other.since < run.since;
                !is_before
                    || other.wanted.entity != run.wanted.entity
                    || !other.is_serial && !run.is_serial
            });
        run.state == RunState::Queued && has_place && has_entity
    };
    (0..runs.len()).filter(|index| may(&runs[*index])).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Ask(Wanted, i64, bool),
    Claim,
    Move(usize, RunCause),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ask = (0..3_usize, 0..3_usize, 0..4_usize, -1..2_i64, any::<bool>()).prop_map(
        |(team, kind, entity, priority, is_serial)| {
            let mut engine = json!({
                "priority": priority,
                "perEntity": if is_serial { "serial" } else { "parallel" },
            });
            if kind == 0 {
                engine["concurrency"] = json!(PLACES);
            }
            let wanted = Wanted {
                team: ["a", "b", "c"][team].to_owned(),
                action: ["limited", "free", "other"][kind],
                plugin: ["one", "one", "two"][kind],
                entity: (entity > 0).then(|| format!("E{entity}")),
                engine,
            };
            Step::Ask(wanted, priority, is_serial)
        },
    );
    let causes = prop::sample::select(vec![
        RunCause::Succeed,
        RunCause::Cancel,
        RunCause::Retry,
        RunCause::Sleep,
        RunCause::Wake,
        RunCause::HandOver,
        RunCause::LoseTrack,
    ]);
    let moved = (any::<prop::sample::Index>(), causes)
        .prop_map(|(index, cause)| Step::Move(index.index(1_000), cause));
    prop::collection::vec(
        prop_oneof![3 => ask, 4 => Just(Step::Claim), 4 => moved],
        1..90,
    )
}

/// Claims as the store does and sees that the model allows it.
fn claim_checked(tx: &WriteTx<'_>, runs: &mut [Naive]) -> Result<bool, Error> {
    let expected = claimable(runs);
    let Some(claim) = next(tx)? else {
        assert_eq!(expected, [0_usize; 0], "nothing was claimed of {runs:#?}");
        return Ok(false);
    };
    let index = number(&claim);
    assert!(
        expected.contains(&index),
        "{index} of {expected:?} in {runs:#?}"
    );
    let highest = expected.iter().map(|index| runs[*index].priority).max();
    let is_first = Some(runs[index].priority) == highest || expected.first() == Some(&index);
    assert!(is_first, "{index} of {expected:?} in {runs:#?}");
    runs[index].state = RunState::Running;
    runs[index].token = claim.token;
    Ok(true)
}

/// Sees that the length of the queue is told as a look at all runs has it.
fn assert_length(tx: &WriteTx<'_>, runs: &[Naive]) -> Result<(), Error> {
    let queued = runs.iter().filter(|run| run.state == RunState::Queued);
    let queued = u64::try_from(queued.count()).unwrap();
    let (all, own) = (queued, queued);
    let caller = Actor::system().name;
    assert_eq!(tx.find_queue_length(&caller)?, QueueLength { all, own });
    Ok(())
}

fn play(tx: &WriteTx<'_>, steps: Vec<Step>) -> Result<(), Error> {
    let mut runs: Vec<Naive> = Vec::new();
    for (now, step) in steps.into_iter().enumerate() {
        match step {
            Step::Ask(wanted, priority, is_serial) => {
                put(tx, runs.len(), &wanted)?;
                runs.push(Naive {
                    wanted,
                    priority,
                    is_serial,
                    state: RunState::Queued,
                    since: now,
                    keeps: false,
                    token: 0,
                });
            }
            Step::Claim => {
                claim_checked(tx, &mut runs)?;
            }
            Step::Move(index, cause) if !runs.is_empty() => {
                let index = index % runs.len();
                let run = &mut runs[index];
                let id = RunId::parse(format!("r_{index}")).unwrap();
                let moved = tx.move_run(&id, &RunMove::by(cause))?;
                let expected = run.state.after(cause);
                assert_eq!(moved.map(|moved| moved.run.state), expected);
                if let Some(state) = expected {
                    // After a sleep it waits for its entity like one that was just accepted.
                    run.keeps = state == RunState::Queued && run.state != RunState::Sleeping;
                    run.since = now;
                    run.state = state;
                }
            }
            Step::Move(..) => {}
        }
        assert_length(tx, &runs)?;
    }
    // Whatever happened, the rest goes on to its end.
    loop {
        while claim_checked(tx, &mut runs)? {}
        let under_way = |run: &Naive| !run.state.is_terminal() && run.state != RunState::Queued;
        let Some(index) = runs.iter().position(under_way) else {
            let is_over = runs.iter().all(|run| run.state.is_terminal());
            assert!(is_over, "stuck: {runs:#?}");
            return assert_length(tx, &runs);
        };
        let id = RunId::parse(format!("r_{index}")).unwrap();
        tx.move_run(&id, &RunMove::by(RunCause::Cancel))?;
        runs[index].state = RunState::Cancelled;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_claimed_is_what_a_look_at_all_runs_allows(steps in steps()) {
        on_empty(move |tx| play(tx, steps));
    }
}
