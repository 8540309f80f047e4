//! The catalog, within the granted blueprints, accesses and properties.

mod entity;

use self::entity::{Queries, draft, odd, own_texts, shown, written_parts};
use super::{CatalogAccess, kept, plain};
use crate::catalog::{Dependents, Error, Values, WriteOptions};
use crate::model::{Actor, BlueprintId, EntityDraft, EntityId, Origin, Permission, WriteMode};
use crate::plugin::bindings::{catalog, types};
use crate::plugin::denial::Beyond;
use crate::plugin::instance::Guest;

type Answer<T> = Result<T, catalog::Error>;

impl catalog::Host for Guest {
    async fn get(
        &mut self,
        blueprint: String,
        identifier: String,
    ) -> wasmtime::Result<Answer<catalog::Entity>> {
        self.spend_call()?;
        let backend = self.backend()?.clone();
        let access = CatalogAccess::Read;
        let blueprint = match self.may(access, &blueprint).await {
            Ok(blueprint) => blueprint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Ok(identifier) = EntityId::parse(identifier.as_str()) else {
            return Ok(Err(not_found(&blueprint, &identifier)));
        };
        let actor = self.catalog_actor();
        let found = backend
            .catalog
            .find_entity_for(&actor, &blueprint, &identifier, Values::All);
        match found.await {
            Ok(entity) => Ok(Ok(shown(&entity.value, None))),
            Err(error) => Ok(Err(self.refused(access, &blueprint, error).await)),
        }
    }

    async fn write(
        &mut self,
        entity: catalog::Entity,
        mode: catalog::WriteMode,
    ) -> wasmtime::Result<Answer<catalog::Entity>> {
        self.spend_call()?;
        let backend = self.backend()?.clone();
        let access = CatalogAccess::Upsert;
        let blueprint = match self.may(access, &entity.blueprint).await {
            Ok(blueprint) => blueprint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let texts = own_texts(&entity);
        let place = format!("the catalog's `{blueprint}`");
        if let Some(denial) = self.refuse_secrets(&place, texts).await {
            return Ok(Err(catalog::Error::Denied(denial)));
        }
        let (mut draft, queries) = match draft(entity, mode) {
            Ok(read) => read,
            Err(violations) => return Ok(Err(catalog::Error::Invalid(plain(violations)))),
        };
        let listed = self.find_listed(&blueprint, &draft, &queries, mode).await;
        let line = match listed {
            Ok(line) => line,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Read, not as text: an escape hides nothing.
        let properties = draft.properties.iter().flatten();
        let found = kept::find_in_members(self.book.redactor(), properties);
        if let Some(denial) = self.refuse_secret(&place, found).await {
            return Ok(Err(catalog::Error::Denied(denial)));
        }
        if let Some(refusal) = self.refuse_hidden_targets(&blueprint, &draft).await? {
            return Ok(Err(refusal));
        }
        let actor = self.catalog_actor();
        if !queries.is_empty() {
            if let Some(refusal) = self.refuse_queries(&blueprint, &queries).await? {
                return Ok(Err(refusal));
            }
            let found = backend
                .catalog
                .read_draft(&actor, &blueprint, queries.body());
            match found.await {
                Ok(found) => Queries::fill_in(&mut draft, found),
                Err(error) => return Ok(Err(self.refused(access, &blueprint, error).await)),
            }
        }
        // Who may not read the blueprint gets back only what it wrote.
        let reads = self.power.touches(CatalogAccess::Read, &blueprint);
        let named = (!reads).then(|| draft.clone());
        if self.pages.effect().await.is_err() {
            return Ok(Err(unjournalled()));
        }
        self.tally.line(line);
        let mode = match mode {
            catalog::WriteMode::Create => WriteMode::Create,
            catalog::WriteMode::Replace => WriteMode::Replace,
            catalog::WriteMode::Merge => WriteMode::Merge,
        };
        let written = backend
            .catalog
            .write_entity(&actor, &blueprint, draft, mode, WriteOptions::default())
            .await;
        match written {
            Ok(written) => Ok(Ok(shown(&written.entity.value, named.as_ref()))),
            Err(error) => Ok(Err(self.refused(access, &blueprint, error).await)),
        }
    }

    async fn delete(
        &mut self,
        blueprint: String,
        identifier: String,
    ) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        let backend = self.backend()?.clone();
        let access = CatalogAccess::Delete;
        let blueprint = match self.may(access, &blueprint).await {
            Ok(blueprint) => blueprint,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Ok(identifier) = EntityId::parse(identifier.as_str()) else {
            return Ok(Err(not_found(&blueprint, &identifier)));
        };
        if self.pages.effect().await.is_err() {
            return Ok(Err(unjournalled()));
        }
        let actor = self.catalog_actor();
        let deleted = backend
            .catalog
            .delete_entity(&actor, &blueprint, &identifier, Dependents::Keep)
            .await;
        match deleted {
            Ok(()) => Ok(Ok(())),
            Err(error) => Ok(Err(self.refused(access, &blueprint, error).await)),
        }
    }
}

impl Guest {
    /// The person who asked, through the door of a plugin.
    fn catalog_actor(&self) -> Actor {
        Actor {
            origin: Origin::Plugin,
            run: Some(self.caller.run.clone()),
            ..self.caller.actor.clone()
        }
    }

    /// The blueprint, if the access to it was granted, and is the person's where their own rights count as well; what
    /// cannot be a blueprint was never granted.
    async fn may(&mut self, access: CatalogAccess, blueprint: &str) -> Answer<BlueprintId> {
        let id = match BlueprintId::parse(blueprint) {
            Ok(id) => id,
            Err(error) => {
                return Err(catalog::Error::Invalid(plain(vec![odd(
                    "/blueprint",
                    &error,
                )])));
            }
        };
        let Some(place) = self.power.find_access(access, &id) else {
            let missing = format!("catalog {} {id}", access.as_str());
            let denial = self.deny(missing, "[[capabilities.catalog]]").await;
            return Err(catalog::Error::Denied(denial));
        };
        self.person_may(access, &id).await?;
        // Which line allows a write depends on what is written.
        if access != CatalogAccess::Upsert {
            self.tally.line(place);
        }
        Ok(id)
    }

    /// Where the person's own rights count as well, refuses what their role does not include: over HTTP the door would
    /// have asked for it.
    async fn person_may(&mut self, access: CatalogAccess, blueprint: &BlueprintId) -> Answer<()> {
        let permission = match access {
            CatalogAccess::Read => Permission::ReadCatalog,
            CatalogAccess::Upsert | CatalogAccess::Delete => Permission::WriteCatalog,
        };
        let actor = &self.caller.actor;
        if !actor.bound || actor.may(permission) {
            return Ok(());
        }
        let message = format!(
            "this action works with the rights of `{}` (`runAs: user`), and role `{}` does not include `{}`; ask an administrator",
            actor.name,
            actor.role.as_str(),
            permission.as_str()
        );
        Err(self.not_theirs(access, blueprint, message).await)
    }

    /// Why the catalog refused; what a person may not do is a denial where their rights count.
    async fn refused(
        &mut self,
        access: CatalogAccess,
        blueprint: &BlueprintId,
        error: Error,
    ) -> catalog::Error {
        match error {
            Error::Forbidden(message) if self.caller.actor.bound => {
                let person = &self.caller.actor.name;
                let message = format!(
                    "this action works with the rights of `{person}` (`runAs: user`): {message}"
                );
                self.not_theirs(access, blueprint, message).await
            }
            error => refusal(error),
        }
    }

    async fn not_theirs(
        &mut self,
        access: CatalogAccess,
        blueprint: &BlueprintId,
        message: String,
    ) -> catalog::Error {
        let missing = format!("catalog {} {blueprint}", access.as_str());
        self.audit_beyond(&missing, Beyond::Person(&message)).await;
        let message = format!("`{missing}` was granted, but {message}");
        catalog::Error::Denied(types::Denial { missing, message })
    }

    /// The place of the line that lists all of a write.
    async fn find_listed(
        &mut self,
        blueprint: &BlueprintId,
        draft: &EntityDraft,
        queries: &Queries,
        mode: catalog::WriteMode,
    ) -> Answer<usize> {
        let named = written_parts(draft, queries);
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let replaces = matches!(mode, catalog::WriteMode::Replace);
        if let Some(place) = self.power.find_write(blueprint, &named, replaces) {
            return Ok(place);
        }
        let missing = if replaces {
            format!("catalog upsert {blueprint}")
        } else {
            let mut wanted = self.power.writable(blueprint);
            wanted.extend(named.into_iter().map(str::to_owned));
            let wanted = Vec::from_iter(wanted).join(",");
            format!("catalog upsert {blueprint} properties {wanted}")
        };
        let denial = self.deny(missing, "[[capabilities.catalog]]").await;
        Err(catalog::Error::Denied(denial))
    }

    /// Refuses relations to entities that the plugin may not read: the answer would tell which of them exist.
    async fn refuse_hidden_targets(
        &mut self,
        blueprint: &BlueprintId,
        draft: &EntityDraft,
    ) -> wasmtime::Result<Option<catalog::Error>> {
        let relations = draft
            .relations
            .iter()
            .flatten()
            .filter(|(_, value)| !value.targets().is_empty());
        let names: Vec<String> = relations.map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let definition = match self.backend()?.catalog.find_blueprint(blueprint).await {
            Ok(found) => found.value,
            Err(error) => return Ok(Some(refusal(error))),
        };
        for name in names {
            // A relation that the blueprint does not have is for the catalog to refuse, with all else that is wrong.
            let Some(target) = definition
                .relations
                .get(&name)
                .map(|relation| relation.target.clone())
            else {
                continue;
            };
            // What it writes it may point at; the line for that is counted with the write.
            if target == *blueprint {
                continue;
            }
            let seen = [CatalogAccess::Read, CatalogAccess::Upsert];
            let mut seen = seen.iter();
            if let Some(place) = seen.find_map(|access| self.power.find_access(*access, &target)) {
                self.tally.line(place);
            } else {
                let denial = self
                    .deny(format!("catalog read {target}"), "[[capabilities.catalog]]")
                    .await;
                return Ok(Some(catalog::Error::Denied(denial)));
            }
        }
        Ok(None)
    }

    /// Refuses queries over entities that the plugin may not read: what is found tells what they have.
    async fn refuse_queries(
        &mut self,
        blueprint: &BlueprintId,
        queries: &Queries,
    ) -> wasmtime::Result<Option<catalog::Error>> {
        let definition = match self.backend()?.catalog.find_blueprint(blueprint).await {
            Ok(found) => found.value,
            Err(error) => return Ok(Some(refusal(error))),
        };
        let own = queries.identifier.iter().map(|_| blueprint);
        let targets = queries.relations.keys().filter_map(|name| {
            let relation = definition.relations.get(name)?;
            Some(&relation.target)
        });
        for searched in own.chain(targets) {
            if let Err(refusal) = self.may(CatalogAccess::Read, searched.as_str()).await {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }
}

fn unjournalled() -> catalog::Error {
    catalog::Error::Unavailable("the run's journal cannot be written now".to_owned())
}

fn refusal(error: Error) -> catalog::Error {
    match error {
        Error::NotFound(what) => catalog::Error::NotFound(what),
        Error::Conflict { message, .. } | Error::Forbidden(message) => {
            catalog::Error::Conflict(message)
        }
        Error::Invalid { violations, .. } => catalog::Error::Invalid(plain(violations)),
        Error::TooExpensive(message) => catalog::Error::Unavailable(message),
        error @ (Error::Store(_) | Error::Random(_) | Error::NoJq(_)) => {
            tracing::error!(%error, "the catalog could not serve a plugin");
            catalog::Error::Unavailable("the catalog cannot answer now".to_owned())
        }
    }
}

fn not_found(blueprint: &BlueprintId, identifier: &str) -> catalog::Error {
    let shown: String = identifier.chars().take(64).collect();
    catalog::Error::NotFound(format!("entity `{shown}` of blueprint `{blueprint}`"))
}
