//! What an action knows of the run that it carries out, and its way to everything outside.

use std::cell::RefCell;

use crate::actions::Actions;
use crate::catalog::{Catalog, Entity};
use crate::files::Folder;
use crate::http::Http;
use crate::log::Log;
use crate::secrets::Secrets;
use crate::state::State;
use crate::steps::OpenStep;
use crate::{Failure, decode};

/// The run that an action carries out, and the way to everything outside the plugin.
///
/// Each method that reaches outside needs a capability line in `plugin.toml`, except [`log`](Self::log),
/// [`step`](Self::step) and [`sleep`](Self::sleep). What a
/// plugin never calls, its component does not import.
///
/// In a native test, [`FakeContext`](crate::FakeContext) stands in.
#[derive(Debug)]
pub struct Context {
    pub(crate) run_id: String,
    pub(crate) requested_by: String,
    pub(crate) entity: Option<String>,
    pub(crate) open_step: RefCell<Option<OpenStep>>,
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) world: crate::fake::Shared,
}

impl Context {
    /// The run's identifier, for example `r_8fk2…`; unique, and safe as a file name.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Who asked: an e-mail address, or the name of an app.
    pub fn requested_by(&self) -> &str {
        &self.requested_by
    }

    /// The entity that the action was started on; absent for an action that makes something new.
    ///
    /// # Errors
    /// `invalid_json` where the host's text is not an entity.
    pub fn entity(&self) -> Result<Option<Entity>, Failure> {
        let Some(text) = &self.entity else {
            return Ok(None);
        };
        decode::from_slice(text.as_bytes())
            .map(Some)
            .map_err(|misfit| Failure::new("invalid_json", misfit.to_string()))
    }

    /// The entity that the action was started on, for an action that makes no sense without.
    ///
    /// # Errors
    /// `entity_required` where the run has none.
    ///
    /// ```
    /// use goldenpath_sdk::prelude::*;
    ///
    /// let ctx = FakeContext::new().with_run_entity(Entity::new("Component", "orders"));
    /// assert_eq!(ctx.require_entity()?.identifier, "orders");
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn require_entity(&self) -> Result<Entity, Failure> {
        self.entity()?.ok_or_else(|| {
            Failure::new(
                "entity_required",
                "start this action on an entity of the catalog",
            )
        })
    }

    /// The run's log, progress and links. Needs no capability line.
    pub fn log(&self) -> Log<'_> {
        Log { ctx: self }
    }

    /// The software catalog. Needs `[[capabilities.catalog]]`.
    pub fn catalog(&self) -> Catalog<'_> {
        Catalog { ctx: self }
    }

    /// A granted folder, by its name in `[[capabilities.files]]`.
    pub fn folder<'a>(&'a self, name: &'a str) -> Folder<'a> {
        Folder { ctx: self, name }
    }

    /// The plugin's own small store, kept between runs. Needs `[capabilities.state]`.
    pub fn state(&self) -> State<'_> {
        State { ctx: self }
    }

    /// Other actions, to be started. Needs `[[capabilities.run-action]]`.
    pub fn actions(&self) -> Actions<'_> {
        Actions { ctx: self }
    }

    /// The text of granted secrets. Needs `[[capabilities.secret]]`.
    pub fn secrets(&self) -> Secrets<'_> {
        Secrets { ctx: self }
    }

    /// Outgoing HTTP. Needs `[[capabilities.http]]`.
    pub fn http(&self) -> Http<'_> {
        Http { ctx: self }
    }
}
