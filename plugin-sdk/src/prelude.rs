//! What nearly every plugin needs: `use goldenpath_sdk::prelude::*;`.

pub use crate::catalog::Entity;
pub use crate::http::Request;
pub use crate::{Context, Failure, action, input, output};
#[cfg(not(target_arch = "wasm32"))]
pub use crate::{FakeContext, LogEvent};

// The derives and their helper attributes find these names in scope.
pub use crate::serde;
