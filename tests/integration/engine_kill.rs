//! What becomes of many runs while the portal is killed again and again. The server counts what was really done.

use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use goldenpath_tests::{
    Answer, Client, Guest, Portal, Received, Server, component, guests_dir, long,
};
use serde_json::{Value, json};

use crate::{guest_target, program};

const MANIFEST: &str = r#"
[[capabilities.http]]
endpoint = "api"
methods = ["POST"]
paths = ["/*"]
reason = "to do it"

[endpoints.api]
reason = "to have something to do"
"#;

const KINDS: [&str; 3] = ["none", "idempotent", "once"];

const CLIENTS: usize = 3;

/// Runs that can be in flight when the portal is killed.
const WORKERS: usize = 8;

/// A portal that does nothing for so long is stuck: the test fails then instead of waiting for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// For how many effects each kill waits is decided by this; where that finds the runs is up to the machine.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// The accepted run of each key.
type Accepted = BTreeMap<usize, String>;

fn ask(client: &Client, number: usize) -> Option<String> {
    let path = format!("/v1/actions/walks-{}/runs", KINDS[number % KINDS.len()]);
    let key = format!("key-{number}");
    let body = json!({"properties": {}});
    let reply = client.try_post_with(&path, &[("idempotency-key", &key)], &body)?;
    assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
    Some(
        reply.json()["run"]["id"]
            .as_str()
            .expect("an id")
            .to_owned(),
    )
}

/// Asks for runs from several clients, and for those again that had no answer, until all are accepted or the portal is gone.
fn ask_all(client: &Client, numbers: std::ops::Range<usize>, accepted: &Mutex<Accepted>) {
    std::thread::scope(|scope| {
        for own in 0..CLIENTS {
            let numbers = numbers.clone();
            scope.spawn(move || {
                for number in numbers.filter(|number| number % CLIENTS == own) {
                    let Some(run) = ask(client, number) else {
                        return;
                    };
                    let mut all = accepted.lock().expect("no client panicked");
                    let before = all.insert(number, run.clone());
                    assert!(
                        before.is_none_or(|before| before == run),
                        "one key, one run"
                    );
                }
            });
        }
    });
}

fn install(portal: &Portal, server: &Server) {
    let component = component(&guest_target(), &guests_dir(), Some("takes_steps"));
    let description = Guest::describe(&component);
    let bound = json!({"urls": [server.url()], "allowPrivate": true, "allowPlaintext": true});
    for kind in KINDS {
        let name = format!("walker-{kind}");
        let guest = Guest::new(&name, component.clone(), &description)
            .with_manifest(MANIFEST)
            .with_engine("walks", &format!("walks-{kind}"), kind, &json!({}));
        portal.install_bound(&guest, &json!({ "api": bound }));
    }
}

#[test]
fn no_accepted_run_is_lost_and_nothing_is_done_twice_that_is_done_once() {
    let (rounds, per_round) = if long("180 of 200 rounds of kill -9 among 10,000 runs") {
        (200, 50)
    } else {
        (20, 18)
    };
    eprintln!("seed {SEED:#x}");
    let (done, effects_done) = mpsc::channel();
    let server = Server::start(move |request: &Received| {
        done.send(()).expect("the test listens longer than this");
        Answer::new(200, request.target.clone())
    });
    let mut portal = Portal::start_with(
        program(),
        &["--egress-allow-private", "--workers", &WORKERS.to_string()],
    );
    install(&portal, &server);
    let accepted = Mutex::new(Accepted::new());
    let mut seed = SEED;
    for round in 0..rounds {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Fewer than the effects of a round, so that they surely come; what is left is done after the kill.
        let enough = 1 + usize::try_from(seed % 30).expect("small");
        let client = portal.admin().clone();
        // What was done since the last kill is no sign of this round. Before anything of this round is: all of that counts.
        while effects_done.try_recv().is_ok() {}
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ask_all(
                    &client,
                    round * per_round..(round + 1) * per_round,
                    &accepted,
                )
            });
            for _ in 0..enough {
                effects_done
                    .recv_timeout(PATIENCE)
                    .expect("the runs of the round go on");
            }
            portal.kill();
        });
        portal.restart();
        ask_all(
            portal.admin(),
            round * per_round..(round + 1) * per_round,
            &accepted,
        );
    }
    let accepted = accepted.into_inner().expect("no client panicked");
    assert_eq!(accepted.len(), rounds * per_round);
    let mut effects = BTreeMap::<String, usize>::new();
    let runs: Vec<(usize, Value)> = accepted
        .iter()
        .map(|(number, run)| (*number, ended(portal.admin(), run)))
        .collect();
    for request in server.received() {
        let key = request
            .header("idempotency-key")
            .first()
            .map(|key| (*key).to_owned());
        *effects.entry(key.unwrap_or_default()).or_default() += 1;
    }
    let mut states = BTreeMap::<String, usize>::new();
    let mut twice = BTreeMap::<&str, usize>::new();
    for (number, run) in &runs {
        let kind = KINDS[number % KINDS.len()];
        let state = run["state"].as_str().expect("a state");
        *states.entry(format!("{kind} {state}")).or_default() += 1;
        let is_done = state == "succeeded";
        let is_unknown = state == "outcome_unknown" && kind == "once";
        // As the contract has it of what was there whenever the portal went down.
        let is_given_up = run["failure"]["code"] == "host_restarted" && kind != "once";
        assert!(is_done || is_unknown || is_given_up, "{run}");
        let id = run["id"].as_str().expect("an id");
        for step in 1..=3 {
            let count = effects.get(&format!("{id}.{step}")).copied().unwrap_or(0);
            *twice.entry(kind).or_default() += count.saturating_sub(1);
            assert!(
                kind != "once" || count <= 1,
                "step {step} was done {count} times: {run}"
            );
            assert!(!is_done || count >= 1, "step {step} was never done: {run}");
        }
        assert_eq!(
            ask(portal.admin(), *number).as_deref(),
            Some(id),
            "one key, one run"
        );
    }
    let unknown = states.get("once outcome_unknown").copied();
    assert!(
        unknown.unwrap_or(0) <= rounds * WORKERS,
        "more are unknown than were in flight: {states:?}"
    );
    let all = server.received().len();
    eprintln!(
        "{} runs, {rounds} kills: {states:?}; {all} effects, done again: {twice:?}",
        runs.len()
    );
    portal.kill();
    let data = portal.data();
    let data = data.to_str().expect("a path in UTF-8");
    let checked = portal.cli(&["--json", "doctor", "--data", data]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
}

/// The run once it has ended; its events are all there, one after the other.
fn ended(client: &Client, run: &str) -> Value {
    let ids: Vec<u64> = client.events(run, None).map(|event| event.id).collect();
    let expected: Vec<u64> = (1..).take(ids.len()).collect();
    assert_eq!(ids, expected, "{run}");
    let path = format!("/v1/actions/runs/{run}");
    client.get(&path).with_status(200).json()["run"].clone()
}
