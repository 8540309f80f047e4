//! Everything that is measured, in the text that Prometheus reads.
//!
//! Each floor counts what is its own; here is what belongs to the process, and the list of all of it. No label has a
//! value that a client or a plugin can choose without bound.

mod http;
mod process;

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

pub use http::HttpMetrics;

use crate::action::{self, Actions};
use crate::plugin::{PluginHost, SANDBOX_VERSION};
use crate::store::{self, Store};
use process::ProcessMetrics;

/// What is measured. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Of requests, by whoever answers them.
    pub http: HttpMetrics,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    actions: Actions,
    registry: Registry,
    bytes: Family<[(&'static str, &'static str); 1], Gauge>,
    process: ProcessMetrics,
    /// One reader at a time: what is looked at for one is not cleared by another.
    turn: Mutex<()>,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The runs cannot be counted.
    #[error("count the runs")]
    Actions(#[from] action::Error),
    /// The databases cannot be measured.
    #[error("measure the databases")]
    Store(#[from] store::Error),
    /// The text cannot be written.
    #[error("write the metrics")]
    Text(#[from] fmt::Error),
}

impl Metrics {
    pub(super) fn new(store: &Store, plugins: &PluginHost, actions: &Actions) -> Self {
        let mut registry = Registry::default();
        let process = ProcessMetrics::register(&mut registry);
        let own = registry.sub_registry_with_prefix("goldenpath");
        let versions = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("wasmtime", SANDBOX_VERSION),
        ];
        own.register(
            "build",
            "What the portal is made of",
            Info::new(versions.to_vec()),
        );
        let http = HttpMetrics::register(own);
        actions.register_metrics(own);
        plugins.register_metrics(own);
        store.register_metrics(own);
        let bytes = Family::default();
        own.register(
            "store_bytes",
            "Size of each database",
            Family::clone(&bytes),
        );
        Self {
            http,
            inner: Arc::new(Inner {
                store: store.clone(),
                actions: actions.clone(),
                registry,
                bytes,
                process,
                turn: Mutex::default(),
            }),
        }
    }

    /// All of it as of now, as `OpenMetrics` text.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn scrape(&self) -> Result<String, MetricsError> {
        let inner = &self.inner;
        let _turn = inner.turn.lock().await;
        inner.actions.measure().await?;
        for (database, bytes) in inner.store.measure().await? {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            inner
                .bytes
                .get_or_create(&[("database", database)])
                .set(bytes);
        }
        inner.process.measure();
        let mut text = String::new();
        encode(&mut text, &inner.registry)?;
        Ok(text)
    }
}
