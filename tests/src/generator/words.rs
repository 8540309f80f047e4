//! The words that a catalog is made of.

use super::random::Random;

pub(super) const ENVIRONMENTS: &[(&str, &str)] = &[
    ("production-eu", "production"),
    ("production-us", "production"),
    ("production-ap", "production"),
    ("staging-eu", "staging"),
    ("staging-us", "staging"),
    ("test-eu", "test"),
    ("test-us", "test"),
    ("development-eu", "development"),
    ("sandbox-eu", "development"),
    ("performance-eu", "test"),
    ("recovery-us", "production"),
    ("edge-ap", "production"),
];

/// What the things of a company are about.
pub(super) const SUBJECTS: &[&str] = &[
    "account",
    "address",
    "advert",
    "alert",
    "audit",
    "banner",
    "basket",
    "billing",
    "booking",
    "budget",
    "campaign",
    "cargo",
    "carrier",
    "catalog",
    "charge",
    "checkout",
    "claim",
    "consent",
    "contract",
    "coupon",
    "courier",
    "credit",
    "currency",
    "customer",
    "delivery",
    "deposit",
    "device",
    "discount",
    "document",
    "driver",
    "event",
    "exchange",
    "export",
    "feedback",
    "fleet",
    "forecast",
    "fraud",
    "freight",
    "fulfilment",
    "gift",
    "identity",
    "image",
    "import",
    "incident",
    "insurance",
    "inventory",
    "invoice",
    "journey",
    "ledger",
    "lending",
    "licence",
    "listing",
    "location",
    "loyalty",
    "mailing",
    "margin",
    "market",
    "media",
    "member",
    "merchant",
    "message",
    "meter",
    "notice",
    "offer",
    "order",
    "parcel",
    "partner",
    "password",
    "payment",
    "payout",
    "payroll",
    "permit",
    "pickup",
    "policy",
    "portfolio",
    "pricing",
    "product",
    "profile",
    "promotion",
    "purchase",
    "quota",
    "quote",
    "rating",
    "receipt",
    "refund",
    "report",
    "return",
    "review",
    "reward",
    "risk",
    "route",
    "schedule",
    "search",
    "seller",
    "session",
    "settlement",
    "shipment",
    "signal",
    "stock",
    "storage",
    "subscription",
    "supplier",
    "survey",
    "tariff",
    "tax",
    "ticket",
    "token",
    "transfer",
    "travel",
    "treasury",
    "vehicle",
    "vendor",
    "voucher",
    "wallet",
    "warehouse",
    "warranty",
    "webshop",
    "wishlist",
];

pub(super) const TEAMS: &[&str] = &["team", "crew", "squad", "guild", "platform", "operations"];
pub(super) const DOMAINS: &[&str] = &["domain", "business", "experience", "foundation"];
pub(super) const SYSTEMS: &[&str] = &[
    "system", "suite", "core", "hub", "engine", "centre", "desk", "flow", "space", "network",
];
pub(super) const RESOURCES: &[&str] = &[
    "database", "queue", "bucket", "cache", "topic", "index", "volume", "replica", "archive",
    "stream",
];
pub(super) const APIS: &[&str] = &[
    "api",
    "events",
    "rest-api",
    "graphql",
    "rpc",
    "webhooks",
    "feed",
    "query-api",
    "admin-api",
];
pub(super) const LIBRARIES: &[&str] = &[
    "library",
    "client",
    "sdk",
    "model",
    "utilities",
    "schema",
    "testkit",
    "toolkit",
];
pub(super) const SERVICES: &[&str] = &[
    "service",
    "worker",
    "gateway",
    "backend",
    "frontend",
    "scheduler",
    "importer",
    "exporter",
    "processor",
    "listener",
    "calculator",
    "validator",
    "router",
    "proxy",
    "portal",
    "job",
];

pub(super) const LANGUAGES: &[&str] = &[
    "go",
    "java",
    "typescript",
    "python",
    "kotlin",
    "rust",
    "scala",
    "ruby",
];
pub(super) const LIFECYCLES: &[&str] = &["production", "experimental", "deprecated"];
pub(super) const SERVICE_TYPES: &[&str] = &["service", "worker", "website", "job"];
pub(super) const LIBRARY_TYPES: &[&str] = &["library"];
pub(super) const RESOURCE_TYPES: &[&str] = &[
    "postgresql",
    "kafka",
    "object-storage",
    "redis",
    "search",
    "volume",
];
pub(super) const API_TYPES: &[&str] = &["openapi", "asyncapi", "graphql", "grpc"];
pub(super) const CRITICALITIES: &[&str] = &["standard", "important", "critical"];

const TAGS: &[&str] = &[
    "billing-relevant",
    "customer-data",
    "gdpr",
    "internal",
    "legacy",
    "pci",
    "public",
    "regulated",
    "revenue",
    "shared",
];
const VERBS: &[&str] = &[
    "keeps",
    "calculates",
    "publishes",
    "collects",
    "checks",
    "forwards",
    "archives",
    "prepares",
    "reconciles",
    "sends",
    "receives",
    "plans",
    "watches",
    "enriches",
    "validates",
    "distributes",
];
const OBJECTS: &[&str] = &[
    "all open orders",
    "the daily figures",
    "messages of partners",
    "prices of every market",
    "customer requests",
    "records of the last years",
    "changes of the stock",
    "payments that failed",
    "documents for the tax office",
    "routes of the night",
    "sessions of signed-in people",
    "reports for the finance department",
    "events of all devices",
    "contracts and their versions",
    "parcels on their way",
    "risks of new accounts",
];
const PURPOSES: &[&str] = &[
    "so that support can answer at once",
    "before the first shift begins",
    "as the regulator asks for",
    "and tells whoever subscribed",
    "for the teams around it",
    "within a second",
    "without losing any",
    "until somebody approves",
    "once a night",
    "and remembers why",
    "for every country",
    "when the quarter ends",
];

/// A name that no other thing of its kind has: all pairs of words in an order of the seed's own, then the same with
/// numbers.
pub(super) fn name(seed: u64, index: usize, subjects: &[&str], nouns: &[&str]) -> String {
    let pairs = subjects.len() * nouns.len();
    let (round, place) = (index / pairs, index % pairs);
    // A step that has no divisor in common with the number of pairs visits each of them once.
    let step = (0..)
        .map(|more| pairs * 5 / 8 + more)
        .find(|step| gcd(*step, pairs) == 1)
        .unwrap_or(1);
    let start = Random::new(seed, 200, nouns.len() as u64).below(pairs as u64) as usize;
    let pair = (start + place * step) % pairs;
    let subject = subjects
        .get(pair / nouns.len())
        .copied()
        .unwrap_or_default();
    let noun = nouns.get(pair % nouns.len()).copied().unwrap_or_default();
    if round == 0 {
        format!("{subject}-{noun}")
    } else {
        format!("{subject}-{noun}-{}", round + 1)
    }
}

fn gcd(one: usize, other: usize) -> usize {
    if other == 0 {
        one
    } else {
        gcd(other, one % other)
    }
}

/// An identifier as people write it.
pub(super) fn title(identifier: &str) -> String {
    let mut title = identifier.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

/// One or two sentences.
pub(super) fn description(random: &mut Random) -> String {
    let mut sentence = || {
        let mut text = format!(
            "{} {} {}.",
            random.pick(VERBS),
            random.pick(OBJECTS),
            random.pick(PURPOSES)
        );
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text
    };
    let first = sentence();
    let second = sentence();
    if random.below(2) == 0 {
        first
    } else {
        format!("{first} {second}")
    }
}

pub(super) fn tags(language: &str, random: &mut Random) -> Vec<String> {
    let mut tags: Vec<String> = (0..random.skewed(4))
        .map(|_| random.pick(TAGS).to_owned())
        .collect();
    tags.push(language.to_owned());
    tags.sort();
    tags.dedup();
    tags
}

/// A moment of some years that have passed.
pub(super) fn date_time(random: &mut Random) -> String {
    format!(
        "{}-{:02}-{:02}T{:02}:{:02}:00.000Z",
        2019 + random.below(7),
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60)
    )
}
