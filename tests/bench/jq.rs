//! What a calculation costs by the size of its batch: the way to a worker process and back is paid once for each.

use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use goldenpath::jq::{Expression, Jq, worker};
use serde_json::{Value, json};

const FILTER: &str =
    r#"if .properties.tier == 1 then "https://example.com/" + .identifier else null end"#;

pub(crate) fn measure(criterion: &mut Criterion, program: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let jq = Jq::new(program.to_owned(), vec![worker::ARGUMENT.into()]);
    let mut group = criterion.benchmark_group("entities of one jq batch");
    for size in [1, 10, 50, 250, 1_000, 4_000] {
        group.throughput(Throughput::Elements(size));
        let batch: Vec<Expression> = (0..size).map(expression).collect();
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let results = runtime.block_on(jq.eval(batch.clone()));
                assert!(results.iter().all(Result::is_ok));
            });
        });
    }
    group.finish();
}

fn expression(number: u64) -> Expression {
    Expression {
        filter: FILTER.to_owned(),
        input: Arc::new(entity(number)),
    }
}

fn entity(number: u64) -> Value {
    json!({
        "identifier": format!("service-{number}"), "title": "A service of middling size", "team": ["payments"],
        "properties": { "language": "rust", "tier": number % 3, "repository": format!("https://example.com/{number}"),
            "description": "What it does and for whom. ".repeat(10) },
        "relations": { "system": "cart", "uses": ["a", "b", "c"] },
    })
}
