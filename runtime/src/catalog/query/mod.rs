//! Queries: how they are read, bound to whoever asks, and tried on single entities.

mod bind;
mod evaluate;
mod parse;

pub use bind::{Asker, Bound, bind};
pub use evaluate::{Subjects, evaluate, passes};
pub use parse::{parse_conditions, parse_query};
