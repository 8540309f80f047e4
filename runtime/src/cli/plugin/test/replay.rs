//! Replaying: requests are answered from the exchanges of a case.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::exchange::{Exchange, Received, Response};
use super::report::Problem;
use super::server::Responder;

/// Answers from the exchanges of a case: each serves one request, the first in their order that is the same.
pub(super) struct Replay {
    state: Mutex<State>,
}

struct State {
    exchanges: Vec<(Exchange, bool)>,
    unmatched: Vec<Received>,
}

impl Replay {
    pub(super) fn of(exchanges: &[Exchange]) -> Self {
        let exchanges = exchanges.iter().map(|one| (one.clone(), false));
        Self {
            state: Mutex::new(State {
                exchanges: exchanges.collect(),
                unmatched: Vec::new(),
            }),
        }
    }
}

/// The exchange that a request differs from in the fewest things, and in which.
fn nearest(exchanges: &[(Exchange, bool)], received: &Received) -> Option<String> {
    let exchanges = exchanges.iter().enumerate();
    let held = exchanges.map(|(index, (exchange, used))| {
        let mut differs = exchange.differs(received);
        if *used {
            differs.push("it was answered already".to_owned());
        }
        (index, differs)
    });
    let (index, differs) = held.min_by_key(|(_, differs)| differs.len())?;
    Some(format!("nearest is /http/{index}: {}", differs.join("; ")))
}

impl Responder for Replay {
    fn answer(&self, request: Received) -> Response {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unused = state.exchanges.iter_mut().filter(|(_, used)| !used);
        let found = unused.find(|(exchange, _)| exchange.differs(&request).is_empty());
        if let Some((exchange, used)) = found {
            *used = true;
            return exchange.response.clone();
        }
        state.unmatched.push(request);
        Response {
            status: 501,
            headers: BTreeMap::new(),
            body: Some(Value::String("no exchange of the case is this".to_owned())),
            body_base64: None,
        }
    }

    /// What was asked beside the exchanges, and which of them nobody asked for.
    fn problems(&self) -> Vec<Problem> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unmatched = state.unmatched.iter().map(|received| {
            let line = received.line();
            let message = match nearest(&state.exchanges, received) {
                Some(near) => format!("`{line}` is in no exchange; {near}"),
                None => format!("`{line}` is in no exchange; the case has none"),
            };
            Problem::new("unmatched_request", message)
        });
        let exchanges = state.exchanges.iter().enumerate();
        let unused = exchanges.filter(|(_, (exchange, used))| !used && !exchange.optional);
        let unused = unused.map(|(index, (exchange, _))| {
            let line = exchange.request.line();
            let message = format!("/http/{index}: `{line}` was not sent");
            Problem::new("unused_exchange", message)
        });
        unmatched.chain(unused).collect()
    }
}
