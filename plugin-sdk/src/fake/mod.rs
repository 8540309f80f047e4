//! The portal in memory, for native tests of plugins.

pub(crate) mod actions;
pub(crate) mod catalog;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod secrets;
pub(crate) mod state;
pub(crate) mod steps;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use crate::catalog::Entity;
use crate::http::{Request, Response};
use crate::{
    Context, Denial, actions as actions_api, catalog as catalog_api, files as files_api,
    http as http_api,
};

pub use self::actions::StartedAction;
use self::files::FakeFolder;
pub use self::log::LogEvent;
use self::steps::FakeSteps;

/// What the context and every open file share.
pub(crate) type Shared = Rc<RefCell<World>>;

/// Everything outside of the plugin.
#[derive(Debug, Default)]
pub(crate) struct World {
    log: Vec<LogEvent>,
    entities: BTreeMap<(String, String), Entity>,
    denied_blueprints: Vec<String>,
    catalog_write_fault: Option<catalog_api::Error>,
    folders: BTreeMap<String, FakeFolder>,
    file_write_fault: Option<(usize, files_api::Error)>,
    state: BTreeMap<String, Vec<u8>>,
    secrets: BTreeMap<String, Option<String>>,
    startable: BTreeSet<String>,
    start_fault: Option<actions_api::Error>,
    started: Vec<StartedAction>,
    endpoints: BTreeMap<String, Vec<String>>,
    responses: VecDeque<Result<Response, http_api::Error>>,
    requests: Vec<Request>,
    steps: FakeSteps,
}

/// A [`Context`] over a portal in memory, for tests with `cargo test`; there is none in a component.
///
/// It behaves as the host does where a plugin can tell: conflicts, missing entities and relation targets, path
/// rules, quotas of state, whole-or-nothing files. It knows no blueprints, so it accepts every property, and grants
/// everything but folders, endpoints, secrets and actions, which it must be given, and what it is told to deny.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new().with_folder("services").with_entity(Entity::new("System", "Cart"));
/// ctx.folder("services").create("orders/README.md", "# orders\n")?;
/// assert_eq!(ctx.file_names("services"), ["orders/README.md"]);
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct FakeContext {
    context: Context,
}

impl Default for FakeContext {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for FakeContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl Context {
    /// The same as [`FakeContext::new`].
    pub fn fake() -> FakeContext {
        FakeContext::new()
    }
}

impl FakeContext {
    /// An empty portal: run `r_fake`, asked for by `dev@example.com`.
    pub fn new() -> Self {
        let context = Context {
            run_id: "r_fake".to_owned(),
            requested_by: "dev@example.com".to_owned(),
            entity: None,
            open_step: RefCell::default(),
            world: Shared::default(),
        };
        Self { context }
    }

    /// Sets the run's identifier.
    #[must_use]
    pub fn with_run_id(mut self, run_id: impl Into<String>) -> Self {
        self.context.run_id = run_id.into();
        self
    }

    /// Sets who asked.
    #[must_use]
    pub fn with_requested_by(mut self, name: impl Into<String>) -> Self {
        self.context.requested_by = name.into();
        self
    }

    /// Sets the entity that the action is started on, and puts it into the catalog.
    #[must_use]
    pub fn with_run_entity(mut self, entity: Entity) -> Self {
        self.context.entity = serde_json::to_string(&entity).ok();
        self.with_entity(entity)
    }

    /// Puts an entity into the catalog, in place of one that may be there.
    #[must_use]
    pub fn with_entity(self, entity: Entity) -> Self {
        self.change(|world| {
            world.entities.insert(
                (entity.blueprint.clone(), entity.identifier.clone()),
                entity,
            );
        })
    }

    /// Refuses every call about a blueprint, as a host that did not grant it.
    #[must_use]
    pub fn with_denied_blueprint(self, blueprint: impl Into<String>) -> Self {
        self.change(|world| world.denied_blueprints.push(blueprint.into()))
    }

    /// Lets the next write or delete in the catalog fail.
    #[must_use]
    pub fn with_catalog_fault(self, error: catalog_api::Error) -> Self {
        self.change(|world| world.catalog_write_fault = Some(error))
    }

    /// Grants an empty folder; any other is refused.
    #[must_use]
    pub fn with_folder(self, name: impl Into<String>) -> Self {
        self.change(|world| {
            world.folders.entry(name.into()).or_default();
        })
    }

    /// Grants a folder, if it is not yet, and puts a file into it.
    ///
    /// # Panics
    /// Where the path is not one that the host would take.
    #[must_use]
    pub fn with_file(
        self,
        folder: impl Into<String>,
        path: &str,
        contents: impl Into<Vec<u8>>,
    ) -> Self {
        let placed = self.world_mut(|world| {
            world
                .folders
                .entry(folder.into())
                .or_default()
                .place(path, contents.into(), true)
        });
        assert_eq!(placed, Ok(()), "the fake folder takes `{path}`");
        self
    }

    /// Lets the change of files number `nth` (the first is 0) fail: finishing a file, renaming. Removing never does.
    #[must_use]
    pub fn with_file_fault(self, nth: usize, error: files_api::Error) -> Self {
        self.change(|world| world.file_write_fault = Some((nth, error)))
    }

    /// Says where an endpoint is; said again, that it is there too. Any other is refused.
    #[must_use]
    pub fn with_endpoint(self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.change(|world| {
            let urls = world.endpoints.entry(name.into()).or_default();
            urls.push(url.into());
        })
    }

    /// Grants a secret with its text; any other is refused.
    #[must_use]
    pub fn with_secret(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.change(|world| {
            world.secrets.insert(name.into(), Some(text.into()));
        })
    }

    /// Grants a secret that nobody has set.
    #[must_use]
    pub fn with_unset_secret(self, name: impl Into<String>) -> Self {
        self.change(|world| {
            world.secrets.insert(name.into(), None);
        })
    }

    /// Lets an action be started; any other is refused.
    #[must_use]
    pub fn with_startable_action(self, name: impl Into<String>) -> Self {
        self.change(|world| {
            world.startable.insert(name.into());
        })
    }

    /// Lets the next start of an action fail.
    #[must_use]
    pub fn with_start_fault(self, error: actions_api::Error) -> Self {
        self.change(|world| world.start_fault = Some(error))
    }

    /// Answers one request that is still to come; responses are used in the order they were given.
    #[must_use]
    pub fn with_response(self, response: Response) -> Self {
        self.change(|world| world.responses.push_back(Ok(response)))
    }

    /// Lets one request that is still to come fail.
    #[must_use]
    pub fn with_http_fault(self, error: http_api::Error) -> Self {
        self.change(|world| world.responses.push_back(Err(error)))
    }

    /// The entity that the catalog now holds.
    pub fn entity_of(&self, blueprint: &str, identifier: &str) -> Option<Entity> {
        self.world_mut(|world| {
            world
                .entities
                .get(&(blueprint.to_owned(), identifier.to_owned()))
                .cloned()
        })
    }

    /// A file's bytes as they now are.
    pub fn file(&self, folder: &str, path: &str) -> Option<Vec<u8>> {
        self.world_mut(|world| world.folders.get(folder)?.file(path).map(<[u8]>::to_vec))
    }

    /// The paths of all files in a granted folder and the folders in it, sorted.
    pub fn file_names(&self, folder: &str) -> Vec<String> {
        self.world_mut(|world| {
            world
                .folders
                .get(folder)
                .map(FakeFolder::file_names)
                .unwrap_or_default()
        })
    }

    /// Everything the plugin said: lines, progress and links, in order.
    pub fn log_events(&self) -> Vec<LogEvent> {
        self.world_mut(|world| world.log.clone())
    }

    /// The messages of the log lines, in order.
    pub fn messages(&self) -> Vec<String> {
        let lines = self
            .log_events()
            .into_iter()
            .filter_map(|event| match event {
                LogEvent::Line { message, .. } => Some(message),
                LogEvent::Progress { .. } | LogEvent::Link { .. } => None,
            });
        lines.collect()
    }

    /// The runs that were started, in order.
    pub fn started(&self) -> Vec<StartedAction> {
        self.world_mut(|world| world.started.clone())
    }

    /// The names of the steps that have finished, in order.
    pub fn step_names(&self) -> Vec<String> {
        self.world_mut(|world| world.steps.names.clone())
    }

    /// The sleeps, in order, which are over at once here.
    pub fn sleeps(&self) -> Vec<(String, Duration)> {
        self.world_mut(|world| world.steps.sleeps.clone())
    }

    /// The requests that were sent, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.world_mut(|world| world.requests.clone())
    }

    fn change(self, change: impl FnOnce(&mut World)) -> Self {
        self.world_mut(change);
        self
    }

    fn world_mut<T>(&self, use_world: impl FnOnce(&mut World) -> T) -> T {
        use_world(&mut self.context.world.borrow_mut())
    }
}

/// The refusal of a host that did not grant a line.
fn denial(missing: String) -> Denial {
    let message =
        format!("this plugin version was not granted `{missing}`; ask for it in `plugin.toml`");
    Denial { missing, message }
}

#[cfg(test)]
mod tests;
