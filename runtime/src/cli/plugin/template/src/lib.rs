#![doc = include_str!("../README.md")]

use goldenpath_sdk::prelude::*;

/// What the person who asks fills in.
#[input]
pub struct Greet {
    /// Whom to greet.
    #[field(length = 1..=100)]
    pub name: String,
    /// How to greet.
    #[serde(default)]
    pub tone: Tone,
}

/// A way to greet.
#[input]
#[derive(Copy, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Friendly,
    Formal,
}

/// What comes of it.
#[output]
pub struct Greeting {
    /// The greeting.
    pub greeting: String,
}

/// Greets somebody.
#[action]
pub fn greet(input: Greet, ctx: &Context) -> Result<Greeting, Failure> {
    let name = input.name.trim();
    if name.is_empty() {
        return Err(Failure::new("name_missing", "there is nobody to greet"));
    }
    ctx.log()
        .info(format!("greets {name} for {}", ctx.requested_by()));
    let greeting = match input.tone {
        Tone::Friendly => format!("Hello, {name}!"),
        Tone::Formal => format!("Good day, {name}."),
    };
    Ok(Greeting { greeting })
}

goldenpath_sdk::plugin!(greet);

#[cfg(test)]
mod tests {
    use super::*;

    fn ada(tone: Tone) -> Greet {
        Greet {
            name: "Ada".to_owned(),
            tone,
        }
    }

    #[test]
    fn greeting_has_the_tone_that_was_asked_for() {
        let ctx = FakeContext::new();
        assert_eq!(
            greet(ada(Tone::Friendly), &ctx).unwrap().greeting,
            "Hello, Ada!"
        );
        assert_eq!(
            greet(ada(Tone::Formal), &ctx).unwrap().greeting,
            "Good day, Ada."
        );
        assert_eq!(ctx.messages(), ["greets Ada for dev@example.com"; 2]);
    }

    #[test]
    fn nobody_is_not_greeted() {
        let failure = greet(
            Greet {
                name: " ".to_owned(),
                tone: Tone::Friendly,
            },
            &FakeContext::new(),
        )
        .unwrap_err();
        assert_eq!(failure.code(), "name_missing");
    }
}
