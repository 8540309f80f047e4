//! The way out of a plugin: the generated imports in a component, the fake everywhere else.
//!
//! Both have the same functions and the choice is made by the compiler, so that a component imports exactly what
//! its code can reach. A table of function pointers, or a `dyn` host, would import everything.

#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(target_arch = "wasm32")]
pub(crate) use guest::{actions, catalog, files, http, log, secrets, state, steps};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::fake::{actions, catalog, files, http, log, secrets, state, steps};
