//! The deletion of all entities of a blueprint: batch by batch behind the request, taken up again after a restart.

use super::entity::{self, Emptied};
use super::{Catalog, Error, blueprint, random_text};
use crate::model::{Actor, BlueprintId, Migration, MigrationStatus, Timestamp};
use crate::store::WriteTx;

/// Entities of one batch: few enough that whoever else writes waits a moment only.
const BATCH: usize = 200;

/// What one batch left.
enum Step {
    More,
    Done,
}

impl Catalog {
    /// Begins to delete all entities of a blueprint, and at the end, if asked for, the blueprint itself.
    pub async fn start_emptying(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        delete_blueprint: bool,
    ) -> Result<Migration, Error> {
        let migration = Migration {
            id: format!("m_{}", random_text()?),
            status: MigrationStatus::Pending,
            blueprint: id.clone(),
            delete_blueprint,
            actor: actor.clone(),
            done: 0,
            message: None,
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
        };
        let stored = migration.clone();
        self.store
            .write(move |tx| {
                blueprint::find(tx, &stored.blueprint)?;
                if super::team::is_synced(&stored.blueprint) {
                    return Err(super::team::refuse_unsynced(&stored.blueprint));
                }
                Ok::<_, Error>(tx.insert_migration(&stored)?)
            })
            .await?;
        self.spawn_emptying(migration.clone());
        Ok(migration)
    }

    /// How far the deletion of all entities of a blueprint is.
    pub async fn find_migration(&self, id: &str) -> Result<Migration, Error> {
        let id = id.to_owned();
        let shown: String = id.chars().take(100).collect();
        self.store
            .read(move |tx| tx.find_migration(&id))
            .await?
            .ok_or_else(|| Error::NotFound(format!("migration `{shown}`")))
    }

    /// Takes up the deletions that an earlier life of the process left unfinished.
    pub async fn resume_migrations(&self) -> Result<(), Error> {
        let open = self.store.read(|tx| tx.list_open_migrations()).await?;
        for migration in open {
            self.spawn_emptying(migration);
        }
        Ok(())
    }

    fn spawn_emptying(&self, migration: Migration) {
        let catalog = self.clone();
        tokio::spawn(async move {
            let id = migration.id.clone();
            if let Err(error) = catalog.empty(migration).await {
                let told: &dyn std::error::Error = &error;
                tracing::error!(migration.id = %id, error = told, "a migration stopped; the next start takes it up again");
            }
        });
    }

    /// Works until nothing is left, or something holds. An `Err` leaves the work open.
    async fn empty(&self, migration: Migration) -> Result<(), Error> {
        let mut done = migration.done;
        loop {
            let (catalog, migration) = (self.clone(), migration.clone());
            let id = migration.id.clone();
            let outcome = self
                .store
                .write(move |tx| step(tx, &catalog, &migration, done))
                .await;
            match outcome {
                Ok((Step::More, total)) => done = total,
                Ok((Step::Done, _)) => return Ok(()),
                Err(error @ (Error::Store(_) | Error::Random(_))) => return Err(error),
                Err(refused) => {
                    let message = refused.to_string();
                    return self
                        .store
                        .write(move |tx| {
                            let status = MigrationStatus::Failure;
                            Ok(tx.update_migration(&id, status, done, Some(&message))?)
                        })
                        .await;
                }
            }
        }
    }
}

/// Deletes one batch and notes how far the work is, in one transaction.
fn step(
    tx: &WriteTx<'_>,
    catalog: &Catalog,
    migration: &Migration,
    done: u64,
) -> Result<(Step, u64), Error> {
    let Migration {
        id,
        blueprint,
        actor,
        ..
    } = migration;
    let Emptied { deleted, more } =
        entity::delete_all_of(tx, &catalog.kinds, actor, blueprint, BATCH)?;
    let done = done + deleted as u64;
    if more {
        tx.update_migration(id, MigrationStatus::Running, done, None)?;
        return Ok((Step::More, done));
    }
    if migration.delete_blueprint {
        blueprint::delete(tx, actor, blueprint)?;
    }
    tx.update_migration(id, MigrationStatus::Completed, done, None)?;
    Ok((Step::Done, done))
}
