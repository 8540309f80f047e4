//! Conditions that the portal itself tries on entities: what they look at, and whether the clock changes them.

use std::borrow::Cow;

use super::super::query::{Asker, Bound, bind};
use crate::model::{Operand, Operator, Query, Rule, Subject, Test, Timestamp};

/// A query that is tried on many entities.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::catalog) struct Conditions {
    query: Query,
    /// Absent where the moment matters.
    fixed: Option<Bound>,
}

impl Conditions {
    pub(in crate::catalog) fn new(query: Query) -> Self {
        let fixed = (!is_timely(&query)).then(|| bind(&query, &Asker::nobody(Timestamp(0))));
        Self { query, fixed }
    }

    /// Whether they hold now for what they held for before, if nothing but time has passed.
    pub(in crate::catalog) fn is_timely(&self) -> bool {
        self.fixed.is_none()
    }

    /// The conditions as they are at a moment.
    pub(in crate::catalog) fn at(&self, now: Timestamp) -> Cow<'_, Bound> {
        match &self.fixed {
            Some(fixed) => Cow::Borrowed(fixed),
            None => Cow::Owned(bind(&self.query, &Asker::nobody(now))),
        }
    }

    /// What they look at.
    pub(in crate::catalog) fn subjects(&self) -> Vec<&Subject> {
        let mut found = Vec::new();
        collect(&self.query, &mut found);
        found
    }
}

fn collect<'a>(query: &'a Query, found: &mut Vec<&'a Subject>) {
    for rule in &query.rules {
        match rule {
            Rule::Compare(compare) => found.push(&compare.subject),
            Rule::Group(group) => collect(group, found),
            // Refused where conditions are read.
            Rule::Schema(_) | Rule::Walk(_) => {}
        }
    }
}

fn is_timely(query: &Query) -> bool {
    let timely = |test: &Test| {
        matches!(test.operand, Operand::Period(_))
            || matches!(test.operator, Operator::Expired | Operator::NotExpired)
    };
    query.rules.iter().any(|rule| match rule {
        Rule::Compare(compare) => timely(&compare.test),
        Rule::Schema(compare) => timely(&compare.test),
        Rule::Group(group) => is_timely(group),
        Rule::Walk(_) => false,
    })
}
