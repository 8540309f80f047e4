//! What somebody asks of the catalog: rules on single values, walks along relations, and groups of both.

use serde_json::Value;

use super::{BlueprintId, EntityId};

/// Rules that hold all together, or of which one has to.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// How the rules go together.
    pub combinator: Combinator,
    /// The rules. Without any, `And` holds for everything and `Or` for nothing.
    pub rules: Vec<Rule>,
}

impl Query {
    /// Holds for every entity.
    pub fn everything() -> Self {
        Self {
            combinator: Combinator::And,
            rules: Vec::new(),
        }
    }
}

/// How the rules of a query go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combinator {
    /// All of them hold.
    And,
    /// At least one of them holds.
    Or,
}

/// One rule of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// One value of the entity against a test.
    Compare(Compare),
    /// Any property of a type against a test.
    Schema(SchemaCompare),
    /// Where the entity stands in the graph.
    Walk(Walk),
    /// A query of its own.
    Group(Query),
}

/// One value of an entity, and what is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// Which value.
    pub subject: Subject,
    /// What is asked of it.
    pub test: Test,
}

/// All properties of a type, one of which has to pass.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaCompare {
    /// The type, as in JSON Schema.
    pub kind: String,
    /// The format; absent: any or none.
    pub format: Option<String>,
    /// The type of the elements of a list; absent: any.
    pub items: Option<String>,
    /// What is asked of each.
    pub test: Test,
}

/// Which value of an entity a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A property, own or derived.
    Property(String),
    /// What every entity has.
    Meta(Meta),
    /// Where a relation points: an identifier, or a list of them.
    Relation(String),
    /// The level that the entity has reached in a scorecard, or with `rule` the status of one of its rules.
    Scorecard {
        /// Identifier of the scorecard.
        scorecard: String,
        /// Identifier of a rule of it.
        rule: Option<String>,
    },
    /// Nothing of the entity: something of whoever asks.
    Context(ContextValue),
    /// Nothing of the entity: a value that is known already.
    Constant(Value),
}

/// A value that every entity has, whatever its blueprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meta {
    /// `$identifier`.
    Identifier,
    /// `$title`.
    Title,
    /// `$team`, a list.
    Team,
    /// `$icon`.
    Icon,
    /// `$createdAt`.
    CreatedAt,
    /// `$updatedAt`.
    UpdatedAt,
    /// `$createdBy`.
    CreatedBy,
    /// `$updatedBy`.
    UpdatedBy,
    /// `$blueprint`.
    Blueprint,
    /// `$datasource`: what the last writer called itself.
    Datasource,
}

impl Meta {
    /// Every meta-property.
    pub const ALL: [Self; 10] = [
        Self::Identifier,
        Self::Title,
        Self::Team,
        Self::Icon,
        Self::CreatedAt,
        Self::UpdatedAt,
        Self::CreatedBy,
        Self::UpdatedBy,
        Self::Blueprint,
        Self::Datasource,
    ];

    /// Its name in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "$identifier",
            Self::Title => "$title",
            Self::Team => "$team",
            Self::Icon => "$icon",
            Self::CreatedAt => "$createdAt",
            Self::UpdatedAt => "$updatedAt",
            Self::CreatedBy => "$createdBy",
            Self::UpdatedBy => "$updatedBy",
            Self::Blueprint => "$blueprint",
            Self::Datasource => "$datasource",
        }
    }

    /// The meta-property of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|meta| meta.as_str() == name)
    }
}

/// An operator with what it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The operator, in its positive form.
    pub operator: Operator,
    /// What it is given.
    pub operand: Operand,
    /// Whether the test passes where the operator does not hold. It then passes where there is no value, too.
    pub negated: bool,
}

/// What a test asks. Each has a negative form, which is the same with [`Test::negated`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`.
    Equal,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `in`: equal to one of a list.
    In,
    /// `contains`: a part of a text, an element of a list.
    Contains,
    /// `containsAny`: one of several.
    ContainsAny,
    /// `beginsWith`.
    BeginsWith,
    /// `endsWith`.
    EndsWith,
    /// `isEmpty`: no value, an empty text, list or object.
    Empty,
    /// `between`: both ends belong to it.
    Between,
    /// `isExpired`: an instant that is over.
    Expired,
    /// `isNotExpired`: an instant that is still to come. Not the opposite: without an instant neither holds.
    NotExpired,
}

/// What an operator is given.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Nothing.
    None,
    /// A value or a list of values.
    Value(Value),
    /// Two ends, of which one may be open.
    Range {
        /// The lower end.
        from: Option<Value>,
        /// The upper end.
        to: Option<Value>,
    },
    /// A range that depends on the day.
    Period(Period),
    /// Something of whoever asks.
    Context(ContextValue),
}

/// Something of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextValue {
    /// Of whom.
    pub holder: Holder,
    /// Which property of theirs, meta-properties with `$`.
    pub property: String,
}

/// Of whom a context value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The person who asks.
    User,
    /// Every team of theirs; the value is a list.
    UserTeams,
}

/// A range of days or months that ends or begins about now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A whole day in UTC, counted from today.
    Day(i64),
    /// Days before now, or where negative after it.
    Days(i64),
    /// Months before now, or where negative after it.
    Months(i64),
}

impl Period {
    /// Every preset by its name in queries.
    pub const PRESETS: &[(&str, Self)] = &[
        ("today", Self::Day(0)),
        ("yesterday", Self::Day(-1)),
        ("tomorrow", Self::Day(1)),
        ("lastDay", Self::Days(1)),
        ("lastWeek", Self::Days(7)),
        ("last2Weeks", Self::Days(14)),
        ("lastMonth", Self::Months(1)),
        ("last3Months", Self::Months(3)),
        ("last6Months", Self::Months(6)),
        ("last12Months", Self::Months(12)),
        ("last2Years", Self::Months(24)),
        ("last3Years", Self::Months(36)),
        ("nextDay", Self::Days(-1)),
        ("nextWeek", Self::Days(-7)),
        ("next2Weeks", Self::Days(-14)),
        ("nextMonth", Self::Months(-1)),
        ("next3Months", Self::Months(-3)),
        ("next6Months", Self::Months(-6)),
        ("next12Months", Self::Months(-12)),
    ];
}

/// Where an entity stands in the graph of relations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// It is reached from certain entities, over any relations and any number of them.
    Related(Related),
    /// It is tied to certain entities by one path of relations.
    Path(PathMatch),
}

/// Reached over any relations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Blueprint of the entities to start from.
    pub blueprint: BlueprintId,
    /// The entities to start from.
    pub start: Identifiers,
    /// Only over relations that are required, or only over those that are not; absent: over all.
    pub required: Option<bool>,
    /// Which way; absent: both, each by itself.
    pub direction: Option<Direction>,
}

/// Which way a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what the start points at.
    Upstream,
    /// To what points at the start.
    Downstream,
}

/// Tied by one path of relations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMatch {
    /// The steps, at least one.
    pub path: Vec<Step>,
    /// Absent: the path leads from the entity to one of `ends`. Present: from one of `ends`, which are entities of this
    /// blueprint, to the entity.
    pub from_blueprint: Option<BlueprintId>,
    /// The entities at the other end.
    pub ends: Identifiers,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Name of the relation.
    pub relation: String,
    /// The step may be taken up to so many times; absent: exactly once.
    pub max_hops: Option<u8>,
}

/// Entities that a walk names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifiers {
    /// These.
    Named(Vec<EntityId>),
    /// Those that something of whoever asks names.
    Context(ContextValue),
}
