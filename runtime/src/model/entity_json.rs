//! An entity as JSON.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Entity, Stamped};

/// An entity with its stamp, as an answer shows it: JSON already, most of it as it is stored.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct EntityJson(Box<RawValue>);

impl EntityJson {
    /// Writes what serializes as a stamped entity does.
    pub fn write(entity: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(entity).map(Self)
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The entity itself, for whoever looks into it.
    pub fn read(&self) -> Result<Stamped<Entity>, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

impl From<EntityJson> for Box<RawValue> {
    fn from(json: EntityJson) -> Self {
        json.0
    }
}
