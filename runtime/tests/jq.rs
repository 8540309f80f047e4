//! Filters that mean harm, in real worker processes.

use std::sync::Arc;

use goldenpath::jq::{Expression, Jq, JqError};
use serde_json::{Value, json};

fn jq() -> Jq {
    Jq::new(
        env!("CARGO_BIN_EXE_goldenpath").into(),
        vec![goldenpath::jq::worker::ARGUMENT.into()],
    )
}

async fn eval_all(filters: &[&str], input: Value) -> Vec<Result<Value, JqError>> {
    let input = Arc::new(input);
    let batch = filters.iter().map(|filter| Expression {
        filter: (*filter).to_owned(),
        input: Arc::clone(&input),
    });
    jq().eval(batch.collect()).await
}

async fn eval(filter: &str, input: Value) -> Result<Value, JqError> {
    eval_all(&[filter], input).await.remove(0)
}

#[tokio::test]
async fn filters_give_their_first_value_in_order() {
    let input = json!({ "inputs": { "name": "Orders API", "tags": ["b", "a"], "price": 1.5, "big": 9_007_199_254_740_993_i64 } });
    let results = eval_all(
        &[
            r#".inputs.name | ascii_downcase | gsub(" "; "-")"#,
            ".inputs.tags[]",
            ".inputs.tags | sort",
            "empty",
            ".inputs.nobody.there[0]",
            ".inputs.name",
            r#""\(.inputs.price) and \(.inputs.big)""#,
            "{a: 1, b: [null, true]}",
            "now > 1700000000",
        ],
        input,
    )
    .await;
    let values: Vec<Value> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        values,
        [
            json!("orders-api"),
            json!("b"),
            json!(["a", "b"]),
            Value::Null,
            Value::Null,
            json!("Orders API"),
            json!("1.5 and 9007199254740993"),
            json!({ "a": 1, "b": [null, true] }),
            json!(true),
        ]
    );
}

#[tokio::test]
async fn what_reaches_out_of_a_filter_is_not_there() {
    let filters = [
        "env",
        "env.HOME",
        "$ENV",
        "$ENV.PATH",
        "halt",
        "halt(3)",
        "halt_error",
        "halt_error(1)",
        "input",
        "[inputs]",
        "debug",
        "debug(1)",
        "stderr",
        "debug_empty",
        "input_filename",
        "input_line_number",
        "$__prog_args",
        r#"import "a" as a; a::b"#,
        r#"import "/etc/passwd" as $p; $p"#,
        r#"include "a"; ."#,
        "get_search_list",
        "not jq {",
        "",
    ];
    for (filter, result) in filters.iter().zip(eval_all(&filters, json!({})).await) {
        assert!(
            matches!(result, Err(JqError::Syntax(_))),
            "`{filter}` gave {result:?}"
        );
    }
}

#[tokio::test]
async fn an_error_of_a_filter_is_told_and_bounded() {
    let results = eval_all(
        &[
            r#"error("no such thing")"#,
            r#".a + "x""#,
            r#"error("x" * 1000000)"#,
            "nan",
            r#""abc" * 400000"#,
        ],
        json!({ "a": 1 }),
    )
    .await;
    assert_eq!(
        results[0],
        Err(JqError::Failed("\"no such thing\"".to_owned()))
    );
    assert!(matches!(results[1], Err(JqError::Failed(_))));
    assert!(matches!(&results[2], Err(JqError::Failed(message)) if message.len() < 1_000));
    assert!(
        matches!(results[3], Err(JqError::Failed(_))),
        "{:?}",
        results[3]
    );
    assert!(matches!(results[4], Err(JqError::TooLarge(_))));
}

#[tokio::test]
async fn a_filter_that_never_ends_fails_alone() {
    let results = eval_all(&["1 + 1", "def f: f; f", "[.a, 2]"], json!({ "a": 1 })).await;
    assert_eq!(
        results,
        [Ok(json!(2)), Err(JqError::Deadline), Ok(json!([1, 2]))]
    );
}

#[tokio::test]
async fn a_filter_that_takes_all_memory_fails_alone() {
    let results = eval_all(
        &[
            "1 + 1",
            "[range(1e9)]",
            r#""x" * 2000000000 | length"#,
            ".a",
        ],
        json!({ "a": 1 }),
    )
    .await;
    assert_eq!(results[0], Ok(json!(2)));
    assert!(
        matches!(results[1], Err(JqError::Crashed | JqError::Deadline)),
        "{:?}",
        results[1]
    );
    assert!(results[2].is_err(), "{:?}", results[2]);
    assert_eq!(results[3], Ok(json!(1)));
}

#[tokio::test]
async fn a_filter_that_takes_all_stack_fails_alone() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let results = eval_all(
        &[
            "def f(x): 1 + f(x + 1); f(0)",
            "reduce range(1000000) as $i (0; [.])",
            &deep,
            "[.a]",
        ],
        json!({ "a": 1 }),
    )
    .await;
    for result in &results[..3] {
        assert!(
            matches!(
                result,
                Err(JqError::Crashed | JqError::Deadline | JqError::Failed(_))
            ),
            "{result:?}"
        );
    }
    assert_eq!(results[3], Ok(json!([1])));
}

#[tokio::test]
async fn a_worker_is_used_again_and_replaced_when_it_died() {
    let jq = jq();
    let one = |filter: &str| {
        vec![Expression {
            filter: filter.to_owned(),
            input: Arc::new(json!({ "a": 1 })),
        }]
    };
    for round in 0..120 {
        let filter = format!(".a + {round}");
        assert_eq!(jq.eval(one(&filter)).await, [Ok(json!(1 + round))]);
    }
    assert!(jq.eval(one("def f: [f]; f")).await[0].is_err());
    assert_eq!(jq.eval(one(".a + 1")).await, [Ok(json!(2))]);
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_an_error_and_not_a_hang() {
    let jq = Jq::new("/bin/false".into(), Vec::new());
    let expression = Expression {
        filter: "1 + 1".to_owned(),
        input: Arc::new(Value::Null),
    };
    assert_eq!(
        jq.eval(vec![expression.clone()]).await,
        [Err(JqError::Crashed)]
    );
    let jq = Jq::new("/nowhere/at/all".into(), Vec::new());
    assert!(matches!(
        jq.eval(vec![expression]).await[0],
        Err(JqError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_worker_sees_no_environment_and_opens_no_file() {
    // The time zone is read from a file where there is one; a worker has none to read.
    assert_eq!(
        eval(r#"0 | strflocaltime("%H")"#, Value::Null).await,
        Ok(json!("00"))
    );
}

#[tokio::test]
async fn a_check_compiles_filters_without_running_them() {
    let filters = [".a.b", "def f: f; f", "[range(1e9)]", "env", "1 +"];
    let results = jq().check(filters.map(str::to_owned).to_vec()).await;
    assert_eq!(results[..3], [Ok(()), Ok(()), Ok(())]);
    assert!(matches!(results[3], Err(JqError::Syntax(_))));
    assert!(matches!(results[4], Err(JqError::Syntax(_))));
}
