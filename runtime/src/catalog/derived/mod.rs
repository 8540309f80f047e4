//! Derived values: mirrors, calculations, aggregations and the results of scorecards.
//!
//! They are kept beside the entities, never among what somebody has written, and can all be made again. What costs
//! little is made in the transaction that writes the entity; everything else goes through a queue on disk, which a
//! single worker empties: it reads a batch on a snapshot, lets jq run while no transaction is open, and writes what
//! came of it together with what follows from it. A chain of derived values settles because none depends on itself:
//! definitions that would are refused.

mod aggregate;
mod calculate;
mod cause;
mod check;
mod conditions;
mod drain;
mod elsewhere;
mod expand;
mod facts;
mod graph;
mod load;
mod make;
mod mirror;
mod order;
mod own;
mod pace;
mod parse;
mod reach;
mod reference;
mod resolve;
mod view;
mod walk;
mod watch;

pub use drain::{DerivedState, Deriver};
pub use elsewhere::DerivedElsewhere;

pub(super) use check::Before;
pub(super) use conditions::Conditions;
pub(super) use graph::{Graph, Plan};
pub(super) use mirror::identify;
pub(super) use own::record;
pub(super) use parse::{COLORS, filters, is_derived};
pub(super) use view::attach;
