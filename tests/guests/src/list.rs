//! Every guest, once: what the component exports is made of this list, and so is the list of the tests that run them. A
//! guest that is not here is not in the component; one that is here and has no test does not compile there.

/// Writes `then!` of all guests of the library, each by its module and its function.
macro_rules! guests {
    ($($then:ident)::+) => {
        $($then)::+! {
            catalog::does_to_an_entity,
            catalog::floods_the_host,
            catalog::writes_by_a_hidden_query,
            catalog::writes_by_a_query,
            catalog::writes_undeclared_blueprint,
            catalog::writes_undeclared_parts,
            catalog::writes_undeclared_property,
            crash::eats_memory,
            crash::exits,
            crash::grows_at_once,
            crash::leaves_a_pattern,
            crash::panics,
            crash::recurses_forever,
            crash::traps,
            files::fills_the_folder,
            files::opens_undeclared_folder,
            files::reads_a_path,
            files::writes_a_path,
            log::floods_stdout,
            log::floods_the_log,
            log::prints_escapes,
            log::prints_invalid_utf8,
            log::prints_one_endless_line,
            output::answers_deep,
            output::answers_huge,
            time::asks_the_time_forever,
            time::loops_forever,
            time::reads_much_randomness,
            time::reads_the_clock,
            time::reads_randomness,
            time::sleeps_too_long,
        }
    };
}

pub(crate) use guests;
