//! Which kinds of descriptors there are, and what each key of theirs becomes.

/// What a key of `spec` becomes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Becomes {
    /// A property of the same name.
    Property,
    /// The text of an interface description.
    Definition,
    /// The owning team, or the owning person.
    Owner,
    /// A relation of the same name to one entity; the kind is what a reference without one means.
    One(&'static str),
    /// A relation of the same name to several.
    Many(&'static str),
    /// Relations to components and to resources.
    DependsOn,
    /// The same, seen from the other end.
    DependencyOf,
    /// Name, address and picture.
    Profile,
    /// The teams of a person.
    MemberOf,
    /// The same, seen from the team.
    Members,
    /// The teams below a team.
    Children,
}

/// A kind of descriptor.
pub(super) struct Kind {
    /// How descriptors name it, in lower case.
    pub(super) word: &'static str,
    /// What it is here.
    pub(super) blueprint: &'static str,
    /// The keys that are known.
    pub(super) spec: &'static [(&'static str, Becomes)],
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "component",
        blueprint: "Component",
        spec: &[
            ("type", Becomes::Property),
            ("lifecycle", Becomes::Property),
            ("owner", Becomes::Owner),
            ("system", Becomes::One("system")),
            ("subcomponentOf", Becomes::One("component")),
            ("providesApis", Becomes::Many("api")),
            ("consumesApis", Becomes::Many("api")),
            ("dependsOn", Becomes::DependsOn),
            ("dependencyOf", Becomes::DependencyOf),
        ],
    },
    Kind {
        word: "api",
        blueprint: "API",
        spec: &[
            ("type", Becomes::Property),
            ("lifecycle", Becomes::Property),
            ("owner", Becomes::Owner),
            ("system", Becomes::One("system")),
            ("definition", Becomes::Definition),
        ],
    },
    Kind {
        word: "resource",
        blueprint: "Resource",
        spec: &[
            ("type", Becomes::Property),
            ("lifecycle", Becomes::Property),
            ("owner", Becomes::Owner),
            ("system", Becomes::One("system")),
            ("dependsOn", Becomes::DependsOn),
            ("dependencyOf", Becomes::DependencyOf),
        ],
    },
    Kind {
        word: "system",
        blueprint: "System",
        spec: &[
            ("type", Becomes::Property),
            ("owner", Becomes::Owner),
            ("domain", Becomes::One("domain")),
        ],
    },
    Kind {
        word: "domain",
        blueprint: "Domain",
        spec: &[
            ("type", Becomes::Property),
            ("owner", Becomes::Owner),
            ("subdomainOf", Becomes::One("domain")),
        ],
    },
    Kind {
        word: "group",
        blueprint: "_team",
        spec: &[
            ("type", Becomes::Property),
            ("profile", Becomes::Profile),
            ("parent", Becomes::One("group")),
            ("children", Becomes::Children),
            ("members", Becomes::Members),
        ],
    },
    Kind {
        word: "user",
        blueprint: "_user",
        spec: &[
            ("profile", Becomes::Profile),
            ("memberOf", Becomes::MemberOf),
        ],
    },
];
