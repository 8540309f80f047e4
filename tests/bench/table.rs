//! The one table at the end.

use std::fmt;
use std::time::Duration;

use criterion::Criterion;

/// Samples that criterion takes of each measure.
pub(crate) const SAMPLES: usize = 50;

/// Rows in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
}

/// A figure with its unit.
#[derive(Clone, Copy)]
pub(crate) enum Figure {
    /// Shown in the unit that suits it.
    Seconds(f64),
    /// Shown in KiB or MiB.
    Bytes(f64),
    /// Things in a second.
    Rate(f64),
    /// Bytes in a second.
    Flow(f64),
}

/// What a figure is held against.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Our own figure is at most this.
    AtMost(Figure),
    /// Our own figure is at least this.
    AtLeast(Figure),
    /// Our own figure is at most so many times the raw one.
    Ratio(f64),
    /// Our own figure is at least this part of the raw one.
    Share(f64),
}

/// What half of all requests stayed below, and what all but a hundredth did.
#[derive(Clone, Copy)]
pub(crate) struct Percentiles {
    pub(crate) p50: Figure,
    pub(crate) p99: Figure,
}

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |part: f64| {
            // The smallest that so large a part of all does not exceed.
            let rank = (times.len() as f64 * part).ceil() as usize;
            let time = times.get(rank.saturating_sub(1))?;
            Some(Figure::Seconds(time.as_secs_f64()))
        };
        Some(Self {
            p50: at(0.5)?,
            p99: at(0.99)?,
        })
    }
}

/// A figure of ours beside the same thing done without us.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pair {
    ours: Option<Figure>,
    raw: Option<Figure>,
    ratio: Option<f64>,
}

impl Pair {
    pub(crate) fn of(ours: Option<Figure>, raw: Option<Figure>) -> Self {
        let ratio = ours
            .zip(raw)
            .map(|(ours, raw)| ours.amount() / raw.amount());
        Self { ours, raw, ratio }
    }

    pub(crate) fn ours(&self) -> Option<Figure> {
        self.ours
    }

    pub(crate) fn raw(&self) -> Option<Figure> {
        self.raw
    }
}

impl fmt::Display for Pair {
    /// In one cell, where a table has no column of its own for the raw figure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ours, self.raw, self.ratio) {
            (Some(ours), Some(raw), Some(ratio)) => write!(f, "{ours} (raw {raw}, {ratio:.2}×)"),
            (Some(ours), ..) => ours.fmt(f),
            _ => write!(f, "–"),
        }
    }
}

impl Table {
    pub(crate) fn add(&mut self, measure: &str, pair: Pair, targets: &[Target]) {
        let shown = |figure: Option<Figure>| figure.map_or("–".to_owned(), |f| f.to_string());
        let verdicts: Vec<String> = targets
            .iter()
            .map(|target| target.verdict(pair.ours, pair.ratio))
            .collect();
        self.rows.push([
            measure.to_owned(),
            shown(pair.ours),
            shown(pair.raw),
            pair.ratio
                .map_or("–".to_owned(), |ratio| format!("{ratio:.2}×")),
            verdicts.join(", "),
        ]);
    }
}

impl fmt::Display for Table {
    /// In Markdown, as the README has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["measure", "ours", "raw", "ratio", "target"].map(str::to_owned);
        let rows: Vec<&[String]> = self.rows.iter().map(<[String; 5]>::as_slice).collect();
        write_markdown(f, &head, &rows)
    }
}

/// Writes a table in Markdown, its columns straight.
pub(crate) fn write_markdown(
    f: &mut fmt::Formatter<'_>,
    head: &[String],
    rows: &[&[String]],
) -> fmt::Result {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(*row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |f: &mut fmt::Formatter<'_>, row: &[String]| {
        for (cell, width) in row.iter().zip(&widths) {
            write!(f, "| {cell:width$} ", width = *width)?;
        }
        writeln!(f, "|")
    };
    line(f, head)?;
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(f, &rule)?;
    rows.iter().try_for_each(|row| line(f, row))
}

impl Figure {
    pub(crate) fn amount(self) -> f64 {
        match self {
            Self::Seconds(amount)
            | Self::Bytes(amount)
            | Self::Rate(amount)
            | Self::Flow(amount) => amount,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Seconds(s) if s < 1e-6 => write!(f, "{:.0} ns", s * 1e9),
            Self::Seconds(s) if s < 1e-3 => write!(f, "{:.1} µs", s * 1e6),
            Self::Seconds(s) if s < 1.0 => write!(f, "{:.2} ms", s * 1e3),
            Self::Seconds(s) => write!(f, "{s:.2} s"),
            Self::Bytes(b) if b < 1024.0 * 1024.0 => write!(f, "{:.1} KiB", b / 1024.0),
            Self::Bytes(b) => write!(f, "{:.1} MiB", b / 1024.0 / 1024.0),
            Self::Rate(r) => write!(f, "{r:.0}/s"),
            Self::Flow(b) => write!(f, "{:.0} MiB/s", b / 1024.0 / 1024.0),
        }
    }
}

impl Target {
    fn verdict(self, ours: Option<Figure>, ratio: Option<f64>) -> String {
        let word = match self.is_met(ours, ratio) {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        };
        format!("{self} {word}")
    }

    /// Whether a figure, and its ratio to the raw one, are as wanted. `None` where they were not measured.
    fn is_met(self, ours: Option<Figure>, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtMost(most) => ours.map(|ours| ours.amount() <= most.amount()),
            Self::AtLeast(least) => ours.map(|ours| ours.amount() >= least.amount()),
            Self::Ratio(most) => ratio.map(|ratio| ratio <= most),
            Self::Share(least) => ratio.map(|ratio| ratio >= least),
        }
    }

    /// As [`Self::is_met`], of a pair.
    pub(crate) fn is_met_by(self, pair: &Pair) -> Option<bool> {
        self.is_met(pair.ours, pair.ratio)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::Ratio(most) => write!(f, "≤ {most}×"),
            Self::Share(least) => write!(f, "≥ {least}×"),
        }
    }
}

/// Has criterion measure what is ours, with the raw thing in between: so what else the machine does meanwhile hits
/// both. Either routine does its thing so many times and says how long that took; figures are medians of one. Nothing
/// is measured that the command line leaves out.
pub(crate) fn measure(
    criterion: &mut Criterion,
    name: &str,
    mut ours: impl FnMut(u64) -> Duration,
    mut raw: impl FnMut(u64) -> Duration,
) -> Pair {
    let mut samples = Vec::new();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let raw = raw(times).as_secs_f64() / times as f64;
            let taken = ours(times);
            samples.push((taken.as_secs_f64() / times as f64, raw));
            taken
        });
    });
    // Those before were for warming up.
    let last = samples.split_off(samples.len().saturating_sub(SAMPLES));
    let median = |value: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = last.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Pair {
        ours: median(|(ours, _)| *ours).map(Figure::Seconds),
        raw: median(|(_, raw)| *raw).map(Figure::Seconds),
        ratio: median(|(ours, raw)| ours / raw),
    }
}
