//! Calling a plugin: which version, with what power, and what becomes of its answer.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use tracing::{Instrument as _, field};

use super::bindings::{ActionPluginPre, Call, Failure};
use super::budget::Budget;
use super::capability::log::{LogBook, escape};
use super::denial::Denials;
use super::error::CallError;
use super::grant::{Effective, Grant};
use super::instance::{self, Caller, Ends, Guest, Provision};
use super::journal::Pages;
use super::loaded::{Loaded, LoadedAction};
use super::refused::RefusedCall;
use super::running::{Halt, Interrupt, halt, interrupted};
use super::secret::Redactor;
use super::usage::Tally;
use super::{ActionCall, PluginHost, apart, json, metrics, schema};
use crate::model::{
    Acts, CallUsage, Counted, Effects, PluginName, PluginState, Timestamp, UsageKind, Violation,
};
use crate::store::{self, StoredPlugin};

/// Broken rules that a guest may name; more help nobody.
const VIOLATIONS: usize = 100;

/// Missing lines that a failure names; the log and the audit have them all.
const LINES: usize = 5;

/// A version of a plugin with its power as of the moment when it was prepared: good for one call, at once.
///
/// When a decision about versions was taken since, the call is prepared anew as it begins.
pub struct Prepared {
    plugin: PluginName,
    loaded: Arc<Loaded>,
    power: Arc<Effective>,
    pre: ActionPluginPre<Guest>,
    version: semver::Version,
    /// The version that was named, where one was.
    exact: Option<semver::Version>,
    /// How many decisions had been taken when the grant was read.
    sweeps: u64,
    /// When the version came in.
    installed_at: Timestamp,
}

impl PluginHost {
    /// The input schema of one action of the active, or an exact, version.
    ///
    /// # Errors
    /// There is no such plugin, version or action.
    pub async fn find_input_schema(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
        action: &str,
    ) -> Result<Value, CallError> {
        let stored = self.stored(plugin, version).await?;
        let loaded = self
            .load(stored.version.digest)
            .await
            .map_err(CallError::Host)?;
        Ok(loaded
            .action(action)
            .ok_or_else(|| no_action(plugin, action))?
            .input_schema
            .clone())
    }

    /// What it means when a function of a version is cut off.
    ///
    /// # Errors
    /// There is no such plugin, version or function, or it cannot be loaded.
    pub async fn find_effects(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
        action: &str,
    ) -> Result<Effects, CallError> {
        let stored = self.stored(plugin, version).await?;
        let loaded = self.load(stored.version.digest);
        let loaded = loaded.await.map_err(CallError::Host)?;
        let declared = loaded.package.manifest.action(action);
        Ok(declared.ok_or_else(|| no_action(plugin, action))?.effects)
    }

    /// Carries out one call in a fresh instance. Dropping the future ends the guest.
    ///
    /// # Errors
    /// See [`CallError`]: each has a code of its own.
    pub async fn call_action(&self, call: ActionCall) -> Result<Value, CallError> {
        let began = std::time::Instant::now();
        let refused = RefusedCall::of(&call);
        let span = tracing::info_span!(
            "plugin call",
            plugin.name = %call.plugin,
            plugin.action = %call.action,
            plugin.outcome = field::Empty,
        );
        let work = async {
            let ready = self.prepare(&call.plugin, call.version.as_ref()).await?;
            self.call_prepared(&ready, call).await
        };
        let ended = work.instrument(span.clone()).await;
        span.record("plugin.outcome", metrics::outcome(&ended));
        self.metrics.called(&ended, began.elapsed());
        if let Err(error) = &ended {
            self.audit_refusal(refused, error).await;
        }
        ended
    }

    /// The version that a call means, in memory, with what it is granted now.
    ///
    /// # Errors
    /// There is no such version, it may not run, its grant is for something else, or it cannot be loaded.
    pub async fn prepare(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
    ) -> Result<Prepared, CallError> {
        let sweeps = self.calls.sweeps();
        let stored = self.stored(plugin, version).await?;
        let grant = permitted(&stored)?;
        let digest = stored.version.digest;
        let loaded = self.load(digest).await.map_err(CallError::Host)?;
        let package = &loaded.package;
        if !grant.is_for(digest, package.manifest_hash) {
            return Err(CallError::NotActive(format!(
                "what was approved as plugin `{}` {} is not what is stored under that name; approve it again",
                stored.version.name, stored.version.version
            )));
        }
        self.permit(&stored.version, package)?;
        let power = if self.policy.ceiling.limits_capabilities() {
            let (policy, of) = (Arc::clone(&self.policy), Arc::clone(&loaded));
            let power = apart(move || Effective::of(&of.package.manifest, &grant, &policy.ceiling));
            power
                .await
                .map_err(|error| CallError::Host(error.to_string()))?
        } else {
            Effective::of(&package.manifest, &grant, &self.policy.ceiling)
        };
        let power = Arc::new(power);
        // It linked at install with all that it asks for: what is missing now is what the reviewer denied.
        let powers = power.powers();
        let pre = loaded
            .prelinked(&powers)
            .map_err(|message| CallError::Unlinked {
                digest,
                missing: package
                    .needed()
                    .difference(&powers)
                    .map(|power| power.as_str())
                    .collect(),
                message,
            })?;
        Ok(Prepared {
            plugin: stored.version.name,
            version: stored.version.version,
            loaded,
            power,
            pre,
            exact: version.cloned(),
            sweeps,
            installed_at: stored.version.installed_at,
        })
    }

    /// Carries out one call of what was just prepared, whatever plugin and version the call itself names.
    ///
    /// # Errors
    /// As [`Self::call_action`].
    pub async fn call_prepared(
        &self,
        prepared: &Prepared,
        call: ActionCall,
    ) -> Result<Value, CallError> {
        let mut newer: Option<Prepared> = None;
        let mut slot = None;
        let mut interrupts = call.interrupts.clone();
        let begun = loop {
            let ready = newer.as_ref().unwrap_or(prepared);
            ready.check(&call)?;
            let mut begun = self
                .calls
                .begin(Arc::clone(&ready.loaded), ready.installed_at);
            if slot.is_none() {
                let taken = tokio::select! {
                    biased;
                    told = halt(&mut begun.halted) => return Err(match told {
                        Halt::Stopped => CallError::Stopped,
                        Halt::Revoked => revoked(&ready.plugin, &ready.version),
                    }),
                    why = interrupted(&mut interrupts) => return Err(early(why)),
                    taken = self.slots.acquire() => taken.map_err(|_| CallError::Stopped)?,
                };
                slot = Some(taken);
            }
            // A decision is on disk before it is counted, and counted before it ends calls: this one is either among
            // those, or reads its version again.
            if self.calls.sweeps() == ready.sweeps {
                break begun;
            }
            newer = Some(self.prepare(&ready.plugin, ready.exact.as_ref()).await?);
        };
        let ready = newer.as_ref().unwrap_or(prepared);
        let action = ready.action(&call.action)?;
        let declared = ready.loaded.package.manifest.action(&call.action);
        // What cannot be told is taken for the worst.
        let once = declared.is_none_or(|declared| declared.effects == Effects::Once);
        let (loaded, power) = (&ready.loaded, &ready.power);
        let request = Call {
            action: call.action,
            run_id: call.run.to_string(),
            input: call.input.to_string(),
            entity: call.entity.map(|entity| entity.to_string()),
            requested_by: call.actor.name.clone(),
        };
        let caller = Caller {
            plugin: ready.plugin.clone(),
            digest: loaded.package.digest,
            run: call.run,
            actor: call.actor,
            at: call.at,
        };
        let (sink, tally) = (Arc::clone(&call.sink), Tally::new(Arc::clone(power)));
        let book = LogBook::new(call.sink, power.limits.get(Budget::Log));
        let redactor = Arc::clone(book.redactor());
        let denials = Arc::new(Denials::new(
            caller.clone(),
            Some(self.backend.store.clone()),
            Arc::clone(&redactor),
        ));
        let provision = Provision {
            book,
            denials: Arc::clone(&denials),
            tally: Arc::clone(&tally),
            caller,
            power: Arc::clone(power),
            backend: Some(self.backend.clone()),
            runs: call.runs,
            pages: Pages::new(call.journal, once),
        };
        let ends = Ends {
            halted: begun.halted.clone(),
            interrupts,
        };
        let ended = instance::run(&ready.pre, provision, request, ends).await;
        if let Ok(Ok(output)) = &ended {
            tally.spent(Budget::Output, output.len() as u64);
        }
        self.metrics.denied(denials.total());
        sink.count(ready.usage(&tally, &denials));
        let accepted = ended.and_then(|answer| {
            let output = answer.map_err(|failed| failure(failed, &denials.missing(), &redactor))?;
            accept(&output, power.limits.get(Budget::Output), &action.output)
        });
        // The guest's own schema was held against its own words; what is kept is without secrets.
        match accepted {
            Ok(output) => Ok(redactor.clean_value(output)),
            Err(error) => Err(redacted(error, &redactor)),
        }
    }

    /// The version that a call means.
    async fn stored(
        &self,
        plugin: &PluginName,
        version: Option<&semver::Version>,
    ) -> Result<StoredPlugin, CallError> {
        let (name, exact) = (plugin.clone(), version.cloned());
        let found = self.backend.store.read(move |tx| match &exact {
            Some(version) => tx.find_plugin(&name, version),
            None => tx.find_active_plugin(&name),
        });
        let found = found.await.map_err(|e: store::Error| {
            tracing::error!(error = %e, %plugin, "a plugin could not be read");
            CallError::Host("the plugin could not be read from the store".to_owned())
        })?;
        match (found, version) {
            (Some(found), _) => Ok(found),
            (None, Some(version)) => Err(CallError::Refused(format!(
                "plugin `{plugin}` has no version {version}; install it first"
            ))),
            (None, None) => Err(self.none_active(plugin).await),
        }
    }

    /// Why a plugin has no version that serves runs.
    async fn none_active(&self, plugin: &PluginName) -> CallError {
        let known = self.list_versions(Some(plugin)).await.unwrap_or_default();
        let forbidden = known
            .iter()
            .find(|version| version.state == PluginState::Revoked);
        match forbidden {
            Some(version) => revoked(plugin, &version.version),
            None => CallError::NotActive(format!(
                "plugin `{plugin}` has no active version; install and approve one"
            )),
        }
    }
}

impl Prepared {
    fn action(&self, name: &str) -> Result<&LoadedAction, CallError> {
        let action = self.loaded.action(name);
        action.ok_or_else(|| no_action(&self.plugin, name))
    }

    /// What a call of it used.
    fn usage(&self, tally: &Tally, denials: &Denials) -> CallUsage {
        let denied = denials
            .counts()
            .into_iter()
            .map(|(subject, count)| Counted {
                kind: UsageKind::Denied,
                subject,
                count,
                acts: Acts::default(),
            });
        CallUsage {
            plugin: self.plugin.clone(),
            version: self.version.clone(),
            digest: self.loaded.package.digest,
            counts: tally.counts().into_iter().chain(denied).collect(),
            budgets: tally.budgets(),
            requests: tally.requests(),
        }
    }

    /// Whether it has the function, and that takes the input.
    fn check(&self, call: &ActionCall) -> Result<(), CallError> {
        let broken = schema::violations(&self.action(&call.action)?.input, &call.input);
        if broken.is_empty() {
            return Ok(());
        }
        Err(CallError::InvalidInput(broken))
    }
}

/// How a call ends that whoever made it ended.
pub(super) fn early(why: Interrupt) -> CallError {
    match why {
        Interrupt::Cancelled => CallError::Cancelled,
        Interrupt::Overdue => CallError::Overdue,
    }
}

fn revoked(plugin: &PluginName, version: &semver::Version) -> CallError {
    CallError::Revoked(format!(
        "plugin `{plugin}` {version} was revoked; approve another version, or roll back to an earlier one"
    ))
}

/// The grant of a version that may run.
fn permitted(stored: &StoredPlugin) -> Result<Grant, CallError> {
    let version = &stored.version;
    let why = match version.state {
        PluginState::Active => None,
        // An action may pin a version that was approved before.
        PluginState::Superseded => None,
        PluginState::Pending => Some("waits for a reviewer; approve it first"),
        PluginState::Rejected => Some("was rejected by a reviewer"),
        PluginState::Revoked => return Err(revoked(&version.name, &version.version)),
    };
    if let Some(why) = why {
        return Err(CallError::NotActive(format!(
            "plugin `{}` {} {why}",
            version.name, version.version
        )));
    }
    let grant = stored
        .grant
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    // A grant that cannot be read allows nothing, not everything.
    grant.ok_or_else(|| {
        CallError::NotActive(format!(
            "the grant of plugin `{}` {} cannot be read; approve it again",
            version.name, version.version
        ))
    })
}

fn no_action(plugin: &PluginName, action: &str) -> CallError {
    let shown: String = action.chars().take(64).collect();
    CallError::Refused(format!(
        "plugin `{plugin}` has no action `{shown}`; its plugin.toml lists those that it has"
    ))
}

/// Takes over what a guest answered, as far as it keeps to its limits and its own schema.
fn accept(output: &str, most: u64, schema: &jsonschema::Validator) -> Result<Value, CallError> {
    if output.len() as u64 > most {
        return Err(CallError::OverBudget {
            budget: Budget::Output.key(),
            granted: Budget::Output.render(most),
        });
    }
    let value = json::parse(output).map_err(|e| {
        CallError::InvalidOutput(vec![Violation::new(
            "",
            "json",
            format!("the output is not JSON: {e}"),
        )])
    })?;
    match schema::violations(schema, &value) {
        broken if broken.is_empty() => Ok(value),
        broken => Err(CallError::InvalidOutput(broken)),
    }
}

/// Takes over how a guest says that it failed; it chooses the texts. `denied` is what the host denied it: some of the
/// interfaces cannot tell a guest which line is missing, and some guests do not pass it on.
fn failure(failure: Failure, denied: &[String], redactor: &Redactor) -> CallError {
    // Before it is cut: what is left of a secret behind a cut is not found any more.
    let kept = |text: &str, most: usize| bounded(&redactor.clean(text), most);
    match failure {
        Failure::UnknownAction(name) => CallError::Refused(format!(
            "the plugin says that it has no action `{}`",
            kept(&name, 64)
        )),
        Failure::InvalidInput(violations) => CallError::InvalidInput(
            violations
                .into_iter()
                .take(VIOLATIONS)
                .map(|v| {
                    Violation::new(
                        kept(&v.path, 500),
                        &kept(&v.rule, 64),
                        kept(&v.message, 500),
                    )
                })
                .collect(),
        ),
        Failure::Failed(failed) => {
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let code = match failed.code {
                code if (1..=64).contains(&code.len()) && code.chars().all(snake) => code,
                _ => "failed".to_owned(),
            };
            let mut message = kept(&failed.message, 4_000);
            let untold = denied.iter().filter(|line| !failed.message.contains(*line));
            let untold: Vec<_> = untold
                .take(LINES)
                .map(|line| format!("`{}`", kept(line, 500)))
                .collect();
            if !untold.is_empty() {
                message.push_str(&format!(" (this run was denied {})", untold.join(", ")));
            }
            CallError::Failed { code, message }
        }
    }
}

/// A failure without secrets, in whatever part of it a guest chooses.
fn redacted(error: CallError, redactor: &Redactor) -> CallError {
    let clean = |text: String| redactor.clean(&text).into_owned();
    match error {
        CallError::Refused(text) => CallError::Refused(clean(text)),
        CallError::Trapped(text) => CallError::Trapped(clean(text)),
        CallError::Denied(text) => CallError::Denied(clean(text)),
        CallError::StepMismatch(text) => CallError::StepMismatch(clean(text)),
        CallError::Host(text) => CallError::Host(clean(text)),
        CallError::InvalidInput(broken) => {
            CallError::InvalidInput(redactor.clean_violations(broken))
        }
        CallError::InvalidOutput(broken) => {
            CallError::InvalidOutput(redactor.clean_violations(broken))
        }
        CallError::Failed { code, message } => {
            // A mask is no word; a code that needs one is none either.
            let code = match redactor.clean(&code) {
                Cow::Borrowed(_) => code,
                Cow::Owned(_) => "failed".to_owned(),
            };
            CallError::Failed {
                code,
                message: clean(message),
            }
        }
        CallError::NotActive(_)
        | CallError::Untrusted(_)
        | CallError::Revoked(_)
        | CallError::Stopped
        | CallError::Cancelled
        | CallError::Overdue
        | CallError::Unlinked { .. }
        | CallError::Sleeping(_)
        | CallError::TimedOut(_)
        | CallError::OverBudget { .. } => error,
    }
}

/// A text of a guest, cut and made harmless to terminals.
fn bounded(text: &str, most: usize) -> String {
    escape(&text.chars().take(most).collect::<String>())
}
