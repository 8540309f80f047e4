//! A place in the order in which results are given.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use super::{BlueprintKey, EntityKey};

/// The place behind one entity. Rows that come or go elsewhere do not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The blueprint of the entity.
    pub blueprint: BlueprintKey,
    /// The entity.
    pub entity: EntityKey,
}

/// Why a text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the `next` of an earlier page")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        let (blueprint, entity) = bytes.split_at_mut(8);
        blueprint.copy_from_slice(&self.blueprint.0.to_be_bytes());
        entity.copy_from_slice(&self.entity.0.to_be_bytes());
        f.write_str(&BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let bytes = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| NotACursor)?;
        let (blueprint, entity) = bytes.split_at_checked(8).ok_or(NotACursor)?;
        let number = |bytes: &[u8]| {
            bytes
                .try_into()
                .map(i64::from_be_bytes)
                .map_err(|_| NotACursor)
        };
        Ok(Self {
            blueprint: BlueprintKey(number(blueprint)?),
            entity: EntityKey(number(entity)?),
        })
    }
}
