//! Compiled packages in memory, each linked once for every set of powers that it runs with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::Value;
use wasmtime::component::Component;

use super::bindings::ActionPluginPre;
use super::capability::Power;
use super::engine::summary;
use super::instance::Guest;
use super::package::Package;
use super::{linker, schema};
use crate::model::Digest;

/// Compiled packages that stay in memory; each is some megabytes of machine code.
const KEPT: usize = 64;

/// One package, ready to be called.
pub(super) struct Loaded {
    /// What it says of itself.
    pub(super) package: Package,
    component: Component,
    actions: HashMap<String, LoadedAction>,
    prelinked: Mutex<BTreeMap<BTreeSet<Power>, ActionPluginPre<Guest>>>,
}

/// One action with its schemas compiled.
pub(super) struct LoadedAction {
    /// As it was embedded.
    pub(super) input_schema: Value,
    /// Checks the input.
    pub(super) input: Validator,
    /// Checks the output.
    pub(super) output: Validator,
}

impl Loaded {
    pub(super) fn new(package: Package, component: Component) -> Result<Self, String> {
        let mut actions = HashMap::new();
        for action in &package.actions {
            let loaded = LoadedAction {
                input_schema: action.input_schema.clone(),
                input: schema::compile(&action.input_schema)?,
                output: schema::compile(&action.output_schema)?,
            };
            actions.insert(action.name.clone(), loaded);
        }
        Ok(Self {
            package,
            component,
            actions,
            prelinked: Mutex::default(),
        })
    }

    /// One of its actions.
    pub(super) fn action(&self, name: &str) -> Option<&LoadedAction> {
        self.actions.get(name)
    }

    /// The component linked with a set of powers. What it imports beyond them makes this fail, before guest code runs.
    pub(super) fn prelinked(
        &self,
        powers: &BTreeSet<Power>,
    ) -> Result<ActionPluginPre<Guest>, String> {
        let mut prelinked = self
            .prelinked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pre) = prelinked.get(powers) {
            return Ok(pre.clone());
        }
        let linked = linker::link(self.component.engine(), powers)
            .and_then(|linker| linker.instantiate_pre(&self.component))
            .and_then(ActionPluginPre::new);
        let pre = linked.map_err(|e| {
            format!(
                "the component cannot be linked with what it was granted: {}",
                summary(&e)
            )
        })?;
        prelinked.insert(powers.clone(), pre.clone());
        Ok(pre)
    }
}

/// Links a component that is only asked to describe itself: what it imports is there, and every call of it is denied,
/// because nothing is granted and no floor below is in reach.
pub(super) fn prelink_to_describe(component: &Component) -> Result<ActionPluginPre<Guest>, String> {
    let visible = BTreeSet::from([
        Power::Catalog,
        Power::Files,
        Power::Http,
        Power::RunAction,
        Power::Secret,
        Power::State,
    ]);
    let linked = linker::link(component.engine(), &visible)
        .and_then(|linker| linker.instantiate_pre(component))
        .and_then(ActionPluginPre::new);
    linked.map_err(|e| format!("the component cannot be linked: {}", summary(&e)))
}

/// The packages in memory, those used last.
#[derive(Default)]
pub(super) struct Shelf {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Counts the uses.
    clock: u64,
    /// By digest, with the use that was its last.
    packages: HashMap<Digest, (u64, Arc<Loaded>)>,
}

impl Shelf {
    pub(super) fn find(&self, digest: Digest) -> Option<Arc<Loaded>> {
        let mut guard = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { clock, packages } = &mut *guard;
        *clock += 1;
        let (used, loaded) = packages.get_mut(&digest)?;
        *used = *clock;
        Some(Arc::clone(loaded))
    }

    /// Adds a package, for the one that was not used for the longest time. Two that compile the same one at the same
    /// time end up with the first.
    pub(super) fn keep(&self, loaded: Loaded) -> Arc<Loaded> {
        let mut guard = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { clock, packages } = &mut *guard;
        *clock += 1;
        let digest = loaded.package.digest;
        if packages.len() >= KEPT
            && !packages.contains_key(&digest)
            && let Some(oldest) = packages
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(digest, _)| *digest)
        {
            packages.remove(&oldest);
        }
        let (_, kept) = packages
            .entry(digest)
            .or_insert_with(|| (*clock, Arc::new(loaded)));
        Arc::clone(kept)
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}
