//! Queries: how they are read, bound to whoever asks, and tried on single entities.

mod aggregate;
mod bind;
mod compile;
mod evaluate;
mod parse;
mod plan;
mod search;
mod text;
mod walk;
mod words;

pub(super) use aggregate::aggregate;
pub use aggregate::{Aggregation, Course, Function, Intervals, parse_subject};
pub use bind::{Asker, Bound, bind, bind_range};
pub use evaluate::{Subjects, evaluate, passes};
pub use parse::{parse_conditions, parse_query};
pub use search::{Found, Search, SearchLimits};
pub(super) use search::{Searcher, within};
pub(super) use text::find as find_text;
pub use text::{TextFound, TextHit, TextSearch};
pub use words::Correction;
pub(super) use words::row as text_row;
