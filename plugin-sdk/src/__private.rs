//! What the macros write calls of. No part of the interface: it changes without notice.

pub use crate::schema::{Field, default_text};

#[cfg(target_arch = "wasm32")]
pub use guest::*;

#[cfg(target_arch = "wasm32")]
mod guest {
    use crate::bindings::exports::goldenpath::plugin::action::{
        Call, Failed, Failure as WitFailure,
    };
    use crate::bindings::exports::goldenpath::plugin::descriptor::ActionDescription;
    use crate::bindings::goldenpath::plugin::types::Violation as WitViolation;
    use crate::failure::INVALID_INPUT;
    use crate::{Action, Context, Failure, Violation, decode, schema};

    pub use crate::__export_plugin as export_plugin;
    pub use crate::bindings;

    pub const SDK: &str = concat!("goldenpath-sdk ", env!("CARGO_PKG_VERSION"));

    /// Writes the exports: the dispatch is by name, in code that the compiler sees through.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! __export_plugin {
        ($($action:path),*) => {
            const _: () = {
                struct Plugin;

                impl $crate::__private::bindings::exports::goldenpath::plugin::descriptor::Guest for Plugin {
                    fn describe() -> $crate::__private::bindings::exports::goldenpath::plugin::descriptor::Description {
                        $crate::__private::bindings::exports::goldenpath::plugin::descriptor::Description {
                            sdk: ::std::borrow::ToOwned::to_owned($crate::__private::SDK),
                            actions: ::std::vec![$($crate::__private::describe::<$action>()),*],
                        }
                    }
                }

                impl $crate::__private::bindings::exports::goldenpath::plugin::action::Guest for Plugin {
                    fn run(
                        call: $crate::__private::bindings::exports::goldenpath::plugin::action::Call,
                    ) -> ::core::result::Result<
                        ::std::string::String,
                        $crate::__private::bindings::exports::goldenpath::plugin::action::Failure,
                    > {
                        $(if call.action == <$action as $crate::Action>::NAME {
                            return $crate::__private::run::<$action>(call);
                        })*
                        ::core::result::Result::Err($crate::__private::unknown(call))
                    }
                }

                $crate::__private::bindings::export_action_plugin!(Plugin with_types_in $crate::__private::bindings);
            };
        };
    }

    pub fn describe<A: Action>() -> ActionDescription {
        ActionDescription {
            name: A::NAME.to_owned(),
            description: A::DESCRIPTION.to_owned(),
            input_schema: schema::text::<A::Input>(),
            output_schema: schema::text::<A::Output>(),
        }
    }

    pub fn run<A: Action>(call: Call) -> Result<String, WitFailure> {
        let ctx = Context {
            run_id: call.run_id,
            requested_by: call.requested_by,
            entity: call.entity,
            open_step: std::cell::RefCell::default(),
        };
        // The host has checked the input against the schema; what is left are rules that only the Rust type knows.
        let input = decode::from_slice(call.input.as_bytes())
            .map_err(|misfit| failure(Failure::invalid_input(vec![misfit.into()])))?;
        let output = A::run(input, &ctx).map_err(|error| failure(error.into()))?;
        serde_json::to_string(&output)
            .map_err(|error| failure(Failure::new("invalid_output", error.to_string())))
    }

    pub fn unknown(call: Call) -> WitFailure {
        WitFailure::UnknownAction(call.action)
    }

    fn failure(failure: Failure) -> WitFailure {
        let (code, message, violations) = failure.into_parts();
        if code == INVALID_INPUT && !violations.is_empty() {
            let violations = violations.into_iter().map(
                |Violation {
                     path,
                     rule,
                     message,
                 }| WitViolation {
                    path,
                    rule,
                    message,
                },
            );
            return WitFailure::InvalidInput(violations.collect());
        }
        WitFailure::Failed(Failed { code, message })
    }
}
