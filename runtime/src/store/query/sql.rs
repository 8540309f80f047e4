//! Writes conditions as SQL. What comes from outside is bound, never written into the text.

use rusqlite::types::Value as Sql;

use super::super::entity::EntityKey;
use super::super::value::{IndexValue, PropertyKey, Span};

/// What has to hold for an entity.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// What never does.
    Never,
    /// All of these.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// The opposite.
    Not(Box<Self>),
    /// It has the value in the property.
    Value(PropertyKey, IndexValue),
    /// It has a value of the stretch in the property. All those are looked up at once: for short stretches only.
    Span(PropertyKey, Span),
    /// A column of its own passes a test.
    Column(Column, ColumnTest),
    /// A relation of it points at one of these.
    Target(String, Vec<EntityKey>),
    /// A relation of it points anywhere.
    AnyTarget(String),
    /// It is one of these.
    Keys(Vec<EntityKey>),
}

/// A column of an entity's own row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Its identifier.
    Identifier,
    /// The name of its icon.
    Icon,
    /// When it was made, in milliseconds.
    CreatedAt,
    /// When it was changed, in milliseconds.
    UpdatedAt,
    /// Who made it.
    CreatedBy,
    /// Who changed it last.
    UpdatedBy,
    /// The program that wrote it last.
    Datasource,
}

/// What is asked of a column. Without a value it passes none of them.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnTest {
    /// One of these texts.
    In(Vec<String>),
    /// A text that begins so.
    BeginsWith(String),
    /// A text that has this part.
    Contains(String),
    /// A number between two, both of which belong to it.
    Between(i64, i64),
    /// There is no text, or an empty one.
    Empty,
}

impl Condition {
    /// Whether it asks for more than the key of an entity.
    pub(super) fn needs_row(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::needs_row),
            Self::Not(part) => part.needs_row(),
            Self::Column(..) => true,
            Self::Always
            | Self::Never
            | Self::Value(..)
            | Self::Span(..)
            | Self::Target(..)
            | Self::AnyTarget(..)
            | Self::Keys(..) => false,
        }
    }
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Identifier => "e.identifier",
            Self::Icon => "e.icon",
            Self::CreatedAt => "e.created_at",
            Self::UpdatedAt => "e.updated_at",
            Self::CreatedBy => "e.created_by",
            Self::UpdatedBy => "e.updated_by",
            Self::Datasource => "e.datasource",
        }
    }
}

/// A statement in the making.
pub(in crate::store) struct Statement {
    text: String,
    values: Vec<Sql>,
}

impl Statement {
    pub(in crate::store) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    pub(in crate::store) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(in crate::store) fn bind(&mut self, value: Sql) {
        self.text.push('?');
        self.values.push(value);
    }

    pub(super) fn finish(self) -> (String, Vec<Sql>) {
        (self.text, self.values)
    }

    /// ` AND column …`, for the stretch of a property.
    pub(super) fn span(&mut self, column: &str, span: &Span) {
        match span {
            Span::Point(value) => {
                self.text(&format!(" AND {column} = "));
                self.bind(value.0.clone());
            }
            Span::Range { from, to } => {
                for (end, open, closed) in [(from, ">", ">="), (to, "<", "<=")] {
                    let operator = if end.1 { closed } else { open };
                    self.text(&format!(" AND {column} {operator} "));
                    self.bind(end.0.0.clone());
                }
            }
            Span::Present => self.text(&format!(" AND {column} <> ''")),
        }
    }

    /// A condition on the entity whose key the expression `id` gives.
    pub(super) fn condition(&mut self, condition: &Condition, id: &str) {
        match condition {
            Condition::Always => self.text("1"),
            Condition::Never => self.text("0"),
            Condition::All(parts) => self.joined(parts, " AND ", "1", id),
            Condition::Any(parts) => self.joined(parts, " OR ", "0", id),
            Condition::Not(part) => {
                self.text("NOT (");
                self.condition(part, id);
                self.text(")");
            }
            Condition::Value(property, value) => {
                self.text("EXISTS (SELECT 1 FROM value AS v WHERE v.property = ");
                self.bind(Sql::Integer(property.0));
                self.text(" AND v.value = ");
                self.bind(value.0.clone());
                self.text(&format!(" AND v.entity = {id})"));
            }
            Condition::Span(property, span) => {
                self.text(&format!(
                    "{id} IN (SELECT v.entity FROM value AS v WHERE v.property = "
                ));
                self.bind(Sql::Integer(property.0));
                self.span("v.value", span);
                self.text(")");
            }
            Condition::Column(column, test) => self.column(column.name(), test),
            Condition::Target(name, targets) => {
                self.text(&format!(
                    "EXISTS (SELECT 1 FROM relation AS r WHERE r.source_id = {id} AND r.name = "
                ));
                self.bind(Sql::Text(name.clone()));
                self.text(" AND r.target_id IN (SELECT value FROM json_each(");
                self.bind(list_of_keys(targets));
                self.text(")))");
            }
            Condition::AnyTarget(name) => {
                self.text(&format!(
                    "EXISTS (SELECT 1 FROM relation AS r WHERE r.source_id = {id} AND r.name = "
                ));
                self.bind(Sql::Text(name.clone()));
                self.text(")");
            }
            Condition::Keys(keys) => {
                self.text(&format!("{id} IN (SELECT value FROM json_each("));
                self.bind(list_of_keys(keys));
                self.text("))");
            }
        }
    }

    fn joined(&mut self, parts: &[Condition], between: &str, none: &str, id: &str) {
        if parts.is_empty() {
            return self.text(none);
        }
        self.text("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text(between);
            }
            self.condition(part, id);
        }
        self.text(")");
    }

    /// A test that is true or false and never unknown: it may stand under `NOT`.
    fn column(&mut self, column: &str, test: &ColumnTest) {
        match test {
            ColumnTest::In(texts) => {
                self.text(&format!("({column} IS NOT NULL AND {column} IN ("));
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        self.text(", ");
                    }
                    self.bind(Sql::Text(text.clone()));
                }
                self.text("))");
            }
            ColumnTest::BeginsWith(prefix) => {
                self.text(&format!("({column} IS NOT NULL AND substr({column}, 1, "));
                let length = prefix.chars().count();
                self.bind(Sql::Integer(i64::try_from(length).unwrap_or(i64::MAX)));
                self.text(") = ");
                self.bind(Sql::Text(prefix.clone()));
                self.text(")");
            }
            ColumnTest::Contains(part) => {
                self.text(&format!("({column} IS NOT NULL AND instr({column}, "));
                self.bind(Sql::Text(part.clone()));
                self.text(") > 0)");
            }
            ColumnTest::Between(from, to) => {
                self.text(&format!("({column} BETWEEN "));
                self.bind(Sql::Integer(*from));
                self.text(" AND ");
                self.bind(Sql::Integer(*to));
                self.text(")");
            }
            ColumnTest::Empty => self.text(&format!("coalesce({column}, '') = ''")),
        }
    }
}

/// Keys as one argument: a list in JSON, however many there are.
pub(in crate::store) fn list_of_keys(keys: &[EntityKey]) -> Sql {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(keys.len() * 8 + 2);
    text.push('[');
    for (index, key) in keys.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}", key.0);
    }
    text.push(']');
    Sql::Text(text)
}
