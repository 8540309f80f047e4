//! The budgets of a call: their keys in `plugin.toml`, units, defaults and ceilings.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a number of a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Written `500ms`, `60s`, `5m`, `1h`; kept in milliseconds.
    Time,
    /// Written `64B`, `256KiB`, `64MiB`, `1GiB`; kept in bytes.
    Size,
    /// Written as a plain number.
    Count,
}

/// One thing of which a call may use only so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Budget {
    /// Time from the first to the last guest instruction, waiting included.
    WallTime,
    /// Processor time of the guest and of the host work that it causes on its own thread.
    CpuTime,
    /// Linear memory, all memories of the component together.
    Memory,
    /// Bytes of log messages, progress marks and links.
    Log,
    /// Bytes of the output document.
    Output,
    /// HTTP requests sent.
    HttpRequests,
    /// Bytes of HTTP bodies, both ways together.
    HttpBytes,
    /// Calls of our own interfaces and HTTP requests.
    HostCalls,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const SIZES: [(&str, u64); 4] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB), ("B", 1)];
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("ms", 1), ("s", 1_000)];

impl Budget {
    /// Every budget, in the order of [`Limits`].
    pub(crate) const ALL: [Self; 8] = [
        Self::WallTime,
        Self::CpuTime,
        Self::Memory,
        Self::Log,
        Self::Output,
        Self::HttpRequests,
        Self::HttpBytes,
        Self::HostCalls,
    ];

    /// Its key under `[limits]`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::WallTime => "wall-time",
            Self::CpuTime => "cpu-time",
            Self::Memory => "memory",
            Self::Log => "log",
            Self::Output => "output",
            Self::HttpRequests => "http-requests",
            Self::HttpBytes => "http-bytes",
            Self::HostCalls => "host-calls",
        }
    }

    /// The budget of a key.
    pub(crate) fn find(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|budget| budget.key() == key)
    }

    /// What its number counts.
    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::WallTime | Self::CpuTime => Unit::Time,
            Self::Memory | Self::Log | Self::Output | Self::HttpBytes => Unit::Size,
            Self::HttpRequests | Self::HostCalls => Unit::Count,
        }
    }

    /// What a manifest gets that does not name it: enough for a golden path, too little to hurt the host.
    pub(crate) fn default(self) -> u64 {
        match self {
            Self::WallTime => 60_000,
            Self::CpuTime => 5_000,
            Self::Memory => 64 * MIB,
            Self::Log => MIB,
            Self::Output => 256 * KIB,
            Self::HttpRequests => 100,
            Self::HttpBytes => 16 * MIB,
            Self::HostCalls => 10_000,
        }
    }

    /// The smallest value that makes sense: below it not even an empty function can be called.
    pub(crate) fn least(self) -> u64 {
        match self {
            Self::WallTime | Self::CpuTime => 10,
            Self::Memory => 64 * KIB,
            Self::Output => 2,
            Self::Log | Self::HttpRequests | Self::HttpBytes | Self::HostCalls => 0,
        }
    }

    /// The host's ceiling: what one call can cost the machine at worst.
    pub(crate) fn most(self) -> u64 {
        match self {
            Self::WallTime => 3_600_000,
            Self::CpuTime => 600_000,
            // The memory slots of the pooling allocator are this large.
            Self::Memory => GIB,
            Self::Log => 16 * MIB,
            // One JSON document in host memory, several times over while it is checked.
            Self::Output => 8 * MIB,
            Self::HttpRequests => 10_000,
            Self::HttpBytes => GIB,
            Self::HostCalls => 1_000_000,
        }
    }

    /// Reads a value of this budget as the manifest writes it.
    pub(crate) fn parse(self, text: &str) -> Result<u64, String> {
        let value = match self.unit() {
            Unit::Time => parse_time(text)?,
            Unit::Size => parse_size(text)?,
            Unit::Count => text
                .parse()
                .map_err(|_| format!("`{text}` is not a whole number"))?,
        };
        self.check(value)
    }

    /// Refuses a value outside the budget's bounds.
    pub(crate) fn check(self, value: u64) -> Result<u64, String> {
        if value < self.least() {
            return Err(format!(
                "{} is below the least useful value {}",
                self.render(value),
                self.render(self.least())
            ));
        }
        if value > self.most() {
            return Err(format!(
                "{} is above this host's ceiling {}",
                self.render(value),
                self.render(self.most())
            ));
        }
        Ok(value)
    }

    /// Writes a value the shortest exact way.
    pub(crate) fn render(self, value: u64) -> String {
        match self.unit() {
            Unit::Time => render_time(value),
            Unit::Size => render_size(value),
            Unit::Count => value.to_string(),
        }
    }
}

/// A value for every budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    values: [u64; Budget::ALL.len()],
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            values: Budget::ALL.map(Budget::default),
        }
    }
}

impl Limits {
    /// The value of one budget.
    pub(crate) fn get(&self, budget: Budget) -> u64 {
        self.values.get(budget as usize).copied().unwrap_or(0)
    }

    /// The value of a budget of time.
    pub(crate) fn time(&self, budget: Budget) -> Duration {
        Duration::from_millis(self.get(budget))
    }

    /// Sets one budget.
    pub(crate) fn set(&mut self, budget: Budget, value: u64) {
        if let Some(slot) = self.values.get_mut(budget as usize) {
            *slot = value;
        }
    }

    /// The lower value of each budget.
    pub(crate) fn min(&self, other: &Self) -> Self {
        let mut lower = *self;
        for budget in Budget::ALL {
            lower.set(budget, self.get(budget).min(other.get(budget)));
        }
        lower
    }

    /// All values, by the budgets' keys.
    pub(crate) fn by_key(&self) -> BTreeMap<String, u64> {
        let keyed = Budget::ALL.map(|budget| (budget.key().to_owned(), self.get(budget)));
        keyed.into_iter().collect()
    }

    /// One canonical line each, for example `limit memory 64MiB`, sorted.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = Budget::ALL
            .iter()
            .map(|b| format!("limit {} {}", b.key(), b.render(self.get(*b))))
            .collect();
        lines.sort_unstable();
        lines
    }
}

/// Reads `64MiB` and the like; plain bytes are `64B`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    parse_unit(
        text,
        &SIZES,
        "a size is a whole number and B, KiB, MiB or GiB, for example `64MiB`",
    )
}

/// Writes a size the shortest exact way.
pub(crate) fn render_size(bytes: u64) -> String {
    let (unit, factor) = SIZES
        .iter()
        .find(|(_, f)| bytes != 0 && bytes.is_multiple_of(*f))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

fn parse_time(text: &str) -> Result<u64, String> {
    parse_unit(
        text,
        &TIMES,
        "a time is a whole number and ms, s, m or h, for example `60s`",
    )
}

fn render_time(milliseconds: u64) -> String {
    // One spelling for one value: `60s` rather than `1m`, and `90m` rather than `5400s`.
    let exact =
        |factor: u64, least: u64| milliseconds >= least && milliseconds.is_multiple_of(factor);
    match milliseconds {
        hours if exact(3_600_000, 3_600_000) => format!("{}h", hours / 3_600_000),
        minutes if exact(60_000, 120_000) => format!("{}m", minutes / 60_000),
        seconds if exact(1_000, 1_000) => format!("{}s", seconds / 1_000),
        rest => format!("{rest}ms"),
    }
}

fn parse_unit(text: &str, units: &[(&str, u64)], rule: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    let value = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    value.ok_or_else(|| {
        let shown: String = text.chars().take(32).collect();
        format!("`{shown}` is not understood: {rule}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_and_written_back() {
        for text in ["64MiB", "256KiB", "1GiB", "100B"] {
            assert_eq!(render_size(parse_size(text).unwrap()), text);
        }
        for text in ["60s", "500ms", "5m", "2h", "90m", "1500ms"] {
            assert_eq!(render_time(parse_time(text).unwrap()), text);
        }
        assert_eq!(
            render_time(parse_time("1m").unwrap()),
            "60s",
            "one value has one spelling"
        );
    }

    #[test]
    fn odd_numbers_are_refused() {
        for text in [
            "",
            "64",
            "MiB",
            "64 MiB",
            "-1B",
            "1.5MiB",
            "64MB",
            "99999999999999999999B",
            "18446744073709551615GiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for text in ["60", "s", "1d", "+5s", "0x10s"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_beyond_the_ceiling_are_refused() {
        assert!(Budget::Memory.parse("2GiB").is_err());
        assert!(Budget::WallTime.parse("5ms").is_err());
        assert_eq!(Budget::HostCalls.parse("10000"), Ok(10_000));
    }

    #[test]
    fn lines_are_sorted_and_canonical() {
        let lines = Limits::default().lines();
        assert!(lines.is_sorted());
        assert!(lines.contains(&"limit memory 64MiB".to_owned()));
        assert!(lines.contains(&"limit wall-time 60s".to_owned()));
    }
}
