//! The host's own ceiling: what no grant goes beyond, whoever gave it.

use std::collections::BTreeSet;

use super::budget::{Budget, Limits};
use super::capability::Power;
use super::capability::line::Line;
use super::capability::within::{Excess, Maximum};

/// Lines of the host's settings, in the grammar of manifests and grants.
///
/// A kind, or a budget, without a line is not limited; `no KIND` leaves nothing of it; else all of it has to be within
/// the kind's lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostCeiling {
    maximum: Maximum,
    forbidden: BTreeSet<Power>,
    limited: BTreeSet<Power>,
    limits: Vec<(Budget, u64)>,
}

impl HostCeiling {
    /// Reads the settings; the error names the line.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        let mut ceiling = Self::default();
        for text in texts {
            ceiling
                .take(text.trim())
                .map_err(|why| format!("`{text}`: {why}"))?;
        }
        match ceiling.forbidden.intersection(&ceiling.limited).next() {
            Some(power) => {
                let kind = power.as_str();
                Err(format!("`no {kind}` contradicts the other lines of {kind}"))
            }
            None => Ok(ceiling),
        }
    }

    fn take(&mut self, text: &str) -> Result<(), String> {
        if let Some(kind) = text.strip_prefix("no ") {
            let power = Power::ALL.into_iter().find(|power| power.as_str() == kind);
            self.forbidden
                .insert(power.ok_or("there is no such kind of line")?);
            return Ok(());
        }
        let line = Line::parse(text)?;
        match &line {
            Line::Limit(budget, most) => self.limits.push((*budget, *most)),
            Line::Capability(capability) => {
                self.limited.insert(capability.power());
            }
        }
        self.maximum.take(line);
        Ok(())
    }

    /// The lines that go beyond the ceiling, each with something that it would allow.
    pub(crate) fn beyond(&self, lines: &[Line]) -> Vec<Excess> {
        let limited = lines.iter().filter(|line| self.limits_it(line));
        self.maximum.beyond(&limited.cloned().collect::<Vec<_>>())
    }

    /// Whether one line stays below it.
    pub(crate) fn holds(&self, line: &Line) -> bool {
        !self.limits_it(line) || self.maximum.holds(line)
    }

    /// Whether it says anything about lines of capabilities.
    pub(crate) fn limits_capabilities(&self) -> bool {
        !self.limited.is_empty() || !self.forbidden.is_empty()
    }

    fn limits_it(&self, line: &Line) -> bool {
        match line {
            Line::Capability(capability) => {
                let power = capability.power();
                self.limited.contains(&power) || self.forbidden.contains(&power)
            }
            Line::Limit(budget, _) => self.limits.iter().any(|(limited, _)| limited == budget),
        }
    }

    /// The lower of a call's budgets and the ceiling's.
    pub(crate) fn lower(&self, mut limits: Limits) -> Limits {
        for (budget, most) in &self.limits {
            limits.set(*budget, limits.get(*budget).min(*most));
        }
        limits
    }

    /// All of it as text, in one order: it is part of what an approval is bound to.
    pub(crate) fn texts(&self) -> Vec<String> {
        let forbidden = self.forbidden.iter();
        let mut texts: Vec<String> = forbidden
            .map(|power| format!("no {}", power.as_str()))
            .collect();
        texts.extend(self.maximum.lines().iter().map(ToString::to_string));
        texts.sort_unstable();
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(lines: &[&str]) -> Result<HostCeiling, String> {
        HostCeiling::parse(
            &lines
                .iter()
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    fn refused(ceiling: &HostCeiling, lines: &[&str]) -> Vec<String> {
        let lines: Vec<Line> = lines
            .iter()
            .map(|line| Line::parse(line).unwrap())
            .collect();
        let excesses = ceiling.beyond(&lines).into_iter();
        excesses.map(|excess| excess.line.to_string()).collect()
    }

    #[test]
    fn kinds_without_a_line_are_not_limited_and_the_others_are_limited_to_theirs() {
        let ceiling = ceiling(&["no state", "http GET https://git.example.com/api/**"]).unwrap();
        let allowed = [
            "clock",
            "catalog delete A",
            "http GET https://git.example.com/api/x",
        ];
        assert_eq!(refused(&ceiling, &allowed), [""; 0]);
        let beyond = [
            "state",
            "http POST https://git.example.com/api/x",
            "http GET https://git.example.com/**",
        ];
        assert_eq!(refused(&ceiling, &beyond), beyond);
    }

    #[test]
    fn budgets_are_lowered() {
        let ceiling = ceiling(&["limit memory 32MiB"]).unwrap();
        let limits = ceiling.lower(Limits::default());
        assert_eq!(limits.get(Budget::Memory), 32 << 20);
        assert_eq!(limits.get(Budget::Log), Limits::default().get(Budget::Log));
        let lines = ["limit memory 64MiB", "limit log 16MiB"];
        assert_eq!(refused(&ceiling, &lines), ["limit memory 64MiB"]);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_name() {
        for lines in [
            &["no teleport"][..],
            &["no limit"],
            &["http GET https://*/**"],
            &["no http", "http GET https://git.example.com/**"],
            &["limit memory 1TiB"],
        ] {
            assert!(ceiling(lines).is_err(), "{lines:?}");
        }
        assert_eq!(
            ceiling(&["state", "no clock"]).unwrap().texts(),
            ["no clock", "state"]
        );
    }
}
