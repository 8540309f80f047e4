//! Puts a generated catalog into a running portal by bulk upsert.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::generator::{Batch, Generator, Kind};

/// How a catalog is sent.
#[derive(Clone, Copy, Debug)]
pub struct LoadSettings {
    /// Entities in one request, at most 1,000.
    pub batch: usize,
    /// Requests that are under way at once.
    pub connections: usize,
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self {
            batch: 1_000,
            connections: 2,
        }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// Entities that were written.
    pub entities: usize,
    /// From the first request with entities to the last answer.
    pub time: Duration,
}

impl Loaded {
    /// Entities in a second.
    pub fn rate(&self) -> f64 {
        self.entities as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }
}

/// Creates the blueprints, then writes all entities, kind after kind. Memory stays flat: batches are made as they are
/// sent.
///
/// # Panics
/// The portal refuses anything: a generated catalog is right, so the portal is not.
pub fn load(
    client: &Client,
    generator: &Generator,
    blueprints: &[Value],
    settings: LoadSettings,
) -> Loaded {
    let documents: Vec<Value> = blueprints
        .iter()
        .map(|value| json!({"source": "generated", "kind": "blueprint", "value": value}))
        .collect();
    client
        .post("/v1/catalog/apply", &json!({ "documents": documents }))
        .with_status(200);
    let began = Instant::now();
    let mut entities = 0;
    // What an entity points at has to be there before it, so that each kind waits for the one before.
    for kind in Kind::ALL {
        entities += load_kind(client, generator, kind, settings);
    }
    Loaded {
        entities,
        time: began.elapsed(),
    }
}

fn load_kind(client: &Client, generator: &Generator, kind: Kind, settings: LoadSettings) -> usize {
    let (sender, receiver) = sync_channel::<Batch>(settings.connections);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..settings.connections.max(1))
            .map(|_| scope.spawn(|| send_all(client, &receiver)))
            .collect();
        for batch in generator.batches_of(kind, settings.batch) {
            if sender.send(batch).is_err() {
                break;
            }
        }
        drop(sender);
        senders
            .into_iter()
            .map(|sender| sender.join().expect("the portal takes every entity"))
            .sum()
    })
}

fn send_all(client: &Client, batches: &Mutex<Receiver<Batch>>) -> usize {
    let mut written = 0;
    loop {
        let next = batches.lock().expect("no other sender failed").recv();
        let Ok(batch) = next else { return written };
        let path = format!(
            "/v1/blueprints/{}/entities/bulk?upsert=true",
            batch.kind.blueprint()
        );
        written += batch.entities.len();
        client
            .post(&path, &json!({"entities": batch.entities}))
            .with_status(200);
    }
}
