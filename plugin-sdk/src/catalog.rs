//! The software catalog, within the blueprints, accesses and properties that were granted.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::failure::join;
use crate::{Context, Denial, Failure, Violation, decode, host};

/// The software catalog; from [`Context::catalog`]. Needs one `[[capabilities.catalog]]` per blueprint.
///
/// Every write is one transaction, checked by the same rules as a write over HTTP.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new().with_entity(Entity::new("System", "Cart"));
/// let service = Entity::new("Component", "orders").property("type", "service").relation("system", "Cart");
/// ctx.catalog().create(&service)?;
/// assert_eq!(ctx.catalog().get("Component", "orders")?.target("system"), Some("Cart"));
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Catalog<'a> {
    pub(crate) ctx: &'a Context,
}

impl Catalog<'_> {
    /// Reads one entity. Needs `read` on its blueprint.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::Unavailable`].
    pub fn get(&self, blueprint: &str, identifier: &str) -> Result<Entity, Error> {
        host::catalog::get(self.ctx, blueprint, identifier)
    }

    /// Reads one entity that may be absent. Needs `read` on its blueprint.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Unavailable`].
    pub fn find(&self, blueprint: &str, identifier: &str) -> Result<Option<Entity>, Error> {
        match self.get(blueprint, identifier) {
            Ok(entity) => Ok(Some(entity)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an entity and answers it as it now is. Needs `upsert` on its blueprint.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it exists, [`Error::NotFound`] for a relation target, [`Error::Invalid`],
    /// [`Error::Denied`], [`Error::Unavailable`].
    pub fn create(&self, entity: &Entity) -> Result<Entity, Error> {
        host::catalog::write(self.ctx, entity, WriteMode::Create)
    }

    /// Creates an entity, or replaces all of it: what the new one leaves out is cleared. Needs `upsert`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a relation target, [`Error::Invalid`], [`Error::Conflict`] where it changed
    /// meanwhile, [`Error::Denied`], [`Error::Unavailable`].
    pub fn replace(&self, entity: &Entity) -> Result<Entity, Error> {
        host::catalog::write(self.ctx, entity, WriteMode::Replace)
    }

    /// Creates an entity, or changes only what the new one names. Needs `upsert`.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn merge(&self, entity: &Entity) -> Result<Entity, Error> {
        host::catalog::write(self.ctx, entity, WriteMode::Merge)
    }

    /// Deletes an entity. Needs `delete` on its blueprint.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] while another entity requires it, [`Error::Denied`],
    /// [`Error::Unavailable`].
    pub fn delete(&self, blueprint: &str, identifier: &str) -> Result<(), Error> {
        host::catalog::delete(self.ctx, blueprint, identifier)
    }
}

/// What a write does with an entity that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteMode {
    Create,
    Replace,
    Merge,
}

/// One row of the catalog.
///
/// ```
/// use goldenpath_sdk::catalog::Entity;
///
/// let entity = Entity::new("Component", "orders")
///     .title("Orders")
///     .team("payments")
///     .property("type", "service")
///     .relation("system", "Cart")
///     .relations("consumesApi", ["cart-api", "stock-api"]);
/// assert_eq!(entity.get::<String>("type")?.as_deref(), Some("service"));
/// # Ok::<(), goldenpath_sdk::Failure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// Identifier of its blueprint.
    pub blueprint: String,
    /// Identifier, unique within the blueprint.
    pub identifier: String,
    /// Title for people; the identifier where absent.
    #[serde(default)]
    pub title: Option<String>,
    /// Name of an icon.
    #[serde(default)]
    pub icon: Option<String>,
    /// Identifiers of the owning teams.
    #[serde(default)]
    pub team: Vec<String>,
    /// Property name to value.
    #[serde(default)]
    pub properties: Map<String, Value>,
    /// Relation name to where it points.
    #[serde(default)]
    pub relations: BTreeMap<String, Target>,
}

impl Entity {
    /// An entity that names nothing but itself.
    pub fn new(blueprint: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self {
            blueprint: blueprint.into(),
            identifier: identifier.into(),
            title: None,
            icon: None,
            team: Vec::new(),
            properties: Map::new(),
            relations: BTreeMap::new(),
        }
    }

    /// Sets the title for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the icon, by its name in the portal.
    #[must_use]
    pub fn icon(mut self, icon: impl Into<String>) -> Self {
        self.icon = Some(icon.into());
        self
    }

    /// Adds an owning team, by its identifier.
    #[must_use]
    pub fn team(mut self, team: impl Into<String>) -> Self {
        self.team.push(team.into());
        self
    }

    /// Sets one property.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Sets the properties from a type that serializes as an object; others are kept.
    ///
    /// # Errors
    /// [`Error::Format`] where it does not serialize as a JSON object.
    ///
    /// ```
    /// use goldenpath_sdk::catalog::{Entity, Error};
    /// # use goldenpath_sdk::serde;
    ///
    /// #[derive(serde::Serialize)]
    /// # #[serde(crate = "goldenpath_sdk::serde")]
    /// struct Component {
    ///     language: &'static str,
    /// }
    ///
    /// let entity = Entity::new("Component", "orders").properties_from(&Component { language: "rust" })?;
    /// assert_eq!(entity.properties["language"], "rust");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn properties_from<T: Serialize>(mut self, properties: &T) -> Result<Self, Error> {
        match serde_json::to_value(properties) {
            Ok(Value::Object(map)) => self.properties.extend(map),
            Ok(_) => {
                return Err(Error::Format(
                    "properties serialize as a JSON object".to_owned(),
                ));
            }
            Err(error) => return Err(Error::Format(error.to_string())),
        }
        Ok(self)
    }

    /// Points a relation at one entity.
    ///
    /// A query may stand in the place of the target, as its JSON text: the portal looks for what it finds, for which the
    /// plugin needs `read` on that blueprint. The same goes for [`identifier`](Self::identifier). The fake finds nothing
    /// by a query.
    #[must_use]
    pub fn relation(mut self, name: impl Into<String>, target: impl Into<String>) -> Self {
        self.relations
            .insert(name.into(), Target::One(target.into()));
        self
    }

    /// Points a relation at many entities, in order.
    #[must_use]
    pub fn relations<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        targets: impl IntoIterator<Item = T>,
    ) -> Self {
        let targets = targets.into_iter().map(Into::into).collect();
        self.relations.insert(name.into(), Target::Many(targets));
        self
    }

    /// Clears a relation, also in a [`merge`](Catalog::merge).
    #[must_use]
    pub fn clear_relation(mut self, name: impl Into<String>) -> Self {
        self.relations.insert(name.into(), Target::None);
        self
    }

    /// Reads one property; absent where it is not set or `null`.
    ///
    /// # Errors
    /// [`Error::Format`] where the value is not of type `T`.
    pub fn get<T: DeserializeOwned>(&self, property: &str) -> Result<Option<T>, Error> {
        let Some(value) = self
            .properties
            .get(property)
            .filter(|value| !value.is_null())
        else {
            return Ok(None);
        };
        decode::from_value(value)
            .map(Some)
            .map_err(|error| Error::Format(format!("property `{property}`: {error}")))
    }

    /// Reads all properties as one type.
    ///
    /// # Errors
    /// [`Error::Format`] where they do not fit.
    pub fn properties_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode::from_value(&Value::Object(self.properties.clone()))
            .map_err(|error| Error::Format(format!("properties: {error}")))
    }

    /// The one entity that a relation points at; absent where it points at nothing or at many.
    pub fn target(&self, relation: &str) -> Option<&str> {
        match self.relations.get(relation)? {
            Target::One(identifier) => Some(identifier),
            Target::None | Target::Many(_) => None,
        }
    }

    /// Every entity that a relation points at, in order.
    pub fn targets(&self, relation: &str) -> &[String] {
        match self.relations.get(relation) {
            Some(Target::One(identifier)) => std::slice::from_ref(identifier),
            Some(Target::Many(identifiers)) => identifiers,
            Some(Target::None) | None => &[],
        }
    }
}

/// What a relation points at, by entity identifier. JSON: `null`, an identifier, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: clears the relation.
    None,
    /// One entity.
    One(String),
    /// Many entities, in order.
    Many(Vec<String>),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::One(identifier) => identifier.serialize(serializer),
            Self::Many(identifiers) => identifiers.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(String),
            Many(Vec<String>),
        }
        Ok(match Option::<Written>::deserialize(deserializer)? {
            None => Self::None,
            Some(Written::One(identifier)) => Self::One(identifier),
            Some(Written::Many(identifiers)) => Self::Many(identifiers),
        })
    }
}

/// Why a call had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted. Also the answer for an entity that the grant does not let this plugin see.
    Denied(Denial),
    /// No such blueprint, entity or relation target; the text names it.
    NotFound(String),
    /// It exists already, or changed meanwhile; the text names it.
    Conflict(String),
    /// It breaks the blueprint; every violation at once.
    Invalid(Vec<Violation>),
    /// The catalog cannot answer now; trying again later may help.
    Unavailable(String),
    /// A value does not fit its Rust type, or cannot be JSON.
    Format(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Invalid(_) => "invalid",
            Self::Unavailable(_) => "unavailable",
            Self::Format(_) => "invalid_json",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => f.write_str(&denial.message),
            Self::Invalid(violations) => f.write_str(&join(violations)),
            Self::NotFound(text)
            | Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::Format(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(violations) => Self::invalid(message, violations),
            other => Self::new(other.code(), message),
        }
    }
}
