//! From JSON to a [`Query`]: every violation is found, and everything that costs is bounded.

mod walk;

use serde_json::{Map, Value};

use crate::catalog::schema::{is_deeper, join, shorten};
use crate::model::{
    Combinator, Compare, ContextValue, Holder, Meta, Operand, Operator, Period, Query, Rule,
    SchemaCompare, Subject, Test, Violation, Walk,
};

/// Groups within each other.
const MAX_NESTING: usize = 16;

/// Rules of one query, groups counted too.
const MAX_RULES: usize = 500;

/// Elements of one list that a rule is given.
const MAX_LIST: usize = 5_000;

/// Bytes of one text that a rule is given.
const MAX_TEXT: usize = 4_096;

/// Lists and objects within each other in a value that a rule is given.
const MAX_VALUE_DEPTH: usize = 16;

/// Violations of one query that are told.
const MAX_VIOLATIONS: usize = 100;

/// Every operator of a comparison by its name: the operator, and whether the name is its negative form.
const OPERATORS: &[(&str, Operator, bool)] = &[
    ("=", Operator::Equal, false),
    ("!=", Operator::Equal, true),
    (">", Operator::Greater, false),
    (">=", Operator::GreaterOrEqual, false),
    ("<", Operator::Less, false),
    ("<=", Operator::LessOrEqual, false),
    ("in", Operator::In, false),
    ("notIn", Operator::In, true),
    ("contains", Operator::Contains, false),
    ("doesNotContains", Operator::Contains, true),
    ("containsAny", Operator::ContainsAny, false),
    ("beginsWith", Operator::BeginsWith, false),
    ("doesNotBeginsWith", Operator::BeginsWith, true),
    ("endsWith", Operator::EndsWith, false),
    ("doesNotEndsWith", Operator::EndsWith, true),
    ("isEmpty", Operator::Empty, false),
    ("isNotEmpty", Operator::Empty, true),
    ("between", Operator::Between, false),
    ("notBetween", Operator::Between, true),
    ("isExpired", Operator::Expired, false),
    ("isNotExpired", Operator::NotExpired, false),
];

/// Reads a search query. `path` is the JSON pointer of the query within the document that holds it.
///
/// # Errors
/// Every broken rule, by its own JSON pointer.
pub fn parse_query(document: &Value, path: &str) -> Result<Query, Vec<Violation>> {
    Parser::new(Dialect::Search).parse(document, path)
}

/// Reads the conditions of a scorecard, an aggregation or the like: comparisons and groups of them, nothing that
/// depends on the graph or on whoever asks.
///
/// # Errors
/// Every broken rule, by its own JSON pointer.
pub fn parse_conditions(document: &Value, path: &str) -> Result<Query, Vec<Violation>> {
    Parser::new(Dialect::Conditions).parse(document, path)
}

/// Reads a range by itself.
pub(super) fn parse_range(range: &Value, path: &str) -> Result<Operand, Vec<Violation>> {
    let mut parser = Parser::new(Dialect::Search);
    parser.range(range, path).ok_or(parser.found)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Search,
    Conditions,
}

struct Parser {
    dialect: Dialect,
    rules: usize,
    found: Vec<Violation>,
}

impl Parser {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            rules: 0,
            found: Vec::new(),
        }
    }

    fn parse(mut self, document: &Value, path: &str) -> Result<Query, Vec<Violation>> {
        let query = self.query(document, path, 1);
        match query {
            Some(query) if self.found.is_empty() => Ok(query),
            _ => Err(self.found),
        }
    }

    /// Notes a violation. `None`, so that whoever finds one can leave with it.
    fn refuse<T>(&mut self, path: &str, rule: &str, message: impl Into<String>) -> Option<T> {
        if self.found.len() < MAX_VIOLATIONS {
            self.found.push(Violation::new(path, rule, message));
        }
        None
    }

    fn query(&mut self, document: &Value, path: &str, level: usize) -> Option<Query> {
        let Some(fields) = document.as_object() else {
            let message = format!(
                "a query is an object with `combinator` and `rules`, not {}",
                shorten(&document.to_string())
            );
            return self.refuse(path, "type", message);
        };
        if level > MAX_NESTING {
            let message = format!("groups nest at most {MAX_NESTING} levels deep");
            return self.refuse(path, "depth", message);
        }
        let combinator = match fields.get("combinator") {
            None | Some(Value::Null) => Combinator::And,
            Some(Value::String(word)) if word.eq_ignore_ascii_case("and") => Combinator::And,
            Some(Value::String(word)) if word.eq_ignore_ascii_case("or") => Combinator::Or,
            Some(other) => {
                let message = format!("{} is neither `and` nor `or`", shorten(&other.to_string()));
                return self.refuse(&join(path, "combinator"), "enum", message);
            }
        };
        // Scorecards and aggregations say `conditions` for the same thing.
        let (name, rules) = match (fields.get("rules"), fields.get("conditions")) {
            (Some(rules), _) => ("rules", rules),
            (None, Some(rules)) => ("conditions", rules),
            (None, None) => {
                let message = "`rules` is required; an empty list matches everything";
                return self.refuse(path, "required", message);
            }
        };
        let path = join(path, name);
        let Some(rules) = rules.as_array() else {
            return self.refuse(&path, "type", "must be a list of rules");
        };
        self.rules += rules.len();
        if self.rules > MAX_RULES {
            let message = format!("a query has at most {MAX_RULES} rules");
            return self.refuse(&path, "maxItems", message);
        }
        if rules.is_empty() {
            return Some(Query::everything());
        }
        let mut parsed = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            parsed.extend(self.rule(rule, &join(&path, &index.to_string()), level));
        }
        Some(Query {
            combinator,
            rules: parsed,
        })
    }

    fn rule(&mut self, document: &Value, path: &str, level: usize) -> Option<Rule> {
        let Some(fields) = document.as_object() else {
            return self.refuse(path, "type", "a rule is an object");
        };
        if fields.contains_key("rules") || fields.contains_key("conditions") {
            return self.query(document, path, level + 1).map(Rule::Group);
        }
        let operator = match fields.get("operator") {
            Some(Value::String(operator)) => operator.as_str(),
            Some(_) => return self.refuse(&join(path, "operator"), "type", "must be a string"),
            None => return self.refuse(path, "required", "`operator` is required"),
        };
        match operator {
            "relatedTo" => self
                .related(fields, path)
                .map(Walk::Related)
                .map(Rule::Walk),
            "matchAny" => self
                .path_match(fields, path)
                .map(Walk::Path)
                .map(Rule::Walk),
            _ => self.compare(fields, operator, path),
        }
    }

    fn compare(&mut self, fields: &Map<String, Value>, operator: &str, path: &str) -> Option<Rule> {
        let test = self.test(fields, operator, path);
        if let Some(schema) = fields.get("propertySchema") {
            let (kind, format, items) = self.schema(schema, &join(path, "propertySchema"))?;
            return Some(Rule::Schema(SchemaCompare {
                kind,
                format,
                items,
                test: test?,
            }));
        }
        let subject = self.subject(fields, path);
        Some(Rule::Compare(Compare {
            subject: subject?,
            test: test?,
        }))
    }

    fn subject(&mut self, fields: &Map<String, Value>, path: &str) -> Option<Subject> {
        if let Some(property) = fields.get("property") {
            let path = join(path, "property");
            return match property {
                Value::String(name) => self.property(name, &path),
                Value::Object(_) => self.context(property, &path).map(Subject::Context),
                _ => self.refuse(
                    &path,
                    "type",
                    "must be a string, or an object with `context`",
                ),
            };
        }
        if let Some(relation) = fields.get("relation") {
            return self
                .name(relation, &join(path, "relation"))
                .map(Subject::Relation);
        }
        if let Some(scorecard) = fields.get("scorecard") {
            let scorecard = self.name(scorecard, &join(path, "scorecard"));
            let rule = match fields.get("scorecardRule") {
                None | Some(Value::Null) => None,
                Some(rule) => Some(self.name(rule, &join(path, "scorecardRule"))?),
            };
            return Some(Subject::Scorecard {
                scorecard: scorecard?,
                rule,
            });
        }
        let message = "a rule names what it looks at: `property`, `relation`, `scorecard` or `propertySchema`";
        self.refuse(path, "required", message)
    }

    fn property(&mut self, name: &str, path: &str) -> Option<Subject> {
        if name.starts_with('$') {
            if let Some(meta) = Meta::parse(name) {
                return Some(Subject::Meta(meta));
            }
            let known: Vec<_> = Meta::ALL.iter().map(|meta| meta.as_str()).collect();
            let message = format!(
                "`{}` is not a meta-property; use one of {}",
                shorten(name),
                known.join(", ")
            );
            return self.refuse(path, "enum", message);
        }
        if name.is_empty() || name.len() > 100 {
            return self.refuse(path, "length", "a property's name has 1 to 100 characters");
        }
        Some(Subject::Property(name.to_owned()))
    }

    /// The name of a relation, a scorecard or a rule.
    fn name(&mut self, value: &Value, path: &str) -> Option<String> {
        match value.as_str() {
            Some(name) if (1..=200).contains(&name.len()) => Some(name.to_owned()),
            _ => self.refuse(path, "type", "must be a string of 1 to 200 characters"),
        }
    }

    fn schema(
        &mut self,
        schema: &Value,
        path: &str,
    ) -> Option<(String, Option<String>, Option<String>)> {
        if self.dialect == Dialect::Conditions {
            let message = "`propertySchema` is for searches; name the property";
            return self.refuse(path, "unsupported", message);
        }
        let word = |pointer: &str| {
            let word = schema.pointer(pointer).filter(|word| !word.is_null());
            word.map(|word| word.as_str().map(str::to_owned))
        };
        let (kind, format, items) = (word("/type"), word("/format"), word("/items/type"));
        match (kind, format, items) {
            (Some(Some(kind)), None | Some(Some(_)), None | Some(Some(_))) => Some((
                kind,
                word("/format").flatten(),
                word("/items/type").flatten(),
            )),
            _ => {
                let message = "must be an object with `type`, and maybe `format` and `items`";
                self.refuse(path, "type", message)
            }
        }
    }

    fn test(&mut self, fields: &Map<String, Value>, operator: &str, path: &str) -> Option<Test> {
        let known = OPERATORS.iter().find(|(name, ..)| *name == operator);
        let Some((_, operator, negated)) = known else {
            let names: Vec<_> = OPERATORS.iter().map(|(name, ..)| *name).collect();
            let message = format!(
                "`{}` is not an operator; use one of {}, relatedTo, matchAny",
                shorten(operator),
                names.join(" ")
            );
            return self.refuse(&join(path, "operator"), "enum", message);
        };
        let flipped = match fields.get("not") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(not)) => *not,
            Some(_) => return self.refuse(&join(path, "not"), "type", "must be true or false"),
        };
        let operand = self.operand(*operator, fields.get("value"), path)?;
        Some(Test {
            operator: *operator,
            operand,
            negated: *negated != flipped,
        })
    }

    fn operand(
        &mut self,
        operator: Operator,
        value: Option<&Value>,
        path: &str,
    ) -> Option<Operand> {
        if matches!(
            operator,
            Operator::Empty | Operator::Expired | Operator::NotExpired
        ) {
            return Some(Operand::None);
        }
        let Some(value) = value else {
            return self.refuse(path, "required", "`value` is required with this operator");
        };
        let path = join(path, "value");
        self.bounded(value, &path)?;
        if value.get("context").is_some() {
            return self.context(value, &path).map(Operand::Context);
        }
        let fits = match operator {
            Operator::Empty | Operator::Expired | Operator::NotExpired | Operator::Equal => true,
            Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::Less
            | Operator::LessOrEqual => value.is_number() || value.is_string(),
            Operator::In | Operator::ContainsAny => value.is_array(),
            Operator::Contains => !value.is_null() && !value.is_object(),
            Operator::BeginsWith | Operator::EndsWith => value.is_string(),
            Operator::Between => return self.range(value, &path),
        };
        if fits {
            return Some(Operand::Value(value.clone()));
        }
        let wanted = match operator {
            Operator::In | Operator::ContainsAny => "a list",
            Operator::BeginsWith | Operator::EndsWith => "a string",
            Operator::Contains => "a string, number or boolean, or a list of them",
            _ => "a number or a string",
        };
        self.refuse(
            &path,
            "type",
            format!("must be {wanted} with this operator"),
        )
    }

    /// Bounds what a rule is given: it is compared with many values.
    fn bounded(&mut self, value: &Value, path: &str) -> Option<()> {
        if is_deeper(value, MAX_VALUE_DEPTH) {
            let message = format!("is nested deeper than {MAX_VALUE_DEPTH} levels");
            return self.refuse(path, "depth", message);
        }
        let mut rest = vec![value];
        let mut elements = 0;
        while let Some(value) = rest.pop() {
            match value {
                Value::String(text) if text.len() > MAX_TEXT => {
                    let message = format!("a text has at most {MAX_TEXT} bytes");
                    return self.refuse(path, "maxLength", message);
                }
                Value::Array(list) => rest.extend(list),
                Value::Object(fields) => rest.extend(fields.values()),
                _ => {}
            }
            elements += 1;
            if elements > MAX_LIST + 1 || rest.len() > MAX_LIST {
                let message = format!("a list has at most {MAX_LIST} elements");
                return self.refuse(path, "maxItems", message);
            }
        }
        Some(())
    }

    fn range(&mut self, value: &Value, path: &str) -> Option<Operand> {
        match value.get("preset") {
            None | Some(Value::Null) => {}
            Some(preset) => {
                let known = Period::PRESETS
                    .iter()
                    .find(|(name, _)| preset.as_str() == Some(*name));
                if let Some((_, period)) = known {
                    return Some(Operand::Period(*period));
                }
                let names: Vec<_> = Period::PRESETS.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "{} is not a preset; use one of {}",
                    shorten(&preset.to_string()),
                    names.join(", ")
                );
                return self.refuse(&join(path, "preset"), "enum", message);
            }
        }
        let end = |name: &str| value.get(name).filter(|end| !end.is_null());
        let (from, to) = (end("from"), end("to"));
        let scalar = |end: Option<&Value>| end.is_none_or(|end| end.is_string() || end.is_number());
        if (from.is_none() && to.is_none()) || !scalar(from) || !scalar(to) {
            let message = "must be an object with `from` and `to`, or with `preset`";
            return self.refuse(path, "type", message);
        }
        Some(Operand::Range {
            from: from.cloned(),
            to: to.cloned(),
        })
    }

    fn context(&mut self, value: &Value, path: &str) -> Option<ContextValue> {
        if self.dialect == Dialect::Conditions {
            let message = "there is nobody who asks here; give the value itself";
            return self.refuse(path, "unsupported", message);
        }
        let holder = match value.get("context").and_then(Value::as_str) {
            Some("user") => Holder::User,
            Some("userTeams") => Holder::UserTeams,
            _ => {
                let message = "must be `user` or `userTeams`";
                return self.refuse(&join(path, "context"), "enum", message);
            }
        };
        let property = value.get("property").unwrap_or(&Value::Null);
        let property = self.name(property, &join(path, "property"))?;
        Some(ContextValue { holder, property })
    }
}

#[cfg(test)]
mod tests;
