//! One trace over tasks, restarts and machines: which span caused what, in the form of the header `traceparent`.
//!
//! Where nobody collects traces, there is nothing here to know and nothing is kept.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

static COLLECTED: AtomicBool = AtomicBool::new(false);

/// Says that spans are collected from now on.
pub fn collect() {
    COLLECTED.store(true, Ordering::Relaxed);
}

/// Whether spans are collected.
pub fn is_collected() -> bool {
    COLLECTED.load(Ordering::Relaxed)
}

/// A span that something was caused by, here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(SpanContext);

impl TraceParent {
    /// The span that the current task works in; absent where nobody collects.
    pub fn current() -> Option<Self> {
        is_collected().then(|| Self::of(&Span::current())).flatten()
    }

    /// A span's own. It begins with this at the latest: what it continues cannot be said any more.
    pub fn of(span: &Span) -> Option<Self> {
        let context = span.context().span().span_context().clone();
        context.is_valid().then_some(Self(context))
    }

    /// Reads the header, whose form is that of the W3C's recommendation. Of later versions of it the beginning counts.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length: usize| {
            text.len() == length
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let is_known = is_hex(version, 2) && version != "ff";
        if !is_known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let context = SpanContext::new(
            TraceId::from_hex(trace).ok()?,
            SpanId::from_hex(span).ok()?,
            // Of the flags only this one is defined.
            TraceFlags::new(flags) & TraceFlags::SAMPLED,
            true,
            TraceState::NONE,
        );
        context.is_valid().then_some(Self(context))
    }

    /// The 32 hexadecimal digits of the whole trace.
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// Has a span that has not begun continue this one.
    pub fn continue_in(&self, span: &Span) {
        // Where nobody collects there is nothing to continue.
        let _ = span.set_parent(Context::new().with_remote_span_context(self.0.clone()));
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (self.0.trace_id(), self.0.span_id());
        write!(f, "00-{trace}-{span}-{:02x}", self.0.trace_flags().to_u8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_written_as_it_was_read() {
        let parent = TraceParent::parse(PARENT).unwrap();
        assert_eq!(parent.to_string(), PARENT);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn what_is_no_parent_is_not_taken_for_one() {
        let zeros = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let upper = PARENT.to_uppercase();
        let longer = format!("{PARENT}-x");
        let future = PARENT.replacen("00", "ff", 1);
        for bad in [
            "",
            "00",
            zeros,
            &upper,
            &longer,
            &future,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é1",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
        let later = format!("{}-more", PARENT.replacen("00", "01", 1));
        assert!(TraceParent::parse(&later).is_some());
    }
}
