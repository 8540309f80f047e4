//! A catalog as a large company has it, of any size, made of nothing but a seed: the same on every machine, and never
//! in memory as a whole.
//!
//! Domains hold systems, systems hold components, interfaces and resources, components are deployed to environments,
//! and teams own all of it. Sizes are skewed as they are in life: a few systems are huge, most have dozens of members.

mod blueprints;
mod random;
mod words;

use serde_json::{Value, json};

pub use random::Random;

/// What is made, in the order in which it has to be written: each kind points only at kinds before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who owns things.
    Team,
    /// Where things run.
    Environment,
    /// What the company is about.
    Domain,
    /// What works together.
    System,
    /// Databases, queues and the like.
    Resource,
    /// What components offer each other.
    Api,
    /// Components that others are made of.
    Library,
    /// Components that run.
    Service,
    /// A service in an environment.
    Deployment,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::Team,
        Self::Environment,
        Self::Domain,
        Self::System,
        Self::Resource,
        Self::Api,
        Self::Library,
        Self::Service,
        Self::Deployment,
    ];

    /// The blueprint of its entities.
    pub fn blueprint(self) -> &'static str {
        match self {
            Self::Team => "_team",
            Self::Environment => "Environment",
            Self::Domain => "Domain",
            Self::System => "System",
            Self::Resource => "Resource",
            Self::Api => "API",
            Self::Library | Self::Service => "Component",
            Self::Deployment => "Deployment",
        }
    }
}

/// Entities of one kind, ready for one bulk request.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Their kind.
    pub kind: Kind,
    /// The entities, each as the API takes it.
    pub entities: Vec<Value>,
}

/// A catalog that is made as it is read.
#[derive(Clone, Debug)]
pub struct Generator {
    seed: u64,
    counts: [usize; Kind::ALL.len()],
    /// Where the members of each system begin and end, as parts of one.
    systems: Vec<f64>,
    /// The same for the systems of each domain.
    domains: Vec<f64>,
}

impl Generator {
    /// A catalog of about this many entities, at least a hundred; [`Self::count`] says how many exactly.
    pub fn new(seed: u64, entities: usize) -> Self {
        let entities = entities.max(100);
        let environments = words::ENVIRONMENTS.len();
        let teams = (entities / 400).max(4);
        let domains = (entities / 2_000).max(3);
        let systems = (entities / 60).max(6);
        let resources = entities * 13 / 100;
        let apis = entities * 12 / 100;
        let libraries = entities * 7 / 100;
        let services = entities * 28 / 100;
        let before =
            teams + environments + domains + systems + resources + apis + libraries + services;
        // Whatever is left runs somewhere; a service runs in no environment twice.
        let deployments = entities.saturating_sub(before).min(services * environments);
        let counts = [
            teams,
            environments,
            domains,
            systems,
            resources,
            apis,
            libraries,
            services,
            deployments,
        ];
        Self {
            seed,
            counts,
            systems: shares(systems),
            domains: shares(domains),
        }
    }

    /// How many entities there are in all.
    pub fn count(&self) -> usize {
        self.counts.iter().sum()
    }

    /// How many entities of a kind there are.
    pub fn count_of(&self, kind: Kind) -> usize {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    /// The blueprints, in an order in which they can be created one by one.
    pub fn blueprints(&self) -> Vec<Value> {
        blueprints::plain()
    }

    /// The same with mirrors, calculations and aggregations.
    pub fn blueprints_with_derived(&self) -> Vec<Value> {
        blueprints::derived()
    }

    /// Scorecards, each with the blueprint that it is for.
    pub fn scorecards(&self) -> Vec<(&'static str, Value)> {
        blueprints::scorecards()
    }

    /// Everything, in batches of at most this many entities of one kind.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Batch> + '_ {
        Kind::ALL
            .into_iter()
            .flat_map(move |kind| self.batches_of(kind, size))
    }

    /// The same, of one kind.
    pub fn batches_of(&self, kind: Kind, size: usize) -> impl Iterator<Item = Batch> + '_ {
        let (count, size) = (self.count_of(kind), size.max(1));
        (0..count).step_by(size).map(move |first| Batch {
            kind,
            entities: (first..count.min(first + size))
                .map(|index| self.entity(kind, index))
                .collect(),
        })
    }

    /// The identifier of one entity.
    pub fn identifier(&self, kind: Kind, index: usize) -> String {
        match kind {
            Kind::Team => words::name(self.seed, index, words::SUBJECTS, words::TEAMS),
            Kind::Environment => words::ENVIRONMENTS
                .get(index)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
            Kind::Domain => words::name(self.seed, index, words::SUBJECTS, words::DOMAINS),
            Kind::System => words::name(self.seed, index, words::SUBJECTS, words::SYSTEMS),
            Kind::Resource => words::name(self.seed, index, words::SUBJECTS, words::RESOURCES),
            Kind::Api => words::name(self.seed, index, words::SUBJECTS, words::APIS),
            Kind::Library => words::name(self.seed, index, words::SUBJECTS, words::LIBRARIES),
            Kind::Service => words::name(self.seed, index, words::SUBJECTS, words::SERVICES),
            Kind::Deployment => {
                let (service, environment) = self.deployed(index);
                format!(
                    "{}-{}",
                    self.identifier(Kind::Service, service),
                    self.identifier(Kind::Environment, environment)
                )
            }
        }
    }

    /// How many components, interfaces and resources a system has; the largest systems come first.
    pub fn members(&self, system: usize) -> usize {
        [Kind::Resource, Kind::Api, Kind::Library, Kind::Service]
            .into_iter()
            .map(|kind| {
                let (first, end) = self.range(kind, system);
                end - first
            })
            .sum()
    }

    /// One entity, as the API takes it.
    pub fn entity(&self, kind: Kind, index: usize) -> Value {
        let mut random = Random::new(self.seed, kind as u64, index as u64);
        let identifier = self.identifier(kind, index);
        let title = words::title(&identifier);
        match kind {
            Kind::Team => json!({
                "identifier": identifier, "title": title,
                "properties": {
                    "description": words::description(&mut random),
                    "email": format!("{identifier}@example.com"),
                },
            }),
            Kind::Environment => {
                let (name, stage) = words::ENVIRONMENTS.get(index).copied().unwrap_or_default();
                json!({
                    "identifier": name, "title": title,
                    "properties": {"stage": stage, "region": name.split_once('-').map_or("eu", |(_, region)| region)},
                })
            }
            Kind::Domain => json!({
                "identifier": identifier, "title": title, "team": [self.team(&mut random)],
                "properties": {"description": words::description(&mut random)},
            }),
            Kind::System => json!({
                "identifier": identifier, "title": title, "team": [self.team_of(index)],
                "properties": {
                    "description": words::description(&mut random),
                    "criticality": random.pick_skewed(words::CRITICALITIES),
                },
                "relations": {"domain": self.identifier(Kind::Domain, self.domain_of(index))},
            }),
            Kind::Resource => {
                let system = self.system_of(kind, index);
                json!({
                    "identifier": identifier, "title": title, "team": [self.team_of(system)],
                    "properties": {
                        "type": random.pick_skewed(words::RESOURCE_TYPES),
                        "version": format!("{}.{}", 1 + random.below(16), random.below(10)),
                        "sizeGiB": 1_u64 << random.below(12),
                        "encrypted": random.below(10) > 0,
                        "createdOn": words::date_time(&mut random),
                    },
                    "relations": {"system": self.identifier(Kind::System, system)},
                })
            }
            Kind::Api => {
                let system = self.system_of(kind, index);
                json!({
                    "identifier": identifier, "title": title, "team": [self.team_of(system)],
                    "properties": {
                        "type": random.pick_skewed(words::API_TYPES),
                        "version": format!("v{}", 1 + random.below(4)),
                        "description": words::description(&mut random),
                        "public": random.below(8) == 0,
                    },
                    "relations": {"system": self.identifier(Kind::System, system)},
                })
            }
            Kind::Library | Kind::Service => self.component(kind, index, &identifier, &mut random),
            Kind::Deployment => {
                let (service, environment) = self.deployed(index);
                let system = self.system_of(Kind::Service, service);
                json!({
                    "identifier": identifier, "title": title, "team": [self.team_of(system)],
                    "properties": {
                        "version": format!("{}.{}.{}", random.below(5), random.below(30), random.below(12)),
                        "replicas": 1 + random.below(24),
                        "healthy": random.below(25) > 0,
                        "deployedAt": words::date_time(&mut random),
                        "image": format!("registry.example.com/{}", self.identifier(Kind::Service, service)),
                    },
                    "relations": {
                        "component": self.identifier(Kind::Service, service),
                        "environment": self.identifier(Kind::Environment, environment),
                    },
                })
            }
        }
    }

    fn component(&self, kind: Kind, index: usize, identifier: &str, random: &mut Random) -> Value {
        let system = self.system_of(kind, index);
        let language = random.pick_skewed(words::LANGUAGES);
        let types = if kind == Kind::Library {
            words::LIBRARY_TYPES
        } else {
            words::SERVICE_TYPES
        };
        let (provides, consumes, depends, resources) = if kind == Kind::Library {
            (Vec::new(), Vec::new(), Vec::new(), Vec::new())
        } else {
            (
                self.some(Kind::Api, system, 2, random),
                self.some_anywhere(Kind::Api, 4, random),
                self.some_anywhere(Kind::Library, 5, random),
                self.some(Kind::Resource, system, 3, random),
            )
        };
        // Now and then somebody else looks after one of a system's components, and now and then nobody does.
        let team = match random.below(20) {
            0 => Vec::new(),
            1 | 2 => vec![self.team(random)],
            _ => vec![self.team_of(system)],
        };
        json!({
            "identifier": identifier,
            "title": words::title(identifier),
            "team": team,
            "properties": {
                "type": random.pick_skewed(types),
                "language": language,
                "lifecycle": random.pick_skewed(words::LIFECYCLES),
                "tier": 1 + random.skewed(4),
                "description": words::description(random),
                "repository": format!("https://git.example.com/{}/{identifier}", self.team_of(system)),
                "tags": words::tags(language, random),
                "coverage": random.below(1_001) as f64 / 10.0,
                "openIncidents": random.skewed(9),
                "onCall": format!("{}@example.com", self.team_of(system)),
                "lastCommit": words::date_time(random),
                "publicFacing": random.below(6) == 0,
            },
            "relations": {
                "system": self.identifier(Kind::System, system),
                "providesApis": provides,
                "consumesApis": consumes,
                "dependsOn": depends,
                "resources": resources,
            },
        })
    }

    /// The service and the environment of a deployment: no pair comes twice.
    fn deployed(&self, index: usize) -> (usize, usize) {
        let services = self.count_of(Kind::Service).max(1);
        let environments = self.count_of(Kind::Environment).max(1);
        let (round, service) = (index / services, index % services);
        (service, (round + service) % environments)
    }

    /// A system's members of one kind: they stand side by side.
    fn range(&self, kind: Kind, system: usize) -> (usize, usize) {
        let count = self.count_of(kind);
        let at = |share: usize| {
            let share = self.systems.get(share).copied().unwrap_or(1.0);
            ((share * count as f64) as usize).min(count)
        };
        (at(system), at(system + 1))
    }

    fn system_of(&self, kind: Kind, index: usize) -> usize {
        let count = self.count_of(kind);
        // The same rounding as in `range`, or else a member would be of one system and counted to its neighbour.
        let begun = |share: &f64| ((share * count as f64) as usize).min(count) <= index;
        let last = self.count_of(Kind::System).saturating_sub(1);
        self.systems
            .partition_point(begun)
            .saturating_sub(1)
            .min(last)
    }

    fn domain_of(&self, system: usize) -> usize {
        let mut random = Random::new(self.seed, 100, system as u64);
        let last = self.count_of(Kind::Domain).saturating_sub(1);
        let share = random.unit();
        let found = self.domains.partition_point(|begin| *begin <= share);
        found.saturating_sub(1).min(last)
    }

    fn team_of(&self, system: usize) -> String {
        let mut random = Random::new(self.seed, 101, system as u64);
        self.team(&mut random)
    }

    fn team(&self, random: &mut Random) -> String {
        let teams = self.count_of(Kind::Team);
        self.identifier(Kind::Team, random.below(teams as u64) as usize)
    }

    /// At most this many of a system's own.
    fn some(&self, kind: Kind, system: usize, most: u64, random: &mut Random) -> Vec<String> {
        let (first, end) = self.range(kind, system);
        self.pick(kind, first, end - first, most, random)
    }

    /// At most this many from anywhere, the well-known ones more often.
    fn some_anywhere(&self, kind: Kind, most: u64, random: &mut Random) -> Vec<String> {
        let count = self.count_of(kind);
        let share = random.unit();
        let known = ((share * share * count as f64) as usize).min(count.saturating_sub(1));
        self.pick(kind, known, (count - known).min(64), most, random)
    }

    fn pick(
        &self,
        kind: Kind,
        first: usize,
        room: usize,
        most: u64,
        random: &mut Random,
    ) -> Vec<String> {
        if room == 0 {
            return Vec::new();
        }
        let mut found: Vec<usize> = (0..random.skewed(most + 1))
            .map(|_| first + random.below(room as u64) as usize)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|index| self.identifier(kind, index))
            .collect()
    }
}

/// Where each of some things begins on a line from 0 to 1, the largest first.
fn shares(count: usize) -> Vec<f64> {
    // A thing's share falls with the square root of its rank; roots are the same on every machine, powers are not.
    let weights = (1..=count).map(|rank| 1.0 / (rank as f64).sqrt());
    let whole: f64 = weights.clone().sum();
    let mut begins = Vec::with_capacity(count + 1);
    let mut at = 0.0;
    for weight in weights {
        begins.push(at / whole);
        at += weight;
    }
    begins.push(1.0);
    begins
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn all(generator: &Generator) -> Vec<(Kind, Value)> {
        generator
            .batches(333)
            .flat_map(|batch| batch.entities.into_iter().map(move |one| (batch.kind, one)))
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_catalog_and_another_one_another() {
        let first = all(&Generator::new(1, 2_000));
        assert_eq!(first, all(&Generator::new(1, 2_000)));
        assert_ne!(first, all(&Generator::new(2, 2_000)));
        assert_eq!(first.len(), 2_000);
    }

    #[test]
    fn whatever_an_entity_points_at_was_written_before_it() {
        let generator = Generator::new(7, 10_000);
        let targets: HashMap<String, HashMap<String, String>> = generator
            .blueprints()
            .iter()
            .map(|blueprint| {
                let relations = blueprint["relations"].as_object().unwrap();
                let relations = relations
                    .iter()
                    .map(|(name, one)| (name.clone(), one["target"].as_str().unwrap().to_owned()));
                (
                    blueprint["identifier"].as_str().unwrap().to_owned(),
                    relations.collect(),
                )
            })
            .collect();
        let mut written: HashSet<(String, String)> = HashSet::new();
        let mut waiting: Vec<(String, String)> = Vec::new();
        let mut kind = Kind::Team;
        for (of, entity) in all(&generator) {
            if of != kind {
                kind = of;
                written.extend(waiting.drain(..));
            }
            let teams = entity["team"].as_array().into_iter().flatten();
            for team in teams {
                assert!(written.contains(&("_team".to_owned(), team.as_str().unwrap().to_owned())));
            }
            let relations = entity["relations"].as_object().into_iter().flatten();
            for (name, value) in relations {
                let target = &targets[of.blueprint()][name];
                let ids = value
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![value.clone()]);
                for id in ids {
                    let id = id.as_str().unwrap().to_owned();
                    assert!(
                        written.contains(&(target.clone(), id)),
                        "{name} of {entity}"
                    );
                }
            }
            let id = entity["identifier"].as_str().unwrap().to_owned();
            waiting.push((of.blueprint().to_owned(), id));
        }
    }

    #[test]
    fn no_identifier_comes_twice_at_any_size() {
        for entities in [100, 10_000, 200_000] {
            let generator = Generator::new(3, entities);
            let mut seen = HashSet::new();
            for kind in Kind::ALL {
                for index in 0..generator.count_of(kind) {
                    let id = generator.identifier(kind, index);
                    assert!(seen.insert((kind.blueprint(), id)), "{kind:?} {index}");
                }
            }
            assert!(
                seen.len().abs_diff(entities) <= entities / 20,
                "{}",
                seen.len()
            );
        }
    }

    #[test]
    fn most_systems_are_small_a_few_are_not_and_members_know_their_system() {
        let generator = Generator::new(3, 1_000_000);
        let sizes: Vec<usize> = (0..generator.count_of(Kind::System))
            .map(|system| generator.members(system))
            .collect();
        let small = sizes.iter().filter(|size| **size <= 200).count();
        assert!(small * 100 > sizes.len() * 95, "{small} of {}", sizes.len());
        assert!(sizes[0] > 1_000, "{}", sizes[0]);
        assert_eq!(
            sizes.iter().sum::<usize>(),
            [Kind::Resource, Kind::Api, Kind::Library, Kind::Service]
                .map(|kind| generator.count_of(kind))
                .iter()
                .sum::<usize>()
        );
        for system in [0, 1, 77, sizes.len() - 1] {
            let (first, end) = generator.range(Kind::Service, system);
            for index in first..end {
                assert_eq!(generator.system_of(Kind::Service, index), system);
            }
        }
    }
}
