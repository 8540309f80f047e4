//! One call: a fresh store and instance, every limit applied, the end classified by type.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store as GuestStore, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::{
    HostMonotonicClock, HostWallClock, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::bindings::{self, ActionPlugin, ActionPluginPre, Call, Failure};
use super::budget::Budget;
use super::call::early;
use super::capability::Power;
use super::capability::files::{Folder, Folders};
use super::capability::http::{Egress, HttpClient};
use super::capability::log::{Channel, LogBook};
use super::denial::{Beyond, Denials, not_granted};
use super::error::CallError;
use super::grant::Effective;
use super::journal::Pages;
use super::knob::{Knob, is_kept};
use super::limits::{
    Ceiling, HANDLES, HEADER_BYTES, HOST_OBJECTS, LIFTED_BYTES, Meter, RANDOM_BYTES, Stop,
};
use super::running::{Halt, Halted, Interrupt, Interrupts, halt, interrupted};
use super::secret::Secrets;
use super::starter::RunStarter;
use super::usage::Tally;
use crate::catalog::Catalog;
use crate::model::{Actor, Digest, PluginName, RunId, SecretValue, Timestamp};
use crate::store::Store;

/// Who calls what: what every audit row of the call says.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The plugin.
    pub(super) plugin: PluginName,
    /// The package.
    pub(super) digest: Digest,
    /// The run.
    pub(super) run: RunId,
    /// On whose behalf.
    pub(super) actor: Actor,
    /// When the run started: the time, for a guest without a clock.
    pub(super) at: Timestamp,
}

/// The floors below, as far as a guest reaches them.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    /// For state and audit rows.
    pub(super) store: Store,
    /// For entities.
    pub(super) catalog: Catalog,
    /// For granted folders.
    pub(super) folders: Arc<Folders>,
    /// For granted endpoints.
    pub(super) http: Arc<HttpClient>,
    /// For lines that attach or read one; absent: there are none.
    pub(super) secrets: Option<Secrets>,
}

/// All that the host keeps for one guest.
pub(super) struct Guest {
    wasi: WasiCtx,
    /// Host objects that the guest holds.
    pub(super) table: ResourceTable,
    ceiling: Ceiling,
    meter: Arc<Meter>,
    http: WasiHttpCtx,
    egress: Egress,
    /// What the guest says.
    pub(super) book: Arc<LogBook>,
    /// What it may do.
    pub(super) power: Arc<Effective>,
    /// Who it works for.
    pub(super) caller: Caller,
    backend: Option<Backend>,
    denials: Arc<Denials>,
    /// What it uses of its power.
    pub(super) tally: Arc<Tally>,
    /// Folders that it opened.
    pub(super) folders: HashMap<String, Arc<Folder>>,
    /// Readers and writers that it holds.
    pub(super) open_files: usize,
    /// Starts runs for it; absent: none can be started.
    pub(super) runs: Option<Arc<dyn RunStarter>>,
    /// The journal of its run.
    pub(super) pages: Pages,
    /// Secrets that it has read, by their name in the manifest.
    pub(super) read_secrets: BTreeMap<String, SecretValue>,
}

/// Who ends a call early, and tells so here.
pub(super) struct Ends {
    /// The host, of all calls or those of a version.
    pub(super) halted: Halted,
    /// Whoever made it.
    pub(super) interrupts: Option<Interrupts>,
}

/// What a guest is given for one call.
pub(super) struct Provision {
    /// What it may do.
    pub(super) power: Arc<Effective>,
    /// Who it works for.
    pub(super) caller: Caller,
    /// What it says goes here.
    pub(super) book: Arc<LogBook>,
    /// What it is denied goes here.
    pub(super) denials: Arc<Denials>,
    /// What it uses of its power is counted here.
    pub(super) tally: Arc<Tally>,
    /// `None`: nothing that needs a floor below is linked.
    pub(super) backend: Option<Backend>,
    /// Starts runs for it.
    pub(super) runs: Option<Arc<dyn RunStarter>>,
    /// The journal of its run.
    pub(super) pages: Pages,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.egress,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl bindings::types::Host for Guest {}

impl Guest {
    fn new(provision: Provision, meter: Arc<Meter>) -> Self {
        let Provision {
            power,
            caller,
            book,
            denials,
            tally,
            backend,
            runs,
            pages,
        } = provision;
        let powers = power.powers();
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(book.channel(Channel::Stdout))
            .stderr(book.channel(Channel::Stderr))
            .max_random_size(if is_kept(Knob::RandomBytes) {
                RANDOM_BYTES
            } else {
                u64::MAX
            })
            // Hash maps get their seed here: the same run does the same twice.
            .insecure_random_seed(0)
            .insecure_random(wasmtime_wasi::Deterministic::new((0..=255).collect()));
        if powers.contains(&Power::Clock) {
            wasi.wall_clock(Counting::new(WallClock::new(), &tally))
                .monotonic_clock(Counting::new(MonotonicClock::new(), &tally));
        } else if is_kept(Knob::StillClock) {
            wasi.wall_clock(Stopped(caller.at))
                .monotonic_clock(Stopped(caller.at));
        }
        let mut table = ResourceTable::new();
        if is_kept(Knob::HostObjects) {
            table.set_max_capacity(HOST_OBJECTS);
        }
        let mut http = WasiHttpCtx::new();
        if is_kept(Knob::HeaderBytes) {
            http.set_field_size_limit(HEADER_BYTES);
        }
        let egress = Egress::new(
            power.http.clone(),
            backend
                .as_ref()
                .map(|backend| backend.http.for_guest(&caller.plugin)),
            Arc::clone(&meter),
            Arc::clone(&book),
            Arc::clone(&denials),
        )
        .with_secrets(backend.as_ref().and_then(|backend| backend.secrets.clone()))
        .with_tally(Arc::clone(&tally))
        .with_pages(pages.clone());
        Self {
            wasi: wasi.build(),
            table,
            ceiling: Ceiling::new(&power.limits),
            meter,
            http,
            egress,
            book,
            power,
            caller,
            backend,
            denials,
            tally,
            folders: HashMap::new(),
            open_files: 0,
            runs,
            pages,
            read_secrets: BTreeMap::new(),
        }
    }

    /// Counts one call of our own interfaces; over budget it ends the guest.
    pub(super) fn spend_call(&mut self) -> Result<(), Stop> {
        if self.meter.take_call() {
            Ok(())
        } else {
            Err(Stop::HostCalls)
        }
    }

    /// Tells the tally what was taken of the budgets, once nothing more is.
    fn settle(&self) {
        let spent = self.meter.spent(&self.power.limits).into_iter();
        let memory = (Budget::Memory, self.ceiling.spent());
        let log = (Budget::Log, self.book.spent());
        for (budget, amount) in spent.chain([memory, log]) {
            self.tally.spent(budget, amount);
        }
    }

    /// The floors below.
    pub(super) fn backend(&self) -> wasmtime::Result<&Backend> {
        self.backend
            .as_ref()
            .ok_or_else(|| wasmtime::format_err!("nothing is linked here"))
    }

    /// Records that something was refused although `line` was granted, once for each.
    pub(super) async fn audit_beyond(&mut self, line: &str, beyond: Beyond<'_>) {
        let denials = Arc::clone(&self.denials);
        denials.audit_beyond(line, beyond).await;
    }

    /// Records a denial and words it for the guest. `table` is where the line would stand in `plugin.toml`.
    pub(super) async fn deny(&mut self, missing: String, table: &str) -> bindings::types::Denial {
        let denials = Arc::clone(&self.denials);
        denials.deny(missing, table).await
    }

    /// Records that something was refused which no line allows.
    pub(super) async fn prohibit(
        &mut self,
        missing: String,
        message: String,
    ) -> bindings::types::Denial {
        let denials = Arc::clone(&self.denials);
        denials.prohibit(missing, message).await
    }
}

/// Calls `run` of a fresh instance: the guest's answer, or how it ended.
pub(super) async fn run(
    pre: &ActionPluginPre<Guest>,
    provision: Provision,
    call: Call,
    ends: Ends,
) -> Result<Result<String, Failure>, CallError> {
    enter(pre, provision, ends, |store, instance| {
        Box::pin(async move {
            instance
                .goldenpath_plugin_action()
                .call_run(store, &call)
                .await
        })
    })
    .await
}

/// Calls `describe` of a fresh instance.
pub(super) async fn describe(
    pre: &ActionPluginPre<Guest>,
    provision: Provision,
    stop: Halted,
) -> Result<bindings::Description, CallError> {
    let ends = Ends {
        halted: stop,
        interrupts: None,
    };
    enter(pre, provision, ends, |store, instance| {
        Box::pin(async move {
            instance
                .goldenpath_plugin_descriptor()
                .call_describe(store)
                .await
        })
    })
    .await
}

/// How a call ended without an answer.
enum Ended {
    /// From outside.
    Halted(Halt),
    /// By whoever made it.
    Interrupted(Interrupt),
    /// From inside, or by its budgets.
    Broken(wasmtime::Error),
}

/// A call of an exported function.
type Exported<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

async fn enter<T>(
    pre: &ActionPluginPre<Guest>,
    provision: Provision,
    mut ends: Ends,
    call: impl for<'a> FnOnce(&'a mut GuestStore<Guest>, &'a ActionPlugin) -> Exported<'a, T> + Send,
) -> Result<T, CallError> {
    let limits = provision.power.limits;
    let book = Arc::clone(&provision.book);
    // From here on the guest's time runs, not while it waited for a slot.
    let meter = Arc::new(Meter::start(&limits));
    let mut store = store_for(pre.engine(), provision, &meter);
    let work = Metered {
        meter,
        inner: Box::pin(async {
            let instance = pre.instantiate_async(&mut store).await?;
            call(&mut store, &instance).await
        }),
    };
    let ended = tokio::select! {
        // First of all whether it was ended before its first instruction.
        biased;
        told = halt(&mut ends.halted) => Err(Ended::Halted(told)),
        why = interrupted(&mut ends.interrupts) => Err(Ended::Interrupted(why)),
        ended = work => ended.map_err(Ended::Broken),
        // Dropping the work drops the guest's stack where it stands.
        () = tokio::time::sleep(limits.time(Budget::WallTime)), if is_kept(Knob::WallTime) => {
            Err(Ended::Broken(Stop::WallTime.into()))
        }
    };
    book.finish();
    store.data().settle();
    match ended {
        Ok(value) => Ok(value),
        Err(Ended::Interrupted(why)) => Err(early(why)),
        Err(Ended::Halted(Halt::Stopped)) => Err(CallError::Stopped),
        Err(Ended::Halted(Halt::Revoked)) => {
            let plugin = &store.data().caller.plugin;
            let message = format!("this version of plugin `{plugin}` was revoked while it ran");
            Err(CallError::Revoked(message))
        }
        Err(Ended::Broken(error)) => {
            if let Some(Stop::Denied { missing }) = error.downcast_ref() {
                let denials = Arc::clone(&store.data().denials);
                denials.audit(missing).await;
            }
            Err(classify(&error, store.data()))
        }
    }
}

fn store_for(engine: &Engine, provision: Provision, meter: &Arc<Meter>) -> GuestStore<Guest> {
    let mut store = GuestStore::new(engine, Guest::new(provision, Arc::clone(meter)));
    if is_kept(Knob::Memory) {
        store.limiter_async(|guest| &mut guest.ceiling);
    }
    store.set_hostcall_fuel(LIFTED_BYTES);
    store.set_max_component_handles(HANDLES);
    // Before instantiation: start functions run as well.
    store.set_epoch_deadline(1);
    let meter = Arc::clone(meter);
    store.epoch_deadline_callback(move |_| {
        if is_kept(Knob::CpuTime) {
            meter.check()?;
        }
        // Others get the thread, and timers and cancellation get their chance.
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    store
}

/// Says how a guest ended, by the types that its error carries.
fn classify(error: &wasmtime::Error, guest: &Guest) -> CallError {
    let limits = &guest.power.limits;
    let over = |budget: Budget| CallError::OverBudget {
        budget: budget.key(),
        granted: budget.render(limits.get(budget)),
    };
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::CpuTime => over(Budget::CpuTime),
            Stop::WallTime => CallError::TimedOut(limits.time(Budget::WallTime)),
            Stop::HostCalls => over(Budget::HostCalls),
            Stop::StepMismatch(text) => CallError::StepMismatch(text.clone()),
            Stop::Sleeping(until) => CallError::Sleeping(*until),
            Stop::Denied { missing } => CallError::Denied(not_granted(
                &guest.caller.plugin,
                missing,
                &format!("[capabilities.{missing}]"),
            )),
        };
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return CallError::Trapped(format!(
            "it exited with status {} instead of answering",
            exit.0
        ));
    }
    if error.is::<wasmtime::component::ResourceTableError>() {
        return CallError::OverBudget {
            budget: "handles",
            granted: HOST_OBJECTS.to_string(),
        };
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return CallError::Host("no room for another guest".to_owned());
    }
    // A program that was refused memory aborts: the refusal is the reason, not the abort.
    if guest.ceiling.refused {
        return over(Budget::Memory);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return CallError::Trapped(trap.to_string());
    }
    // Without guest frames the guest had ended, and its answer could not be taken over: it is more than the host
    // copies, or not text.
    if error.downcast_ref::<WasmBacktrace>().is_none() && !error.is::<std::str::Utf8Error>() {
        return over(Budget::Output);
    }
    CallError::Trapped(super::engine::summary(error))
}

/// A future whose polls are charged to a meter.
struct Metered<'a, T> {
    inner: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    meter: Arc<Meter>,
}

impl<T> Future for Metered<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.meter.enter();
        let polled = self.inner.as_mut().poll(cx);
        // What ended at once has no time worth a system call.
        if polled.is_pending() || !self.meter.is_brief() {
            self.meter.leave();
        }
        polled
    }
}

/// A clock that goes, and counts who looks at it.
struct Counting<C> {
    clock: C,
    tally: Arc<Tally>,
}

impl<C> Counting<C> {
    fn new(clock: C, tally: &Arc<Tally>) -> Self {
        let tally = Arc::clone(tally);
        Self { clock, tally }
    }
}

impl<C: HostWallClock> HostWallClock for Counting<C> {
    fn resolution(&self) -> Duration {
        self.clock.resolution()
    }

    fn now(&self) -> Duration {
        self.tally.power(Power::Clock);
        self.clock.now()
    }
}

impl<C: HostMonotonicClock> HostMonotonicClock for Counting<C> {
    fn resolution(&self) -> u64 {
        self.clock.resolution()
    }

    fn now(&self) -> u64 {
        self.tally.power(Power::Clock);
        self.clock.now()
    }
}

/// A clock that stands still. Sleeping works all the same: the host waits for the duration asked for.
struct Stopped(Timestamp);

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.0).unwrap_or(0))
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}
