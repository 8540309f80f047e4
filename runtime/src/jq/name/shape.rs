//! What is known of a value.

/// Parts of a value that are told apart: two copies of each value within the next would soon be more than fit anywhere.
const MAX_PARTS: usize = 100;

/// What is known of a value that a filter works on.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Any object whose key is renamed.
    Renamed,
    /// An object with keys of which something is known; all others lead nowhere near.
    Fields(Vec<(String, Shape)>),
    /// A list of such values.
    Each(Box<Shape>),
    /// An object with such values under whatever keys.
    Values(Box<Shape>),
    /// Nothing in which the key is renamed.
    Apart,
    /// Nothing at all: `null`, `{}`, `[]`.
    Empty,
    /// Any of these.
    Unknown,
}

impl Shape {
    /// An object with one key that leads somewhere.
    pub fn field(name: &str, shape: Self) -> Self {
        Self::Fields(vec![(name.to_owned(), shape)])
    }

    /// Whether it may hold the object whose key is renamed.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Renamed | Self::Unknown => true,
            Self::Fields(fields) => fields.iter().any(|(_, shape)| shape.holds()),
            Self::Each(shape) | Self::Values(shape) => shape.holds(),
            Self::Apart | Self::Empty => false,
        }
    }

    /// What is known of something that is one or the other.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Empty, shape) | (shape, Self::Empty) => shape,
            (one, other) if one == other => one,
            (one, other) if !one.holds() && !other.holds() => Self::Apart,
            _ => Self::Unknown,
        }
    }

    pub(super) fn part(&self) -> Self {
        match self {
            Self::Each(shape) | Self::Values(shape) => (**shape).clone(),
            Self::Renamed | Self::Apart => Self::Apart,
            Self::Empty => Self::Empty,
            Self::Fields(_) | Self::Unknown => self.blurred(),
        }
    }

    fn parts(&self) -> usize {
        match self {
            Self::Fields(fields) => {
                fields.iter().map(|(_, shape)| shape.parts()).sum::<usize>() + 1
            }
            Self::Each(shape) | Self::Values(shape) => shape.parts() + 1,
            Self::Renamed | Self::Apart | Self::Empty | Self::Unknown => 1,
        }
    }

    /// The same, or less where it is too much to be kept apart.
    pub(super) fn bounded(self) -> Self {
        if self.parts() > MAX_PARTS {
            self.blurred()
        } else {
            self
        }
    }

    /// What is known of something that comes of it in whatever way.
    pub(super) fn blurred(&self) -> Self {
        if self.holds() {
            Self::Unknown
        } else {
            Self::Apart
        }
    }
}
