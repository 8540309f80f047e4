//! What an apply did, or would do.

use serde::Serialize;
use serde_json::Value;

use super::difference::{Difference, find_differences};
use crate::store;

/// Bytes of JSON that the differences of one apply may have in all: an answer is read by people.
const MAX_DIFFERENCES: usize = 8 * 1024 * 1024;

/// What an apply did, or would do.
///
/// Documents are named as `blueprint ID`, `entity BLUEPRINT/ID`, `scorecard BLUEPRINT/ID` or `action ID`.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Documents that were not there before.
    pub created: Vec<String>,
    /// Documents that differ from what was there.
    pub updated: Vec<String>,
    /// Documents that are just as they were.
    pub unchanged: Vec<String>,
    /// What was there, belonged to the same source, and has no document any more.
    pub deleted: Vec<String>,
    /// Documents that belonged to another source until now.
    pub taken_over: Vec<TakenOver>,
    /// Field by field, what became of the updated documents.
    pub changes: Vec<DocumentChange>,
    /// Whether there was more to tell in `changes` than an answer holds.
    pub changes_cut: bool,
    #[serde(skip)]
    bytes: usize,
}

/// What became of one document.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DocumentChange {
    /// Which document, as in `updated`.
    pub document: String,
    /// Every field that differs.
    pub fields: Vec<Difference>,
}

/// A document that changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TakenOver {
    /// Which document.
    pub document: String,
    /// The source that it belonged to.
    pub from: String,
}

impl Applied {
    /// Notes what became of one document, told by what it was and what it is.
    ///
    /// # Errors
    /// A value of the model that is no JSON, which none is.
    pub fn note<T: Serialize + PartialEq>(
        &mut self,
        document: String,
        before: Option<&T>,
        after: &T,
    ) -> Result<(), store::Error> {
        let Some(before) = before else {
            self.created.push(document);
            return Ok(());
        };
        if before == after {
            self.unchanged.push(document);
            return Ok(());
        }
        self.updated.push(document.clone());
        if self.changes_cut {
            return Ok(());
        }
        let json = |value: &T| {
            serde_json::to_value(value).map_err(|error| store::Error::corrupt("document", error))
        };
        let fields = find_differences(&json(before)?, &json(after)?);
        let size =
            |value: &Option<Value>| value.as_ref().map_or(0, |value| value.to_string().len());
        self.bytes += fields
            .iter()
            .map(|field| field.path.len() + size(&field.before) + size(&field.after))
            .sum::<usize>();
        if self.bytes > MAX_DIFFERENCES {
            self.changes_cut = true;
        } else {
            self.changes.push(DocumentChange { document, fields });
        }
        Ok(())
    }
}
