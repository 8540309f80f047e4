//! What becomes of an attack where one knob is missing: at least one test fails. In a build of its own:
//! `GOLDENPATH_TEST_LONG=1 cargo test --workspace --lib --tests --features goldenpath-tests/remove-knobs -- knob::`.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use goldenpath::plugin::{KNOBS, Knob};
use goldenpath_tests::long;

/// A run that nothing ends is ended here, and has failed.
const LONGEST: Duration = Duration::from_secs(180);

/// The test that fails without it.
fn guard(knob: Knob) -> &'static str {
    match knob {
        Knob::CpuTime => "sandbox::budget::a_loop_ends_at_the_processor_time_budget",
        Knob::WallTime => "sandbox::budget::a_sleeper_ends_at_the_wall_time_budget",
        Knob::Memory => "sandbox::budget::many_small_allocations_end_at_the_memory_budget",
        Knob::HostObjects => "sandbox::trick::headers_that_are_never_given_back_end_the_run",
        Knob::RandomBytes => "sandbox::budget::more_randomness_than_one_call_may_have_ends_the_run",
        Knob::HeaderBytes => {
            "sandbox::trick::more_headers_or_body_than_a_server_takes_are_errors_of_their_own"
        }
        Knob::StillClock => "sandbox::power::a_clock_without_a_line_stands_still",
        Knob::NoRandom => {
            "sandbox::power::randomness_without_a_line_ends_the_run_and_names_the_line"
        }
        Knob::Addresses => {
            "sandbox::resolve::an_answer_with_an_inside_address_in_any_spelling_is_refused_whole"
        }
        Knob::ForbiddenHeaders => {
            "sandbox::trick::headers_that_change_where_a_request_ends_are_refused_before_it_is_sent"
        }
    }
}

/// Whether a test of this very program passes, its portals without a knob.
#[expect(
    clippy::disallowed_methods,
    reason = "the same tests, among another variable of the environment"
)]
fn passes(test: &str, without: Option<Knob>) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([test, "--exact"]).process_group(0);
    if let Some(knob) = without {
        command.env("REMOVED_KNOB", format!("{knob:?}"));
    }
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts again");
    let group = format!("-{}", child.id());
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(LONGEST) else {
        // Its portals too.
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        killed.expect("what was started can be ended");
        return false;
    };
    let output = output.expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "there is a test {test}");
    output.status.success()
}

#[test]
fn a_missing_knob_is_noticed() {
    if !long("a_missing_knob_is_noticed: starts a portal for each knob, twice") {
        return;
    }
    let mut unnoticed = Vec::new();
    for knob in KNOBS {
        let test = guard(knob);
        assert!(passes(test, None), "{test} passes with {knob:?}");
        if passes(test, Some(knob)) {
            unnoticed.push(knob);
        }
        println!("{knob:?}: {test}");
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
