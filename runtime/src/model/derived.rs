//! What a blueprint derives from its entities and from what they are related to.

use indexmap::IndexMap;
use serde::Serialize;

use super::{BlueprintId, Meta, Query};

/// The derived properties of one blueprint, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DerivedProperties {
    /// Copies of what related entities have.
    pub mirrors: IndexMap<String, Mirror>,
    /// Results of jq filters over the entity.
    pub calculations: IndexMap<String, Calculation>,
    /// Figures over many related entities.
    pub aggregations: IndexMap<String, Aggregation>,
}

impl DerivedProperties {
    /// Every name, in the order of the blueprint's document.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mirrors = self.mirrors.keys();
        let rest = self.calculations.keys().chain(self.aggregations.keys());
        mirrors.chain(rest).map(String::as_str)
    }
}

/// One value of an entity: a property, own or derived, or what every entity has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// A property.
    Property(String),
    /// A meta-property.
    Meta(Meta),
}

impl Field {
    /// The field of a name as it stands in paths: meta-properties begin with `$`.
    pub fn parse(name: &str) -> Option<Self> {
        if name.starts_with('$') {
            Meta::parse(name).map(Self::Meta)
        } else {
            Some(Self::Property(name.to_owned()))
        }
    }

    /// Its name as it stands in paths.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Property(name) => name,
            Self::Meta(meta) => meta.as_str(),
        }
    }
}

/// A copy of a value of a related entity; a list of them where a relation on the way leads to many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The relations on the way, at least one.
    pub relations: Vec<String>,
    /// What is copied at the end of it.
    pub field: Field,
}

/// The first result of a jq filter over the entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calculation {
    /// Type of its values; a result of another type is no value.
    pub kind: PropertyType,
    /// Format of its values, where it has one.
    pub format: Option<String>,
    /// The jq filter.
    pub filter: String,
}

/// A figure over the entities of a blueprint that are related to this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// Blueprint of the entities that are taken together.
    pub target: BlueprintId,
    /// What is made of them.
    pub figure: Figure,
    /// Which of them count; absent: all.
    pub query: Option<Query>,
    /// How they have to be related; absent: along relations in one direction, over any of them.
    pub path: Option<RelationPath>,
}

/// One way along relations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationPath {
    /// The relations, at least one, each followed from the entity that has it.
    pub relations: Vec<String>,
    /// Whether the path begins at the entities that are taken together and leads to this one.
    pub from_target: bool,
}

/// What an aggregation makes of many entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How many they are.
    Count,
    /// How many they are in each of the spans of time since the first of them.
    CountPer(Pace),
    /// A figure of the numbers that they have in a property.
    Of(Function, String),
    /// The sum of the numbers in a property for each of the spans of time since the first of them.
    SumPer(Pace, String),
}

/// How often, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The span of time.
    pub span: Span,
    /// The instant that each of the entities has.
    pub instant: Field,
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// The twelfth part of a year of 365.25 days.
    Month,
}

impl Span {
    /// Every span by its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
    ];

    /// How long it is.
    pub fn milliseconds(self) -> i64 {
        const HOUR: i64 = 3_600_000;
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            Self::Month => 8_766 * HOUR / 12,
        }
    }
}

/// A figure of several numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// 0 where there are none.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The one in the middle; of two the mean.
    Median,
    /// The mean.
    Average,
}

impl Function {
    /// Every function by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("median", Self::Median),
        ("average", Self::Average),
    ];
}

/// Type of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyType {
    /// A text.
    String,
    /// A number.
    Number,
    /// A yes or no.
    Boolean,
    /// An object.
    Object,
    /// A list.
    Array,
}

impl PropertyType {
    /// Every type by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("object", Self::Object),
        ("array", Self::Array),
    ];

    /// The type of a name.
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| kind)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.into_iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether a JSON value is of it.
    pub fn holds(self, value: &serde_json::Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
        }
    }
}

/// A derived value that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DerivedFailure {
    /// Blueprint of the entity.
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// The entity.
    pub entity: String,
    /// The derived property.
    pub property: String,
    /// Why it has no value.
    pub message: String,
}
