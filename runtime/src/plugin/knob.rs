//! The knobs that hold a guest, each of which can be taken away in a build of its own, to see that somebody would notice.
//!
//! In every other build [`is_kept`] is a constant, and there is nothing to take away.

/// One knob.
#[cfg_attr(
    not(feature = "remove-knobs"),
    expect(
        unreachable_pub,
        reason = "named outside by the tests that take one away"
    )
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// The look at the processor time on every tick.
    CpuTime,
    /// The end of a call at its wall time.
    WallTime,
    /// The sum of memory and tables over a whole store.
    Memory,
    /// How many host objects a guest may hold.
    HostObjects,
    /// How much randomness one call may ask for.
    RandomBytes,
    /// How much memory one set of headers may take.
    HeaderBytes,
    /// The clock that stands still without a line.
    StillClock,
    /// The randomness that is not there without a line.
    NoRandom,
    /// The look at what a name resolves to.
    Addresses,
    /// The headers that no guest may set.
    ForbiddenHeaders,
}

/// Whether a knob is in its place.
#[cfg(not(feature = "remove-knobs"))]
pub(super) const fn is_kept(_: Knob) -> bool {
    true
}

#[cfg(feature = "remove-knobs")]
pub use removable::*;

#[cfg(feature = "remove-knobs")]
mod removable {
    use std::sync::OnceLock;

    use super::Knob;

    #[cfg(not(debug_assertions))]
    compile_error!(
        "`remove-knobs` makes a sandbox with holes: it is for tests, and never released"
    );

    static REMOVED: OnceLock<Knob> = OnceLock::new();

    /// All of them.
    pub const KNOBS: [Knob; 10] = [
        Knob::CpuTime,
        Knob::WallTime,
        Knob::Memory,
        Knob::HostObjects,
        Knob::RandomBytes,
        Knob::HeaderBytes,
        Knob::StillClock,
        Knob::NoRandom,
        Knob::Addresses,
        Knob::ForbiddenHeaders,
    ];

    /// Takes a knob away from this process, for good.
    pub fn remove_knob(name: &str) {
        let named = |knob: &&Knob| format!("{knob:?}") == name;
        if let Some(knob) = KNOBS.iter().find(named) {
            let _ = REMOVED.set(*knob);
        }
    }

    pub(in crate::plugin) fn is_kept(knob: Knob) -> bool {
        REMOVED.get() != Some(&knob)
    }
}
