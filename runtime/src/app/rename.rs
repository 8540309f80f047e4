//! Another name for a part of a blueprint, in the catalog and in the actions that read it.

use super::App;
use crate::action::{self, Renaming};
use crate::catalog::Renamed;
use crate::model::{Actor, Blueprint, BlueprintId, Stamped};

impl App {
    /// Gives a part of a blueprint another name in one transaction with everything that refers to it.
    ///
    /// # Errors
    /// A conflict where a filter or a template may refer to it in a way that cannot be followed.
    pub async fn rename_in_blueprint(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        what: Renamed,
        from: &str,
        to: &str,
    ) -> Result<Stamped<Blueprint>, action::Error> {
        let forms = self.actions.find_forms().await?;
        let (catalog, actions) = self.parts();
        let (actor, id) = (actor.clone(), id.clone());
        let (from, to) = (from.to_owned(), to.to_owned());
        self.store
            .write(move |tx| {
                let renamed = catalog.rename_in(tx, &actor, &id, what, [&from, &to])?;
                let renaming = Renaming {
                    blueprint: &id,
                    what,
                    from: &from,
                    to: &to,
                };
                actions.rename_in(tx, &actor, renaming, &forms)?;
                Ok(renamed)
            })
            .await
    }
}
