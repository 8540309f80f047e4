//! Numbers for dashboards.

use axum::extract::State;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::parse;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::JsonBody;
use crate::api::reply::Json;
use crate::app::App;
use crate::catalog::{
    Aggregation, Asker, Course, Error, Function, Intervals, Values, bind_range, parse_subject,
};
use crate::model::{BlueprintId, EntityId, Query, Subject, Timestamp, Violation};

/// Properties whose history one request may ask for.
const MAX_PROPERTIES: usize = 50;

/// Points in time of a history: each is looked up by itself.
const MAX_HISTORY: usize = 400;

/// Numbers about entities.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::api) struct AggregateReply {
    /// Always `true`.
    ok: bool,
    /// A number; with `breakdownProperty` or `countValues` a list of `{value, result}`, the largest group first; over
    /// time `{minDate, maxDate, data}`.
    #[schema(value_type = Object)]
    result: Value,
}

/// Count entities, or work out a number from their properties.
///
/// The body is `{func, query, blueprint, property, breakdownProperty}`; `func` is `count`, `countValues`, `sum`,
/// `average`, `min`, `max`, `median` or `last`.
#[utoipa::path(
    post, path = "/v1/entities/aggregate", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    request_body = Object,
    responses((status = 200, body = AggregateReply)),
)]
pub(in crate::api) async fn aggregate_entities(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<AggregateReply>, ApiError> {
    let wanted = read(&body)?;
    let result = app
        .catalog
        .aggregate(&caller, wanted, Timestamp::now())
        .await?;
    Ok(Json(AggregateReply { ok: true, result }))
}

/// The same for each hour, day, week, month or quarter of a range of time.
///
/// The body has `timeRange` (`{preset, timeZone}` or `{from, to, timeZone}`), `timeInterval` (`hour`, `day`, `isoWeek`,
/// `month`, `quarter`) and `measureTimeBy`, the property that says when, besides.
#[utoipa::path(
    post, path = "/v1/entities/aggregate-over-time", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    request_body = Object,
    responses((status = 200, body = AggregateReply)),
)]
pub(in crate::api) async fn aggregate_entities_over_time(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<AggregateReply>, ApiError> {
    let now = Timestamp::now();
    let measure = match text(&body, "measureTimeBy")? {
        None => subject("/measureTimeBy", "$createdAt")?,
        Some(name) => subject("/measureTimeBy", name)?,
    };
    let wanted = Aggregation {
        course: Some(Course {
            measure,
            intervals: intervals(&body, now)?,
        }),
        ..read(&body)?
    };
    let result = app.catalog.aggregate(&caller, wanted, now).await?;
    Ok(Json(AggregateReply { ok: true, result }))
}

/// Read what the properties of an entity were over a range of time.
///
/// The body is `{blueprintIdentifier, entityIdentifier, propertyNames, timeRange, timeInterval}`. Each point shows the
/// values at the end of its interval; before the entity was made they are `null`. A property that was renamed is followed
/// by its name of now.
#[utoipa::path(
    post, path = "/v1/entities/properties-history", tag = "catalog",
    security(("bearer" = ["catalog:read"])),
    request_body = Object,
    responses((status = 200, body = AggregateReply)),
)]
pub(in crate::api) async fn list_properties_history(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Json<AggregateReply>, ApiError> {
    let now = Timestamp::now();
    let blueprint = required(&body, "blueprintIdentifier")?;
    let blueprint = BlueprintId::parse(blueprint)?;
    let entity = EntityId::parse(required(&body, "entityIdentifier")?)?;
    let listed = body.get("propertyNames").and_then(Value::as_array);
    let names: Option<Vec<Subject>> = listed
        .into_iter()
        .flatten()
        .map(|name| name.as_str().and_then(parse_subject))
        .collect();
    let Some(names) = names.filter(|names| (1..=MAX_PROPERTIES).contains(&names.len())) else {
        let message = format!("must be a list of 1 to {MAX_PROPERTIES} names of properties");
        return Err(refuse("/propertyNames", "type", message));
    };
    let intervals = intervals(&body, now)?;
    if intervals.starts.len() > MAX_HISTORY {
        let message = format!("cuts the range into more than {MAX_HISTORY} parts; use longer ones");
        return Err(refuse("/timeInterval", "maximum", message));
    }
    // That it exists, or has existed, is what a wrong identifier is told by.
    let mut known = app
        .catalog
        .find_entity_for(&caller, &blueprint, &entity, Values::Own)
        .await
        .map(|_| ());
    if let Err(refused @ Error::Forbidden(_)) = known {
        return Err(refused.into());
    }
    let ends = intervals.starts.iter().skip(1).chain([&intervals.end]);
    let begin = Timestamp(intervals.starts.first().copied().unwrap_or(intervals.end));
    let called = app.history.find_property_names(&blueprint, begin).await?;
    let mut data = Vec::with_capacity(intervals.starts.len());
    for (start, end) in intervals.starts.iter().zip(ends) {
        let at = Timestamp((*end - 1).min(now.0));
        let mut point = Map::from_iter([("date".to_owned(), json!(start))]);
        let then = match app
            .history
            .find_entity_at(&caller, &blueprint, &entity, at)
            .await
        {
            Ok(then) => {
                known = Ok(());
                serde_json::to_value(then).map_err(|error| ApiError::internal(&error))?
            }
            Err(Error::NotFound(_)) => Value::Null,
            // What it was before it came into sight.
            Err(Error::Forbidden(_)) if known.is_ok() => Value::Null,
            Err(error) => return Err(error.into()),
        };
        for (name, subject) in listed.into_iter().flatten().zip(&names) {
            let subject = match subject {
                Subject::Property(name) => called.name_at(name, at).map(Subject::Property),
                other => Some(other.clone()),
            };
            let value = subject.as_ref().and_then(|subject| {
                let found = crate::catalog::Subjects::find(&then, subject)?;
                Some(found.into_owned())
            });
            if let Some(name) = name.as_str() {
                let value = value.unwrap_or(Value::Null);
                point.insert(name.to_owned(), value);
            }
        }
        data.push(Value::Object(point));
    }
    known?;
    let result =
        json!({"minDate": intervals.starts.first(), "maxDate": intervals.end, "data": data});
    Ok(Json(AggregateReply { ok: true, result }))
}

fn read(body: &Map<String, Value>) -> Result<Aggregation, ApiError> {
    let name = required(body, "func")?;
    let Some(function) = Function::parse(name) else {
        let known: Vec<_> = Function::ALL.iter().map(|(name, _)| *name).collect();
        return Err(refuse(
            "/func",
            "enum",
            format!("use one of {}", known.join(", ")),
        ));
    };
    let query = match body.get("query").filter(|query| !query.is_null()) {
        Some(query) => parse(query, "/query")?,
        None => Query::everything(),
    };
    let blueprint = text(body, "blueprint")?
        .map(BlueprintId::parse)
        .transpose()?;
    let property = match text(body, "property")? {
        Some(name) => Some(name),
        None => body
            .get("properties")
            .and_then(|names| names.get(0))
            .and_then(Value::as_str),
    };
    let property = property
        .map(|name| subject("/property", name))
        .transpose()?;
    let breakdown = text(body, "breakdownProperty")?;
    if property.is_none() && function != Function::Count {
        let message = format!("`property` is required with `{name}`");
        return Err(refuse("/property", "required", message));
    }
    Ok(Aggregation {
        query,
        blueprint,
        function,
        subject: property,
        breakdown: breakdown
            .map(|name| subject("/breakdownProperty", name))
            .transpose()?,
        course: None,
    })
}

fn intervals(body: &Map<String, Value>, now: Timestamp) -> Result<Intervals, ApiError> {
    let length = text(body, "timeInterval")?.unwrap_or("day");
    let range = body
        .get("timeRange")
        .cloned()
        .unwrap_or_else(|| json!({"preset": "lastMonth"}));
    let zone = match range.get("timeZone").and_then(Value::as_str) {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name)
            .map_err(|error| refuse("/timeRange/timeZone", "enum", error.to_string()))?,
    };
    let (from, to) = bind_range(&range, "/timeRange", &Asker::nobody(now))
        .map_err(|violations| ApiError::invalid("the body", violations))?;
    Intervals::cut(from, to, length, &zone).ok_or_else(|| {
        let message =
            "use `hour`, `day`, `isoWeek`, `month` or `quarter`, and no more than 2000 of them";
        refuse("/timeInterval", "enum", message)
    })
}

fn subject(path: &str, name: &str) -> Result<Subject, ApiError> {
    parse_subject(name)
        .ok_or_else(|| refuse(path, "enum", "is neither a property nor a meta-property"))
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, ApiError> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(refuse(&format!("/{key}"), "type", "must be a string")),
    }
}

fn required<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a str, ApiError> {
    text(body, key)?.ok_or_else(|| refuse("", "required", format!("`{key}` is required")))
}

fn refuse(path: &str, rule: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid("the body", vec![Violation::new(path, rule, message)])
}
