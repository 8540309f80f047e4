//! What properties were called before they were renamed.

use super::History;
use crate::catalog::Error;
use crate::catalog::blueprint::{RenameTold, Renamed};
use crate::model::{BlueprintId, Timestamp};

/// The renamings of a blueprint's properties, newest first.
#[derive(Clone, Debug, Default)]
pub struct PropertyNames {
    renamed: Vec<(Timestamp, [String; 2])>,
}

impl PropertyNames {
    /// What a property that is called so now was called at a point in time; absent where there was none, whatever else
    /// had its name then.
    pub fn name_at(&self, name: &str, at: Timestamp) -> Option<String> {
        let later = self.renamed.iter().take_while(|(when, _)| *when > at);
        let mut name = name.to_owned();
        for (_, [from, to]) in later {
            if *to == name {
                name.clone_from(from);
            } else if *from == name {
                return None;
            }
        }
        Some(name)
    }
}

impl History {
    /// What the properties of a blueprint were called at any time after `since`.
    pub async fn find_property_names(
        &self,
        blueprint: &BlueprintId,
        since: Timestamp,
    ) -> Result<PropertyNames, Error> {
        let blueprint = blueprint.clone();
        self.store
            .read(move |tx| {
                let rows = tx.list_renames(&blueprint, since)?;
                let told = rows.iter().filter_map(|row| {
                    let told = RenameTold::of(row)?;
                    let names = [told.from.to_owned(), told.to.to_owned()];
                    (told.what == Renamed::Property).then_some((row.at, names))
                });
                Ok(PropertyNames {
                    renamed: told.collect(),
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_followed_back_to_what_it_stood_for() {
        let renamed = |at, from: &str, to: &str| (Timestamp(at), [from.to_owned(), to.to_owned()]);
        let names = PropertyNames {
            renamed: vec![
                renamed(30, "c", "d"),
                renamed(20, "b", "c"),
                renamed(10, "a", "b"),
            ],
        };
        let at = |name, at| names.name_at(name, Timestamp(at));
        for (when, name) in [
            (30, "d"),
            (29, "c"),
            (20, "c"),
            (19, "b"),
            (10, "b"),
            (9, "a"),
        ] {
            assert_eq!(at("d", when).as_deref(), Some(name), "{when}");
        }
        // What is called `a` now came after the one that was.
        assert_eq!(at("a", 10).as_deref(), Some("a"));
        assert_eq!(at("a", 9), None);
        assert_eq!(at("other", 0).as_deref(), Some("other"));
    }
}
