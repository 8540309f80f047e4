//! What every route can reach.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRef;

use super::host::Hosts;
use super::openapi::Rights;
use super::quota::Requests;
use crate::app::App;
use crate::catalog::MAX_BYTES;
use crate::model::Digest;

/// How the door is set up.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The address that the server listens on; its own name in `Host` is allowed.
    pub listen: Option<SocketAddr>,
    /// How clients reach the server, `https://portal.example.com`; its host is allowed.
    pub public_url: Option<String>,
    /// Further names that clients may use in `Host`, without port.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Longest JSON body, in bytes.
    pub body_limit: usize,
    /// Longest JSON body of an apply, in bytes.
    pub apply_limit: usize,
    /// Longest plugin package, in bytes.
    pub package_limit: usize,
    /// How long a client may pause while it sends a body.
    pub body_pause: Duration,
    /// How long a whole request may take, its answer's stream not counted.
    pub request_time: Duration,
    /// Event streams that one principal may hold open.
    pub streams_per_principal: usize,
    /// Requests that one principal may send within five minutes; absent: any number.
    pub request_limit: Option<u64>,
    /// Hash of the token that shows the metrics; absent: they are not shown.
    pub metrics_token: Option<Digest>,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            body_limit: 8 << 20,
            apply_limit: MAX_BYTES,
            package_limit: 32 << 20,
            body_pause: Duration::from_secs(15),
            // The longest `Prefer: wait` is 60 s; a package on a slow line takes longer.
            request_time: Duration::from_secs(180),
            streams_per_principal: 16,
            request_limit: None,
            metrics_token: None,
        }
    }
}

/// The state of the router.
#[derive(Clone)]
pub(super) struct ApiState {
    pub(super) app: App,
    pub(super) door: Arc<Door>,
}

/// What was made once, when the router was built.
pub(super) struct Door {
    pub(super) settings: ApiSettings,
    pub(super) hosts: Hosts,
    pub(super) rights: Rights,
    pub(super) openapi: Bytes,
    pub(super) docs: Bytes,
    /// Open event streams by the name of their principal.
    pub(super) streams: Mutex<HashMap<String, usize>>,
    pub(super) requests: Requests,
}

impl FromRef<ApiState> for App {
    fn from_ref(state: &ApiState) -> Self {
        state.app.clone()
    }
}

impl FromRef<ApiState> for Arc<Door> {
    fn from_ref(state: &ApiState) -> Self {
        Arc::clone(&state.door)
    }
}
