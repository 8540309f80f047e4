//! The table of what is measured at several sizes: a column for each of them.

use std::fmt;

use crate::table::{Figure, Pair, Target, write_markdown};

/// Rows in the order in which they were first measured.
pub(crate) struct GrowthTable {
    sizes: Vec<usize>,
    rows: Vec<Row>,
}

struct Row {
    measure: String,
    pairs: Vec<Option<Pair>>,
    goals: Vec<Goal>,
    /// Whether what one thing costs may only grow as the logarithm of their number.
    log_linear: bool,
}

/// A target, and the sizes that it is for.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    target: Target,
    from: usize,
    to: usize,
}

impl Goal {
    /// For all sizes.
    pub(crate) fn always(target: Target) -> Self {
        Self::at_least(0, target)
    }

    /// For a size and all beyond it.
    pub(crate) fn at_least(from: usize, target: Target) -> Self {
        let to = usize::MAX;
        Self { target, from, to }
    }

    /// For a size and all below it.
    pub(crate) fn up_to(to: usize, target: Target) -> Self {
        let from = 0;
        Self { target, from, to }
    }
}

impl GrowthTable {
    pub(crate) fn new(sizes: &[usize]) -> Self {
        Self {
            sizes: sizes.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Notes what was measured at a size. Of a rate, which is that of something done to all entities, the growth is
    /// judged as well.
    pub(crate) fn add(&mut self, size: usize, measure: &str, pair: Pair, goals: &[Goal]) {
        let column = self.sizes.iter().position(|one| *one == size);
        let place = self.rows.iter().position(|row| row.measure == measure);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row {
                measure: measure.to_owned(),
                pairs: vec![None; self.sizes.len()],
                goals: goals.to_owned(),
                log_linear: matches!(pair.ours(), Some(Figure::Rate(_))),
            });
            self.rows.len() - 1
        });
        if let Some(column) = column {
            self.rows[place].pairs[column] = Some(pair);
        }
    }
}

impl fmt::Display for GrowthTable {
    /// In Markdown, as the README has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = vec!["measure".to_owned()];
        head.extend(self.sizes.iter().map(|size| thousands(*size)));
        head.push("target".to_owned());
        let lines: Vec<Vec<String>> = self.rows.iter().map(|row| row.line(&self.sizes)).collect();
        let lines: Vec<&[String]> = lines.iter().map(Vec::as_slice).collect();
        write_markdown(f, &head, &lines)
    }
}

impl Row {
    fn line(&self, sizes: &[usize]) -> Vec<String> {
        let mut line = vec![self.measure.clone()];
        let shown = |pair: &Option<Pair>| pair.map_or("–".to_owned(), |pair| pair.to_string());
        line.extend(self.pairs.iter().map(shown));
        let mut verdicts: Vec<String> = self
            .goals
            .iter()
            .filter_map(|goal| self.verdict(*goal, sizes))
            .collect();
        if self.log_linear {
            verdicts.extend(self.growth(sizes));
        }
        line.push(verdicts.join("; "));
        line
    }

    /// Nothing where no size was measured that the goal is for.
    fn verdict(&self, goal: Goal, sizes: &[usize]) -> Option<String> {
        let mut missed = Vec::new();
        let mut met = false;
        for (size, pair) in sizes.iter().zip(&self.pairs) {
            if !(goal.from..=goal.to).contains(size) {
                continue;
            }
            match pair.and_then(|pair| goal.target.is_met_by(&pair)) {
                Some(true) => met = true,
                Some(false) => missed.push(thousands(*size)),
                None => {}
            }
        }
        let which = match (goal.from, goal.to) {
            (0, usize::MAX) => String::new(),
            (from, usize::MAX) => format!(" from {} on", thousands(from)),
            (_, to) => format!(" up to {}", thousands(to)),
        };
        let word = match (missed.is_empty(), met) {
            (true, true) => "met".to_owned(),
            (true, false) => return None,
            (false, _) => format!("MISSED at {}", missed.join(", ")),
        };
        Some(format!("{}{which} {word}", goal.target))
    }

    /// From the smallest size to the largest, whether the time of all grew faster than n log n.
    fn growth(&self, sizes: &[usize]) -> Option<String> {
        let measured: Vec<(f64, f64)> = sizes
            .iter()
            .zip(&self.pairs)
            .filter_map(|(size, pair)| Some((*size as f64, (*pair)?.ours()?.amount())))
            .collect();
        let ((small, before), (large, after)) = (*measured.first()?, *measured.last()?);
        if small >= large {
            return None;
        }
        let (grown, allowed) = (before / after, large.ln() / small.ln());
        let word = if grown <= allowed { "met" } else { "MISSED" };
        Some(format!(
            "time per entity grows {grown:.2}×, n log n allows {allowed:.2}×: {word}"
        ))
    }
}

/// A number as people write it.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
