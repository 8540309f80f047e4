//! Where endpoints are. A plugin learns only of those that it may send something to, and of these all that it could
//! learn from an answer.

use crate::plugin::bindings::endpoints;
use crate::plugin::instance::Guest;

impl endpoints::Host for Guest {
    async fn urls(
        &mut self,
        endpoint: String,
    ) -> wasmtime::Result<Result<Vec<String>, endpoints::Error>> {
        self.spend_call()?;
        let mut urls: Vec<String> = Vec::new();
        let rules = self.power.http.iter();
        for rule in rules.filter(|rule| rule.endpoint == endpoint) {
            let url = rule.base.to_string();
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        if !urls.is_empty() {
            self.tally.endpoint(&endpoint);
            return Ok(Ok(urls));
        }
        let named = endpoint.chars().filter(char::is_ascii_graphic);
        let named: String = named.take(63).collect();
        let missing = format!("any http line of endpoint {named}");
        let denial = self.deny(missing, "[[capabilities.http]]").await;
        Ok(Err(endpoints::Error::Denied(denial)))
    }
}
