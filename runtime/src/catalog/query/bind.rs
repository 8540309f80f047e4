//! Puts what depends on the moment and on whoever asks into a query: after this it is only about the catalog.

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::evaluate::Subjects;
use super::parse::parse_range;
use crate::model::{
    Compare, ContextValue, EntityId, Holder, Identifiers, Meta, Operand, Operator, Period, Query,
    Rule, Scalar, Subject, Test, Timestamp, Violation, Walk,
};

/// Words that portals put into saved queries for the teams of whoever looks.
const MY_TEAMS: &[&str] = &["myTeamsDynamicFilter", "{{getUserTeams()}}", "My Teams"];

/// The same for their address.
const MY_EMAIL: &str = "{{getUserEmail()}}";

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The moment that `today` and the like are counted from.
    pub now: Timestamp,
    /// The person as an entity, as JSON; `null` where nobody asks.
    pub user: Value,
    /// Their teams as entities.
    pub teams: Vec<Value>,
}

impl Asker {
    /// Nobody, at a moment: for conditions that the portal itself tries.
    pub fn nobody(now: Timestamp) -> Self {
        Self {
            now,
            user: Value::Null,
            teams: Vec::new(),
        }
    }

    fn value(&self, of: &ContextValue) -> Value {
        let subject = match Meta::parse(&of.property) {
            Some(meta) => Subject::Meta(meta),
            None => Subject::Property(of.property.clone()),
        };
        let find = |holder: &Value| holder.find(&subject).map(|value| value.into_owned());
        match of.holder {
            Holder::User => find(&self.user).unwrap_or(Value::Null),
            Holder::UserTeams => {
                // A list of theirs counts by its elements: what is asked for is always one list.
                let values = self.teams.iter().filter_map(find);
                let flat = values.flat_map(|value| match value {
                    Value::Array(list) => list,
                    other => vec![other],
                });
                Value::Array(flat.collect())
            }
        }
    }
}

/// A query in which nothing is open any more but the catalog itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound(pub(super) Query);

/// Puts the moment and whoever asks into a query.
pub fn bind(query: &Query, asker: &Asker) -> Bound {
    Bound(bind_query(query, asker))
}

/// Reads a range of time, by its ends or by its preset. `path` is its JSON pointer.
///
/// # Errors
/// Every broken rule.
pub fn bind_range(
    range: &Value,
    path: &str,
    asker: &Asker,
) -> Result<(Timestamp, Timestamp), Vec<Violation>> {
    let operand = match parse_range(range, path)? {
        Operand::Period(period) => self::range(period, asker.now),
        other => other,
    };
    let at = |end: &Option<Value>| match end.as_ref().and_then(Scalar::of) {
        Some(Scalar::Instant(microseconds)) => Some(Timestamp(microseconds.div_euclid(1_000))),
        _ => None,
    };
    let ends = match &operand {
        Operand::Range { from, to } => (at(from), at(to).or(to.is_none().then_some(asker.now))),
        _ => (None, None),
    };
    match ends {
        (Some(from), Some(to)) if from < to => Ok((from, to)),
        _ => {
            let message = "must begin with an instant and end with a later one, or name a `preset`";
            Err(vec![Violation::new(path, "type", message)])
        }
    }
}

/// Whether it matters to a query who asks. Where it does not, nobody need be looked up.
pub(super) fn depends_on_asker(query: &Query) -> bool {
    let of_test = |test: &Test| match &test.operand {
        Operand::Context(_) => true,
        Operand::Value(Value::String(text)) => text == MY_EMAIL,
        Operand::Value(Value::Array(list)) => list.iter().any(is_teams),
        Operand::Value(_) | Operand::Range { .. } | Operand::Period(_) | Operand::None => false,
    };
    query.rules.iter().any(|rule| match rule {
        Rule::Group(query) => depends_on_asker(query),
        Rule::Compare(compare) => {
            matches!(compare.subject, Subject::Context(_)) || of_test(&compare.test)
        }
        Rule::Schema(schema) => of_test(&schema.test),
        Rule::Walk(Walk::Related(related)) => matches!(related.start, Identifiers::Context(_)),
        Rule::Walk(Walk::Path(path)) => matches!(path.ends, Identifiers::Context(_)),
    })
}

fn bind_query(query: &Query, asker: &Asker) -> Query {
    Query {
        combinator: query.combinator,
        rules: query
            .rules
            .iter()
            .map(|rule| bind_rule(rule, asker))
            .collect(),
    }
}

fn bind_rule(rule: &Rule, asker: &Asker) -> Rule {
    match rule {
        Rule::Group(query) => Rule::Group(bind_query(query, asker)),
        Rule::Compare(compare) => Rule::Compare(Compare {
            subject: match &compare.subject {
                Subject::Context(of) => Subject::Constant(asker.value(of)),
                other => other.clone(),
            },
            test: bind_test(&compare.test, asker),
        }),
        Rule::Schema(schema) => {
            let mut schema = schema.clone();
            schema.test = bind_test(&schema.test, asker);
            Rule::Schema(schema)
        }
        Rule::Walk(walk) => {
            let mut walk = walk.clone();
            let named = match &mut walk {
                Walk::Related(related) => &mut related.start,
                Walk::Path(path) => &mut path.ends,
            };
            if let Identifiers::Context(of) = named {
                *named = Identifiers::Named(identifiers(&asker.value(of)));
            }
            Rule::Walk(walk)
        }
    }
}

/// The identifiers in a value; what is none of an entity names nothing.
fn identifiers(value: &Value) -> Vec<EntityId> {
    let listed = value.as_array().map(Vec::as_slice);
    let texts = listed.unwrap_or(std::slice::from_ref(value)).iter();
    texts
        .filter_map(Value::as_str)
        .filter_map(|text| EntityId::parse(text).ok())
        .collect()
}

fn bind_test(test: &Test, asker: &Asker) -> Test {
    let operand = match &test.operand {
        Operand::Context(of) => Operand::Value(fit(test.operator, asker.value(of))),
        Operand::Period(period) => range(*period, asker.now),
        Operand::Value(value) => Operand::Value(words(value, asker)),
        other => other.clone(),
    };
    // What is over is so at one moment for the whole catalog.
    let operand = match test.operator {
        Operator::Expired | Operator::NotExpired => {
            Operand::Value(Value::String(asker.now.to_string()))
        }
        _ => operand,
    };
    Test {
        operator: test.operator,
        operand,
        negated: test.negated,
    }
}

/// One value where a list is asked for is a list of one.
fn fit(operator: Operator, value: Value) -> Value {
    match (operator, value) {
        (Operator::In | Operator::ContainsAny, Value::Null) => Value::Array(Vec::new()),
        (Operator::In | Operator::ContainsAny, value) if !value.is_array() => {
            Value::Array(vec![value])
        }
        (_, value) => value,
    }
}

/// Whether it is a word for the teams of whoever asks.
fn is_teams(value: &Value) -> bool {
    value.as_str().is_some_and(|text| MY_TEAMS.contains(&text))
}

/// A value with the words of saved queries replaced.
fn words(value: &Value, asker: &Asker) -> Value {
    let teams = || {
        asker.value(&ContextValue {
            holder: Holder::UserTeams,
            property: Meta::Identifier.as_str().to_owned(),
        })
    };
    match value {
        Value::String(text) if text == MY_EMAIL => asker.value(&ContextValue {
            holder: Holder::User,
            property: Meta::Identifier.as_str().to_owned(),
        }),
        Value::Array(list) if list.iter().any(is_teams) => {
            let mut replaced: Vec<_> = list.iter().filter(|one| !is_teams(one)).cloned().collect();
            if let Value::Array(teams) = teams() {
                replaced.extend(teams);
            }
            Value::Array(replaced)
        }
        other => other.clone(),
    }
}

/// The two ends of a period, both of which belong to it.
fn range(period: Period, now: Timestamp) -> Operand {
    let ends = || -> Result<(jiff::Zoned, jiff::Zoned), jiff::Error> {
        let now = jiff::Timestamp::from_millisecond(now.0)?.to_zoned(TimeZone::UTC);
        let (from, to) = match period {
            Period::Day(offset) => {
                let start = now.start_of_day()?.checked_add(offset.days())?;
                let end = start.checked_add(1.days())?.checked_sub(1.microsecond())?;
                (start, end)
            }
            Period::Days(days) => (now.checked_sub(days.days())?, now),
            Period::Months(months) => (now.checked_sub(months.months())?, now),
        };
        Ok(if from <= to { (from, to) } else { (to, from) })
    };
    let text = |end: &jiff::Zoned| Some(Value::String(format!("{:.6}", end.timestamp())));
    match ends() {
        Ok((from, to)) => Operand::Range {
            from: text(&from),
            to: text(&to),
        },
        // A clock at the end of time: nothing lies between.
        Err(_) => Operand::Value(Value::Array(Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::query::parse_query;

    fn bound(rule: Value, asker: &Asker) -> Rule {
        let query = parse_query(&json!({"combinator": "and", "rules": [rule]}), "").unwrap();
        bind(&query, asker).0.rules.remove(0)
    }

    fn asker() -> Asker {
        let user = json!({"identifier": "a@b.c", "properties": {"role": "admin"}});
        let team = |id: &str| json!({"identifier": id, "properties": {"tags": [id, "all"]}});
        Asker {
            // 2026-02-03T04:05:06.789Z.
            now: Timestamp(1_770_091_506_789),
            user,
            teams: vec![team("x"), team("y")],
        }
    }

    fn operand(rule: Value) -> Operand {
        match bound(rule, &asker()) {
            Rule::Compare(compare) => compare.test.operand,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn periods_become_ranges_in_utc() {
        let ends = |preset: &str| {
            let rule = json!({"property": "p", "operator": "between", "value": {"preset": preset}});
            match operand(rule) {
                Operand::Range {
                    from: Some(Value::String(from)),
                    to: Some(Value::String(to)),
                } => (from, to),
                other => panic!("{other:?}"),
            }
        };
        let day = |text: &str| text.get(..19).unwrap().to_owned();
        let check = |preset: &str, from: &str, to: &str| {
            let (begins, ends) = ends(preset);
            assert_eq!(
                (day(&begins), day(&ends)),
                (from.to_owned(), to.to_owned()),
                "{preset}"
            );
        };
        check("today", "2026-02-03T00:00:00", "2026-02-03T23:59:59");
        check("yesterday", "2026-02-02T00:00:00", "2026-02-02T23:59:59");
        check("tomorrow", "2026-02-04T00:00:00", "2026-02-04T23:59:59");
        check("lastWeek", "2026-01-27T04:05:06", "2026-02-03T04:05:06");
        check("lastMonth", "2026-01-03T04:05:06", "2026-02-03T04:05:06");
        check("last12Months", "2025-02-03T04:05:06", "2026-02-03T04:05:06");
        check("nextMonth", "2026-02-03T04:05:06", "2026-03-03T04:05:06");
    }

    #[test]
    fn whoever_asks_stands_in_for_their_values() {
        let value = |value: Value, operator: &str| {
            operand(json!({"property": "$team", "operator": operator, "value": value}))
        };
        let user = json!({"context": "user", "property": "role"});
        assert_eq!(value(user.clone(), "="), Operand::Value(json!("admin")));
        assert_eq!(value(user, "in"), Operand::Value(json!(["admin"])));
        let absent = json!({"context": "user", "property": "nothing"});
        assert_eq!(value(absent.clone(), "in"), Operand::Value(json!([])));
        assert_eq!(value(absent, "="), Operand::Value(Value::Null));
        let teams = json!({"context": "userTeams", "property": "$identifier"});
        assert_eq!(
            value(teams, "containsAny"),
            Operand::Value(json!(["x", "y"]))
        );
        let tags = json!({"context": "userTeams", "property": "tags"});
        assert_eq!(
            value(tags, "in"),
            Operand::Value(json!(["x", "all", "y", "all"]))
        );
        let mine = json!(["z", "myTeamsDynamicFilter"]);
        assert_eq!(value(mine, "in"), Operand::Value(json!(["z", "x", "y"])));
        assert_eq!(value(json!(MY_EMAIL), "="), Operand::Value(json!("a@b.c")));
    }

    #[test]
    fn whoever_asks_is_looked_up_only_where_that_matters() {
        let depends = |rule: Value| {
            let group = json!({"combinator": "or", "rules": [rule]});
            let query = json!({"combinator": "and", "rules": [group]});
            depends_on_asker(&parse_query(&query, "").unwrap())
        };
        let user = json!({"context": "user", "property": "role"});
        let value = |value: Value| json!({"property": "p", "operator": "=", "value": value});
        let listed = |value: Value| json!({"property": "p", "operator": "in", "value": [value]});
        let related =
            |value: Value| json!({"operator": "relatedTo", "blueprint": "B", "value": value});
        for rule in [
            value(user.clone()),
            value(json!(MY_EMAIL)),
            listed(json!(MY_TEAMS[0])),
            related(user.clone()),
            json!({"property": user, "operator": "=", "value": 1}),
        ] {
            assert!(depends(rule.clone()), "{rule}");
        }
        for rule in [
            value(json!("a")),
            value(Value::Null),
            listed(json!("a")),
            related(json!("a")),
            json!({"property": "p", "operator": "isEmpty"}),
            json!({"property": "p", "operator": "between", "value": {"preset": "today"}}),
        ] {
            assert!(!depends(rule.clone()), "{rule}");
        }
    }

    #[test]
    fn a_rule_about_whoever_asks_is_about_a_constant() {
        let rule = json!({"property": {"context": "user", "property": "role"}, "operator": "=", "value": "admin"});
        let Rule::Compare(compare) = bound(rule, &asker()) else {
            panic!("a comparison");
        };
        assert_eq!(compare.subject, Subject::Constant(json!("admin")));
    }
}
