//! Numbers about the entities for which a query holds: totals, groups, and courses over time.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::search::{Searcher, value_of};
use crate::catalog::Error;
use crate::model::{BlueprintId, Entity, Meta, Query, Scalar, Stamped, Subject, Timestamp};

/// Groups of one answer: what has more values is not worth a chart.
const MAX_GROUPS: usize = 1_000;

/// Points in time of one answer.
const MAX_POINTS: usize = 2_000;

/// What is made of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many entities there are.
    Count,
    /// How many entities have each value of the property.
    CountValues,
    /// The sum of the numbers.
    Sum,
    /// Their mean.
    Average,
    /// The least of them.
    Min,
    /// The greatest.
    Max,
    /// The one in the middle, or the mean of the two in the middle.
    Median,
    /// The one of the entity that was changed last.
    Last,
}

impl Function {
    /// Every function by its name.
    pub const ALL: [(&str, Self); 8] = [
        ("count", Self::Count),
        ("countValues", Self::CountValues),
        ("sum", Self::Sum),
        ("average", Self::Average),
        ("min", Self::Min),
        ("max", Self::Max),
        ("median", Self::Median),
        ("last", Self::Last),
    ];

    /// The function of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| *function)
    }
}

/// What is to be known of many entities.
#[derive(Clone, Debug)]
pub struct Aggregation {
    /// Which entities.
    pub query: Query,
    /// Their blueprint; absent: any.
    pub blueprint: Option<BlueprintId>,
    /// What is made of them.
    pub function: Function,
    /// Of which value of each; counting needs none.
    pub subject: Option<Subject>,
    /// For each value of this by itself.
    pub breakdown: Option<Subject>,
    /// For each stretch of time by itself.
    pub course: Option<Course>,
}

/// Stretches of time that follow each other.
#[derive(Clone, Debug)]
pub struct Course {
    /// The instant by which an entity belongs to a stretch.
    pub measure: Subject,
    /// The stretches.
    pub intervals: Intervals,
}

/// A range of time cut into stretches.
#[derive(Clone, Debug)]
pub struct Intervals {
    /// Where each begins, in milliseconds, in order.
    pub starts: Vec<i64>,
    /// Where the last ends.
    pub end: i64,
}

impl Intervals {
    /// Cuts a range. `None` where the name of the length is unknown, or there are too many stretches.
    pub fn cut(from: Timestamp, to: Timestamp, length: &str, zone: &TimeZone) -> Option<Self> {
        let zoned = |at: Timestamp| {
            let instant = jiff::Timestamp::from_millisecond(at.0).ok()?;
            Some(instant.to_zoned(zone.clone()))
        };
        let (from, to) = (zoned(from)?, zoned(to)?);
        let day = from.start_of_day().ok()?;
        let month = day.first_of_month().ok()?;
        let (mut at, step) = match length {
            "hour" => (
                from.round(
                    jiff::ZonedRound::new()
                        .smallest(jiff::Unit::Hour)
                        .mode(jiff::RoundMode::Trunc),
                )
                .ok()?,
                1.hour(),
            ),
            "day" => (day, 1.day()),
            "week" | "isoWeek" => {
                let since_monday = i64::from(day.weekday().since(jiff::civil::Weekday::Monday));
                (day.checked_sub(since_monday.days()).ok()?, 1.week())
            }
            "month" => (month, 1.month()),
            "quarter" => {
                let since_first = i64::from((month.month() - 1).rem_euclid(3));
                (month.checked_sub(since_first.months()).ok()?, 3.months())
            }
            _ => return None,
        };
        let mut starts = Vec::new();
        while at < to {
            if starts.len() >= MAX_POINTS {
                return None;
            }
            starts.push(at.timestamp().as_millisecond());
            at = at.checked_add(step).ok()?;
        }
        Some(Self {
            starts,
            end: at.timestamp().as_millisecond(),
        })
    }

    /// Which of them an instant belongs to.
    fn of(&self, at: i64) -> Option<usize> {
        if at >= self.end {
            return None;
        }
        self.starts
            .partition_point(|start| *start <= at)
            .checked_sub(1)
    }
}

/// The values of one group.
#[derive(Debug, Default)]
struct Values {
    entities: u64,
    numbers: Vec<f64>,
    last: Option<(Timestamp, Value)>,
}

impl Values {
    fn add(&mut self, entity: &Stamped<Entity>, subject: Option<&Subject>) {
        self.entities += 1;
        let Some(value) = subject.and_then(|subject| value_of(entity, subject)) else {
            return;
        };
        if let Some(number) = value.as_f64() {
            self.numbers.push(number);
        }
        let at = entity.stamp.updated_at;
        if !value.is_null() && self.last.as_ref().is_none_or(|(last, _)| at >= *last) {
            self.last = Some((at, value.into_owned()));
        }
    }

    fn result(mut self, function: Function) -> Value {
        let sum: f64 = self.numbers.iter().sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a mean of more than 2^53 numbers is not to be had"
        )]
        let count = self.numbers.len() as f64;
        let number = match function {
            Function::Count | Function::CountValues => return json!(self.entities),
            Function::Last => return self.last.map_or(Value::Null, |(_, value)| value),
            Function::Sum => Some(sum),
            Function::Average => (count > 0.0).then(|| sum / count),
            Function::Min => self.numbers.iter().copied().reduce(f64::min),
            Function::Max => self.numbers.iter().copied().reduce(f64::max),
            Function::Median => {
                self.numbers.sort_unstable_by(f64::total_cmp);
                let middle = self.numbers.len() / 2;
                let upper = self.numbers.get(middle).copied();
                match (
                    self.numbers.len() % 2,
                    middle
                        .checked_sub(1)
                        .and_then(|lower| self.numbers.get(lower)),
                ) {
                    (0, Some(lower)) => upper.map(|upper| f64::midpoint(*lower, upper)),
                    _ => upper,
                }
            }
        };
        match number.map(|number| {
            (
                number,
                Scalar::of(&json!(number)).map(|scalar| matches!(scalar, Scalar::Integer(_))),
            )
        }) {
            // Whole numbers are shown as such.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole and small enough to be exact"
            )]
            Some((number, Some(true))) => json!(number as i64),
            Some((number, _)) => json!(number),
            None => Value::Null,
        }
    }
}

/// What is known of the entities, as the answer shows it.
pub(in crate::catalog) fn aggregate(
    searcher: &Searcher<'_, '_>,
    wanted: &Aggregation,
) -> Result<Value, Error> {
    let by_value = match wanted.function {
        Function::CountValues => wanted.subject.as_ref(),
        _ => wanted.breakdown.as_ref(),
    };
    match (&wanted.course, by_value) {
        (None, None) if wanted.function == Function::Count => {
            let counts = searcher.count_all(wanted.blueprint.as_ref())?;
            Ok(json!(counts.iter().map(|(_, count)| count).sum::<u64>()))
        }
        (None, None) => {
            let mut values = Values::default();
            each(searcher, wanted, |entity| {
                values.add(entity, wanted.subject.as_ref());
                Ok(())
            })?;
            Ok(values.result(wanted.function))
        }
        (None, Some(by_value)) => groups(searcher, wanted, by_value),
        (Some(course), by_value) => over_time(searcher, wanted, course, by_value),
    }
}

fn each(
    searcher: &Searcher<'_, '_>,
    wanted: &Aggregation,
    mut visit: impl FnMut(&Stamped<Entity>) -> Result<(), Error>,
) -> Result<(), Error> {
    for kind in searcher.kinds(wanted.blueprint.as_ref())? {
        let plan = searcher.plan(&kind)?;
        searcher.each(&plan, |_, entity| visit(&entity))?;
    }
    Ok(())
}

fn groups(
    searcher: &Searcher<'_, '_>,
    wanted: &Aggregation,
    by_value: &Subject,
) -> Result<Value, Error> {
    let counting = matches!(wanted.function, Function::Count | Function::CountValues);
    let mut groups: BTreeMap<String, (Value, Values)> = BTreeMap::new();
    for kind in searcher.kinds(wanted.blueprint.as_ref())? {
        let plan = searcher.plan(&kind)?;
        if counting && let Some(counts) = searcher.count_values(&plan, by_value)? {
            for (value, count) in counts {
                group(&mut groups, value)?.entities += count;
            }
            continue;
        }
        searcher.each(&plan, |_, entity| {
            for value in elements(&entity, by_value) {
                group(&mut groups, value)?.add(&entity, wanted.subject.as_ref());
            }
            Ok(())
        })?;
    }
    let mut shown: Vec<(u64, Value)> = groups
        .into_values()
        .map(|(value, values)| {
            (
                values.entities,
                json!({"value": value, "result": values.result(wanted.function)}),
            )
        })
        .collect();
    // The largest first; equals by their value.
    shown.sort_by_key(|(entities, _)| std::cmp::Reverse(*entities));
    Ok(shown.into_iter().map(|(_, group)| group).collect())
}

fn group(
    groups: &mut BTreeMap<String, (Value, Values)>,
    value: Value,
) -> Result<&mut Values, Error> {
    let key = value.to_string();
    if groups.len() >= MAX_GROUPS && !groups.contains_key(&key) {
        return Err(Error::TooExpensive(format!(
            "there are more than {MAX_GROUPS} different values; group by a property with fewer, or narrow the query"
        )));
    }
    Ok(&mut groups
        .entry(key)
        .or_insert_with(|| (value, Values::default()))
        .1)
}

/// The values by which an entity belongs to groups; one without any belongs to none.
fn elements(entity: &Stamped<Entity>, by_value: &Subject) -> Vec<Value> {
    match value_of(entity, by_value).map(std::borrow::Cow::into_owned) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => {
            let mut once: Vec<Value> = Vec::new();
            for value in list {
                if !once.contains(&value) {
                    once.push(value);
                }
            }
            once
        }
        Some(value) => vec![value],
    }
}

fn over_time(
    searcher: &Searcher<'_, '_>,
    wanted: &Aggregation,
    course: &Course,
    by_value: Option<&Subject>,
) -> Result<Value, Error> {
    let intervals = &course.intervals;
    let mut points: Vec<BTreeMap<String, (Value, Values)>> = Vec::new();
    points.resize_with(intervals.starts.len(), BTreeMap::new);
    each(searcher, wanted, |entity| {
        let at = value_of(entity, &course.measure);
        let Some(Scalar::Instant(microseconds)) = at.as_deref().and_then(Scalar::of) else {
            return Ok(());
        };
        let index = intervals.of(microseconds.div_euclid(1_000));
        let Some(groups) = index.and_then(|index| points.get_mut(index)) else {
            return Ok(());
        };
        let series = match by_value {
            None => vec![Value::from("value")],
            Some(by_value) => elements(entity, by_value),
        };
        for value in series {
            group(groups, value)?.add(entity, wanted.subject.as_ref());
        }
        Ok(())
    })?;
    let data: Vec<Value> = intervals
        .starts
        .iter()
        .zip(points)
        .map(|(start, groups)| {
            let mut point = Map::from_iter([("date".to_owned(), json!(start))]);
            if by_value.is_none() && groups.is_empty() {
                point.insert(
                    "value".to_owned(),
                    Values::default().result(wanted.function),
                );
            }
            for (value, values) in groups.into_values() {
                let name = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                point.insert(name, values.result(wanted.function));
            }
            Value::Object(point)
        })
        .collect();
    Ok(json!({"minDate": intervals.starts.first(), "maxDate": intervals.end, "data": data}))
}

impl Searcher<'_, '_> {
    /// How many entities have each value, from the index alone; `None` where that does not know.
    fn count_values(
        &self,
        plan: &super::plan::Plan,
        by_value: &Subject,
    ) -> Result<Option<Vec<(Value, u64)>>, Error> {
        let name = match by_value {
            Subject::Property(name) => name.as_str(),
            Subject::Meta(meta @ (Meta::Title | Meta::Team)) => meta.as_str(),
            _ => return Ok(None),
        };
        if plan.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if !plan.exact || !plan.drives_all() {
            return Ok(None);
        }
        let key = plan.kind().key;
        let Some(property) = self.tx.find_property(key, name)? else {
            return Ok(Some(Vec::new()));
        };
        let counts = self
            .tx
            .count_values(key, property, plan.condition(), MAX_GROUPS + 1)?;
        Ok(counts
            .into_iter()
            .map(|(value, count)| Some((value.to_json()?, count)))
            .collect())
    }
}

/// Reads a value by which entities are grouped or measured: a property, or a meta-property with `$`.
pub fn parse_subject(name: &str) -> Option<Subject> {
    match name.strip_prefix('$') {
        Some(_) => Meta::parse(name).map(Subject::Meta),
        None if (1..=100).contains(&name.len()) => Some(Subject::Property(name.to_owned())),
        None => None,
    }
}
